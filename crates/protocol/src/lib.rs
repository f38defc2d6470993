#![doc = include_str!("../README.md")]

pub mod code;
pub mod codec;
pub mod content;
pub mod entry;
pub mod envelope;
#[doc(hidden)]
pub mod fields;
pub mod frames;
pub mod ids;
pub mod limits;
pub mod members;
pub mod personal;
pub mod presence;
pub mod profile;
pub mod report;
pub mod schema;
pub mod settings;
pub mod text;
pub mod transient;

pub use code::Code;
pub use codec::{DecodeError, Raw, Real, Record, Wire, decode, encode};
pub use content::{Content, TextContent};
pub use entry::{
    Child, ConversationKind, Entry, EntryKind, Facet, FacetKind, Header, MemberChange, MessageKind,
    Pinned, Reaction, Reactions, Role, Tombstone,
};
pub use envelope::{ALPN, FrameBuffer, FrameError, RawFrame, VERSION};
pub use frames::{ClientFrame, Lane, ServerFrame};
pub use ids::{
    ConversationId, DeviceId, FolderId, IdError, Nonce, Now, Ordinal, Rev, Sequence, UserId,
    UserSequence, WallMs,
};
pub use members::{LinkCode, MemberProfile};
pub use personal::{FriendAction, FriendState, NotificationLevel, Personal, RecordKey};
pub use presence::{PresenceState, RichPresence};
pub use profile::UserProfile;
pub use report::ReportReason;
pub use settings::{Attribute, JoinPolicy, OwnRole, Permission, Settings};
