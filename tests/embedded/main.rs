//! The embedded cluster from outside: over HTTP, with real containers, across restarts.

mod clients;
mod cluster;
mod door;
mod durability;
mod workloads;
