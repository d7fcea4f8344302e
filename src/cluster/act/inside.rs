//! What is done inside a Pod rather than through the API's objects: looking at the rows on request,
//! and statements in the lesson's database.

use std::time::Duration;

use kube::core::DynamicObject;
use unicode_width::UnicodeWidthStr;

use super::action::{Action, Place};
use super::objects::Objects;
use super::refusal::{Reason, Refusal};
use super::{Actor, Done};
use crate::cluster::bodies::Body;
use crate::cluster::change::{Hindrance, Inside, InsideFault};
use crate::cluster::exec::{Exit, Trouble, run};
use crate::cluster::kind::{Kind, Object};
use crate::cluster::target::Reached;
use crate::shell::word;

/// How long statements may take.
const PATIENCE: Duration = Duration::from_secs(4);
/// Bytes of what psql prints that are handed on.
const LIMIT: usize = 64 * 1024;

impl Actor {
    /// Looks at the rows in a Pod, or in the one that has a claim; says what it saw as an answer and
    /// to every page.
    pub(super) async fn look(
        &self,
        reached: &Reached,
        objects: &Objects,
        pod: Option<String>,
        claim: Option<String>,
    ) -> Result<Done, Refusal> {
        let body = match (&pod, &claim) {
            (Some(pod), _) => self.find(objects, pod).await?,
            (None, claim) => {
                let claim = claim.as_deref().unwrap_or_default();
                match self.mounted(objects, claim).await? {
                    Some(body) => body,
                    None => return self.nobody(objects, claim, reached).await,
                }
            }
        };
        let Some(mut inside) = self.look_into(reached, &body).await else {
            return Err(Refusal::new(
                Reason::NotOfTheLesson,
                format!("the lesson has no query for pod {:?}", body.name),
            ));
        };
        if let Some(claim) = claim {
            inside.key.clone_from(&claim);
            inside.claim = Some(claim);
        }
        let said = match &inside.fault {
            Some(fault) => vec![fault.detail.clone()],
            None => table(&inside),
        };
        self.show(inside).await;
        let action = Action::Look {
            pod: Some(body.name),
            claim: None,
        };
        Ok(Done {
            kubectl: action.kubectl(&self.acting().at(reached)),
            said,
        })
    }

    /// No Pod has the claim: that is what there is to see, if there is such a claim.
    async fn nobody(
        &self,
        objects: &Objects,
        claim: &str,
        reached: &Reached,
    ) -> Result<Done, Refusal> {
        objects.get("PersistentVolumeClaim", claim).await?;
        let detail = format!("no Pod uses the claim {claim}");
        self.show(Inside {
            key: claim.into(),
            claim: Some(claim.into()),
            fault: Some(InsideFault::new(Hindrance::NoPod, detail.as_str())),
            ..Inside::default()
        })
        .await;
        // This line shows it, too: under Used By.
        let namespace = self.acting().at(reached).namespace;
        let namespace = namespace.map_or_else(String::new, |it| format!(" -n {}", word(&it)));
        Ok(Done {
            kubectl: format!("kubectl{namespace} describe pvc {}", word(claim)),
            said: vec![detail],
        })
    }

    /// Asks psql in a Pod of the lesson; answers with what it prints.
    pub(super) async fn query(
        &self,
        reached: &Reached,
        objects: &Objects,
        place: &Place,
        sql: &str,
    ) -> Result<Vec<String>, Refusal> {
        let body = match place {
            Place::Pod(name) => self.find(objects, name).await?,
            Place::Workload(kind, name) => self.pod_of(objects, kind.as_str(), name).await?,
        };
        let Some(look) = self.acting().look(&body.name) else {
            return Err(Refusal::new(
                Reason::NotOfTheLesson,
                format!("the lesson has no database in pod {:?}", body.name),
            ));
        };
        let command = ["psql", "-U", &look.user, "-d", &look.database, "-c", sql];
        let (client, namespace) = (&reached.client, &reached.namespace);
        objects.tell().await;
        let output = run(client, namespace, &body, &command, LIMIT, PATIENCE).await;
        // Whatever became of it, the rows may be others now.
        self.bodies().turn(body);
        let output = output?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
        let (printed, errors) = (text(&output.stdout), text(&output.stderr));
        match output.exit {
            Exit::Code(0) => {}
            Exit::Unknown if output.is_cut => {}
            Exit::Code(_) => return Err(Refusal::new(Reason::Failed, errors)),
            Exit::Failed(words) => return Err(Refusal::new(Reason::Internal, words)),
            Exit::Unknown => {
                let words = "the connection to the Pod ended before psql did";
                return Err(Refusal::new(Reason::Unreachable, words));
            }
        }
        let mut said: Vec<String> = printed.lines().map(str::to_owned).collect();
        said.extend(errors.lines().map(str::to_owned));
        if output.is_cut {
            said.push("…".into());
        }
        Ok(said)
    }

    /// A Pod of the lesson by its name.
    pub(in crate::cluster) async fn find(
        &self,
        objects: &Objects,
        name: &str,
    ) -> Result<Body, Refusal> {
        let pod = objects.get("Pod", name).await?;
        self.belongs(objects, "Pod", &pod).await?;
        body(&pod)
    }

    /// The Pod of a workload that `kubectl exec` would choose: one that is Ready rather than not.
    async fn pod_of(&self, objects: &Objects, kind: &str, name: &str) -> Result<Body, Refusal> {
        let workload = objects.get(kind, name).await?;
        self.belongs(objects, kind, &workload).await?;
        let is_its = |body: &Body| {
            let of = body.workload.as_ref();
            of.is_some_and(|(of, its)| of == kind && its == name)
        };
        best(objects, is_its).await?.ok_or_else(|| {
            let kind = kind.to_lowercase();
            Refusal::new(
                Reason::NotFound,
                format!("no Pod of {kind}/{name} is there"),
            )
        })
    }

    /// The Pod that has a claim of the lesson.
    async fn mounted(&self, objects: &Objects, claim: &str) -> Result<Option<Body>, Refusal> {
        if !self.scope().claims(claim) {
            return Err(Refusal::new(
                Reason::NotOfTheLesson,
                format!("persistentvolumeclaim {claim:?} is none of the lesson's objects"),
            ));
        }
        best(objects, |body| body.claims.iter().any(|it| it == claim)).await
    }
}

/// Of the Pods that fit, one that is Ready, stays, and is the newest.
async fn best(objects: &Objects, fits: impl Fn(&Body) -> bool) -> Result<Option<Body>, Refusal> {
    let mut found: Vec<Body> = Vec::new();
    for pod in objects.list("Pod", None).await? {
        // One that cannot be read is left out, as everywhere.
        found.extend(body(&pod).ok().filter(&fits));
    }
    let rank = |body: &Body| (body.is_ready, !body.is_leaving, body.created);
    Ok(found.into_iter().max_by_key(rank))
}

fn body(pod: &DynamicObject) -> Result<Body, Refusal> {
    let unreadable = |error: serde_json::Error| Refusal::new(Reason::Internal, error.to_string());
    let pod = serde_json::to_value(pod).map_err(unreadable)?;
    match Object::read(Kind::Pod, &pod).map_err(unreadable)? {
        Object::Pod(pod) => Ok(Body::from(&*pod)),
        _ => unreachable!("a Pod was read"),
    }
}

impl From<Trouble> for Refusal {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Api(error) => error.into(),
            Trouble::Late(patience) => Self::new(
                Reason::Unreachable,
                format!(
                    "no answer within {} s; what was asked may still be done",
                    patience.as_secs()
                ),
            ),
        }
    }
}

/// The rows as psql prints them.
fn table(inside: &Inside) -> Vec<String> {
    let width = |column: usize| {
        let cells = inside.rows.iter().filter_map(|row| row.get(column));
        let all = cells.chain(inside.columns.get(column));
        all.map(|cell| cell.width()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..inside.columns.len()).map(width).collect();
    let line = |cells: &[String], is_head: bool| {
        let padded = cells.iter().zip(&widths).map(|(cell, width)| {
            let free = width - cell.width();
            let before = match is_head {
                true => free / 2,
                false if cell.parse::<f64>().is_ok() => free,
                false => 0,
            };
            format!(
                " {}{cell}{} ",
                " ".repeat(before),
                " ".repeat(free - before)
            )
        });
        padded.collect::<Vec<_>>().join("|").trim_end().to_owned()
    };
    let rule: Vec<String> = widths.iter().map(|width| "-".repeat(width + 2)).collect();
    let mut lines = vec![line(&inside.columns, true), rule.join("+")];
    lines.extend(inside.rows.iter().map(|row| line(row, false)));
    lines.push(match inside.rows.len() {
        1 => "(1 row)".into(),
        count if inside.more => format!("({count} rows, and more)"),
        count => format!("({count} rows)"),
    });
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_stand_under_each_other_as_in_psql() {
        let text = |words: &[&str]| words.iter().map(|it| (*it).to_owned()).collect();
        let mut inside = Inside {
            columns: text(&["id", "name"]),
            rows: vec![text(&["1", "apple"]), text(&["12", "みかん"])],
            ..Inside::default()
        };
        let lines = [
            " id |  name",
            "----+--------",
            "  1 | apple",
            " 12 | みかん",
            "(2 rows)",
        ];
        assert_eq!(table(&inside), lines);
        inside.rows.pop();
        assert_eq!(table(&inside).last().map(String::as_str), Some("(1 row)"));
    }
}
