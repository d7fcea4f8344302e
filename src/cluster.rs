//! The way to a Kubernetes API or to a recording of one. Hands on changes; knows the API only.
