//! Properties of the codec over random bodies of every frame, and over random bytes.
#![expect(clippy::unwrap_used, reason = "tests")]

use bytes::Bytes;
use fireside_protocol::{
    ClientFrame, FrameBuffer, FrameError, RawFrame, ServerFrame, UserId,
    codec::{DecodeError, Field, Key, Raw, Wire, decode, encode},
    envelope::encode_frame,
    frames::{FrameInfo, Ping, Read, Refused},
    limits::{DEPTH_MAX, FRAME_BYTES_MAX, KEY_BYTES_MAX, LIST_ITEMS_MAX, PAGE_FRAME_BYTES_MAX},
    schema::{ENUMS, RECORDS},
};
use proptest::prelude::*;
use rmpv::Value;

/// SplitMix64: a seed shrinks to a smaller seed, which is as good as any other.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// A number that needs any count of bytes alike.
    fn number(&mut self, bits: u32) -> u64 {
        let width = self.below(u64::from(bits)) as u32 + 1;
        self.next() >> (64 - width)
    }

    fn bytes(&mut self, len: u64) -> Vec<u8> {
        (0..len).map(|_| self.next() as u8).collect()
    }

    fn text(&mut self, max: u64) -> String {
        let letters = ['a', 'é', '陈', '🎉', ' '];
        (0..self.below(max) + 1)
            .map(|_| letters[self.below(5) as usize])
            .collect()
    }
}

/// A random value of a field's type, in the shortest format.
fn random_value(random: &mut Random, kind: &str) -> Value {
    if let Some(inner) = kind
        .strip_prefix("Option<")
        .and_then(|rest| rest.strip_suffix('>'))
    {
        return random_value(random, inner);
    }
    if let Some(inner) = kind
        .strip_prefix("Vec<")
        .and_then(|rest| rest.strip_suffix('>'))
    {
        return (0..random.below(20) + 1)
            .map(|_| random_value(random, inner))
            .collect();
    }
    if let Some(inner) = kind
        .strip_prefix("Box<")
        .and_then(|rest| rest.strip_suffix('>'))
    {
        return random_value(random, inner);
    }
    match kind {
        "ConversationId" | "DeviceId" | "FolderId" | "Nonce" | "LinkCode" => {
            Value::Binary(random.bytes(16))
        }
        "UserId" => Value::from(random.text(16)),
        "bool" => Value::from(true),
        "String" => Value::from(random.text(100)),
        "Bytes" => {
            let len = random.number(10);
            Value::Binary(random.bytes(len.max(1)))
        }
        "Raw" => random_record(random, "Entry"),
        "u8" => Value::from(random.number(8).max(1)),
        "u16" => Value::from(random.number(16).max(1)),
        "u32" => Value::from(random.number(32).max(1)),
        "u64" | "Sequence" | "Ordinal" | "Rev" | "UserSequence" | "WallMs" => {
            Value::from(random.number(64).max(1))
        }
        name if ENUMS.iter().any(|info| info.name == name) => Value::from(random.number(16)),
        name => random_record(random, name),
    }
}

fn random_map(random: &mut Random, fields: &[Field]) -> Value {
    let mut map = Vec::new();
    for field in fields {
        if field.required || random.below(2) == 0 {
            map.push((
                Value::from(field.key),
                random_value(random, &field.kind.replace(' ', "")),
            ));
        }
    }
    Value::Map(map)
}

fn random_record(random: &mut Random, name: &str) -> Value {
    let info = RECORDS.iter().find(|record| record.name == name);
    random_map(
        random,
        info.unwrap_or_else(|| panic!("no record {name}")).fields,
    )
}

fn bytes_of(value: &Value) -> Bytes {
    let mut out = Vec::new();
    rmpv::encode::write_value(&mut out, value).unwrap();
    out.into()
}

/// Any frame of either side, and whether it is the client's.
fn random_frame(random: &mut Random) -> (bool, &'static FrameInfo) {
    let all = ClientFrame::TABLE.len() + ServerFrame::TABLE.len();
    let index = random.below(all as u64) as usize;
    match ClientFrame::TABLE.get(index) {
        Some(info) => (true, info),
        None => (false, &ServerFrame::TABLE[index - ClientFrame::TABLE.len()]),
    }
}

/// Decodes and encodes again.
fn again(client: bool, kind: u16, body: &Bytes) -> Result<Vec<u8>, DecodeError> {
    let mut out = Vec::new();
    if client {
        ClientFrame::decode(kind, body)?.write_body(&mut out);
    } else {
        ServerFrame::decode(kind, body)?.write_body(&mut out);
    }
    Ok(out)
}

/// Puts an unknown field with a random value somewhere into one of the maps of a body.
fn inject(random: &mut Random, value: &mut Value) -> bool {
    match value {
        Value::Map(fields) if random.below(2) == 0 => {
            let at = random.below(fields.len() as u64 + 1) as usize;
            let junk = match random.below(5) {
                0 => Value::Nil,
                1 => Value::from(-5),
                2 => Value::from(1.5),
                3 => Value::Ext(-1, random.bytes(12)),
                _ => Value::Array(vec![Value::Map(vec![(Value::from(1), Value::from("x"))])]),
            };
            fields.insert(at, (Value::from("zz"), junk));
            true
        }
        Value::Map(fields) => fields.iter_mut().any(|(_, value)| inject(random, value)),
        Value::Array(items) => items.iter_mut().any(|item| inject(random, item)),
        _ => false,
    }
}

/// Mixes the fields of the outermost map.
fn shuffle(random: &mut Random, value: &mut Value) {
    if let Value::Map(fields) = value {
        for end in (1..fields.len()).rev() {
            fields.swap(end, random.below(end as u64 + 1) as usize);
        }
    }
}

/// Whether it holds entries as raw values: those are kept byte for byte, unknown fields included.
fn has_raw(info: &FrameInfo) -> bool {
    info.fields.iter().any(|field| field.kind.contains("Raw"))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_body_of_any_frame_survives_byte_for_byte(seed in any::<u64>()) {
        let mut random = Random(seed);
        let (client, info) = random_frame(&mut random);
        let body = bytes_of(&random_map(&mut random, info.fields));
        let got = again(client, info.kind, &body);
        prop_assert_eq!(got.as_deref(), Ok(body.as_ref()), "{}", info.name);
    }

    #[test]
    fn unknown_fields_and_another_order_change_nothing(seed in any::<u64>()) {
        let mut random = Random(seed);
        let (client, info) = random_frame(&mut random);
        let mut body = random_map(&mut random, info.fields);
        let plain = bytes_of(&body);
        shuffle(&mut random, &mut body);
        if !has_raw(info) {
            inject(&mut random, &mut body);
        }
        let got = again(client, info.kind, &bytes_of(&body));
        prop_assert_eq!(got.as_deref(), Ok(plain.as_ref()), "{}", info.name);
    }

    #[test]
    fn what_is_taken_is_one_whole_value_of_messagepack(seed in any::<u64>(), flips in 0u64..6) {
        let mut random = Random(seed);
        let (client, info) = random_frame(&mut random);
        let mut body = bytes_of(&random_map(&mut random, info.fields)).to_vec();
        for _ in 0..flips {
            let at = random.below(body.len() as u64) as usize;
            body[at] ^= 1 << random.below(8);
        }
        let body = Bytes::from(body);
        if let Ok(written) = again(client, info.kind, &body) {
            let mut rest = body.as_ref();
            prop_assert!(rmpv::decode::read_value(&mut rest).is_ok(), "{}: {:02x?}", info.name, body);
            prop_assert!(rest.is_empty());
            // And what was written is its own image.
            let written = Bytes::from(written);
            let twice = again(client, info.kind, &written);
            prop_assert_eq!(twice.as_deref(), Ok(written.as_ref()), "{}", info.name);
        }
    }

    #[test]
    fn random_bytes_are_read_as_others_read_them(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let bytes = Bytes::from(bytes);
        if let Ok(raw) = decode::<Raw>(&bytes) {
            let mut rest = bytes.as_ref();
            prop_assert!(rmpv::decode::read_value(&mut rest).is_ok());
            prop_assert!(rest.is_empty());
            prop_assert_eq!(raw.0, bytes);
        }
    }

    #[test]
    fn integers_are_written_short_and_read_in_any_format(value in any::<u64>(), shift in 0u32..64) {
        let value = value >> shift;
        prop_assert_eq!(encode(&value), bytes_of(&Value::from(value)).to_vec());
        let wide = [&[0xcf], value.to_be_bytes().as_slice()].concat();
        prop_assert_eq!(decode::<u64>(&wide.into()), Ok(value));
        let signed = Bytes::from([&[0xd3], value.to_be_bytes().as_slice()].concat());
        let expected = if value >> 63 == 0 { Ok(value) } else { Err(DecodeError::OutOfRange) };
        prop_assert_eq!(decode::<u64>(&signed), expected);
        let narrow = decode::<u16>(&encode(&value).into());
        prop_assert_eq!(narrow, u16::try_from(value).map_err(|_| DecodeError::OutOfRange));
    }

    #[test]
    fn a_stream_in_any_pieces_gives_the_same_frames(seed in any::<u64>()) {
        let mut random = Random(seed);
        let mut stream = Vec::new();
        let mut sent = Vec::new();
        for request in 0..random.below(8) as u32 {
            let (_, info) = random_frame(&mut random);
            let body = bytes_of(&random_map(&mut random, info.fields));
            stream.extend_from_slice(&encode_frame(info.kind, request, |out| out.extend_from_slice(&body)));
            sent.push(RawFrame { kind: info.kind, request, body });
        }
        let mut buffer = FrameBuffer::new(PAGE_FRAME_BYTES_MAX);
        let mut got = Vec::new();
        let mut rest = stream.as_slice();
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(random.below(rest.len() as u64) as usize + 1);
            buffer.extend(piece);
            rest = after;
            while let Some(frame) = buffer.next_frame().unwrap() {
                got.push(frame);
            }
        }
        prop_assert_eq!(buffer.finish(), Ok(()));
        prop_assert_eq!(got, sent);
    }
}

fn read_frame() -> Bytes {
    let user = UserId::new("anna").unwrap();
    ClientFrame::Read(Read {
        conversation: fireside_protocol::ConversationId::direct(&user, &user),
        upto: 77,
        nonce: fireside_protocol::Nonce::new(1, [2; 10]),
    })
    .encode(5)
}

#[test]
fn a_stream_cut_at_every_byte_waits_and_then_is_cut() {
    let frame = read_frame();
    for cut in 0..=frame.len() {
        let mut buffer = FrameBuffer::new(FRAME_BYTES_MAX);
        buffer.extend(&frame[..cut]);
        let whole = cut == frame.len();
        assert_eq!(
            buffer.next_frame().unwrap().is_some(),
            whole,
            "cut at {cut}"
        );
        let end = if cut == 0 || whole {
            Ok(())
        } else {
            Err(FrameError::Cut)
        };
        assert_eq!(buffer.finish(), end, "cut at {cut}");
        assert_eq!(
            RawFrame::from_datagram(&frame.slice(..cut)).is_ok(),
            whole,
            "cut at {cut}"
        );
        if whole {
            assert_eq!(buffer.held(), 0);
            continue;
        }
        // The rest makes it whole.
        buffer.extend(&frame[cut..]);
        assert_eq!(
            buffer
                .next_frame()
                .unwrap()
                .unwrap()
                .client()
                .unwrap()
                .encode(5),
            frame
        );
    }
}

#[test]
fn a_body_cut_at_every_byte_is_refused() {
    let frame = read_frame();
    let body = frame.slice(10..);
    for cut in 0..body.len() {
        assert!(
            ClientFrame::decode(19, &body.slice(..cut)).is_err(),
            "cut at {cut}"
        );
    }
    let longer = Bytes::from([body.as_ref(), &[0xc0]].concat());
    assert_eq!(ClientFrame::decode(19, &longer), Err(DecodeError::Trailing));
}

#[test]
fn a_length_is_judged_before_its_bytes_come() {
    for (head, error) in [
        ([0, 0, 0, 0], FrameError::TooShort(4)),
        ([0, 0, 0, 5], FrameError::TooShort(9)),
        (
            [0, 0, 0xff, 0xfd],
            FrameError::TooLarge(FRAME_BYTES_MAX + 1, FRAME_BYTES_MAX),
        ),
    ] {
        let mut buffer = FrameBuffer::new(FRAME_BYTES_MAX);
        buffer.extend(&head);
        assert_eq!(buffer.next_frame(), Err(error));
        // And again: a stream does not recover.
        assert_eq!(buffer.next_frame(), Err(error));
    }
    let mut buffer = FrameBuffer::new(FRAME_BYTES_MAX);
    buffer.extend(&[0, 0, 0xff, 0xfc]);
    assert_eq!(buffer.next_frame(), Ok(None));
    assert_eq!(
        RawFrame::from_datagram(&Bytes::from(vec![0; 2_000])),
        Err(FrameError::TooShort(4))
    );
    let large = encode_frame(21, 0, |out| out.extend_from_slice(&[0xc0; 991]));
    assert_eq!(
        RawFrame::from_datagram(&large),
        Err(FrameError::TooLarge(1_001, 1_000))
    );
}

#[test]
fn errors_name_what_is_wrong() {
    let ping = |body: &[u8]| decode::<Ping>(&Bytes::copy_from_slice(body)).unwrap_err();
    assert_eq!(
        ping(b"\x82\xa1q\x01\xa1q\x01"),
        DecodeError::Doubled(Key::new("q"))
    );
    assert_eq!(ping(b"\x81\xa1q\x01\x00"), DecodeError::Trailing);
    assert_eq!(ping(b"\x81\xa1q"), DecodeError::Truncated);
    assert_eq!(ping(b"\x81\xa1q\xc3"), DecodeError::WrongType(0xc3));
    assert_eq!(ping(b"\x81\xa1q\xd0\xff"), DecodeError::OutOfRange);
    assert_eq!(ping(b"\xdf\x00\x00\x00\x41\xa1q\x01"), DecodeError::TooMany);
    assert_eq!(ping(b"\x81\xa1?\xc1"), DecodeError::WrongType(0xc1));
    assert_eq!(ping(b"\x81\xa1?\xa1\xff"), DecodeError::NotUtf8);
    let read = decode::<Read>(&Bytes::from_static(b"\x80")).unwrap_err();
    assert_eq!(read, DecodeError::Missing(Key::new("c")));
    let doubled_nil = b"\x83\xa1e\x01\xa1i\xc0\xa1i\xc0";
    assert_eq!(
        decode::<Refused>(&Bytes::from_static(doubled_nil)),
        Err(DecodeError::Doubled(Key::new("i")))
    );
    let nil = decode::<Refused>(&Bytes::from_static(b"\x82\xa1e\x01\xa1i\xc0")).unwrap();
    assert_eq!(nil.nonce, None);
    let long_key = [
        b"\x81\xd9\x21".as_slice(),
        &[b'k'; KEY_BYTES_MAX + 1],
        b"\x01",
    ]
    .concat();
    assert_eq!(ping(&long_key), DecodeError::OutOfRange);
}

#[test]
fn depth_is_counted_through_known_and_unknown_fields() {
    let nested = |levels: usize| {
        let mut body = b"\x81\xa1?".to_vec();
        body.extend(std::iter::repeat_n(0x91, levels));
        body.push(0xc0);
        decode::<Ping>(&body.into())
    };
    assert!(nested(usize::from(DEPTH_MAX) - 1).is_ok());
    assert_eq!(nested(usize::from(DEPTH_MAX)), Err(DecodeError::TooDeep));
    // The stack is safe from any number of levels.
    assert_eq!(nested(1_000_000), Err(DecodeError::TooDeep));
    // A value after a deep one starts where it stands.
    let mut two = b"\x82\xa1?".to_vec();
    two.extend(std::iter::repeat_n(0x91, 15));
    two.extend_from_slice(b"\xc0\xa1!");
    two.extend(std::iter::repeat_n(0x91, 15));
    two.push(0xc0);
    assert!(decode::<Ping>(&two.into()).is_ok());
}

#[test]
fn lists_have_a_limit_and_lies_about_length_reserve_nothing() {
    let list = |len: u32, items: usize| {
        let mut bytes = vec![0xdd];
        bytes.extend_from_slice(&len.to_be_bytes());
        bytes.extend(std::iter::repeat_n(0x01, items));
        decode::<Vec<u8>>(&bytes.into())
    };
    assert_eq!(
        list(LIST_ITEMS_MAX, LIST_ITEMS_MAX as usize).unwrap().len(),
        LIST_ITEMS_MAX as usize
    );
    assert_eq!(
        list(LIST_ITEMS_MAX + 1, LIST_ITEMS_MAX as usize + 1),
        Err(DecodeError::TooMany)
    );
    assert_eq!(list(u32::MAX, 10), Err(DecodeError::TooMany));
    assert_eq!(list(10, 9), Err(DecodeError::TooMany));
    // Enough bytes for the count, not enough for the elements.
    let ranges = [b"\xdc\x10\x00".as_slice(), &[0x80; 5_000]].concat();
    assert_eq!(
        decode::<Vec<fireside_protocol::frames::Range>>(&ranges.into()),
        Err(DecodeError::Missing(Key::new("f")))
    );
}

#[test]
fn fields_are_slices_of_what_came() {
    let body = Bytes::from(encode(&Bytes::from(vec![7; 5_000])));
    let mut reader = fireside_protocol::codec::Reader::new(&body);
    let content = Bytes::read(&mut reader).unwrap();
    assert_eq!(content.as_ptr(), body[3..].as_ptr(), "copied");
}

#[test]
fn unknown_kinds_are_values() {
    let body = Bytes::from_static(b"not even messagepack");
    assert_eq!(
        ClientFrame::decode(40_000, &body),
        Ok(ClientFrame::Unknown(40_000))
    );
    assert_eq!(ServerFrame::decode(1, &body), Ok(ServerFrame::Unknown(1)));
}
