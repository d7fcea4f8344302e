//! stub
use super::{Streams, World};
use std::io;
pub(super) fn run(_n: &str, _w: &mut World, _a: &[String], _s: &mut Streams) -> Option<io::Result<i32>> { None }
