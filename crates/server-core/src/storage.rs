//! What the core wants kept, as data: operations, their replies, and the reading side of a log.
//! `fireside-store` has the `Store` trait that carries them out and the suite every store must pass.

use std::sync::Arc;

use bytes::Bytes;
use fireside_protocol::{
    Attribute, Code, ConversationId, ConversationKind, DeviceId, EntryKind, LinkCode, MemberChange,
    Nonce, Ordinal, Rev, Role, Sequence, Settings, Tombstone, UserId, UserSequence, WallMs,
    frames::{
        BansPage, BansRequest, ChildrenPage, ChildrenRequest, DevicesPage, HeadsPage, HeadsRequest,
        Link, LinksPage, LinksRequest, MembersPage, MembersRequest, Page, PageRequest, PinsPage,
        PinsRequest, RevisionsPage, RevisionsRequest, UserLogPage, UserRecord,
    },
    personal::{ReadersPage, ReadersRequest},
    profile::ProfilesPage,
};

use crate::{
    facets::FacetOp,
    forward::Original,
    own::{OwnSet, SetOwn},
    reports::{NewReport, StoredReport},
    rights::EntryMeta,
};

mod reader;
mod rows;

pub use reader::{LogReader, Tally};
pub use rows::{ConversationRow, Item, LoadedConversation, LoadedUser, MemberRow, Parent};

/// Matches a reply to its operation. Chosen by the core, never used twice in one life.
pub type Ticket = u64;

/// Something to keep or to read. Writes are carried out in the order they are submitted; reads see every write that was
/// answered before they were submitted.
#[derive(Clone, Debug, PartialEq)]
pub enum Op {
    /// Adds to a conversation's log, or records a refusal; all or nothing, in one transaction.
    Append(Box<Append>),
    /// Moves markers forward (never back).
    Mark(Vec<Mark>),
    /// Blocks or unblocks.
    SetBlock(SetBlock),
    /// Changes what belongs to a user.
    SetOwn(Box<SetOwn>),
    /// Keeps a report with its evidence.
    Report(Box<NewReport>),
    /// Reads reports with a number over this, ascending, at most so many.
    Reports(u64, u32),
    /// Notes a log-in; over `DEVICES_PER_USER_MAX` the device unused longest goes.
    PutDevice(PutDevice),
    /// Forgets a device.
    RemoveDevice {
        /// Name of the command.
        command: Command,
        /// Which.
        device: DeviceId,
    },
    /// Reads what the core keeps in memory of a conversation.
    LoadConversation {
        /// Which.
        conversation: ConversationId,
        /// The two users of a direct conversation that may not exist yet: their blocks are read either way.
        peers: Option<(UserId, UserId)>,
    },
    /// Reads what the core needs at a log-in.
    LoadUser(UserId),
    /// Reads one item, to decide on a change of it.
    LoadItem {
        /// Where.
        conversation: ConversationId,
        /// Which.
        target: Target,
    },
    /// Reads a page as `user` may see it.
    Page {
        /// For whom.
        user: UserId,
        /// What.
        request: PageRequest,
    },
    /// Reads heads as `user` may see them.
    Heads {
        /// For whom.
        user: UserId,
        /// What.
        request: HeadsRequest,
        /// Of these conversations and no others; empty: of all.
        only: Vec<ConversationId>,
    },
    /// Reads the user log.
    UserLog {
        /// Whose.
        user: UserId,
        /// After this number.
        cursor: UserSequence,
        /// Wall clock, for the age of tombstones.
        now: WallMs,
    },
    /// Reads the user log and heads on one snapshot, for a log-in.
    Sync {
        /// For whom.
        user: UserId,
        /// The user log after this number.
        cursor: UserSequence,
        /// Which heads.
        request: HeadsRequest,
        /// Wall clock, for the age of tombstones.
        now: WallMs,
    },
    /// Reads members; `NotFound` for who is not one.
    Members {
        /// For whom.
        user: UserId,
        /// What.
        request: MembersRequest,
    },
    /// Reads who has read a message; `NotFound` for who does not see it.
    Readers {
        /// For whom.
        user: UserId,
        /// What.
        request: ReadersRequest,
    },
    /// Reads the pinned messages; `NotFound` for who is not a member.
    Pins {
        /// For whom.
        user: UserId,
        /// What.
        request: PinsRequest,
    },
    /// Reads who is banned; `NotFound` for who may not ban.
    Bans {
        /// For whom.
        user: UserId,
        /// What.
        request: BansRequest,
        /// Wall clock: bans that have ended are left out.
        now: WallMs,
    },
    /// Reads the invite links; `NotFound` for who may not invite.
    Links {
        /// For whom.
        user: UserId,
        /// What.
        request: LinksRequest,
    },
    /// Reads what users say of themselves; of those who ever logged in.
    Profiles(Vec<UserId>),
    /// Reads when users logged in last.
    LastSeen(Vec<UserId>),
    /// Reads what a message said before; `NotFound` for who may not see it, `Forbidden` for who may not look back.
    Revisions {
        /// For whom.
        user: UserId,
        /// What.
        request: RevisionsRequest,
    },
    /// Reads one member's record, to decide on what happens in a conversation that belongs to this one.
    LoadMember {
        /// Where.
        conversation: ConversationId,
        /// Whose.
        user: UserId,
    },
    /// Reads the channels or threads of a conversation; `NotFound` for who is not a member.
    Children {
        /// For whom.
        user: UserId,
        /// What.
        request: ChildrenRequest,
    },
    /// Reads the user's devices.
    Devices(UserId),
    /// Reads the meetings that are not over, by id: at most [`MEETINGS_READ_MAX`].
    Meetings {
        /// After this one.
        after: Option<ConversationId>,
    },
    /// Reads messages to forward them, as `user` may see them.
    Originals {
        /// For whom.
        user: UserId,
        /// Where.
        conversation: ConversationId,
        /// Which.
        numbers: Vec<Sequence>,
    },
    /// Reads which messages are to end by a time, the first to end first, and which copies are to be taken out: at most
    /// [`EXPIRIES_READ_MAX`] of each.
    Expiring {
        /// By when.
        upto: WallMs,
    },
}

/// Meetings read at once when a node starts.
pub const MEETINGS_READ_MAX: usize = 1_000;

/// Messages that are over, read at once.
pub const EXPIRIES_READ_MAX: usize = 200;

/// Messages that are over, and when to look again.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Expiring {
    /// Those that are to end by the time asked for.
    pub due: Vec<(ConversationId, Sequence)>,
    /// When the first of those that are not among them ends; 0: there is none.
    pub next: WallMs,
    /// Copies of what an admin took back: the message they are in, and their places in it.
    pub withdrawn: Vec<(ConversationId, Sequence, Vec<u32>)>,
}

impl Op {
    /// Whether it goes through the writer.
    #[must_use]
    pub const fn is_write(&self) -> bool {
        matches!(
            self,
            Self::Append(_)
                | Self::Mark(_)
                | Self::SetBlock(_)
                | Self::SetOwn(_)
                | Self::Report(_)
                | Self::PutDevice(_)
                | Self::RemoveDevice { .. }
        )
    }
}

/// Who gave a command and what they call it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Command {
    /// Who.
    pub user: UserId,
    /// Their name for it.
    pub nonce: Nonce,
    /// The command that must have an outcome before.
    pub after: Option<Nonce>,
    /// Wall clock, for the nonce's age.
    pub now: WallMs,
}

/// An item named by number or by its author's nonce.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Target {
    /// By number.
    Number(Sequence),
    /// By name.
    Nonce(UserId, Nonce),
}

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

/// A change of a member's record.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum MemberOp {
    /// Opens an interval. Clears an invitation. If it shows numbers from before the last membership, which may have been withheld then,
    /// the rights version grows: devices page them again.
    Join {
        /// Who.
        user: UserId,
        /// As what.
        role: Role,
        /// Numbers before the entry that they see; `u64::MAX` all.
        history: u64,
    },
    /// Ends the interval at the entry.
    Leave {
        /// Who.
        user: UserId,
    },
    /// Changes the role.
    SetRole {
        /// Who.
        user: UserId,
        /// To what.
        role: Role,
    },
    /// Notes an invitation.
    Invite {
        /// Whom.
        user: UserId,
        /// Who invites.
        by: UserId,
    },
    /// Takes an invitation back or declines it.
    Uninvite {
        /// Whose.
        user: UserId,
    },
    /// Notes that somebody asks to come in. [`MemberOp::Join`] ends it.
    Ask {
        /// Who.
        user: UserId,
    },
    /// Notes that they do not any more.
    Unask {
        /// Who.
        user: UserId,
    },
    /// Keeps a member from writing.
    Mute {
        /// Whom.
        user: UserId,
        /// Until when; 0: not any more.
        until: WallMs,
    },
    /// Ends a membership at the entry if there is one, an invitation and a wish to come in, and bars the user. [`MemberOp::Join`] ends it.
    Ban {
        /// Whom.
        user: UserId,
        /// Who bars them, and until when.
        ban: Ban,
    },
    /// Bars them no longer.
    Unban {
        /// Whom.
        user: UserId,
    },
    /// Changes a member's name and attributes in the conversation.
    Profile {
        /// Whose.
        user: UserId,
        /// The name from now on; empty: none; `None`: as it was.
        name: Option<String>,
        /// All attributes from now on; `None`: as they were.
        attributes: Option<Vec<Attribute>>,
    },
    /// Deletes for this member alone. Their rights version grows, and with it the value of the `Rights` record that comes along.
    Delete {
        /// Who.
        user: UserId,
        /// Everything up to this number.
        upto: Sequence,
        /// And these.
        numbers: Vec<Sequence>,
    },
}

impl MemberOp {
    /// Whose record it changes.
    #[must_use]
    pub const fn user(&self) -> &UserId {
        match self {
            Self::Join { user, .. }
            | Self::Leave { user }
            | Self::SetRole { user, .. }
            | Self::Invite { user, .. }
            | Self::Uninvite { user }
            | Self::Ask { user }
            | Self::Unask { user }
            | Self::Mute { user, .. }
            | Self::Ban { user, .. }
            | Self::Unban { user }
            | Self::Delete { user, .. }
            | Self::Profile { user, .. } => user,
        }
    }

    /// What an entry with it says to its readers.
    #[must_use]
    pub fn change(&self) -> MemberChange {
        let (role, until) = match self {
            Self::Join { role, .. } | Self::SetRole { role, .. } => (Some(*role), 0),
            Self::Mute { until, .. } => (None, *until),
            Self::Ban { ban, .. } => (None, ban.until),
            _ => (None, 0),
        };
        MemberChange {
            user: self.user().clone(),
            role,
            name: String::new(),
            until,
        }
    }
}

/// A ban from one conversation.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Ban {
    /// Who banned.
    pub by: UserId,
    /// Until when; 0: for ever.
    pub until: WallMs,
}

impl Ban {
    /// Whether it bars somebody now.
    #[must_use]
    pub const fn holds(&self, now: WallMs) -> bool {
        self.until == 0 || now < self.until
    }
}

/// A change of an invite link.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum LinkOp {
    /// Makes one.
    Create(Link),
    /// Somebody came in by it.
    Use(LinkCode),
    /// Ends it.
    Remove(LinkCode),
}

impl LinkOp {
    /// Changes a list of links, as a store and a node's memory do alike.
    pub fn carry_out(&self, links: &mut Vec<Link>) {
        match self {
            Self::Create(link) => links.push(link.clone()),
            Self::Use(code) => {
                for link in links.iter_mut().filter(|link| link.code == *code) {
                    link.used = link.used.saturating_add(1);
                }
            }
            Self::Remove(code) => links.retain(|link| link.code != *code),
        }
    }
}

/// A record of the user log without a number.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NewUserRecord {
    /// All of it; its `sequence` is 0 and given by the store. The value of a `Rights` record with 0 is the user's rights version as it is
    /// after the append.
    pub record: UserRecord,
}

/// How far a member is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Mark {
    /// Where.
    pub conversation: ConversationId,
    /// Who.
    pub user: UserId,
    /// Read up to; 0 unchanged. Makes a user-log record when it grows.
    pub read: Sequence,
    /// Delivered up to; 0 unchanged.
    pub delivered: Sequence,
    /// Wall clock.
    pub at: WallMs,
}

/// A block or its end. Bumps the version of every conversation both are in; in groups also the blocker's rights version, with a
/// `Rights` record in the blocker's user log. One that changes nothing bumps nothing; over `BLOCKS_MAX` the outcome is
/// `Refused(LimitReached)`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SetBlock {
    /// Who blocks, and the command's name.
    pub command: Command,
    /// Whom.
    pub other: UserId,
    /// Block or unblock.
    pub on: bool,
    /// Their direct conversation, bumped even if it does not exist in the user's list.
    pub direct: ConversationId,
}

/// How exactly a store keeps when a device logged in, in ms: a log-in sooner after the one that is kept, with nothing else new,
/// need not be written.
pub const DEVICE_SEEN_STEP_MS: u64 = 60_000;

/// A log-in to note.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PutDevice {
    /// Whose.
    pub user: UserId,
    /// Which.
    pub device: DeviceId,
    /// As the hello said.
    pub platform: String,
    /// As the hello said.
    pub agent: String,
    /// The token's name for the user; empty leaves the one before.
    pub name: String,
    /// When; kept to [`DEVICE_SEEN_STEP_MS`].
    pub at: WallMs,
}

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
