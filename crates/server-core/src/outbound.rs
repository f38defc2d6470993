//! How much is on its way to a session: one count, shared by the core and the transport.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use fireside_protocol::limits::{SESSION_QUEUE_BYTES_MAX, SESSION_QUEUE_FRAMES_MAX};

/// Bytes and frames on their way to one session, shared with its transport. The core adds before it hands a frame out (of any
/// lane), the transport takes away after it has written or dropped it; when it falls under half after [`Outbound::set_full`],
/// it calls [`Node::handle_drained`](crate::Node::handle_drained).
#[derive(Debug, Default)]
pub struct Outbound {
    bytes: AtomicUsize,
    frames: AtomicUsize,
    full: AtomicBool,
}

impl Outbound {
    /// Bytes queued.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Frames queued.
    #[must_use]
    pub fn frames(&self) -> usize {
        self.frames.load(Ordering::Relaxed)
    }

    /// Counts a frame in.
    pub fn add(&self, bytes: usize) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.frames.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts bytes in that are held for the session otherwise: parts of frames that came from it. [`Outbound::sent`] with no frame
    /// counts them out.
    pub fn hold(&self, bytes: usize) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Notes that a frame found no room. `true`: the transport has made room meanwhile and may not notice; the caller goes on
    /// as if it had been told.
    pub fn set_full(&self) -> bool {
        self.full.store(true, Ordering::SeqCst);
        self.is_half_empty() && self.full.swap(false, Ordering::SeqCst)
    }

    /// Counts written frames out. `true`: there is room again after it was full; call
    /// [`Node::handle_drained`](crate::Node::handle_drained) once.
    pub fn sent(&self, frames: usize, bytes: usize) -> bool {
        self.bytes.fetch_sub(bytes, Ordering::SeqCst);
        self.frames.fetch_sub(frames, Ordering::SeqCst);
        self.is_half_empty() && self.full.swap(false, Ordering::SeqCst)
    }

    /// Whether at most half of the room is taken.
    #[must_use]
    pub fn is_half_empty(&self) -> bool {
        self.bytes.load(Ordering::SeqCst) <= SESSION_QUEUE_BYTES_MAX / 2
            && self.frames.load(Ordering::SeqCst) <= SESSION_QUEUE_FRAMES_MAX / 2
    }

    /// Whether a live frame has room: the rest is kept for answers.
    pub(crate) fn has_room_live(&self, bytes: usize) -> bool {
        self.frames() < SESSION_QUEUE_FRAMES_MAX
            && self.bytes() + bytes <= SESSION_QUEUE_BYTES_MAX - ANSWER_BYTES
    }

    /// Whether an answer has room.
    pub(crate) fn has_room_answer(&self, bytes: usize) -> bool {
        let (queued, frames) = (self.bytes(), self.frames());
        frames < SESSION_QUEUE_FRAMES_MAX + ANSWER_FRAMES
            && (queued == 0 || queued + bytes <= SESSION_QUEUE_BYTES_MAX)
    }
}

/// Bytes that live frames leave to answers: an ack has about 80.
const ANSWER_BYTES: usize = 48 * 1024;
/// Frames over those of live delivery that answers may take: as many as requests may wait.
const ANSWER_FRAMES: usize = fireside_protocol::limits::REQUESTS_IN_FLIGHT_MAX;
