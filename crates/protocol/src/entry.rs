//! Entries: what takes a number in a conversation's log. `docs/model.md` says what each field means.

use bytes::Bytes;

use crate::{
    ConversationId, Nonce, UserId, Wire,
    codec::decode,
    content::{Forwarded, PollContent, Votes},
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
        /// A part of a community, with a log and members of its own.
        8 Channel,
        /// What is said to one message of another conversation, with a log and members of its own.
        9 Thread,
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
        /// The conversation ended for all: the last of its entries.
        8 Dissolved,
        /// A member may not write until a time, or may again.
        9 Muted,
        /// A user may not come back, and is no member any more if they were one.
        10 Banned,
        /// A member's name or attributes changed: the content is a `MemberProfile` with what did.
        11 MemberSet,
        /// A channel was made in a community: the content is a [`Child`].
        12 ChannelMade,
        /// A member answered a card (the `target` of its [`AnswerContent`](crate::content::AnswerContent)): only the two see it.
        16 Answer,
        /// New content for an earlier message.
        32 Edit,
        /// An earlier message was taken back.
        33 Recall,
        /// Reactions to an earlier message changed.
        34 React,
        /// An earlier message was pinned or unpinned.
        35 Pin,
        /// Votes in a poll changed, or it was closed.
        36 Vote,
        /// The author of a live object changed its state.
        37 Live,
        /// An earlier message's time was over: nothing is left of it. The server's, in the name of its author.
        38 Expire,
        /// What an earlier message forwarded was taken back by an admin where it was said: the `tombstone`, or the content without it. The
        /// server's, in the name of who forwarded it.
        39 Withdraw,
        /// A thread was opened under a message.
        40 Thread,
        /// What the page behind a message's link says was read. The server's, in the name of the message's author.
        41 Preview,
    }
}

impl EntryKind {
    /// Whether it changes an earlier item instead of having a place of its own. Unknown kinds from 32 to 63 are changes too.
    #[must_use]
    pub const fn is_change(self) -> bool {
        matches!(self.number(), 32..=63)
    }

    /// Whether it changes an item without moving its conversation in a list: what changes facets, and the end of a message's time. Unknown
    /// kinds from 34 to 47 are of this sort too.
    #[must_use]
    pub const fn is_quiet_change(self) -> bool {
        matches!(self.number(), 34..=47)
    }

    /// Whether it changes the body of an item.
    #[must_use]
    pub const fn is_body_change(self) -> bool {
        matches!(
            self,
            Self::Edit | Self::Recall | Self::Expire | Self::Withdraw
        )
    }
}

open_enum! {
    /// What a message's content is. 900 to 999 are kept for encrypted content.
    MessageKind {
        /// [`TextContent`](crate::content::TextContent).
        1 Text,
        /// Pictures: a [`MediaContent`](crate::content::MediaContent) with 1 to 10 attachments.
        2 Image,
        /// A film: a [`MediaContent`](crate::content::MediaContent) with one attachment.
        3 Video,
        /// Something to hear: a [`MediaContent`](crate::content::MediaContent) with one attachment.
        4 Audio,
        /// A file: a [`MediaContent`](crate::content::MediaContent) with one attachment.
        5 File,
        /// [`StickerContent`](crate::content::StickerContent).
        6 Sticker,
        /// [`LocationContent`](crate::content::LocationContent).
        7 Location,
        /// [`CustomContent`](crate::content::CustomContent).
        8 Custom,
        /// [`MergedContent`](crate::content::MergedContent): what was said elsewhere. The server makes it of what a `Forward` names.
        9 Merged,
        /// [`SystemContent`](crate::content::SystemContent): only the server and the game's backend write these.
        10 System,
        /// [`PollContent`](crate::content::PollContent); its votes are a facet.
        11 Poll,
        /// [`CardContent`](crate::content::CardContent); answers to it are entries of their own.
        12 Card,
        /// [`CustomContent`](crate::content::CustomContent) whose author keeps changing its state, which is a facet.
        13 Live,
        /// [`ItemContent`](crate::content::ItemContent).
        14 Item,
    }
}

open_enum! {
    /// What a member may do; more to less. Numbers from 16 to 46 are a conversation's own roles, between admin and member: see
    /// [`OwnRole`](crate::settings::OwnRole).
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
        /// Its time was over. It does not count as unread.
        3 Expired,
    }
}

open_enum! {
    /// What others add to an item without touching its body.
    FacetKind {
        /// [`Reactions`].
        1 Reactions,
        /// [`Pinned`].
        2 Pin,
        /// [`Votes`](crate::content::Votes) of a poll.
        3 Votes,
        /// [`LiveState`](crate::content::LiveState) of a live object.
        4 Live,
        /// [`Child`]: the thread under a message.
        5 Thread,
        /// [`LinkPreview`](crate::content::LinkPreview) of a text's first link. It belongs to the body that it was read for: one with a smaller rev than the last change
        /// of the body is void, and not kept.
        6 Preview,
    }
}

record! {
    /// One facet of an item, whole: merging is the larger rev wins, facet by facet.
    Facet {
        /// What it is.
        req "k" kind: FacetKind,
        /// The number of the entry that changed it last; 0 stands for the number of the change that carries it.
        opt "r" rev: Rev,
        /// By kind; empty: nothing is left of it.
        opt "b" content: Bytes,
    }
}

record! {
    /// Those who reacted with one key.
    Reaction {
        /// An emoji, or an id that the game made.
        req "k" key: String,
        /// Who, in the order they did.
        opt "us" users: Vec<UserId>,
    }
}

record! {
    /// The content of [`FacetKind::Reactions`].
    Reactions {
        /// One for each key, in the order of its first use.
        opt "ks" keys: Vec<Reaction>,
    }
}

record! {
    /// The content of [`FacetKind::Pin`].
    Pinned {
        /// Who pinned it.
        req "u" by: UserId,
        /// When.
        opt "t" at: WallMs,
    }
}

record! {
    /// A conversation that belongs to another: the content of [`FacetKind::Thread`] and of [`EntryKind::ChannelMade`].
    Child {
        /// Which.
        req "c" conversation: ConversationId,
        /// Its name.
        opt "nm" name: String,
        /// Who made it.
        req "u" by: UserId,
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
        /// Roles named in the text, at most [`MENTION_ROLES_MAX`](crate::limits::MENTION_ROLES_MAX): all who have one.
        opt "mr" mention_roles: Vec<Role>,
        /// When the message ends by the server's clock; 0 never. It ends earlier where the conversation's `lifetime_ms` says so.
        opt "ex" expires: WallMs,
        /// It was forwarded: whose it was. Only the server says so.
        opt "fw" forwarded: Option<Box<Forwarded>>,
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
            mention_roles: Vec::new(),
            expires: 0,
            forwarded: None,
        }
    }
}

record! {
    /// Who joined, left, was removed, muted or banned, got a role or another name; of created, its owner and name.
    MemberChange {
        /// The member.
        req "u" user: UserId,
        /// The role from now on.
        opt "ro" role: Option<Role>,
        /// Of created: the conversation's name.
        opt "nm" name: String,
        /// Of muted and banned: until when. 0 of muted: they may write again; of banned: for ever.
        opt "un" until: WallMs,
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
        /// Of a message or edit: as the sender encoded it. Of settings and member set: what changed.
        opt "b" content: Bytes,
        /// The content was changed by its author.
        opt "e" edited: bool,
        /// Why the body is empty.
        opt "x" tombstone: Option<Tombstone>,
        /// Of created (its name), joined, left, removed, role, muted, banned, member set.
        opt "m" member: Option<MemberChange>,
        /// Of an item: the number of the last change of its body; 0 stands for its `rev`.
        opt "br" body_rev: Rev,
        /// Of an item: all its facets. Of a change: those it changes.
        opt "fa" facets: Vec<Facet>,
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

    /// When it ends, while there is something left of it to end; 0 never.
    #[must_use]
    pub fn ends(&self) -> WallMs {
        let header = self.header.as_ref();
        let message = self.kind == EntryKind::Message && self.tombstone.is_none();
        header.filter(|_| message).map_or(0, |it| it.expires)
    }

    /// Of a poll that is open: when it closes; 0: not by itself.
    #[must_use]
    pub fn closes(&self) -> WallMs {
        let header = self.header.as_ref();
        let poll = header.is_some_and(|header| header.kind == MessageKind::Poll);
        if !poll || self.kind != EntryKind::Message || self.tombstone.is_some() {
            return 0;
        }
        let votes = self.facet::<Votes>(FacetKind::Votes);
        if votes.is_some_and(|votes| votes.closed) {
            return 0;
        }
        decode::<PollContent>(&self.content).map_or(0, |poll| poll.ends)
    }

    /// When the server does something to it by its clock, the first of what there is; 0: never.
    #[must_use]
    pub fn due(&self) -> WallMs {
        match (self.ends(), self.closes()) {
            (0, other) | (other, 0) => other,
            (ends, closes) => ends.min(closes),
        }
    }

    /// The number of the last change of the body.
    #[must_use]
    pub const fn body_rev(&self) -> Rev {
        if self.body_rev == 0 {
            self.rev()
        } else {
            self.body_rev
        }
    }

    /// The facet of a kind, decoded; `None` if there is none, nothing is left of it, or it can not be read.
    #[must_use]
    pub fn facet<T: Wire>(&self, kind: FacetKind) -> Option<T> {
        let facet = self.facets.iter().find(|facet| facet.kind == kind)?;
        decode(&facet.content).ok()
    }

    /// Takes over what `change` (of this item) says: of the body and of each facet, if it is newer than what is here. The order in
    /// which changes come does not matter. `false` if nothing of it was newer.
    pub fn apply(&mut self, change: &Self) -> bool {
        debug_assert_eq!(change.target, self.sequence, "a change of another item");
        let number = change.sequence;
        let (rev, body_rev) = (self.rev(), self.body_rev());
        let is_body = change.kind.is_body_change();
        let mut newer = number > if is_body { body_rev } else { rev };
        match change.kind {
            EntryKind::Edit if newer => {
                self.content = change.content.clone();
                self.edited = true;
            }
            EntryKind::Recall if newer => {
                let tombstone = change.tombstone.or(Some(Tombstone::Recalled));
                self.become_tombstone(tombstone);
            }
            EntryKind::Expire if newer => self.become_tombstone(Some(Tombstone::Expired)),
            EntryKind::Withdraw if newer => match change.tombstone {
                None => self.content = change.content.clone(),
                tombstone => self.become_tombstone(tombstone),
            },
            // Another kind may be a later server's: the new number is kept, so that a page brings the state.
            _ => {}
        }
        for facet in &change.facets {
            let rev = if facet.rev == 0 { number } else { facet.rev };
            newer |= self.take_facet(facet, rev);
        }
        self.set_revs(
            rev.max(number),
            if is_body {
                body_rev.max(number)
            } else {
                body_rev
            },
        );
        let body_rev = self.body_rev();
        self.facets
            .retain(|facet| !is_void(facet.kind, facet.rev, body_rev));
        newer
    }

    /// Takes over what another state of the same item has that is newer. `false` if nothing is.
    pub fn merge(&mut self, state: &Self) -> bool {
        debug_assert_eq!(state.sequence, self.sequence, "another item");
        let (rev, body_rev) = (self.rev(), self.body_rev());
        let mut newer = state.rev() > rev;
        let mine = std::mem::take(&mut self.facets);
        let other = if state.body_rev() > body_rev {
            newer = true;
            *self = state.clone();
            mine
        } else {
            self.facets = mine;
            state.facets.clone()
        };
        for facet in &other {
            newer |= self.take_facet(facet, facet.rev);
        }
        self.set_revs(rev.max(state.rev()), body_rev.max(state.body_rev()));
        newer
    }

    /// Nothing is left of it but that it was there. The new state does not depend on the changes before: a reader may have missed some.
    fn become_tombstone(&mut self, tombstone: Option<Tombstone>) {
        self.content = Bytes::new();
        self.edited = false;
        self.header = self.header.take().map(|header| Header {
            mentions: Vec::new(),
            mention_all: false,
            mention_roles: Vec::new(),
            reply_to: 0,
            ..header
        });
        self.facets.clear();
        self.tombstone = tombstone;
    }

    fn take_facet(&mut self, facet: &Facet, rev: Rev) -> bool {
        if self.tombstone.is_some() || is_void(facet.kind, rev, self.body_rev()) {
            return false;
        }
        let new = Facet {
            rev,
            ..facet.clone()
        };
        match self.facets.iter_mut().find(|held| held.kind == facet.kind) {
            Some(held) if held.rev >= rev => return false,
            Some(held) => *held = new,
            None => {
                let place = self
                    .facets
                    .partition_point(|held| held.kind.number() < facet.kind.number());
                self.facets.insert(place, new);
            }
        }
        true
    }

    /// Keeps both numbers in the one form that they have.
    const fn set_revs(&mut self, rev: Rev, body_rev: Rev) {
        self.rev = if rev == self.sequence { 0 } else { rev };
        self.body_rev = if body_rev == rev { 0 } else { body_rev };
    }
}

/// Whether a facet is of a body that is no more.
fn is_void(kind: FacetKind, rev: Rev, body_rev: Rev) -> bool {
    kind == FacetKind::Preview && rev < body_rev
}
