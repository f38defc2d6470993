//! What the core keeps in memory, as a store reads it.

use fireside_protocol::{
    Attribute, ConversationId, ConversationKind, Entry, Ordinal, Role, Sequence, Settings, UserId,
    UserSequence, WallMs, frames::Link,
};

use super::Ban;
use crate::{
    deleted::Deleted,
    rights::{EntryMeta, Interval},
};

/// What a conversation belongs to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Parent {
    /// Of a channel its community; of a thread the conversation of the message it is under.
    pub conversation: ConversationId,
    /// Of a thread the number of that message; else 0.
    pub root: Sequence,
}

/// A conversation's row.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ConversationRow {
    /// Which.
    pub id: ConversationId,
    /// Its kind.
    pub kind: ConversationKind,
    /// What it belongs to.
    pub parent: Option<Parent>,
    /// Grows with membership, roles, settings, blocks.
    pub version: u64,
    /// Its name.
    pub name: String,
    /// See [`NewConversation`].
    pub history_for_joiners: u64,
    /// See [`Shape`].
    pub settings: Settings,
    /// It has ended: an entry of kind `Dissolved` is its last.
    pub dissolved: bool,
    /// Oldest number kept.
    pub first: Sequence,
    /// The largest number; 0 none.
    pub last: Sequence,
    /// Countable messages to `last`.
    pub ordinal: Ordinal,
    /// Time of `last`.
    pub last_at: WallMs,
}

/// A user's record in a conversation.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct MemberRow {
    /// Who.
    pub user: UserId,
    /// `None`: not a member now.
    pub role: Option<Role>,
    /// When they were, ascending.
    pub intervals: Vec<Interval>,
    /// Who invited them, while not answered.
    pub invited_by: Option<UserId>,
    /// They ask to come in.
    pub asked: bool,
    /// Read marker.
    pub read: Sequence,
    /// Delivered marker (direct).
    pub delivered: Sequence,
    /// Grows when rights change outside the log.
    pub rights: u64,
    /// What they deleted for themselves.
    pub deleted: Deleted,
    /// The name in their token, if they ever logged in.
    pub name: String,
    /// Until when they may not write; 0: they may. Stays when they leave.
    pub muted_until: WallMs,
    /// What bars them from coming back; it may have ended.
    pub ban: Option<Ban>,
    /// Their name in this conversation; empty: none. Stays when they leave.
    pub name_here: String,
    /// Their attributes in this conversation, by key. Stay when they leave.
    pub attributes: Vec<Attribute>,
    /// Nobody is told how far they have read.
    pub receipts_off: bool,
}

impl MemberRow {
    /// Of who never had anything to do with the conversation.
    #[must_use]
    pub fn new(user: UserId) -> Self {
        Self {
            user,
            role: None,
            intervals: Vec::new(),
            invited_by: None,
            asked: false,
            read: 0,
            delivered: 0,
            rights: 0,
            deleted: Deleted::default(),
            name: String::new(),
            muted_until: 0,
            ban: None,
            name_here: String::new(),
            attributes: Vec::new(),
            receipts_off: false,
        }
    }
}

/// What the core keeps in memory of a conversation.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LoadedConversation {
    /// `None`: it does not exist.
    pub row: Option<ConversationRow>,
    /// All who are, were or are invited to be members.
    pub members: Vec<MemberRow>,
    /// Who blocks whom among them (or among `peers`).
    pub blocks: Vec<(UserId, UserId)>,
    /// Where slow mode holds: when whoever wrote here did last. Else nothing.
    pub sent: Vec<(UserId, WallMs)>,
    /// Its invite links, oldest first, ended ones among them.
    pub links: Vec<Link>,
}

/// What the core needs at a log-in.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct LoadedUser {
    /// End of the user log.
    pub user_sequence: UserSequence,
    /// Tokens issued before this are revoked.
    pub valid_after: WallMs,
    /// Banned until.
    pub banned_until: WallMs,
    /// The conversations they are a member of now (for fan-out), at most 10,000.
    pub conversations: Vec<ConversationId>,
    /// Their friends, as their own records say, by user id.
    pub friends: Vec<UserId>,
    /// Whom they block, by user id.
    pub blocks: Vec<UserId>,
    /// Who blocks them, by user id.
    pub blocked_by: Vec<UserId>,
}

/// One item, to decide on a change of it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Item {
    /// What the rules need.
    pub meta: EntryMeta,
    /// Its state. `body_rev` goes into [`NewEntry::target`].
    pub entry: Entry,
    /// How many messages are pinned in its conversation.
    pub pins: usize,
}
