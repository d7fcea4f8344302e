//! A postmaster's end: the signals that ask for it, and what each of them means.

use std::io;
use std::sync::{Arc, mpsc};

use super::log;
use super::postmaster::Postmaster;

/// The signals a postmaster heeds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shutdown {
    Smart,
    Fast,
    Immediate,
}

/// Waits for signals on a thread of its own.
pub(super) fn signals() -> io::Result<mpsc::Receiver<Shutdown>> {
    use tokio::signal::unix::{SignalKind, signal};
    let (tell, told) = mpsc::channel();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()?;
    let guard = runtime.enter();
    let mut smart = signal(SignalKind::terminate())?;
    let mut fast = signal(SignalKind::interrupt())?;
    let mut immediate = signal(SignalKind::quit())?;
    let mut reload = signal(SignalKind::hangup())?;
    drop(guard);
    std::thread::spawn(move || {
        runtime.block_on(async {
            loop {
                let which = tokio::select! {
                    _ = smart.recv() => Shutdown::Smart,
                    _ = fast.recv() => Shutdown::Fast,
                    _ = immediate.recv() => Shutdown::Immediate,
                    _ = reload.recv() => {
                        log(1, "LOG", "received SIGHUP, reloading configuration files");
                        continue;
                    }
                };
                if tell.send(which).is_err() {
                    return;
                }
            }
        });
    });
    Ok(told)
}

/// Waits for a signal and shuts down as it asks. The result is the exit code.
pub(super) fn attend(postmaster: &Arc<Postmaster>, signals: &mpsc::Receiver<Shutdown>) -> i32 {
    let mut which = signals.recv().unwrap_or(Shutdown::Fast);
    if which == Shutdown::Smart {
        log(1, "LOG", "received smart shutdown request");
        let ended = Arc::clone(postmaster);
        let (tell, told) = mpsc::channel();
        std::thread::spawn(move || {
            ended.end_sessions(false);
            let _ = tell.send(());
        });
        // A stronger signal while sessions are being waited for.
        which = loop {
            if told
                .recv_timeout(std::time::Duration::from_millis(20))
                .is_ok()
            {
                break Shutdown::Smart;
            }
            if let Ok(stronger @ (Shutdown::Fast | Shutdown::Immediate)) = signals.try_recv() {
                break stronger;
            }
        };
    }
    match which {
        Shutdown::Immediate => {
            log(1, "LOG", "received immediate shutdown request");
            postmaster.kill();
            log(1, "LOG", "database system is shut down");
            return 0;
        }
        Shutdown::Fast => {
            log(1, "LOG", "received fast shutdown request");
            log(1, "LOG", "aborting any active transactions");
            postmaster.end_sessions(true);
        }
        Shutdown::Smart => {}
    }
    log(27, "LOG", "shutting down");
    log(27, "LOG", "checkpoint starting: shutdown immediate");
    if let Err(error) = postmaster.close() {
        log(27, "LOG", &format!("shutdown was not in order: {error}"));
    }
    log(1, "LOG", "database system is shut down");
    0
}
