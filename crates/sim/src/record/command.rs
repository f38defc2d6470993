//! Commands as they came to the server's door, and what is to be seen of those that were acknowledged.

use fireside_protocol::{
    ClientFrame, Code, Content, ConversationId, EntryKind, FriendAction, LinkCode, MessageKind,
    Nonce, Ordinal, Personal, Role, Sequence, UserId, WallMs, frames::Ack,
};

use super::{Look, Marks, Moment};

/// What a command wants.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Act {
    /// A message of a kind, and whether it is silent.
    Say(String, MessageKind, bool),
    /// Copies of messages of another place, in one message or the one alone.
    Forward(ConversationId, Vec<Sequence>, bool),
    /// A new text for an item, named by number or by name.
    Edit(Sequence, Option<Nonce>, String),
    /// An item back.
    Recall(Sequence, Option<Nonce>),
    /// A reaction to an item, or that it is taken back.
    React(Sequence, Option<Nonce>, String, bool),
    /// An item pinned or unpinned.
    Pin(Sequence, Option<Nonce>, bool),
    /// A vote in a poll; nothing: it is taken back.
    Vote(Sequence, Option<Nonce>, Vec<u32>),
    /// A poll closed.
    Close(Sequence, Option<Nonce>),
    /// An answer to a card.
    Answer(Sequence, Option<Nonce>),
    /// Numbers out of the user's own sight, and all up to one.
    Delete(Sequence, Vec<Sequence>),
    /// A group in which joiners see so much, who is invited, whether whoever wants comes in, and when it ends by itself (0: never).
    Create(u64, Vec<UserId>, bool, WallMs),
    /// Others in.
    Invite(Vec<UserId>),
    /// In.
    Join,
    /// In by a link.
    JoinBy(LinkCode),
    /// Somebody who asks in, or not.
    LetIn(UserId, bool),
    /// A member silent until a time.
    Mute(UserId, WallMs),
    /// Somebody out and kept out until a time, or not any more.
    Ban(UserId, bool, WallMs),
    /// Another name for a member; `None`: for oneself.
    SetMember(Option<UserId>),
    /// A link for so many.
    CreateLink(u32),
    /// The end for all.
    Dissolve,
    /// Out.
    Leave,
    /// Another out.
    Remove(UserId),
    /// A role for another.
    SetRole(UserId, Role),
    /// Only admins write from now on, joiners see so much, messages live so many ms; each only if said.
    Set(Option<bool>, Option<u64>, Option<u64>),
    /// Read up to here.
    Read(Sequence),
    /// Whom, and whether from now on.
    Block(UserId, bool),
    /// The user's own settings of a conversation.
    Personal(Personal),
    /// All of them read.
    ReadAll,
    /// A draft.
    Draft(String),
    /// A friendship, and what about it.
    Friend(UserId, FriendAction),
    /// Whether others are told how far the user has read.
    Receipts(bool),
    /// A channel in a community.
    Channel(ConversationId),
    /// The thread under a message.
    OpenThread(Sequence),
    /// What leaves no trace in a log.
    Other,
}

impl Act {
    /// Whether it writes or changes a message.
    #[must_use]
    pub const fn is_talk(&self) -> bool {
        matches!(
            self,
            Self::Say(..)
                | Self::Edit(..)
                | Self::Recall(..)
                | Self::React(..)
                | Self::Pin(..)
                | Self::Vote(..)
                | Self::Close(..)
                | Self::Answer(..)
                | Self::Forward(..)
                | Self::Delete(..)
                | Self::OpenThread(_)
        )
    }
}

/// A command, when it first came, and its answer with when a client got it.
#[derive(Clone, Debug)]
pub struct Command {
    /// Who gave it.
    pub user: UserId,
    /// Where.
    pub place: ConversationId,
    /// What.
    pub act: Act,
    /// When it came to the server.
    pub given: Moment,
    /// When a client got its answer, and which.
    pub answer: Option<(Moment, Result<Ack, Code>)>,
    /// Answered to the one who asks at rest: its device may have given up on it.
    pub late: bool,
    /// As it came first.
    pub frame: ClientFrame,
}

impl Command {
    /// The text it brings.
    #[must_use]
    pub fn text(&self) -> Option<String> {
        match &self.act {
            Act::Say(text, ..) | Act::Edit(_, _, text) => Some(text.clone()),
            _ => None,
        }
    }

    /// Devices number what they write: which device, and its number. Not of what was asked for again at rest.
    #[must_use]
    pub fn counter(&self) -> Option<(&str, u64)> {
        match &self.act {
            Act::Say(text, ..) if !self.late => {
                // A link may stand before it.
                let (device, count) = text.rsplit(' ').next()?.split_once('#')?;
                Some((device, count.parse().ok()?))
            }
            _ => None,
        }
    }
}

/// A command with its acknowledgement.
#[derive(Clone, Copy, Debug)]
pub struct Acked<'a> {
    /// The command.
    pub by: &'a Command,
    /// When a client got it.
    pub moment: Moment,
    /// The number it made; 0 none.
    pub sequence: Sequence,
    /// Countable messages to there.
    pub ordinal: Ordinal,
    /// When, by the server.
    pub wall: WallMs,
    /// When the message ends, by the answer; 0 never.
    pub expires: WallMs,
}

impl Acked<'_> {
    /// From when it came to when a client got its answer.
    #[must_use]
    pub const fn span(&self) -> (Moment, Moment) {
        (self.by.given, self.moment)
    }

    /// Of a poll: when it closes by itself; 0 never.
    #[must_use]
    pub fn closes(&self) -> WallMs {
        let ClientFrame::Send(send) = &self.by.frame else {
            return 0;
        };
        match Content::decode(send.header.kind, &send.content) {
            Ok(Content::Poll(poll)) => poll.ends,
            _ => 0,
        }
    }

    /// A poll that tells nobody who chose what.
    #[must_use]
    pub fn is_unnamed_poll(&self) -> bool {
        let ClientFrame::Send(send) = &self.by.frame else {
            return false;
        };
        let content = Content::decode(send.header.kind, &send.content);
        matches!(content, Ok(Content::Poll(poll)) if poll.anonymous)
    }

    /// What is to be seen of what it made.
    #[must_use]
    pub fn look(&self) -> Look {
        let me = &self.by.user;
        let (kind, member) = match &self.by.act {
            Act::Create(..) => (EntryKind::Created, Some(me)),
            Act::Join | Act::JoinBy(_) => (EntryKind::Joined, Some(me)),
            Act::LetIn(user, _) => (EntryKind::Joined, Some(user)),
            Act::Mute(user, _) => (EntryKind::Muted, Some(user)),
            Act::Ban(user, ..) => (EntryKind::Banned, Some(user)),
            Act::SetMember(user) => (EntryKind::MemberSet, Some(user.as_ref().unwrap_or(me))),
            Act::Dissolve => (EntryKind::Dissolved, None),
            Act::Leave => (EntryKind::Left, Some(me)),
            Act::Remove(user) => (EntryKind::Removed, Some(user)),
            Act::SetRole(user, _) => (EntryKind::Role, Some(user)),
            Act::Set(..) => (EntryKind::Settings, None),
            Act::Edit(..) => (EntryKind::Edit, None),
            Act::Recall(..) => (EntryKind::Recall, None),
            Act::React(..) => (EntryKind::React, None),
            Act::Pin(..) => (EntryKind::Pin, None),
            Act::Vote(..) | Act::Close(..) => (EntryKind::Vote, None),
            Act::Answer(..) => (EntryKind::Answer, None),
            Act::Channel(_) => (EntryKind::ChannelMade, None),
            Act::OpenThread(_) => (EntryKind::Thread, None),
            _ => (EntryKind::Message, None),
        };
        Look {
            kind,
            sender: me.clone(),
            at: self.wall,
            ordinal: self.ordinal,
            rev: self.sequence,
            member: member.cloned(),
            role: match &self.by.act {
                Act::Create(..) => Some(Role::Owner),
                Act::Join | Act::JoinBy(_) | Act::LetIn(..) => Some(Role::Member),
                Act::SetRole(_, role) => Some(*role),
                _ => None,
            },
            text: self.by.text(),
            silent: matches!(self.by.act, Act::Say(_, _, true)),
            edited: false,
            ends: self.expires,
            over: false,
            marks: Marks::default(),
        }
    }
}
