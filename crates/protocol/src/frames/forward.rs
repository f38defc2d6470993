//! Forwarding.

use crate::{ConversationId, Nonce, UserId, ids::Sequence, record};

record! {
    /// Sends copies of messages to another conversation. The server makes them from what the user sees: nobody puts words into another's mouth.
    Forward {
        /// Name of the command.
        req "i" nonce: Nonce,
        /// Where to.
        req "c" conversation: ConversationId,
        /// The other user of a direct conversation; must be there until it exists.
        opt "pe" peer: Option<UserId>,
        /// Where the messages are.
        req "fc" from: ConversationId,
        /// Their numbers, ascending, each once: 1 to 100; exactly 1 unless `merged`.
        req "ns" numbers: Vec<Sequence>,
        /// All of them in one message of kind `Merged`; else the one as a message of its own kind.
        opt "mg" merged: bool,
        /// Of a merged one: its heading, at most as long as a label.
        opt "ti" title: String,
    }
}
