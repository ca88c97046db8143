//! Which protocol does a new connection speak? Its first bytes say so, and they must come in time.
//!
//! A connection that says nothing, or stops in the middle of its greeting, would otherwise hold its place for ever.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

/// What every HTTP/2 connection begins with.
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What a connection speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2.
    Http2,
}

/// A connection whose first bytes were looked at, and are still to be read.
#[derive(Debug)]
pub(crate) struct Rewound<I> {
    io: I,
    first: [u8; PREFACE.len()],
    /// The part of `first` that is still to be read.
    from: usize,
    to: usize,
}

/// Looks at the first bytes; `None` where they do not come within `patience`, or the connection ends.
pub(crate) async fn look<I: AsyncRead + Unpin>(io: I, patience: Duration) -> Option<(Version, Rewound<I>)> {
    tokio::time::timeout(patience, read_first(io)).await.ok()?.ok()
}

async fn read_first<I: AsyncRead + Unpin>(mut io: I) -> io::Result<(Version, Rewound<I>)> {
    let mut first = [0; PREFACE.len()];
    let mut to = 0;
    loop {
        let read = io.read(&mut first[to..]).await?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        to += read;
        if first[..to] != PREFACE[..to] {
            return Ok((Version::Http1, Rewound { io, first, from: 0, to }));
        }
        if to == PREFACE.len() {
            return Ok((Version::Http2, Rewound { io, first, from: 0, to }));
        }
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for Rewound<I> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.from < this.to {
            let fits = out.remaining().min(this.to - this.from);
            out.put_slice(&this.first[this.from..this.from + fits]);
            this.from += fits;
            return Poll::Ready(Ok(()));
        }
        ready!(Pin::new(&mut this.io).poll_read(cx, out))?;
        Poll::Ready(Ok(()))
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Rewound<I> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().io).poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().io).poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn looked(first: &[u8], rest: &[u8]) -> (Version, Vec<u8>) {
        let all = [first, rest].concat();
        let (version, mut io) =
            look(std::io::Cursor::new(all), Duration::from_secs(5)).await.expect("in time");
        let mut read = Vec::new();
        io.read_to_end(&mut read).await.expect("a cursor reads");
        (version, read)
    }

    #[tokio::test]
    async fn the_version_is_known_and_nothing_is_lost() {
        let (version, read) = looked(b"GET / HTTP/1.1\r\n", b"Host: a\r\n\r\n").await;
        assert_eq!((version, read), (Version::Http1, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_vec()));
        let (version, read) = looked(PREFACE, b"settings").await;
        assert_eq!((version, read), (Version::Http2, [&PREFACE[..], b"settings"].concat()));
        // Begins as one, goes on as the other.
        assert_eq!(looked(b"PRI /x HTTP/1.1\r\n", b"").await.0, Version::Http1);
    }

    #[tokio::test(start_paused = true)]
    async fn half_a_greeting_is_not_waited_for_for_ever() {
        let (mut client, server) = tokio::io::duplex(64);
        tokio::io::AsyncWriteExt::write_all(&mut client, &PREFACE[..10]).await.expect("it fits");
        assert!(look(server, Duration::from_secs(5)).await.is_none());
    }
}
