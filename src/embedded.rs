//! A small cluster of our own behind the Kubernetes API on loopback. Knows nobody above; reached by kubeconfig only.

pub mod containers;
