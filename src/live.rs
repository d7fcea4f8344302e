//! The live picture of a cluster: cards on a board, frames, their history and their story.
//! Takes changes, hands on frames; does no IO and never asks the clock.

pub mod board;
pub mod card;
pub mod cards;
pub mod frame;
pub mod history;
pub mod insides;
pub mod lesson;
pub mod story;

pub use board::{Board, Update};
