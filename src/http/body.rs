//! Request bodies, taken within the bounds of bytes and time.

use std::io;

use axum::body::{Body, Bytes};
use http_body_util::BodyExt as _;
use tokio::io::AsyncRead;
use tokio::time::timeout;
use tokio_stream::StreamExt as _;
use tokio_util::io::StreamReader;

use crate::domain::limits;
use crate::domain::refusal::Refusal;

/// Reads a whole body.
///
/// # Errors
/// [`Refusal::BodyTooLarge`] above [`limits::FORM_BYTES`]; [`Refusal::BodyMalformed`] where it breaks off or takes longer
/// than [`limits::BODY_TIME`].
pub(super) async fn read(body: Body) -> Result<Vec<u8>, Refusal> {
    let mut whole = Vec::new();
    let size = pass(body, |piece| {
        let room = limits::FORM_BYTES - whole.len();
        whole.extend_from_slice(&piece[..piece.len().min(room)]);
    })
    .await?;
    if size > limits::FORM_BYTES { Err(Refusal::BodyTooLarge) } else { Ok(whole) }
}

/// A body to be read as it comes, however long it is; a client may take [`limits::BODY_TIME`] over each piece.
pub(super) fn reader(body: Body) -> impl AsyncRead + Unpin {
    let pieces = body.into_data_stream().timeout(limits::BODY_TIME).map(|piece| match piece {
        Ok(Ok(piece)) => Ok(piece),
        Ok(Err(error)) => Err(io::Error::other(error)),
        Err(_) => Err(io::ErrorKind::TimedOut.into()),
    });
    StreamReader::new(Box::pin(pieces))
}

/// Takes a body that nobody wants off the wire: a connection that is closed while something is unread is reset, and a
/// reset may overtake the answer.
pub(super) async fn discard(body: Body) {
    // the answer that follows is already decided
    let _ = pass(body, |_| {}).await;
}

/// Hands on each piece and returns how much there was; stops looking at [`limits::BODY_DISCARDED`].
async fn pass(mut body: Body, mut take: impl FnMut(&[u8])) -> Result<usize, Refusal> {
    let pieces = async {
        let mut size = 0;
        while let Some(frame) = body.frame().await {
            let piece = frame.map_err(|_| Refusal::BodyMalformed)?.into_data().unwrap_or_else(|_| Bytes::new());
            size += piece.len();
            take(&piece);
            if size > limits::BODY_DISCARDED {
                break;
            }
        }
        Ok(size)
    };
    timeout(limits::BODY_TIME, pieces).await.unwrap_or(Err(Refusal::BodyMalformed))
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "the test measures the paused clock")]
mod tests {
    use tokio::time::Instant;

    use super::*;

    #[tokio::test]
    async fn takes_a_body_up_to_its_bound() {
        let largest = vec![b'a'; limits::FORM_BYTES];

        assert_eq!(read(Body::from(largest.clone())).await, Ok(largest.clone()));
        assert_eq!(read(Body::from([largest, vec![b'a']].concat())).await, Err(Refusal::BodyTooLarge));
    }

    #[tokio::test]
    async fn stops_looking_at_an_endless_body() {
        let piece = std::iter::repeat_with(|| Ok::<_, io::Error>(Bytes::from_static(&[0; 4096])));

        assert_eq!(read(Body::from_stream(tokio_stream::iter(piece))).await, Err(Refusal::BodyTooLarge));
    }

    #[tokio::test(start_paused = true)]
    async fn gives_up_on_a_body_that_does_not_come() {
        let begun = Instant::now();

        let body = Body::from_stream(tokio_stream::pending::<Result<Bytes, io::Error>>());

        assert_eq!(read(body).await, Err(Refusal::BodyMalformed));
        assert_eq!(begun.elapsed(), limits::BODY_TIME);
    }
}
