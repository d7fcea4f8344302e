//! One section file from Markdown to HTML: text through pulldown-cmark, blocks with a meaning (figures, sessions,
//! manifests, questions) through the modules that know them. Notes what is wrong and goes on to the end of the file.

mod blocks;
mod containers;
mod guesses;
mod inline;
mod prose;

use std::collections::BTreeMap;
use std::ops::Range;

use pulldown_cmark::{
    CowStr, Event, HeadingLevel, Options, Parser, Tag, TagEnd, TextMergeWithOffset, html as cmark,
};

use super::figure::Figure;
use super::front::is_id;
use super::manifest::Manifests;
use super::quiz::Question;
use super::report::Notes;
use super::words::{Terms, Words};
use containers::Fence;
use guesses::Guessing;

/// What the Markdown of one language may refer to.
pub(super) struct Context<'a> {
    pub(super) manifests: &'a Manifests,
    pub(super) terms: &'a Terms,
    pub(super) words: &'a Words,
}

impl Context<'_> {
    /// A word of the page, or its key if the words are broken (which has been noted where they are read).
    pub(super) fn word<'b>(&'b self, key: &'b str) -> &'b str {
        self.words.get(key).map_or(key, String::as_str)
    }
}

/// One section as HTML, with what the rest of the book must know of it.
#[derive(Debug, Default)]
pub(super) struct Rendered {
    pub(super) html: String,
    /// What follows `::: scene`, if it is there.
    pub(super) after_scene: Option<String>,
    pub(super) figures: Vec<Figure>,
    pub(super) questions: Vec<Question>,
    /// Every anchor with its line.
    pub(super) ids: Vec<(String, usize)>,
    /// Every link to an anchor of the book, with its line.
    pub(super) links: Vec<(String, usize)>,
    /// What the page's scripts find in it, without its words, each with its line: the same in every language.
    pub(super) shapes: Vec<(String, usize)>,
    /// Every objective that a question counts for, with its line.
    pub(super) goals: Vec<(String, usize)>,
}

/// Renders the body of a section. `before` lines of the file come before it; `section` is the section's id.
pub(super) fn render(
    body: &str,
    before: usize,
    section: &str,
    context: &Context<'_>,
    notes: &mut Notes<'_>,
) -> Rendered {
    let (text, fences) = containers::mark(body, before, notes);
    let options = Options::ENABLE_TABLES
        | Options::ENABLE_FOOTNOTES
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_TASKLISTS
        | Options::ENABLE_HEADING_ATTRIBUTES;
    let events: Vec<_> =
        TextMergeWithOffset::new(Parser::new_ext(&text, options).into_offset_iter()).collect();
    let starts: Vec<usize> = std::iter::once(0)
        .chain(text.match_indices('\n').map(|(at, _)| at + 1))
        .collect();
    let mut walk = Walk {
        events,
        at: 0,
        starts,
        before,
        section,
        fences,
        context,
        notes,
        out: Vec::new(),
        split: None,
        plain: 0,
        option: None,
        choice: None,
        guessing: None,
        folders: Vec::new(),
        done: Rendered::default(),
    };
    walk.run();
    walk.finish()
}

/// A pass over the events of one file, left to right.
struct Walk<'a, 'e, 'n, 'c> {
    events: Vec<(Event<'e>, Range<usize>)>,
    at: usize,
    /// Offset at which each line of the text starts.
    starts: Vec<usize>,
    before: usize,
    section: &'a str,
    fences: Vec<Fence>,
    context: &'a Context<'c>,
    notes: &'a mut Notes<'n>,
    out: Vec<Event<'e>>,
    /// Where in `out` the scene ended.
    split: Option<usize>,
    /// How many links and headings are open: no term is marked inside.
    plain: usize,
    /// The option of a choice that is being written: whether it is right, and whether its reason has begun.
    option: Option<(bool, bool)>,
    choice: Option<Choice>,
    guessing: Option<Guessing>,
    /// Folders of manifests that were offered as an archive already.
    folders: Vec<String>,
    done: Rendered,
}

/// A `choice` that is being written.
struct Choice {
    id: String,
    single: bool,
    depth: usize,
    options: usize,
}

impl<'e> Walk<'_, 'e, '_, '_> {
    fn run(&mut self) {
        while self.at < self.events.len() {
            let (event, range) = self.events[self.at].clone();
            let line = self.line(&range);
            self.at += 1;
            self.event(event, line);
        }
    }

    fn finish(mut self) -> Rendered {
        let after = self.split.map(|at| self.out.split_off(at));
        // One writer for the whole section keeps footnote numbers running.
        cmark::push_html(&mut self.done.html, self.out.into_iter());
        self.done.after_scene = after.map(|events| {
            let mut html = String::new();
            cmark::push_html(&mut html, events.into_iter());
            html
        });
        self.done
    }

    fn line(&self, range: &Range<usize>) -> usize {
        self.before + self.starts.partition_point(|start| *start <= range.start)
    }

    fn html(&mut self, html: impl Into<String>) {
        self.out.push(Event::Html(CowStr::from(html.into())));
    }

    fn inline(&mut self, html: impl Into<String>) {
        self.out.push(Event::InlineHtml(CowStr::from(html.into())));
    }

    fn event(&mut self, event: Event<'e>, line: usize) {
        match event {
            Event::Start(tag) => self.start(tag, line),
            Event::End(tag) => self.end(tag, line),
            Event::Text(text) => {
                self.guess_needs_id(line);
                self.text(&text, line);
            }
            Event::Code(code) if self.guess_id(&code, line) => {}
            Event::Code(code) => {
                self.guess_needs_id(line);
                let html = self.code(&code);
                self.inline(html);
            }
            Event::SoftBreak => {
                if !self.break_vanishes() {
                    self.out.push(Event::SoftBreak);
                }
            }
            Event::Html(html) => match containers::fence_number(&html)
                .and_then(|number| self.fences.get(number).cloned())
            {
                Some(fence) => self.fence(&fence),
                None if html.trim_start().starts_with("<!--") => {}
                None => self
                    .notes
                    .add(line, "HTML is not carried over; write Markdown"),
            },
            Event::InlineHtml(html) => {
                const ALLOWED: [&str; 12] = [
                    "<br>", "<wbr>", "<kbd>", "</kbd>", "<ruby>", "</ruby>", "<rt>", "</rt>",
                    "<rp>", "</rp>", "<sub>", "</sub>",
                ];
                if ALLOWED.contains(&html.as_ref()) {
                    self.out.push(Event::InlineHtml(html));
                } else if !html.starts_with("<!--") {
                    self.notes.add(
                        line,
                        format!(
                            "`{html}` is not carried over; write Markdown, or put it in backticks"
                        ),
                    );
                }
            }
            Event::FootnoteReference(name) => {
                let name = CowStr::from(format!("{}-fn-{name}", self.section));
                self.out.push(Event::FootnoteReference(name));
            }
            Event::TaskListMarker(right) if self.choice.is_some() => self.begin_option(right),
            other => self.out.push(other),
        }
    }

    fn start(&mut self, tag: Tag<'e>, line: usize) {
        if self.guess_starts(&tag) {
            return;
        }
        match tag {
            Tag::CodeBlock(kind) => self.code_block(&kind, line),
            Tag::Heading {
                level,
                id,
                classes,
                attrs,
            } => {
                if level < HeadingLevel::H3 {
                    self.notes.add(line, "a heading inside a section begins with `###`; the section's title is in its front matter");
                }
                if let Some(id) = &id {
                    self.add_id(id, line);
                }
                self.plain += 1;
                self.out.push(Event::Start(Tag::Heading {
                    level,
                    id,
                    classes,
                    attrs,
                }));
            }
            Tag::Link {
                link_type,
                dest_url,
                title,
                id,
            } => {
                self.check_link(&dest_url, line);
                self.plain += 1;
                self.out.push(Event::Start(Tag::Link {
                    link_type,
                    dest_url,
                    title,
                    id,
                }));
            }
            Tag::Image { .. } => {
                self.notes.add(
                    line,
                    "a picture is a `mermaid` block; image files are not carried over",
                );
                self.out.push(Event::Start(tag));
            }
            Tag::Table(_) => {
                // A wide table scrolls in its own frame.
                self.html(r#"<div class="table">"#);
                self.out.push(Event::Start(tag));
            }
            Tag::FootnoteDefinition(name) => {
                let name = CowStr::from(format!("{}-fn-{name}", self.section));
                self.out.push(Event::Start(Tag::FootnoteDefinition(name)));
            }
            Tag::List(_) if self.choice.is_some() => {
                let choice = self.choice.as_mut().expect("a choice is open");
                choice.depth += 1;
                if choice.depth == 1 {
                    self.html(r#"<ul class="options">"#);
                } else {
                    self.out.push(Event::Start(tag));
                }
            }
            Tag::Item if self.choice.as_ref().is_some_and(|choice| choice.depth == 1) => {}
            Tag::Paragraph if self.option.is_some() => {}
            other => self.out.push(Event::Start(other)),
        }
    }

    fn end(&mut self, tag: TagEnd, line: usize) {
        match tag {
            TagEnd::List(_) if self.guess_ends_list() => {}
            TagEnd::Item if self.guess_ends_item(line) => {}
            TagEnd::Paragraph if self.in_guess() => {}
            TagEnd::Heading(_) | TagEnd::Link => {
                self.plain = self.plain.saturating_sub(1);
                self.out.push(Event::End(tag));
            }
            TagEnd::Table => {
                self.out.push(Event::End(tag));
                self.html("</div>");
            }
            TagEnd::List(_) if self.choice.is_some() => {
                let choice = self.choice.as_mut().expect("a choice is open");
                choice.depth -= 1;
                if choice.depth == 0 {
                    self.html("</ul>");
                } else {
                    self.out.push(Event::End(tag));
                }
            }
            TagEnd::Item if self.choice.as_ref().is_some_and(|choice| choice.depth == 1) => {
                self.end_option(line);
            }
            TagEnd::Paragraph if self.option.is_some() => {}
            other => self.out.push(Event::End(other)),
        }
    }

    fn add_id(&mut self, id: &str, line: usize) {
        if !is_id(id) {
            self.notes.add(
                line,
                format!("`#{id}` must be ASCII: a-z, 0-9 and `-`, beginning with a letter"),
            );
        }
        self.done.ids.push((id.to_owned(), line));
    }

    fn check_link(&mut self, target: &str, line: usize) {
        if let Some(id) = target.strip_prefix('#') {
            self.done.links.push((id.to_owned(), line));
        } else if let Some(path) = target.strip_prefix("/manifests/") {
            let folder = path.strip_suffix(".tar.gz");
            let known = self.context.manifests.get(path).is_some()
                || folder.is_some_and(|folder| self.context.manifests.folders().contains(&folder));
            if !known {
                self.notes.add(
                    line,
                    format!("there is no manifest `{path}` in content/manifests"),
                );
            }
        } else if !(target.starts_with("https://") || target.starts_with("http://")) {
            self.notes.add(line, format!("the link `{target}` leads nowhere; use `#id`, `/manifests/…` or a whole address"));
        }
    }

    fn fence(&mut self, fence: &Fence) {
        match fence {
            Fence::Open { kind, args, line } => self.open(*kind, args, *line),
            Fence::Close { open } => {
                if let Fence::Open { kind, line, .. } = self.fences[*open].clone() {
                    self.close(kind, line);
                }
            }
        }
    }
}

/// Attributes in an info string: `mermaid {#figure-8-1}` gives `mermaid` and the id.
fn info_parts(info: &str) -> (&str, Option<&str>) {
    let (name, rest) = info
        .trim()
        .split_once(char::is_whitespace)
        .unwrap_or((info.trim(), ""));
    let id = rest
        .trim()
        .strip_prefix("{#")
        .and_then(|rest| rest.strip_suffix('}'));
    (
        name,
        id.or(Some(rest.trim())).filter(|rest| !rest.is_empty()),
    )
}

/// Terms by Mermaid id, as the figure wants them.
fn node_terms(terms: &Terms) -> &BTreeMap<String, String> {
    &terms.nodes
}
