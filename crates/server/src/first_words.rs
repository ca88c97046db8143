//! A connection whose client says nothing is not kept: whoever opens many of them would use up all there may be.
//!
//! Only what comes first has a time limit, until it is enough to tell HTTP/2 from HTTP/1. Later silence is each protocol's
//! own business.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// Bytes that an HTTP/2 connection begins with.
const PREFACE_BYTES: usize = 24;

/// A stream whose first bytes must come in time.
pub(crate) struct FirstWords<S> {
    stream: S,
    /// `None` once they have come.
    waiting: Option<Waiting>,
}

struct Waiting {
    deadline: Pin<Box<Sleep>>,
    heard: usize,
}

impl<S> FirstWords<S> {
    pub(crate) fn within(limit: Duration, stream: S) -> Self {
        Self { stream, waiting: Some(Waiting { deadline: Box::pin(sleep(limit)), heard: 0 }) }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for FirstWords<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        let Some(waiting) = &mut self.waiting else { return read };
        match read {
            Poll::Ready(result) => {
                waiting.heard += buffer.filled().len() - before;
                if waiting.heard >= PREFACE_BYTES {
                    self.waiting = None;
                }
                Poll::Ready(result)
            }
            Poll::Pending => {
                waiting.deadline.as_mut().poll(context).map(|()| Err(io::ErrorKind::TimedOut.into()))
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for FirstWords<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
