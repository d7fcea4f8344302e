//! A long answer that is made as its reader takes it, so that a reader who takes nothing costs next to nothing.

use std::io;

use axum::body::Body;
use bytes::Bytes;
use futures::stream;

/// About how many bytes are made at a time: some hundred lines, in a small part of a millisecond.
const PIECE: usize = 32 * 1024;

/// The body of these parts, gathered into pieces. One that cannot be had cuts the answer off, which its reader can tell
/// from an end.
pub(super) fn body<T: AsRef<[u8]>>(
    mut parts: impl Iterator<Item = io::Result<T>> + Send + 'static,
) -> Body {
    let pieces = std::iter::from_fn(move || {
        let mut piece = Vec::new();
        while piece.len() < PIECE {
            match parts.next() {
                Some(Ok(part)) => piece.extend_from_slice(part.as_ref()),
                Some(Err(error)) => return Some(Err(error)),
                None => break,
            }
        }
        (!piece.is_empty()).then(|| Ok(Bytes::from(piece)))
    });
    Body::from_stream(stream::iter(pieces))
}

#[cfg(test)]
mod tests {
    use axum::body::to_bytes;

    use super::*;

    #[tokio::test]
    async fn nothing_is_made_before_it_is_taken_and_an_error_is_no_end() {
        let made = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let count = std::sync::Arc::clone(&made);
        let parts = (0..10_000).map(move |_| {
            count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            Ok("x".repeat(1024))
        });
        let mut pieces = body(parts).into_data_stream();
        let first = futures::StreamExt::next(&mut pieces).await;
        assert_eq!(first.expect("one").expect("bytes").len(), PIECE);
        assert_eq!(made.load(std::sync::atomic::Ordering::Relaxed), 32);
        let broken = [Ok("x"), Err(io::Error::other("gone"))];
        assert!(
            to_bytes(body(broken.into_iter()), usize::MAX)
                .await
                .is_err()
        );
    }
}
