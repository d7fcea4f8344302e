//! The pages as values: what a template shows is a struct here. Hands on finished HTML, rendered once at start;
//! never reads a request.

use askama::Template;
use serde::Serialize;

use crate::book::{Act, Book, Chapter, Lesson, Stories, Words};

/// Where the page finds its files; the addresses carry a hash, which pages do not know how to make.
#[derive(Clone, Debug, Default)]
pub struct PageAssets {
    /// The one style sheet.
    pub css: String,
    /// The scripts that run before the page is painted and before any module is fetched.
    pub early: Vec<String>,
    /// The modules that run on the chapter's page, in order.
    pub scripts: Vec<String>,
    /// Those that they import, so that a browser need not read one to learn of the next.
    pub modules: Vec<String>,
}

#[derive(Template)]
#[template(path = "chapter.html")]
struct ChapterPage<'a> {
    language: &'a str,
    chapter: &'a Chapter,
    others: Vec<(&'a str, &'a str)>,
    assets: &'a PageAssets,
    json: String,
}

impl ChapterPage<'_> {
    fn word<'b>(&'b self, key: &'b str) -> &'b str {
        word(&self.chapter.words, key)
    }

    /// The title as label and rest: `第8章: 永続化` is set in two sizes.
    fn title_parts(&self) -> Option<(&str, &str)> {
        self.chapter
            .title
            .split_once([':', '：'])
            .map(|(label, rest)| (label.trim(), rest.trim()))
    }

    /// The leading question, cut after each comma: a headline breaks between its clauses first.
    fn clauses(&self) -> impl Iterator<Item = &str> {
        self.chapter
            .question
            .as_deref()
            .unwrap_or_default()
            .split_inclusive(['、', '，'])
    }
}

#[derive(Template)]
#[template(path = "error.html")]
struct ErrorPage<'a> {
    language: &'a str,
    words: &'a Words,
    assets: &'a PageAssets,
    status: u16,
    title: &'a str,
    text: &'a str,
}

impl ErrorPage<'_> {
    fn word<'b>(&'b self, key: &'b str) -> &'b str {
        word(self.words, key)
    }
}

/// What the scripts are told: the language with its words and stories.
#[derive(Serialize)]
struct Told<'a> {
    language: &'a str,
    words: &'a Words,
    stories: &'a Stories,
    lesson: ToldLesson<'a>,
}

/// The lesson, as far as a page needs it: its rules are evaluated where the board is.
#[derive(Serialize)]
struct ToldLesson<'a> {
    steps: Vec<ToldStep<'a>>,
}

#[derive(Serialize)]
struct ToldStep<'a> {
    id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    objective: Option<&'a str>,
    acts: &'a [Act],
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    ends: bool,
}

impl<'a> From<&'a Lesson> for ToldLesson<'a> {
    fn from(lesson: &'a Lesson) -> Self {
        let steps = lesson.steps.iter().map(|step| ToldStep {
            id: &step.id,
            objective: step.objective.as_deref(),
            acts: &step.acts,
            ends: step.ends,
        });
        Self {
            steps: steps.collect(),
        }
    }
}

/// The chapter in one language as a whole page; `None` if the book does not have that language.
pub fn chapter_html(book: &Book, language: &str, assets: &PageAssets) -> Option<String> {
    let chapter = book.chapter(language)?;
    let told = Told {
        language,
        words: &chapter.words,
        stories: &chapter.stories,
        lesson: (&book.lesson).into(),
    };
    let page = ChapterPage {
        language,
        chapter,
        others: book
            .languages
            .iter()
            .filter(|other| other.language != language)
            .map(|other| (other.language.as_str(), own_name(&other.language)))
            .collect(),
        assets,
        json: script_json(&told),
    };
    Some(page.render().expect("a page is rendered into memory"))
}

/// A page that says what went wrong, for instance 404, in the words of one language (the first, if it is unknown).
/// `title` and `text` are keys of words, such as `page.notfound.title`.
pub fn error_html(
    book: &Book,
    language: &str,
    status: u16,
    title: &str,
    text: &str,
    assets: &PageAssets,
) -> String {
    let chapter = book
        .chapter(language)
        .or(book.languages.first())
        .expect("a book has a language");
    let page = ErrorPage {
        language: &chapter.language,
        words: &chapter.words,
        assets,
        status,
        title: word(&chapter.words, title),
        text: word(&chapter.words, text),
    };
    page.render().expect("a page is rendered into memory")
}

/// A word of the page. Those that the templates name are checked when the book is opened.
fn word<'a>(words: &'a Words, key: &'a str) -> &'a str {
    words.get(key).map_or(key, String::as_str)
}

/// A language by its own name, for those who look for it.
fn own_name(language: &str) -> &str {
    match language {
        "ja" => "日本語",
        "en" => "English",
        other => other,
    }
}

/// JSON that can stand in a `<script>`: nothing in it can end the element or begin a comment.
fn script_json(value: &impl Serialize) -> String {
    serde_json::to_string(value)
        .expect("words are strings")
        .replace('<', "\\u003c")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use scraper::{ElementRef, Html, Selector};

    use super::*;
    use crate::book::Shelf;
    use crate::live::story;

    /// The chapter that ships, as a page.
    fn page() -> String {
        let book =
            Book::open(&Shelf::embedded(), story::KEYS).unwrap_or_else(|errors| panic!("{errors}"));
        let assets = PageAssets {
            css: "/a/eizoku.css".to_owned(),
            early: vec!["/a/theme.js".to_owned()],
            scripts: vec!["/a/chapter.js".to_owned()],
            modules: vec!["/a/model.js".to_owned()],
        };
        chapter_html(&book, "ja", &assets).unwrap()
    }

    fn all<'a>(html: &'a Html, selector: &str) -> Vec<ElementRef<'a>> {
        html.select(&Selector::parse(selector).unwrap()).collect()
    }

    #[test]
    fn the_page_holds_what_its_scripts_and_its_readers_look_for() {
        let html = Html::parse_document(&page());
        for (selector, least) in [
            ("html[lang=ja]", 1),
            ("a.skip[href='#text']", 1),
            ("main#text > aside#panel[aria-label] noscript", 1),
            (".controls[hidden] button[data-control=theme]", 1),
            (".controls[hidden] button[data-control=projector]", 1),
            (".steps a[href^='#']", 6),
            ("section.section > h2", 6),
            (".objectives li[data-objective]", 5),
            ("figure.figure svg[role=img]", 3),
            ("figure.manifest a[download]", 4),
            (".cmd kbd", 10),
            ("details.answer", 3),
            (".choice input[type=radio]", 6),
            ("script[type='application/json']#words", 1),
            ("script[type=module][src='/a/chapter.js']", 1),
        ] {
            assert!(all(&html, selector).len() >= least, "{selector}");
        }
        assert_eq!(all(&html, "h1").len(), 1);
        // The panel comes right after the opening, so that a narrow page shows it there.
        let order: Vec<_> = all(&html, "main > *")
            .iter()
            .map(|e| e.attr("id").or(e.attr("class")).unwrap_or(""))
            .collect();
        assert_eq!(order, ["opening", "panel", "chapter"]);
    }

    #[test]
    fn the_page_obeys_a_policy_without_inline_anything() {
        let text = page();
        let html = Html::parse_document(&text);
        assert_eq!(
            all(
                &html,
                "style, [style], script:not([src]):not([type='application/json'])"
            )
            .len(),
            0
        );
        for element in all(&html, "*") {
            let handler = element
                .value()
                .attrs()
                .find(|(name, _)| name.starts_with("on"));
            assert!(handler.is_none(), "{handler:?}");
        }
        // Nothing is fetched from elsewhere: only links lead out.
        for element in all(&html, "[src], link[href]") {
            let address = element.attr("src").or(element.attr("href")).unwrap();
            assert!(address.starts_with('/') || address == "data:,", "{address}");
        }
    }

    #[test]
    fn anchors_are_unique_and_every_reference_finds_one() {
        let html = Html::parse_document(&page());
        let mut ids = BTreeSet::new();
        for element in all(&html, "[id]") {
            let id = element.attr("id").unwrap();
            assert!(ids.insert(id), "two elements are #{id}");
        }
        for (selector, attribute) in [
            ("a[href^='#']", "href"),
            ("[aria-describedby]", "aria-describedby"),
            ("[aria-labelledby]", "aria-labelledby"),
            ("label[for]", "for"),
        ] {
            for element in all(&html, selector) {
                let id = element.attr(attribute).unwrap().trim_start_matches('#');
                assert!(ids.contains(id), "{attribute} leads to #{id}");
            }
        }
    }

    #[test]
    fn the_page_is_light_on_the_wire() {
        let mut gz = GzEncoder::new(Vec::new(), Compression::default());
        gz.write_all(page().as_bytes()).unwrap();
        let bytes = gz.finish().unwrap().len();
        // What styles and scripts add is bounded where they are known: in assets.rs. Most of this is the chapter's text.
        assert!(bytes < 52_000, "{bytes} bytes compressed");
    }

    #[test]
    fn words_can_not_leave_their_script_element() {
        let json = script_json(&"</script><!-- <script>");
        assert!(!json.contains('<'), "{json}");
        assert_eq!(
            serde_json::from_str::<String>(&json).unwrap(),
            "</script><!-- <script>"
        );
    }

    #[test]
    fn an_error_page_says_what_and_where_to_go() {
        let book = Book::open(&Shelf::embedded(), story::KEYS).unwrap();
        let (title, text) = ("page.notfound.title", "page.notfound.text");
        let html = error_html(&book, "ja", 404, title, text, &PageAssets::default());
        let html = Html::parse_document(&html);
        assert_eq!(all(&html, ".status")[0].text().collect::<String>(), "404");
        assert!(
            !all(&html, "h1")[0]
                .text()
                .collect::<String>()
                .contains("page.")
        );
        assert_eq!(all(&html, "main a[href='/ja/']").len(), 1);
    }
}
