//! An addition to a conversation's log, as the core wants it.

use bytes::Bytes;
use fireside_protocol::{
    Code, ConversationId, ConversationKind, EntryKind, Nonce, Rev, Role, Sequence, Settings,
    Tombstone, UserId, WallMs, frames::UserRecord,
};

use super::{Command, LinkOp, MemberOp, Parent};
use crate::facets::FacetOp;

/// An addition to a conversation's log.
#[derive(Clone, Debug, PartialEq)]
pub struct Append {
    /// Where.
    pub conversation: ConversationId,
    /// The version it was decided on; `None`: the conversation must not exist (a new one has version 1). Otherwise
    /// [`Appended::Stale`]. A direct conversation that does not exist has no version a block could have bumped: making one with an
    /// entry that is not private while one of the two blocks the other is stale as well.
    pub expected_version: Option<u64>,
    /// Makes the conversation.
    pub create: Option<NewConversation>,
    /// What the conversation is set to from then on; `None`: as it was. Kept with `effect`'s entries, and not of a refusal.
    pub shape: Option<Box<Shape>>,
    /// Invite links that are made, used and ended with it. Kept with `effect`'s entries, and not of a refusal.
    pub links: Vec<LinkOp>,
    /// Something that happens in a conversation that belongs to this one, in the same transaction. Not of a refusal.
    pub child: Option<Box<ChildOp>>,
    /// The command that caused it. Known nonces answer [`Appended::Known`] and change nothing.
    pub command: Command,
    /// What to do: entries, or only an outcome to remember.
    pub effect: Effect,
}

/// What an append does.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Adds these.
    Entries {
        /// In order; usually one.
        entries: Vec<NewEntry>,
        /// Membership or settings change: the version grows by one.
        bumps_version: bool,
        /// Changes of members without an entry of their own (invitations; who comes into a direct conversation that began
        /// withheld): carried out with the number that is next before `entries`.
        members: Vec<MemberOp>,
        /// For the user logs of these users.
        records: Vec<(UserId, NewUserRecord)>,
    },
    /// Remembers a refusal for good. `expected_version` and `create` are not used.
    Refuse(Code),
}

/// Makes a conversation that belongs to another, or lets somebody into one. It was decided on whether there is one: if that is no longer
/// so, or whoever is let in is in it already, the append is [`Appended::Stale`].
#[derive(Clone, Debug, PartialEq)]
pub struct ChildOp {
    /// Which.
    pub conversation: ConversationId,
    /// Makes it.
    pub create: Option<NewConversation>,
    /// What it is set to from the start.
    pub shape: Option<Box<Shape>>,
    /// Its entry, with a [`MemberOp::Join`].
    pub entry: NewEntry,
}

/// How a conversation starts.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NewConversation {
    /// Its kind.
    pub kind: ConversationKind,
    /// What it belongs to.
    pub parent: Option<Parent>,
    /// Its name; empty for direct.
    pub name: String,
    /// Who made it.
    pub creator: UserId,
    /// See [`CreateGroup::history_for_joiners`](fireside_protocol::frames::CreateGroup).
    pub history_for_joiners: u64,
    /// Members from number 1 without an entry of their own (direct).
    pub members: Vec<(UserId, Role)>,
}

/// What a conversation is, beside its log and its members.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Shape {
    /// Its name; empty for direct.
    pub name: String,
    /// See [`CreateGroup::history_for_joiners`](fireside_protocol::frames::CreateGroup).
    pub history_for_joiners: u64,
    /// All else that was ever set; its name and history are not used.
    pub settings: Settings,
}

/// An entry without a number.
#[derive(Clone, Debug, PartialEq)]
pub struct NewEntry {
    /// What it is.
    pub kind: EntryKind,
    /// Who caused it.
    pub sender: UserId,
    /// The server's clock; the store keeps it from going back.
    pub at: WallMs,
    /// The sender's name for it.
    pub nonce: Option<Nonce>,
    /// Of a message.
    pub header: Option<fireside_protocol::Header>,
    /// Of a message or edit.
    pub content: Bytes,
    /// Only the sender sees it, and the `audience`.
    pub private: bool,
    /// Who else sees what is private.
    pub audience: Option<UserId>,
    /// Of a change: the item's number and the rev of its body that it was decided on. Another one now: [`Appended::Stale`]. Facets
    /// that changed meanwhile make nothing stale.
    pub target: Option<(Sequence, Rev)>,
    /// Of a change of a facet: carried out on what the item has then, by [`facets::carry_out`](crate::facets::carry_out).
    pub facet: Option<FacetOp>,
    /// Of an edit or recall: what the item said before is kept for moderators. When a message expires, nothing of it is.
    pub keeps_revision: bool,
    /// Of a recall.
    pub tombstone: Option<Tombstone>,
    /// Of a member item; carried out with this entry's number.
    pub member: Option<MemberOp>,
    /// Of a forwarded message: what it is copied from.
    pub sources: Vec<Source>,
    /// Of an entry that takes copies out of a message: their places.
    pub withdraws: Vec<u32>,
}

/// What a part of a message is copied from. An admin's recall of it marks the copy; it is read by [`Op::Expiring`] until an entry takes it out.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Source {
    /// The part's place, from 0.
    pub place: u32,
    /// Where it was said.
    pub conversation: ConversationId,
    /// Its number.
    pub sequence: Sequence,
    /// The rev of its body that was read; another one now, a tombstone, or a mark on one of its own copies: [`Appended::Stale`]. `None`: not
    /// looked at, for it is copied by way of another.
    pub rev: Option<Rev>,
}

/// A record of the user log without a number.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NewUserRecord {
    /// All of it; its `sequence` is 0 and given by the store. The value of a `Rights` record with 0 is the user's rights version as it is
    /// after the append.
    pub record: UserRecord,
}
