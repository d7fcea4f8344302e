//! Containers: `::: name args` … `:::`. CommonMark has none, so the lines that open and close them are swapped,
//! before it is parsed, for HTML comments with a number. Line numbers stay as they were.

use super::super::report::Notes;

/// What a `:::` line means.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Fence {
    /// Opens a container; `line` is where it stands in the file.
    Open {
        kind: Kind,
        args: String,
        line: usize,
    },
    /// Closes the container opened by the fence of that number.
    Close { open: usize },
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    Note,
    Warning,
    Summary,
    Scene,
    Question,
    Answer,
    Choice,
    Predict,
    Lanes,
}

const NAMES: [(&str, Kind); 9] = [
    ("note", Kind::Note),
    ("warning", Kind::Warning),
    ("summary", Kind::Summary),
    ("scene", Kind::Scene),
    ("question", Kind::Question),
    ("answer", Kind::Answer),
    ("choice", Kind::Choice),
    ("predict", Kind::Predict),
    ("lanes", Kind::Lanes),
];

const MARK: &str = "<!--:::";

/// The number of the fence that a comment stands for.
pub(super) fn fence_number(html: &str) -> Option<usize> {
    html.trim()
        .strip_prefix(MARK)?
        .strip_suffix("-->")?
        .parse()
        .ok()
}

/// Swaps the `:::` lines of a body for marks; `before` lines of the file come before it.
pub(super) fn mark(body: &str, before: usize, notes: &mut Notes<'_>) -> (String, Vec<Fence>) {
    let mut text = String::with_capacity(body.len());
    let mut fences: Vec<Fence> = Vec::new();
    // Numbers of fences not yet closed; `None` for one of unknown name, so that its end is not an error, too.
    let mut open: Vec<(Option<usize>, usize)> = Vec::new();
    let mut code: Option<String> = None;
    for (number, line) in body.lines().enumerate() {
        let at = before + number + 1;
        let bare = line.trim();
        let mut mark: Option<usize> = None;
        let mut swallow = false;
        if let Some(fence) = &code {
            if bare.starts_with(fence.as_str()) && bare.trim_start_matches(&fence[..1]).is_empty() {
                code = None;
            }
        } else if let Some(fence) = code_fence(bare) {
            code = Some(fence);
        } else if let Some(rest) = bare.strip_prefix(":::") {
            swallow = true;
            if !line.starts_with(":::") {
                notes.add(at, "`:::` must stand at the start of its line");
            }
            let rest = rest.trim();
            if rest.is_empty() {
                match open.pop() {
                    None => notes.add(
                        at,
                        "this `:::` closes nothing; take it out, or open a container above it",
                    ),
                    Some((None, _)) => {}
                    Some((Some(opened), _)) => {
                        mark = Some(fences.len());
                        fences.push(Fence::Close { open: opened });
                    }
                }
            } else {
                let (name, args) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
                if let Some((_, kind)) = NAMES.iter().find(|(known, _)| *known == name) {
                    check_nesting(*kind, &open, &fences, at, notes);
                    open.push((Some(fences.len()), at));
                    mark = Some(fences.len());
                    fences.push(Fence::Open {
                        kind: *kind,
                        args: args.trim().to_owned(),
                        line: at,
                    });
                } else {
                    let known: Vec<_> = NAMES.iter().map(|(name, _)| *name).collect();
                    notes.add(
                        at,
                        format!(
                            "there is no container `{name}`; use one of: {}",
                            known.join(", ")
                        ),
                    );
                    open.push((None, at));
                }
            }
        }
        match mark {
            Some(number) => text.push_str(&format!("{MARK}{number}-->")),
            None if swallow => {}
            None => text.push_str(line),
        }
        text.push('\n');
    }
    if let Some(fence) = code {
        notes.add(
            before + body.lines().count(),
            format!("a code block is not closed; write `{fence}` on a line of its own"),
        );
    }
    for (opened, at) in open {
        notes.add(
            at,
            "this container is not closed; write `:::` on a line of its own after it",
        );
        // Closed all the same, so that the rest of the file is still checked.
        if let Some(opened) = opened {
            text.push_str(&format!("\n{MARK}{}-->\n", fences.len()));
            fences.push(Fence::Close { open: opened });
        }
    }
    (text, fences)
}

fn check_nesting(
    kind: Kind,
    open: &[(Option<usize>, usize)],
    fences: &[Fence],
    at: usize,
    notes: &mut Notes<'_>,
) {
    let parent = open
        .last()
        .and_then(|(number, _)| *number)
        .and_then(|number| match &fences[number] {
            Fence::Open { kind, .. } => Some(*kind),
            Fence::Close { .. } => None,
        });
    match kind {
        Kind::Answer if !matches!(parent, Some(Kind::Question | Kind::Predict)) => {
            notes.add(at, "`answer` belongs inside `question` or `predict`");
        }
        Kind::Scene | Kind::Question | Kind::Choice | Kind::Predict | Kind::Lanes
            if !open.is_empty() =>
        {
            notes.add(
                at,
                "this container can't stand inside another; close the one above it first",
            );
        }
        _ => {}
    }
}

/// The run of backticks or tildes that opens a code block.
fn code_fence(line: &str) -> Option<String> {
    let first = line.chars().next().filter(|c| matches!(c, '`' | '~'))?;
    let run: String = line.chars().take_while(|c| *c == first).collect();
    (run.len() >= 3 && !(first == '`' && line[run.len()..].contains('`'))).then_some(run)
}
