//! Changes of members and of invite links that come with an append.

use fireside_protocol::{
    Attribute, LinkCode, MemberChange, Role, Sequence, UserId, WallMs, frames::Link,
};

/// A change of a member's record.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum MemberOp {
    /// Opens an interval. Clears an invitation. If it shows numbers from before the last membership, which may have been withheld then,
    /// the rights version grows: devices page them again.
    Join {
        /// Who.
        user: UserId,
        /// As what.
        role: Role,
        /// Numbers before the entry that they see; `u64::MAX` all.
        history: u64,
    },
    /// Ends the interval at the entry.
    Leave {
        /// Who.
        user: UserId,
    },
    /// Changes the role.
    SetRole {
        /// Who.
        user: UserId,
        /// To what.
        role: Role,
    },
    /// Notes an invitation.
    Invite {
        /// Whom.
        user: UserId,
        /// Who invites.
        by: UserId,
    },
    /// Takes an invitation back or declines it.
    Uninvite {
        /// Whose.
        user: UserId,
    },
    /// Notes that somebody asks to come in. [`MemberOp::Join`] ends it.
    Ask {
        /// Who.
        user: UserId,
    },
    /// Notes that they do not any more.
    Unask {
        /// Who.
        user: UserId,
    },
    /// Keeps a member from writing.
    Mute {
        /// Whom.
        user: UserId,
        /// Until when; 0: not any more.
        until: WallMs,
    },
    /// Ends a membership at the entry if there is one, an invitation and a wish to come in, and bars the user. [`MemberOp::Join`] ends it.
    Ban {
        /// Whom.
        user: UserId,
        /// Who bars them, and until when.
        ban: Ban,
    },
    /// Bars them no longer.
    Unban {
        /// Whom.
        user: UserId,
    },
    /// Changes a member's name and attributes in the conversation.
    Profile {
        /// Whose.
        user: UserId,
        /// The name from now on; empty: none; `None`: as it was.
        name: Option<String>,
        /// All attributes from now on; `None`: as they were.
        attributes: Option<Vec<Attribute>>,
    },
    /// Deletes for this member alone. Their rights version grows, and with it the value of the `Rights` record that comes along.
    Delete {
        /// Who.
        user: UserId,
        /// Everything up to this number.
        upto: Sequence,
        /// And these.
        numbers: Vec<Sequence>,
    },
}

impl MemberOp {
    /// Whose record it changes.
    #[must_use]
    pub const fn user(&self) -> &UserId {
        match self {
            Self::Join { user, .. }
            | Self::Leave { user }
            | Self::SetRole { user, .. }
            | Self::Invite { user, .. }
            | Self::Uninvite { user }
            | Self::Ask { user }
            | Self::Unask { user }
            | Self::Mute { user, .. }
            | Self::Ban { user, .. }
            | Self::Unban { user }
            | Self::Delete { user, .. }
            | Self::Profile { user, .. } => user,
        }
    }

    /// What an entry with it says to its readers.
    #[must_use]
    pub fn change(&self) -> MemberChange {
        let (role, until) = match self {
            Self::Join { role, .. } | Self::SetRole { role, .. } => (Some(*role), 0),
            Self::Mute { until, .. } => (None, *until),
            Self::Ban { ban, .. } => (None, ban.until),
            _ => (None, 0),
        };
        MemberChange {
            user: self.user().clone(),
            role,
            name: String::new(),
            until,
        }
    }
}

/// A ban from one conversation.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Ban {
    /// Who banned.
    pub by: UserId,
    /// Until when; 0: for ever.
    pub until: WallMs,
}

impl Ban {
    /// Whether it bars somebody now.
    #[must_use]
    pub const fn holds(&self, now: WallMs) -> bool {
        self.until == 0 || now < self.until
    }
}

/// A change of an invite link.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum LinkOp {
    /// Makes one.
    Create(Link),
    /// Somebody came in by it.
    Use(LinkCode),
    /// Ends it.
    Remove(LinkCode),
}

impl LinkOp {
    /// Changes a list of links, as a store and a node's memory do alike.
    pub fn carry_out(&self, links: &mut Vec<Link>) {
        match self {
            Self::Create(link) => links.push(link.clone()),
            Self::Use(code) => {
                for link in links.iter_mut().filter(|link| link.code == *code) {
                    link.used = link.used.saturating_add(1);
                }
            }
            Self::Remove(code) => links.retain(|link| link.code != *code),
        }
    }
}
