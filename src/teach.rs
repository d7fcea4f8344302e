//! Where the lesson meets the clock: evaluates it when the board has moved, and not too often.

use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use crate::live::Board;
use crate::live::lesson::Lesson;

/// Frames come in bursts; a tick this late is still seen as caused by what was done.
const EVERY: Duration = Duration::from_millis(100);
/// How many times as long as an evaluation took is rested after it. A board of ten thousand cards
/// takes a while to go over, and must not cost a core.
const REST: u32 = 9;
/// The longest rest: a tick may not be late because the machine was busy with something else for a while.
const LONGEST: Duration = Duration::from_secs(1);

/// Keeps the lesson's steps on the board in step with it, until the program stops.
pub(crate) async fn teach(mut lesson: Lesson, board: Board, stopping: CancellationToken) {
    if lesson.is_empty() {
        return;
    }
    let mut newest = board.newest();
    loop {
        let began = Instant::now();
        let seen = board.clone();
        // Not on a thread that serves pages.
        let evaluating = tokio::task::spawn_blocking(move || {
            lesson.follow(&seen);
            lesson
        });
        lesson = match evaluating.await {
            Ok(lesson) => lesson,
            Err(error) => {
                tracing::error!(%error, "the steps of the lesson tick no more");
                return;
            }
        };
        let rest = (began.elapsed() * REST).clamp(EVERY, LONGEST);
        tokio::select! {
            () = stopping.cancelled() => return,
            () = tokio::time::sleep(rest) => {}
        }
        tokio::select! {
            () = stopping.cancelled() => return,
            changed = newest.changed() => {
                if changed.is_err() {
                    return;
                }
            }
        }
    }
}
