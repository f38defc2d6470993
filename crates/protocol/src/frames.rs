//! Every frame in one declared list. Other languages, the documentation and the fuzzers are generated and checked from it.

use bytes::Bytes;

pub use crate::members::{
    Ban, Banned, BansPage, BansRequest, CreateLink, Dissolve, Link, LinksPage, LinksRequest, Mute,
    RevokeLink, SetMember,
};
use crate::{
    Code, ConversationId, Nonce, UserId,
    codec::{DecodeError, Field, Raw, Record},
    entry::{ConversationKind, Entry, Role},
    ids::{FolderId, Ordinal, Sequence, UserSequence, WallMs},
    members::LinkCode,
    open_enum,
    personal::{
        Friend, ReadAll, ReadersPage, ReadersRequest, SetDraft, SetFolder, SetPersonal, SetReceipts,
    },
    presence::{PresenceOf, PresencePage, PresenceRequest, SetPresence},
    profile::{ProfilesPage, ProfilesRequest, SetProfile},
    record,
    report::Report,
    settings::Settings,
    transient::{SendTransient, Transient},
};

mod children;
mod forward;
mod life;
mod membership;
mod messages;
mod pages;
mod session;

pub use children::{ChildSummary, ChildrenPage, ChildrenRequest, OpenThread};
pub use forward::Forward;
pub use life::{
    Answer, ClosePoll, Delete, Revision, RevisionsPage, RevisionsRequest, SetLive, Vote,
};
pub use membership::{
    AnswerRequest, Block, CreateGroup, Invite, Join, Leave, RemoveMember, SetConversation, SetRole,
};
pub use messages::{
    Delivered, Edit, Pin, React, Read, Recall, Receipt, Send, Skip, Typing, TypingOf,
};
pub use pages::{
    Device, DevicesPage, DevicesRequest, HeadsPage, HeadsRequest, Member, MembersPage,
    MembersRequest, Page, PageRequest, PinsPage, PinsRequest, Range, UserLogPage, UserLogRequest,
};
pub use session::{
    Attention, Draining, Hello, Kicked, Ping, Pong, Resume, RevokeDevice, SetToken, Welcome,
};

/// What a frame is sent on, so that nothing waits behind something bigger.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Lane {
    /// Log-in, pings, tokens: the session stream.
    Control,
    /// Requests, answers, direct and group entries, user log: the session stream.
    Chat,
    /// Public, live and world entries: a stream of its own.
    Crowd,
    /// History and sync: a stream per request.
    Page,
    /// Uploads and downloads: a stream each, low priority.
    Transfer,
    /// May be lost: a datagram, or a droppable frame where there are none.
    Datagram,
}

open_enum! {
    /// The first byte of a stream says what it carries.
    StreamKind {
        /// Client, bidirectional, the first and only one: control and chat.
        1 Session,
        /// Client, bidirectional: one request of the page lane and its answer.
        2 Page,
        /// Server, one-way: crowd events.
        3 Crowd,
        /// Server, one-way: the first sync after a log-in, then its end.
        4 Sync,
    }
}

open_enum! {
    /// Where a page starts.
    Anchor {
        /// The newest items.
        0 Newest,
        /// Items below `number`.
        1 Before,
        /// Items above `number`.
        2 After,
        /// The numbers `number` to `to`.
        3 Range,
        /// Items on both sides of `number`.
        4 Around,
    }
}

open_enum! {
    /// What a record of the user log is about. The key it is compacted by is (kind, conversation or folder, user).
    UserRecordKind {
        /// `conversation`, `value` = role; gone = not a member any more.
        1 Membership,
        /// `conversation`, `user` = who invited, `name` = the conversation's.
        2 Invitation,
        /// `conversation`, `value` = read up to this number.
        3 ReadMarker,
        /// `user` = who is blocked; gone = no longer.
        4 Block,
        /// `conversation`, `value` = rights version: drop what is held of it and page it again.
        5 Rights,
        /// `conversation`, `name` = its name: the user asked to come in; gone = answered, or taken back.
        6 Asked,
        /// `conversation`, `value` = how many ask to come in, for its admins and owner; gone = nobody.
        7 JoinRequests,
        /// `conversation`, `body` = a `Ballots`: what the user chose in its anonymous polls.
        8 Ballots,
        /// `conversation`, `body` = a `Personal`: what the user set there for themselves; gone = nothing.
        16 Personal,
        /// `folder`, `name`, `value` = its place among the folders; gone = removed.
        17 Folder,
        /// `conversation`, `body` = a `Draft`; gone = sent, or thrown away.
        18 Draft,
        /// `user`, `value` = a `FriendState`; gone = neither.
        19 Friend,
        /// `value` = 1: nobody is told how far this user has read; gone = they are.
        20 Receipts,
        /// `body` = a `UserProfile`: what the user says of themselves; gone = nothing.
        24 Profile,
    }
}

record! {
    /// A request was refused; nothing was changed.
    Refused {
        /// [`Code`] number.
        req "e" code: u16,
        /// For people, in English.
        opt "m" text: String,
        /// When to try again, in ms; 0 the client's own pace.
        opt "ra" retry_after_ms: u64,
        /// Until when (a ban, or a mute).
        opt "un" until: WallMs,
        /// Of the command.
        opt "i" nonce: Option<Nonce>,
    }
}
record! {
    /// A command was done, once and for all. A repeat of its nonce gets the same answer.
    Ack {
        /// Which command.
        req "i" nonce: Nonce,
        /// Where.
        opt "c" conversation: Option<ConversationId>,
        /// The entry it made; 0 none.
        opt "n" sequence: Sequence,
        /// That entry's ordinal.
        opt "o" ordinal: Ordinal,
        /// When.
        opt "t" at: WallMs,
        /// The entry as stored, if it is not as sent.
        opt "en" entry: Option<Raw>,
        /// Of a new invite link: its secret.
        opt "lk" link: Option<LinkCode>,
        /// Of a message: when it ends; 0 never. Sooner than it was sent with where the conversation's `lifetime_ms` says so.
        opt "ex" expires: WallMs,
    }
}
record! {
    /// Done; nothing to say.
    Done {
        /// Not used; keeps the body a map.
        opt "z" reserved: u64,
    }
}
record! {
    /// A conversation in one line, as this user sees it.
    Head {
        /// Which.
        req "c" conversation: ConversationId,
        /// Of what kind.
        req "k" kind: ConversationKind,
        /// The largest number.
        req "n" last: Sequence,
        /// Oldest number kept.
        opt "f" first: Sequence,
        /// The first number this user may see.
        opt "vf" visible_from: Sequence,
        /// Countable messages to `last`.
        opt "o" ordinal: Ordinal,
        /// Unread; 1000 stands for more than 999.
        opt "ur" unread: u32,
        /// Mentions among them.
        opt "mn" mentions: u32,
        /// Time of the last entry this user sees, without changes of facets.
        opt "t" at: WallMs,
        /// The last message this user sees.
        opt "p" preview: Option<Entry>,
        /// This user's read marker.
        opt "rm" read: Sequence,
        /// Up to where the peer of a direct conversation got it.
        opt "pd" peer_delivered: Sequence,
        /// Up to where the peer of a direct conversation read it.
        opt "pr" peer_read: Sequence,
        /// Of membership, roles and settings.
        opt "v" version: u64,
        /// Rights version of this user here.
        opt "rv" rights: u64,
        /// Its name.
        opt "nm" name: String,
        /// The other user of a direct conversation.
        opt "pe" peer: Option<UserId>,
        /// Members now.
        opt "mc" members: u32,
        /// This user's role; none: no longer a member.
        opt "ro" role: Option<Role>,
        /// What this user may do here: a set of `Permission` bits.
        opt "cp" capabilities: u32,
        /// Only admins and the owner write.
        opt "fz" frozen: bool,
        /// A member writes at most once in this, in ms; 0: as they like.
        opt "sl" slow_mode_ms: u32,
        /// Where its picture is.
        opt "pi" picture: String,
        /// Devices of who is no longer a member forget what they held.
        opt "fl" forget_on_leave: bool,
        /// All that was set; only in a head that was asked for by its conversation (`only`).
        opt "st" settings: Option<Box<Settings>>,
        /// Until when this user may not write here; 0: they may.
        opt "mu" muted_until: WallMs,
        /// Of a channel: its community; of a thread: the conversation of the message it is under.
        opt "pa" parent: Option<ConversationId>,
        /// Of a thread: the number of that message.
        opt "rt" root: Sequence,
    }
}
record! {
    /// Something that belongs to the user.
    UserRecord {
        /// Its number in the user log.
        req "n" sequence: UserSequence,
        /// What it is about.
        req "k" kind: UserRecordKind,
        /// Part of the key.
        opt "c" conversation: Option<ConversationId>,
        /// Part of the key for blocks and friends; else who did it.
        opt "u" user: Option<UserId>,
        /// By kind.
        opt "v" value: u64,
        /// By kind.
        opt "nm" name: String,
        /// It ended.
        opt "x" gone: bool,
        /// When.
        opt "t" at: WallMs,
        /// Part of the key: a folder.
        opt "fo" folder: Option<FolderId>,
        /// An encoded record, by kind.
        opt "b" body: Bytes,
    }
}

/// A line of the frame table.
#[derive(Clone, Copy, Debug)]
pub struct FrameInfo {
    /// Number on the wire.
    pub kind: u16,
    /// The record's name.
    pub name: &'static str,
    /// What it is sent on.
    pub lane: Lane,
    /// Its fields.
    pub fields: &'static [Field],
    /// What it means: its doc comment.
    pub doc: &'static str,
}

macro_rules! frames {
    ($(#[$doc:meta])* $name:ident { $($number:literal $variant:ident $lane:ident,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq)]
        #[expect(missing_docs, reason = "each variant is documented at its record")]
        #[allow(clippy::large_enum_variant, reason = "a frame is taken apart at once; a box would be an allocation for each head")]
        pub enum $name {
            $($variant($variant),)*
            /// A kind this build does not know; skipped.
            Unknown(u16),
        }

        impl $name {
            /// The table of frames.
            pub const TABLE: &'static [FrameInfo] = &[$(FrameInfo {
                kind: $number,
                name: stringify!($variant),
                lane: Lane::$lane,
                fields: <$variant as Record>::FIELDS,
                doc: <$variant as Record>::DOC,
            }),*];

            /// Number on the wire.
            #[must_use]
            pub const fn kind(&self) -> u16 {
                match self { $(Self::$variant(_) => $number,)* Self::Unknown(kind) => *kind }
            }

            /// What it is sent on.
            #[must_use]
            pub const fn lane(&self) -> Lane {
                match self { $(Self::$variant(_) => Lane::$lane,)* Self::Unknown(_) => Lane::Chat }
            }

            /// Reads the body of a kind.
            ///
            /// # Errors
            /// [`DecodeError`]; an unknown kind is not an error.
            pub fn decode(kind: u16, body: &Bytes) -> Result<Self, DecodeError> {
                // The body is read where it stays: a frame is large, and there are many kinds.
                let mut frame = match kind {
                    $($number => Self::$variant(crate::codec::Wire::blank()),)*
                    other => return Ok(Self::Unknown(other)),
                };
                crate::codec::read_whole(body, &mut |reader| match &mut frame {
                    $(Self::$variant(body) => crate::codec::Wire::read_into(body, reader),)*
                    Self::Unknown(_) => Ok(()),
                })?;
                Ok(frame)
            }

            /// Appends the body.
            pub fn write_body(&self, out: &mut Vec<u8>) {
                match self {
                    $(Self::$variant(body) => crate::codec::Wire::write(body, out),)*
                    Self::Unknown(_) => crate::codec::write_map(out, 0),
                }
            }
        }

        $(impl $variant {
            /// Its kind's number on the wire.
            pub const KIND: u16 = $number;
        }

        impl From<$variant> for $name {
            fn from(body: $variant) -> Self {
                Self::$variant(body)
            }
        })*
    };
}

frames! {
    /// What a client sends.
    ClientFrame {
        1 Hello Control,
        2 Resume Control,
        3 Ping Control,
        4 SetToken Control,
        5 Attention Chat,
        16 Send Chat,
        17 Edit Chat,
        18 Recall Chat,
        19 Read Chat,
        20 Delivered Chat,
        21 Typing Datagram,
        22 React Chat,
        23 Pin Chat,
        24 Vote Chat,
        25 ClosePoll Chat,
        26 SetLive Chat,
        27 Answer Chat,
        28 Delete Chat,
        29 Forward Chat,
        30 SendTransient Chat,
        32 CreateGroup Chat,
        33 Invite Chat,
        34 Join Chat,
        35 Leave Chat,
        36 RemoveMember Chat,
        37 SetRole Chat,
        38 Block Chat,
        39 RevokeDevice Chat,
        40 SetConversation Chat,
        41 AnswerRequest Chat,
        42 Dissolve Chat,
        43 Mute Chat,
        44 Ban Chat,
        45 SetMember Chat,
        46 CreateLink Chat,
        47 RevokeLink Chat,
        57 OpenThread Chat,
        59 SetProfile Chat,
        48 PageRequest Page,
        49 HeadsRequest Page,
        50 UserLogRequest Page,
        51 MembersRequest Page,
        52 DevicesRequest Page,
        53 PinsRequest Page,
        54 BansRequest Page,
        55 LinksRequest Page,
        56 RevisionsRequest Page,
        58 ChildrenRequest Page,
        128 SetPersonal Chat,
        129 ReadAll Chat,
        130 SetFolder Chat,
        131 SetDraft Chat,
        132 Friend Chat,
        133 SetPresence Chat,
        134 SetReceipts Chat,
        135 Report Chat,
        144 PresenceRequest Page,
        145 ReadersRequest Page,
        146 ProfilesRequest Page,
    }
}

frames! {
    /// What a server sends.
    ServerFrame {
        64 Welcome Control,
        65 Refused Chat,
        66 Ack Chat,
        67 Done Chat,
        68 Pong Control,
        69 Draining Control,
        70 Kicked Control,
        72 Entry Chat,
        73 Skip Chat,
        74 Head Chat,
        75 UserRecord Chat,
        76 Receipt Chat,
        77 TypingOf Datagram,
        96 Page Page,
        97 HeadsPage Page,
        98 UserLogPage Page,
        99 MembersPage Page,
        100 DevicesPage Page,
        101 PinsPage Page,
        102 BansPage Page,
        103 LinksPage Page,
        104 RevisionsPage Page,
        105 Transient Chat,
        106 ChildrenPage Page,
        160 PresenceOf Chat,
        161 ProfilesPage Page,
        176 PresencePage Page,
        177 ReadersPage Page,
    }
}

impl Refused {
    /// With the code's own text.
    #[must_use]
    pub fn new(code: Code) -> Self {
        Self {
            code: code.number(),
            text: code.text().to_owned(),
            retry_after_ms: 0,
            until: 0,
            nonce: None,
        }
    }

    /// The code.
    #[must_use]
    pub const fn code(&self) -> Code {
        Code::from_number(self.code)
    }
}

impl ClientFrame {
    /// The nonce of a command.
    #[must_use]
    pub const fn nonce(&self) -> Option<Nonce> {
        match self {
            Self::Send(f) => Some(f.nonce),
            Self::Edit(f) => Some(f.nonce),
            Self::Recall(f) => Some(f.nonce),
            Self::Read(f) => Some(f.nonce),
            Self::React(f) => Some(f.nonce),
            Self::Pin(f) => Some(f.nonce),
            Self::Vote(f) => Some(f.nonce),
            Self::ClosePoll(f) => Some(f.nonce),
            Self::SetLive(f) => Some(f.nonce),
            Self::Answer(f) => Some(f.nonce),
            Self::Delete(f) => Some(f.nonce),
            Self::Forward(f) => Some(f.nonce),
            Self::CreateGroup(f) => Some(f.nonce),
            Self::Invite(f) => Some(f.nonce),
            Self::Join(f) => Some(f.nonce),
            Self::Leave(f) => Some(f.nonce),
            Self::RemoveMember(f) => Some(f.nonce),
            Self::SetRole(f) => Some(f.nonce),
            Self::Block(f) => Some(f.nonce),
            Self::RevokeDevice(f) => Some(f.nonce),
            Self::SetConversation(f) => Some(f.nonce),
            Self::AnswerRequest(f) => Some(f.nonce),
            Self::Dissolve(f) => Some(f.nonce),
            Self::Mute(f) => Some(f.nonce),
            Self::Ban(f) => Some(f.nonce),
            Self::SetMember(f) => Some(f.nonce),
            Self::CreateLink(f) => Some(f.nonce),
            Self::RevokeLink(f) => Some(f.nonce),
            Self::OpenThread(f) => Some(f.nonce),
            Self::SetProfile(f) => Some(f.nonce),
            Self::SetPersonal(f) => Some(f.nonce),
            Self::ReadAll(f) => Some(f.nonce),
            Self::SetFolder(f) => Some(f.nonce),
            Self::SetDraft(f) => Some(f.nonce),
            Self::Friend(f) => Some(f.nonce),
            Self::SetReceipts(f) => Some(f.nonce),
            Self::Report(f) => Some(f.nonce),
            _ => None,
        }
    }
}
