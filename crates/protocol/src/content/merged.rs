//! What was said elsewhere: forwarded by a user, copied by the server. No client writes these.

use bytes::Bytes;

use crate::{
    entry::MessageKind,
    ids::{UserId, WallMs},
    record,
};

record! {
    /// Whose a forwarded message was.
    Forwarded {
        /// Who wrote it.
        req "u" user: UserId,
        /// Their name at the time it was forwarded.
        opt "nm" name: String,
        /// When they did.
        opt "t" at: WallMs,
    }
}

record! {
    /// A message as it was when it was forwarded. What its author does with it later leaves the copy as it is.
    Copied {
        /// Whose it was.
        req "fw" from: Forwarded,
        /// What the content is.
        req "k" kind: MessageKind,
        /// What it said; of a live object its state then. Empty if it is gone.
        opt "b" content: Bytes,
        /// An admin took the message back where it was said.
        opt "x" gone: bool,
    }
}

record! {
    /// The content of [`MessageKind::Merged`].
    MergedContent {
        /// Its heading; may be empty.
        opt "ti" title: String,
        /// What was forwarded, in the order it was said.
        req "cs" copies: Vec<Copied>,
    }
}
