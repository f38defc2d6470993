//! Golden vectors: `vectors/*.json` decode to what they say and encode to the same bytes, and no frame is without one.
//!
//! `FIRESIDE_REGENERATE=1 cargo test -p fireside-protocol` writes them anew after a frame was added. The diff of the old lines
//! must be empty: a changed line is a broken wire.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::{fs, path::PathBuf};

use bytes::Bytes;
use fireside_protocol::{
    ClientFrame, Code, ConversationId, MemberProfile, Nonce, Personal, Pinned, RawFrame, Reactions,
    ServerFrame, Settings, TextContent, UserId, Wire,
    codec::Field,
    content::{
        AnswerContent, CardContent, CustomContent, ItemContent, LinkPreview, LiveState,
        LocationContent, MediaContent, MergedContent, PollContent, StickerContent, SystemContent,
        Votes,
    },
    decode, encode,
    envelope::encode_frame,
    frames::FrameInfo,
    limits,
    schema::RECORDS,
};
use rmpv::Value;
use serde_json::{Value as Json, json};

const USER: &str = "anna";
const OTHER: &str = "bob";

fn nonce(index: u8) -> Nonce {
    Nonce::new(1_763_900_000_123, [index; 10])
}

fn direct() -> ConversationId {
    ConversationId::direct(&UserId::new(USER).unwrap(), &UserId::new(OTHER).unwrap())
}

fn personal() -> Personal {
    Personal {
        pinned: Some(true),
        ..Personal::NOTHING
    }
}

fn text_content() -> Vec<u8> {
    encode(&TextContent::plain("gg wp 🎉"))
}

/// A value for a field: the same for the same name, and never the default of an optional one.
fn sample(field: &Field, kind: &str, full: Fill) -> Value {
    if let Some(inner) = kind
        .strip_prefix("Option<")
        .and_then(|rest| rest.strip_suffix('>'))
    {
        return sample(field, inner, full);
    }
    if let Some(inner) = kind
        .strip_prefix("Vec<")
        .and_then(|rest| rest.strip_suffix('>'))
    {
        let mut items = vec![sample(field, inner, full)];
        if inner == "UserId" {
            items.push(Value::from("陈"));
        } else if RECORDS.iter().any(|record| record.name == inner) {
            items.push(sample(field, inner, Fill::Minimal));
        }
        return Value::Array(items);
    }
    if let Some(inner) = kind
        .strip_prefix("Box<")
        .and_then(|rest| rest.strip_suffix('>'))
    {
        return sample(field, inner, full);
    }
    match kind {
        "ConversationId" => Value::Binary(direct().0.to_vec()),
        "DeviceId" => Value::Binary((0x10..0x20).collect()),
        "FolderId" => Value::Binary((0x30..0x40).collect()),
        "Nonce" => Value::Binary(
            nonce(match field.name {
                "after" => 1,
                "target_nonce" => 2,
                _ => 3,
            })
            .0
            .to_vec(),
        ),
        "UserId" => Value::from(match field.name {
            "peer" | "invite" | "users" | "mentions" | "after" => OTHER,
            _ => USER,
        }),
        "bool" => Value::from(true),
        "String" => Value::from(match field.name {
            "token" => "eyJhbGciOiJIUzI1NiJ9.e30.c2lnbmF0dXJl",
            "agent" => "example 1.0",
            "platform" => "linux",
            "text" => "gg wp 🎉",
            "name" => "Friday raid",
            "description" => "Bring torches.",
            "picture" => "badge/7",
            "key" => "level",
            "value" => "40",
            "name_here" => "Conan",
            "prefix" => "an",
            "emoji" => "🎉",
            "what" => "raid",
            "details" => "level 40",
            "id" | "pack" => "gold-7",
            "reference" | "thumbnail" | "url" | "image" => "https://cdn.example/7",
            "site" => "Example",
            "media_type" => "image/png",
            "rarity" => "epic",
            "label" | "title" | "question" | "options" => "Ready?",
            "address" => "behind the mill",
            "map" => "Duskwood",
            other => panic!("no sample for text field {other}"),
        }),
        "LinkCode" => Value::Binary((0x20..0x30).collect()),
        "Bytes" => Value::Binary(match field.name {
            "secret" | "resume_secret" => vec![0xa5; 32],
            "content" => text_content(),
            "body" => encode(&personal()),
            "join_secret" => vec![0x5a; 8],
            "hash" => vec![0x5a; 32],
            "data" | "tooltip" | "signature" | "blur" | "waveform" => vec![1, 2, 3],
            other => panic!("no sample for bytes field {other}"),
        }),
        "Raw" => record("Entry", full),
        "Sequence" | "Ordinal" | "Rev" | "UserSequence" => Value::from(match field.name {
            "first" => 3u64,
            "sequence" | "last" | "upto" | "to" | "as_of" => 300,
            "rev" | "seen_rev" => 70_000,
            "target" | "reply_to" => 5,
            _ => 42,
        }),
        "WallMs" => Value::from(1_763_900_000_456u64),
        "MessageKind" | "ConversationKind" | "Tombstone" | "UserRecordKind" | "EntryKind"
        | "FacetKind" | "JoinPolicy" | "SpanKind" | "ElementKind" | "FriendAction"
        | "FriendState" | "NotificationLevel" | "PresenceState" | "ReportReason" => Value::from(1),
        "Role" => Value::from(2),
        "Real" => Value::F64(-12.5),
        "u8" => Value::from(1),
        "u16" => Value::from(match field.name {
            "anchor" => 4,
            "code" => Code::NotFound.number(),
            _ => 1,
        }),
        "u32" => Value::from(100),
        "u64" => Value::from(match field.name {
            "history_for_joiners" => u64::MAX,
            "retry_after_ms" => 250,
            _ => 7,
        }),
        record_name => record(record_name, full),
    }
}

/// Fields that came into a record after its first golden line: that line stays as it is, and another one has them.
const LATER: &[(&str, &[&str])] = &[
    ("Entry", &["body_rev", "facets"]),
    (
        "Head",
        &[
            "capabilities",
            "frozen",
            "slow_mode_ms",
            "picture",
            "forget_on_leave",
            "settings",
            "muted_until",
            "parent",
            "root",
        ],
    ),
    (
        "CreateGroup",
        &["kind", "join", "ends", "parent", "by_default"],
    ),
    ("Header", &["mention_roles"]),
    ("MembersRequest", &["asked", "prefix"]),
    ("Join", &["link"]),
    ("Ack", &["link", "expires"]),
    ("Member", &["muted_until", "name_here", "attributes"]),
    ("MemberChange", &["until"]),
    ("Settings", &["ends", "by_default", "roles", "lifetime_ms"]),
    ("UserRecord", &["folder", "body"]),
    ("Receipt", &["joined", "gone"]),
    ("TextContent", &["spans"]),
    ("Header", &["forwarded"]),
];

/// How much of a record a golden line has.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Fill {
    /// What must be there.
    Minimal,
    /// Everything that the record had in its first version.
    Full,
    /// Everything.
    Later,
}

fn map(of: &str, fields: &[Field], full: Fill) -> Value {
    let later = LATER.iter().find(|(name, _)| *name == of);
    let later = later.map_or(&[][..], |(_, fields)| fields);
    let kind = |field: &Field| field.kind.replace(' ', "");
    let stands = |field: &&Field| match full {
        Fill::Minimal => field.required,
        Fill::Full => !later.contains(&field.name),
        Fill::Later => true,
    };
    Value::Map(
        fields
            .iter()
            .filter(stands)
            .map(|field| (Value::from(field.key), sample(field, &kind(field), full)))
            .collect(),
    )
}

fn record(name: &str, full: Fill) -> Value {
    let info = RECORDS.iter().find(|record| record.name == name);
    let info = info.unwrap_or_else(|| panic!("no sample for {name}"));
    map(name, info.fields, full)
}

fn bytes_of(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    rmpv::encode::write_value(&mut out, value).unwrap();
    out
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Bytes {
    let pair = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
    (0..text.len()).step_by(2).map(pair).collect()
}

/// MessagePack as JSON; binary becomes `0x` and hexadecimal digits.
fn to_json(value: &Value) -> Json {
    match value {
        Value::Nil => Json::Null,
        Value::Boolean(value) => json!(value),
        Value::F64(value) => json!(value),
        Value::Integer(value) => json!(value.as_u64().unwrap()),
        Value::String(text) => json!(text.as_str().unwrap()),
        Value::Binary(bytes) => json!(format!("0x{}", hex(bytes))),
        Value::Array(items) => items.iter().map(to_json).collect(),
        Value::Map(fields) => Json::Object(
            fields
                .iter()
                .map(|(key, value)| (key.as_str().unwrap().to_owned(), to_json(value)))
                .collect(),
        ),
        other => panic!("not on this wire: {other}"),
    }
}

fn frame_line(side: &str, info: &FrameInfo, case: &str, body: &Value) -> Json {
    let events = [
        "Draining",
        "Kicked",
        "Entry",
        "Skip",
        "Head",
        "UserRecord",
        "Receipt",
        "TypingOf",
        "Transient",
        "PresenceOf",
    ];
    let silent = ["Delivered", "Typing"];
    let request = if events.contains(&info.name) || silent.contains(&info.name) {
        0
    } else {
        9
    };
    let bytes = encode_frame(info.kind, request, |out| {
        out.extend_from_slice(&bytes_of(body));
    });
    json!({
        "side": side, "name": info.name, "case": case, "kind": info.kind, "request": request,
        "lane": format!("{:?}", info.lane), "body": to_json(body), "hex": hex(&bytes),
    })
}

fn frames() -> Vec<Json> {
    let mut lines = Vec::new();
    for (side, table) in [
        ("client", ClientFrame::TABLE),
        ("server", ServerFrame::TABLE),
    ] {
        for info in table {
            let body = |fill| map(info.name, info.fields, fill);
            lines.push(frame_line(side, info, "minimal", &body(Fill::Minimal)));
            lines.push(frame_line(side, info, "full", &body(Fill::Full)));
            if body(Fill::Later) != body(Fill::Full) {
                lines.push(frame_line(side, info, "later", &body(Fill::Later)));
            }
        }
    }
    lines
}

/// What stands in `content`, and in facets: no frame of its own.
fn contents() -> Vec<Json> {
    let names = [
        "TextContent",
        "MediaContent",
        "StickerContent",
        "LocationContent",
        "CustomContent",
        "SystemContent",
        "PollContent",
        "CardContent",
        "ItemContent",
        "MergedContent",
        "AnswerContent",
        "Reactions",
        "Pinned",
        "Votes",
        "LiveState",
        "LinkPreview",
        "Settings",
        "MemberProfile",
    ];
    let line = |name: &&str, case: &str, fill| {
        let body = record(name, fill);
        json!({"name": name, "case": case, "body": to_json(&body), "hex": hex(&bytes_of(&body))})
    };
    let both = |name| {
        [
            line(name, "minimal", Fill::Minimal),
            line(name, "full", Fill::Later),
        ]
    };
    names.iter().flat_map(both).collect()
}

fn ids() -> Vec<Json> {
    let pairs = [("anna", "bob"), ("bob", "anna"), ("a", "b"), ("陈", "Ünal")];
    let mut lines: Vec<Json> = pairs
        .iter()
        .map(|(one, other)| {
            let users = [UserId::new(one).unwrap(), UserId::new(other).unwrap()];
            let id = ConversationId::direct(&users[0], &users[1]);
            json!({"what": "direct", "one": one, "other": other, "conversation": id.to_string()})
        })
        .collect();
    let creator = UserId::new(USER).unwrap();
    let made = ConversationId::made(&creator, nonce(3));
    lines.push(
        json!({"what": "made", "creator": USER, "nonce": nonce(3).to_string(),
        "conversation": made.to_string()}),
    );
    lines.push(json!({"what": "nonce", "wall_ms": 1_763_900_000_123u64,
        "random": "ffffffffffffffffffff",
        "nonce": Nonce::new(1_763_900_000_123, [0xff; 10]).to_string()}));
    lines
}

/// Frames that are not as this library writes them. `code` 0: they are taken, and mean `same_as`.
fn unusual() -> Vec<Json> {
    let ping = |body: &[u8]| encode_frame(3, 9, |out| out.extend_from_slice(body));
    let plain = |counter: u8| hex(&ping(&[0x81, 0xa1, b'q', counter]));
    let empty = hex(&ping(&[0x80]));
    let conversation = |rest: &[u8]| {
        let mut body = vec![0x82, 0xa1, b'c', 0xc4, 16];
        body.extend_from_slice(&direct().0);
        body.extend_from_slice(rest);
        encode_frame(20, 0, |out| out.extend_from_slice(&body))
    };
    let mut lines = Vec::new();
    let mut taken = |why: &str, frame: &[u8], same_as: &str| {
        lines.push(
            json!({"side": "client", "why": why, "code": 0, "hex": hex(frame), "same_as": same_as}),
        );
    };
    taken(
        "an optional field at its default",
        &ping(&[0x81, 0xa1, b'q', 0]),
        &empty,
    );
    taken(
        "a positive number as int8",
        &ping(&[0x81, 0xa1, b'q', 0xd0, 7]),
        &plain(7),
    );
    taken(
        "a positive number as int64",
        &ping(b"\x81\xa1q\xd3\0\0\0\0\0\0\0\x07"),
        &plain(7),
    );
    taken(
        "a number wider than needed",
        &ping(b"\x81\xa1q\xcd\0\x07"),
        &plain(7),
    );
    taken("a key as str8", &ping(b"\x81\xd9\x01q\x07"), &plain(7));
    taken("a map as map16", &ping(b"\xde\0\x01\xa1q\x07"), &plain(7));
    taken(
        "an unknown field",
        &ping(b"\x82\xa3new\x93\xc0\xca\0\0\0\0\xd6\xff\0\0\0\0\xa1q\x07"),
        &plain(7),
    );
    taken(
        "an unknown field that came twice",
        &ping(b"\x83\xa1?\x01\xa1?\xc3\xa1q\x07"),
        &plain(7),
    );
    let mut deep = b"\x81\xa1?".to_vec();
    deep.extend(std::iter::repeat_n(
        0x91,
        usize::from(limits::DEPTH_MAX) - 1,
    ));
    deep.push(0xc0);
    taken("an unknown field as deep as may be", &ping(&deep), &empty);
    taken(
        "a number as uint8 that would fit a fixint",
        &conversation(b"\xa1n\xcc\x05"),
        &hex(&conversation(b"\xa1n\x05")),
    );

    let mut refused = |why: &str, code: Code, frame: &[u8]| {
        lines.push(json!({"side": "client", "why": why, "code": code.number(), "hex": hex(frame)}));
    };
    refused(
        "a field that came twice",
        Code::BadBody,
        &ping(b"\x82\xa1q\x07\xa1q\x07"),
    );
    refused(
        "bytes after the map",
        Code::BadBody,
        &ping(b"\x81\xa1q\x07\xc0"),
    );
    refused("no map", Code::BadBody, &ping(b"\x91\x07"));
    refused("no body", Code::BadBody, &ping(b""));
    refused("text for a number", Code::BadBody, &ping(b"\x81\xa1q\xa17"));
    refused(
        "a float for a number",
        Code::BadBody,
        &ping(b"\x81\xa1q\xca\x40\xe0\0\0"),
    );
    refused("a negative number", Code::BadBody, &ping(b"\x81\xa1q\xff"));
    refused(
        "a negative number as int16",
        Code::BadBody,
        &ping(b"\x81\xa1q\xd1\xff\xff"),
    );
    refused(
        "nil for a field that is not of an optional type",
        Code::BadBody,
        &ping(b"\x81\xa1q\xc0"),
    );
    refused("a number key", Code::BadBody, &ping(b"\x81\x01\x07"));
    refused(
        "a map that says more than it has",
        Code::BadBody,
        &ping(b"\xdf\xff\xff\xff\xff\xa1q\x07"),
    );
    refused(
        "an array that says more than it has",
        Code::BadBody,
        &ping(b"\x81\xa1?\xdd\xff\xff\xff\xff"),
    );
    refused(
        "text that says more than it has",
        Code::BadBody,
        &ping(b"\x81\xa1?\xdb\xff\xff\xff\xff"),
    );
    refused(
        "text that is not UTF-8",
        Code::BadBody,
        &ping(b"\x81\xa1?\xa2\xc3\x28"),
    );
    refused(
        "the reserved marker",
        Code::BadBody,
        &ping(b"\x81\xa1?\xc1"),
    );
    deep.insert(3, 0x91);
    refused("too deep", Code::BadBody, &ping(&deep));
    let mut wide = vec![0xde, 0, limits::FIELDS_MAX as u8 + 1];
    (0..=limits::FIELDS_MAX).for_each(|_| wide.extend_from_slice(b"\xa1?\xc0"));
    refused("too many fields", Code::BadBody, &ping(&wide));
    let long_key = [
        b"\x81\xd9\x21".as_slice(),
        &[b'k'; limits::KEY_BYTES_MAX + 1],
        b"\xc0",
    ]
    .concat();
    refused("a key that is too long", Code::BadBody, &ping(&long_key));
    refused(
        "a missing field",
        Code::BadBody,
        &encode_frame(20, 0, |out| out.extend_from_slice(b"\x81\xa1n\x05")),
    );
    refused(
        "an id of 15 bytes",
        Code::BadBody,
        &encode_frame(20, 0, |out| {
            out.extend_from_slice(b"\x82\xa1c\xc4\x0f");
            out.extend_from_slice(&[7; 15]);
            out.extend_from_slice(b"\xa1n\x05");
        }),
    );
    refused(
        "shorter than a header",
        Code::BadFrame,
        &[0, 0, 0, 5, 0, 3, 0, 0, 0],
    );
    refused(
        "over the limit",
        Code::FrameTooLarge,
        &[0, 1, 0, 0, 0, 3, 0, 0, 0, 9],
    );
    refused(
        "a length of 4 GiB",
        Code::FrameTooLarge,
        &[0xff, 0xff, 0xff, 0xff, 0, 3, 0, 0, 0, 9],
    );
    refused("cut", Code::BadFrame, &ping(b"\x81\xa1q\x07")[..12]);
    lines
}

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("vectors")
        .join(name)
}

/// The lines of a vector file; regenerated first if asked for.
fn lines(name: &str, generate: impl Fn() -> Vec<Json>) -> Vec<Json> {
    if std::env::var_os("FIRESIDE_REGENERATE").is_some() {
        let text: Vec<String> = generate().iter().map(ToString::to_string).collect();
        fs::write(path(name), format!("[\n{}\n]\n", text.join(",\n"))).unwrap();
    }
    let text = fs::read_to_string(path(name)).unwrap();
    serde_json::from_str::<Vec<Json>>(&text).unwrap()
}

fn text<'a>(line: &'a Json, key: &str) -> &'a str {
    line[key]
        .as_str()
        .unwrap_or_else(|| panic!("{key} is missing in {line}"))
}

/// Lines decode to their bodies, and these encode to their bytes.
fn check(lines: &[Json]) {
    for line in lines {
        let bytes = unhex(text(line, "hex"));
        let raw = RawFrame::from_bytes(&bytes, limits::PAGE_FRAME_BYTES_MAX).unwrap();
        assert_eq!(json!(raw.kind), line["kind"], "{line}");
        assert_eq!(json!(raw.request), line["request"], "{line}");
        let body = rmpv::decode::read_value(&mut raw.body.as_ref()).unwrap();
        assert_eq!(to_json(&body), line["body"], "{line}");
        let again = match text(line, "side") {
            "client" => {
                let frame = raw.client().unwrap();
                assert!(!matches!(frame, ClientFrame::Unknown(_)), "{line}");
                frame.encode(raw.request)
            }
            _ => {
                let frame = raw.server().unwrap();
                assert!(!matches!(frame, ServerFrame::Unknown(_)), "{line}");
                frame.encode(raw.request)
            }
        };
        assert_eq!(hex(&again), text(line, "hex"), "{line}");
        if text(line, "lane") == "Datagram" {
            assert_eq!(RawFrame::from_datagram(&bytes), Ok(raw), "{line}");
        }
    }
}

/// Frames that records have grown fields since: recorded once, read for ever.
#[test]
fn frames_of_before_still_mean_the_same() {
    let text = fs::read_to_string(path("old.json")).unwrap();
    check(&serde_json::from_str::<Vec<Json>>(&text).unwrap());
}

#[test]
fn every_frame_decodes_to_its_body_and_encodes_to_its_bytes() {
    let lines = lines("frames.json", frames);
    check(&lines);
    for (side, table) in [
        ("client", ClientFrame::TABLE),
        ("server", ServerFrame::TABLE),
    ] {
        for info in table {
            for case in ["minimal", "full"] {
                let is_it = |line: &&Json| {
                    text(line, "side") == side
                        && text(line, "name") == info.name
                        && text(line, "case") == case
                };
                assert_eq!(
                    lines.iter().filter(is_it).count(),
                    1,
                    "{side} {} {case}",
                    info.name
                );
            }
        }
    }
}

#[test]
fn vectors_are_what_this_build_writes() {
    // A field added to a record shows up here until the vectors are regenerated.
    assert_eq!(lines("frames.json", frames), frames());
}

#[test]
fn contents_decode_and_encode_to_their_bytes() {
    fn same<T: Wire>(bytes: &Bytes) -> Vec<u8> {
        encode(&decode::<T>(bytes).unwrap())
    }
    let lines = lines("contents.json", contents);
    assert_eq!(lines, contents());
    for line in &lines {
        let bytes = unhex(text(line, "hex"));
        let again = match text(line, "name") {
            "TextContent" => same::<TextContent>(&bytes),
            "MediaContent" => same::<MediaContent>(&bytes),
            "StickerContent" => same::<StickerContent>(&bytes),
            "LocationContent" => same::<LocationContent>(&bytes),
            "CustomContent" => same::<CustomContent>(&bytes),
            "SystemContent" => same::<SystemContent>(&bytes),
            "PollContent" => same::<PollContent>(&bytes),
            "CardContent" => same::<CardContent>(&bytes),
            "ItemContent" => same::<ItemContent>(&bytes),
            "MergedContent" => same::<MergedContent>(&bytes),
            "AnswerContent" => same::<AnswerContent>(&bytes),
            "Reactions" => same::<Reactions>(&bytes),
            "Pinned" => same::<Pinned>(&bytes),
            "Votes" => same::<Votes>(&bytes),
            "LiveState" => same::<LiveState>(&bytes),
            "LinkPreview" => same::<LinkPreview>(&bytes),
            "Settings" => same::<Settings>(&bytes),
            "MemberProfile" => same::<MemberProfile>(&bytes),
            other => panic!("{other} is not read here"),
        };
        assert_eq!(hex(&again), text(line, "hex"), "{line}");
    }
}

#[test]
fn ids_are_derived_as_written() {
    assert_eq!(lines("ids.json", ids), ids());
}

#[test]
fn unusual_frames_are_taken_or_refused_as_written() {
    let lines = lines("unusual.json", unusual);
    assert_eq!(lines, unusual());
    for line in &lines {
        let frame = RawFrame::from_bytes(&unhex(text(line, "hex")), limits::FRAME_BYTES_MAX)
            .and_then(|raw| Ok((raw.client()?, raw.request)));
        if line["code"] == json!(0) {
            let (frame, request) = frame.unwrap_or_else(|error| panic!("{line}: {error}"));
            assert_eq!(hex(&frame.encode(request)), text(line, "same_as"), "{line}");
        } else {
            let error = frame.expect_err(text(line, "why"));
            assert_eq!(
                json!(error.code().number()),
                line["code"],
                "{line}: {error}"
            );
        }
    }
}

#[test]
fn contents_decode() {
    let content: TextContent = decode(&Bytes::from(text_content())).unwrap();
    assert_eq!(content.text, "gg wp 🎉");
}
