//! What is kept as raw bytes and decoded later: entries, and the content of a message. The first byte of an input says which.
#![no_main]

use std::fmt::Debug;

use bytes::Bytes;
use fireside_protocol::{Entry, TextContent, Wire, decode, encode};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((which, bytes)) = data.split_first() else {
        return;
    };
    let input = Bytes::copy_from_slice(bytes);
    if which % 2 == 0 {
        value::<Entry>(&input);
    } else {
        value::<TextContent>(&input);
    }
});

fn value<T: Wire + PartialEq + Debug>(bytes: &Bytes) {
    if let Ok(value) = decode::<T>(bytes) {
        assert_eq!(decode::<T>(&encode(&value).into()).ok(), Some(value));
    }
}
