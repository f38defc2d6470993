//! What a client tells its game. One declared list; C, C#, C++ and Blueprint mirror it.

use std::sync::Arc;

use bytestring::ByteString;
use fireside_protocol::{
    Code, Content, ConversationId, LinkCode, Nonce, Sequence, Settings, UserId, UserProfile,
    WallMs,
    frames::{Banned, ChildSummary, Device, Link, Member, Revision},
    presence::PresenceOf,
};

use crate::{
    RequestId,
    view::{ConversationRow, Diff, FolderRow, FriendRow, TimelineRow},
};

/// A class of events: delivered in this order, each through a bounded queue of its own. Order holds within a class.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum EventClass {
    /// Calls that are done, and the connection's state.
    Completion,
    /// Changes of views.
    View,
    /// Live arrivals.
    Notice,
    /// Typing and the like; newest wins.
    Ephemeral,
}

/// Something happened.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// A call is done. Each call gets exactly one, at shutdown too (`cancelled`).
    Completed {
        /// Which.
        request: RequestId,
        /// What came of it.
        result: Result<Completion, CallError>,
    },
    /// The connection's state.
    State(ConnectionState),
    /// The token ends in so many ms: give a new one.
    TokenExpiring {
        /// From now, in ms.
        in_ms: u64,
    },
    /// The cache on disk can not be used; the session goes on in memory.
    MemoryMode {
        /// Why, for people.
        reason: String,
    },
    /// The conversation list changed.
    Conversations {
        /// Grows with every reset of this view.
        generation: u64,
        /// In order.
        diffs: Vec<Diff<ConversationRow>>,
    },
    /// Unread messages of all conversations, for a badge: muted and archived ones do not count, one that is only marked unread counts 1.
    Badge {
        /// How many.
        unread: u64,
    },
    /// All folders, in their order.
    Folders(Arc<[FolderRow]>),
    /// All friends, with those who ask and those who were asked, by user.
    Friends(Arc<[FriendRow]>),
    /// Whether others are told how far this user has read.
    Receipts {
        /// Told.
        on: bool,
    },
    /// How near the device is to what the server has. It comes behind the changes of views that it speaks of.
    Sync(SyncState),
    /// An open timeline changed.
    Timeline {
        /// Which.
        conversation: ConversationId,
        /// Grows with every reset of this view.
        generation: u64,
        /// In order.
        diffs: Vec<Diff<TimelineRow>>,
    },
    /// A message of somebody else (or of another own device) arrived live. A notice: views are the truth.
    MessageReceived {
        /// Where.
        conversation: ConversationId,
        /// Its number.
        sequence: Sequence,
        /// Who.
        sender: UserId,
        /// What, if it is a text. Texts of one burst share blocks of memory: copy what is kept for long.
        text: Option<ByteString>,
        /// When.
        at: WallMs,
    },
    /// Somebody said something to who is online now. It is in no view: the game shows it, or not.
    Transient(Box<TransientMessage>),
    /// So many [`Event::MessageReceived`] and [`Event::Transient`] found no room.
    Missed {
        /// How many.
        count: u64,
    },
    /// Somebody invites the user.
    Invited {
        /// Where to.
        conversation: ConversationId,
        /// Who.
        by: UserId,
        /// The conversation's name.
        name: String,
    },
    /// So many users ask to come into a conversation that this user leads.
    JoinRequests {
        /// Where.
        conversation: ConversationId,
        /// How many; 0: all were answered.
        waiting: u64,
    },
    /// Somebody's presence: a friend's, or of who is in an open conversation. Who was not told of is offline.
    Presence(Box<PresenceOf>),
    /// Somebody types or stopped.
    Typing {
        /// Where.
        conversation: ConversationId,
        /// Who.
        user: UserId,
        /// Types.
        on: bool,
    },
}

impl Event {
    /// Its class.
    #[must_use]
    pub const fn class(&self) -> EventClass {
        match self {
            Self::Completed { .. }
            | Self::State(_)
            | Self::TokenExpiring { .. }
            | Self::MemoryMode { .. } => EventClass::Completion,
            Self::Conversations { .. }
            | Self::Timeline { .. }
            | Self::Badge { .. }
            | Self::Folders(_)
            | Self::Friends(_)
            | Self::Receipts { .. }
            | Self::Sync(_) => EventClass::View,
            Self::MessageReceived { .. }
            | Self::Transient(_)
            | Self::Missed { .. }
            | Self::Invited { .. }
            | Self::JoinRequests { .. } => EventClass::Notice,
            Self::Typing { .. } | Self::Presence(_) => EventClass::Ephemeral,
        }
    }

    /// What it costs of a tick's budget of events: each row of a reset and each other change of a view counts as one.
    #[must_use]
    #[inline]
    pub fn weight(&self) -> usize {
        fn of<Row>(diffs: &[Diff<Row>]) -> usize {
            let weights = diffs.iter().map(|diff| match diff {
                Diff::Reset { rows } => rows.len().max(1),
                _ => 1,
            });
            weights.sum::<usize>().max(1)
        }
        match self {
            Self::Conversations { diffs, .. } => of(diffs),
            Self::Timeline { diffs, .. } => of(diffs),
            Self::Folders(rows) => rows.len().max(1),
            Self::Friends(rows) => rows.len().max(1),
            _ => 1,
        }
    }
}

/// What somebody said to who is online.
#[derive(Clone, Debug, PartialEq)]
pub struct TransientMessage {
    /// Where.
    pub conversation: ConversationId,
    /// Who: another user, or this one on another device.
    pub sender: UserId,
    /// When.
    pub at: WallMs,
    /// Whether it names this user, or everybody.
    pub names_me: bool,
    /// What. A kind that this build does not know is not told.
    pub content: Content,
}

/// What a call gave.
#[derive(Clone, Debug, PartialEq)]
pub enum Completion {
    /// Done.
    Done,
    /// A message is on the server's disk.
    Sent {
        /// Where.
        conversation: ConversationId,
        /// Its name.
        nonce: Nonce,
        /// Its number.
        sequence: Sequence,
        /// When.
        at: WallMs,
    },
    /// A conversation was made.
    Created {
        /// Which.
        conversation: ConversationId,
    },
    /// Older messages are in the view.
    Loaded {
        /// How many.
        count: u32,
        /// There is nothing older.
        start_reached: bool,
    },
    /// Members.
    Members {
        /// They.
        members: Vec<Member>,
        /// There are more.
        more: bool,
    },
    /// Those who are banned.
    Bans {
        /// They.
        bans: Vec<Banned>,
        /// There are more.
        more: bool,
    },
    /// An invite link was made.
    Link {
        /// What lets others in: give it only to them.
        code: LinkCode,
    },
    /// Invite links, oldest first.
    Links(Vec<Link>),
    /// What users say of themselves.
    Profiles(Vec<UserProfile>),
    /// Channels or threads.
    Children {
        /// They, threads of the newest messages first.
        children: Vec<ChildSummary>,
        /// There are more: ask after the last one.
        more: bool,
    },
    /// Devices.
    Devices(Vec<Device>),
    /// Pinned messages, newest first.
    Pins {
        /// They.
        rows: Vec<TimelineRow>,
        /// There are more: ask before the last one's number.
        more: bool,
    },
    /// The presence of users.
    Presence(Vec<PresenceOf>),
    /// Who has read a message.
    Readers {
        /// They.
        users: Vec<UserId>,
        /// Of how many; 0: it is not told here.
        of: u32,
    },
    /// What a message said before, oldest first.
    Revisions {
        /// They.
        revisions: Vec<Revision>,
        /// There are more: ask after the last one.
        more: bool,
    },
    /// What a conversation is set to: what was ever changed, its name included.
    Settings(Box<Settings>),
}

/// Why a call failed.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{code}: {text}")]
pub struct CallError {
    /// Stable code; says whether it is retryable.
    pub code: Code,
    /// For people.
    pub text: String,
    /// When to try again, in ms; 0 own pace.
    pub retry_after_ms: u64,
}

/// How near a device is to what the server has: with [`ConnectionState::Connected`], what a "catching up…" hint goes by.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub enum SyncState {
    /// Not connected, or what was missed is still on its way.
    #[default]
    Behind,
    /// The list and its unread counts are the server's, and the newest page of every direct conversation, and of every other one
    /// with something unread, is held: to open one needs no network. The pages of the rest come when they are opened. Stays
    /// while the connection lasts: what comes live is applied as it comes.
    Newest,
    /// With [`Command::SetBackgroundFill`](crate::Command::SetBackgroundFill): all there is to read is in the cache, and on the
    /// disk. It was so when this was said; what comes later is written as it comes.
    Complete,
}

/// For the UI.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ConnectionState {
    /// Not asked to connect.
    Offline,
    /// First try.
    Connecting,
    /// Logged in.
    Connected,
    /// Lost it; try `attempt` comes in `next_in_ms`.
    Reconnecting {
        /// From 1.
        attempt: u32,
        /// From now, in ms; 0: under way.
        next_in_ms: u64,
    },
    /// The server said no; nothing is tried until [`SetToken`](crate::Command::SetToken) or `Connect`.
    Refused {
        /// Why.
        code: Code,
        /// For people.
        text: String,
        /// Until when (a ban); 0 not said.
        until: WallMs,
    },
}
