//! Ids are types, so that two of them can not be swapped.

use std::{fmt, sync::Arc};

use sha2::{Digest, Sha256};

use crate::{
    Code,
    codec::{DecodeError, Reader, Wire, write_bin, write_str},
    limits::USER_ID_BYTES_MAX,
};

macro_rules! id16 {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
        pub struct $name(pub [u8; 16]);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{self}")
            }
        }

        impl std::str::FromStr for $name {
            type Err = IdError;

            /// Reads 32 hexadecimal digits.
            fn from_str(text: &str) -> Result<Self, IdError> {
                let bytes = text.as_bytes();
                if bytes.len() != 32 {
                    return Err(IdError::NotHex);
                }
                let mut id = [0; 16];
                for (out, pair) in id.iter_mut().zip(bytes.chunks_exact(2)) {
                    let high = (pair[0] as char).to_digit(16).ok_or(IdError::NotHex)?;
                    let low = (pair[1] as char).to_digit(16).ok_or(IdError::NotHex)?;
                    *out = (high * 16 + low) as u8;
                }
                Ok(Self(id))
            }
        }

        impl Wire for $name {
            fn write(&self, out: &mut Vec<u8>) {
                write_bin(out, &self.0);
            }

            fn read_into(&mut self, reader: &mut Reader<'_>) -> Result<(), DecodeError> {
                reader.id(&mut self.0)
            }

            fn blank() -> Self {
                Self([0; 16])
            }
        }
    };
}

id16! {
    /// A conversation. Direct ones are derived from their two users, others from their creator and the nonce of the creation.
    ConversationId
}
id16! {
    /// An installed client, made by the client once and kept.
    DeviceId
}
id16! {
    /// The client's name for a command, made before its first try: a UUIDv7 (RFC 9562 section 5.7).
    Nonce
}

id16! {
    /// A folder of a user's conversations, made by the client.
    FolderId
}

/// Why an id could not be made.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum IdError {
    /// Not 32 hexadecimal digits.
    #[error("expected 32 hexadecimal digits")]
    NotHex,
    /// Not 1 to 64 bytes without control characters.
    #[error("a user id is 1 to 64 bytes without control characters")]
    BadUser,
}

impl IdError {
    /// The code on the wire.
    #[must_use]
    pub const fn code(self) -> Code {
        match self {
            Self::NotHex => Code::ArgumentInvalid,
            Self::BadUser => Code::UserInvalid,
        }
    }
}

impl ConversationId {
    /// The direct conversation of two users, the same whichever comes first.
    ///
    /// SHA-256 over `fireside/direct/1`, then for the smaller and the larger user id (by bytes) one length byte and the id;
    /// the first 16 bytes.
    #[must_use]
    pub fn direct(one: &UserId, other: &UserId) -> Self {
        let (low, high) = if one.as_str().as_bytes() <= other.as_str().as_bytes() {
            (one, other)
        } else {
            (other, one)
        };
        Self::derive(
            b"fireside/direct/1",
            &[low.as_str().as_bytes(), high.as_str().as_bytes()],
        )
    }

    /// The conversation that `creator` made with the command `nonce`.
    ///
    /// SHA-256 over `fireside/made/1`, one length byte and the creator, one length byte and the nonce; the first 16 bytes.
    #[must_use]
    pub fn made(creator: &UserId, nonce: Nonce) -> Self {
        Self::derive(b"fireside/made/1", &[creator.as_str().as_bytes(), &nonce.0])
    }

    /// The thread under message `root` of `parent`.
    ///
    /// SHA-256 over `fireside/thread/1`, one length byte and the parent, one length byte and the number as 8 bytes, big-endian; the
    /// first 16 bytes.
    #[must_use]
    pub fn thread(parent: Self, root: Sequence) -> Self {
        Self::derive(b"fireside/thread/1", &[&parent.0, &root.to_be_bytes()])
    }

    fn derive(label: &[u8], parts: &[&[u8]]) -> Self {
        let mut hash = Sha256::new();
        hash.update(label);
        for part in parts {
            hash.update([part.len() as u8]);
            hash.update(part);
        }
        let mut id = [0; 16];
        id.copy_from_slice(&hash.finalize()[..16]);
        Self(id)
    }
}

impl Nonce {
    /// A UUIDv7 of a wall clock (ms since 1970) and ten random bytes.
    #[must_use]
    pub fn new(wall_ms: u64, random: [u8; 10]) -> Self {
        let mut id = [0; 16];
        id[..6].copy_from_slice(&wall_ms.to_be_bytes()[2..]);
        id[6..].copy_from_slice(&random);
        id[6] = 0x70 | (id[6] & 0x0f);
        id[8] = 0x80 | (id[8] & 0x3f);
        Self(id)
    }

    /// The name of the command by which the server ends a conversation by itself, the same at every try.
    ///
    /// SHA-256 over `fireside/end/1`, one length byte and the conversation; the first 16 bytes.
    #[must_use]
    pub fn end_of(conversation: ConversationId) -> Self {
        Self(ConversationId::derive(b"fireside/end/1", &[&conversation.0]).0)
    }

    /// The name of the command by which the server ends a message whose time is over, the same at every try and on every node.
    ///
    /// SHA-256 over `fireside/expire/1`, one length byte and the conversation, one length byte and the message's number (8 bytes,
    /// big-endian); the first 16 bytes.
    #[must_use]
    pub fn expiry_of(conversation: ConversationId, message: Sequence) -> Self {
        let number = message.to_be_bytes();
        Self(ConversationId::derive(b"fireside/expire/1", &[&conversation.0, &number]).0)
    }

    /// The name of the command by which the server closes a poll whose time is over, the same at every try and on every node.
    ///
    /// SHA-256 over `fireside/close/1`, one length byte and the conversation, one length byte and the poll's number (8 bytes, big-endian);
    /// the first 16 bytes.
    #[must_use]
    pub fn closing_of(conversation: ConversationId, poll: Sequence) -> Self {
        let number = poll.to_be_bytes();
        Self(ConversationId::derive(b"fireside/close/1", &[&conversation.0, &number]).0)
    }

    /// The name of the command by which the server adds a link's preview to a message, the same at every try and on every node: one for each
    /// change of the message's body.
    ///
    /// SHA-256 over `fireside/preview/1`, one length byte and the conversation, one length byte and the message's number (8 bytes,
    /// big-endian), one length byte and the number of the last change of its body (8 bytes, big-endian); the first 16 bytes.
    #[must_use]
    pub fn preview_of(conversation: ConversationId, message: Sequence, rev: Rev) -> Self {
        let (number, rev) = (message.to_be_bytes(), rev.to_be_bytes());
        let parts: [&[u8]; 3] = [&conversation.0, &number, &rev];
        Self(ConversationId::derive(b"fireside/preview/1", &parts).0)
    }

    /// The name of the command by which the server takes copies out of a message, the same at every try and on every node: of the first
    /// of them.
    ///
    /// SHA-256 over `fireside/withdraw/1`, one length byte and the conversation, one length byte and the message's number (8 bytes,
    /// big-endian), one length byte and the copy's place (4 bytes, big-endian); the first 16 bytes.
    #[must_use]
    pub fn withdrawal_of(conversation: ConversationId, message: Sequence, place: u32) -> Self {
        let (number, place) = (message.to_be_bytes(), place.to_be_bytes());
        let parts: [&[u8]; 3] = [&conversation.0, &number, &place];
        Self(ConversationId::derive(b"fireside/withdraw/1", &parts).0)
    }

    /// The wall clock it was made at, in ms since 1970, as the client claims.
    #[must_use]
    pub fn wall_ms(self) -> u64 {
        self.0[..6]
            .iter()
            .fold(0, |ms, byte| ms << 8 | u64::from(*byte))
    }
}

/// Who a person is: the token's `sub`, 1 to 64 bytes without control characters. Cheap to clone.
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct UserId(
    /// Always there, but in a record that is being read.
    Option<Arc<str>>,
);

impl UserId {
    /// Checks and keeps an id.
    ///
    /// # Errors
    /// [`IdError::BadUser`].
    pub fn new(id: &str) -> Result<Self, IdError> {
        let fits = !id.is_empty() && id.len() <= USER_ID_BYTES_MAX;
        if fits && !id.chars().any(char::is_control) {
            Ok(Self(Some(id.into())))
        } else {
            Err(IdError::BadUser)
        }
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_deref().unwrap_or_default()
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "@{}", self.as_str())
    }
}

impl std::str::FromStr for UserId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        Self::new(text)
    }
}

impl Wire for UserId {
    fn write(&self, out: &mut Vec<u8>) {
        write_str(out, self.as_str());
    }

    fn read_into(&mut self, reader: &mut Reader<'_>) -> Result<(), DecodeError> {
        *self = Self::new(reader.str()?).map_err(|_| DecodeError::OutOfRange)?;
        Ok(())
    }

    fn blank() -> Self {
        Self(None)
    }
}

/// A number in a conversation's log, from 1, dense, given by the server. 0 stands for "before the first".
pub type Sequence = u64;
/// The number of the last entry that changed an item; its own number if none did.
pub type Rev = u64;
/// How many countable messages a log has up to and including a number.
pub type Ordinal = u64;
/// A time in ms since 1970 by the server's clock.
pub type WallMs = u64;
/// A number in a user's own log.
pub type UserSequence = u64;

/// What time it is; given to the cores with every call, as they have no clock of their own.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Now {
    /// Never goes back; its start means nothing. Timeouts are measured with it.
    pub monotonic_ms: u64,
    /// Since 1970; may jump.
    pub wall_ms: WallMs,
}
