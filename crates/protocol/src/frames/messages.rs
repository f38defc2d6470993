//! Frames of messages: sending, what becomes of them, and who read or is writing.

use bytes::Bytes;

use crate::{
    ConversationId, Nonce, UserId,
    entry::Header,
    ids::{Rev, Sequence},
    record,
};

record! {
    /// A message.
    Send {
        /// Name of the command.
        req "i" nonce: Nonce,
        /// The nonce before it in the outbox of this conversation, if that one has no outcome yet.
        opt "af" after: Option<Nonce>,
        /// Where to.
        req "c" conversation: ConversationId,
        /// The other user of a direct conversation; must be there until it exists.
        opt "pe" peer: Option<UserId>,
        /// What the server reads.
        req "h" header: Header,
        /// What it does not.
        req "b" content: Bytes,
    }
}
record! {
    /// New content for an own message.
    Edit {
        /// Name of the command.
        req "i" nonce: Nonce,
        /// The nonce before it in the outbox.
        opt "af" after: Option<Nonce>,
        /// Where.
        req "c" conversation: ConversationId,
        /// The message's number; 0 if `target_nonce` names it.
        opt "g" target: Sequence,
        /// The message's nonce, if it had no number yet.
        opt "gi" target_nonce: Option<Nonce>,
        /// The `rev` the author saw; 0 any. Another one is answered `conflict`.
        opt "r" seen_rev: Rev,
        /// What it says now.
        req "b" content: Bytes,
    }
}
record! {
    /// Takes a message back for everybody.
    Recall {
        /// Name of the command.
        req "i" nonce: Nonce,
        /// The nonce before it in the outbox.
        opt "af" after: Option<Nonce>,
        /// Where.
        req "c" conversation: ConversationId,
        /// The message's number; 0 if `target_nonce` names it.
        opt "g" target: Sequence,
        /// The message's nonce, if it had no number yet.
        opt "gi" target_nonce: Option<Nonce>,
    }
}
record! {
    /// Reacts to a message, or takes the reaction back. A reaction that is there already (or gone) is done without an entry.
    React {
        /// Name of the command.
        req "i" nonce: Nonce,
        /// The nonce before it in the outbox.
        opt "af" after: Option<Nonce>,
        /// Where.
        req "c" conversation: ConversationId,
        /// The message's number; 0 if `target_nonce` names it.
        opt "g" target: Sequence,
        /// The message's nonce, if it had no number yet.
        opt "gi" target_nonce: Option<Nonce>,
        /// An emoji, or an id that the game made: 1 to 64 bytes.
        req "k" key: String,
        /// React, or take it back.
        req "on" on: bool,
    }
}
record! {
    /// Pins a message for everybody, or unpins it. Both users of a direct conversation may; in a group admins and owners.
    Pin {
        /// Name of the command.
        req "i" nonce: Nonce,
        /// The nonce before it in the outbox.
        opt "af" after: Option<Nonce>,
        /// Where.
        req "c" conversation: ConversationId,
        /// The message's number; 0 if `target_nonce` names it.
        opt "g" target: Sequence,
        /// The message's nonce, if it had no number yet.
        opt "gi" target_nonce: Option<Nonce>,
        /// Pin or unpin.
        req "on" on: bool,
    }
}
record! {
    /// Read up to a number. Never goes back; repeats change nothing.
    Read {
        /// Where.
        req "c" conversation: ConversationId,
        /// The last number read.
        req "n" upto: Sequence,
        /// Name of the command.
        req "i" nonce: Nonce,
    }
}
record! {
    /// Delivered to this device up to a number (direct only). Never goes back. With a request id it is answered with `Done`.
    Delivered {
        /// Where.
        req "c" conversation: ConversationId,
        /// The last number.
        req "n" upto: Sequence,
    }
}
record! {
    /// Up to where a member got and read a conversation.
    Receipt {
        /// Where.
        req "c" conversation: ConversationId,
        /// Who.
        req "u" user: UserId,
        /// Delivered up to (direct only).
        opt "d" delivered: Sequence,
        /// Read up to.
        opt "n" read: Sequence,
        /// In groups: the first number that the member's membership shows; messages from there on count them among their readers.
        opt "j" joined: Sequence,
        /// In groups: the member does not tell any more.
        opt "x" gone: bool,
    }
}
record! {
    /// Typing began or ended. A datagram; the newest counter wins.
    Typing {
        /// Where.
        req "c" conversation: ConversationId,
        /// Grows within the session.
        req "q" counter: u64,
        /// Began (or goes on) or ended.
        req "on" on: bool,
    }
}
record! {
    /// Who is typing. A datagram.
    TypingOf {
        /// Where.
        req "c" conversation: ConversationId,
        /// Who.
        req "u" user: UserId,
        /// Grows within the server's session with this client.
        req "q" counter: u64,
        /// Began (or goes on) or ended.
        req "on" on: bool,
    }
}
record! {
    /// Numbers withheld from this reader.
    Skip {
        /// Where.
        req "c" conversation: ConversationId,
        /// From.
        req "f" first: Sequence,
        /// To.
        req "l" last: Sequence,
    }
}
