//! Text inside a block: terms marked, names kept whole, options cut from their reasons, and line breaks that are
//! no spaces.

use pulldown_cmark::Event;

use super::super::html::escape;
use super::{Walk, prose};

/// What stands between an option of a choice and its reason.
const REASON: &str = " — ";

impl Walk<'_, '_, '_, '_> {
    pub(super) fn text(&mut self, text: &str, line: usize) {
        if text.contains("**") {
            self.notes.add(
                line,
                "`**` shows as it is: beside Japanese brackets it can't open or close; move the bracket or the comma to its other side",
            );
        }
        if text.contains("[^") {
            self.notes
                .add(line, "this footnote has no text; write it as `[^name]: …`");
        }
        match self.option {
            Some((right, false)) if text.contains(REASON) => {
                let (option, why) = text.split_once(REASON).expect("the separator was found");
                self.prose(option);
                self.option = Some((right, true));
                let (class, verdict) = if right {
                    ("right", "page.right")
                } else {
                    ("wrong", "page.wrong")
                };
                let verdict = escape(self.context.word(verdict)).into_owned();
                self.inline(format!(
                    r#"</span></label><p class="why"><b class="{class}">{verdict}</b> "#
                ));
                self.prose(why);
            }
            _ => self.prose(text),
        }
    }

    /// Code in running text. A name with hyphens, such as `postgres-statefulset-0`, stays on one line if any
    /// line has room for it: the number after the last hyphen is half of its meaning.
    pub(super) fn code(&self, code: &str) -> String {
        const ROOM: usize = 30;
        let whole = code.contains('-') && !code.contains(' ') && code.len() <= ROOM;
        let class = if whole { r#" class="w""# } else { "" };
        let term = match self.context.terms.of(code).filter(|_| self.plain == 0) {
            Some(term) => format!(r#" data-term="{}""#, escape(term)),
            None => String::new(),
        };
        format!("<code{class}{term}>{}</code>", escape(code))
    }

    pub(super) fn prose(&mut self, text: &str) {
        if self.plain > 0 {
            self.inline(escape(text).into_owned());
        } else {
            let html = prose::with_terms(text, self.context.terms);
            self.inline(html);
        }
    }

    /// Whether the line break just met stands between Japanese letters, where it is no space.
    pub(super) fn break_vanishes(&self) -> bool {
        let letter = |event: &Event<'_>, last: bool| match event {
            Event::Text(text) | Event::Code(text) => {
                if last {
                    text.chars().next_back()
                } else {
                    text.chars().next()
                }
            }
            _ => None,
        };
        let before = self.events[..self.at - 1]
            .iter()
            .rev()
            .find_map(|(event, _)| letter(event, true));
        let after = self.events[self.at..]
            .iter()
            .find_map(|(event, _)| letter(event, false));
        before
            .zip(after)
            .is_some_and(|(before, after)| prose::is_wide(before) && prose::is_wide(after))
    }
}
