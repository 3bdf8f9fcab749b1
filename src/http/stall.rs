//! A stream that ends where its reader takes nothing any more.
//!
//! The HTTP library bounds how long a client may take to send; nothing there bounds how long it may take to receive.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// Fails a write with [`io::ErrorKind::TimedOut`] after `bound` without a byte written.
pub(super) struct Unstalled<S> {
    stream: S,
    bound: Duration,
    waiting: Option<Pin<Box<Sleep>>>,
}

impl<S> Unstalled<S> {
    /// Watches `stream`.
    pub(super) fn new(stream: S, bound: Duration) -> Self {
        Self { stream, bound, waiting: None }
    }

    /// Ends the wait if something was written, else begins or continues it.
    fn watch<T>(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.waiting = None;
            return written;
        }
        let waiting = self.waiting.get_or_insert_with(|| Box::pin(sleep(self.bound)));
        waiting.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Unstalled<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Unstalled<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.watch(cx, written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        self.watch(cx, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.watch(cx, shut)
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "the test measures the paused clock")]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn ends_where_nobody_reads() {
        let (_client, ours) = tokio::io::duplex(8);
        let begun = Instant::now();

        let written = Unstalled::new(ours, Duration::from_secs(30)).write_all(&[0; 9]).await;

        assert_eq!(written.unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert_eq!(begun.elapsed(), Duration::from_secs(30));
    }

    #[tokio::test(start_paused = true)]
    async fn goes_on_while_something_is_read() {
        let (mut client, ours) = tokio::io::duplex(1);
        let mut ours = Unstalled::new(ours, Duration::from_secs(30));
        let reading = async {
            for _ in 0..4 {
                tokio::time::advance(Duration::from_secs(29)).await;
                client.read_u8().await.unwrap();
            }
        };

        let (written, ()) = tokio::join!(ours.write_all(&[0; 4]), reading);

        assert!(written.is_ok());
    }
}
