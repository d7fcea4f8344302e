//! The command line.

use std::process::ExitCode;

use clap::Parser;
use eizoku::cli::Cli;
use eizoku::embedded::containers;
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    // A container is a child of this program: see first whether that is what this process is.
    match containers::child_main() {
        Some(code) => code,
        None => eizoku(),
    }
}

#[tokio::main]
async fn eizoku() -> ExitCode {
    let filter = EnvFilter::try_from_env("EIZOKU_LOG").unwrap_or_else(|_| EnvFilter::new("warn"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
    match eizoku::run(Cli::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("eizoku: {error:#}");
            ExitCode::FAILURE
        }
    }
}
