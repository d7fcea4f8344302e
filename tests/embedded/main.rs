//! The embedded cluster from outside: over HTTP, with real containers, across restarts.

mod cluster;
mod door;
mod durability;
mod workloads;
