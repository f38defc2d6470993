//! Frames: u32 length of the rest, one byte of kind, then by kind; numbers are big-endian.

use anyhow::ensure;
use bytes::{Buf, BufMut, Bytes, BytesMut};

/// To the relay: u32 who I am, u32 the group I am in (0 none).
pub(crate) const HELLO: u8 = 1;
/// To the relay: u32 target, u64 name, payload.
pub(crate) const SEND: u8 = 2;
/// From the relay: u64 name, u64 sequence.
pub(crate) const ACK: u8 = 3;
/// From the relay: u32 sender, u32 target, u64 sequence, payload.
pub(crate) const DELIVER: u8 = 4;
/// A target with this bit is a group.
pub(crate) const GROUP: u32 = 1 << 31;
/// Frames over this end the connection.
const FRAME_BYTES_MAX: usize = 64 * 1024;

/// Appends a hello.
pub(crate) fn put_hello(out: &mut BytesMut, who: u32, group: u32) {
    out.put_u32(9);
    out.put_u8(HELLO);
    out.put_u32(who);
    out.put_u32(group);
}

/// Appends a payload for the relay.
pub(crate) fn put_send(out: &mut BytesMut, target: u32, name: u64, payload: &[u8]) {
    out.put_u32(13 + payload.len() as u32);
    out.put_u8(SEND);
    out.put_u32(target);
    out.put_u64(name);
    out.put_slice(payload);
}

/// Appends an acknowledgement.
pub(crate) fn put_ack(out: &mut BytesMut, name: u64, sequence: u64) {
    out.put_u32(17);
    out.put_u8(ACK);
    out.put_u64(name);
    out.put_u64(sequence);
}

/// Appends a payload for a reader.
pub(crate) fn put_deliver(
    out: &mut BytesMut,
    sender: u32,
    target: u32,
    sequence: u64,
    payload: &[u8],
) {
    out.put_u32(17 + payload.len() as u32);
    out.put_u8(DELIVER);
    out.put_u32(sender);
    out.put_u32(target);
    out.put_u64(sequence);
    out.put_slice(payload);
}

/// Cuts a stream into frames; whole frames in a chunk are slices of it.
#[derive(Debug, Default)]
pub(crate) struct Cutter {
    rest: BytesMut,
}

impl Cutter {
    /// Calls `take(kind, body)` for each whole frame.
    pub(crate) fn cut(
        &mut self,
        chunk: Bytes,
        mut take: impl FnMut(u8, Bytes) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let mut bytes = if self.rest.is_empty() {
            chunk
        } else {
            self.rest.extend_from_slice(&chunk);
            std::mem::take(&mut self.rest).freeze()
        };
        while let Some(head) = bytes.first_chunk::<4>() {
            let length = u32::from_be_bytes(*head) as usize;
            ensure!(
                (1..=FRAME_BYTES_MAX).contains(&length),
                "a frame of {length} bytes"
            );
            if bytes.len() < 4 + length {
                break;
            }
            let mut frame = bytes.split_to(4 + length);
            frame.advance(4);
            let kind = frame.get_u8();
            take(kind, frame)?;
        }
        if !bytes.is_empty() {
            self.rest = BytesMut::from(&bytes[..]);
        }
        Ok(())
    }
}

/// Fills a payload: u64 stamp, u64 counter, u64 sender, then bytes that follow from the counter.
pub(crate) fn fill(payload: &mut [u8], stamp: u64, counter: u64, sender: u64) {
    let (mut head, tail) = payload.split_at_mut(24);
    head.put_u64(stamp);
    head.put_u64(counter);
    head.put_u64(sender);
    tail.fill(counter as u8);
}

/// Reads a payload back and checks its bytes: (stamp, counter, sender).
pub(crate) fn check(payload: &[u8], length: usize) -> anyhow::Result<(u64, u64, u64)> {
    ensure!(
        payload.len() == length,
        "a payload of {} bytes",
        payload.len()
    );
    let (mut head, tail) = payload.split_at(24);
    let (stamp, counter, sender) = (head.get_u64(), head.get_u64(), head.get_u64());
    ensure!(
        tail.iter().all(|byte| *byte == counter as u8),
        "a payload was changed"
    );
    Ok((stamp, counter, sender))
}
