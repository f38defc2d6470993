//! What the macros [`record!`](crate::record) and [`open_enum!`](crate::open_enum) make of a declaration, and the code that all records
//! share.

use crate::codec::{DecodeError, Reader, Wire};

/// Bytes of a key that a record may have.
const KNOWN_KEY_BYTES_MAX: usize = 3;
/// Fields that a record may have: what has come is a set of bits.
const KNOWN_FIELDS_MAX: usize = 64;

/// The number that the key of a record's field is compared as. A number and not a text: a library that is loaded at any address has to
/// be told where each of its texts is.
#[doc(hidden)]
#[must_use]
pub const fn key(key: &str) -> u32 {
    assert!(
        !key.is_empty() && key.len() <= KNOWN_KEY_BYTES_MAX,
        "a field's key is short"
    );
    key_number(key.as_bytes())
}

/// Its length and its bytes; 0 for what no record has.
#[inline]
const fn key_number(key: &[u8]) -> u32 {
    match *key {
        [a] => u32::from_be_bytes([1, 0, 0, a]),
        [a, b] => u32::from_be_bytes([2, 0, a, b]),
        [a, b, c] => u32::from_be_bytes([3, a, b, c]),
        _ => 0,
    }
}

/// Reads the fields of a record: `fill` reads the one at a place of `keys`. `required` is a set of places; `names` are the keys as text, for errors, with a space after
/// each. Not generic: what each of a hundred records has of its own is only where its fields are.
#[doc(hidden)]
pub fn read_fields(
    reader: &mut Reader<'_>,
    keys: &[u32],
    required: u64,
    names: &'static str,
    fill: &mut dyn FnMut(usize, &mut Reader<'_>) -> Result<(), DecodeError>,
) -> Result<(), DecodeError> {
    debug_assert!(keys.len() <= KNOWN_FIELDS_MAX, "too many fields");
    let fields = reader.map()?;
    let mut seen = 0_u64;
    // Writers keep the table's order: a field is most often the next one or one soon after.
    let mut next = 0;
    for _ in 0..fields {
        let key = key_number(reader.key()?.as_bytes());
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
            return Err(DecodeError::Doubled(name_of(names, place)));
        }
        seen |= bit;
        fill(place, reader)?;
        next = place + 1;
    }
    reader.leave();
    let missing = required & !seen;
    if missing != 0 {
        return Err(DecodeError::Missing(name_of(
            names,
            missing.trailing_zeros() as usize,
        )));
    }
    Ok(())
}

fn name_of(names: &'static str, place: usize) -> &'static str {
    names.split(' ').nth(place).unwrap_or_default()
}

/// Reads a field.
#[doc(hidden)]
pub fn read_into<T: Wire>(reader: &mut Reader<'_>, slot: &mut T) -> Result<(), DecodeError> {
    *slot = T::read(reader)?;
    Ok(())
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
                let fields = 0u32 $(+ u32::from($crate::record!(@present $mode self.$field, $kind)))*;
                $crate::codec::write_map(out, fields);
                $(if $crate::record!(@present $mode self.$field, $kind) {
                    $crate::codec::write_str(out, $key);
                    <$kind as $crate::codec::Wire>::write(&self.$field, out);
                })*
            }

            fn read(reader: &mut $crate::codec::Reader<'_>) -> Result<Self, $crate::codec::DecodeError> {
                const KEYS: &[u32] = &[$($crate::fields::key($key)),*];
                const REQUIRED: u64 = 0 $(| ($crate::record!(@required $mode) as u64) << Place::$field as u64)*;
                #[expect(non_camel_case_types, reason = "named as the fields whose places in the table they are")]
                enum Place { $($field),* }
                fn fill(record: &mut $name, place: usize, reader: &mut $crate::codec::Reader<'_>) -> Result<(), $crate::codec::DecodeError> {
                    $(if place == Place::$field as usize {
                        return $crate::fields::read_into(reader, &mut record.$field);
                    })*
                    Ok(())
                }
                let mut record = <Self as $crate::codec::Wire>::blank();
                $crate::fields::read_fields(reader, KEYS, REQUIRED, concat!($($key, " "),*), &mut |place, reader| fill(&mut record, place, reader))?;
                Ok(record)
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
    (@present req $value:expr, $kind:ty) => { true };
    (@present opt $value:expr, $kind:ty) => { !<$kind as $crate::codec::Optional>::is_default(&$value) };
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

            fn read(reader: &mut $crate::codec::Reader<'_>) -> Result<Self, $crate::codec::DecodeError> {
                <u16 as $crate::codec::Wire>::read(reader).map(Self::from_number)
            }

            fn blank() -> Self {
                Self::Unknown(0)
            }
        }
    };
}
