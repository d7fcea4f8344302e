//! The live picture of a cluster: cards on a board, frames, their history and their story.
