//! What mutations start from: the golden vectors, with the places of their values.

use anyhow::{Context, Result};
use fireside_protocol::limits::FRAME_HEADER_BYTES;

/// Whose frame it is.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) enum Side {
    /// The client's.
    Client,
    /// The server's.
    Server,
}

/// What stands at a place of a body.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) enum Shape {
    /// With as many fields.
    Map,
    /// With as many elements.
    Array,
    /// Text.
    Text,
    /// Bytes.
    Binary,
    /// A number, bool, nil, float or extension.
    Scalar,
}

/// A value in a body.
#[derive(Clone, Copy, Debug)]
pub(super) struct Node {
    /// Where its marker is.
    pub(super) start: usize,
    /// Where its content begins.
    pub(super) content: usize,
    /// Where it ends.
    pub(super) end: usize,
    /// What it is.
    pub(super) shape: Shape,
    /// Levels above it.
    pub(super) depth: u8,
}

/// A frame and the places of its values.
#[derive(Clone, Debug)]
pub(super) struct Item {
    /// Whose.
    pub(super) side: Side,
    /// Number of its kind.
    pub(super) kind: u16,
    /// The body.
    pub(super) body: Vec<u8>,
    /// All values, in the order of their markers. Empty if the body is not well-formed.
    pub(super) nodes: Vec<Node>,
    /// Key and value of each field of the outermost map.
    pub(super) fields: Vec<(usize, usize)>,
}

impl Item {
    /// Finds the values of a body.
    #[must_use]
    pub(super) fn new(side: Side, kind: u16, body: Vec<u8>) -> Self {
        let mut nodes = Vec::new();
        if walk(&body, 0, 0, &mut nodes) != Some(body.len()) {
            nodes.clear();
        }
        let mut fields = Vec::new();
        if nodes.first().is_some_and(|root| root.shape == Shape::Map) {
            let mut starts = nodes.iter().filter(|node| node.depth == 1);
            while let (Some(key), Some(value)) = (starts.next(), starts.next()) {
                fields.push((key.start, value.end));
            }
        }
        Self {
            side,
            kind,
            body,
            nodes,
            fields,
        }
    }

    /// What makes it different in kind from others: which values stand where, not which they are.
    #[must_use]
    pub(super) fn structure(&self) -> u64 {
        let seed = u64::from(self.kind) << 1 | u64::from(self.side == Side::Client);
        self.nodes.iter().take(64).fold(seed, |hash, node| {
            let size = (node.end - node.start).next_power_of_two() as u64;
            let word = size << 16 | u64::from(node.depth) << 8 | node.shape as u64;
            (hash ^ word)
                .wrapping_mul(0x9e37_79b9_7f4a_7c15)
                .rotate_left(23)
        })
    }
}

/// The value at `at`; its end.
fn walk(bytes: &[u8], at: usize, depth: u8, nodes: &mut Vec<Node>) -> Option<usize> {
    if depth > 20 || nodes.len() > 4_096 {
        return None;
    }
    let marker = *bytes.get(at)?;
    let number = |from: usize, len: usize| -> Option<usize> {
        let digits = bytes.get(from..from + len)?;
        Some(
            digits
                .iter()
                .fold(0, |value, byte| value << 8 | usize::from(*byte)),
        )
    };
    let sized = |shape, len: usize| Some((shape, number(at + 1, len)?, at + 1 + len));
    let (shape, count, content) = match marker {
        0x80..=0x8f => (Shape::Map, usize::from(marker & 15), at + 1),
        0x90..=0x9f => (Shape::Array, usize::from(marker & 15), at + 1),
        0xa0..=0xbf => (Shape::Text, usize::from(marker & 31), at + 1),
        0xc4 => sized(Shape::Binary, 1)?,
        0xc5 => sized(Shape::Binary, 2)?,
        0xc6 => sized(Shape::Binary, 4)?,
        0xd9 => sized(Shape::Text, 1)?,
        0xda => sized(Shape::Text, 2)?,
        0xdb => sized(Shape::Text, 4)?,
        0xdc => sized(Shape::Array, 2)?,
        0xdd => sized(Shape::Array, 4)?,
        0xde => sized(Shape::Map, 2)?,
        0xdf => sized(Shape::Map, 4)?,
        0xc1 => return None,
        0xcc | 0xd0 => (Shape::Scalar, 1, at + 1),
        0xcd | 0xd1 | 0xd4 => (Shape::Scalar, 2, at + 1),
        0xd5 => (Shape::Scalar, 3, at + 1),
        0xca | 0xce | 0xd2 => (Shape::Scalar, 4, at + 1),
        0xd6 => (Shape::Scalar, 5, at + 1),
        0xcb | 0xcf | 0xd3 => (Shape::Scalar, 8, at + 1),
        0xd7 => (Shape::Scalar, 9, at + 1),
        0xd8 => (Shape::Scalar, 17, at + 1),
        0xc7 => (Shape::Scalar, number(at + 1, 1)? + 1, at + 2),
        0xc8 => (Shape::Scalar, number(at + 1, 2)? + 1, at + 3),
        0xc9 => (Shape::Scalar, number(at + 1, 4)? + 1, at + 5),
        _ => (Shape::Scalar, 0, at + 1),
    };
    let index = nodes.len();
    nodes.push(Node {
        start: at,
        content,
        end: at,
        shape,
        depth,
    });
    let mut end = content;
    match shape {
        Shape::Map | Shape::Array => {
            for _ in 0..if shape == Shape::Map {
                count * 2
            } else {
                count
            } {
                end = walk(bytes, end, depth + 1, nodes)?;
            }
        }
        _ => {
            end = content.checked_add(count)?;
            bytes.get(content..end)?;
        }
    }
    nodes.get_mut(index)?.end = end;
    Some(end)
}

/// The golden vectors of all frames, the unusual ones too.
///
/// # Errors
/// If a vector is not what it should be.
pub(super) fn load() -> Result<Vec<Item>> {
    let mut items = Vec::new();
    for text in [
        include_str!("../../../../crates/protocol/vectors/frames.json"),
        include_str!("../../../../crates/protocol/vectors/unusual.json"),
    ] {
        let lines: Vec<serde_json::Value> = serde_json::from_str(text)?;
        for line in &lines {
            let bytes = unhex(line["hex"].as_str().context("a vector without hex")?)?;
            let (Some(kind), Some(body)) = (bytes.get(4..6), bytes.get(FRAME_HEADER_BYTES..))
            else {
                continue;
            };
            let side = if line["side"] == "client" {
                Side::Client
            } else {
                Side::Server
            };
            let kind = kind
                .iter()
                .fold(0, |kind, byte| kind << 8 | u16::from(*byte));
            items.push(Item::new(side, kind, body.to_vec()));
        }
    }
    let contents: Vec<Item> = items.iter().filter_map(content_of).collect();
    items.extend(contents);
    anyhow::ensure!(items.len() > 80, "only {} vectors", items.len());
    Ok(items)
}

/// Stands for "not a frame: a message's content".
pub(super) const CONTENT: u16 = 0xf000;

/// The content inside an entry or a send: the value of its field `b`.
fn content_of(item: &Item) -> Option<Item> {
    let (key, end) = item
        .fields
        .iter()
        .find(|(key, _)| item.body.get(*key..key + 2) == Some(b"\xa1b"))?;
    // One byte of marker and one of length.
    let body = item
        .body
        .get(key + 4..*end)
        .filter(|_| item.body.get(key + 2) == Some(&0xc4))?;
    Some(Item::new(item.side, CONTENT, body.to_vec()))
}

fn unhex(text: &str) -> Result<Vec<u8>> {
    let digits: Option<Vec<u8>> = text.chars().map(|c| Some(c.to_digit(16)? as u8)).collect();
    let digits = digits.context("not hexadecimal")?;
    Ok(digits
        .chunks_exact(2)
        .map(|pair| pair[0] << 4 | pair[1])
        .collect())
}

/// Hexadecimal digits, for replay.
#[must_use]
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
