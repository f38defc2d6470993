//! Framing: length (4 bytes, big-endian, of all that follows), kind (2), request id (4), body.

use bytes::{Buf, Bytes, BytesMut};

use crate::{
    Code,
    codec::{DecodeError, in_scratch},
    frames::{ClientFrame, ServerFrame},
    limits::{DATAGRAM_BYTES_MAX, FRAME_HEADER_BYTES, PAGE_FRAME_BYTES_MAX},
};

/// The highest protocol version of this build.
pub const VERSION: u16 = 1;
/// The application protocol in the TLS handshake.
pub const ALPN: &[u8] = b"fireside/1";

/// A frame whose body is not read yet.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RawFrame {
    /// Number of the kind.
    pub kind: u16,
    /// Matches an answer to its request; 0 for events.
    pub request: u32,
    /// A MessagePack map.
    pub body: Bytes,
}

/// Why a stream can not be read on.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// Longer than the stream's limit.
    #[error("a frame of {0} bytes is over the limit of {1}")]
    TooLarge(usize, usize),
    /// Shorter than its own header.
    #[error("a frame of {0} bytes is shorter than a header")]
    TooShort(usize),
    /// The stream ended in a frame.
    #[error("the stream ended inside a frame")]
    Cut,
    /// The body is not what the kind says.
    #[error("body of kind {0}: {1}")]
    Body(u16, DecodeError),
}

impl FrameError {
    /// The code on the wire; also the application error code the connection is closed with.
    #[must_use]
    pub const fn code(self) -> Code {
        match self {
            Self::TooLarge(..) => Code::FrameTooLarge,
            Self::TooShort(_) | Self::Cut => Code::BadFrame,
            Self::Body(..) => Code::BadBody,
        }
    }
}

/// Encodes a frame.
#[must_use]
pub fn encode_frame(kind: u16, request: u32, write_body: impl FnOnce(&mut Vec<u8>)) -> Bytes {
    in_scratch(|out| {
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&kind.to_be_bytes());
        out.extend_from_slice(&request.to_be_bytes());
        write_body(out);
        debug_assert!(
            out.len() <= PAGE_FRAME_BYTES_MAX,
            "a frame of {} bytes is over every limit",
            out.len()
        );
        let length = (out.len() - 4) as u32;
        out[..4].copy_from_slice(&length.to_be_bytes());
        // Of its own size: a queue counts what it holds by the frames' lengths.
        Bytes::copy_from_slice(out)
    })
}

impl ClientFrame {
    /// Encodes the frame.
    #[must_use]
    pub fn encode(&self, request: u32) -> Bytes {
        encode_frame(self.kind(), request, |out| self.write_body(out))
    }
}

impl ServerFrame {
    /// Encodes the frame.
    #[must_use]
    pub fn encode(&self, request: u32) -> Bytes {
        encode_frame(self.kind(), request, |out| self.write_body(out))
    }
}

impl RawFrame {
    /// Reads a client's frame.
    ///
    /// # Errors
    /// [`FrameError::Body`].
    pub fn client(&self) -> Result<ClientFrame, FrameError> {
        ClientFrame::decode(self.kind, &self.body)
            .map_err(|error| FrameError::Body(self.kind, error))
    }

    /// Reads a server's frame.
    ///
    /// # Errors
    /// [`FrameError::Body`].
    pub fn server(&self) -> Result<ServerFrame, FrameError> {
        ServerFrame::decode(self.kind, &self.body)
            .map_err(|error| FrameError::Body(self.kind, error))
    }

    /// Reads a datagram, which is exactly one frame of at most [`DATAGRAM_BYTES_MAX`] bytes.
    ///
    /// # Errors
    /// [`FrameError`].
    pub fn from_datagram(datagram: &Bytes) -> Result<Self, FrameError> {
        Self::from_bytes(datagram, DATAGRAM_BYTES_MAX)
    }

    /// Reads bytes that are exactly one frame of at most `frame_bytes_max` bytes, header included. The body is a slice of them.
    ///
    /// # Errors
    /// [`FrameError`]; bytes after the frame are [`FrameError::Cut`].
    pub fn from_bytes(bytes: &Bytes, frame_bytes_max: usize) -> Result<Self, FrameError> {
        let length = frame_length(bytes, frame_bytes_max)?.ok_or(FrameError::Cut)?;
        if bytes.len() == length {
            Ok(Self::split(bytes.clone()))
        } else {
            Err(FrameError::Cut)
        }
    }

    /// Takes a whole frame apart.
    fn split(mut frame: Bytes) -> Self {
        debug_assert!(frame.len() >= FRAME_HEADER_BYTES, "not a whole frame");
        frame.advance(4);
        let kind = frame.get_u16();
        let request = frame.get_u32();
        Self {
            kind,
            request,
            body: frame,
        }
    }
}

/// The bytes of the frame that starts here, header included, if its length has come.
fn frame_length(bytes: &[u8], frame_bytes_max: usize) -> Result<Option<usize>, FrameError> {
    let Some(head) = bytes.first_chunk::<4>() else {
        return Ok(None);
    };
    let length = (u32::from_be_bytes(*head) as usize).saturating_add(4);
    if length < FRAME_HEADER_BYTES {
        return Err(FrameError::TooShort(length));
    }
    if length > frame_bytes_max {
        return Err(FrameError::TooLarge(length, frame_bytes_max));
    }
    Ok(Some(length))
}

/// Cuts a stream into frames.
///
/// It is bounded by its caller: whoever calls [`FrameBuffer::next_frame`] until `None` before the next [`FrameBuffer::extend`] holds
/// less than one frame plus one read here. A frame's length is checked as soon as its four bytes are there, and a claimed length
/// reserves nothing: memory grows with bytes that have come.
#[derive(Debug)]
pub struct FrameBuffer {
    buffer: BytesMut,
    frame_bytes_max: usize,
}

impl FrameBuffer {
    /// For a stream whose frames have at most `frame_bytes_max` bytes, header included.
    #[must_use]
    pub fn new(frame_bytes_max: usize) -> Self {
        Self {
            buffer: BytesMut::new(),
            frame_bytes_max,
        }
    }

    /// Adds bytes from the stream. Drain [`FrameBuffer::next_frame`] before the next call.
    pub fn extend(&mut self, bytes: &[u8]) {
        let length = self.buffer.len() + bytes.len();
        if length > self.buffer.capacity() {
            // Doubling, but not beyond a frame: what never becomes whole must not take twice its size.
            let room = (self.buffer.len() * 2).min(self.frame_bytes_max);
            let mut larger = BytesMut::with_capacity(length.max(room));
            larger.extend_from_slice(&self.buffer);
            self.buffer = larger;
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole frame. After an error the stream is lost.
    ///
    /// # Errors
    /// [`FrameError::TooLarge`], [`FrameError::TooShort`].
    pub fn next_frame(&mut self) -> Result<Option<RawFrame>, FrameError> {
        let Some(length) = frame_length(&self.buffer, self.frame_bytes_max)? else {
            return Ok(None);
        };
        if self.buffer.len() < length {
            return Ok(None);
        }
        let frame = RawFrame::split(self.buffer.split_to(length).freeze());
        if self.buffer.is_empty() {
            // An idle connection keeps no buffer.
            self.buffer = BytesMut::new();
        }
        Ok(Some(frame))
    }

    /// Bytes that wait for the rest of their frame.
    #[must_use]
    pub fn held(&self) -> usize {
        self.buffer.len()
    }

    /// Ends the stream.
    ///
    /// # Errors
    /// [`FrameError::Cut`] if part of a frame is left.
    pub fn finish(&self) -> Result<(), FrameError> {
        if self.buffer.is_empty() {
            Ok(())
        } else {
            Err(FrameError::Cut)
        }
    }
}
