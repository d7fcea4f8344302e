//! How much of what readers do is told to everybody and kept: a history that anybody could fill with lines of their own
//! would lose what the cluster did.

use std::sync::Mutex;
use std::time::Instant;

/// Lines at once: a class that begins a step together.
const BURST: f64 = 60.0;
/// Lines a second in the long run: some thousands an hour, of the tens of thousands of frames that are kept.
const EACH_SECOND: f64 = 1.0;
/// Characters of one line.
const LONGEST: usize = 500;

/// What may still be told.
#[derive(Debug)]
pub(super) struct Pace(Mutex<(f64, Instant)>);

impl Pace {
    pub(super) fn new() -> Self {
        Self(Mutex::new((BURST, Instant::now())))
    }

    /// Whether one more line may be told `now`.
    pub(super) fn allows(&self, now: Instant) -> bool {
        let mut pace = self.0.lock().unwrap();
        let (left, since) = &mut *pace;
        let more = now.saturating_duration_since(*since).as_secs_f64() * EACH_SECOND;
        *left = (*left + more).min(BURST);
        *since = now;
        let is_allowed = *left >= 1.0;
        if is_allowed {
            *left -= 1.0;
        }
        is_allowed
    }
}

/// A line as it is told: not longer than a person reads.
pub(super) fn told_line(line: &str) -> String {
    match line.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_class_is_told_of_and_a_flood_is_not() {
        let start = Instant::now();
        let pace = Pace::new();
        assert_eq!((0..1000).filter(|_| pace.allows(start)).count(), 60);
        let later = start + Duration::from_secs(10);
        assert_eq!((0..1000).filter(|_| pace.allows(later)).count(), 10);
        let much_later = start + Duration::from_secs(10_000);
        assert_eq!((0..1000).filter(|_| pace.allows(much_later)).count(), 60);
    }

    #[test]
    fn a_long_line_is_cut_with_a_sign_of_it() {
        assert_eq!(told_line("kubectl get pods"), "kubectl get pods");
        assert_eq!(told_line(&"あ".repeat(500)), "あ".repeat(500));
        assert_eq!(
            told_line(&"あ".repeat(501)),
            format!("{}…", "あ".repeat(500))
        );
    }
}
