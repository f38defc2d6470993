//! Requests of the page lane, and the pages that answer them.

use crate::{
    ConversationId, DeviceId, UserId,
    codec::Raw,
    entry::Role,
    frames::{Head, UserRecord},
    ids::{Sequence, UserSequence, WallMs},
    record,
    settings::Attribute,
};

record! {
    /// Numbers from `first` to `last`, both included; none if `first` is larger.
    Range {
        /// From.
        req "f" first: Sequence,
        /// To.
        req "l" last: Sequence,
    }
}
record! {
    /// Asks for items of a conversation and for changes of those held. Page lane.
    PageRequest {
        /// Which.
        req "c" conversation: ConversationId,
        /// From where.
        opt "a" anchor: u16,
        /// The anchor's number.
        opt "n" number: Sequence,
        /// The last number of a range.
        opt "m" to: Sequence,
        /// Items at most; 0 is 50.
        opt "l" limit: u32,
        /// The device's `changes_to`; 0 with nothing held.
        opt "s" since: Sequence,
        /// What it holds, ascending, at most 65 ranges.
        opt "h" held: Vec<Range>,
    }
}
record! {
    /// Asks for heads, newest first. Page lane.
    HeadsRequest {
        /// Only those with activity since this stamp; 0 all.
        opt "s" since: WallMs,
        /// Where the page before ended: its last head's `at`; 0 at the start.
        opt "t" before_at: WallMs,
        /// And its conversation.
        opt "c" before: Option<ConversationId>,
        /// Heads at most; 0 is 500.
        opt "l" limit: u32,
        /// Only these conversations, at most 200; the other fields are then not used.
        opt "on" only: Vec<ConversationId>,
    }
}
record! {
    /// Asks for the user log. Page lane.
    UserLogRequest {
        /// After this number; 0 everything.
        opt "n" cursor: UserSequence,
    }
}
record! {
    /// Asks for members, by user id ascending. Page lane.
    MembersRequest {
        /// Of which conversation.
        req "c" conversation: ConversationId,
        /// After this user.
        opt "u" after: Option<UserId>,
        /// Members at most; 0 is 200.
        opt "l" limit: u32,
        /// Not the members, but who asks to come in; for those who may invite.
        opt "as" asked: bool,
        /// Only those whose user id, name or name in this conversation begins so, without regard to case and accents: at most 64 bytes.
        opt "pf" prefix: String,
    }
}
record! {
    /// Asks for the pinned messages of a conversation. Page lane.
    PinsRequest {
        /// Of which conversation.
        req "c" conversation: ConversationId,
        /// Only those with a number below this; 0 all.
        opt "n" before: Sequence,
    }
}
record! {
    /// Asks for the user's devices. Page lane.
    DevicesRequest {
        /// Not used; keeps the body a map.
        opt "z" reserved: u64,
    }
}
record! {
    /// Items and changes as they are at `as_of`.
    Page {
        /// Which.
        req "c" conversation: ConversationId,
        /// Covered from here; larger than `last`: nothing is.
        req "f" first: Sequence,
        /// Covered to here.
        req "l" last: Sequence,
        /// The conversation's last number when this was read.
        req "a" as_of: Sequence,
        /// Entries of `[first, last]` that are items, ascending.
        opt "e" items: Vec<Raw>,
        /// Numbers of `[first, last]` withheld, ascending.
        opt "s" skips: Vec<Range>,
        /// Held items with a rev over `since`, by rev ascending.
        opt "g" changes: Vec<Raw>,
        /// Too many changes: drop all items but this page's.
        opt "rs" reset: bool,
        /// Oldest number kept.
        opt "of" oldest: Sequence,
    }
}
record! {
    /// Heads, newest first.
    HeadsPage {
        /// The heads.
        opt "h" heads: Vec<Head>,
        /// There are more: ask with the last one's `at` and conversation.
        opt "mo" more: bool,
        /// For `heads_since`, once the last page is in.
        opt "hs" stamp: WallMs,
    }
}
record! {
    /// Records of the user log, ascending.
    UserLogPage {
        /// The records.
        opt "r" records: Vec<UserRecord>,
        /// The cursor after them.
        req "n" cursor: UserSequence,
        /// The cursor given was too old: forget all records first.
        opt "rl" reload: bool,
        /// There are more: ask with `cursor`.
        opt "mo" more: bool,
    }
}
record! {
    /// A member of a conversation.
    Member {
        /// Who.
        req "u" user: UserId,
        /// What they may.
        req "ro" role: Role,
        /// The name in their token.
        opt "nm" name: String,
        /// The number of the entry that let them in.
        opt "j" joined: Sequence,
        /// Read up to.
        opt "n" read: Sequence,
        /// Until when they may not write; 0: they may.
        opt "mu" muted_until: WallMs,
        /// Their name in this conversation; empty: none.
        opt "nh" name_here: String,
        /// Their attributes in this conversation, by key.
        opt "at" attributes: Vec<Attribute>,
    }
}
record! {
    /// Members by user id.
    MembersPage {
        /// Of which conversation.
        req "c" conversation: ConversationId,
        /// The conversation's version.
        req "v" version: u64,
        /// The members.
        opt "ms" members: Vec<Member>,
        /// There are more: ask after the last one.
        opt "mo" more: bool,
    }
}
record! {
    /// The pinned messages that the reader sees, newest first.
    PinsPage {
        /// Of which conversation.
        req "c" conversation: ConversationId,
        /// Entries, as they are now.
        opt "e" items: Vec<Raw>,
        /// There are more: ask before the last one's number.
        opt "mo" more: bool,
    }
}
record! {
    /// A device of the user.
    Device {
        /// Which.
        req "d" device: DeviceId,
        /// As its hello said.
        opt "p" platform: String,
        /// As its hello said.
        opt "a" agent: String,
        /// Last log-in.
        opt "t" seen: WallMs,
        /// Connected now.
        opt "on" online: bool,
    }
}
record! {
    /// The user's devices.
    DevicesPage {
        /// All of them.
        opt "ds" devices: Vec<Device>,
    }
}
