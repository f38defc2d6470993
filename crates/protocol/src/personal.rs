//! What belongs to a person: their own settings of a conversation, folders, drafts, friends. All of it goes through the user log.

use bytes::Bytes;

use crate::{
    Code, ConversationId, Nonce, TextContent, UserId, decode,
    frames::{UserRecord, UserRecordKind},
    ids::{FolderId, Sequence, WallMs},
    limits::CONTENT_BYTES_MAX,
    open_enum, record,
    text::{Count, check_text},
};

/// [`Personal::muted_until`] of a conversation that is muted for ever.
pub const MUTED_FOR_EVER: WallMs = WallMs::MAX;

open_enum! {
    /// What of a conversation is worth a notice to its user.
    NotificationLevel {
        /// Every message.
        1 All,
        /// What mentions the user.
        2 Mentions,
        /// Nothing.
        3 Nothing,
    }
}

open_enum! {
    /// What a user does about a friendship.
    FriendAction {
        /// Asks for it. Who was asked by the other already is a friend then.
        1 Request,
        /// Says yes to who asks.
        2 Accept,
        /// Says no to who asks.
        3 Decline,
        /// Ends it, or takes the own request back.
        4 Remove,
    }
}

open_enum! {
    /// How two users stand to each other, as one of them sees it.
    FriendState {
        /// This user asked the other.
        1 Asked,
        /// The other asks this user.
        2 Asks,
        /// They are friends.
        3 Friend,
    }
}

record! {
    /// What a user set for themselves in a conversation. In a change only what changes is there; as it is, only what was ever set.
    Personal {
        /// It stands at the top of the list.
        opt "pt" pinned: Option<bool>,
        /// It is put away; see `archived_to`.
        opt "ar" archived: Option<bool>,
        /// No notices until then; 18446744073709551615 for ever, 0 not muted.
        opt "mu" muted_until: Option<WallMs>,
        /// What is worth a notice.
        opt "lv" level: Option<NotificationLevel>,
        /// It shows as unread, whatever its marker says. A `Read` that moves the marker takes it away.
        opt "un" marked_unread: Option<bool>,
        /// Where it is filed; all zeros: nowhere.
        opt "fo" folder: Option<FolderId>,
        /// Of an archived one: its last number when it was put away. By the server; not used in a change.
        opt "ad" archived_to: Sequence,
    }
}
record! {
    /// What a user has begun to write in a conversation.
    Draft {
        /// The command that set it: an own message with a later name takes it away.
        req "i" nonce: Nonce,
        /// As the content of a message.
        req "b" content: Bytes,
        /// The message it answers; 0 none.
        opt "g" reply_to: Sequence,
    }
}
record! {
    /// Changes what the user set for themselves in a conversation they are a member of.
    SetPersonal {
        /// Name of the command.
        req "i" nonce: Nonce,
        /// Which.
        req "c" conversation: ConversationId,
        /// What changes; the rest stays.
        req "ch" change: Personal,
    }
}
record! {
    /// Reads all conversations to their ends, as the server knows them.
    ReadAll {
        /// Name of the command.
        req "i" nonce: Nonce,
    }
}
record! {
    /// Makes, changes or removes a folder.
    SetFolder {
        /// Name of the command.
        req "i" nonce: Nonce,
        /// Which: 16 bytes of the client's choice, not all zeros.
        req "id" folder: FolderId,
        /// Its name; empty: it goes.
        opt "nm" name: String,
        /// Folders are shown by this, ascending.
        opt "o" order: u32,
    }
}
record! {
    /// Keeps what the user has begun to write, for all devices.
    SetDraft {
        /// Name of the command.
        req "i" nonce: Nonce,
        /// Where.
        req "c" conversation: ConversationId,
        /// As the content of a message; empty: nothing.
        opt "b" content: Bytes,
        /// The message it answers; 0 none.
        opt "g" reply_to: Sequence,
    }
}
record! {
    /// Asks for a friendship, answers who asks for it, or ends it.
    Friend {
        /// Name of the command.
        req "i" nonce: Nonce,
        /// With whom.
        req "u" user: UserId,
        /// What.
        req "ac" action: FriendAction,
    }
}
record! {
    /// Whether others are told how far the user has read. Who tells nothing is told nothing.
    SetReceipts {
        /// Name of the command.
        req "i" nonce: Nonce,
        /// Told or not.
        req "on" on: bool,
    }
}

record! {
    /// Asks who has read a message. Page lane.
    ReadersRequest {
        /// Where.
        req "c" conversation: ConversationId,
        /// The message's number.
        req "n" sequence: Sequence,
    }
}
record! {
    /// Who has read a message. `of` is 0 where receipts are not told: in a conversation of too many members, and to a user who tells none.
    ReadersPage {
        /// Where.
        req "c" conversation: ConversationId,
        /// The message's number.
        req "n" sequence: Sequence,
        /// They, by user id.
        opt "us" users: Vec<UserId>,
        /// Of how many: members whose membership shows the number, without its sender and those who tell nothing.
        opt "of" of: u32,
    }
}

/// What a record of the user log is compacted by.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct RecordKey {
    /// Of what kind.
    pub kind: UserRecordKind,
    /// The conversation or folder it is about.
    pub place: Option<[u8; 16]>,
    /// The other user it is about.
    pub user: Option<UserId>,
}

impl RecordKey {
    /// Of what is about a conversation.
    #[must_use]
    pub const fn of_conversation(kind: UserRecordKind, conversation: ConversationId) -> Self {
        Self {
            kind,
            place: Some(conversation.0),
            user: None,
        }
    }

    /// Of what is about another user.
    #[must_use]
    pub const fn of_user(kind: UserRecordKind, user: UserId) -> Self {
        Self {
            kind,
            place: None,
            user: Some(user),
        }
    }
}

impl UserRecord {
    /// A record with nothing in it.
    #[must_use]
    pub const fn new(kind: UserRecordKind, at: WallMs) -> Self {
        Self {
            sequence: 0,
            kind,
            conversation: None,
            user: None,
            value: 0,
            name: String::new(),
            gone: false,
            at,
            folder: None,
            body: Bytes::new(),
        }
    }

    /// What it is compacted by. `user` is part of the key only where the record is about a user.
    #[must_use]
    pub fn key(&self) -> RecordKey {
        let about_user = matches!(self.kind, UserRecordKind::Block | UserRecordKind::Friend);
        let folder = self.folder.map(|folder| folder.0);
        RecordKey {
            kind: self.kind,
            place: self.conversation.map(|id| id.0).or(folder),
            user: self.user.clone().filter(|_| about_user),
        }
    }
}

impl Personal {
    /// Nothing set.
    pub const NOTHING: Self = Self {
        pinned: None,
        archived: None,
        muted_until: None,
        level: None,
        marked_unread: None,
        folder: None,
        archived_to: 0,
    };

    /// Checks a change.
    ///
    /// # Errors
    /// `argument_invalid` for a change of nothing and for what this build does not know.
    pub fn check(&self) -> Result<(), Code> {
        let nothing = Self {
            archived_to: self.archived_to,
            ..Self::NOTHING
        };
        if *self == nothing || matches!(self.level, Some(NotificationLevel::Unknown(_))) {
            return Err(Code::ArgumentInvalid);
        }
        Ok(())
    }

    /// Takes over a change; `last` is the conversation's last number. What is as if never set is not kept.
    pub fn apply(&mut self, change: &Self, last: Sequence) {
        self.pinned = change.pinned.or(self.pinned).filter(|on| *on);
        if let Some(archived) = change.archived {
            self.archived = archived.then_some(true);
            self.archived_to = if archived { last } else { 0 };
        }
        self.muted_until = change
            .muted_until
            .or(self.muted_until)
            .filter(|until| *until > 0);
        let level = change.level.or(self.level);
        self.level = level.filter(|level| *level != NotificationLevel::All);
        self.marked_unread = change.marked_unread.or(self.marked_unread).filter(|on| *on);
        let folder = change.folder.or(self.folder);
        self.folder = folder.filter(|folder| *folder != FolderId::default());
    }

    /// Puts a later change on top of this one.
    pub fn overlay(&mut self, later: &Self) {
        self.pinned = later.pinned.or(self.pinned);
        self.archived = later.archived.or(self.archived);
        self.muted_until = later.muted_until.or(self.muted_until);
        self.level = later.level.or(self.level);
        self.marked_unread = later.marked_unread.or(self.marked_unread);
        self.folder = later.folder.or(self.folder);
    }

    /// Whether it is muted at a time of the server's clock.
    #[must_use]
    pub fn is_muted(&self, now: WallMs) -> bool {
        self.muted_until.is_some_and(|until| until > now)
    }

    /// Whether it is put away: a message with a higher number brings it back, unless it is muted.
    #[must_use]
    pub fn is_archived(&self, last_message: Sequence, now: WallMs) -> bool {
        self.archived == Some(true) && (last_message <= self.archived_to || self.is_muted(now))
    }
}

impl SetDraft {
    /// Checks what it brings: nothing, or what a message could have.
    ///
    /// # Errors
    /// The code that a message with this content is refused with.
    pub fn check(&self, count: Count) -> Result<(), Code> {
        if self.content.is_empty() {
            return Ok(());
        }
        if self.content.len() > CONTENT_BYTES_MAX {
            return Err(Code::ContentTooLarge);
        }
        let content = decode::<TextContent>(&self.content).map_err(|_| Code::ContentInvalid)?;
        check_text(&content.text, count).map_err(|error| error.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_changes_what_it_names() {
        let mut held = Personal::NOTHING;
        let change = Personal {
            pinned: Some(true),
            muted_until: Some(100),
            archived: Some(true),
            ..Personal::NOTHING
        };
        held.apply(&change, 7);
        assert_eq!(
            held,
            Personal {
                archived_to: 7,
                ..change
            }
        );
        assert!(held.is_muted(99) && !held.is_muted(100));
        assert!(held.is_archived(7, 100) && !held.is_archived(8, 100));
        assert!(held.is_archived(8, 99), "muted: it stays put away");
        let back = Personal {
            pinned: Some(false),
            archived: Some(false),
            muted_until: Some(0),
            level: Some(NotificationLevel::All),
            folder: Some(FolderId::default()),
            ..Personal::NOTHING
        };
        held.apply(&back, 9);
        assert_eq!(held, Personal::NOTHING, "what is not set is not kept");
    }

    #[test]
    fn a_change_of_nothing_is_none() {
        assert_eq!(Personal::NOTHING.check(), Err(Code::ArgumentInvalid));
        let level = Personal {
            level: Some(NotificationLevel::Unknown(9)),
            ..Personal::NOTHING
        };
        assert_eq!(level.check(), Err(Code::ArgumentInvalid));
    }
}
