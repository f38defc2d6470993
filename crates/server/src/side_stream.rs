//! One-way streams that the server opens: the first sync, and crowd events.

use std::{mem, sync::Arc};

use bytes::Bytes;
use fireside_protocol::frames::StreamKind;
use quinn::{SendStream, WriteError};

use crate::session::{CLOSING, Session, Side, SideMailed};

/// The sync stream gives way to the session stream: what is new goes before what is old.
const SYNC_PRIORITY: i32 = -1;
const CROWD_PRIORITY: i32 = -2;

/// Opens the stream and writes what comes until it ends. A client that does not take it holds up only this stream.
pub(crate) async fn run(session: Arc<Session>, side: Side) {
    if write(&session, side).await.is_err() {
        // The client stopped the stream, or the connection is gone: what is queued counts as sent.
        session.fail_side(side);
    }
}

async fn write(session: &Session, side: Side) -> Result<(), WriteError> {
    let mut stream = session.connection.open_uni().await?;
    let (kind, priority) = match side {
        Side::Sync => (StreamKind::Sync, SYNC_PRIORITY),
        Side::Crowd => (StreamKind::Crowd, CROWD_PRIORITY),
    };
    let _ = stream.set_priority(priority);
    let kind = u8::try_from(kind.number()).unwrap_or(0);
    let mut kind = Some(Bytes::copy_from_slice(&[kind]));
    loop {
        match session.next_side(side) {
            SideMailed::Frames(mut frames) => {
                if let Some(kind) = kind.take()
                    && !frames.is_empty()
                {
                    // Together: alone it would be a packet of its own.
                    let first = frames.remove(0);
                    let bytes = first.len();
                    stream.write_all_chunks(&mut [kind, first]).await?;
                    session.sent(1, bytes);
                }
                write_frames(session, &mut stream, frames).await?;
            }
            SideMailed::Last => {
                let _ = stream.finish();
                return Ok(());
            }
            SideMailed::Idle if session.has(CLOSING) => return Ok(()),
            SideMailed::Idle => session.wait_side(side).await,
        }
    }
}

/// Writes whole frames and counts them out as they go.
///
/// Small frames are gathered into one buffer: quinn looks through all unacknowledged pieces of a stream for every packet it makes,
/// so a copy is cheaper than many pieces.
pub(crate) async fn write_frames(
    session: &Session,
    stream: &mut SendStream,
    mut frames: Vec<Bytes>,
) -> Result<(), WriteError> {
    let mut rest = frames.as_mut_slice();
    while !rest.is_empty() {
        let mut bytes = 0;
        let fits = rest.iter().take_while(|frame| {
            bytes += frame.len();
            bytes <= GATHERED_BYTES_MAX
        });
        let count = fits.count().max(1);
        let (part, later) = rest.split_at_mut(count);
        let piece = match part {
            [one] => mem::take(one),
            many => many.concat().into(),
        };
        let bytes = piece.len();
        stream.write_chunk(piece).await?;
        session.sent(count, bytes);
        rest = later;
    }
    Ok(())
}

/// Bytes of frames that are written as one piece.
const GATHERED_BYTES_MAX: usize = 16 * 1024;
