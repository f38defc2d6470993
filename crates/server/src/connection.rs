//! One task per connection: reads the session stream, writes it, accepts page streams, takes datagrams.

use std::{net::IpAddr, pin::Pin, sync::Arc, time::Duration};

use fireside_protocol::{
    ClientFrame, Code, FrameBuffer, Lane, RawFrame,
    frames::{Pong, StreamKind},
    limits::FRAME_BYTES_MAX,
};
use fireside_server_core::Origin;
use quinn::{Connection, Incoming, RecvStream, SendStream, VarInt, ZeroRttAccepted};

use crate::{
    addresses::Taken,
    health::{count, uncount},
    in_order::{InOrder, Next, SESSION_PIECES_MAX},
    inbox::Input,
    log_in::LogIn,
    page_stream,
    session::{CLOSING, CONFIRMED, LOGGING_IN, Mailed, Session, WELCOMED},
    shared::Shared,
    side_stream::write_frames,
};

/// Bytes taken from a stream at once.
const READ_BYTES: usize = 16 * 1024;
/// A stream begins with its kind.
const KIND_BYTES: u64 = 1;
/// A connection that ends waits this long for its last frames to be acknowledged.
const CLOSE_GRACE: Duration = Duration::from_secs(2);

/// A log-in that was not done in time is asked to wait this long, in ms.
const LATE_RETRY_MS: u64 = 3_000;
/// A connection too many of its address is asked to wait this long, in ms: others must end first.
const CROWDED_RETRY_MS: u64 = 10_000;

/// Counts a connection and its handshake, until both are over.
pub(crate) struct Handshake {
    shared: Arc<Shared>,
    done: bool,
    /// The address that was shown to be the client's.
    address: Option<Taken>,
}

impl Handshake {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        count(&shared.counts.accepted);
        count(&shared.counts.connections);
        count(&shared.counts.handshakes);
        Self {
            shared,
            done: false,
            address: None,
        }
    }

    /// The handshake is done, so the address is the client's. `false`: it has too many connections.
    fn confirm(&mut self, address: IpAddr) -> bool {
        self.finish();
        self.address = self.shared.addresses.take(address);
        self.address.is_some()
    }

    fn finish(&mut self) {
        if !std::mem::replace(&mut self.done, true) {
            uncount(&self.shared.counts.handshakes);
        }
    }
}

impl Drop for Handshake {
    fn drop(&mut self) {
        self.finish();
        uncount(&self.shared.counts.connections);
        self.shared.ended.notify_waiters();
    }
}

/// How a connection ended.
enum End {
    /// By us, with a code.
    Closed(Code),
    /// By the client, the network or the idle timeout; or the client broke its session stream off.
    Lost,
}

/// Takes a connection from its first packet to its end.
pub(crate) async fn run(incoming: Incoming, handshake: Handshake) {
    // Early data is read before the handshake is done; for a server this never fails.
    let Ok(Ok((connection, confirmed))) = incoming.accept().map(quinn::Connecting::into_0rtt)
    else {
        return;
    };
    let shared = handshake.shared.clone();
    let session = Session::new(
        shared.next_session(),
        connection.clone(),
        shared.inbox.clone(),
    );
    let mut peer = Peer {
        log_in: LogIn::new(shared.clone(), session.clone()),
        session: session.clone(),
        shared,
    };
    let end = serve(&mut peer, confirmed, handshake).await;
    // A connection that still stands ends with a code, whatever ended the work on it: without one it would end with 0, and only
    // when the last task that has a hand on it is gone. A session stream that its client reset or stopped is no session stream.
    let code = match end {
        End::Closed(code) => code,
        End::Lost => session.close_code().unwrap_or(Code::BadFrame),
    };
    close(&connection, code);
    session.end();
    // `peer.log_in` tells the node when it is dropped.
}

/// Closes with the code's number and name.
pub(crate) fn close(connection: &Connection, code: Code) {
    connection.close(
        VarInt::from_u32(u32::from(code.number())),
        code.key().as_bytes(),
    );
}

async fn serve(peer: &mut Peer, confirmed: ZeroRttAccepted, handshake: Handshake) -> End {
    let session = peer.session.clone();
    let shared = peer.shared.clone();
    let deadlines = watch_deadlines(
        &session,
        Duration::from_millis(shared.settings.limits.login_ms),
    );
    let talk = async {
        let Some((send, receive)) = accept_session(&session.connection).await else {
            return End::Lost;
        };
        tokio::select! {
            end = read_session(peer, receive) => end,
            end = write_session(&session, send) => end,
            end = accept_pages(&session, &shared) => end,
            end = read_datagrams(&session, &shared) => end,
        }
    };
    tokio::select! {
        end = talk => end,
        end = deadlines => end,
        end = confirm(&session, confirmed, handshake) => end,
    }
}

/// Waits for the session stream: the first one whose first byte says so.
async fn accept_session(connection: &Connection) -> Option<(SendStream, RecvStream)> {
    loop {
        let (mut send, mut receive) = connection.accept_bi().await.ok()?;
        let mut kind = [0];
        let read = receive.read_exact(&mut kind).await;
        if read.is_ok() && u16::from(kind[0]) == StreamKind::Session.number() {
            return Some((send, receive));
        }
        stop(&mut send, &mut receive);
    }
}

/// Ends a stream that this server does not know; the connection goes on.
pub(crate) fn stop(send: &mut SendStream, receive: &mut RecvStream) {
    let code = VarInt::from_u32(u32::from(Code::UnknownRequest.number()));
    let _ = receive.stop(code);
    let _ = send.reset(code);
}

/// Waits for the end of the handshake, tells the node, and then keeps the connection counted.
async fn confirm(session: &Session, confirmed: ZeroRttAccepted, mut handshake: Handshake) -> End {
    // The value means something to clients only.
    confirmed.await;
    if session.connection.close_reason().is_some() {
        return End::Lost;
    }
    if !handshake.confirm(session.connection.remote_address().ip()) {
        count(&handshake.shared.counts.refused);
        session.refuse(0, Code::Overloaded, CROWDED_RETRY_MS);
        session.close(Code::Overloaded);
        return std::future::pending().await;
    }
    session.confirm();
    std::future::pending().await
}

/// Ends who does not log in in time, and who does not take its last frames.
async fn watch_deadlines(session: &Session, log_in: Duration) -> End {
    let decided = session.wait_for(WELCOMED | CLOSING);
    if tokio::time::timeout(log_in, decided).await.is_err() {
        // Who asked in time is not to blame, and may come again.
        let (code, retry_after_ms) = if session.has(LOGGING_IN) {
            (Code::Overloaded, LATE_RETRY_MS)
        } else {
            (Code::NotLoggedIn, 0)
        };
        session.refuse(0, code, retry_after_ms);
        session.close(code);
    }
    session.wait_for(CLOSING).await;
    tokio::time::sleep(CLOSE_GRACE).await;
    End::Closed(session.close_code().unwrap_or(Code::NotLoggedIn))
}

async fn write_session(session: &Session, mut send: SendStream) -> End {
    loop {
        match session.next_mail().await {
            Mailed::Frames(frames) => {
                if write_frames(session, &mut send, frames).await.is_err() {
                    return End::Lost;
                }
            }
            Mailed::Close(code) => {
                // Closing at once would throw away what the client has not got yet.
                let _ = send.finish();
                let _ = send.stopped().await;
                return End::Closed(code);
            }
        }
    }
}

async fn accept_pages(session: &Arc<Session>, shared: &Arc<Shared>) -> End {
    loop {
        match session.connection.accept_bi().await {
            // Their number is bounded by the transport: a stream counts until its answer is out.
            Ok((send, receive)) => {
                tokio::spawn(page_stream::run(
                    session.clone(),
                    shared.clone(),
                    send,
                    receive,
                ));
            }
            Err(_) => return End::Lost,
        }
    }
}

async fn read_datagrams(session: &Session, shared: &Shared) -> End {
    loop {
        let Ok(datagram) = session.connection.read_datagram().await else {
            return End::Lost;
        };
        if !session.has(WELCOMED) || !session.has(CONFIRMED) || session.has(CLOSING) {
            continue;
        }
        let frame = RawFrame::from_datagram(&datagram).and_then(|raw| raw.client());
        match frame {
            Ok(frame) if frame.lane() == Lane::Datagram => {
                // What may be lost is lost first.
                if shared.inbox.try_reserve() {
                    shared.inbox.push(Input::Request {
                        session: session.key,
                        origin: Origin {
                            stream: 0,
                            request: 0,
                        },
                        frame,
                    });
                }
            }
            // What may be lost is no reason to end anything.
            Ok(_) | Err(_) => {}
        }
    }
}

/// Ends a connection whose bytes are not frames.
pub(crate) fn bad_frame(session: &Session, shared: &Shared, request: u32, code: Code) {
    count(&shared.counts.bad_frames);
    tracing::debug!(session = session.key, code = code.key(), "bad frame");
    session.refuse(request, code, 0);
    session.close(code);
}

/// Ends a connection that leaves more holes than a network does, or does not listen. At once: what comes meanwhile would be kept by
/// nobody who counts it.
pub(crate) fn break_off(session: &Session, shared: &Shared) {
    count(&shared.counts.bad_frames);
    tracing::debug!(
        session = session.key,
        "too many holes, or nothing acknowledged"
    );
    session.close(Code::TooManyRequests);
    close(&session.connection, Code::TooManyRequests);
}

/// The reading side of a connection.
struct Peer {
    session: Arc<Session>,
    shared: Arc<Shared>,
    log_in: LogIn,
}

async fn read_session(peer: &mut Peer, receive: RecvStream) -> End {
    let mut buffer = FrameBuffer::new(FRAME_BYTES_MAX);
    let session = peer.session.clone();
    let mut stream = InOrder::new(&session, receive, KIND_BYTES, SESSION_PIECES_MAX);
    let mut held = session.hold();
    loop {
        peer.session.may_read().await;
        if peer.session.has(CLOSING) {
            return std::future::pending().await;
        }
        let chunk = match stream.next(READ_BYTES).await {
            Next::Bytes(bytes) => bytes,
            Next::End => {
                // No more requests; answers still go out, until the client closes the connection.
                if let Err(error) = buffer.finish() {
                    bad_frame(&peer.session, &peer.shared, 0, error.code());
                }
                return std::future::pending().await;
            }
            Next::TooScattered | Next::Deaf => {
                break_off(&peer.session, &peer.shared);
                return std::future::pending().await;
            }
            Next::Gone => return End::Lost,
        };
        buffer.extend(&chunk);
        drop(chunk);
        loop {
            let raw = match buffer.next_frame() {
                Ok(Some(raw)) => raw,
                Ok(None) => break,
                Err(error) => {
                    bad_frame(&peer.session, &peer.shared, 0, error.code());
                    return std::future::pending().await;
                }
            };
            let request = raw.request;
            match raw.client() {
                Ok(frame) => {
                    if let Some(later) = peer.take(request, frame) {
                        later.await;
                    }
                }
                Err(error) => bad_frame(&peer.session, &peer.shared, request, error.code()),
            }
            peer.session.may_read().await;
            if peer.session.has(CLOSING) {
                return std::future::pending().await;
            }
        }
        held.set(buffer.held());
    }
}

impl Peer {
    /// Takes a frame of the session stream. `Some` is what it has to wait with: boxed, so that an idle connection has no room for it.
    fn take(&mut self, request: u32, frame: ClientFrame) -> Option<Pin<Box<dyn Later + '_>>> {
        let logged_in = self.session.has(WELCOMED);
        match frame {
            ClientFrame::Ping(ping) => {
                let now = self.shared.clock.now().wall_ms;
                let pong = Pong {
                    counter: ping.counter,
                    now,
                };
                self.session.send(request, &pong.into());
            }
            ClientFrame::Hello(_) | ClientFrame::Resume(_) if logged_in => {
                self.session.refuse(request, Code::ArgumentInvalid, 0);
            }
            ClientFrame::Hello(hello) => {
                self.session.set(LOGGING_IN);
                return Some(Box::pin(self.log_in.hello(request, hello)));
            }
            ClientFrame::Resume(resume) => {
                self.session.set(LOGGING_IN);
                return Some(Box::pin(self.log_in.resume(request, resume)));
            }
            _ if !logged_in => {
                self.session.refuse(request, Code::NotLoggedIn, 0);
                self.session.close(Code::NotLoggedIn);
            }
            ClientFrame::SetToken(token) => {
                return Some(Box::pin(self.log_in.set_token(request, token.token)));
            }
            ClientFrame::Unknown(_) if request == 0 => {}
            ClientFrame::Unknown(_) => self.session.refuse(request, Code::UnknownRequest, 0),
            frame if frame.lane() == Lane::Page => {
                // Its answer would hold up the chat: it has a stream of its own.
                self.session.refuse(request, Code::ArgumentInvalid, 0);
            }
            frame => {
                // Early data may be a replay: whatever changes something waits for the handshake.
                if self.session.has(CONFIRMED) && self.shared.inbox.try_reserve() {
                    self.push(request, frame);
                } else {
                    return Some(Box::pin(self.wait_and_push(request, frame)));
                }
            }
        }
        None
    }

    async fn wait_and_push(&self, request: u32, frame: ClientFrame) {
        self.session.wait_for(CONFIRMED | CLOSING).await;
        self.shared.inbox.reserve().await;
        self.push(request, frame);
    }

    /// Hands a request to the node; room is reserved.
    fn push(&self, request: u32, frame: ClientFrame) {
        let unanswered = matches!(frame, ClientFrame::Typing(_));
        if request != 0 && !unanswered {
            self.session.request_sent();
        }
        self.shared.inbox.push(Input::Request {
            session: self.session.key,
            origin: Origin { stream: 0, request },
            frame,
        });
    }
}

/// What a frame has to wait with.
trait Later: Future<Output = ()> + Send {}

impl<F: Future<Output = ()> + Send> Later for F {}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes<F>(_: impl Fn(Incoming, Handshake) -> F) -> usize {
        size_of::<F>()
    }

    #[test]
    fn an_idle_connection_is_small() {
        let task = bytes(run);
        let session = size_of::<Session>();
        println!("task {task} bytes, session {session} bytes");
        assert!(task <= 3_072, "{task} bytes");
        assert!(session <= 384, "{session} bytes");
    }
}
