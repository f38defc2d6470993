//! A page stream: one request, its answer, the end. A task of its own, so that a big page holds up nothing.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use fireside_protocol::{
    ClientFrame, Code, FrameBuffer, FrameError, Lane, RawFrame, ServerFrame,
    frames::{Refused, StreamKind},
    limits::PAGE_REQUEST_BYTES_MAX,
};
use fireside_server_core::Origin;
use quinn::{RecvStream, SendStream};

use crate::{
    connection::{bad_frame, break_off, stop},
    in_order::{InOrder, Next, PAGE_PIECES_MAX},
    inbox::Input,
    session::{CLOSING, Session, WELCOMED},
    shared::Shared,
};

/// Pages give way to live entries.
const PAGE_PRIORITY: i32 = -1;
/// A request must be whole this long after its stream was opened.
const REQUEST_WAIT: Duration = Duration::from_secs(20);

pub(crate) async fn run(
    session: Arc<Session>,
    shared: Arc<Shared>,
    mut send: SendStream,
    receive: RecvStream,
) {
    let mut stream = InOrder::new(&session, receive, 0, PAGE_PIECES_MAX);
    let read = tokio::time::timeout(REQUEST_WAIT, read_request(&session, &mut stream)).await;
    let mut receive = stream.into_inner();
    let raw = match read {
        Ok(Read::Request(raw)) => raw,
        Ok(Read::Bad(error)) => {
            bad_frame(&session, &shared, 0, error.code());
            return;
        }
        Ok(Read::BreakOff) => {
            break_off(&session, &shared);
            return;
        }
        Ok(Read::Gone) => return,
        // A later client's stream, or a request that does not come to its end.
        Ok(Read::OtherKind) | Err(_) => {
            stop(&mut send, &mut receive);
            return;
        }
    };
    drop(receive);
    let request = raw.request;
    let frame = match raw.client() {
        Ok(frame) if frame.lane() == Lane::Page => frame,
        Ok(_) => {
            answer(&mut send, refusal(request, Code::UnknownRequest)).await;
            return;
        }
        Err(error) => {
            // Where the client waits for it; its id means nothing on the session stream.
            answer(&mut send, refusal(request, error.code())).await;
            bad_frame(&session, &shared, 0, error.code());
            return;
        }
    };
    // Reads may come in the same flight as the log-in; that one has a deadline.
    session.wait_for(WELCOMED | CLOSING).await;
    if session.has(CLOSING) {
        return;
    }
    ask(&session, &shared, &mut send, request, frame).await;
}

/// What came on a page stream.
enum Read {
    Request(RawFrame),
    OtherKind,
    Bad(FrameError),
    BreakOff,
    Gone,
}

/// Reads the stream's kind and its only frame; a length over the limit is not waited for.
async fn read_request(session: &Session, stream: &mut InOrder<'_>) -> Read {
    let (mut buffer, mut held) = (FrameBuffer::new(PAGE_REQUEST_BYTES_MAX), session.hold());
    let (mut kind, mut frame) = (None, None);
    loop {
        let bytes = match stream.next(PAGE_REQUEST_BYTES_MAX).await {
            Next::Bytes(bytes) => bytes,
            Next::End if kind.is_none() => return Read::Gone,
            // Nothing at all is a frame that is cut, too.
            Next::End => return frame.map_or(Read::Bad(FrameError::Cut), Read::Request),
            Next::TooScattered | Next::Deaf => return Read::BreakOff,
            Next::Gone => return Read::Gone,
        };
        let mut rest = &*bytes;
        if kind.is_none() {
            let Some((first, after)) = rest.split_first() else {
                continue;
            };
            if u16::from(*first) != StreamKind::Page.number() {
                return Read::OtherKind;
            }
            (kind, rest) = (Some(*first), after);
        }
        buffer.extend(rest);
        held.set(buffer.held());
        if frame.is_none() {
            match buffer.next_frame() {
                Ok(next) => frame = next,
                Err(error) => return Read::Bad(error),
            }
        }
        if frame.is_some() && buffer.held() > 0 {
            return Read::Bad(FrameError::Cut);
        }
    }
}

async fn ask(
    session: &Session,
    shared: &Shared,
    send: &mut SendStream,
    request: u32,
    frame: ClientFrame,
) {
    // What waits for its turn is a small request, what is under way a page.
    let mut turn = session.page_turn(false).await;
    let Some(mut page) = read(session, shared, send, request, frame.clone()).await else {
        return;
    };
    if is_overloaded(&page) {
        // Most likely it found no room beside another: alone it has. If the node has too much to do it says so again.
        session.sent(1, page.len());
        drop(turn);
        turn = session.page_turn(true).await;
        let Some(again) = read(session, shared, send, request, frame).await else {
            return;
        };
        page = again;
    }
    let bytes = page.len();
    let _ = send.set_priority(PAGE_PRIORITY);
    answer(send, page).await;
    session.sent(1, bytes);
    drop(turn);
}

/// What the node answers; `None`: the session ends.
async fn read(
    session: &Session,
    shared: &Shared,
    send: &SendStream,
    request: u32,
    frame: ClientFrame,
) -> Option<Bytes> {
    // The session stream is 0, so this is not.
    let stream = send.id().index();
    shared.inbox.reserve().await;
    if session.has(CLOSING) {
        // Room was taken that no input gives back.
        shared.inbox.unreserve();
        return None;
    }
    let expected = session.expect_page(stream);
    shared.inbox.push(Input::Request {
        session: session.key,
        origin: Origin { stream, request },
        frame,
    });
    expected.await.ok()
}

fn is_overloaded(frame: &[u8]) -> bool {
    const REFUSED_BYTES_MAX: usize = 512;
    if frame.len() > REFUSED_BYTES_MAX {
        return false;
    }
    let mut buffer = FrameBuffer::new(REFUSED_BYTES_MAX);
    buffer.extend(frame);
    let Ok(Some(raw)) = buffer.next_frame() else {
        return false;
    };
    matches!(raw.server(), Ok(ServerFrame::Refused(refused)) if refused.code() == Code::Overloaded)
}

async fn answer(send: &mut SendStream, frame: Bytes) {
    // The client may have stopped the stream: then nobody waits.
    if send.write_chunk(frame).await.is_ok() {
        let _ = send.finish();
    }
}

fn refusal(request: u32, code: Code) -> Bytes {
    ServerFrame::from(Refused::new(code)).encode(request)
}
