//! The pages as values: what a template shows is a struct here. Hands on finished HTML, rendered once at start;
//! never reads a request.

use askama::Template;
use serde::Serialize;

use crate::book::{Book, Chapter, Stories, Words};

/// Where the page finds its files; the addresses carry a hash, which pages do not know how to make.
#[derive(Clone, Debug, Default)]
pub struct PageAssets {
    /// The one style sheet.
    pub css: String,
    /// The modules that run on the chapter's page, in order.
    pub scripts: Vec<String>,
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
}

/// The chapter in one language as a whole page; `None` if the book does not have that language.
pub fn chapter_html(book: &Book, language: &str, assets: &PageAssets) -> Option<String> {
    let chapter = book.chapter(language)?;
    let told = Told {
        language,
        words: &chapter.words,
        stories: &chapter.stories,
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
