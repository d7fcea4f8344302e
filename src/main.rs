//! The command line.

use std::process::ExitCode;

use clap::Parser;
use eizoku::cli::Cli;
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    // A container is a child of this program: see first whether that is what this process is.
    if let Some(code) = eizoku_containers::child_main() {
        return code;
    }
    let filter = EnvFilter::try_from_env("EIZOKU_LOG").unwrap_or_else(|_| EnvFilter::new("warn"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
    let runtime = tokio::runtime::Runtime::new().expect("the system has threads to give");
    let ended = runtime.block_on(eizoku::run(Cli::parse()));
    // Whatever still blocks a thread, such as a credentials plugin, must not keep the program.
    runtime.shutdown_background();
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("eizoku: {error:#}");
            ExitCode::FAILURE
        }
    }
}
