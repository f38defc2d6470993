//! What a conversation is set to: its profile, its rules, and what each role may do in it.

use unicode_normalization::UnicodeNormalization;

use crate::{
    Code,
    ids::WallMs,
    limits::{
        ATTRIBUTE_KEY_BYTES_MAX, ATTRIBUTE_VALUE_BYTES_MAX, ATTRIBUTES_MAX, DESCRIPTION_BYTES_MAX,
        DESCRIPTION_GRAPHEMES_MAX, LIFETIME_MS_MAX, LIFETIME_MS_MIN, OWN_ROLES_MAX,
        PICTURE_BYTES_MAX, SLOW_MODE_MS_MAX,
    },
    open_enum, record,
    text::{Count, TextError, check_name, is_direction, normalise_name},
};

open_enum! {
    /// How somebody comes into a conversation.
    JoinPolicy {
        /// By invitation.
        1 Invite,
        /// Whoever asks and is let in; or by invitation.
        2 Request,
        /// Whoever wants; or by invitation.
        3 Open,
    }
}

open_enum! {
    /// Something that may be done in a conversation: a bit of a set (1 << number). Those below 16 may be given to admins and members; the others
    /// are the owner's.
    Permission {
        /// Write and edit own messages.
        0 Send,
        /// Name everybody at once.
        1 MentionAll,
        /// Invite.
        2 Invite,
        /// Remove members of lower role.
        3 Remove,
        /// Recall others' messages.
        4 RecallOthers,
        /// Pin messages.
        5 Pin,
        /// Change name, description, picture and attributes.
        6 Profile,
        /// Mute members of lower role.
        7 Mute,
        /// Change the other settings, but for permissions.
        8 Settings,
        /// Ban users of lower role, and end their bans.
        9 Ban,
        /// Send interactive cards.
        10 Cards,
        /// Make channels in a community.
        11 Channels,
        /// Open threads.
        14 Threads,
        /// Give roles, and hand the conversation over.
        16 Roles,
        /// Change what roles may do.
        17 Permissions,
        /// End the conversation for all.
        18 Dissolve,
    }
}

impl Permission {
    /// Its bit in a set.
    #[must_use]
    pub const fn bit(self) -> u32 {
        1_u32.unbounded_shl(self.number() as u32)
    }
}

/// The bits that may be given to admins and members.
pub const GIVEN_PERMISSIONS: u32 = Permission::Send.bit()
    | Permission::MentionAll.bit()
    | Permission::Invite.bit()
    | Permission::Remove.bit()
    | Permission::RecallOthers.bit()
    | Permission::Pin.bit()
    | Permission::Profile.bit()
    | Permission::Mute.bit()
    | Permission::Settings.bit()
    | Permission::Ban.bit()
    | Permission::Cards.bit()
    | Permission::Channels.bit()
    | Permission::Threads.bit();

record! {
    /// A value of a game's own.
    Attribute {
        /// What it is, 1 to 32 bytes.
        req "k" key: String,
        /// Its value, at most 256 bytes; empty: none (any more).
        opt "v" value: String,
    }
}

record! {
    /// A role of a conversation's own: what those who have it may do, instead of what members may. It ranks between admin and member.
    OwnRole {
        /// Its number, from 16 to 46, the same in [`Role`](crate::entry::Role).
        req "n" number: u16,
        /// Its name; in a change, empty: it is removed, and who has it may what members may.
        opt "nm" name: String,
        /// A set of `Permission` bits.
        opt "pm" permissions: u32,
        /// Its colour as 0xRRGGBB; 0: none.
        opt "co" colour: u32,
    }
}

/// The numbers of a conversation's own roles.
pub const OWN_ROLES: std::ops::RangeInclusive<u16> = 16..=46;

record! {
    /// What a conversation is set to. In a change only what changes is there; of a conversation as it is, only what was ever set: the rest
    /// is as its kind has it.
    Settings {
        /// Its name.
        opt "nm" name: Option<String>,
        /// What it is about; empty: nothing.
        opt "ds" description: Option<String>,
        /// Where its picture is, in the game's own words; empty: none.
        opt "pi" picture: Option<String>,
        /// Values of the game's own, by key ascending. In a change: those that change.
        opt "at" attributes: Vec<Attribute>,
        /// How somebody comes in.
        opt "jp" join: Option<JoinPolicy>,
        /// Only admins and the owner write.
        opt "fz" frozen: Option<bool>,
        /// A member writes at most once in this, in ms; 0: as they like. Admins and the owner do not wait.
        opt "sl" slow_mode_ms: Option<u32>,
        /// Members at most; 0: as many as the server allows.
        opt "mm" members_max: Option<u32>,
        /// What joiners see of earlier numbers: 0 nothing, N the last N numbers, 18446744073709551615 all.
        opt "hj" history_for_joiners: Option<u64>,
        /// Devices of who is no longer a member forget what they held.
        opt "fl" forget_on_leave: Option<bool>,
        /// What members may do: a set of `Permission` bits.
        opt "pm" member_permissions: Option<u32>,
        /// What admins may do: a set of `Permission` bits.
        opt "pa" admin_permissions: Option<u32>,
        /// Of a meeting: when it ends by itself; 0: when nobody is there any more.
        opt "en" ends: Option<WallMs>,
        /// Of a channel: whoever comes into its community comes into it too.
        opt "bd" by_default: Option<bool>,
        /// Roles of its own, by number ascending. In a change: those that change.
        opt "rs" roles: Vec<OwnRole>,
        /// What messages sent from now on live, in ms: they end so long after they were sent, or sooner if they say so; 0: for ever.
        opt "lt" lifetime_ms: Option<u64>,
    }
}

#[expect(clippy::derivable_impls, reason = "records of the macro derive none")]
impl Default for Settings {
    fn default() -> Self {
        Self {
            name: None,
            description: None,
            picture: None,
            attributes: Vec::new(),
            join: None,
            frozen: None,
            slow_mode_ms: None,
            members_max: None,
            history_for_joiners: None,
            forget_on_leave: None,
            member_permissions: None,
            admin_permissions: None,
            ends: None,
            by_default: None,
            roles: Vec::new(),
            lifetime_ms: None,
        }
    }
}

impl Settings {
    /// The change in its stored form: texts in NFC, attributes by key, each once.
    ///
    /// # Errors
    /// `name_invalid` for the name, `lifetime_invalid` for the lifetime, `argument_invalid` for anything else outside its range.
    pub fn normalised(&self) -> Result<Self, Code> {
        self.with_texts(normalise_name, normalise_description)
    }

    /// The change as a client sends it: like [`Settings::normalised`], but the server brings its texts into NFC ([`check_name`]).
    ///
    /// # Errors
    /// As [`Settings::normalised`]; what is too long only in NFC is left to the server.
    pub fn checked(&self) -> Result<Self, Code> {
        self.with_texts(
            |name| check_name(name).map(ToOwned::to_owned),
            |text| check_description(text, Count::NOTHING).map(ToOwned::to_owned),
        )
    }

    fn with_texts(
        &self,
        name: fn(&str) -> Result<String, TextError>,
        description: fn(&str) -> Result<String, Code>,
    ) -> Result<Self, Code> {
        let mut change = self.clone();
        if let Some(text) = &mut change.name {
            *text = name(text).map_err(|error| error.code())?;
        }
        if let Some(text) = &mut change.description {
            *text = description(text)?;
        }
        if let Some(picture) = &change.picture {
            check_line(picture, PICTURE_BYTES_MAX)?;
        }
        if change.attributes.len() > 2 * ATTRIBUTES_MAX {
            return Err(Code::ArgumentInvalid);
        }
        for attribute in &change.attributes {
            check_line(&attribute.key, ATTRIBUTE_KEY_BYTES_MAX)?;
            check_line(&attribute.value, ATTRIBUTE_VALUE_BYTES_MAX)?;
            if attribute.key.is_empty() {
                return Err(Code::ArgumentInvalid);
            }
        }
        for attribute in std::mem::take(&mut change.attributes) {
            let place = change
                .attributes
                .partition_point(|before| before.key <= attribute.key);
            change.attributes.insert(place, attribute);
        }
        let mut pairs = change
            .attributes
            .iter()
            .zip(change.attributes.iter().skip(1));
        let sets = [change.member_permissions, change.admin_permissions];
        let roles = std::mem::take(&mut change.roles);
        if roles.len() > 2 * OWN_ROLES_MAX {
            return Err(Code::ArgumentInvalid);
        }
        for mut role in roles {
            if !role.name.is_empty() {
                role.name = name(&role.name).map_err(|error| error.code())?;
            }
            let place = change
                .roles
                .partition_point(|before| before.number < role.number);
            let doubled = (change.roles.get(place)).is_some_and(|it| it.number == role.number);
            if doubled
                || !OWN_ROLES.contains(&role.number)
                || role.permissions & !GIVEN_PERMISSIONS != 0
                || role.colour > 0x00ff_ffff
            {
                return Err(Code::ArgumentInvalid);
            }
            change.roles.insert(place, role);
        }
        if pairs.any(|(one, other)| one.key == other.key)
            || matches!(change.join, Some(JoinPolicy::Unknown(_)))
            || change.slow_mode_ms.is_some_and(|ms| ms > SLOW_MODE_MS_MAX)
            || sets
                .iter()
                .flatten()
                .any(|set| set & !GIVEN_PERMISSIONS != 0)
        {
            return Err(Code::ArgumentInvalid);
        }
        let lifetimes = LIFETIME_MS_MIN..=LIFETIME_MS_MAX;
        if (change.lifetime_ms).is_some_and(|ms| ms != 0 && !lifetimes.contains(&ms)) {
            return Err(Code::LifetimeInvalid);
        }
        Ok(change)
    }

    /// Takes over a normalised change.
    ///
    /// # Errors
    /// `argument_invalid` when there are too many attributes then.
    pub fn apply(&mut self, change: &Self) -> Result<(), Code> {
        fn set<T: Clone>(place: &mut Option<T>, change: &Option<T>) {
            if change.is_some() {
                place.clone_from(change);
            }
        }
        set(&mut self.name, &change.name);
        set(&mut self.description, &change.description);
        set(&mut self.picture, &change.picture);
        set(&mut self.join, &change.join);
        set(&mut self.frozen, &change.frozen);
        set(&mut self.slow_mode_ms, &change.slow_mode_ms);
        set(&mut self.members_max, &change.members_max);
        set(&mut self.history_for_joiners, &change.history_for_joiners);
        set(&mut self.forget_on_leave, &change.forget_on_leave);
        set(&mut self.member_permissions, &change.member_permissions);
        set(&mut self.admin_permissions, &change.admin_permissions);
        set(&mut self.ends, &change.ends);
        set(&mut self.by_default, &change.by_default);
        set(&mut self.lifetime_ms, &change.lifetime_ms);
        for attribute in &change.attributes {
            let place = self
                .attributes
                .binary_search_by(|held| held.key.cmp(&attribute.key));
            match place {
                Ok(place) if attribute.value.is_empty() => {
                    self.attributes.remove(place);
                }
                Ok(place) => {
                    if let Some(held) = self.attributes.get_mut(place) {
                        held.value.clone_from(&attribute.value);
                    }
                }
                Err(_) if attribute.value.is_empty() => {}
                Err(place) => self.attributes.insert(place, attribute.clone()),
            }
        }
        for role in &change.roles {
            let place = self
                .roles
                .binary_search_by_key(&role.number, |held| held.number);
            match place {
                Ok(place) if role.name.is_empty() => {
                    self.roles.remove(place);
                }
                Ok(place) => {
                    if let Some(held) = self.roles.get_mut(place) {
                        held.clone_from(role);
                    }
                }
                Err(_) if role.name.is_empty() => {}
                Err(place) => self.roles.insert(place, role.clone()),
            }
        }
        if self.attributes.len() > ATTRIBUTES_MAX || self.roles.len() > OWN_ROLES_MAX {
            return Err(Code::ArgumentInvalid);
        }
        Ok(())
    }
}

/// A description in NFC: like a name, but longer, with line feeds, and it may be empty.
fn normalise_description(text: &str) -> Result<String, Code> {
    if text.len() > DESCRIPTION_BYTES_MAX * 2 {
        return Err(Code::ArgumentInvalid);
    }
    let text: String = text.trim().nfc().collect();
    check_description(&text, Count::GRAPHEMES)?;
    if text.len() > DESCRIPTION_BYTES_MAX {
        return Err(Code::ArgumentInvalid);
    }
    Ok(text)
}

fn check_description(text: &str, count: Count) -> Result<&str, Code> {
    if text.len() > DESCRIPTION_BYTES_MAX * 2 {
        return Err(Code::ArgumentInvalid);
    }
    let text = text.trim();
    let bad = |c: char| (c.is_control() && c != '\n') || is_direction(c);
    if text.chars().any(bad) || count.over(text, DESCRIPTION_GRAPHEMES_MAX) {
        return Err(Code::ArgumentInvalid);
    }
    Ok(text)
}

/// A short text that no person wrote: kept as it is, without control and direction characters.
fn check_line(text: &str, bytes_max: usize) -> Result<(), Code> {
    if text.len() > bytes_max || text.chars().any(|c| c.is_control() || is_direction(c)) {
        return Err(Code::ArgumentInvalid);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn attribute(key: &str, value: &str) -> Attribute {
        Attribute {
            key: key.to_owned(),
            value: value.to_owned(),
        }
    }

    #[test]
    fn a_change_is_normalised_or_refused() {
        let change = Settings {
            name: Some(" Cafe\u{301} ".into()),
            description: Some("a\nb ".into()),
            attributes: vec![attribute("b", "2"), attribute("a", "")],
            ..Settings::default()
        };
        let change = change.normalised().unwrap();
        assert_eq!(change.name.as_deref(), Some("Café"));
        assert_eq!(change.description.as_deref(), Some("a\nb"));
        assert_eq!(change.attributes.first(), Some(&attribute("a", "")));
        let wrong = [
            Settings {
                description: Some("x".repeat(DESCRIPTION_BYTES_MAX * 2 + 1)),
                ..Settings::default()
            },
            Settings {
                picture: Some("a\nb".into()),
                ..Settings::default()
            },
            Settings {
                attributes: vec![attribute("a", "1"), attribute("a", "2")],
                ..Settings::default()
            },
            Settings {
                attributes: vec![attribute("", "1")],
                ..Settings::default()
            },
            Settings {
                slow_mode_ms: Some(SLOW_MODE_MS_MAX + 1),
                ..Settings::default()
            },
            Settings {
                member_permissions: Some(Permission::Permissions.bit()),
                ..Settings::default()
            },
            Settings {
                join: Some(JoinPolicy::Unknown(9)),
                ..Settings::default()
            },
        ];
        for change in wrong {
            let refused = Err(Code::ArgumentInvalid);
            assert_eq!(change.normalised(), refused, "{change:?}");
            assert_eq!(change.checked(), refused, "{change:?}");
        }
        // The server counts.
        let long = Settings {
            description: Some("x".repeat(DESCRIPTION_GRAPHEMES_MAX + 1)),
            ..Settings::default()
        };
        assert_eq!(long.normalised(), Err(Code::ArgumentInvalid));
        assert_eq!(long.checked().as_ref(), Ok(&long));
        for ms in [LIFETIME_MS_MIN - 1, LIFETIME_MS_MAX + 1] {
            let change = Settings {
                lifetime_ms: Some(ms),
                ..Settings::default()
            };
            assert_eq!(change.normalised(), Err(Code::LifetimeInvalid));
        }
        let nameless = Settings {
            name: Some(String::new()),
            ..Settings::default()
        };
        assert_eq!(nameless.normalised(), Err(Code::NameInvalid));
        assert_eq!(nameless.checked(), Err(Code::NameInvalid));
    }

    #[test]
    fn attributes_come_change_and_go() {
        let mut settings = Settings::default();
        let with = |attributes| Settings {
            attributes,
            ..Settings::default()
        };
        settings
            .apply(&with(vec![attribute("a", "1"), attribute("b", "2")]))
            .unwrap();
        settings
            .apply(&with(vec![attribute("a", ""), attribute("b", "3")]))
            .unwrap();
        assert_eq!(settings.attributes, [attribute("b", "3")]);
        let many = (0..=ATTRIBUTES_MAX).map(|n| attribute(&format!("k{n:02}"), "x"));
        let many = with(many.collect()).normalised().unwrap();
        assert_eq!(settings.apply(&many), Err(Code::ArgumentInvalid));
    }
}
