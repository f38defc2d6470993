//! Mutations that know what a frame looks like, so that they get past its first bytes.

use fireside_protocol::ServerFrame;

use super::corpus::{Item, Node, Shape};
use crate::chance::Chance;

macro_rules! mutations {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// How an input was made from a vector.
        #[derive(Clone, Copy, Debug, Eq, PartialEq)]
        pub(super) enum Mutation { $($(#[$doc])* $name,)* }

        impl Mutation {
            /// All of them.
            pub(super) const ALL: &'static [Self] = &[$(Self::$name),*];
        }
    };
}

mutations! {
    /// 1 to 8 bits of the whole frame turned.
    BitFlips,
    /// Ended early, with the frame's length put right or left as it was.
    Cut,
    /// A length in the body, or the frame's own, that is not true.
    LyingLength,
    /// A field that comes twice.
    RepeatedField,
    /// Two fields in each other's place: nothing changes.
    SwappedFields,
    /// A field left out.
    DroppedField,
    /// A value nested deeper, or an unknown field of many levels.
    Nested,
    /// Fields of two frames in one map.
    SplicedFields,
    /// The beginning of one frame and the end of another.
    SplicedBytes,
    /// The body of one frame under the kind of another.
    OtherKind,
    /// Bytes that mean something to decoders put in or over.
    MarkerBytes,
    /// A value of another field in the place of one.
    OtherValue,
    /// A number at an end of its range.
    ExtremeNumber,
    /// A header in a wider format than needed: nothing changes.
    WiderFormat,
}

/// Bytes that mean something: ends of ranges of markers, the reserved one, widest lengths.
const MARKERS: &[u8] = &[
    0x00, 0x7f, 0x80, 0x81, 0x8f, 0x90, 0x9f, 0xa0, 0xa1, 0xbf, 0xc0, 0xc1, 0xc2, 0xc3, 0xc4, 0xc6,
    0xc7, 0xc9, 0xca, 0xcb, 0xcc, 0xcf, 0xd0, 0xd3, 0xd4, 0xd8, 0xd9, 0xdb, 0xdc, 0xdd, 0xde, 0xdf,
    0xe0, 0xff,
];

/// Numbers whose sums, differences and conversions go wrong first.
const EXTREMES: &[u64] = &[
    0,
    1,
    0x7f,
    0x80,
    0xff,
    0xffff,
    0x10000,
    0x7fff_ffff,
    0xffff_ffff,
    0x1_0000_0000,
    0x7fff_ffff_ffff_ffff,
    0x8000_0000_0000_0000,
    0xffff_ffff_ffff_fffe,
    0xffff_ffff_ffff_ffff,
];

/// A mutated frame.
#[derive(Debug, Default)]
pub(super) struct Input {
    /// The frame, header included.
    pub(super) bytes: Vec<u8>,
    /// It means what the vector means, if that is a good one.
    pub(super) same_meaning: bool,
}

impl Input {
    /// Makes `self` a mutation of `item`; `other` gives what is mixed in.
    pub(super) fn mutate(
        &mut self,
        mutation: Mutation,
        item: &Item,
        other: &Item,
        chance: &mut Chance,
    ) {
        let mut body = std::mem::take(&mut self.bytes);
        body.clear();
        let mut kind = item.kind;
        let mut length_lie = None;
        self.same_meaning = false;
        match mutation {
            Mutation::BitFlips => body.extend_from_slice(&item.body),
            Mutation::Cut => {
                let cut = chance.below(item.body.len() as u64 + 1) as usize;
                body.extend_from_slice(&item.body[..cut]);
                if chance.below(2) == 0 {
                    length_lie = Some(item.body.len() as u32 + 6);
                }
            }
            Mutation::LyingLength => {
                let sized = |node: &&Node| node.shape != Shape::Scalar;
                let count = item.nodes.iter().filter(sized).count() as u64;
                let pick = chance.below(count + 1) as usize;
                if let Some(node) = item.nodes.iter().filter(sized).nth(pick) {
                    body.extend_from_slice(&item.body[..node.start]);
                    write_header(&mut body, node.shape, chance.below(5), lie(node, chance));
                    body.extend_from_slice(&item.body[node.content..]);
                } else {
                    body.extend_from_slice(&item.body);
                    length_lie = Some(lie_about(body.len() as u32 + 6, chance));
                }
            }
            Mutation::RepeatedField => fields_of(
                &mut body,
                item,
                |fields, chance| {
                    if let Some(field) = chance.pick(fields).copied() {
                        fields.insert(chance.below(fields.len() as u64 + 1) as usize, field);
                    }
                },
                chance,
            ),
            Mutation::SwappedFields => {
                fields_of(
                    &mut body,
                    item,
                    |fields, chance| {
                        if fields.len() > 1 {
                            let a = chance.below(fields.len() as u64) as usize;
                            let b = chance.below(fields.len() as u64) as usize;
                            fields.swap(a, b);
                        }
                    },
                    chance,
                );
                self.same_meaning = true;
            }
            Mutation::DroppedField => fields_of(
                &mut body,
                item,
                |fields, chance| {
                    if !fields.is_empty() {
                        fields.remove(chance.below(fields.len() as u64) as usize);
                    }
                },
                chance,
            ),
            Mutation::Nested => nest(&mut body, item, chance),
            Mutation::SplicedFields => {
                let (own, theirs) = (&item.fields, &other.fields);
                let keep = chance.below(own.len() as u64 + 1) as usize;
                let from = chance.below(theirs.len() as u64 + 1) as usize;
                write_header(
                    &mut body,
                    Shape::Map,
                    0,
                    (keep + theirs.len() - from) as u64,
                );
                own[..keep]
                    .iter()
                    .for_each(|(a, b)| body.extend_from_slice(&item.body[*a..*b]));
                theirs[from..]
                    .iter()
                    .for_each(|(a, b)| body.extend_from_slice(&other.body[*a..*b]));
            }
            Mutation::SplicedBytes => {
                let to = chance.below(item.body.len() as u64 + 1) as usize;
                let from = chance.below(other.body.len() as u64 + 1) as usize;
                body.extend_from_slice(&item.body[..to]);
                body.extend_from_slice(&other.body[from..]);
            }
            Mutation::OtherKind => {
                body.extend_from_slice(&item.body);
                kind = if chance.below(16) == 0 {
                    chance.next() as u16
                } else {
                    other.kind
                };
            }
            Mutation::MarkerBytes => {
                body.extend_from_slice(&item.body);
                for _ in 0..chance.between(1, 3) {
                    let marker = chance.pick(MARKERS).copied().unwrap_or(0xc1);
                    let at = chance.below(body.len() as u64 + 1) as usize;
                    match body.get_mut(at) {
                        Some(byte) if chance.below(2) == 0 => *byte = marker,
                        _ => body.insert(at, marker),
                    }
                }
            }
            Mutation::OtherValue => {
                let (node, value) = (chance.pick(&item.nodes).copied(), chance.pick(&other.nodes));
                if let (Some(node), Some(value)) = (node, value) {
                    body.extend_from_slice(&item.body[..node.start]);
                    body.extend_from_slice(&other.body[value.start..value.end]);
                    body.extend_from_slice(&item.body[node.end..]);
                }
            }
            Mutation::ExtremeNumber => {
                let number = |node: &&Node| node.shape == Shape::Scalar && node.depth > 0;
                let count = item.nodes.iter().filter(number).count() as u64;
                let pick = chance.below(count) as usize;
                let extreme = chance.pick(EXTREMES).copied().unwrap_or(0);
                if let Some(node) = item.nodes.iter().filter(number).nth(pick) {
                    body.extend_from_slice(&item.body[..node.start]);
                    body.push(0xcf);
                    body.extend_from_slice(&extreme.to_be_bytes());
                    body.extend_from_slice(&item.body[node.end..]);
                } else {
                    body.extend_from_slice(&item.body);
                }
            }
            Mutation::WiderFormat => {
                match chance.pick(&item.nodes).copied() {
                    Some(node) if node.shape != Shape::Scalar => {
                        let count = count_of(item, &node);
                        body.extend_from_slice(&item.body[..node.start]);
                        write_header(&mut body, node.shape, chance.between(2, 4), count);
                        body.extend_from_slice(&item.body[node.content..]);
                    }
                    _ => body.extend_from_slice(&item.body),
                }
                // Raw values are kept as they came.
                self.same_meaning = !has_raw(item.kind);
            }
        }
        self.bytes = frame(kind, chance.below(3) as u32, &body, length_lie);
        // Some turned bits on top of the others too, for what only two faults together reach.
        if mutation == Mutation::BitFlips || (!self.same_meaning && chance.below(8) == 0) {
            for _ in 0..chance.between(1, 8) {
                let at = chance.below(self.bytes.len() as u64) as usize;
                if let Some(byte) = self.bytes.get_mut(at) {
                    *byte ^= 1 << chance.below(8);
                }
            }
        }
    }
}

/// A frame around a body. `length` replaces the true one.
#[must_use]
pub(super) fn frame(kind: u16, request: u32, body: &[u8], length: Option<u32>) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len() + 10);
    out.extend_from_slice(&length.unwrap_or(body.len() as u32 + 6).to_be_bytes());
    out.extend_from_slice(&kind.to_be_bytes());
    out.extend_from_slice(&request.to_be_bytes());
    out.extend_from_slice(body);
    out
}

/// Writes the outermost map with its fields rearranged.
fn fields_of(
    body: &mut Vec<u8>,
    item: &Item,
    arrange: impl Fn(&mut Vec<(usize, usize)>, &mut Chance),
    chance: &mut Chance,
) {
    let mut fields = item.fields.clone();
    arrange(&mut fields, chance);
    write_header(body, Shape::Map, 0, fields.len() as u64);
    for (start, end) in fields {
        body.extend_from_slice(&item.body[start..end]);
    }
}

/// Wraps a value, or adds an unknown field, in up to 40 levels; once in a while in very many.
fn nest(body: &mut Vec<u8>, item: &Item, chance: &mut Chance) {
    let levels = if chance.below(2_000) == 0 {
        60_000
    } else {
        chance.between(1, 40)
    };
    let open = |body: &mut Vec<u8>, chance: &mut Chance| {
        for _ in 0..levels {
            match chance.below(3) {
                0 => body.extend_from_slice(b"\x81\xa1n"),
                1 => body.push(0x91),
                _ => body.extend_from_slice(b"\xdc\x00\x01"),
            }
        }
    };
    match chance.pick(&item.nodes).copied() {
        Some(node) if chance.below(2) == 0 => {
            body.extend_from_slice(&item.body[..node.start]);
            open(body, chance);
            body.extend_from_slice(&item.body[node.start..]);
        }
        _ => {
            write_header(body, Shape::Map, 0, item.fields.len() as u64 + 1);
            body.extend_from_slice(b"\xa2zz");
            open(body, chance);
            body.push(0xc0);
            item.fields
                .iter()
                .for_each(|(a, b)| body.extend_from_slice(&item.body[*a..*b]));
        }
    }
}

/// The length a node really has.
fn count_of(item: &Item, node: &Node) -> u64 {
    match node.shape {
        Shape::Map | Shape::Array => {
            let inside = |other: &&Node| {
                other.depth == node.depth + 1
                    && other.start >= node.content
                    && other.start < node.end
            };
            let values = item.nodes.iter().filter(inside).count() as u64;
            if node.shape == Shape::Map {
                values / 2
            } else {
                values
            }
        }
        _ => (node.end - node.content) as u64,
    }
}

fn lie(node: &Node, chance: &mut Chance) -> u64 {
    u64::from(lie_about((node.end - node.content) as u32, chance))
}

fn lie_about(truth: u32, chance: &mut Chance) -> u32 {
    match chance.below(6) {
        0 => truth.wrapping_add(1),
        1 => truth.wrapping_sub(1),
        2 => u32::MAX,
        3 => 0,
        4 => truth.wrapping_mul(256),
        _ => chance.next() as u32 >> chance.below(32),
    }
}

/// Writes a marker with a length. `width`: 0 the shortest that fits, else at least 2, 3 or 4 for 1, 2 and 4 bytes.
fn write_header(out: &mut Vec<u8>, shape: Shape, width: u64, length: u64) {
    let least = match length {
        0..=15 => 1,
        16..=255 => 2,
        256..=65_535 => 3,
        _ => 4,
    };
    let width = width.max(least);
    let (fixed, one, two, four) = match shape {
        Shape::Map => (Some(0x80), None, 0xde, 0xdf),
        Shape::Array => (Some(0x90), None, 0xdc, 0xdd),
        Shape::Text => (Some(0xa0), Some(0xd9), 0xda, 0xdb),
        _ => (None, Some(0xc4), 0xc5, 0xc6),
    };
    match (width, fixed, one) {
        (0 | 1, Some(fixed), _) => out.push(fixed | length as u8),
        (0..=2, _, Some(one)) => out.extend_from_slice(&[one, length as u8]),
        (0..=3, ..) => {
            out.push(two);
            out.extend_from_slice(&(length as u16).to_be_bytes());
        }
        _ => {
            out.push(four);
            out.extend_from_slice(&(length as u32).to_be_bytes());
        }
    }
}

/// Whether a server's frame of this kind holds encoded values.
fn has_raw(kind: u16) -> bool {
    let info = ServerFrame::TABLE.iter().find(|info| info.kind == kind);
    info.is_some_and(|info| info.fields.iter().any(|field| field.kind.contains("Raw")))
}
