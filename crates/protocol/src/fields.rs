//! What the macros [`record!`](crate::record) and [`open_enum!`](crate::open_enum) make of a declaration, and the code that all records
//! share.

use std::fmt;

use crate::codec::{DecodeError, Optional, Reader, Wire};

/// Fields that a record may have: what has come is a set of bits.
const KNOWN_FIELDS_MAX: usize = 64;
/// The first byte of a map with fields in its low four bits, and how many these can say.
const SHORT_MAP: u8 = 0x80;
const SHORT_MAP_FIELDS_MAX: u16 = 15;
/// The first byte of a map whose number of fields follows in two bytes.
const LONG_MAP: u8 = 0xde;
/// The first byte of a text with its length in its low five bits.
const SHORT_TEXT: u8 = 0xa0;

/// The key of a record's field: one to three bytes. A number and not a text: it is compared at once, and a library that is loaded at
/// any address has to be told where each of its texts is.
#[derive(Clone, Copy, Eq, PartialEq)]
pub struct Key(u32);

impl Key {
    /// A key as it stands in a declaration. Panics if it has another length.
    #[must_use]
    pub const fn new(key: &str) -> Self {
        let key = Self::of(key.as_bytes());
        assert!(key.0 != 0, "a field's key is short");
        key
    }

    /// Its length and its bytes; 0 for what no record has.
    #[inline]
    const fn of(key: &[u8]) -> Self {
        Self(match *key {
            [a] => u32::from_be_bytes([1, 0, 0, a]),
            [a, b] => u32::from_be_bytes([2, 0, a, b]),
            [a, b, c] => u32::from_be_bytes([3, a, b, c]),
            _ => 0,
        })
    }

    /// Its bytes, behind as many as it has fewer than three.
    const fn bytes(self) -> (usize, [u8; 3]) {
        let [len, a, b, c] = self.0.to_be_bytes();
        (3_usize.saturating_sub(len as usize), [a, b, c])
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (from, bytes) = self.bytes();
        let text = bytes.get(from..).map(str::from_utf8);
        f.write_str(text.and_then(Result::ok).unwrap_or_default())
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({self})")
    }
}

/// Reads the fields of a record: `fill` reads the one at a place of `keys`. `required` is a set of places. Not generic: what each of a
/// hundred records has of its own is only where its fields are.
#[doc(hidden)]
pub fn read_fields(
    reader: &mut Reader<'_>,
    keys: &[Key],
    required: u64,
    fill: &mut dyn FnMut(usize, &mut Reader<'_>) -> Result<(), DecodeError>,
) -> Result<(), DecodeError> {
    debug_assert!(keys.len() <= KNOWN_FIELDS_MAX, "too many fields");
    let fields = reader.map()?;
    let mut seen = 0_u64;
    // Writers keep the table's order: a field is most often the next one or one soon after.
    let mut next = 0;
    for _ in 0..fields {
        let key = Key::of(reader.key()?.as_bytes());
        let (before, after) = keys.split_at_checked(next).unwrap_or((keys, &[]));
        let place = match after.iter().position(|known| *known == key) {
            Some(place) => next + place,
            None => match before.iter().position(|known| *known == key) {
                Some(place) => place,
                None => {
                    reader.skip()?;
                    continue;
                }
            },
        };
        let bit = 1_u64.unbounded_shl(place as u32);
        if seen & bit != 0 {
            return Err(DecodeError::Doubled(key));
        }
        seen |= bit;
        fill(place, reader)?;
        next = place + 1;
    }
    reader.leave();
    let missing = required & !seen;
    match keys.get(missing.trailing_zeros() as usize) {
        Some(key) if missing != 0 => Err(DecodeError::Missing(*key)),
        _ => Ok(()),
    }
}

/// A map that is written: how many fields it has is known at its end.
#[doc(hidden)]
#[derive(Debug)]
pub struct MapWriter<'a> {
    out: &'a mut Vec<u8>,
    start: usize,
    fields: u16,
}

impl<'a> MapWriter<'a> {
    /// Begins it.
    #[must_use]
    pub fn new(out: &'a mut Vec<u8>) -> Self {
        let start = out.len();
        out.push(SHORT_MAP);
        Self {
            out,
            start,
            fields: 0,
        }
    }

    /// Appends a field.
    pub fn required<T: Wire>(&mut self, key: Key, value: &T) {
        self.key(key);
        value.write(self.out);
    }

    /// Appends a field that is left out at its default.
    pub fn optional<T: Optional>(&mut self, key: Key, value: &T) {
        if !value.is_default() {
            self.required(key, value);
        }
    }

    fn key(&mut self, key: Key) {
        self.fields = self.fields.saturating_add(1);
        let (from, bytes) = key.bytes();
        let text = bytes.get(from..).unwrap_or_default();
        // A text of so few bytes says its length in its first byte.
        self.out.push(SHORT_TEXT | text.len() as u8);
        self.out.extend_from_slice(text);
    }

    /// Ends it.
    pub fn end(self) {
        debug_assert!(
            usize::from(self.fields) <= KNOWN_FIELDS_MAX,
            "too many fields"
        );
        if self.fields <= SHORT_MAP_FIELDS_MAX {
            if let Some(head) = self.out.get_mut(self.start) {
                *head = SHORT_MAP | self.fields as u8;
            }
        } else {
            let [high, low] = self.fields.to_be_bytes();
            self.out
                .splice(self.start..=self.start, [LONG_MAP, high, low]);
        }
    }
}

/// Declares a map with short keys: `req` fields must come, `opt` fields take their type's default and are left out when equal to it.
#[macro_export]
macro_rules! record {
    ($(#[doc = $doc:literal])* $name:ident { $($(#[doc = $fdoc:literal])* $mode:ident $key:literal $field:ident: $kind:ty,)* }) => {
        $(#[doc = $doc])*
        #[derive(Clone, Debug, Eq, PartialEq)]
        pub struct $name { $($(#[doc = $fdoc])* pub $field: $kind,)* }

        impl $crate::codec::Record for $name {
            const FIELDS: &'static [$crate::codec::Field] = &[$($crate::codec::Field {
                key: $key,
                name: stringify!($field),
                kind: stringify!($kind),
                required: $crate::record!(@required $mode),
                doc: concat!($($fdoc),*),
            }),*];
            const NAME: &'static str = stringify!($name);
            const DOC: &'static str = concat!($($doc),*);
        }

        impl $crate::codec::Wire for $name {
            fn write(&self, out: &mut Vec<u8>) {
                let mut map = $crate::fields::MapWriter::new(out);
                $($crate::record!(@write $mode map, $key, self.$field);)*
                map.end();
            }

            fn read_into(&mut self, reader: &mut $crate::codec::Reader<'_>) -> Result<(), $crate::codec::DecodeError> {
                const KEYS: &[$crate::fields::Key] = &[$($crate::fields::Key::new($key)),*];
                const REQUIRED: u64 = 0 $(| ($crate::record!(@required $mode) as u64) << Place::$field as u64)*;
                #[expect(non_camel_case_types, reason = "named as the fields whose places in the table they are")]
                enum Place { $($field),* }
                fn fill(record: &mut $name, place: usize, reader: &mut $crate::codec::Reader<'_>) -> Result<(), $crate::codec::DecodeError> {
                    $(if place == Place::$field as usize {
                        return $crate::codec::Wire::read_into(&mut record.$field, reader);
                    })*
                    Ok(())
                }
                $crate::fields::read_fields(reader, KEYS, REQUIRED, &mut |place, reader| fill(self, place, reader))
            }

            fn blank() -> Self {
                Self { $($field: $crate::record!(@blank $mode $kind),)* }
            }
        }
    };
    (@blank req $kind:ty) => { <$kind as $crate::codec::Wire>::blank() };
    (@blank opt $kind:ty) => { <$kind as Default>::default() };
    (@required req) => { true };
    (@required opt) => { false };
    (@write req $map:ident, $key:literal, $value:expr) => { $map.required(const { $crate::fields::Key::new($key) }, &$value) };
    (@write opt $map:ident, $key:literal, $value:expr) => { $map.optional(const { $crate::fields::Key::new($key) }, &$value) };
}

/// Declares an enumeration that is one unsigned number on the wire and keeps numbers it does not know.
#[macro_export]
macro_rules! open_enum {
    ($(#[doc = $doc:literal])* $name:ident { $($(#[doc = $vdoc:literal])* $number:literal $variant:ident,)* }) => {
        $(#[doc = $doc])*
        #[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
        pub enum $name {
            $($(#[doc = $vdoc])* $variant,)*
            /// A number this build does not know.
            Unknown(u16),
        }

        impl $name {
            /// The known numbers with their names and meanings.
            pub const TABLE: &'static [(u16, &'static str, &'static str)] =
                &[$(($number, stringify!($variant), concat!($($vdoc),*))),*];

            /// The number on the wire.
            #[must_use]
            pub const fn number(self) -> u16 {
                match self { $(Self::$variant => $number,)* Self::Unknown(number) => number }
            }

            /// The value of a number from the wire.
            #[must_use]
            pub const fn from_number(number: u16) -> Self {
                match number { $($number => Self::$variant,)* other => Self::Unknown(other) }
            }
        }

        impl $crate::codec::Wire for $name {
            fn write(&self, out: &mut Vec<u8>) {
                <u16 as $crate::codec::Wire>::write(&self.number(), out);
            }

            fn read_into(&mut self, reader: &mut $crate::codec::Reader<'_>) -> Result<(), $crate::codec::DecodeError> {
                *self = Self::from_number(<u16 as $crate::codec::Wire>::read(reader)?);
                Ok(())
            }

            fn blank() -> Self {
                Self::Unknown(0)
            }
        }
    };
}
