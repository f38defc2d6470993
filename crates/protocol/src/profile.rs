//! What users say of themselves to everybody.

use crate::{
    Code, Nonce, UserId, record,
    settings::{Attribute, Settings},
};

record! {
    /// Changes what the user says of themselves to everybody. Their name is the token's.
    SetProfile {
        /// Name of the command.
        req "i" nonce: Nonce,
        /// About them; empty: nothing.
        opt "ds" description: Option<String>,
        /// Where their picture is, in the game's own words; empty: none.
        opt "pi" picture: Option<String>,
        /// Values of the game's own: those that change.
        opt "at" attributes: Vec<Attribute>,
    }
}
record! {
    /// What users say of themselves. Page lane.
    ProfilesRequest {
        /// Of whom, at most 100.
        req "us" users: Vec<UserId>,
    }
}
record! {
    /// A user as everybody sees them.
    UserProfile {
        /// Who.
        req "u" user: UserId,
        /// The name in their token.
        opt "nm" name: String,
        /// About them.
        opt "ds" description: String,
        /// Where their picture is.
        opt "pi" picture: String,
        /// Values of the game's own, by key.
        opt "at" attributes: Vec<Attribute>,
    }
}
record! {
    /// Those who ever logged in, in the order they were asked for.
    ProfilesPage {
        /// They.
        opt "ps" profiles: Vec<UserProfile>,
    }
}

impl UserProfile {
    /// Of who said nothing.
    #[must_use]
    pub const fn new(user: UserId, name: String) -> Self {
        Self {
            user,
            name,
            description: String::new(),
            picture: String::new(),
            attributes: Vec::new(),
        }
    }

    /// Whether nothing was said but a name.
    #[must_use]
    pub const fn is_bare(&self) -> bool {
        self.description.is_empty() && self.picture.is_empty() && self.attributes.is_empty()
    }

    /// Takes over a change that [`SetProfile::change`] checked.
    ///
    /// # Errors
    /// `argument_invalid` when there are too many attributes then.
    pub fn apply(&mut self, change: &Settings) -> Result<(), Code> {
        // The same rules as for a conversation.
        let mut held = Settings {
            description: Some(std::mem::take(&mut self.description)),
            picture: Some(std::mem::take(&mut self.picture)),
            attributes: std::mem::take(&mut self.attributes),
            ..Settings::default()
        };
        let applied = held.apply(change);
        self.description = held.description.unwrap_or_default();
        self.picture = held.picture.unwrap_or_default();
        self.attributes = held.attributes;
        applied
    }
}

impl SetProfile {
    /// What it changes, in its stored form, by the rules for conversations.
    ///
    /// # Errors
    /// `argument_invalid` for a change of nothing and for what is outside its limits.
    pub fn change(&self) -> Result<Settings, Code> {
        self.as_settings()?.normalised()
    }

    /// The same as a client checks it: what brings texts into NFC is the server's.
    ///
    /// # Errors
    /// As [`SetProfile::change`]; what is too long only in NFC is left to the server.
    pub fn check(&self) -> Result<(), Code> {
        self.as_settings()?.checked().map(|_| ())
    }

    fn as_settings(&self) -> Result<Settings, Code> {
        let change = Settings {
            description: self.description.clone(),
            picture: self.picture.clone(),
            attributes: self.attributes.clone(),
            ..Settings::default()
        };
        if change == Settings::default() {
            return Err(Code::ArgumentInvalid);
        }
        Ok(change)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn a_change_changes_what_it_names() {
        let set = |description: Option<&str>, attributes| SetProfile {
            nonce: Nonce::default(),
            description: description.map(str::to_owned),
            picture: None,
            attributes,
        };
        let level = |value: &str| Attribute {
            key: "level".into(),
            value: value.into(),
        };
        assert_eq!(set(None, Vec::new()).change(), Err(Code::ArgumentInvalid));
        let mut profile = UserProfile::new(UserId::new("ann").unwrap(), "Ann".into());
        let change = set(Some(" Cafe\u{301} "), vec![level("4")])
            .change()
            .unwrap();
        profile.apply(&change).unwrap();
        assert_eq!(profile.description, "Café");
        profile
            .apply(&set(None, vec![level("")]).change().unwrap())
            .unwrap();
        assert_eq!(
            (profile.description.as_str(), profile.attributes.len()),
            ("Café", 0)
        );
        profile
            .apply(&set(Some(""), Vec::new()).change().unwrap())
            .unwrap();
        assert!(profile.is_bare());
    }
}
