//! What the client keeps on its disk, as data. One transaction a frame, cursors included.

use bytes::Bytes;
use bytestring::ByteString;
use fireside_protocol::{
    ConversationId, DeviceId, Nonce, Sequence, UserId, UserSequence, WallMs,
    frames::{Head, Range, UserRecord},
};

/// Matches a result to its operation.
pub type Ticket = u64;

/// Something to keep or read. Carried out in the order given.
#[derive(Clone, Debug, PartialEq)]
pub enum StoreOp {
    /// At the start: everything but the items.
    Load,
    /// All of it or nothing.
    Apply(Box<Transaction>),
    /// Items of a conversation.
    Items(ItemsQuery),
}

/// Changes that belong together. Carried out in the order of the fields.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Transaction {
    /// Drops all items of these first.
    pub drop_items: Vec<ConversationId>,
    /// Conversations as they are now.
    pub conversations: Vec<ConversationRecord>,
    /// Conversations to forget.
    pub forget: Vec<ConversationId>,
    /// Items to keep, whole. The larger rev wins in the cache too: an item that is there already is replaced unless its `rev` is
    /// larger (an equal one may bring a part that was missed), and always keeps its `row`.
    pub items: Vec<ItemRecord>,
    /// All records of the user log go first.
    pub forget_records: bool,
    /// Records of the user log to keep, each in the place of the one with the same key; those that are gone only take that one away.
    pub records: Vec<UserRecord>,
    /// Outbox entries to add or change.
    pub outbox: Vec<OutboxRecord>,
    /// Outbox entries to take out. A nonce is never in both lists.
    pub outbox_remove: Vec<Nonce>,
    /// Cursors and the like, if they changed.
    pub profile: Option<Profile>,
}

impl Transaction {
    /// Nothing changes.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        // Whole, so that a new field is not forgotten here.
        let Self {
            drop_items,
            conversations,
            forget,
            items,
            forget_records,
            records,
            outbox,
            outbox_remove,
            profile,
        } = self;
        drop_items.is_empty()
            && conversations.is_empty()
            && forget.is_empty()
            && items.is_empty()
            && !*forget_records
            && records.is_empty()
            && outbox.is_empty()
            && outbox_remove.is_empty()
            && profile.is_none()
    }
}

/// One per cache.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Profile {
    /// Whose cache it is; another user's is not touched.
    pub user: Option<UserId>,
    /// This device, made once.
    pub device: DeviceId,
    /// Where the user log is.
    pub user_cursor: UserSequence,
    /// The server's stamp of the last full set of heads.
    pub heads_since: WallMs,
    /// Whom the user blocks.
    pub blocked: Vec<UserId>,
    /// Invitations not answered: where, who, its name.
    pub invitations: Vec<(ConversationId, UserId, String)>,
    /// The largest row number given out.
    pub row_counter: u64,
}

/// What a device holds of a conversation, without its items.
#[derive(Clone, Debug, PartialEq)]
pub struct ConversationRecord {
    /// As the server last described it, kept up to date by entries.
    pub head: Head,
    /// Numbers accounted for, ascending, apart from each other.
    pub covered: Vec<Range>,
    /// Every change up to here is in what is held.
    pub changes_to: Sequence,
    /// The largest number known to exist.
    pub last_known: Sequence,
    /// The rights version all of this was read under.
    pub rights: u64,
    /// The newest message of the other that ever was on this device (direct only): what it tells as delivered.
    pub got: Sequence,
}

/// An item as it is now.
#[derive(Clone, Debug, PartialEq)]
pub struct ItemRecord {
    /// Where.
    pub conversation: ConversationId,
    /// Its number.
    pub sequence: Sequence,
    /// Its stable row number.
    pub row: u64,
    /// Number of its last change.
    pub rev: Sequence,
    /// An encoded [`Entry`](fireside_protocol::Entry): its state.
    pub body: Bytes,
    /// For search: the text it shows, empty if none.
    pub text: ByteString,
}

/// A command that waits for its outcome.
#[derive(Clone, Debug, PartialEq)]
pub struct OutboxRecord {
    /// Its name.
    pub nonce: Nonce,
    /// Where: what it stays in order with.
    pub conversation: ConversationId,
    /// Order of the outbox.
    pub position: u64,
    /// The row of its echo; 0 none.
    pub row: u64,
    /// When the user gave it.
    pub created_at: WallMs,
    /// Was it ever sent?
    pub tried: bool,
    /// Failed for good: the code's number; 0 not.
    pub failed: u16,
    /// The encoded frame body and its kind, with `after` left out.
    pub kind: u16,
    /// See `kind`.
    pub body: Bytes,
}

/// Which items to read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ItemsQuery {
    /// Where.
    pub conversation: ConversationId,
    /// Numbers below this, descending; `u64::MAX`: the newest.
    pub below: Sequence,
    /// How many.
    pub limit: u32,
}

/// What came of an operation.
#[derive(Clone, Debug, PartialEq)]
pub enum Rows {
    /// Of [`StoreOp::Load`].
    Loaded(Box<Loaded>),
    /// Of [`StoreOp::Apply`].
    Applied,
    /// Of [`StoreOp::Items`], ascending.
    Items(Vec<ItemRecord>),
}

/// All but the items.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Loaded {
    /// Cursors and the like.
    pub profile: Profile,
    /// All conversations.
    pub conversations: Vec<ConversationRecord>,
    /// Records of the user log that were kept.
    pub records: Vec<UserRecord>,
    /// The outbox by position.
    pub outbox: Vec<OutboxRecord>,
}

/// Why the disk did not do it; the session goes on in memory.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the cache can not be used: {reason}")]
pub struct StoreError {
    /// For people.
    pub reason: String,
}
