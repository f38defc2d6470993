//! Presence: whether somebody is there, and what they do. Never stored; but for when somebody logged in last.

use bytes::Bytes;

use crate::{
    Code, UserId,
    ids::WallMs,
    limits::JOIN_SECRET_BYTES_MAX,
    open_enum, record,
    text::{TextError, check_name, is_reaction_key, normalise_name},
};

open_enum! {
    /// Whether somebody is there.
    PresenceState {
        /// There.
        1 Online,
        /// There, but not at it.
        2 Away,
        /// There, and not to be disturbed.
        3 DoNotDisturb,
        /// There, and nobody is to know: others see `Offline`.
        4 Invisible,
        /// Not there. Only a server says so.
        5 Offline,
    }
}

record! {
    /// What a player does, and how to join them.
    RichPresence {
        /// What, for example the game or the mode.
        opt "w" what: String,
        /// More of it, for example the level.
        opt "d" details: String,
        /// What the game needs to join them: goes to friends alone.
        opt "js" join_secret: Bytes,
        /// So many are in the party.
        opt "ps" party_size: u32,
        /// Of so many.
        opt "pm" party_max: u32,
    }
}
record! {
    /// Says of this session whether its user is there. Replaces what it said before; forgotten with the session.
    SetPresence {
        /// Whether.
        req "st" state: PresenceState,
        /// A status of the user's own words.
        opt "tx" text: String,
        /// With an emoji.
        opt "em" emoji: String,
        /// Both end then; 0 never.
        opt "un" until: WallMs,
        /// What they do.
        opt "r" rich: Option<Box<RichPresence>>,
    }
}
record! {
    /// Somebody's presence, of all their devices together.
    PresenceOf {
        /// Who.
        req "u" user: UserId,
        /// Whether they are there.
        req "st" state: PresenceState,
        /// A status of their own words.
        opt "tx" text: String,
        /// With an emoji.
        opt "em" emoji: String,
        /// What they do.
        opt "r" rich: Option<Box<RichPresence>>,
        /// On what: the platform of the device.
        opt "p" platform: String,
        /// When who is not there logged in last; 0 not known.
        opt "ls" last_seen: WallMs,
    }
}
record! {
    /// Asks for the presence of users. Page lane.
    PresenceRequest {
        /// Of whom, at most 100.
        req "us" users: Vec<UserId>,
    }
}
record! {
    /// The presence of the users asked for.
    PresencePage {
        /// One each; of whom the user may not know it, `Offline`.
        opt "ps" users: Vec<PresenceOf>,
    }
}

impl SetPresence {
    /// With its texts normalised.
    ///
    /// # Errors
    /// `name_invalid` for a text over the limits of a name, `argument_invalid` for anything else outside its range.
    pub fn normalised(&self) -> Result<Self, Code> {
        self.with_texts(normalise_name)
    }

    /// As a client sends it: like [`SetPresence::normalised`], but the server brings its texts into NFC ([`check_name`]).
    ///
    /// # Errors
    /// As [`SetPresence::normalised`]; what is too long only in NFC is left to the server.
    pub fn checked(&self) -> Result<Self, Code> {
        self.with_texts(|text| check_name(text).map(ToOwned::to_owned))
    }

    fn with_texts(&self, name: fn(&str) -> Result<String, TextError>) -> Result<Self, Code> {
        let mut said = self.clone();
        let line = |text: &mut String| {
            if !text.is_empty() {
                *text = name(text).map_err(|error| error.code())?;
            }
            Ok::<(), Code>(())
        };
        line(&mut said.text)?;
        if let Some(rich) = &mut said.rich {
            line(&mut rich.what)?;
            line(&mut rich.details)?;
            if rich.join_secret.len() > JOIN_SECRET_BYTES_MAX {
                return Err(Code::ArgumentInvalid);
            }
            // What came is a slice of a whole read of the stream.
            rich.join_secret = Bytes::copy_from_slice(&rich.join_secret);
        }
        let known = !matches!(
            said.state,
            PresenceState::Offline | PresenceState::Unknown(_)
        );
        if !known || !said.emoji.is_empty() && !is_reaction_key(&said.emoji) {
            return Err(Code::ArgumentInvalid);
        }
        Ok(said)
    }
}

impl PresenceOf {
    /// Of who is not there, or of whom nothing may be known.
    #[must_use]
    pub const fn offline(user: UserId, last_seen: WallMs) -> Self {
        Self {
            user,
            state: PresenceState::Offline,
            text: String::new(),
            emoji: String::new(),
            rich: None,
            platform: String::new(),
            last_seen,
        }
    }
}
