//! Frames of clients and servers, datagrams, and streams in pieces. The first byte of an input says who reads the rest: 0 the server,
//! 1 a client, 2 both as a datagram, 3 both as a stream whose next byte is the size of the pieces.
#![no_main]

use bytes::Bytes;
use fireside_protocol::{
    ClientFrame, FrameBuffer, FrameError, RawFrame, ServerFrame,
    limits::{FRAME_BYTES_MAX, PAGE_FRAME_BYTES_MAX},
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((reader, bytes)) = data.split_first() else {
        return;
    };
    let input = Bytes::copy_from_slice(bytes);
    match reader % 4 {
        0 => client(RawFrame::from_bytes(&input, PAGE_FRAME_BYTES_MAX)),
        1 => server(RawFrame::from_bytes(&input, PAGE_FRAME_BYTES_MAX)),
        2 => {
            client(RawFrame::from_datagram(&input));
            server(RawFrame::from_datagram(&input));
        }
        _ => stream(&input),
    }
});

/// What was taken means the same after it is written and read again.
fn client(raw: Result<RawFrame, FrameError>) {
    let Ok(raw) = raw else { return };
    match raw.client() {
        Err(_) | Ok(ClientFrame::Unknown(_)) => {}
        Ok(value) => {
            let again = RawFrame::from_bytes(&value.encode(raw.request), PAGE_FRAME_BYTES_MAX);
            assert_eq!(again.and_then(|raw| raw.client()), Ok(value));
        }
    }
}

fn server(raw: Result<RawFrame, FrameError>) {
    let Ok(raw) = raw else { return };
    match raw.server() {
        Err(_) | Ok(ServerFrame::Unknown(_)) => {}
        Ok(value) => {
            let again = RawFrame::from_bytes(&value.encode(raw.request), PAGE_FRAME_BYTES_MAX);
            assert_eq!(again.and_then(|raw| raw.server()), Ok(value));
        }
    }
}

/// In pieces it gives the same frames and the same end as whole.
fn stream(input: &Bytes) {
    let Some((size, bytes)) = input.split_first() else {
        return;
    };
    let mut whole = FrameBuffer::new(FRAME_BYTES_MAX);
    whole.extend(bytes);
    let mut pieces = FrameBuffer::new(FRAME_BYTES_MAX);
    let mut rest = bytes.chunks(usize::from(*size).max(1));
    loop {
        let expected = whole.next_frame();
        let got = loop {
            match pieces.next_frame() {
                Ok(None) => match rest.next() {
                    Some(piece) => pieces.extend(piece),
                    None => break Ok(None),
                },
                other => break other,
            }
        };
        assert_eq!(got, expected);
        match got {
            Ok(Some(raw)) => {
                client(Ok(raw.clone()));
                server(Ok(raw));
            }
            Ok(None) => {
                assert_eq!(pieces.finish(), whole.finish());
                return;
            }
            Err(_) => return,
        }
    }
}
