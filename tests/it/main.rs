//! The program as its users meet it: over HTTP and on the command line.

mod act;
mod api;
mod cli;
mod door;
mod events;
mod files;
mod history;
mod kube;
mod limits;
mod pages;
mod security;
mod server;
mod stop;
