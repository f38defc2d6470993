//! Who may see what: one pure function for live delivery, pages, heads, previews and unread.

use std::collections::HashSet;

use fireside_protocol::{EntryKind, Rev, Role, Sequence, UserId, WallMs, settings::OWN_ROLES};

use crate::deleted::Deleted;

/// What the rules need to know of a stored entry.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct EntryMeta {
    /// Its number.
    pub sequence: Sequence,
    /// What it is.
    pub kind: EntryKind,
    /// Who caused it.
    pub sender: UserId,
    /// When.
    pub at: WallMs,
    /// Countable messages up to and including it.
    pub ordinal: u64,
    /// Whether it counts itself.
    pub countable: bool,
    /// Number of its last change; its own if none.
    pub rev: Rev,
    /// Only the sender sees it (a blocked direct message), and the `audience`.
    pub private: bool,
    /// Who else sees what is private (an answer to a card).
    pub audience: Option<UserId>,
    /// Of a change: the item's number; else 0.
    pub target: Sequence,
    /// Of a change: who wrote the item.
    pub target_sender: Option<UserId>,
    /// Of a change: whether the item is private to its sender.
    pub target_private: bool,
    /// Users named in it.
    pub mentions: Vec<UserId>,
    /// Everybody is named.
    pub mention_all: bool,
    /// Roles named in it: a set of bits (1 << number), see [`role_set`].
    pub mention_roles: u64,
    /// It is pinned.
    pub pinned: bool,
    /// When it ends, or a poll closes, while there is something left to end; 0 never.
    pub expires: WallMs,
    /// Its time was over: it does not count as unread.
    pub expired: bool,
}

impl EntryMeta {
    /// Whether it names a user who has a role.
    #[must_use]
    pub fn names(&self, user: &UserId, role: Option<Role>) -> bool {
        let named = role.is_some_and(|role| self.mention_roles & role_set(&[role]) != 0);
        self.mention_all || named || self.mentions.contains(user)
    }
}

/// A set of roles as bits; those with a number above 46 are left out: there are none.
#[must_use]
pub fn role_set(roles: &[Role]) -> u64 {
    let numbers = roles.iter().map(|role| role.number());
    let bits = numbers.filter(|number| *number <= *OWN_ROLES.end());
    bits.fold(0, |set, number| set | 1 << number)
}

/// A stretch of numbers in which a user was a member, both ends included.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Interval {
    /// The first number they see.
    pub from: Sequence,
    /// The entry that ended it; `None` while it lasts.
    pub until: Option<Sequence>,
}

impl Interval {
    /// Whether a number falls into it.
    #[must_use]
    pub fn covers(&self, sequence: Sequence) -> bool {
        self.from <= sequence && self.until.is_none_or(|until| sequence <= until)
    }
}

/// A user as a reader of one conversation.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Reader {
    /// Who.
    pub user: UserId,
    /// When they were a member, ascending.
    pub intervals: Vec<Interval>,
    /// Whom they block; empty for direct conversations, where `private` says it.
    pub blocked: HashSet<UserId>,
    /// What they deleted for themselves.
    pub deleted: Deleted,
}

impl Reader {
    /// The first number this user may see; `None` if they were never a member.
    #[must_use]
    pub fn visible_from(&self) -> Option<Sequence> {
        let first = self.intervals.first()?.from;
        Some(first.max(self.deleted.upto.saturating_add(1)))
    }

    /// Whether the reader was still (or again) a member at a number, or is one now.
    fn reaches(&self, sequence: Sequence) -> bool {
        self.intervals
            .last()
            .is_some_and(|interval| interval.until.is_none_or(|until| sequence <= until))
    }

    /// Whether a number falls into a membership.
    pub(crate) fn covers(&self, sequence: Sequence) -> bool {
        !self.deleted.has(sequence)
            && self.intervals.iter().any(|interval| {
                interval.from <= sequence && interval.until.is_none_or(|until| sequence <= until)
            })
    }

    fn hides(&self, private: bool, message: bool, sender: &UserId) -> bool {
        sender != &self.user && (private || (message && self.blocked.contains(sender)))
    }
}

/// Whether a reader may see an entry. A function of the log's prefix and of the reader's rights, of nothing else (law 1).
///
/// A change is visible if its item is, whenever it was made while (or before) the reader was last a member: pages carry state,
/// so a member who was away for a while gets the changes of that while too. Former members are served nothing at all.
#[must_use]
pub fn visible(entry: &EntryMeta, reader: &Reader) -> bool {
    if entry.target != 0 {
        let Some(target_sender) = &entry.target_sender else {
            return false;
        };
        return reader.reaches(entry.sequence)
            && reader.covers(entry.target)
            && !reader.hides(entry.target_private, true, target_sender);
    }
    let addressed = entry.audience.as_ref() == Some(&reader.user);
    let written = matches!(entry.kind, EntryKind::Message | EntryKind::Answer);
    reader.covers(entry.sequence)
        && !reader.hides(entry.private && !addressed, written, &entry.sender)
}
