//! Runs the embedded cluster alone: `cargo run --example embedded -- FOLDER [PORT]`.

use std::path::PathBuf;

use tokio_util::sync::CancellationToken;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let level = std::env::var("RUST_LOG").unwrap_or_else(|_| "eizoku=info".to_owned());
    tracing_subscriber::fmt().with_env_filter(level).init();
    let mut args = std::env::args().skip(1);
    let folder = args.next().map_or_else(eizoku::embedded::default_folder, PathBuf::from);
    let port = args.next().map_or(Ok(0), |port| port.parse())?;
    let stop = CancellationToken::new();
    let embedded = eizoku::embedded::Embedded::start_on(&folder, port, false, stop.clone()).await?;
    println!("export KUBECONFIG={}", embedded.kubeconfig.display());
    tokio::signal::ctrl_c().await?;
    stop.cancel();
    embedded.ended().await;
    Ok(())
}
