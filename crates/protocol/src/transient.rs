//! Transient messages: for who is online now, and kept nowhere.

use bytes::Bytes;

use crate::{
    entry::Header,
    ids::{ConversationId, UserId, WallMs},
    record,
};

record! {
    /// A message for the members who are online now. It is stored nowhere: it has no number, nobody reads it later, and it is never sent twice.
    SendTransient {
        /// Where to.
        req "c" conversation: ConversationId,
        /// As of a message. It answers nothing, ends at no time and was not forwarded.
        req "h" header: Header,
        /// As of a message; no poll, card or live object.
        req "b" content: Bytes,
    }
}

record! {
    /// A transient message of somebody.
    Transient {
        /// Where.
        req "c" conversation: ConversationId,
        /// Who.
        req "u" sender: UserId,
        /// When the server took it.
        req "t" at: WallMs,
        /// As it was sent.
        req "h" header: Header,
        /// As it was sent.
        req "b" content: Bytes,
    }
}
