//! A page stream: one request, its answer, the end. A task of its own, so that a big page holds up nothing.

use std::sync::Arc;

use bytes::Bytes;
use fireside_protocol::{
    ClientFrame, Code, FrameBuffer, FrameError, Lane, RawFrame, ServerFrame,
    frames::{Refused, StreamKind},
    limits::FRAME_BYTES_MAX,
};
use fireside_server_core::Origin;
use quinn::{RecvStream, SendStream};

use crate::{
    connection::{READ_BYTES, bad_frame, stop},
    inbox::Input,
    session::{CLOSING, Session, WELCOMED},
    shared::Shared,
};

/// Pages give way to live entries.
const PAGE_PRIORITY: i32 = -1;

pub(crate) async fn run(
    session: Arc<Session>,
    shared: Arc<Shared>,
    mut send: SendStream,
    mut receive: RecvStream,
) {
    let mut kind = [0];
    if receive.read_exact(&mut kind).await.is_err() {
        return;
    }
    if u16::from(kind[0]) != StreamKind::Page.number() {
        // A later client's stream.
        stop(&mut send, &mut receive);
        return;
    }
    let raw = match read_frame(&mut receive).await {
        Some(Ok(raw)) => raw,
        Some(Err(error)) => {
            bad_frame(&session, &shared, 0, error.code());
            return;
        }
        None => return,
    };
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

/// The only frame of the stream; none if the client gave up. A length over the limit is not waited for.
async fn read_frame(receive: &mut RecvStream) -> Option<Result<RawFrame, FrameError>> {
    let mut buffer = FrameBuffer::new(FRAME_BYTES_MAX);
    let mut frame = None;
    loop {
        let Some(chunk) = receive.read_chunk(READ_BYTES, true).await.ok()? else {
            // Nothing at all is a frame that is cut, too.
            return Some(frame.ok_or(FrameError::Cut));
        };
        buffer.extend(&chunk.bytes);
        if frame.is_none() {
            match buffer.next_frame() {
                Ok(next) => frame = next,
                Err(error) => return Some(Err(error)),
            }
        }
        if frame.is_some() && buffer.held() > 0 {
            return Some(Err(FrameError::Cut));
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
    // The session stream is 0, so this is not.
    let stream = send.id().index();
    shared.inbox.reserve().await;
    if session.has(CLOSING) {
        // Room was taken that no input gives back.
        shared.inbox.unreserve();
        return;
    }
    let expected = session.expect_page(stream);
    shared.inbox.push(Input::Request {
        session: session.key,
        origin: Origin { stream, request },
        frame,
    });
    let Ok(frame) = expected.await else {
        return;
    };
    let bytes = frame.len();
    let _ = send.set_priority(PAGE_PRIORITY);
    answer(send, frame).await;
    session.sent(1, bytes);
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
