//! What a connection's task, its page streams and the node's driver share.

use std::{
    collections::VecDeque,
    mem,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use fireside_protocol::{
    Code, ServerFrame,
    frames::Refused,
    limits::{REQUESTS_IN_FLIGHT_MAX, SESSION_QUEUE_BYTES_MAX, SESSION_QUEUE_FRAMES_MAX},
};
use fireside_server_core::{Login, SessionKey, Transmit, node::Outbound};
use parking_lot::Mutex;
use tokio::sync::{Notify, Semaphore, SemaphorePermit, oneshot};

use crate::inbox::{Inbox, Input};

/// The handshake is done: what comes now was not replayed.
pub(crate) const CONFIRMED: u8 = 1;
/// The node sent the welcome.
pub(crate) const WELCOMED: u8 = 2;
/// The connection is about to end; nothing more is read.
pub(crate) const CLOSING: u8 = 4;

/// The log-in was early data.
pub(crate) const EARLY: u8 = 8;

/// A log-in is being worked on.
pub(crate) const LOGGING_IN: u8 = 16;

/// Bytes queued to a client above which nothing more is read from it: who does not read its answers gets no more of them.
const READ_PAUSE_BYTES: usize = SESSION_QUEUE_BYTES_MAX / 2;

/// Pages of one session that are made and written at a time: while one is written the next is made. The largest fit a session's queue
/// only alone, usual ones together.
const PAGES_AT_ONCE: usize = 2;

/// Bytes of a session's queue that parts of a frame take, until dropped.
pub(crate) struct Held<'a> {
    session: &'a Session,
    bytes: usize,
}

impl Held<'_> {
    /// So many bytes are held from now on.
    pub(crate) fn set(&mut self, bytes: usize) {
        let before = mem::replace(&mut self.bytes, bytes);
        if bytes > before {
            self.session
                .held
                .fetch_add(bytes - before, Ordering::AcqRel);
            self.session.outbound.hold(bytes - before);
        } else if bytes < before {
            self.session
                .held
                .fetch_sub(before - bytes, Ordering::AcqRel);
            self.session.sent(0, before - bytes);
        }
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.set(0);
    }
}

/// One connection. Everything here is empty while the connection is idle.
pub(crate) struct Session {
    pub(crate) key: SessionKey,
    pub(crate) connection: quinn::Connection,
    pub(crate) outbound: Arc<Outbound>,
    inbox: Arc<Inbox>,
    mail: Mutex<Mail>,
    /// The writer of the session stream has something to do.
    wake: Notify,
    /// A flag was set, or the paused reader may go on.
    changed: Notify,
    flags: AtomicU8,
    reader_paused: AtomicBool,
    /// Of the outbound bytes, those of frames that are not whole yet.
    held: AtomicUsize,
    /// Who makes and writes a page.
    pages: Semaphore,
    in_flight: AtomicU32,
}

#[derive(Default)]
struct Mail {
    session: VecDeque<Bytes>,
    close: Option<Code>,
    side: Option<Box<SideMail>>,
}

/// What is seldom there.
#[derive(Default)]
struct SideMail {
    sync: VecDeque<Bytes>,
    sync_last: bool,
    sync_running: bool,
    crowd: VecDeque<Bytes>,
    crowd_running: bool,
    pages: Vec<(u64, oneshot::Sender<Bytes>)>,
}

/// What the writer of the session stream does next.
pub(crate) enum Mailed {
    Frames(Vec<Bytes>),
    Close(Code),
}

/// A one-way stream that the server opens.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Side {
    Sync,
    Crowd,
}

/// What the writer of a side stream does next.
pub(crate) enum SideMailed {
    Frames(Vec<Bytes>),
    /// Nothing now: the task ends, the next frame starts another.
    Idle,
    /// The stream ends.
    Last,
}

impl Session {
    pub(crate) fn new(
        key: SessionKey,
        connection: quinn::Connection,
        inbox: Arc<Inbox>,
    ) -> Arc<Self> {
        Arc::new(Self {
            key,
            connection,
            outbound: Arc::default(),
            inbox,
            mail: Mutex::default(),
            wake: Notify::new(),
            changed: Notify::new(),
            flags: AtomicU8::new(0),
            reader_paused: AtomicBool::new(false),
            held: AtomicUsize::new(0),
            pages: Semaphore::new(PAGES_AT_ONCE),
            in_flight: AtomicU32::new(0),
        })
    }

    // Flags

    pub(crate) fn has(&self, flag: u8) -> bool {
        self.flags.load(Ordering::Acquire) & flag != 0
    }

    pub(crate) fn set(&self, flag: u8) {
        self.flags.fetch_or(flag, Ordering::AcqRel);
        self.changed.notify_waiters();
    }

    /// Waits until one of the flags is set.
    pub(crate) async fn wait_for(&self, flags: u8) {
        self.wait_until(|session| session.has(flags)).await;
    }

    async fn wait_until(&self, done: impl Fn(&Self) -> bool) {
        loop {
            if done(self) {
                return;
            }
            let changed = self.changed.notified();
            // Created before the second look: `notify_waiters` reaches it from here on.
            if done(self) {
                return;
            }
            changed.await;
        }
    }

    /// The handshake is done. Called by the connection's task, as is [`Session::connect`]: one cannot overtake the other.
    pub(crate) fn confirm(&self) {
        self.set(CONFIRMED);
        if self.has(EARLY) {
            self.inbox.push(Input::Confirmed(self.key));
        }
    }

    /// Hands a log-in to the node (room is reserved). `may_be_early`: it came before the handshake was done, if it is not done yet.
    pub(crate) fn connect(self: &Arc<Self>, mut login: Login, may_be_early: bool) -> bool {
        login.early = may_be_early && !self.has(CONFIRMED);
        let early = login.early;
        if early {
            self.set(EARLY);
        }
        self.inbox.push(Input::Connected {
            session: self.clone(),
            login: Box::new(login),
        });
        early
    }

    // The client's side: how much it may ask

    /// Waits until this client may ask for more: its answers are read, and not too many are due.
    pub(crate) async fn may_read(&self) {
        if self.has_room() {
            return;
        }
        self.reader_paused.store(true, Ordering::SeqCst);
        self.wait_until(|session| session.has_room() || session.has(CLOSING))
            .await;
        self.reader_paused.store(false, Ordering::SeqCst);
    }

    fn has_room(&self) -> bool {
        // Frames too: an answer of 20 bytes takes five times that here.
        // Parts of frames do not count: only reading on makes them whole.
        let queued = self.outbound.bytes();
        queued.saturating_sub(self.held.load(Ordering::Acquire)) < READ_PAUSE_BYTES
            && self.outbound.frames() < SESSION_QUEUE_FRAMES_MAX
            && (self.in_flight.load(Ordering::Acquire) as usize) < REQUESTS_IN_FLIGHT_MAX
    }

    fn resume_reader(&self) {
        if self.reader_paused.load(Ordering::SeqCst) {
            self.changed.notify_waiters();
        }
    }

    /// Counts what is held of a frame that is not whole.
    pub(crate) const fn hold(&self) -> Held<'_> {
        Held {
            session: self,
            bytes: 0,
        }
    }

    /// Waits until few other pages of this session are made or written; `alone`: none. `None` never: it is not closed.
    pub(crate) async fn page_turn(&self, alone: bool) -> Option<SemaphorePermit<'_>> {
        let turns = if alone { PAGES_AT_ONCE } else { 1 };
        self.pages.acquire_many(turns as u32).await.ok()
    }

    /// Counts a request whose answer will come on the session stream.
    pub(crate) fn request_sent(&self) {
        self.in_flight.fetch_add(1, Ordering::AcqRel);
    }

    // The node's side: what goes out

    /// Takes a frame from the node. Never blocks. `true`: call [`Session::wake`] when the last frame of the batch is in, so that
    /// the client gets all of them in one write.
    #[must_use]
    pub(crate) fn deliver(self: &Arc<Self>, transmit: Transmit) -> bool {
        use fireside_protocol::Lane;
        let Transmit {
            lane,
            stream,
            last,
            frame,
            ..
        } = transmit;
        if stream != 0 {
            self.deliver_page(stream, frame);
            return false;
        }
        match lane {
            Lane::Page => self.deliver_side(Side::Sync, frame, last),
            Lane::Crowd => self.deliver_side(Side::Crowd, frame, false),
            Lane::Datagram => self.deliver_datagram(frame),
            Lane::Control | Lane::Chat | Lane::Transfer => {
                let (kind, request) = head_of(&frame);
                if kind == WELCOME_KIND {
                    self.set(WELCOMED);
                } else if request != 0 {
                    self.answered();
                }
                return self.push(frame);
            }
        }
        false
    }

    fn answered(&self) {
        let less = |count: u32| count.checked_sub(1);
        // A welcome or an answer that was not counted leaves it at 0.
        if self
            .in_flight
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, less)
            .is_ok()
        {
            self.resume_reader();
        }
    }

    /// Queues a frame. `true`: it is the first, nobody was woken for it.
    fn push(&self, frame: Bytes) -> bool {
        let mut mail = self.mail.lock();
        mail.session.push_back(frame);
        mail.session.len() == 1
    }

    fn queue(&self, frame: Bytes) {
        if self.push(frame) {
            self.wake();
        }
    }

    /// Wakes the writer of the session stream.
    pub(crate) fn wake(&self) {
        self.wake.notify_one();
    }

    /// Queues a frame of the gateway's own.
    pub(crate) fn send(&self, request: u32, frame: &ServerFrame) {
        let frame = frame.encode(request);
        self.outbound.add(frame.len());
        self.queue(frame);
    }

    /// Queues a refusal of the gateway's own.
    pub(crate) fn refuse(&self, request: u32, code: Code, retry_after_ms: u64) {
        let refused = Refused {
            retry_after_ms,
            ..Refused::new(code)
        };
        self.send(request, &refused.into());
    }

    /// Ends the connection after what is queued is out. The first code counts.
    pub(crate) fn close(&self, code: Code) {
        self.mail.lock().close.get_or_insert(code);
        self.set(CLOSING);
        self.wake.notify_one();
    }

    /// The code that the connection is closed with, if it is.
    pub(crate) fn close_code(&self) -> Option<Code> {
        self.mail.lock().close
    }

    /// Written frames; tells the node when there is room again.
    pub(crate) fn sent(&self, frames: usize, bytes: usize) {
        if self.outbound.sent(frames, bytes) {
            self.inbox.push(Input::Drained(self.key));
        }
        self.resume_reader();
    }

    /// Waits for something to write on the session stream.
    pub(crate) async fn next_mail(&self) -> Mailed {
        loop {
            {
                let mut mail = self.mail.lock();
                if !mail.session.is_empty() {
                    return Mailed::Frames(mem::take(&mut mail.session).into());
                }
                if let Some(code) = mail.close {
                    return Mailed::Close(code);
                }
            }
            self.wake.notified().await;
        }
    }

    fn deliver_datagram(&self, frame: Bytes) {
        let bytes = frame.len();
        let fits = self
            .connection
            .max_datagram_size()
            .is_some_and(|max| bytes <= max);
        if fits {
            // Lost is fine: newest wins, and the next one comes soon.
            let _ = self.connection.send_datagram(frame);
            self.sent(1, bytes);
        } else {
            self.queue(frame);
        }
    }

    // Side streams

    fn deliver_side(self: &Arc<Self>, side: Side, frame: Bytes, last: bool) {
        let start = {
            let mut mail = self.mail.lock();
            let mail = mail.side.get_or_insert_default();
            match side {
                Side::Sync => {
                    mail.sync.push_back(frame);
                    mail.sync_last |= last;
                    !mem::replace(&mut mail.sync_running, true)
                }
                Side::Crowd => {
                    mail.crowd.push_back(frame);
                    !mem::replace(&mut mail.crowd_running, true)
                }
            }
        };
        if start {
            tokio::spawn(crate::side_stream::run(self.clone(), side));
        } else {
            self.changed.notify_waiters();
        }
    }

    /// What a side stream's writer does next. After [`SideMailed::Idle`] or [`SideMailed::Last`] it must end.
    pub(crate) fn next_side(&self, side: Side) -> SideMailed {
        let mut mail = self.mail.lock();
        let Some(box_) = mail.side.as_mut() else {
            return SideMailed::Last;
        };
        let queue = match side {
            Side::Sync => &mut box_.sync,
            Side::Crowd => &mut box_.crowd,
        };
        if !queue.is_empty() {
            return SideMailed::Frames(mem::take(queue).into());
        }
        let end = match side {
            Side::Sync if box_.sync_last => {
                box_.sync_running = false;
                box_.sync_last = false;
                SideMailed::Last
            }
            Side::Sync | Side::Crowd => SideMailed::Idle,
        };
        if matches!(end, SideMailed::Last) && box_.is_empty() {
            mail.side = None;
        }
        end
    }

    /// A side stream's writer failed and ends: what is queued counts as sent, a later frame opens another stream.
    pub(crate) fn fail_side(&self, side: Side) {
        let frames = {
            let mut mail = self.mail.lock();
            let Some(side_mail) = mail.side.as_mut() else {
                return;
            };
            match side {
                Side::Sync => {
                    side_mail.sync_running = false;
                    side_mail.sync_last = false;
                    mem::take(&mut side_mail.sync)
                }
                Side::Crowd => {
                    side_mail.crowd_running = false;
                    mem::take(&mut side_mail.crowd)
                }
            }
        };
        self.sent(frames.len(), frames.iter().map(Bytes::len).sum());
    }

    /// Waits until a side stream has something, or the connection ends.
    pub(crate) async fn wait_side(&self, side: Side) {
        self.wait_until(|session| {
            session.has(CLOSING)
                || session
                    .mail
                    .lock()
                    .side
                    .as_ref()
                    .is_none_or(|mail| match side {
                        Side::Sync => !mail.sync.is_empty() || mail.sync_last,
                        Side::Crowd => !mail.crowd.is_empty(),
                    })
        })
        .await;
    }

    // Page streams

    /// A page stream waits for its answer.
    pub(crate) fn expect_page(&self, stream: u64) -> oneshot::Receiver<Bytes> {
        let (sender, receiver) = oneshot::channel();
        let mut mail = self.mail.lock();
        mail.side
            .get_or_insert_default()
            .pages
            .push((stream, sender));
        receiver
    }

    fn deliver_page(&self, stream: u64, frame: Bytes) {
        let sender = {
            let mut mail = self.mail.lock();
            let taken = mail.side.as_mut().and_then(|side| {
                let at = side.pages.iter().position(|(id, _)| *id == stream)?;
                Some(side.pages.swap_remove(at).1)
            });
            if mail.side.as_ref().is_some_and(|side| side.is_empty()) {
                mail.side = None;
            }
            taken
        };
        let bytes = frame.len();
        if sender.is_none_or(|sender| sender.send(frame).is_err()) {
            self.sent(1, bytes);
        }
    }

    /// Forgets what is queued and wakes whoever waits, at the connection's end.
    pub(crate) fn end(&self) {
        self.set(CLOSING);
        let mut mail = self.mail.lock();
        mail.session = VecDeque::new();
        mail.side = None;
    }
}

impl SideMail {
    fn is_empty(&self) -> bool {
        !self.sync_running && !self.crowd_running && self.pages.is_empty()
    }
}

const WELCOME_KIND: u16 = 64;

/// Kind and request id of an encoded frame.
fn head_of(frame: &[u8]) -> (u16, u32) {
    let kind = frame.get(4..6).and_then(|bytes| bytes.try_into().ok());
    let request = frame.get(6..10).and_then(|bytes| bytes.try_into().ok());
    (
        kind.map_or(0, u16::from_be_bytes),
        request.map_or(0, u32::from_be_bytes),
    )
}

#[cfg(test)]
mod tests {
    use fireside_protocol::frames::{Done, Welcome};

    use super::*;

    #[test]
    fn the_head_of_a_frame_is_where_the_envelope_puts_it() {
        let done = ServerFrame::Done(Done { reserved: 0 }).encode(0x0102_0304);
        assert_eq!(head_of(&done), (67, 0x0102_0304));
        assert_eq!(head_of(&[]), (0, 0));
        let welcome = ServerFrame::TABLE
            .iter()
            .find(|info| info.name == "Welcome");
        assert_eq!(welcome.map(|info| info.kind), Some(WELCOME_KIND));
        let _ = std::any::type_name::<Welcome>();
    }
}
