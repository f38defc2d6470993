//! What came of operations.

use std::sync::Arc;

use bytes::Bytes;
use fireside_protocol::{
    Code, ConversationId, Ordinal, Sequence, UserId, WallMs,
    frames::{
        BansPage, ChildrenPage, DevicesPage, HeadsPage, LinksPage, MembersPage, Page, PinsPage,
        RevisionsPage, UserLogPage, UserRecord,
    },
    personal::ReadersPage,
    profile::ProfilesPage,
};

use super::{Expiring, Item, LoadedConversation, LoadedUser, MemberRow};
use crate::{forward::Original, own::OwnSet, reports::StoredReport, rights::EntryMeta};

/// What came of an operation.
#[derive(Clone, Debug, PartialEq)]
#[allow(clippy::large_enum_variant, reason = "replies are passed on, not kept")]
pub enum Reply {
    /// Of [`Op::Append`].
    Appended(Appended),
    /// Of [`Op::Mark`]: the user-log records made.
    Marked(Vec<(UserId, UserRecord)>),
    /// Of [`Op::SetBlock`].
    BlockSet(BlockSet),
    /// Of [`Op::SetOwn`].
    OwnSet(OwnSet),
    /// Of [`Op::Report`].
    Reported(Outcome),
    /// Of [`Op::Reports`].
    Reports(Vec<StoredReport>),
    /// Of [`Op::PutDevice`], [`Op::RemoveDevice`] (the outcome of a known nonce is the same).
    Done,
    /// Of [`Op::LoadConversation`].
    Conversation(Box<LoadedConversation>),
    /// Of [`Op::LoadUser`].
    User(Box<LoadedUser>),
    /// Of [`Op::LoadItem`].
    Item(Box<Option<Item>>),
    /// Of [`Op::LoadMember`].
    Member(Box<Option<MemberRow>>),
    /// Of [`Op::Profiles`].
    Profiles(ProfilesPage),
    /// Of [`Op::Children`].
    Children(ChildrenPage),
    /// Of [`Op::Page`].
    Page(Box<Page>),
    /// Of [`Op::Heads`].
    Heads(HeadsPage),
    /// Of [`Op::Sync`].
    Sync(Box<(UserLogPage, HeadsPage)>),
    /// Of [`Op::UserLog`].
    UserLog(UserLogPage),
    /// Of [`Op::Members`].
    Members(MembersPage),
    /// Of [`Op::Pins`].
    Pins(PinsPage),
    /// Of [`Op::Bans`].
    Bans(BansPage),
    /// Of [`Op::Links`].
    Links(LinksPage),
    /// Of [`Op::Meetings`]: each with when it ends by itself, 0 never.
    Meetings(Vec<(ConversationId, WallMs)>),
    /// Of [`Op::Originals`].
    Originals(Result<Vec<Original>, Code>),
    /// Of [`Op::Expiring`].
    Expiring(Expiring),
    /// Of [`Op::LastSeen`]: of those who ever did.
    LastSeen(Vec<(UserId, WallMs)>),
    /// Of [`Op::Readers`].
    Readers(ReadersPage),
    /// Of [`Op::Revisions`].
    Revisions(RevisionsPage),
    /// Of [`Op::Devices`]; `online` is filled in by the core.
    Devices(DevicesPage),
    /// The user may not see it, or it is not there.
    NotFound,
    /// The user's role does not allow it.
    Forbidden,
}

/// What came of an append.
#[derive(Clone, Debug, PartialEq)]
pub enum Appended {
    /// Durable.
    Done(Done),
    /// The nonce was known: this came of it the first time. Nothing was changed.
    Known(Outcome),
    /// `after` has no outcome. Nothing was changed.
    OutOfOrder,
    /// Decided on an old version or rev. Nothing was changed.
    Stale,
}

/// A durable append.
#[derive(Clone, Debug, PartialEq)]
pub struct Done {
    /// What a repeat of the nonce will be answered with.
    pub outcome: Outcome,
    /// The entries with their numbers, encoded as readers get them.
    pub entries: Vec<StoredEntry>,
    /// The conversation's version now.
    pub version: u64,
    /// The user-log records made.
    pub records: Vec<(UserId, UserRecord)>,
    /// The changed members as they are now.
    pub members: Vec<MemberRow>,
    /// What happened with it in conversations that belong to this one, and in those that belong to these.
    pub children: Vec<ChildDone>,
}

/// What an append did in a conversation that belongs to its own.
#[derive(Clone, Debug, PartialEq)]
pub struct ChildDone {
    /// Which.
    pub conversation: ConversationId,
    /// Its entries with their numbers.
    pub entries: Vec<StoredEntry>,
    /// Its version now.
    pub version: u64,
    /// The changed members as they are now.
    pub members: Vec<MemberRow>,
}

/// An entry as stored.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StoredEntry {
    /// What the rules need.
    pub meta: EntryMeta,
    /// An encoded [`Entry`](fireside_protocol::Entry): a change with what it says, an item with its state.
    pub body: Bytes,
}

/// What a nonce stands for, kept 30 days.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// Done.
    Done {
        /// Where, if in a conversation.
        conversation: Option<ConversationId>,
        /// The first entry it made; 0 none.
        sequence: Sequence,
        /// Its ordinal.
        ordinal: Ordinal,
        /// When.
        at: WallMs,
        /// When that message ends; 0: never, or it is none.
        expires: WallMs,
    },
    /// Refused for good.
    Refused(Code),
}

/// What came of a block.
#[derive(Clone, Debug, PartialEq)]
pub struct BlockSet {
    /// For the ack.
    pub outcome: Outcome,
    /// Conversations both are in, with their new versions.
    pub bumped: Vec<(ConversationId, u64)>,
    /// The user-log records made.
    pub records: Vec<(UserId, UserRecord)>,
}

/// Why nothing came of an operation. Nothing was changed; all are retryable.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// No room on the disk (or its quota).
    #[error("the disk is full")]
    Full,
    /// Too much is queued.
    #[error("the store has too much to do")]
    Busy,
    /// Anything else; the text is for the operator.
    #[error("the store does not answer: {0}")]
    Unavailable(Arc<str>),
}

impl StoreError {
    /// The code for the client.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::Full => Code::StorageFull,
            Self::Busy => Code::Overloaded,
            Self::Unavailable(_) => Code::StorageUnavailable,
        }
    }
}
