//! The steps under tables of changes, and under a run that a real cluster wrote.

use serde_json::json;

use super::*;
use crate::book::{Book, RULE_VARIABLES, Shelf};
use crate::cluster::{Change, Inside, Kind, Object, Recording, What};
use crate::live::board::Board;
use crate::live::story;

fn program(text: &str) -> Arc<Program> {
    Arc::new(Program::compile(text).expect("CEL"))
}

/// Steps that follow each other: id, check, undo, and a hint.
fn lesson(steps: &[(&str, &str, Option<&str>, Option<&str>)]) -> Lesson {
    let rules = steps
        .iter()
        .enumerate()
        .map(|(index, (id, check, undo, hint))| Rules {
            id: (*id).into(),
            after: index
                .checked_sub(1)
                .map(|before| steps[before].0.to_owned())
                .into_iter()
                .collect(),
            check: program(check),
            undo: undo.map(program),
            hints: hint
                .map(|hint| (program(hint), format!("hint.{id}")))
                .into_iter()
                .collect(),
            ends: *id == "end",
        });
    Lesson::new(rules.collect())
}

fn board() -> Board {
    let head = r#"{"ms":0,"version":1,"recorded":0,"namespace":"default"}"#;
    let source = Recording::parse("run.jsonl", head).expect("whole");
    Board::new("e".into(), source.info(1.0, None), 0)
}

fn pod(name: &str, uid: &str, phase: &str) -> Object {
    let value = json!({
        "metadata": {"name": name, "namespace": "default", "uid": uid},
        "spec": {"containers": [{"name": "a"}]},
        "status": {"phase": phase},
    });
    Object::from_json(Kind::Pod, value).expect("a Pod")
}

/// The steps that changed, as `id state [hint]`.
fn told(steps: &Steps) -> Vec<String> {
    let step = |(id, it): (&String, &Progress)| {
        let hint = it.hint.as_deref().unwrap_or_default();
        format!("{id} {:?} {hint}", it.state).trim().to_lowercase()
    };
    steps.iter().map(step).collect()
}

/// Applies changes one by one and follows after each.
fn follow(lesson: &mut Lesson, board: &Board, changes: Vec<What>) -> Vec<String> {
    let (_, mut updates) = board.subscribe(0);
    for what in changes {
        board.apply(Change { at: 1, what });
        lesson.follow(board);
    }
    let mut seen = Vec::new();
    while let Ok(crate::live::Update::Frame(frame)) = updates.try_recv() {
        if let Step::Lesson(steps) = &frame.step {
            seen.extend(told(steps));
        }
    }
    seen
}

const EXISTS: &str = "pods.exists(p, p.name == 'a')";
const RUNS: &str = "pods.exists(p, p.name == 'a' && p.phase == 'Running')";
const NONE: &str = "pods.size() == 0";
const DIED: &str = "since.exists(f, f.event == 'deleted' && f.name == 'a')";

#[test]
fn steps_open_tick_and_hint_in_order() {
    let applied = |phase| What::Applied(pod("a", "1", phase));
    let deleted = || What::Deleted(pod("a", "1", "Running"));
    let steps = [
        ("s1", EXISTS, Some(NONE), Some(NONE)),
        (
            "s2",
            RUNS,
            Some(NONE),
            Some("pods.exists(p, p.phase == 'Pending')"),
        ),
        (
            "s3",
            DIED,
            Some("since.exists(f, f.event == 'added')"),
            None,
        ),
    ];
    type Case<'a> = (&'a str, Vec<What>, &'a [&'a str]);
    let table: [Case<'_>; 6] = [
        (
            "nothing there",
            vec![What::Said("x".into())],
            &["s1 open hint.s1"],
        ),
        (
            "one frame ticks one step and opens the next, with its hint",
            vec![applied("Pending")],
            &["s1 done", "s2 open hint.s2"],
        ),
        (
            "what is there already ticks all it can",
            vec![applied("Running")],
            &["s1 done", "s2 done", "s3 open"],
        ),
        (
            "what was before a step began does not count for it",
            vec![deleted(), applied("Running"), What::Said("x".into())],
            &["s1 done", "s2 done", "s3 open"],
        ),
        (
            "ticks are taken back one after another, the last first",
            vec![applied("Pending"), deleted()],
            &[
                "s1 done",
                "s2 open hint.s2",
                "s1 open hint.s1",
                "s2 waiting",
            ],
        ),
        (
            "what later steps were built upon stays",
            vec![applied("Running"), deleted()],
            &["s1 done", "s2 done", "s3 open", "s3 done"],
        ),
    ];
    for (name, changes, want) in table {
        let board = board();
        let mut lesson = lesson(&steps);
        assert_eq!(follow(&mut lesson, &board, changes), want, "{name}");
    }
}

/// Classes one after the other on one server, with frames that come one by one or in bursts: each gets to the end, and
/// how the frames came makes no difference.
#[test]
fn a_lesson_can_be_run_again_however_its_frames_come() {
    let steps = [
        ("s1", EXISTS, Some(NONE), None),
        ("s2", DIED, None, None),
        ("end", NONE, None, None),
    ];
    const RUN: usize = 3;
    let change = |number: usize| {
        let pod = pod("a", &format!("{}", number / RUN), "Running");
        match number % RUN {
            0 => What::Applied(pod),
            1 => What::Said("x".into()),
            _ => What::Deleted(pod),
        }
    };
    // The numbers of a run that nobody chose.
    let mut random = 7_u64;
    for burst in (1..=4 * RUN).chain(std::iter::repeat_n(0, 200)) {
        let (board, mut lesson) = (board(), lesson(&steps));
        let mut done = 0;
        let mut stands = Vec::new();
        while done < 4 * RUN {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let count = match burst {
                0 => 1 + (random >> 33) as usize % 7,
                count => count,
            };
            let upto = (done + count).min(4 * RUN);
            for number in done..upto {
                board.apply(Change {
                    at: 1,
                    what: change(number),
                });
            }
            done = upto;
            lesson.follow(&board);
            stands.push((done, told(&lesson.steps())));
        }
        for (done, stands) in stands {
            let want: &[&str] = match done % RUN {
                0 => &["end done", "s1 done", "s2 done"],
                _ => &["end waiting", "s1 done", "s2 open"],
            };
            assert_eq!(stands, want, "after {done} changes, in bursts of {burst}");
        }
    }
}

#[test]
fn an_undo_looks_back_to_the_tick_only() {
    let applied = || What::Applied(pod("a", "1", "Running"));
    let undo = "since.exists(f, f.event == 'deleted')";
    let steps = [("s1", DIED, Some(undo), None)];
    let (board, mut lesson) = (board(), lesson(&steps));
    let deleted = || What::Deleted(pod("a", "1", "Running"));
    // The deletion that ticks it is not one after it.
    assert_eq!(
        follow(&mut lesson, &board, vec![applied(), deleted()]),
        ["s1 done"]
    );
    assert_eq!(
        follow(&mut lesson, &board, vec![applied(), deleted()]),
        ["s1 open"]
    );
}

#[test]
fn a_rule_that_can_not_be_told_is_false() {
    let steps = [("s1", "pods.exists(p, p.ip == '1')", None, None)];
    let (board, mut lesson) = (board(), lesson(&steps));
    let changes = vec![What::Applied(pod("a", "1", "Running"))];
    assert!(follow(&mut lesson, &board, changes).is_empty());
}

#[test]
fn what_was_seen_in_a_volume_can_tick_a_step() {
    let steps = [(
        "s1",
        "'c' in inside && inside['c'].rows.size() == 1",
        None,
        None,
    )];
    let (board, mut lesson) = (board(), lesson(&steps));
    let inside = Inside {
        key: "c".into(),
        rows: vec![vec!["1".into()]],
        ..Inside::default()
    };
    assert_eq!(
        follow(&mut lesson, &board, vec![What::Inside(inside)]),
        ["s1 done"]
    );
}

#[test]
fn a_restart_begins_the_lesson_anew() {
    let steps = [("s1", EXISTS, None, None), ("s2", DIED, None, None)];
    let (board, mut lesson) = (board(), lesson(&steps));
    board.teach(lesson.steps());
    let changes = vec![
        What::Applied(pod("a", "1", "Running")),
        What::Restarted,
        What::Applied(pod("a", "2", "Running")),
    ];
    assert_eq!(
        follow(&mut lesson, &board, changes),
        [
            "s1 done",
            "s2 open",
            "s1 open",
            "s2 waiting",
            "s1 done",
            "s2 open"
        ]
    );
    // What was seen before the restart comes too late.
    let late = lesson.steps();
    board.apply(Change {
        at: 2,
        what: What::Restarted,
    });
    let last = board.span().last;
    board.mark(1, late);
    assert_eq!(board.span().last, last);
}

#[test]
fn the_snapshot_and_a_moment_of_the_past_carry_the_steps() {
    let (board, mut lesson) = (board(), lesson(&[("s1", EXISTS, None, None)]));
    board.teach(lesson.steps());
    let snapshot = |board: &Board| -> serde_json::Value {
        let (bytes, _) = board.subscribe(0);
        let text = String::from_utf8(bytes.to_vec()).expect("text");
        let data = text.split_once("data: ").expect("data").1;
        serde_json::from_str(data).expect("JSON")
    };
    assert_eq!(
        snapshot(&board)["lesson"],
        json!({"steps": {"s1": {"state": "open", "since": 0, "at": 0}}})
    );
    follow(
        &mut lesson,
        &board,
        vec![What::Applied(pod("a", "1", "Running"))],
    );
    assert_eq!(
        snapshot(&board)["lesson"],
        json!({"steps": {"s1": {"state": "done", "since": 1, "at": 1}}})
    );
    let past = board.history(1).expect("in reach").replay();
    assert_eq!(past.lesson["s1"].state, Stand::Open);
    let past = board.history(2).expect("in reach").replay();
    assert_eq!(past.lesson["s1"].state, Stand::Done);
}

#[test]
fn the_lesson_of_the_book_speaks_of_what_there_is() {
    assert_eq!(RULE_VARIABLES, VARIABLES);
}

/// The rules that ship over the run that ships: every step that the run does ticks, in order, and
/// what is waited for is told.
#[tokio::test(start_paused = true)]
async fn a_real_run_ticks_the_steps_of_the_chapter() {
    let book = Book::open(&Shelf::embedded(), story::KEYS).expect("what ships is sound");
    let (board, mut lesson) = (board(), crate::lesson(&book));
    board.teach(lesson.steps());
    let text = include_str!("../../../content/recordings/chapter.jsonl");
    let recording = Recording::parse("chapter.jsonl", text).expect("whole");
    let (sender, mut changes) = tokio::sync::mpsc::channel(64);
    let player = tokio::spawn(recording.play(1.0, sender));
    let mut ticks = Vec::new();
    let mut hints = Vec::new();
    while let Some(change) = changes.recv().await {
        if matches!(change.what, What::Restarted) {
            break;
        }
        let before = lesson.steps();
        board.apply(change);
        lesson.follow(&board);
        for (id, step) in lesson.steps() {
            if step.state != before[&id].state && step.state == Stand::Done {
                ticks.push(id.clone());
            }
            if step.hint != before[&id].hint {
                hints.extend(step.hint);
            }
        }
    }
    player.abort();
    assert_eq!(
        ticks,
        [
            "step-apply",
            "step-look",
            "step-kill",
            "step-force",
            "step-scale",
            "step-claim",
            "step-released",
            "step-delete-statefulset",
        ]
    );
    // The run ends with nothing left, with the last steps still to do: it has gone back to the start.
    let open = lesson.steps().into_iter();
    let open: Vec<String> = open
        .filter(|(_, step)| step.state != Stand::Waiting)
        .map(|(id, _)| id)
        .collect();
    assert_eq!(open, ["step-apply"]);
    insta::assert_snapshot!(hints.join("\n"));
}
