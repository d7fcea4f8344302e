//! The embedded cluster from outside: over HTTP, with real containers, across restarts.

mod cluster;
mod door;
mod durability;
#[cfg(feature = "postgres")]
mod likeness;
#[cfg(feature = "postgres")]
mod lives;
#[cfg(feature = "postgres")]
mod scripts;
#[cfg(feature = "postgres")]
mod wire;
mod workloads;
