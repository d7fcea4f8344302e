//! The embedded cluster: a Kubernetes API server subset with its controllers, for readers who have no cluster.

mod failure;
mod object;
mod registry;
mod resource;
mod schema;
mod store;
