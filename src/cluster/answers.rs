//! How long an answer of the API server may be. The client keeps an answer, and each event of a watch, in memory as a
//! whole, several times over: a server that goes on without end must end as a fault, not with the machine's memory.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::BoxError;
use axum::body::{Body, HttpBody};
use bytes::Bytes;
use futures::StreamExt;
use http::{Request, Response};
use tower::{Layer, Service};

/// Bytes of an answer, and of one event of a watch. Lists come in pages of 500 objects, and an object has 1.5 MB at
/// most; a page of Pods is a few.
const MOST: usize = 32 << 20;

/// An answer went on for more than [`MOST`] bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the API server's answer is longer than {} MiB", MOST >> 20)]
pub(super) struct TooLong;

/// Around a client: ends each answer that is too long with [`TooLong`].
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounded;

impl<S> Layer<S> for Bounded {
    type Service = Bounding<S>;

    fn layer(&self, inner: S) -> Bounding<S> {
        Bounding(inner)
    }
}

/// A client's service with answers that end.
#[derive(Debug)]
pub(super) struct Bounding<S>(S);

type Answer<E> = Pin<Box<dyn Future<Output = Result<Response<Body>, E>> + Send>>;

impl<S, B, R> Service<Request<R>> for Bounding<S>
where
    S: Service<Request<R>, Response = Response<B>>,
    S::Future: Send + 'static,
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Answer<S::Error>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: Request<R>) -> Self::Future {
        let mut query = request.uri().query().unwrap_or("").split('&');
        let mut length = Length {
            is_of_line: query.any(|pair| pair == "watch=true"),
            bytes: 0,
        };
        let answer = self.0.call(request);
        Box::pin(async move {
            let bounded = |body| {
                let pieces = Body::new(body).into_data_stream();
                Body::from_stream(pieces.map(move |piece| {
                    let piece = piece?;
                    length.add(&piece)?;
                    Ok::<_, BoxError>(piece)
                }))
            };
            Ok(answer.await?.map(bounded))
        })
    }
}

/// Bytes so far: of the answer, or of the line that a watch is in.
struct Length {
    is_of_line: bool,
    bytes: usize,
}

impl Length {
    fn add(&mut self, piece: &[u8]) -> Result<(), TooLong> {
        match piece.iter().rposition(|byte| *byte == b'\n') {
            Some(at) if self.is_of_line => self.bytes = piece.len() - at - 1,
            _ => self.bytes += piece.len(),
        }
        if self.bytes > MOST {
            return Err(TooLong);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    /// What is taken of an answer of so many pieces of a MiB, and whether it ended well.
    async fn taken(uri: &str, piece: Bytes, count: usize) -> (usize, bool) {
        let service = tower::service_fn(move |_: Request<()>| {
            let pieces = vec![Ok::<_, Infallible>(piece.clone()); count];
            let body = Body::from_stream(futures::stream::iter(pieces));
            async move { Ok::<_, Infallible>(Response::new(body)) }
        });
        let request = Request::get(uri).body(()).unwrap();
        let answer = Bounded.layer(service).call(request).await.unwrap();
        let pieces: Vec<_> = answer.into_body().into_data_stream().collect().await;
        let is_whole = pieces.iter().all(Result::is_ok);
        let bytes = pieces.iter().flatten().map(Bytes::len).sum();
        (bytes, is_whole)
    }

    #[tokio::test]
    async fn an_answer_without_end_ends_and_a_watch_goes_on_line_by_line() {
        let mib = Bytes::from(vec![b'x'; 1 << 20]);
        let mut line = mib.to_vec();
        line[1000] = b'\n';
        let line = Bytes::from(line);
        let list = "/api/v1/pods?limit=500";
        let watch = "/api/v1/pods?&watch=true&timeoutSeconds=30";
        for (uri, piece, count, whole) in [
            (list, &mib, 32, true),
            (list, &mib, 33, false),
            (list, &line, 33, false),
            (watch, &line, 100, true),
            (watch, &mib, 33, false),
        ] {
            let (bytes, is_whole) = taken(uri, piece.clone(), count).await;
            assert_eq!(is_whole, whole, "{uri} {count}");
            assert_eq!(bytes, count.min(if whole { count } else { 32 }) << 20);
        }
    }
}
