//! What runs on a connection: the session stream, page streams, the server's one-way streams, datagrams.

use std::{pin::Pin, sync::atomic::Ordering};

use bytes::Bytes;
use fireside_client_core::LinkEvent;
use fireside_protocol::{
    FrameBuffer, RawFrame,
    frames::StreamKind,
    limits::{FRAME_BYTES_MAX, PAGE_FRAME_BYTES_MAX},
};
use quinn::{Connection, RecvStream, SendStream, VarInt};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
};

use super::{End, Input, Outgoing, Output, Shared};
use crate::limits::PAGE_STREAMS_MAX;

/// A task that has the type of all others: each kind is code of the runtime again.
pub(super) type Boxed = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Bytes taken from a stream at once.
const READ_BYTES: usize = 64 * 1024;
/// Frames written at once.
const WRITE_BATCH: usize = 64;

/// Carries frames both ways until a part of the link ends.
pub(super) async fn serve(
    connection: &Connection,
    shared: &Shared,
    output: &Output,
    session: &mut mpsc::UnboundedReceiver<Outgoing>,
    pages: &mut mpsc::Receiver<Outgoing>,
    epoch: u32,
) -> End {
    let (opened, incoming) = oneshot::channel();
    tokio::select! {
        end = read_session(connection, incoming, output) => end,
        end = write_session(connection, shared, session, epoch, opened) => end,
        end = run_pages(connection, pages, epoch, output) => end,
        end = accept_streams(connection, output) => end,
        end = read_datagrams(connection, output) => end,
    }
}

/// What the others do when the connection ends: what the server said last is still to be read from the session stream.
async fn leave_end_to_reader(connection: &Connection, reason: String) -> End {
    if connection.close_reason().is_some() {
        std::future::pending::<()>().await;
    }
    Some(reason)
}

async fn write_session(
    connection: &Connection,
    shared: &Shared,
    frames: &mut mpsc::UnboundedReceiver<Outgoing>,
    epoch: u32,
    opened: oneshot::Sender<RecvStream>,
) -> End {
    let mut stream: Option<SendStream> = None;
    let mut opened = Some(opened);
    let mut taken = Vec::with_capacity(WRITE_BATCH);
    loop {
        taken.clear();
        if frames.recv_many(&mut taken, WRITE_BATCH).await == 0 {
            // The driver let go of the link and will abort this task.
            std::future::pending::<()>().await;
        }
        let bytes: usize = taken.iter().map(|outgoing| outgoing.frame.len()).sum();
        let mut chunks: Vec<Bytes> = Vec::with_capacity(taken.len() + 1);
        if stream.is_none() {
            chunks.push(stream_kind(StreamKind::Session));
        }
        chunks.extend(
            taken
                .drain(..)
                .filter(|outgoing| outgoing.epoch == epoch)
                .map(|outgoing| outgoing.frame),
        );
        let open = match stream.take() {
            Some(open) => open,
            None => match connection.open_bi().await {
                Ok((send, receive)) => {
                    let _ = opened.take().map(|opened| opened.send(receive));
                    let _ = send.set_priority(1);
                    send
                }
                Err(error) => return leave_end_to_reader(connection, error.to_string()).await,
            },
        };
        let open = stream.insert(open);
        if let Err(error) = open.write_all_chunks(&mut chunks).await {
            return leave_end_to_reader(connection, error.to_string()).await;
        }
        shared.queued.fetch_sub(bytes, Ordering::Relaxed);
    }
}

async fn read_session(
    connection: &Connection,
    incoming: oneshot::Receiver<RecvStream>,
    output: &Output,
) -> End {
    let stream = tokio::select! {
        stream = incoming => stream,
        _ = connection.closed() => return None,
    };
    let Ok(stream) = stream else {
        connection.closed().await;
        return None;
    };
    read_frames(stream, FRAME_BYTES_MAX, output)
        .await
        .err()
        .or_else(|| Some("the server ended the session stream".to_owned()))
}

/// Reads frames until the stream ends. `Ok` with their number: it ended between two of them.
async fn read_frames(
    mut stream: RecvStream,
    frame_bytes_max: usize,
    output: &Output,
) -> Result<usize, String> {
    let mut buffer = FrameBuffer::new(frame_bytes_max);
    let mut frames = 0;
    loop {
        let chunk = stream
            .read_chunk(READ_BYTES, true)
            .await
            .map_err(|error| error.to_string())?;
        let Some(chunk) = chunk else { break };
        buffer.extend(&chunk.bytes);
        loop {
            match buffer.next_frame() {
                Ok(Some(frame)) => {
                    frames += 1;
                    output.send(Input::Frame(Ok(frame))).await;
                }
                Ok(None) => break,
                Err(error) => {
                    output.send(Input::Frame(Err(error))).await;
                    return Err(error.to_string());
                }
            }
        }
    }
    if let Err(error) = buffer.finish() {
        output.send(Input::Frame(Err(error))).await;
        return Err(error.to_string());
    }
    Ok(frames)
}

async fn run_pages(
    connection: &Connection,
    requests: &mut mpsc::Receiver<Outgoing>,
    epoch: u32,
    output: &Output,
) -> End {
    let mut running = JoinSet::new();
    loop {
        let request = tokio::select! {
            Some(_) = running.join_next() => continue,
            request = requests.recv(), if running.len() < PAGE_STREAMS_MAX => request,
        };
        let Some(request) = request else {
            std::future::pending::<()>().await;
            continue;
        };
        if request.epoch != epoch {
            continue;
        }
        let (connection, output) = (connection.clone(), output.clone());
        let asking: Boxed = Box::pin(async move {
            let name = request.request;
            if let Err(reason) = ask_page(&connection, request.frame, &output).await {
                tracing::debug!(request = name, reason, "page request lost");
                if connection.close_reason().is_none() {
                    output.event(LinkEvent::RequestLost { request: name }).await;
                }
            }
        });
        running.spawn(asking);
    }
}

async fn ask_page(connection: &Connection, frame: Bytes, output: &Output) -> Result<(), String> {
    let (mut send, receive) = connection
        .open_bi()
        .await
        .map_err(|error| error.to_string())?;
    send.write_all_chunks(&mut [stream_kind(StreamKind::Page), frame])
        .await
        .map_err(|error| error.to_string())?;
    send.finish().map_err(|error| error.to_string())?;
    match read_frames(receive, PAGE_FRAME_BYTES_MAX, output).await? {
        0 => Err("no answer".to_owned()),
        _ => Ok(()),
    }
}

async fn accept_streams(connection: &Connection, output: &Output) -> End {
    let mut running = JoinSet::new();
    loop {
        let stream = tokio::select! {
            Some(_) = running.join_next() => continue,
            stream = connection.accept_uni() => stream,
        };
        match stream {
            // The transport's own limit bounds how many there are.
            Ok(stream) => {
                let reading: Boxed = Box::pin(read_one_way(stream, output.clone()));
                running.spawn(reading)
            }
            Err(error) => return leave_end_to_reader(connection, error.to_string()).await,
        };
    }
}

async fn read_one_way(mut stream: RecvStream, output: Output) {
    let mut kind = [0];
    if stream.read_exact(&mut kind).await.is_err() {
        return;
    }
    let limit = match StreamKind::from_number(u16::from(kind[0])) {
        StreamKind::Crowd => FRAME_BYTES_MAX,
        StreamKind::Sync => PAGE_FRAME_BYTES_MAX,
        // A later server's: it is told that nobody listens.
        _ => {
            let _ = stream.stop(VarInt::from_u32(0));
            return;
        }
    };
    if let Err(reason) = read_frames(stream, limit, &output).await {
        tracing::debug!(reason, "one-way stream ended");
    }
}

async fn read_datagrams(connection: &Connection, output: &Output) -> End {
    loop {
        match connection.read_datagram().await {
            Ok(datagram) => {
                output
                    .send(Input::Frame(RawFrame::from_datagram(&datagram)))
                    .await;
            }
            Err(error) => return leave_end_to_reader(connection, error.to_string()).await,
        }
    }
}

fn stream_kind(kind: StreamKind) -> Bytes {
    match kind {
        StreamKind::Session => Bytes::from_static(&[1]),
        StreamKind::Page => Bytes::from_static(&[2]),
        other => Bytes::copy_from_slice(&[other.number() as u8]),
    }
}
