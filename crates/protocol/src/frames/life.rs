//! Frames of a message's life beyond sending and editing: polls, live objects, cards, what is gone for one user alone, and what was
//! there before.

use bytes::Bytes;

use crate::{
    ConversationId, Nonce,
    content::{AnswerValue, CustomContent},
    ids::{Rev, Sequence, WallMs},
    record,
};

record! {
    /// Votes in a poll: in the place of the vote before. Done without an entry if it is so already.
    Vote {
        /// Name of the command.
        req "i" nonce: Nonce,
        /// The nonce before it in the outbox.
        opt "af" after: Option<Nonce>,
        /// Where.
        req "c" conversation: ConversationId,
        /// The poll's number; 0 if `target_nonce` names it.
        opt "g" target: Sequence,
        /// The poll's nonce, if it had no number yet.
        opt "gi" target_nonce: Option<Nonce>,
        /// Which options, from 0, each once; none: takes the vote back.
        opt "os" choices: Vec<u32>,
    }
}
record! {
    /// Closes a poll: its author may, and who may recall others' messages.
    ClosePoll {
        /// Name of the command.
        req "i" nonce: Nonce,
        /// The nonce before it in the outbox.
        opt "af" after: Option<Nonce>,
        /// Where.
        req "c" conversation: ConversationId,
        /// The poll's number; 0 if `target_nonce` names it.
        opt "g" target: Sequence,
        /// The poll's nonce, if it had no number yet.
        opt "gi" target_nonce: Option<Nonce>,
    }
}
record! {
    /// Changes the state of an own live object. Too soon after the change before: `rate_limited`, with when.
    SetLive {
        /// Name of the command.
        req "i" nonce: Nonce,
        /// The nonce before it in the outbox.
        opt "af" after: Option<Nonce>,
        /// Where.
        req "c" conversation: ConversationId,
        /// The object's number; 0 if `target_nonce` names it.
        opt "g" target: Sequence,
        /// The object's nonce, if it had no number yet.
        opt "gi" target_nonce: Option<Nonce>,
        /// What it is now.
        req "st" state: Box<CustomContent>,
    }
}
record! {
    /// Answers a card. Its author and the answerer see the answer, nobody else.
    Answer {
        /// Name of the command.
        req "i" nonce: Nonce,
        /// The nonce before it in the outbox.
        opt "af" after: Option<Nonce>,
        /// Where.
        req "c" conversation: ConversationId,
        /// The card's number; 0 if `target_nonce` names it.
        opt "g" target: Sequence,
        /// The card's nonce, if it had no number yet.
        opt "gi" target_nonce: Option<Nonce>,
        /// What was put in.
        req "vs" values: Vec<AnswerValue>,
    }
}
record! {
    /// Deletes for the user alone: some messages, or all up to a number. Devices get a `Rights` record, drop what they hold of the
    /// conversation and page it again.
    Delete {
        /// Name of the command.
        req "i" nonce: Nonce,
        /// Where.
        req "c" conversation: ConversationId,
        /// Everything up to this number; 0: nothing.
        opt "n" upto: Sequence,
        /// These numbers, at most 100.
        opt "ns" numbers: Vec<Sequence>,
    }
}
record! {
    /// Asks what a message said before it was edited or recalled. Who may recall others' messages may. Page lane.
    RevisionsRequest {
        /// Where.
        req "c" conversation: ConversationId,
        /// Which.
        req "g" target: Sequence,
        /// Only revisions after this one; 0 all.
        opt "n" after: Rev,
    }
}
record! {
    /// What a message said for a while.
    Revision {
        /// The number of the entry that made it so: the message's own, or an edit's.
        req "r" rev: Rev,
        /// When.
        opt "t" at: WallMs,
        /// What it said.
        req "b" content: Bytes,
    }
}
record! {
    /// What a message said before, oldest first. What it says now is not among it.
    RevisionsPage {
        /// Where.
        req "c" conversation: ConversationId,
        /// Which.
        req "g" target: Sequence,
        /// Its earlier revisions; of a recalled one the last too.
        opt "vs" revisions: Vec<Revision>,
        /// There are more: ask after the last one.
        opt "mo" more: bool,
    }
}
