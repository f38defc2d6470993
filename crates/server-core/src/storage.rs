//! What the core wants kept, as data: operations, their replies, and the reading side of a log.
//! `fireside-store` has the `Store` trait that carries them out and the suite every store must pass.

use fireside_protocol::{
    ConversationId, DeviceId, Nonce, Sequence, UserId, UserSequence, WallMs,
    frames::{
        BansRequest, ChildrenRequest, HeadsRequest, LinksRequest, MembersRequest, PageRequest,
        PinsRequest, RevisionsRequest,
    },
    personal::ReadersRequest,
};

use crate::{own::SetOwn, reports::NewReport};

mod append;
mod member_op;
mod reader;
mod reply;
mod rows;

pub use append::{
    Append, ChildOp, Effect, NewConversation, NewEntry, NewUserRecord, Shape, Source,
};
pub use member_op::{Ban, LinkOp, MemberOp};
pub use reader::{LogReader, Tally};
pub use reply::{Appended, BlockSet, ChildDone, Done, Outcome, Reply, StoreError, StoredEntry};
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
