//! eizoku serves a chapter on Kubernetes persistence and plays a live cluster beside the text.

pub mod book;
pub mod cluster;
pub mod embedded;
pub mod live;
pub mod web;
