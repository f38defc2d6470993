//! A client's stream in order, with a limit for what came too early.
//!
//! quinn's own ordering keeps every piece of a stream that waits for an earlier one, however small: single bytes with holes between
//! them take a hundred times their size. So pieces are taken as they come, and what waits is counted here. A client that acknowledges
//! nothing is found out here too: quinn keeps a record of each packet it sent, also of those that only acknowledge.

use std::collections::BTreeMap;

use bytes::Bytes;
use quinn::{Connection, RecvStream};

use crate::session::{Held, Session};

/// Bytes of a stream that wait for earlier ones. A client has far less under way: it writes chat.
pub(crate) const AHEAD_BYTES_MAX: usize = 64 * 1024;
/// Pieces of the session stream that wait for earlier ones: packets of a flight of which the first was lost.
pub(crate) const SESSION_PIECES_MAX: usize = 128;
/// Pieces of a page stream that wait: its request is a few packets at most.
pub(crate) const PAGE_PIECES_MAX: usize = 8;

/// Pieces between two looks at what the client acknowledges.
const LOOK_EVERY: u32 = 128;
/// Packets of a client that acknowledges nothing meanwhile. One that listens acknowledges every second packet that holds an answer.
const DEAF_PACKETS_MAX: u64 = 512;

/// Reads a stream in order.
pub(crate) struct InOrder<'a> {
    receive: RecvStream,
    /// The place of the next byte.
    next: u64,
    /// What came too early, by place.
    ahead: Ahead,
    held: Held<'a>,
    pieces_max: usize,
    listens: Listens<'a>,
}

/// Whether a client listens.
struct Listens<'a> {
    connection: &'a Connection,
    pieces: u32,
    /// Acknowledging frames and packets from it, when it last was seen to acknowledge.
    acks: u64,
    packets: u64,
}

/// Pieces that wait for what is before them.
#[derive(Default)]
struct Ahead {
    pieces: BTreeMap<u64, Bytes>,
    bytes: usize,
}

/// What the stream brought.
pub(crate) enum Next {
    Bytes(Bytes),
    /// The client ended the stream.
    End,
    /// Too much waits for what does not come.
    TooScattered,
    /// The client sends and acknowledges nothing.
    Deaf,
    /// The connection is gone, or the client gave the stream up.
    Gone,
}

impl<'a> InOrder<'a> {
    /// From the byte at `next` on: those before were read in order.
    pub(crate) fn new(
        session: &'a Session,
        receive: RecvStream,
        next: u64,
        pieces_max: usize,
    ) -> Self {
        Self {
            receive,
            next,
            ahead: Ahead::default(),
            held: session.hold(),
            pieces_max,
            listens: Listens {
                connection: &session.connection,
                pieces: 0,
                acks: 0,
                packets: 0,
            },
        }
    }

    /// The next bytes, at most `max` that came just now. Cancel safe.
    pub(crate) async fn next(&mut self, max: usize) -> Next {
        loop {
            if let Some(bytes) = self.ahead.take(self.next) {
                self.held.set(self.ahead.bytes);
                self.next += bytes.len() as u64;
                return Next::Bytes(bytes);
            }
            let read = self.receive.read_chunk(max, false).await;
            if !self.listens.look() {
                return Next::Deaf;
            }
            match read {
                Ok(Some(chunk)) if chunk.offset == self.next => {
                    self.next += chunk.bytes.len() as u64;
                    return Next::Bytes(chunk.bytes);
                }
                Ok(Some(chunk)) => {
                    // A copy: the piece would hold the packet it came in.
                    let piece = Bytes::copy_from_slice(&chunk.bytes);
                    self.ahead.put(chunk.offset, piece);
                    self.held.set(self.ahead.bytes);
                    let scattered = self.ahead.pieces.len() > self.pieces_max;
                    if scattered || self.ahead.bytes > AHEAD_BYTES_MAX {
                        return Next::TooScattered;
                    }
                }
                // It ends after its last byte: nothing is missing then.
                Ok(None) => return Next::End,
                Err(_) => return Next::Gone,
            }
        }
    }

    /// The stream, for what is done with it at the end.
    pub(crate) fn into_inner(self) -> RecvStream {
        self.receive
    }
}

impl Listens<'_> {
    /// Looks at it now and then. `false`: it does not listen.
    fn look(&mut self) -> bool {
        self.pieces += 1;
        if self.pieces < LOOK_EVERY {
            return true;
        }
        self.pieces = 0;
        let stats = self.connection.stats();
        let (acks, packets) = (stats.frame_rx.acks, stats.udp_rx.datagrams);
        if acks > self.acks {
            (self.acks, self.packets) = (acks, packets);
        }
        packets - self.packets < DEAF_PACKETS_MAX
    }
}

impl Ahead {
    fn put(&mut self, place: u64, piece: Bytes) {
        self.bytes += piece.len();
        self.pieces.insert(place, piece);
    }

    /// The piece at this place.
    fn take(&mut self, place: u64) -> Option<Bytes> {
        let piece = self.pieces.remove(&place)?;
        self.bytes -= piece.len();
        Some(piece)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_come_out_in_order_and_are_counted() {
        let mut ahead = Ahead::default();
        for place in [6, 2, 4] {
            ahead.put(place, Bytes::from_static(b"xy"));
        }
        assert_eq!(ahead.bytes, 6);
        assert_eq!(ahead.take(0), None);
        assert_eq!(ahead.take(2).as_deref(), Some(&b"xy"[..]));
        assert_eq!(ahead.take(4).as_deref(), Some(&b"xy"[..]));
        assert_eq!((ahead.bytes, ahead.pieces.len()), (2, 1));
    }
}
