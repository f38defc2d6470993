//! Members: muted, banned, named for one conversation, let in by a link; and the end of a conversation.

use std::fmt;

use sha2::{Digest, Sha256};

use crate::{
    Code, ConversationId, IdError, Nonce, UserId,
    codec::{DecodeError, Reader, Wire, write_bin},
    ids::WallMs,
    limits::ATTRIBUTES_MAX,
    record,
    settings::{Attribute, Settings},
    text::{TextError, check_name, normalise_name},
};

/// The secret of an invite link: 16 bytes that nobody can guess. Its `Debug` shows nothing of it, so that no log does.
#[derive(Clone, Copy, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct LinkCode(pub [u8; 16]);

impl LinkCode {
    /// The code of the link that a command makes: the same at every try, and known to nobody without the server's secret.
    ///
    /// SHA-256 over `fireside/link/1`, the secret, one length byte and the user, one length byte and the nonce; the first 16 bytes.
    #[must_use]
    pub fn made(secret: &[u8; 32], user: &UserId, nonce: Nonce) -> Self {
        let mut hash = Sha256::new();
        hash.update(b"fireside/link/1");
        hash.update(secret);
        for part in [user.as_str().as_bytes(), &nonce.0] {
            hash.update([part.len() as u8]);
            hash.update(part);
        }
        let mut code = [0; 16];
        code.copy_from_slice(&hash.finalize()[..16]);
        Self(code)
    }

    /// As 32 hexadecimal digits, to be shown to whoever may give it away.
    #[must_use]
    pub fn to_text(self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl fmt::Debug for LinkCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LinkCode(…)")
    }
}

impl std::str::FromStr for LinkCode {
    type Err = IdError;

    /// Reads 32 hexadecimal digits.
    fn from_str(text: &str) -> Result<Self, IdError> {
        text.parse::<ConversationId>().map(|id| Self(id.0))
    }
}

impl Wire for LinkCode {
    fn write(&self, out: &mut Vec<u8>) {
        write_bin(out, &self.0);
    }

    fn read_into(&mut self, reader: &mut Reader<'_>) -> Result<(), DecodeError> {
        reader.id(&mut self.0)
    }

    fn blank() -> Self {
        Self([0; 16])
    }
}

record! {
    /// Ends a conversation for all its members. The owner's.
    Dissolve {
        /// Name of the command.
        req "i" nonce: Nonce,
        /// Which.
        req "c" conversation: ConversationId,
    }
}
record! {
    /// Keeps a member of lower role from writing until a time, or lets them write again.
    Mute {
        /// Name of the command.
        req "i" nonce: Nonce,
        /// Where.
        req "c" conversation: ConversationId,
        /// Whom.
        req "u" user: UserId,
        /// Until when, by the server's clock; 0: not any more.
        opt "un" until: WallMs,
    }
}
record! {
    /// Removes a user of lower role and keeps them from coming back, or lets them come back.
    Ban {
        /// Name of the command.
        req "i" nonce: Nonce,
        /// Where.
        req "c" conversation: ConversationId,
        /// Whom.
        req "u" user: UserId,
        /// Ban, or end the ban.
        req "on" on: bool,
        /// Until when, by the server's clock; 0: for ever.
        opt "un" until: WallMs,
    }
}
record! {
    /// Sets a member's name and attributes in one conversation.
    SetMember {
        /// Name of the command.
        req "i" nonce: Nonce,
        /// Where.
        req "c" conversation: ConversationId,
        /// Whose; nil: the sender's own.
        opt "u" user: Option<UserId>,
        /// The name from now on; empty: none; nil: as it was.
        opt "nm" name: Option<String>,
        /// All attributes from now on; nil: as they were.
        opt "at" attributes: Option<Vec<Attribute>>,
    }
}
record! {
    /// Makes an invite link: whoever has its code, which the ack brings, may come in.
    CreateLink {
        /// Name of the command.
        req "i" nonce: Nonce,
        /// Into which conversation.
        req "c" conversation: ConversationId,
        /// When it ends, by the server's clock; 0 never.
        opt "ex" expires: WallMs,
        /// How many may come in by it; 0: any number.
        opt "us" uses: u32,
    }
}
record! {
    /// Ends an invite link.
    RevokeLink {
        /// Name of the command.
        req "i" nonce: Nonce,
        /// Into which conversation.
        req "c" conversation: ConversationId,
        /// Its secret.
        req "lk" code: LinkCode,
    }
}
record! {
    /// Asks who is banned, by user id ascending; for those who may ban. Page lane.
    BansRequest {
        /// From which conversation.
        req "c" conversation: ConversationId,
        /// After this user.
        opt "u" after: Option<UserId>,
        /// Users at most; 0 is 200.
        opt "l" limit: u32,
    }
}
record! {
    /// Asks for the invite links of a conversation; for those who may invite. Page lane.
    LinksRequest {
        /// Of which conversation.
        req "c" conversation: ConversationId,
    }
}
record! {
    /// Who is banned from a conversation.
    Banned {
        /// Who.
        req "u" user: UserId,
        /// Until when; 0: for ever.
        opt "un" until: WallMs,
        /// Who banned them.
        req "by" by: UserId,
        /// The name in their token.
        opt "nm" name: String,
    }
}
record! {
    /// Those who are banned, by user id.
    BansPage {
        /// From which conversation.
        req "c" conversation: ConversationId,
        /// They.
        opt "bs" bans: Vec<Banned>,
        /// There are more: ask after the last one.
        opt "mo" more: bool,
    }
}
record! {
    /// An invite link.
    Link {
        /// Its secret.
        req "lk" code: LinkCode,
        /// Who made it.
        req "by" by: UserId,
        /// When.
        opt "t" at: WallMs,
        /// When it ends; 0 never.
        opt "ex" expires: WallMs,
        /// How many may come in by it; 0: any number.
        opt "us" uses: u32,
        /// How many did.
        opt "ud" used: u32,
    }
}
record! {
    /// The invite links of a conversation, oldest first. Ended ones are among them until they make room.
    LinksPage {
        /// Of which conversation.
        req "c" conversation: ConversationId,
        /// All of them.
        opt "ls" links: Vec<Link>,
    }
}
record! {
    /// The content of an entry of kind `MemberSet`: what changed of a member.
    MemberProfile {
        /// The name in this conversation; empty: none; nil: as it was.
        opt "nm" name: Option<String>,
        /// All attributes; nil: as they were.
        opt "at" attributes: Option<Vec<Attribute>>,
    }
}

impl Link {
    /// Whether somebody may still come in by it.
    #[must_use]
    pub const fn is_open(&self, now: WallMs) -> bool {
        (self.expires == 0 || now < self.expires) && (self.uses == 0 || self.used < self.uses)
    }
}

impl MemberProfile {
    /// In its stored form: the name in NFC, attributes by key, each once, none without a value.
    ///
    /// # Errors
    /// `name_invalid` for the name, `argument_invalid` for attributes outside their limits and for no change at all.
    pub fn normalised(&self) -> Result<Self, Code> {
        self.with_name(normalise_name)
    }

    /// As a client sends it: like [`MemberProfile::normalised`], but the server brings the name into NFC ([`check_name`]).
    ///
    /// # Errors
    /// As [`MemberProfile::normalised`]; what is too long only in NFC is left to the server.
    pub fn checked(&self) -> Result<Self, Code> {
        self.with_name(|name| check_name(name).map(ToOwned::to_owned))
    }

    fn with_name(&self, text: fn(&str) -> Result<String, TextError>) -> Result<Self, Code> {
        if self.name.is_none() && self.attributes.is_none() {
            return Err(Code::ArgumentInvalid);
        }
        let name = match &self.name {
            Some(name) if !name.trim().is_empty() => {
                Some(text(name).map_err(|error| error.code())?)
            }
            Some(_) => Some(String::new()),
            None => None,
        };
        let attributes = match &self.attributes {
            None => None,
            Some(attributes) if attributes.len() > ATTRIBUTES_MAX => {
                return Err(Code::ArgumentInvalid);
            }
            Some(attributes) => {
                let change = Settings {
                    attributes: attributes.clone(),
                    ..Settings::default()
                };
                let mut attributes = change.checked()?.attributes;
                attributes.retain(|attribute| !attribute.value.is_empty());
                Some(attributes)
            }
        };
        Ok(Self { name, attributes })
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn a_code_does_not_show_itself() {
        let code = LinkCode([0xab; 16]);
        assert_eq!(code.to_text().parse::<LinkCode>().unwrap(), code);
        assert!(!format!("{code:?}").contains("ab"));
    }

    #[test]
    fn a_profile_is_made_regular_or_refused() {
        let attribute = |key: &str, value: &str| Attribute {
            key: key.into(),
            value: value.into(),
        };
        let profile = |name: Option<&str>, attributes: Option<Vec<Attribute>>| MemberProfile {
            name: name.map(Into::into),
            attributes,
        };
        let all = vec![attribute("b", "2"), attribute("a", "1"), attribute("c", "")];
        let regular = profile(Some(" Conan "), Some(all)).normalised().unwrap();
        let left = vec![attribute("a", "1"), attribute("b", "2")];
        assert_eq!(regular, profile(Some("Conan"), Some(left)));
        let bare = profile(Some("  "), None).normalised().unwrap();
        assert_eq!(bare.name.as_deref(), Some(""));
        let many = vec![attribute("a", "1"); ATTRIBUTES_MAX + 1];
        for (wrong, code) in [
            (profile(None, None), Code::ArgumentInvalid),
            (profile(Some("\u{202e}x"), None), Code::NameInvalid),
            (profile(None, Some(many)), Code::ArgumentInvalid),
            (
                profile(None, Some(vec![attribute("", "1")])),
                Code::ArgumentInvalid,
            ),
        ] {
            assert_eq!(wrong.normalised().unwrap_err(), code);
        }
    }

    #[test]
    fn a_link_ends_by_time_and_by_count() {
        let link = Link {
            code: LinkCode::default(),
            by: UserId::new("ann").unwrap(),
            at: 1,
            expires: 100,
            uses: 2,
            used: 1,
        };
        assert!(link.is_open(99) && !link.is_open(100));
        assert!(
            !Link {
                used: 2,
                ..link.clone()
            }
            .is_open(99)
        );
        assert!(
            Link {
                uses: 0,
                expires: 0,
                ..link
            }
            .is_open(u64::MAX)
        );
    }
}
