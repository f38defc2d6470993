//! Frames of a session itself: log-in, tokens, devices, whether anybody is there, and its end.

use bytes::Bytes;

use crate::{
    ConversationId, DeviceId, Nonce, UserId,
    ids::{UserSequence, WallMs},
    record,
};

record! {
    /// Log in with a token. The first frame of a session stream.
    Hello {
        /// Lowest protocol version the client speaks.
        req "v" version_min: u16,
        /// Highest protocol version the client speaks.
        req "w" version_max: u16,
        /// A JWT.
        req "k" token: String,
        /// The installed client.
        req "d" device: DeviceId,
        /// Name and version of the client, for logs.
        opt "a" agent: String,
        /// For example `windows`, `ps5`.
        opt "p" platform: String,
        /// Where the device stands in the user log; 0 nothing.
        opt "u" user_cursor: UserSequence,
        /// The server's stamp of the last sync; 0 everything.
        opt "hs" heads_since: WallMs,
        /// On screen.
        opt "op" open: Vec<ConversationId>,
        /// Neither user log nor heads are sent after the welcome.
        opt "ns" no_sync: bool,
    }
}
record! {
    /// Log in again with the secret of an earlier welcome. May be early data; then only reads may follow until the handshake is done.
    Resume {
        /// Lowest protocol version the client speaks.
        req "v" version_min: u16,
        /// Highest protocol version the client speaks.
        req "w" version_max: u16,
        /// From [`Welcome`].
        req "s" secret: Bytes,
        /// The installed client.
        req "d" device: DeviceId,
        /// Where the device stands in the user log; 0 nothing.
        opt "u" user_cursor: UserSequence,
        /// The server's stamp of the last sync; 0 everything.
        opt "hs" heads_since: WallMs,
        /// On screen.
        opt "op" open: Vec<ConversationId>,
        /// Neither user log nor heads are sent after the welcome.
        opt "ns" no_sync: bool,
    }
}
record! {
    /// Logged in.
    Welcome {
        /// The version both speak from now on.
        req "v" version: u16,
        /// Who the token says this is.
        req "u" user: UserId,
        /// The server's clock.
        req "t" now: WallMs,
        /// For [`Resume`], within this server's life.
        opt "s" resume_secret: Bytes,
        /// When the token ends.
        opt "tx" token_expires: WallMs,
        /// The end of the user log.
        opt "n" user_cursor: UserSequence,
        /// Kept by the client as `heads_since` once the heads are in.
        opt "hs" heads_stamp: WallMs,
        /// The token's name for the user.
        opt "nm" name: String,
    }
}
record! {
    /// A new token for the same user, before the old one ends.
    SetToken {
        /// A JWT.
        req "k" token: String,
    }
}
record! {
    /// Signs a device of the user out: its session ends and its resume secrets are gone.
    RevokeDevice {
        /// Name of the command.
        req "i" nonce: Nonce,
        /// Which.
        req "d" device: DeviceId,
    }
}
record! {
    /// Is anybody there?
    Ping {
        /// Given back in the pong.
        opt "q" counter: u64,
    }
}
record! {
    /// Answers a ping.
    Pong {
        /// The ping's.
        opt "q" counter: u64,
        /// The server's clock.
        req "t" now: WallMs,
    }
}
record! {
    /// The conversations on screen, at most 16. Replaces what was said before.
    Attention {
        /// All of them.
        opt "op" open: Vec<ConversationId>,
    }
}
record! {
    /// The server is going down: send nothing new here, connect again.
    Draining {
        /// Not before this, in ms.
        opt "ra" retry_after_ms: u64,
    }
}
record! {
    /// This session ends.
    Kicked {
        /// [`Code`] number.
        req "e" code: u16,
        /// For people, in English.
        opt "m" text: String,
        /// Until when (a ban).
        opt "un" until: WallMs,
    }
}
