//! MessagePack maps with short keys, read with limits before anything is allocated.
//!
//! A [`record!`](crate::record) names each field once; reading, writing and the table of fields ([`Record::FIELDS`]) come from that.
//! Unknown fields are skipped, missing `opt` fields take their default, a doubled field or trailing bytes are errors.

use std::cell::Cell;

use bytes::Bytes;
use rmp::Marker;

pub use crate::fields::Key;
use crate::limits::{DEPTH_MAX, FIELDS_MAX, KEY_BYTES_MAX, LIST_ITEMS_MAX};

/// Reserved for a list before its elements are read, in bytes: enough for most, too little to hurt.
const LIST_RESERVED_BYTES: usize = 4 * 1024;

/// Why bytes are not what they should be.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The value ends after the bytes do.
    #[error("the bytes end too early")]
    Truncated,
    /// Another type was expected. As large as the others' parts: an error then is two registers, and nothing is done to pass it on.
    #[error("expected another type (found marker {0:#04x})")]
    WrongType(u32),
    /// A number or length outside what the field takes.
    #[error("a value is outside its range")]
    OutOfRange,
    /// Nested deeper than [`DEPTH_MAX`].
    #[error("nested deeper than {DEPTH_MAX}")]
    TooDeep,
    /// A map or array with too many elements.
    #[error("too many elements in a map or array")]
    TooMany,
    /// A string that is not UTF-8.
    #[error("text is not UTF-8")]
    NotUtf8,
    /// A field that came twice.
    #[error("field {0} came twice")]
    Doubled(Key),
    /// A field that must be there.
    #[error("field {0} is missing")]
    Missing(Key),
    /// Bytes after the value.
    #[error("bytes after the value")]
    Trailing,
}

/// What can stand in a body.
pub trait Wire: Sized {
    /// Appends the value.
    fn write(&self, out: &mut Vec<u8>);

    /// Reads the value into a [`Wire::blank`] one, so that none of a large record's parts is ever moved.
    ///
    /// # Errors
    /// [`DecodeError`]; what is there then is not to be used.
    #[doc(hidden)]
    fn read_into(&mut self, reader: &mut Reader<'_>) -> Result<(), DecodeError>;

    /// What stands in a value's place before it is read. It never leaves the reader: what must come and did not is an error.
    #[doc(hidden)]
    fn blank() -> Self;

    /// Reads the value.
    ///
    /// # Errors
    /// [`DecodeError`], with nothing kept.
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut value = Self::blank();
        value.read_into(reader)?;
        Ok(value)
    }
}

/// What a field may be that is left out at its default.
pub trait Optional: Default + Wire {
    /// Whether it is the default. Not by comparing: that would be code for comparing all that may be in it.
    fn is_default(&self) -> bool;
}

/// A field of a record, for documentation and other languages.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Field {
    /// The key on the wire.
    pub key: &'static str,
    /// The name in code.
    pub name: &'static str,
    /// The Rust type.
    pub kind: &'static str,
    /// Whether it must be there.
    pub required: bool,
    /// What it means: its doc comment.
    pub doc: &'static str,
}

/// A map with known fields.
pub trait Record: Wire {
    /// Its fields, in the order they are written.
    const FIELDS: &'static [Field];
    /// Its name in code.
    const NAME: &'static str;
    /// What it means: its doc comment.
    const DOC: &'static str;
}

/// Reads one value that must fill `bytes`.
///
/// # Errors
/// [`DecodeError`].
pub fn decode<T: Wire>(bytes: &Bytes) -> Result<T, DecodeError> {
    let mut value = T::blank();
    read_whole(bytes, &mut |reader| value.read_into(reader))?;
    Ok(value)
}

/// As [`decode`], with what reads the value.
///
/// # Errors
/// [`DecodeError`].
pub fn read_whole(
    bytes: &Bytes,
    read: &mut dyn FnMut(&mut Reader<'_>) -> Result<(), DecodeError>,
) -> Result<(), DecodeError> {
    let mut reader = Reader::new(bytes);
    read(&mut reader)?;
    reader.finish()
}

/// Writes one value.
#[must_use]
pub fn encode<T: Wire>(value: &T) -> Vec<u8> {
    written(&|out| value.write(out))
}

/// Not generic: it is needed for every record.
pub(crate) fn written(write: &dyn Fn(&mut Vec<u8>)) -> Vec<u8> {
    in_scratch(|out| {
        write(out);
        out.as_slice().to_vec()
    })
}

/// Lends a buffer that is kept for the next call, so that encoding grows no buffer of its own. It is empty.
pub(crate) fn in_scratch<R>(encode: impl FnOnce(&mut Vec<u8>) -> R) -> R {
    /// Capacity kept, in bytes: most frames are smaller.
    const KEPT_BYTES_MAX: usize = 64 * 1024;
    thread_local! {
        static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
    }
    // A call within a call finds none and makes one.
    let mut out = SCRATCH.take();
    out.clear();
    let result = encode(&mut out);
    if out.capacity() <= KEPT_BYTES_MAX {
        SCRATCH.set(out);
    }
    result
}

fn wrong_type(found: Marker) -> DecodeError {
    DecodeError::WrongType(found.to_u8().into())
}

/// A position in a body. Its small steps are `#[inline]`: a frame takes a hundred of them, and records are read in other units of
/// compilation.
///
/// Binary fields are slices of the allocation they were read from: no copy, but a small field that is kept for long keeps that
/// whole allocation (a read of the stream). Who keeps it copies it first.
#[derive(Debug)]
pub struct Reader<'a> {
    whole: &'a Bytes,
    at: usize,
    depth: u8,
}

impl<'a> Reader<'a> {
    /// At the start of `whole`.
    #[must_use]
    pub const fn new(whole: &'a Bytes) -> Self {
        Self {
            whole,
            at: 0,
            depth: 0,
        }
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// [`DecodeError::Trailing`] if bytes are left.
    pub fn finish(self) -> Result<(), DecodeError> {
        if self.at == self.whole.len() {
            Ok(())
        } else {
            Err(DecodeError::Trailing)
        }
    }

    #[inline]
    fn take(&mut self, len: usize) -> Result<&'a [u8], DecodeError> {
        let end = self.at.checked_add(len).ok_or(DecodeError::Truncated)?;
        let slice = self.whole.get(self.at..end).ok_or(DecodeError::Truncated)?;
        self.at = end;
        Ok(slice)
    }

    /// A big-endian unsigned integer of `N` bytes, at most 8.
    #[inline]
    fn uint<const N: usize>(&mut self) -> Result<u64, DecodeError> {
        let rest = self.whole.get(self.at..).and_then(<[u8]>::first_chunk::<N>);
        let bytes = rest.ok_or(DecodeError::Truncated)?;
        self.at += N;
        Ok(bytes
            .iter()
            .fold(0, |value, byte| value << 8 | u64::from(*byte)))
    }

    #[inline]
    fn length<const N: usize>(&mut self) -> Result<usize, DecodeError> {
        usize::try_from(self.uint::<N>()?).map_err(|_| DecodeError::OutOfRange)
    }

    #[inline]
    fn marker(&mut self) -> Result<Marker, DecodeError> {
        let marker = self.peek()?;
        self.at += 1;
        Ok(marker)
    }

    #[inline]
    fn peek(&self) -> Result<Marker, DecodeError> {
        self.whole
            .get(self.at)
            .map(|byte| Marker::from_u8(*byte))
            .ok_or(DecodeError::Truncated)
    }

    /// An unsigned integer in any of its encodings.
    ///
    /// # Errors
    /// [`DecodeError`].
    #[inline]
    pub fn u64(&mut self) -> Result<u64, DecodeError> {
        match self.marker()? {
            Marker::FixPos(value) => Ok(u64::from(value)),
            Marker::U8 => self.uint::<1>(),
            Marker::U16 => self.uint::<2>(),
            Marker::U32 => self.uint::<4>(),
            Marker::U64 => self.uint::<8>(),
            // Encoders of some languages choose signed formats for positive numbers.
            Marker::I8 => self.positive::<1>(),
            Marker::I16 => self.positive::<2>(),
            Marker::I32 => self.positive::<4>(),
            Marker::I64 => self.positive::<8>(),
            other => Err(wrong_type(other)),
        }
    }

    fn positive<const N: usize>(&mut self) -> Result<u64, DecodeError> {
        let value = self.uint::<N>()?;
        if value >> (N * 8 - 1) == 0 {
            Ok(value)
        } else {
            Err(DecodeError::OutOfRange)
        }
    }

    /// A UTF-8 string.
    ///
    /// # Errors
    /// [`DecodeError`].
    #[inline]
    pub fn str(&mut self) -> Result<&'a str, DecodeError> {
        let len = match self.marker()? {
            Marker::FixStr(len) => usize::from(len),
            Marker::Str8 => self.length::<1>()?,
            Marker::Str16 => self.length::<2>()?,
            Marker::Str32 => self.length::<4>()?,
            other => return Err(wrong_type(other)),
        };
        std::str::from_utf8(self.take(len)?).map_err(|_| DecodeError::NotUtf8)
    }

    /// A binary string.
    ///
    /// # Errors
    /// [`DecodeError`].
    #[inline]
    pub fn bin(&mut self) -> Result<&'a [u8], DecodeError> {
        let len = match self.marker()? {
            Marker::Bin8 => self.length::<1>()?,
            Marker::Bin16 => self.length::<2>()?,
            Marker::Bin32 => self.length::<4>()?,
            other => return Err(wrong_type(other)),
        };
        self.take(len)
    }

    /// A binary string of 16 bytes.
    ///
    /// # Errors
    /// [`DecodeError`].
    pub(crate) fn id(&mut self, id: &mut [u8; 16]) -> Result<(), DecodeError> {
        *id = self
            .bin()?
            .try_into()
            .map_err(|_| DecodeError::OutOfRange)?;
        Ok(())
    }

    /// The length of an array that follows. Call [`Reader::leave`] after its elements.
    ///
    /// # Errors
    /// [`DecodeError`].
    #[inline]
    pub fn array(&mut self) -> Result<u32, DecodeError> {
        let len = match self.marker()? {
            Marker::FixArray(len) => usize::from(len),
            Marker::Array16 => self.length::<2>()?,
            Marker::Array32 => self.length::<4>()?,
            other => return Err(wrong_type(other)),
        };
        self.enter(len, LIST_ITEMS_MAX)
    }

    /// Reads so many elements of an array and leaves it.
    fn items(
        &mut self,
        len: u32,
        read: &mut dyn FnMut(&mut Self) -> Result<(), DecodeError>,
    ) -> Result<(), DecodeError> {
        for _ in 0..len {
            read(self)?;
        }
        self.leave();
        Ok(())
    }

    /// The number of fields of a map that follows. Call [`Reader::leave`] after its fields.
    ///
    /// # Errors
    /// [`DecodeError`].
    #[inline]
    pub fn map(&mut self) -> Result<u32, DecodeError> {
        let len = match self.marker()? {
            Marker::FixMap(len) => usize::from(len),
            Marker::Map16 => self.length::<2>()?,
            Marker::Map32 => self.length::<4>()?,
            other => return Err(wrong_type(other)),
        };
        self.enter(len, FIELDS_MAX)
    }

    /// A key of a map.
    ///
    /// # Errors
    /// [`DecodeError`].
    #[inline]
    pub fn key(&mut self) -> Result<&'a str, DecodeError> {
        let key = self.str()?;
        if key.len() <= KEY_BYTES_MAX {
            Ok(key)
        } else {
            Err(DecodeError::OutOfRange)
        }
    }

    #[inline]
    fn enter(&mut self, len: usize, max: u32) -> Result<u32, DecodeError> {
        let len = u32::try_from(len).map_err(|_| DecodeError::TooMany)?;
        // Each element is at least one byte: a lying length is found before anything is allocated.
        if len > max || len as usize > self.whole.len() - self.at {
            return Err(DecodeError::TooMany);
        }
        if self.depth == DEPTH_MAX {
            return Err(DecodeError::TooDeep);
        }
        self.depth += 1;
        Ok(len)
    }

    /// Leaves an array or map.
    #[inline]
    pub const fn leave(&mut self) {
        self.depth = self.depth.saturating_sub(1);
    }

    /// Skips one value of any type. The limits on depth, elements and UTF-8 hold inside it too, so that whatever is skipped
    /// here is read alike by every other decoder.
    ///
    /// # Errors
    /// [`DecodeError`].
    pub fn skip(&mut self) -> Result<(), DecodeError> {
        match self.peek()? {
            Marker::FixMap(_) | Marker::Map16 | Marker::Map32 => {
                let len = self.map()?;
                for _ in 0..len {
                    self.skip()?;
                    self.skip()?;
                }
                self.leave();
            }
            Marker::FixArray(_) | Marker::Array16 | Marker::Array32 => {
                let len = self.array()?;
                for _ in 0..len {
                    self.skip()?;
                }
                self.leave();
            }
            Marker::FixStr(_) | Marker::Str8 | Marker::Str16 | Marker::Str32 => {
                self.str()?;
            }
            Marker::Bin8 | Marker::Bin16 | Marker::Bin32 => {
                self.bin()?;
            }
            other => {
                self.take(1)?;
                let len = match other {
                    Marker::FixPos(_)
                    | Marker::FixNeg(_)
                    | Marker::Null
                    | Marker::True
                    | Marker::False => 0,
                    Marker::U8 | Marker::I8 => 1,
                    Marker::U16 | Marker::I16 | Marker::FixExt1 => 2,
                    Marker::FixExt2 => 3,
                    Marker::U32 | Marker::I32 | Marker::F32 => 4,
                    Marker::FixExt4 => 5,
                    Marker::U64 | Marker::I64 | Marker::F64 => 8,
                    Marker::FixExt8 => 9,
                    Marker::FixExt16 => 17,
                    Marker::Ext8 => 1 + self.length::<1>()?,
                    Marker::Ext16 => 1 + self.length::<2>()?,
                    Marker::Ext32 => self
                        .length::<4>()?
                        .checked_add(1)
                        .ok_or(DecodeError::Truncated)?,
                    reserved => return Err(wrong_type(reserved)),
                };
                self.take(len)?;
            }
        }
        Ok(())
    }

    #[inline]
    fn slice(&self, part: &'a [u8]) -> Bytes {
        self.whole.slice_ref(part)
    }
}

/// Appends a string.
#[inline]
pub fn write_str(out: &mut Vec<u8>, text: &str) {
    // Writing into a Vec can not fail.
    let _ = rmp::encode::write_str(out, text);
}

/// Appends a binary string.
#[inline]
pub fn write_bin(out: &mut Vec<u8>, bytes: &[u8]) {
    let _ = rmp::encode::write_bin(out, bytes);
}

/// Appends the header of a map with `fields` fields.
#[inline]
pub fn write_map(out: &mut Vec<u8>, fields: u32) {
    let _ = rmp::encode::write_map_len(out, fields);
}

/// Appends the header of an array with `items` elements.
#[inline]
pub fn write_array(out: &mut Vec<u8>, items: u32) {
    let _ = rmp::encode::write_array_len(out, items);
}

macro_rules! uints {
    ($($kind:ty),*) => {$(
        impl Wire for $kind {
            fn write(&self, out: &mut Vec<u8>) {
                let _ = rmp::encode::write_uint(out, u64::from(*self));
            }

            #[inline]
            fn read_into(&mut self, reader: &mut Reader<'_>) -> Result<(), DecodeError> {
                *self = Self::try_from(reader.u64()?).map_err(|_| DecodeError::OutOfRange)?;
                Ok(())
            }

            fn blank() -> Self {
                0
            }
        }
    )*};
}
uints!(u8, u16, u32, u64);

macro_rules! optional {
    ($($kind:ty),*) => {$(
        impl Optional for $kind {
            fn is_default(&self) -> bool {
                *self == Self::default()
            }
        }
    )*};
}
optional!(u8, u16, u32, u64, bool, Real);

impl Optional for String {
    fn is_default(&self) -> bool {
        self.is_empty()
    }
}

impl Optional for Bytes {
    fn is_default(&self) -> bool {
        self.is_empty()
    }
}

impl<T: Wire> Optional for Option<T> {
    fn is_default(&self) -> bool {
        self.is_none()
    }
}

impl<T: Wire> Optional for Vec<T> {
    fn is_default(&self) -> bool {
        self.is_empty()
    }
}

impl Wire for bool {
    fn write(&self, out: &mut Vec<u8>) {
        let _ = rmp::encode::write_bool(out, *self);
    }

    fn read_into(&mut self, reader: &mut Reader<'_>) -> Result<(), DecodeError> {
        *self = match reader.marker()? {
            Marker::True => true,
            Marker::False => false,
            other => return Err(wrong_type(other)),
        };
        Ok(())
    }

    fn blank() -> Self {
        false
    }
}

/// A finite number with a fraction, as a 64-bit float on the wire; any other number type is read too. Compared by its bits, so that
/// records that hold it are equal exactly when their encodings are.
#[derive(Clone, Copy, Debug, Default)]
pub struct Real(pub f64);

impl PartialEq for Real {
    fn eq(&self, other: &Self) -> bool {
        self.0.to_bits() == other.0.to_bits()
    }
}

impl Eq for Real {}

impl Wire for Real {
    fn write(&self, out: &mut Vec<u8>) {
        let _ = rmp::encode::write_f64(out, self.0);
    }

    fn read_into(&mut self, reader: &mut Reader<'_>) -> Result<(), DecodeError> {
        let value = match reader.peek()? {
            marker @ (Marker::F64
            | Marker::F32
            | Marker::FixNeg(_)
            | Marker::I8
            | Marker::I16
            | Marker::I32
            | Marker::I64) => {
                reader.take(1)?;
                match marker {
                    Marker::F64 => f64::from_bits(reader.uint::<8>()?),
                    Marker::F32 => f64::from(f32::from_bits(reader.uint::<4>()? as u32)),
                    Marker::FixNeg(value) => f64::from(value),
                    Marker::I8 => f64::from((reader.uint::<1>()? as u8).cast_signed()),
                    Marker::I16 => f64::from((reader.uint::<2>()? as u16).cast_signed()),
                    Marker::I32 => f64::from((reader.uint::<4>()? as u32).cast_signed()),
                    _ => reader.uint::<8>()?.cast_signed() as f64,
                }
            }
            _ => reader.u64()? as f64,
        };
        if !value.is_finite() {
            return Err(DecodeError::OutOfRange);
        }
        *self = Self(value);
        Ok(())
    }

    fn blank() -> Self {
        Self(0.0)
    }
}

impl Wire for String {
    fn write(&self, out: &mut Vec<u8>) {
        write_str(out, self);
    }

    fn read_into(&mut self, reader: &mut Reader<'_>) -> Result<(), DecodeError> {
        *self = reader.str()?.to_owned();
        Ok(())
    }

    fn blank() -> Self {
        Self::new()
    }
}

impl Wire for Bytes {
    fn write(&self, out: &mut Vec<u8>) {
        write_bin(out, self);
    }

    fn read_into(&mut self, reader: &mut Reader<'_>) -> Result<(), DecodeError> {
        let part = reader.bin()?;
        *self = reader.slice(part);
        Ok(())
    }

    fn blank() -> Self {
        Self::new()
    }
}

impl<T: Wire> Wire for Option<T> {
    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Some(value) => value.write(out),
            None => {
                let _ = rmp::encode::write_nil(out);
            }
        }
    }

    fn read_into(&mut self, reader: &mut Reader<'_>) -> Result<(), DecodeError> {
        if reader.peek()? == Marker::Null {
            reader.take(1)?;
            *self = None;
            return Ok(());
        }
        self.insert(T::blank()).read_into(reader)
    }

    fn blank() -> Self {
        None
    }
}

impl<T: Wire> Wire for Box<T> {
    fn write(&self, out: &mut Vec<u8>) {
        T::write(self, out);
    }

    fn read_into(&mut self, reader: &mut Reader<'_>) -> Result<(), DecodeError> {
        T::read_into(self, reader)
    }

    fn blank() -> Self {
        Self::new(T::blank())
    }
}

impl<T: Wire> Wire for Vec<T> {
    fn write(&self, out: &mut Vec<u8>) {
        debug_assert!(self.len() <= LIST_ITEMS_MAX as usize, "list over its limit");
        write_array(out, self.len() as u32);
        for item in self {
            item.write(out);
        }
    }

    fn read_into(&mut self, reader: &mut Reader<'_>) -> Result<(), DecodeError> {
        let len = reader.array()?;
        // Small at first: the length is the peer's claim, the elements are not there yet.
        let room = (LIST_RESERVED_BYTES / size_of::<T>().max(1)).max(1);
        self.reserve(room.min(len as usize));
        reader.items(len, &mut |reader| {
            self.push(T::blank());
            self.last_mut()
                .map_or(Ok(()), |item| item.read_into(reader))
        })
    }

    fn blank() -> Self {
        Self::new()
    }
}

/// One encoded value, kept as its bytes: checked to be well-formed, not looked into.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Raw(pub Bytes);

impl Wire for Raw {
    fn write(&self, out: &mut Vec<u8>) {
        debug_assert!(!self.0.is_empty(), "a raw value is never empty");
        out.extend_from_slice(&self.0);
    }

    fn read_into(&mut self, reader: &mut Reader<'_>) -> Result<(), DecodeError> {
        let start = reader.at;
        reader.skip()?;
        *self = Self(reader.whole.slice(start..reader.at));
        Ok(())
    }

    fn blank() -> Self {
        Self(Bytes::new())
    }
}
