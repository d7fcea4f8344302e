//! The command line.

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use eizoku::cli::Cli;
use tracing_subscriber::EnvFilter;

/// Libraries that write whole objects, addresses with keys, or what is typed into terminals to the log: never, whatever
/// the log is asked for. What they have to say comes back as errors, which are told without bodies.
const SILENT: [&str; 4] = [
    "kube_client=off",
    "kube_runtime=off",
    "tungstenite=off",
    "tokio_tungstenite=off",
];

fn main() -> ExitCode {
    // A container is a child of this program: see first whether that is what this process is.
    if let Some(code) = eizoku_containers::child_main() {
        return code;
    }
    let mut filter =
        EnvFilter::try_from_env("EIZOKU_LOG").unwrap_or_else(|_| EnvFilter::new("warn"));
    for silent in SILENT {
        filter = filter.add_directive(silent.parse().expect("a directive"));
    }
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        // They would be told on the same stderr, and panic where that is closed.
        .log_internal_errors(false)
        .init();
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&format!("the system gives no threads: {error}")),
    };
    let ended = runtime.block_on(eizoku::run(Cli::parse()));
    // Whatever still blocks a thread, such as a credentials plugin, must not keep the program.
    runtime.shutdown_background();
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&format!("{error:#}")),
    }
}

/// Says why the program ends, if anybody can hear it.
fn failed(why: &str) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "eizoku: {why}");
    ExitCode::FAILURE
}
