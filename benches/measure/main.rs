//! Figures, printed and never asserted: `cargo bench`. Each is measured beside a reference in the
//! same run, since machines differ.

#[expect(dead_code, reason = "tests fail it in more ways than a bench wants")]
#[path = "../../tests/it/api.rs"]
mod api;
mod board;
#[cfg(feature = "postgres")]
mod embedded;
mod idle;
#[cfg(feature = "postgres")]
#[expect(dead_code, reason = "the tests use more of it")]
#[path = "../../tests/embedded/lives.rs"]
mod lives;
mod page;
#[cfg(feature = "postgres")]
#[expect(dead_code, reason = "the tests use more of it")]
#[path = "../../tests/embedded/program.rs"]
mod program;
mod road;
#[expect(dead_code, reason = "the tests use more of it")]
#[path = "../../tests/it/server.rs"]
mod server;
mod stats;
#[cfg(feature = "postgres")]
#[expect(dead_code, reason = "the tests use more of it")]
#[path = "../../tests/embedded/wire.rs"]
mod wire;

#[tokio::main]
async fn main() {
    // `cargo test --benches` runs this, too, with an argument of its own: nothing to test here.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    #[cfg(feature = "postgres")]
    {
        embedded::print().await;
        // `cargo bench --bench measure -- embedded` measures only this.
        if std::env::args().any(|argument| argument == "embedded") {
            return;
        }
    }
    page::print().await;
    board::print();
    road::print().await;
    idle::print().await;
}
