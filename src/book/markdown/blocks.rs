//! Blocks with a meaning, as HTML: figures, manifests, code, boxes, questions.

use std::fmt::Write;

use pulldown_cmark::{CodeBlockKind, Event, TagEnd};

use super::super::figure;
use super::super::highlight;
use super::super::html::escape;
use super::super::quiz::Question;
use super::containers::Kind;
use super::{Choice, Walk, info_parts, node_terms};

impl Walk<'_, '_, '_, '_> {
    /// Takes the text of a code block up to its end and writes what it stands for.
    pub(super) fn code_block(&mut self, kind: &CodeBlockKind<'_>, line: usize) {
        let mut text = String::new();
        while let Some((event, _)) = self.events.get(self.at) {
            self.at += 1;
            match event {
                Event::Text(part) => text.push_str(part),
                Event::End(TagEnd::CodeBlock) => break,
                _ => {}
            }
        }
        let CodeBlockKind::Fenced(info) = kind else {
            self.notes
                .add(line, "indented code has no language; fence it: ```text");
            return;
        };
        match info_parts(info) {
            ("mermaid", id) => self.figure(id, &text, line),
            ("manifest", path) => self.manifest(path.unwrap_or(""), &text, line),
            ("console", _) => self.html(highlight::console(&text)),
            ("yaml", _) => {
                let lines = highlight::yaml(&text, self.context.terms).join("\n");
                self.html(format!(r#"<pre class="code"><code>{lines}</code></pre>"#));
            }
            ("sql", _) => {
                let code = highlight::sql(text.trim_end());
                self.html(format!(r#"<pre class="code"><code>{code}</code></pre>"#));
            }
            ("text", _) => {
                self.html(format!(r#"<pre class="code"><code>{}</code></pre>"#, escape(text.trim_end())));
            }
            (other, _) => self.notes.add(
                line,
                format!("a code block can't be `{other}`; use console, yaml, sql, text, mermaid or manifest"),
            ),
        }
    }

    fn figure(&mut self, id: Option<&str>, source: &str, line: usize) {
        let Some(id) = id else {
            self.notes
                .add(line, "a figure needs an id: ```mermaid {#figure-8-1}");
            return;
        };
        self.add_id(id, line);
        match figure::figure(id, source, node_terms(self.context.terms)) {
            Err(error) => self.notes.add(line + 1 + error.line, error.message),
            Ok(figure) => {
                let html = format!(
                    r#"<figure class="figure" id="{id}"><div class="frame">{}</div><figcaption>{}</figcaption></figure>"#,
                    figure.svg,
                    escape(&figure.title)
                );
                self.html(html);
                self.done.figures.push(figure);
            }
        }
    }

    fn manifest(&mut self, path: &str, notes: &str, line: usize) {
        let Some(manifest) = self.context.manifests.get(path) else {
            let known: Vec<_> = self
                .context
                .manifests
                .iter()
                .map(|manifest| manifest.path.as_str())
                .collect();
            self.notes.add(
                line,
                format!(
                    "there is no manifest `{path}`; there are: {}",
                    known.join(", ")
                ),
            );
            return;
        };
        let file: Vec<&str> = manifest.text.lines().collect();
        let mut explained: Vec<(usize, &str)> = Vec::new();
        for (number, note) in notes
            .lines()
            .enumerate()
            .filter(|(_, note)| !note.trim().is_empty())
        {
            let at = line + 1 + number;
            let Some((part, why)) = note
                .split_once("=>")
                .map(|(part, why)| (part.trim(), why.trim()))
            else {
                self.notes.add(
                    at,
                    "write an explanation as `part of a line => explanation`",
                );
                continue;
            };
            let found: Vec<usize> = (0..file.len())
                .filter(|&row| file[row].contains(part))
                .collect();
            match found.as_slice() {
                _ if part.is_empty() || why.is_empty() => {
                    self.notes.add(
                        at,
                        "write an explanation as `part of a line => explanation`",
                    );
                }
                [] => self.notes.add(
                    at,
                    format!("`{part}` is in no line of {path}; copy a part of a line exactly"),
                ),
                [row] if explained.iter().any(|(known, _)| known == row) => {
                    self.notes.add(
                        at,
                        format!("line {} of {path} is explained twice; keep one", row + 1),
                    );
                }
                [row] => explained.push((*row, why)),
                more => {
                    let rows: Vec<_> = more.iter().map(|row| (row + 1).to_string()).collect();
                    self.notes.add(
                        at,
                        format!(
                            "`{part}` is in lines {} of {path}; write more of the line",
                            rows.join(", ")
                        ),
                    );
                }
            }
        }
        explained.sort_by_key(|(row, _)| *row);
        let html = self.manifest_html(path, &manifest.text, &explained);
        self.html(html);
    }

    fn manifest_html(&mut self, path: &str, text: &str, explained: &[(usize, &str)]) -> String {
        let name = path.rsplit('/').next().unwrap_or(path);
        // The name of a file may begin with a digit, an id may not.
        let id = format!("manifest-{}", path.replace(['/', '.'], "-"));
        self.done.ids.push((id.clone(), 0));
        let (download, label) = (
            self.context.word("page.download"),
            self.context.word("page.explained"),
        );
        let mut out = format!(
            r#"<figure class="manifest" id="{id}"><figcaption><span class="file">{}</span> <a href="/manifests/{}" download="{}">{}</a>"#,
            escape(path),
            escape(path),
            escape(name),
            escape(download),
        );
        // The whole folder is offered once, beside the first of its files.
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        if !folder.is_empty() && !self.folders.iter().any(|known| known == folder) {
            let all = escape(self.context.word("page.download-all"));
            let _ = write!(
                out,
                r#" <a href="/manifests/{folder}.tar.gz" download="{folder}.tar.gz">{all}</a>"#
            );
            self.folders.push(folder.to_owned());
        }
        out.push_str(r#"</figcaption><pre class="code"><code>"#);
        for (row, html) in highlight::yaml(text, self.context.terms)
            .into_iter()
            .enumerate()
        {
            let number = explained
                .iter()
                .position(|(known, _)| *known == row)
                .map(|at| at + 1);
            // Writing to a String can't fail.
            let _ = match number {
                Some(number) => write!(
                    out,
                    r#"<span class="row" tabindex="0" data-note="{number}" aria-describedby="{id}-{number}">{html}</span>"#
                ),
                None => write!(out, r#"<span class="row">{html}</span>"#),
            };
            out.push('\n');
        }
        out.push_str("</code></pre>");
        if !explained.is_empty() {
            let _ = write!(out, r#"<ol class="notes" aria-label="{}">"#, escape(label));
            for (number, (_, why)) in explained.iter().enumerate() {
                let number = number + 1;
                let _ = write!(
                    out,
                    r#"<li id="{id}-{number}" data-note="{number}">{}</li>"#,
                    super::prose::with_terms_and_code(why, self.context.terms)
                );
            }
            out.push_str("</ol>");
        }
        out.push_str("</figure>");
        out
    }

    pub(super) fn open(&mut self, kind: Kind, args: &str, line: usize) {
        let word = |key: &str| escape(self.context.word(key)).into_owned();
        match kind {
            Kind::Note | Kind::Warning | Kind::Summary => {
                let (class, key) = match kind {
                    Kind::Note => ("note", "page.note"),
                    Kind::Warning => ("warning", "page.warning"),
                    _ => ("summary", "page.summary"),
                };
                let label = if args.is_empty() {
                    word(key)
                } else {
                    escape(args).into_owned()
                };
                self.html(format!(
                    r#"<div class="box {class}" role="note"><p class="box-label">{label}</p>"#
                ));
            }
            Kind::Scene => self.html(r#"<div class="scene">"#),
            Kind::Question => {
                let (id, goals) = self.question_args(args, line);
                let (question, write) = (word("page.question"), word("page.write"));
                self.html(format!(
                    r#"<section class="question" id="{id}"{goals}><p class="box-label">{question}</p>"#
                ));
                // The reader writes after the question and before the answer; the field waits for `answer`.
                self.done.questions.push(Question::free(id, write));
            }
            Kind::Answer => {
                let answer = word("page.answer");
                if self.guessing.is_some() {
                    self.end_guesses();
                    self.html(format!(
                        r#"<details class="answer"><summary>{answer}</summary>"#
                    ));
                } else if let Some(question) = self.done.questions.last_mut() {
                    question.answered = true;
                    let (id, write) = (question.id.clone(), question.write.clone());
                    self.html(format!(
                        r#"<label class="write"><span>{write}</span><textarea rows="4" id="{id}-text"></textarea></label><details class="answer"><summary>{answer}</summary>"#
                    ));
                }
            }
            Kind::Choice => {
                let (id, goals) = self.question_args(args, line);
                let rights = self.count_right();
                if rights == 0 {
                    self.notes
                        .add(line, format!("`{id}` has no right answer; mark it `- [x]`"));
                }
                let label = word("page.choice");
                self.html(format!(
                    r#"<section class="question choice" id="{id}"{goals}><p class="box-label">{label}</p>"#
                ));
                self.choice = Some(Choice {
                    id: id.clone(),
                    single: rights <= 1,
                    depth: 0,
                    options: 0,
                });
                self.done.questions.push(Question::choice(id, rights));
            }
            Kind::Predict => self.open_predict(args, line),
            Kind::Lanes => self.open_lanes(args, line),
        }
    }

    pub(super) fn close(&mut self, kind: Kind, line: usize) {
        match kind {
            Kind::Note | Kind::Warning | Kind::Summary => self.html("</div>"),
            Kind::Scene => {
                self.html("</div>");
                if self.split.replace(self.out.len()).is_some() {
                    self.notes.add(
                        line,
                        "there is one `scene` in the chapter; take this one out",
                    );
                }
            }
            Kind::Answer => self.html("</details>"),
            Kind::Predict => {
                self.end_guesses();
                self.html("</section>");
            }
            Kind::Lanes => self.html("</div>"),
            Kind::Question => {
                if self
                    .done
                    .questions
                    .last()
                    .is_some_and(|question| !question.answered)
                {
                    self.notes.add(line, "this question has no `::: answer`");
                }
                self.html("</section>");
            }
            Kind::Choice => {
                if self.choice.take().is_some_and(|choice| choice.options < 2) {
                    self.notes.add(
                        line,
                        "a choice needs at least two lines `- [ ] option — why`",
                    );
                }
                self.html("</section>");
            }
        }
    }

    /// The id of a question, and the attribute that names the objectives it counts for.
    fn question_args(&mut self, args: &str, line: usize) -> (String, String) {
        let (id, goals) = args.split_once(char::is_whitespace).unwrap_or((args, ""));
        let id = self.question_id(id, line);
        let goals: Vec<&str> = goals.split_whitespace().collect();
        self.done
            .goals
            .extend(goals.iter().map(|&goal| (goal.to_owned(), line)));
        self.done
            .shapes
            .push((format!("question {id} {}", goals.join(" ")), line));
        if goals.is_empty() {
            return (id, String::new());
        }
        let goals = format!(r#" data-goals="{}""#, escape(&goals.join(" ")));
        (id, goals)
    }

    pub(super) fn question_id(&mut self, args: &str, line: usize) -> String {
        if args.is_empty() {
            self.notes
                .add(line, "give the question an id, as in `::: question q1`");
        } else {
            self.add_id(args, line);
        }
        args.to_owned()
    }

    /// How many options are right between here and the end of the choice.
    fn count_right(&self) -> usize {
        self.events[self.at..]
            .iter()
            .take_while(|(event, _)| !matches!(event, Event::Html(html) if super::containers::fence_number(html).is_some()))
            .filter(|(event, _)| matches!(event, Event::TaskListMarker(true)))
            .count()
    }

    pub(super) fn begin_option(&mut self, right: bool) {
        let Some(choice) = self.choice.as_mut() else {
            return;
        };
        choice.options += 1;
        let (kind, name, number) = (
            if choice.single { "radio" } else { "checkbox" },
            choice.id.clone(),
            choice.options,
        );
        self.option = Some((right, false));
        self.html(format!(
            r#"<li class="option"><label><input type="{kind}" name="{name}" value="{number}"> <span>"#
        ));
    }

    pub(super) fn end_option(&mut self, line: usize) {
        match self.option.take() {
            Some((_, true)) => self.html("</p></li>"),
            Some((_, false)) => {
                self.notes
                    .add(line, "this option says no reason; write it after ` — `");
                self.html("</span></label></li>");
            }
            None => self
                .notes
                .add(line, "an option of a choice begins with `- [ ]` or `- [x]`"),
        }
    }
}
