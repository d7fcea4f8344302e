use std::sync::LazyLock;

use super::super::report::ContentErrors;
use super::super::{Book, Manifest};
use super::*;

/// The chapter that ships; drawing its figures takes a while.
static BOOK: LazyLock<Book> =
    LazyLock::new(|| Book::open(&Shelf::embedded(), crate::live::story::KEYS).unwrap());

/// What is wrong with a lesson, held against the chapter that ships.
fn errors(source: &str) -> Vec<String> {
    let book = &*BOOK;
    let anchors: BTreeSet<String> = ["step-apply", "step-look"].map(str::to_owned).into();
    let chapters: Vec<Anchored<'_>> = book.languages.iter().map(|it| (it, &anchors)).collect();
    let mut manifests = Manifests::default();
    manifests.push(Manifest {
        path: "stateful-app/01.yaml".into(),
        text: String::new(),
    });
    let mut errors = ContentErrors::default();
    check(
        source,
        &manifests,
        &chapters,
        &mut Notes::new("f", &mut errors),
    );
    errors.iter().map(ToString::to_string).collect()
}

const STEP: &str = "[[step]]\nid = \"step-apply\"\ncheck = \"true\"\n";

#[test]
fn what_is_wrong_is_told_with_its_line() {
    let table = [
        ("[[step]]\nid =\n", "f:2: TOML: "),
        (
            "[[step]]\nid = \"step-apply\"\n",
            "f:1: TOML: missing field `check`",
        ),
        (
            "[[step]]\nid = \"step-apply\"\ncheck = \"true\"\nwen = 1\n",
            "f:4: TOML: unknown field `wen`",
        ),
        (
            "[[step]]\nid = \"step-none\"\ncheck = \"true\"\n",
            "f:2: no heading in `en` has the anchor `{#step-none}`",
        ),
        (
            &format!("{STEP}{STEP}"),
            "f:5: the step `step-apply` is there twice",
        ),
        (
            &format!("{STEP}objective = \"goal\"\n"),
            "f:4: no objective in `ja` has the id `goal`",
        ),
        (
            &format!("{STEP}after = [\"step-look\"]\n"),
            "f:4: `after` names `step-look`, which is no step before",
        ),
        (
            &format!("{STEP}\n[[step.hint]]\nwhen = \"true\"\nsay = \"hint.none\"\n"),
            "f:7: `\"hint.none\"` is missing in en/words.toml",
        ),
        (
            "[[step]]\nid = \"step-apply\"\ncheck = \"pods.exists(p,\"\n",
            "f:3: `check`: not CEL: ",
        ),
        (
            "[[step]]\nid = \"step-apply\"\ncheck = '''\n  true\n  && pots.size() == 0'''\n",
            "f:5: `check`: there is no variable `pots`; there are: pods, ",
        ),
        (
            "[[step]]\nid = \"step-apply\"\ncheck = '''true\n  && pods.exist(p, p.isReady)'''\n",
            "f:4: `check`: there is no function `exist`",
        ),
        (
            "[[step]]\nid = \"step-apply\"\ncheck = \"pods.exists(p, q.isReady)\"\n",
            "f:3: `check`: there is no variable `q`",
        ),
        (
            "[[step]]\nid = \"step-apply\"\ncheck = \"pods.size()\"\n",
            "f:3: `check`: is int, and must be true or false",
        ),
        (&format!("{STEP}undo = \"1 + 'a' == 2\"\n"), "f:4: `undo`: "),
        (
            &format!("{STEP}acts = [\n  {{ do = \"fly\" }},\n]\n"),
            "f:5: `acts`: unknown variant `fly`",
        ),
        (
            &format!("{STEP}acts = [{{ do = \"apply\", folder = \"none\" }}]\n"),
            "f:4: `acts`: there is no folder `manifests/none`; there are: stateful-app",
        ),
        (
            &format!(
                "{STEP}acts = [{{ do = \"apply\", folder = \"stateful-app\", file = \"9.yaml\" }}]\n"
            ),
            "f:4: `acts`: there is no file `manifests/stateful-app/9.yaml`",
        ),
        (
            &format!("{STEP}acts = [{{ do = \"delete\", kind = \"Secret\", name = \"a\" }}]\n"),
            "f:4: `acts`: `delete` does not know the kind `Secret`",
        ),
        (
            &format!("{STEP}acts = [{{ do = \"delete\", kind = \"Pod\" }}]\n"),
            "f:4: `acts`: `delete` needs `name` or `selector`, and not both",
        ),
        (
            &format!("{STEP}acts = [{{ do = \"query\", in = \"node/a\", sql = \"x\" }}]\n"),
            "f:4: `acts`: `query` is asked `in` pod/NAME",
        ),
    ];
    for (source, wanted) in table {
        let errors = errors(source);
        assert!(
            errors.iter().any(|error| error.starts_with(wanted)),
            "{wanted}: {errors:?}"
        );
        assert!(
            errors.iter().all(|error| !error.contains('\n')),
            "one line each: {errors:?}"
        );
    }
}

#[test]
fn what_may_be_missing_at_run_time_is_no_error() {
    for check in [
        "inside['x'].rows[0][0] == 'a'",
        "pods[0].isReady",
        "since.filter(f, f.seq > 3).size() > 0",
        "'x' in inside && has(inside['x'].fault)",
        "['a', 'b'].all(name, pods.exists(p, p.name == name && (p.ready[0] > 0 || has(p.ip))))",
    ] {
        let source = format!("[[step]]\nid = \"step-apply\"\ncheck = \"{check}\"\n");
        assert_eq!(errors(&source), Vec::<String>::new(), "{check}");
    }
}

#[test]
fn a_step_follows_the_one_before_it_unless_it_says_otherwise() {
    let source = format!("{STEP}[[step]]\nid = \"step-look\"\ncheck = \"true\"\n");
    assert_eq!(errors(&source), Vec::<String>::new());
    let read = |source: &str| {
        let mut errors = ContentErrors::default();
        let lesson = check(
            source,
            &Manifests::default(),
            &[],
            &mut Notes::new("f", &mut errors),
        );
        lesson
            .steps
            .into_iter()
            .map(|step| step.after)
            .collect::<Vec<_>>()
    };
    assert_eq!(read(&source), [vec![], vec!["step-apply".to_owned()]]);
    assert_eq!(
        read(&format!("{source}after = []\n")),
        [Vec::<String>::new(), vec![]]
    );
}
