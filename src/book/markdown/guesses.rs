//! What a reader guesses and compares: `::: predict` with its guesses, `::: lanes` with its table.

use pulldown_cmark::{Event, Tag};

use super::super::guess::{DEEDS, Deed, SAME_OR_NOT, workload};
use super::super::html::escape;
use super::{Walk, containers};

/// A `predict` that is being written, up to its answer.
pub(super) struct Guessing {
    id: String,
    deed: Option<Deed>,
    line: usize,
    depth: usize,
    /// Whether an item has begun and its id has not been met.
    waiting: bool,
    /// The guesses so far, each with its options.
    guesses: Vec<(String, Vec<String>)>,
}

/// Rows of the lanes' table, in this order.
const LANE_ROWS: usize = 5;

impl Walk<'_, '_, '_, '_> {
    pub(super) fn open_predict(&mut self, args: &str, line: usize) {
        let (id, act) = args.split_once(char::is_whitespace).unwrap_or((args, ""));
        let id = self.question_id(id, line);
        let words: Vec<&str> = act.split_whitespace().collect();
        let deed = Deed::read(&words);
        if deed.is_none() {
            self.notes.add(
                line,
                format!("say what the reader does after predicting: {DEEDS}"),
            );
        }
        let label = escape(self.context.word("page.predict")).into_owned();
        self.html(format!(
            r#"<section class="question predict" id="{id}" data-act="{}"><p class="box-label">{label}</p>"#,
            escape(&words.join(" "))
        ));
        self.done
            .shapes
            .push((format!("predict {id} {}", words.join(" ")), line));
        self.guessing = Some(Guessing {
            id,
            deed,
            line,
            depth: 0,
            waiting: false,
            guesses: Vec::new(),
        });
    }

    /// The guesses end where the answer begins, or with the container.
    pub(super) fn end_guesses(&mut self) {
        let Some(guessing) = self.guessing.take() else {
            return;
        };
        if guessing.guesses.is_empty() {
            self.notes.add(
                guessing.line,
                "a prediction needs guesses: a list of lines such as - `name` …",
            );
        }
        for (guess, options) in guessing.guesses {
            self.done.shapes.push((
                format!("guess {}/{guess} {}", guessing.id, options.join(" ")),
                guessing.line,
            ));
        }
    }

    /// Whether the event stands in the list of guesses and has been dealt with there.
    pub(super) fn guess_starts(&mut self, tag: &Tag<'_>) -> bool {
        let Some(guessing) = &mut self.guessing else {
            return false;
        };
        match tag {
            Tag::List(_) => {
                guessing.depth += 1;
                let html = match guessing.depth {
                    1 => r#"<ul class="guesses">"#,
                    _ => r#"</legend><span class="picks">"#,
                };
                self.html(html);
            }
            Tag::Item => guessing.waiting = true,
            Tag::Paragraph if guessing.depth > 0 => {}
            _ => return false,
        }
        true
    }

    /// The id of a guess or of an option: the code that its item begins with.
    pub(super) fn guess_id(&mut self, code: &str, line: usize) -> bool {
        let Some(guessing) = self.guessing.as_mut().filter(|guessing| guessing.waiting) else {
            return false;
        };
        guessing.waiting = false;
        let deed = guessing.deed.as_ref();
        if guessing.depth == 1 {
            let known = deed.map(Deed::guesses);
            let twice = guessing.guesses.iter().any(|(guess, _)| guess == code);
            guessing.guesses.push((code.to_owned(), Vec::new()));
            if let Some(known) = known.filter(|known| !known.iter().any(|guess| guess == code)) {
                self.notes.add(
                    line,
                    format!(
                        "`{code}` can't be guessed here; use one of: {}",
                        known.join(", ")
                    ),
                );
            } else if twice {
                self.notes
                    .add(line, format!("`{code}` is guessed twice; keep one"));
            }
            self.html(format!(
                r#"<li class="guess" data-guess="{}"><fieldset><legend>"#,
                escape(code)
            ));
        } else if let Some((guess, options)) = guessing.guesses.last_mut() {
            if deed.is_some_and(|deed| !deed.answers(guess, code)) {
                self.notes
                    .add(line, format!("`{code}` can't be an answer to `{guess}`"));
            }
            options.push(code.to_owned());
            let html = radio(&guessing.id, guess, code);
            self.html(html);
        }
        true
    }

    /// A guess that begins with text has no id.
    pub(super) fn guess_needs_id(&mut self, line: usize) {
        if let Some(guessing) = self.guessing.as_mut().filter(|guessing| guessing.waiting) {
            guessing.waiting = false;
            self.notes.add(
                line,
                "begin a guess, and each of its answers, with its id in backticks",
            );
        }
    }

    pub(super) fn guess_ends_item(&mut self, line: usize) -> bool {
        let Some(guessing) = self.guessing.as_ref().filter(|it| it.depth > 0) else {
            return false;
        };
        if guessing.depth > 1 {
            self.html("</span></label>");
            return true;
        }
        let (id, deed) = (guessing.id.clone(), guessing.deed.clone());
        let Some((guess, options)) = guessing.guesses.last().cloned() else {
            return true;
        };
        if options.is_empty() {
            if deed.is_some_and(|deed| !deed.is_same_or_not(&guess)) {
                self.notes
                    .add(line, format!("list the answers to `{guess}` below it"));
            }
            let mut html = String::from(r#"</legend><span class="picks">"#);
            for option in SAME_OR_NOT {
                let word = escape(self.context.word(match option {
                    "same" => "page.guess.same",
                    _ => "page.guess.changes",
                }))
                .into_owned();
                html.push_str(&radio(&id, &guess, option));
                html.push_str(&word);
                html.push_str("</span></label>");
            }
            html.push_str("</span>");
            self.html(html);
        } else if options.len() < 2 {
            self.notes
                .add(line, format!("`{guess}` needs at least two answers"));
        }
        self.html("</fieldset></li>");
        true
    }

    pub(super) fn guess_ends_list(&mut self) -> bool {
        let Some(guessing) = self.guessing.as_mut().filter(|it| it.depth > 0) else {
            return false;
        };
        guessing.depth -= 1;
        let html = if guessing.depth == 0 {
            "</ul>"
        } else {
            "</span>"
        };
        self.html(html);
        true
    }

    /// Whether a paragraph inside a guess is none of its own.
    pub(super) fn in_guess(&self) -> bool {
        self.guessing.as_ref().is_some_and(|it| it.depth > 0)
    }

    /// A table of what survives in each lane: as written for paper and for pages without scripts, filled in from
    /// what happens otherwise.
    pub(super) fn open_lanes(&mut self, args: &str, line: usize) {
        let mut words = args.split_whitespace();
        let id = self.question_id(words.next().unwrap_or(""), line);
        let lanes: Vec<&str> = words.collect();
        if lanes.is_empty() || lanes.iter().any(|lane| workload(lane).is_none()) {
            self.notes.add(
                line,
                "name the lanes after the id, as `deployment/NAME` or `statefulset/NAME`",
            );
        }
        let inside = self.events[self.at..].iter().take_while(
            |(event, _)| !matches!(event, Event::Html(html) if containers::fence_number(html).is_some()),
        );
        let (mut rows, mut cells) = (0, 0);
        for (event, _) in inside {
            match event {
                Event::Start(Tag::TableRow) => rows += 1,
                Event::Start(Tag::TableCell) => cells += 1,
                _ => {}
            }
        }
        if rows != LANE_ROWS || cells != (LANE_ROWS + 1) * (lanes.len() + 1) {
            self.notes.add(
                line,
                "the table of the lanes has a column for each lane after the first, and five rows: name, uid, address, claim, rows",
            );
        }
        self.done
            .shapes
            .push((format!("lanes {id} {}", lanes.join(" ")), line));
        self.html(format!(
            r#"<div class="lanes" id="{id}" data-lanes="{}">"#,
            escape(&lanes.join(" "))
        ));
    }
}

/// A choice up to its label; the caller ends `span` and `label`.
fn radio(id: &str, guess: &str, option: &str) -> String {
    format!(
        r#"<label><input type="radio" name="{id}.{}" value="{}"> <span>"#,
        escape(guess),
        escape(option)
    )
}
