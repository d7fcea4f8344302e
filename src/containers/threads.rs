//! Threads for the programs of one process: what a container calls its processes. There are no more of them than a
//! laptop can bear, so that a script that forks without end is refused and nothing else suffers.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{Builder, JoinHandle};

/// The kubelet of kind leaves this to the node (`podPidsLimit`); a node that is a laptop has fewer to give.
const MOST: usize = 512;

/// Enough for the deepest nesting that the shell allows, in a build without optimisation too. Only what is touched is
/// memory.
const STACK: usize = 32 << 20;

/// Starts threads and counts those that run. Clones count together.
#[derive(Debug, Clone, Default)]
pub(super) struct Threads(Arc<AtomicUsize>);

/// One thread's place; free again when it is dropped.
struct Slot(Arc<AtomicUsize>);

impl Threads {
    /// Starts a thread, or says "Resource temporarily unavailable" as `fork` does.
    pub(super) fn spawn<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> io::Result<JoinHandle<T>> {
        let slot = Slot(Arc::clone(&self.0));
        if self.0.fetch_add(1, Ordering::Relaxed) >= MOST {
            return Err(io::Error::from_raw_os_error(
                rustix::io::Errno::AGAIN.raw_os_error(),
            ));
        }
        Builder::new().stack_size(STACK).spawn(move || {
            let _slot = slot;
            work()
        })
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[test]
    fn there_are_so_many_and_places_are_given_back() {
        let threads = Threads::default();
        let (end, ends) = mpsc::channel::<()>();
        let ends = Arc::new(std::sync::Mutex::new(ends));
        let mut running = Vec::new();
        for _ in 0..MOST {
            let ends = Arc::clone(&ends);
            running.push(
                threads
                    .spawn(move || ends.lock().unwrap().recv().is_err())
                    .unwrap(),
            );
        }
        let refused = threads.spawn(|| ()).err().unwrap();
        assert!(
            refused
                .to_string()
                .starts_with("Resource temporarily unavailable"),
            "{refused}"
        );
        drop(end);
        for thread in running {
            thread.join().unwrap();
        }
        assert!(threads.spawn(|| ()).is_ok());
    }
}
