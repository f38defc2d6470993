//! Conversations that belong to another: channels of a community, threads under messages.

use crate::{
    ConversationId, Nonce,
    entry::{ConversationKind, Role},
    ids::{Ordinal, Sequence, WallMs},
    record,
    settings::JoinPolicy,
};

record! {
    /// Opens the thread under a message, and comes into it; comes into it if it is open already. Its id is derived from the conversation
    /// and the message's number.
    OpenThread {
        /// Name of the command.
        req "i" nonce: Nonce,
        /// Where the message is.
        req "c" conversation: ConversationId,
        /// Its number.
        req "g" target: Sequence,
        /// The thread's name, if this opens it; empty: none.
        opt "nm" name: String,
    }
}
record! {
    /// Asks for the channels of a community or the threads of a conversation: those that the reader is in or may come into, threads of the
    /// newest messages first. Page lane.
    ChildrenRequest {
        /// Of which conversation.
        req "c" conversation: ConversationId,
        /// Where the page before ended: its last one's `root`.
        opt "rt" before_root: Sequence,
        /// And its conversation; none at the start.
        opt "af" after: Option<ConversationId>,
        /// At most so many; 0 is 100.
        opt "l" limit: u32,
    }
}
record! {
    /// A channel or thread in one line.
    ChildSummary {
        /// Which.
        req "c" conversation: ConversationId,
        /// `Channel` or `Thread`.
        req "k" kind: ConversationKind,
        /// Its name.
        opt "nm" name: String,
        /// What it is about.
        opt "ds" description: String,
        /// Of a thread: the number of the message it is under.
        opt "rt" root: Sequence,
        /// How somebody comes in.
        opt "jp" join: Option<JoinPolicy>,
        /// The reader's role; none: not a member.
        opt "ro" role: Option<Role>,
        /// Members now.
        opt "mc" members: u32,
        /// Countable messages so far.
        opt "o" messages: Ordinal,
        /// When the last entry came.
        opt "t" at: WallMs,
        /// Whoever comes into the community comes into it too.
        opt "bd" by_default: bool,
    }
}
record! {
    /// Channels or threads: by the number of the message they are under, the newest first, then by id.
    ChildrenPage {
        /// Of which conversation.
        req "c" conversation: ConversationId,
        /// They.
        opt "cs" children: Vec<ChildSummary>,
        /// There are more: ask with the last one's `root` and conversation.
        opt "mo" more: bool,
    }
}
