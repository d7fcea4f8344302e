use std::fs;

use scraper::{Html, Selector};
use tempfile::TempDir;

use super::*;

const LEGAL: &[(&str, &[&str])] = &[("pod.ready", &["pod"])];

/// A small chapter on disk, right in every way until a test changes it.
struct Desk(TempDir);

impl Desk {
    fn new() -> Self {
        let words: String = PAGE_WORDS
            .iter()
            .map(|key| format!("\"{key}\" = \"{key}!\"\n"))
            .collect();
        let desk = Self(tempfile::tempdir().unwrap());
        desk.file(
            "ja/00-opening.md",
            "---\ntitle: \"第8章: 永続化\"\nid: opening\nquestion: なぜ？\nobjectives:\n  - id: one\n    text: 説明できる\n---\n前文。\n\n::: scene\n場面。\n:::\n\n続き。[図](#figure-1)\n",
        )
        .file(
            "ja/01-storage.md",
            "---\ntitle: 保存\nid: storage\nmarker: See\n---\n### 見出し {#heading}\n\nPVC は、\n行を変えても PVC です。\n\n```mermaid {#figure-1}\nflowchart LR\n  accTitle: 図1\n  accDescr: PVC から PV へ。\n  PVC[\"PVC<br>10GiB\"] --> PV[(\"PV\")]\n```\n\n```manifest app/01.yaml\nkind: Pod => Pod です。\n```\n",
        )
        .file(
            "ja/02-check.md",
            "---\ntitle: 問い\nid: check\nmarker: Check\n---\n::: question q1\n問い。\n\n::: answer\n答え。\n:::\n:::\n\n::: choice c1\nどれ？\n\n- [x] これ — そう。\n- [ ] あれ — `違う`。\n:::\n",
        )
        .file("ja/words.toml", &words)
        .file("ja/stories.toml", "[\"pod.ready\"]\nwho='k'\nwhat='{pod}'\nwhy='w'\n")
        .file("ja/terms.toml", "pvc = [\"PVC\"]\npv = [\"PV\"]\n[nodes]\nPVC = \"pvc\"\nPV = \"pv\"\n")
        .file("manifests/app/01.yaml", "apiVersion: v1\nkind: Pod\nmetadata:\n  name: a\n")
    }

    fn file(self, path: &str, text: &str) -> Self {
        let path = self.0.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        self
    }

    /// Swaps a piece of a file for another; the piece must be there.
    fn change(self, path: &str, from: &str, to: &str) -> Self {
        let text = fs::read_to_string(self.0.path().join(path)).unwrap();
        assert!(text.contains(from), "{path} holds no {from:?}");
        self.file(path, &text.replacen(from, to, 1))
    }

    fn remove(self, path: &str) -> Self {
        fs::remove_file(self.0.path().join(path)).unwrap();
        self
    }

    fn open(&self) -> Result<Book, ContentErrors> {
        Book::open(&Shelf::folder(self.0.path()), LEGAL)
    }

    /// The report, each line with its path relative to the desk.
    fn errors(&self) -> Vec<String> {
        let root = format!("{}/", self.0.path().display());
        let errors = self.open().err().unwrap_or_default();
        errors
            .iter()
            .map(|error| error.to_string().replace(&root, ""))
            .collect()
    }
}

fn select(html: &str, selector: &str) -> Vec<String> {
    Html::parse_fragment(html)
        .select(&Selector::parse(selector).unwrap())
        .map(|element| element.text().collect())
        .collect()
}

#[test]
fn a_right_chapter_opens_with_all_its_parts() {
    let book = Desk::new().open().unwrap();
    let chapter = book.chapter("ja").unwrap();
    assert_eq!(chapter.title, "第8章: 永続化");
    assert_eq!(chapter.question.as_deref(), Some("なぜ？"));
    assert_eq!(chapter.objectives[0].id, "one");
    assert!(chapter.opening.html.contains("前文。"));
    assert!(
        chapter
            .opening
            .after_scene
            .as_ref()
            .unwrap()
            .contains("続き。")
    );
    let ids: Vec<_> = chapter
        .sections
        .iter()
        .map(|section| section.id.as_str())
        .collect();
    assert_eq!(ids, ["storage", "check"]);
    assert_eq!(chapter.sections[0].figures[0].nodes, ["PVC", "PV"]);
    let questions: Vec<_> = chapter.sections[1]
        .questions
        .iter()
        .map(|question| (question.id.as_str(), question.kind))
        .collect();
    assert_eq!(
        questions,
        [("q1", QuestionKind::Free), ("c1", QuestionKind::Choice(1))]
    );
    assert!(book.chapter("en").is_none());
}

#[test]
fn blocks_become_what_they_mean() {
    let book = Desk::new().open().unwrap();
    let [storage, check] = book.chapter("ja").unwrap().sections.as_slice() else {
        panic!("two sections");
    };
    assert_eq!(
        select(&storage.html, "p:first-of-type"),
        ["PVC は、行を変えても PVC です。"],
        "a line break between Japanese letters is no space"
    );
    assert_eq!(select(&storage.html, "p [data-term=pvc]").len(), 2);
    assert_eq!(select(&storage.html, "figure.figure figcaption"), ["図1"]);
    assert_eq!(
        select(&storage.html, "figure svg [data-node=PV][data-term=pv]"),
        ["PV"]
    );
    assert_eq!(select(&storage.html, ".manifest .row").len(), 4);
    assert_eq!(
        select(&storage.html, ".manifest .row[data-note='1'][tabindex='0']"),
        ["kind: Pod"]
    );
    assert_eq!(
        select(&storage.html, "li#manifest-app-01-yaml-1"),
        ["Pod です。"]
    );
    assert_eq!(
        select(&storage.html, "a[href='/manifests/app/01.yaml'][download]").len(),
        1
    );
    assert_eq!(
        select(&storage.html, "a[href='/manifests/app.tar.gz']").len(),
        1
    );
    assert_eq!(select(&check.html, "#q1 > details.answer > p"), ["答え。"]);
    assert_eq!(select(&check.html, "#q1 > label textarea").len(), 1);
    assert_eq!(select(&check.html, "#c1 label > span"), ["これ", "あれ"]);
    assert_eq!(
        select(&check.html, "#c1 input[type=radio][name=c1]").len(),
        2
    );
    assert_eq!(
        select(&check.html, "#c1 .why"),
        ["page.right! そう。", "page.wrong! 違う。"]
    );
}

#[test]
fn a_name_with_hyphens_in_running_text_is_kept_on_one_line() {
    let code = "`web-0` `a b-c` `storageclass.kubernetes.io/is-default-class` `PVC` ";
    let book = Desk::new()
        .change("ja/01-storage.md", "行を", code)
        .open()
        .unwrap();
    let html = &book.chapter("ja").unwrap().sections[0].html;
    assert_eq!(select(html, "p code").len(), 4);
    assert_eq!(select(html, "p code.w"), ["web-0"]);
    assert_eq!(select(html, "p code[data-term=pvc]"), ["PVC"]);
}

#[test]
fn a_choice_with_two_right_answers_has_boxes_to_tick() {
    let book = Desk::new()
        .change("ja/02-check.md", "- [ ]", "- [x]")
        .open()
        .unwrap();
    let html = &book.chapter("ja").unwrap().sections[1].html;
    assert_eq!(select(html, "#c1 input[type=checkbox]").len(), 2);
}

/// A section that asks the reader to predict and shows lanes.
const PREDICT: &str = "::: predict guess-kill delete Pod web-0\n何が残る？\n\n- `name` 名前\n- `rows` `行`は\n  - `same` 残る\n  - `changes` 消える\n\n::: answer\n- 名前と行。\n:::\n:::\n\n::: lanes lanes-table deployment/a statefulset/b\n| 何が | a | b |\n|---|---|---|\n| 名前 | 変 | 同 |\n| uid | 変 | 変 |\n| IP | 変 | 変 |\n| PVC | なし | 同 |\n| 行 | 消 | 残 |\n:::\n\n::: question q1 one";

#[test]
fn a_prediction_has_guesses_with_answers_and_lanes_have_a_table() {
    let book = Desk::new()
        .change("ja/02-check.md", "::: question q1", PREDICT)
        .open()
        .unwrap();
    let html = &book.chapter("ja").unwrap().sections[1].html;
    assert_eq!(
        select(html, "#guess-kill[data-act='delete Pod web-0'] legend"),
        [" 名前", " 行は"]
    );
    assert_eq!(
        select(html, "[data-guess=name] label"),
        [" page.guess.same!", " page.guess.changes!"]
    );
    assert_eq!(
        select(html, "[data-guess=rows] label"),
        ["  残る", "  消える"]
    );
    assert_eq!(
        select(
            html,
            "[data-guess=rows] input[name='guess-kill.rows'][value=changes]"
        )
        .len(),
        1
    );
    assert_eq!(
        select(html, "#guess-kill > details.answer > ul > li"),
        ["名前と行。"],
        "the answer is Markdown as ever"
    );
    assert_eq!(
        select(
            html,
            "#lanes-table[data-lanes='deployment/a statefulset/b'] tbody tr"
        )
        .len(),
        5
    );
    assert_eq!(select(html, "#q1[data-goals=one]").len(), 1);
}

#[test]
fn what_is_wrong_with_a_prediction_is_said() {
    let table = [
        (
            "delete Pod web-0",
            "restart web-0",
            6,
            "say what the reader does after predicting",
        ),
        (
            "`name`",
            "`colour`",
            9,
            "`colour` can't be guessed here; use one of: name, uid",
        ),
        ("`rows`", "`name`", 10, "`name` is guessed twice"),
        (
            "`changes`",
            "`blue`",
            12,
            "`blue` can't be an answer to `rows`",
        ),
        ("`name` ", "", 9, "begin a guess"),
        (
            "  - `changes` 消える\n",
            "",
            10,
            "`rows` needs at least two answers",
        ),
        (
            "delete Pod web-0",
            "delete PersistentVolumeClaim c",
            9,
            "`name` can't be guessed here",
        ),
        ("| IP | 変 | 変 |\n", "", 19, "the table of the lanes"),
        ("statefulset/b", "b", 19, "name the lanes after the id"),
        ("q1 one", "q1 two", 29, "`two` is no objective"),
    ];
    for (from, to, line, message) in table {
        let broken = PREDICT.replacen(from, to, 1);
        assert_ne!(broken, PREDICT, "{from}");
        let errors = Desk::new()
            .change("ja/02-check.md", "::: question q1", &broken)
            .errors();
        let wanted = format!("ja/02-check.md:{line}: {message}");
        assert!(
            errors.iter().any(|error| error.starts_with(&wanted)),
            "{wanted}: {errors:#?}"
        );
    }
}

/// Each row: the file, what is swapped in it, and where the report must say what.
#[test]
fn every_error_names_its_file_line_and_remedy() {
    let mut missed = Vec::new();
    let table = [
        (
            "ja/01-storage.md",
            "---\ntitle",
            "title",
            "ja/01-storage.md:1: front matter is missing",
        ),
        (
            "ja/01-storage.md",
            "id: storage",
            "id: opening",
            "ja/01-storage.md:1: the id `opening` is taken, by ",
        ),
        (
            "ja/01-storage.md",
            "#heading",
            "#見出し",
            "ja/01-storage.md:6: `#見出し` must be ASCII",
        ),
        (
            "ja/01-storage.md",
            "{#heading}",
            "{#check}",
            "ja/02-check.md:1: the id `check` is taken, by ",
        ),
        (
            "ja/01-storage.md",
            "### 見出し",
            "## 見出し",
            "ja/01-storage.md:6: a heading inside a section begins with `###`",
        ),
        (
            "ja/01-storage.md",
            "[(\"PV\")]",
            "[(\"PV\"",
            "ja/01-storage.md:15: Mermaid: ",
        ),
        (
            "ja/01-storage.md",
            "PV[(\"PV\")]",
            "PV{{PV}} --> X((c))",
            "ja/01-storage.md:15: `X` has the shape",
        ),
        (
            "ja/01-storage.md",
            "  accTitle: 図1\n",
            "",
            "ja/01-storage.md:12: `accTitle:` is missing",
        ),
        (
            "ja/01-storage.md",
            "  accDescr: PVC から PV へ。\n",
            "",
            "ja/01-storage.md:12: `accDescr:` is missing",
        ),
        (
            "ja/01-storage.md",
            "flowchart LR",
            "pie",
            "ja/01-storage.md:12: a figure must be a Mermaid flowchart",
        ),
        (
            "ja/01-storage.md",
            " {#figure-1}",
            "",
            "ja/01-storage.md:11: a figure needs an id",
        ),
        (
            "ja/01-storage.md",
            "app/01.yaml",
            "app/09.yaml",
            "ja/01-storage.md:18: there is no manifest `app/09.yaml`; there are: app/01.yaml",
        ),
        (
            "ja/01-storage.md",
            "kind: Pod =>",
            "kind: Job =>",
            "ja/01-storage.md:19: `kind: Job` is in no line of app/01.yaml",
        ),
        (
            "ja/01-storage.md",
            "kind: Pod =>",
            "a =>",
            "ja/01-storage.md:19: `a` is in lines 1, 3, 4 of app/01.yaml",
        ),
        (
            "ja/01-storage.md",
            "kind: Pod =>",
            "kind: Pod",
            "ja/01-storage.md:19: write an explanation as",
        ),
        (
            "ja/01-storage.md",
            "```manifest",
            "```rust",
            "ja/01-storage.md:18: a code block can't be `rust`",
        ),
        (
            "ja/01-storage.md",
            "行を",
            "**「行」**を",
            "ja/01-storage.md:9: `**` shows as it is",
        ),
        (
            "ja/01-storage.md",
            "行を",
            "<b>行</b>を",
            "ja/01-storage.md:9: `<b>` is not carried over",
        ),
        (
            "ja/01-storage.md",
            "行を",
            "行[^1]を",
            "ja/01-storage.md:9: this footnote has no text",
        ),
        (
            "ja/01-storage.md",
            "行を",
            "[行](/x)を",
            "ja/01-storage.md:9: the link `/x` leads nowhere",
        ),
        (
            "ja/01-storage.md",
            "行を",
            "![行](x.png)を",
            "ja/01-storage.md:9: a picture is a `mermaid` block",
        ),
        (
            "ja/00-opening.md",
            "#figure-1",
            "#figure-9",
            "ja/00-opening.md:15: the link `#figure-9` leads nowhere",
        ),
        (
            "ja/00-opening.md",
            "場面。\n:::",
            "場面。",
            "ja/00-opening.md:11: this container is not closed",
        ),
        (
            "ja/00-opening.md",
            "::: scene",
            "::: stage",
            "ja/00-opening.md:11: there is no container `stage`",
        ),
        (
            "ja/00-opening.md",
            "id: one",
            "id: 一",
            "ja/00-opening.md:6: objective `一`: an id must be ASCII",
        ),
        (
            "ja/02-check.md",
            "::: answer\n答え。\n:::\n",
            "",
            "ja/02-check.md:6: this question has no `::: answer`",
        ),
        (
            "ja/02-check.md",
            "::: question q1",
            "::: question",
            "ja/02-check.md:6: give the question an id",
        ),
        (
            "ja/02-check.md",
            "::: question q1\n",
            ":::\n",
            "ja/02-check.md:6: this `:::` closes nothing",
        ),
        (
            "ja/02-check.md",
            "- [x]",
            "- [ ]",
            "ja/02-check.md:14: `c1` has no right answer",
        ),
        (
            "ja/02-check.md",
            " — そう。",
            "",
            "ja/02-check.md:17: this option says no reason",
        ),
        (
            "ja/02-check.md",
            "::: choice c1",
            "::: choice q1",
            "ja/02-check.md:14: the id `q1` is taken, by ",
        ),
        (
            "ja/terms.toml",
            "PV = \"pv\"",
            "XX = \"pv\"",
            "ja/terms.toml:5: no figure has a node `XX`",
        ),
        (
            "ja/words.toml",
            "\"page.copy\" = ",
            "\"page.copi\" = ",
            "ja/words.toml:1: `\"page.copy\"` is missing",
        ),
        (
            "ja/stories.toml",
            "{pod}",
            "{claim}",
            "ja/stories.toml:3: `pod.ready` has no `{claim}`; it has: pod",
        ),
        (
            "ja/stories.toml",
            "who='k'",
            "who=k",
            "ja/stories.toml:2: TOML: ",
        ),
        (
            "manifests/app/01.yaml",
            "  name: a",
            " name: [a",
            "manifests/app/01.yaml:",
        ),
    ];
    for (path, from, to, wanted) in table {
        let errors = Desk::new().change(path, from, to).errors();
        if !errors.iter().any(|error| error.starts_with(wanted)) {
            missed.push(format!(
                "{from:?} to {to:?}: wanted {wanted}, got {errors:#?}"
            ));
        }
    }
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}

#[test]
fn a_missing_file_is_named() {
    for path in [
        "ja/00-opening.md",
        "ja/words.toml",
        "ja/stories.toml",
        "ja/terms.toml",
    ] {
        let errors = Desk::new().remove(path).errors();
        assert!(
            errors
                .iter()
                .any(|error| error.starts_with(&format!("{path}:1: "))),
            "{path}: {errors:?}"
        );
    }
}

#[test]
fn all_errors_come_in_one_sorted_report() {
    let desk = Desk::new()
        .change("ja/02-check.md", "- [x]", "- [ ]")
        .change("ja/01-storage.md", "kind: Pod =>", "kind: Job =>")
        .change("ja/01-storage.md", "### ", "## ")
        .change("ja/00-opening.md", "#figure-1", "#figure-9");
    let lines: Vec<_> = desk
        .errors()
        .iter()
        .map(|error| error.splitn(3, ':').take(2).collect::<Vec<_>>().join(":"))
        .collect();
    assert_eq!(
        lines,
        [
            "ja/00-opening.md:15",
            "ja/01-storage.md:6",
            "ja/01-storage.md:19",
            "ja/02-check.md:14"
        ]
    );
    let report = desk.open().unwrap_err().to_string();
    assert!(report.starts_with("4 errors in content\n"), "{report}");
}

#[test]
fn what_an_editor_on_windows_saves_reads_the_same() {
    let plain = Desk::new().open().unwrap();
    let desk = Desk::new();
    let path = desk.0.path().join("ja/01-storage.md");
    let text = fs::read_to_string(&path).unwrap().replace('\n', "\r\n");
    fs::write(&path, format!("\u{feff}{text}")).unwrap();
    let html = |book: &Book| book.chapter("ja").unwrap().sections[0].html.clone();
    assert_eq!(html(&desk.open().unwrap()), html(&plain));
}

#[test]
fn two_languages_stand_side_by_side_with_the_same_anchors() {
    let desk = Desk::new();
    for name in [
        "00-opening.md",
        "01-storage.md",
        "02-check.md",
        "words.toml",
        "stories.toml",
        "terms.toml",
    ] {
        fs::create_dir_all(desk.0.path().join("en")).unwrap();
        fs::copy(
            desk.0.path().join("ja").join(name),
            desk.0.path().join("en").join(name),
        )
        .unwrap();
    }
    let book = desk.open().unwrap();
    let codes: Vec<_> = book
        .languages
        .iter()
        .map(|chapter| chapter.language.as_str())
        .collect();
    assert_eq!(codes, ["en", "ja"]);

    // What the scripts look for is the same in each, or progress would be lost with the language.
    let errors = desk.change("en/02-check.md", "q1", "q9").errors();
    assert!(
        errors.iter().any(|error| error
            == "en/02-check.md:6: `question q9` is not in `ja`; ids, acts and answers are the same in every language"),
        "{errors:#?}"
    );
}
