//! Entries: what takes a number in a conversation's log. `docs/model.md` says what each field means.

use bytes::Bytes;

use crate::{
    ConversationId, Nonce, UserId,
    ids::{Ordinal, Rev, Sequence, WallMs},
    open_enum, record,
};

open_enum! {
    /// What kind of container a conversation is.
    ConversationKind {
        /// Two users; made by the first message.
        1 Direct,
        /// By invitation only.
        2 Group,
        /// Open or on request.
        3 Public,
        /// Temporary.
        4 Meeting,
        /// Broadcast.
        5 Live,
        /// A space of channels.
        6 Community,
        /// Whoever is near.
        7 Proximity,
    }
}

open_enum! {
    /// What an entry is.
    EntryKind {
        /// A member wrote it.
        1 Message,
        /// The conversation was made.
        2 Created,
        /// A member came.
        3 Joined,
        /// A member went.
        4 Left,
        /// A member was removed by another.
        5 Removed,
        /// A member's role changed.
        6 Role,
        /// Name, profile or rules changed: the content is a `Settings` with what did.
        7 Settings,
        /// New content for an earlier message.
        32 Edit,
        /// An earlier message was taken back.
        33 Recall,
    }
}

impl EntryKind {
    /// Whether it changes an earlier item instead of having a place of its own. Unknown kinds from 32 to 63 are changes too.
    #[must_use]
    pub const fn is_change(self) -> bool {
        matches!(self.number(), 32..=63)
    }
}

open_enum! {
    /// What a message's content is. 900 to 999 are kept for encrypted content.
    MessageKind {
        /// [`TextContent`].
        1 Text,
    }
}

open_enum! {
    /// What a member may do; more to less.
    Role {
        /// Made the conversation or got it.
        3 Owner,
        /// May invite, remove members and recall their messages.
        2 Admin,
        /// May write.
        1 Member,
    }
}

open_enum! {
    /// Why a body is empty.
    Tombstone {
        /// Its author took it back.
        1 Recalled,
        /// An admin took it back.
        2 RecalledByAdmin,
    }
}

record! {
    /// What the server reads of a message; the content is bytes to it.
    Header {
        /// What the content is.
        req "k" kind: MessageKind,
        /// Neither push nor unread: not countable.
        opt "s" silent: bool,
        /// 0 normal, 1 high, 2 low; sheds low first.
        opt "p" priority: u8,
        /// The number of the message this answers; 0 none.
        opt "re" reply_to: Sequence,
        /// Users named in the text, at most [`MENTIONS_MAX`](crate::limits::MENTIONS_MAX).
        opt "mn" mentions: Vec<UserId>,
        /// Everybody is named.
        opt "ma" mention_all: bool,
        /// When the message ends; 0 never.
        opt "ex" expires: WallMs,
    }
}

impl Header {
    /// A plain text.
    #[must_use]
    pub const fn text() -> Self {
        Self {
            kind: MessageKind::Text,
            silent: false,
            priority: 0,
            reply_to: 0,
            mentions: Vec::new(),
            mention_all: false,
            expires: 0,
        }
    }
}

record! {
    /// The content of [`MessageKind::Text`].
    TextContent {
        /// What was written.
        req "t" text: String,
    }
}

record! {
    /// Who joined, left, was removed or got a role; of created, its owner and name.
    MemberChange {
        /// The member.
        req "u" user: UserId,
        /// The role from now on.
        opt "ro" role: Option<Role>,
        /// Of created: the conversation's name.
        opt "nm" name: String,
    }
}

record! {
    /// One entry as a reader gets it, live or in a page. In a page it is the item's state at `as_of`.
    Entry {
        /// The conversation.
        req "c" conversation: ConversationId,
        /// Its number.
        req "n" sequence: Sequence,
        /// What it is.
        req "k" kind: EntryKind,
        /// Who caused it.
        req "u" sender: UserId,
        /// When the server took it; never smaller than the one before.
        req "t" at: WallMs,
        /// Countable messages up to and including this one.
        opt "o" ordinal: Ordinal,
        /// The number of its last change; 0 stands for its own number.
        opt "r" rev: Rev,
        /// The sender's name for the command.
        opt "i" nonce: Option<Nonce>,
        /// Of a change: the item's number.
        opt "g" target: Sequence,
        /// Of a message.
        opt "h" header: Option<Header>,
        /// Of a message or edit: as the sender encoded it. Of settings: what changed.
        opt "b" content: Bytes,
        /// The content was changed by its author.
        opt "e" edited: bool,
        /// Why the body is empty.
        opt "x" tombstone: Option<Tombstone>,
        /// Of created (its name), joined, left, removed, role.
        opt "m" member: Option<MemberChange>,
    }
}

impl Entry {
    /// The number of the last change.
    #[must_use]
    pub const fn rev(&self) -> Rev {
        if self.rev == 0 {
            self.sequence
        } else {
            self.rev
        }
    }

    /// Whether it counts as unread.
    #[must_use]
    pub fn is_countable(&self) -> bool {
        self.kind == EntryKind::Message && self.header.as_ref().is_some_and(|header| !header.silent)
    }

    /// Takes over what `change` (an edit or recall of this item) says. `false` if it is older than what is here.
    pub fn apply(&mut self, change: &Self) -> bool {
        debug_assert_eq!(change.target, self.sequence, "a change of another item");
        if change.sequence <= self.rev() {
            return false;
        }
        self.rev = change.sequence;
        match change.kind {
            EntryKind::Edit => {
                self.content = change.content.clone();
                self.edited = true;
            }
            EntryKind::Recall => {
                self.content = Bytes::new();
                // The new state does not depend on the changes before: a reader may have missed some.
                self.edited = false;
                self.header = self.header.take().map(|header| Header {
                    mentions: Vec::new(),
                    mention_all: false,
                    reply_to: 0,
                    ..header
                });
                self.tombstone = change.tombstone.or(Some(Tombstone::Recalled));
            }
            // A later server's kind: the new number is kept, so that a page brings the state.
            _ => {}
        }
        true
    }
}
