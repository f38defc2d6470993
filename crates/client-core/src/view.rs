//! Views: the conversation list and open timelines, as rows and small diffs, so that no engine merges anything itself.

use std::sync::Arc;

use bytestring::ByteString;
use fireside_protocol::{
    Child, Code, Content, ConversationId, ConversationKind, FolderId, FriendState, MemberProfile,
    Nonce, NotificationLevel, Role, Sequence, Settings, UserId, WallMs,
    content::{AnswerContent, Forwarded, LinkPreview, Span},
};

/// Rows a timeline view holds at most: what a screen shows, with room to scroll.
pub const TIMELINE_ROWS_MAX: usize = 200;
/// Conversations the list view holds at most.
pub const LIST_ROWS_MAX: usize = 5_000;

/// A change of a list. Apply in order.
#[derive(Clone, Debug, PartialEq)]
pub enum Diff<Row> {
    /// A row comes in at `index`.
    Insert {
        /// Where, after the change.
        index: usize,
        /// What.
        row: Row,
    },
    /// The row at `index` is this now.
    Set {
        /// Where.
        index: usize,
        /// What.
        row: Row,
    },
    /// The row at `index` goes.
    Remove {
        /// Where.
        index: usize,
    },
    /// A row goes elsewhere.
    Move {
        /// From.
        from: usize,
        /// To, after it was taken out.
        to: usize,
    },
    /// Everything anew.
    Reset {
        /// All rows.
        rows: Arc<[Row]>,
    },
}

impl<Row: Clone> Diff<Row> {
    /// Applies it to a copy of the list. `false` if it does not fit (a diff was missed): wait for the next reset.
    pub fn apply(&self, rows: &mut Vec<Row>) -> bool {
        match self {
            Self::Insert { index, row } if *index <= rows.len() => rows.insert(*index, row.clone()),
            Self::Set { index, row } if *index < rows.len() => {
                if let Some(slot) = rows.get_mut(*index) {
                    *slot = row.clone();
                }
            }
            Self::Remove { index } if *index < rows.len() => {
                rows.remove(*index);
            }
            Self::Move { from, to } if *from < rows.len() && *to < rows.len() => {
                let row = rows.remove(*from);
                rows.insert(*to, row);
            }
            Self::Reset { rows: all } => *rows = all.to_vec(),
            _ => return false,
        }
        true
    }
}

/// A line of the conversation list; pinned ones first, then newest activity first.
#[derive(Clone, Debug, PartialEq)]
pub struct ConversationRow {
    /// Which.
    pub conversation: ConversationId,
    /// Its kind.
    pub kind: ConversationKind,
    /// Of a channel its community; of a thread the conversation of the message it is under.
    pub parent: Option<ConversationId>,
    /// Of a thread the number of that message.
    pub root: Sequence,
    /// Its name; for direct the peer's id.
    pub name: Arc<str>,
    /// The other user of a direct conversation.
    pub peer: Option<UserId>,
    /// Own role; `None`: no longer a member.
    pub role: Option<Role>,
    /// Unread messages; 1000 stands for "999+".
    pub unread: u32,
    /// Mentions among them.
    pub mentions: u32,
    /// Who wrote the last message.
    pub last_sender: Option<UserId>,
    /// What the last message says, shortened.
    pub preview: Arc<str>,
    /// When.
    pub at: WallMs,
    /// Largest number known.
    pub last: Sequence,
    /// What the user may do here: a set of [`Permission`](fireside_protocol::Permission) bits.
    pub capabilities: u32,
    /// Only admins and the owner write.
    pub frozen: bool,
    /// A member writes at most once in this, in ms; 0: as they like.
    pub slow_mode_ms: u32,
    /// Where its picture is, in the game's own words.
    pub picture: Arc<str>,
    /// Until when the user may not write here, by the server's clock; 0, or a time that has passed: they may.
    pub muted_until: WallMs,
    /// What the user set for themselves here.
    pub personal: PersonalRow,
    /// What the user has begun to write here, on this device or another.
    pub draft: Option<DraftRow>,
}

/// What a user set for themselves in a conversation.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "a set of switches")]
pub struct PersonalRow {
    /// It stands at the top.
    pub pinned: bool,
    /// It is put away, and no message brought it back.
    pub archived: bool,
    /// It is muted now.
    pub muted: bool,
    /// Until when, by the server's clock; `u64::MAX` for ever, 0 never.
    pub muted_until: WallMs,
    /// What is worth a notice.
    pub level: NotificationLevel,
    /// It shows as unread, whatever its count says.
    pub marked_unread: bool,
    /// Where it is filed; one that is not among the folders: nowhere.
    pub folder: Option<FolderId>,
}

impl Default for PersonalRow {
    fn default() -> Self {
        Self {
            pinned: false,
            archived: false,
            muted: false,
            muted_until: 0,
            level: NotificationLevel::All,
            marked_unread: false,
            folder: None,
        }
    }
}

/// What stands in an input box.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DraftRow {
    /// The text.
    pub text: Arc<str>,
    /// The message it answers; 0 none.
    pub reply_to: Sequence,
}

/// A folder of conversations.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FolderRow {
    /// Which.
    pub folder: FolderId,
    /// Its name.
    pub name: Arc<str>,
    /// Its place.
    pub order: u64,
}

/// A friend, or who might become one.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FriendRow {
    /// Who.
    pub user: UserId,
    /// How they stand.
    pub state: FriendState,
    /// Since when.
    pub at: WallMs,
}

/// A line of a timeline; oldest first, own unsent messages last.
#[derive(Clone, Debug, PartialEq)]
pub struct TimelineRow {
    /// Stable from the echo to the sent message and over every later change.
    pub row: u64,
    /// Its number; `None` while it is unsent.
    pub sequence: Option<Sequence>,
    /// The sender's name for it.
    pub nonce: Option<Nonce>,
    /// Who.
    pub sender: UserId,
    /// When: by the server, or by this device while unsent.
    pub at: WallMs,
    /// What.
    pub body: Body,
    /// How far it is.
    pub state: MessageState,
    /// Its author changed it.
    pub edited: bool,
    /// It is pinned for everybody.
    pub pinned: bool,
    /// Of an own message in a group: how many have read it.
    pub read_by: ReadBy,
    /// Who reacted, by key in the order of first use; `None`: nobody.
    pub reactions: Option<Arc<[ReactionRow]>>,
    /// What only few messages have; `None`: nothing of it.
    pub details: Option<Arc<Details>>,
}

/// What only few messages have.
#[derive(Clone, Debug, PartialEq)]
pub struct Details {
    /// What is done to parts of the text, by `start` ascending.
    pub spans: Vec<Span>,
    /// What it answers.
    pub reply: Option<Quote>,
    /// It names this user, or everybody.
    pub mentioned: bool,
    /// Neither push nor unread.
    pub silent: bool,
    /// 0 normal, 1 high, 2 low.
    pub priority: u8,
    /// When it ends, by the server's clock; 0 never.
    pub expires: WallMs,
    /// The thread under it.
    pub thread: Option<ConversationId>,
    /// Of a poll: how it stands.
    pub poll: Option<PollRow>,
    /// It was forwarded: whose it was.
    pub forwarded: Option<Box<Forwarded>>,
    /// What the page behind its first link says of itself, as the server read it. Never load its picture without the game's wish: whoever
    /// does tells the picture's host who reads the message.
    pub preview: Option<Arc<LinkPreview>>,
}

/// A message that is answered, as it is now.
#[derive(Clone, Debug, PartialEq)]
pub struct Quote {
    /// Its number.
    pub sequence: Sequence,
    /// Who wrote it, if it is loaded.
    pub sender: Option<UserId>,
    /// What it says, shortened.
    pub text: Arc<str>,
    /// Whether that can be told.
    pub state: QuoteState,
}

/// What is known of a quoted message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum QuoteState {
    /// It is here.
    Held,
    /// It was taken back, or its time is over.
    Recalled,
    /// It is not loaded, or is not to be seen.
    NotLoaded,
}

/// How a poll stands.
#[derive(Clone, Debug, PartialEq)]
pub struct PollRow {
    /// For each option of its content, in that order.
    pub options: Vec<PollOptionRow>,
    /// No more votes. One whose `ends` is over is closed too.
    pub closed: bool,
    /// Nobody is told who chose what.
    pub anonymous: bool,
}

/// Who chose an option.
#[derive(Clone, Debug, PartialEq)]
pub struct PollOptionRow {
    /// This user did.
    pub mine: bool,
    /// How many did.
    pub count: u64,
    /// They, in the order they did; of an anonymous poll nobody.
    pub users: Arc<[UserId]>,
}

/// How many have read a message: "read by 8 of 12".
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct ReadBy {
    /// So many.
    pub readers: u32,
    /// Of so many; 0: it is not told (yet), as in groups of more than 100 members.
    pub of: u32,
}

/// All who reacted to a message with one key.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ReactionRow {
    /// An emoji, or an id that the game made.
    pub key: Arc<str>,
    /// This user is one of them.
    pub mine: bool,
    /// They, in the order they reacted; their number is the count.
    pub users: Arc<[UserId]>,
}

/// What a row says.
#[derive(Clone, Debug, PartialEq)]
pub enum Body {
    /// A text. Texts of one reset share a block of memory: copy what is kept for long.
    Text(ByteString),
    /// Any other message; of a live object its newest state.
    Content(Arc<Content>),
    /// An answer to a card that this user sent, or that was given to this user.
    Answer(Arc<AnswerContent>),
    /// Taken back.
    Recalled,
    /// Its time is over.
    Expired,
    /// The conversation was made, with this name.
    Created(Arc<str>),
    /// The sender made a channel in this community.
    ChannelMade(Arc<Child>),
    /// A user came.
    Joined(UserId),
    /// A user went.
    Left(UserId),
    /// A user was removed by the sender.
    Removed(UserId),
    /// A user got a role.
    Role(UserId, Role),
    /// The sender changed name, profile or rules: what is in it.
    Settings(Arc<Settings>),
    /// The sender ended the conversation, or its time had come.
    Dissolved,
    /// The sender keeps a user from writing until a time; 0: not any more.
    Muted(UserId, WallMs),
    /// The sender banned a user until a time; 0: for ever.
    Banned(UserId, WallMs),
    /// A member's name or attributes here are others now: what changed.
    MemberSet(UserId, Arc<MemberProfile>),
    /// Messages between two rows are not loaded yet.
    Hole,
    /// A kind this build does not know.
    Unknown,
}

impl Body {
    /// Nothing is left of the message.
    #[must_use]
    pub const fn is_gone(&self) -> bool {
        matches!(self, Self::Recalled | Self::Expired)
    }
}

/// How far a message is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum MessageState {
    /// In the outbox.
    Sending,
    /// On the server's disk.
    Sent,
    /// On a device of the peer (direct).
    Delivered,
    /// Read by the peer (direct).
    Read,
    /// Refused for good.
    Failed(Code),
    /// Waits for a moderator.
    Held,
    /// Somebody else's.
    Received,
}
