//! Bodies that tell their connection's seat how far they are.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use crate::seats::Seat;

/// The body of a request, as it comes.
pub(crate) struct Arriving {
    body: Incoming,
    seat: Arc<Seat>,
}

/// Why a body was not taken in.
#[derive(Debug)]
pub(crate) enum NotTaken {
    /// The connection failed.
    Connection(hyper::Error),
    /// So many bodies are being received that there is no room for this one.
    NoRoom,
}

impl fmt::Display for NotTaken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connection(error) => write!(f, "{error}"),
            Self::NoRoom => f.write_str("too many requests are being received; try again"),
        }
    }
}

impl std::error::Error for NotTaken {}

impl Arriving {
    pub(crate) fn new(body: Incoming, seat: Arc<Seat>) -> Self {
        Self { body, seat }
    }
}

impl Body for Arriving {
    type Data = Bytes;
    type Error = NotTaken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, NotTaken>>> {
        let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) else {
            return Poll::Pending;
        };
        let length = match &frame {
            Some(Ok(frame)) => frame.data_ref().map_or(0, Bytes::len),
            _ => 0,
        };
        if !self.seat.receive(length) {
            return Poll::Ready(Some(Err(NotTaken::NoRoom)));
        }
        if frame.is_none() || self.body.is_end_stream() {
            self.seat.received();
        }
        Poll::Ready(frame.map(|frame| frame.map_err(NotTaken::Connection)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The body of an answer; dropped when all of it is on its way.
pub(crate) struct Leaving {
    body: axum::body::Body,
    seat: Arc<Seat>,
}

impl Leaving {
    pub(crate) fn new(body: axum::body::Body, seat: Arc<Seat>) -> Self {
        Self { body, seat }
    }
}

impl Body for Leaving {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Leaving {
    fn drop(&mut self) {
        self.seat.done();
    }
}
