//! The decoders under attack, and what must hold of whatever they take.

use anyhow::{Result, ensure};
use bytes::Bytes;
use fireside_protocol::{
    ClientFrame, DecodeError, Entry, FrameBuffer, FrameError, RawFrame, ServerFrame, TextContent,
    Wire, decode, encode,
    limits::{FRAME_BYTES_MAX, FRAME_HEADER_BYTES, PAGE_FRAME_BYTES_MAX},
};

use super::corpus::{CONTENT, Item, Side};
use crate::chance::Chance;

/// What reads bytes from outside.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Decoder {
    /// A client's frame, by the server.
    ClientFrame,
    /// A server's frame, by a client.
    ServerFrame,
    /// A datagram, on both sides.
    Datagram,
    /// A stream of frames in pieces.
    Stream,
    /// A message's content, by other players.
    Content,
    /// An entry kept as raw bytes in a page or an ack.
    Entry,
}

impl Decoder {
    /// All of them.
    pub(super) const ALL: &'static [Self] = &[
        Self::ClientFrame,
        Self::ServerFrame,
        Self::Datagram,
        Self::Stream,
        Self::Content,
        Self::Entry,
    ];

    /// Whether a vector is made for it.
    pub(super) fn reads(self, item: &Item) -> bool {
        let is_frame = item.kind != CONTENT;
        match self {
            Self::ClientFrame => is_frame && item.side == Side::Client,
            Self::ServerFrame => is_frame && item.side == Side::Server,
            Self::Datagram => matches!(item.kind, 21 | 77),
            Self::Stream => is_frame,
            Self::Content => !is_frame,
            Self::Entry => item.kind == 72,
        }
    }
}

/// What a decoder made of an input.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Outcome {
    /// It gave a value (or a value of a kind it does not know).
    Taken,
    /// It gave this error.
    Refused(&'static str),
}

/// Gives an input to a decoder. `same_as`: the input must mean what this vector means.
///
/// # Errors
/// A value that does not survive being written and read again, or a law of the decoder broken.
pub(super) fn run(
    decoder: Decoder,
    bytes: &[u8],
    same_as: Option<&Item>,
    chance: &mut Chance,
) -> Result<Outcome> {
    let input = Bytes::copy_from_slice(bytes);
    match decoder {
        Decoder::ClientFrame => frame(&input, Side::Client, same_as),
        Decoder::ServerFrame => frame(&input, Side::Server, same_as),
        Decoder::Datagram => {
            let raw = match RawFrame::from_datagram(&input) {
                Ok(raw) => raw,
                Err(error) => return Ok(Outcome::Refused(name(error))),
            };
            let side = if raw.kind < 64 {
                Side::Client
            } else {
                Side::Server
            };
            body(&raw, side, None)
        }
        Decoder::Stream => stream(&input, chance),
        Decoder::Content => value::<TextContent>(&body_of(&input)),
        Decoder::Entry => value::<Entry>(&body_of(&input)),
    }
}

fn body_of(frame: &Bytes) -> Bytes {
    frame.slice(FRAME_HEADER_BYTES.min(frame.len())..)
}

fn frame(input: &Bytes, side: Side, same_as: Option<&Item>) -> Result<Outcome> {
    match RawFrame::from_bytes(input, PAGE_FRAME_BYTES_MAX) {
        Ok(raw) => body(&raw, side, same_as),
        Err(error) => Ok(Outcome::Refused(name(error))),
    }
}

fn body(raw: &RawFrame, side: Side, same_as: Option<&Item>) -> Result<Outcome> {
    // The vector's own meaning, if it has one for this side.
    let vector = same_as.filter(|item| item.side == side && item.kind == raw.kind);
    let vector = vector.map(|item| RawFrame {
        body: item.body.clone().into(),
        ..raw.clone()
    });
    match side {
        Side::Client => {
            let outcome = raw.client();
            if let Some(expected) = vector.and_then(|vector| vector.client().ok()) {
                ensure!(
                    outcome.as_ref() == Ok(&expected),
                    "{outcome:?} is not {expected:?}"
                );
            }
            let value = match outcome {
                Ok(value) => value,
                Err(error) => return Ok(Outcome::Refused(name(error))),
            };
            if !matches!(value, ClientFrame::Unknown(_)) {
                let again = RawFrame::from_bytes(&value.encode(raw.request), PAGE_FRAME_BYTES_MAX)?;
                ensure!(again.client()? == value, "{value:?} does not survive");
            }
        }
        Side::Server => {
            let outcome = raw.server();
            if let Some(expected) = vector.and_then(|vector| vector.server().ok()) {
                ensure!(
                    outcome.as_ref() == Ok(&expected),
                    "{outcome:?} is not {expected:?}"
                );
            }
            let value = match outcome {
                Ok(value) => value,
                Err(error) => return Ok(Outcome::Refused(name(error))),
            };
            if !matches!(value, ServerFrame::Unknown(_)) {
                let again = RawFrame::from_bytes(&value.encode(raw.request), PAGE_FRAME_BYTES_MAX)?;
                ensure!(again.server()? == value, "{value:?} does not survive");
            }
        }
    }
    Ok(Outcome::Taken)
}

fn value<T: Wire + PartialEq + std::fmt::Debug>(bytes: &Bytes) -> Result<Outcome> {
    match decode::<T>(bytes) {
        Ok(value) => {
            let again = decode::<T>(&encode(&value).into())?;
            ensure!(again == value, "{value:?} does not survive");
            Ok(Outcome::Taken)
        }
        Err(error) => Ok(Outcome::Refused(body_error(error))),
    }
}

/// The same bytes whole and in pieces give the same frames and the same end; little more is held than one frame.
fn stream(input: &Bytes, chance: &mut Chance) -> Result<Outcome> {
    let mut whole = FrameBuffer::new(FRAME_BYTES_MAX);
    whole.extend(input);
    let mut pieces = FrameBuffer::new(FRAME_BYTES_MAX);
    let mut rest = &input[..];
    loop {
        let expected = whole.next_frame();
        let got = loop {
            match pieces.next_frame() {
                Ok(None) if !rest.is_empty() => {
                    let most = if chance.below(4) == 0 {
                        rest.len() as u64
                    } else {
                        rest.len().min(40) as u64
                    };
                    let (piece, after) = rest.split_at(chance.between(1, most) as usize);
                    pieces.extend(piece);
                    rest = after;
                    ensure!(
                        pieces.held() < FRAME_BYTES_MAX + piece.len(),
                        "{} bytes held",
                        pieces.held()
                    );
                }
                other => break other,
            }
        };
        ensure!(got == expected, "in pieces {got:?}, whole {expected:?}");
        match got {
            Ok(Some(raw)) => {
                let side = if raw.kind < 64 {
                    Side::Client
                } else {
                    Side::Server
                };
                if let Outcome::Refused(name) = body(&raw, side, None)? {
                    return Ok(Outcome::Refused(name));
                }
            }
            Ok(None) => {
                ensure!(pieces.finish() == whole.finish(), "ends differ");
                return Ok(pieces
                    .finish()
                    .map_or_else(|error| Outcome::Refused(name(error)), |()| Outcome::Taken));
            }
            Err(error) => return Ok(Outcome::Refused(name(error))),
        }
    }
}

fn name(error: FrameError) -> &'static str {
    match error {
        FrameError::TooLarge(..) => "frame too large",
        FrameError::TooShort(_) => "frame too short",
        FrameError::Cut => "frame cut",
        FrameError::Body(_, error) => body_error(error),
        _ => "other frame error",
    }
}

fn body_error(error: DecodeError) -> &'static str {
    match error {
        DecodeError::Truncated => "truncated",
        DecodeError::WrongType(_) => "wrong type",
        DecodeError::OutOfRange => "out of range",
        DecodeError::TooDeep => "too deep",
        DecodeError::TooMany => "too many",
        DecodeError::NotUtf8 => "not UTF-8",
        DecodeError::Doubled(_) => "doubled field",
        DecodeError::Missing(_) => "missing field",
        DecodeError::Trailing => "trailing bytes",
        _ => "other body error",
    }
}
