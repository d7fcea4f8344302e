//! Pages, the event stream and files over HTTP. The only place that knows axum and askama.

mod act;
pub mod assets;
mod door;
mod events;
mod files;
mod health;
mod history;
mod packed;
pub mod pages;
mod pieces;
mod recording;
mod routes;
mod security;
mod server;
mod terminal;

pub use door::Key;
pub use routes::{Site, router};
pub use server::{ServeError, Server};
