//! Runs the embedded cluster alone: `cargo run --example embedded -- FOLDER [PORT]`.

use std::path::PathBuf;
use std::process::ExitCode;

use eizoku_embedded::{Embedded, Settings};
use tokio_util::sync::CancellationToken;

fn main() -> anyhow::Result<ExitCode> {
    // A container is a child of this program: before anything else starts, see whether that is what we are.
    if let Some(code) = eizoku_containers::child_main() {
        return Ok(code);
    }
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(run())?;
    Ok(ExitCode::SUCCESS)
}

async fn run() -> anyhow::Result<()> {
    let level = std::env::var("RUST_LOG").unwrap_or_else(|_| "eizoku=info".to_owned());
    tracing_subscriber::fmt().with_env_filter(level).init();
    let mut args = std::env::args().skip(1);
    let folder = args
        .next()
        .map_or_else(eizoku_embedded::default_folder, PathBuf::from);
    let port = args.next().map_or(Ok(0), |port| port.parse())?;
    let stop = CancellationToken::new();
    let embedded = Embedded::start_with(
        Settings {
            folder,
            port,
            fresh: false,
            program: None,
        },
        stop.clone(),
    )
    .await?;
    println!("export KUBECONFIG={}", embedded.kubeconfig.display());
    tokio::signal::ctrl_c().await?;
    stop.cancel();
    embedded.ended().await;
    Ok(())
}
