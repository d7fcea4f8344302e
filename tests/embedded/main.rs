//! The embedded cluster from outside: over HTTP, with real containers, across restarts.

mod bounds;
mod clients;
mod cluster;
#[cfg(feature = "postgres")]
mod crash;
mod disk;
mod door;
mod durability;
#[cfg(feature = "postgres")]
mod kubectl;
#[cfg(feature = "postgres")]
mod likeness;
#[cfg(feature = "postgres")]
mod lives;
#[cfg(feature = "postgres")]
mod many;
mod odd;
#[cfg(feature = "postgres")]
mod outputs;
#[cfg(feature = "postgres")]
mod program;
#[cfg(feature = "postgres")]
mod random;
#[cfg(feature = "postgres")]
#[expect(
    dead_code,
    reason = "some of it was never recorded: tests/cluster lives it on both clusters"
)]
mod scripts;
#[cfg(feature = "postgres")]
mod transcript;
#[cfg(feature = "postgres")]
mod wire;
mod workloads;
