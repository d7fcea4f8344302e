//! Pages, the event stream and files over HTTP.

pub mod pages;
