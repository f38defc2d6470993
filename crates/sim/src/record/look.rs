//! What is to be seen of an item, and of a conversation on a device.

use std::collections::BTreeMap;

use fireside_client_core::view::{Body, MessageState, TimelineRow};
use fireside_protocol::{
    Content, ConversationId, Entry, EntryKind, FacetKind, MessageKind, Ordinal, Pinned, Reactions,
    Rev, Role, Sequence, Tombstone, UserId, WallMs,
    content::{LinkPreview, Votes},
    limits::UNREAD_COUNT_MAX,
};

/// What others added to an item.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Marks {
    /// Reactions by key, in the order of first use, and whose they are, in order.
    pub reactions: Vec<(String, Vec<UserId>)>,
    /// Who pinned it.
    pub pinned: Option<UserId>,
    /// Who chose which option of a poll, in order.
    pub votes: Vec<(u32, Vec<UserId>)>,
    /// It is closed.
    pub closed: bool,
    /// There is a thread under it.
    pub thread: bool,
    /// The link that it has a preview of, and the title of its page.
    pub preview: Option<(String, String)>,
}

impl Marks {
    fn of(entry: &Entry) -> Self {
        let reactions = entry.facet::<Reactions>(FacetKind::Reactions);
        let votes = (entry.facet(FacetKind::Votes)).unwrap_or_else(Votes::none);
        let keys = reactions.map_or_else(Vec::new, |it| it.keys);
        Self {
            reactions: keys.into_iter().map(|one| (one.key, one.users)).collect(),
            pinned: entry.facet::<Pinned>(FacetKind::Pin).map(|it| it.by),
            votes: (votes.options.into_iter())
                .map(|one| {
                    // Who is named and who is only counted would both be seen.
                    let mut users = one.users;
                    users.extend(unnamed(one.count, false));
                    (one.option, users)
                })
                .collect(),
            closed: votes.closed,
            thread: entry.facets.iter().any(|it| it.kind == FacetKind::Thread),
            preview: (entry.facet::<LinkPreview>(FacetKind::Preview)).map(|it| (it.url, it.title)),
        }
    }

    /// A user's vote, in the place of the one before.
    pub fn vote(&mut self, choices: &[u32], user: &UserId) {
        let mut kept: BTreeMap<u32, Vec<UserId>> = self.votes.drain(..).collect();
        for option in choices {
            kept.entry(*option).or_default();
        }
        for (option, users) in &mut kept {
            let place = users.iter().position(|one| one == user);
            match (place, choices.contains(option)) {
                (Some(place), false) => drop(users.remove(place)),
                (None, true) => users.push(user.clone()),
                _ => {}
            }
        }
        kept.retain(|_, users| !users.is_empty());
        self.votes = kept.into_iter().collect();
    }

    /// How many chose what in a poll that names nobody: all of them, and what one of them chose, if that is told.
    pub fn count(&mut self, ballots: &BTreeMap<UserId, Vec<u32>>, mine: Option<&[u32]>) {
        let mut counts: BTreeMap<u32, u64> = BTreeMap::new();
        for option in ballots.values().flatten() {
            *counts.entry(*option).or_default() += 1;
        }
        let is_mine = |option| mine.is_some_and(|mine| mine.contains(option));
        let votes = counts.iter();
        let votes = votes.map(|(option, count)| (*option, unnamed(*count, is_mine(option))));
        self.votes = votes.collect();
    }

    /// A user's reaction, or that it is taken back.
    pub fn react(&mut self, key: &str, user: &UserId, on: bool) {
        let all = &mut self.reactions;
        if !all.iter().any(|(of, _)| of == key) {
            all.push((key.to_owned(), Vec::new()));
        }
        for (_, users) in all.iter_mut().filter(|(of, _)| of == key) {
            match users.iter().position(|one| one == user) {
                Some(place) if !on => drop(users.remove(place)),
                None if on => users.push(user.clone()),
                _ => {}
            }
        }
        all.retain(|(_, users)| !users.is_empty());
    }

    /// Without the reactions of some.
    #[must_use]
    pub fn without(&self, hidden: impl Fn(&UserId) -> bool) -> Self {
        let mut marks = self.clone();
        for (_, users) in &mut marks.reactions {
            users.retain(|user| !hidden(user));
        }
        marks.reactions.retain(|(_, users)| !users.is_empty());
        marks
    }
}

/// What is to be seen of an item or of a change, in one of its states.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Look {
    /// What it is.
    pub kind: EntryKind,
    /// Whose.
    pub sender: UserId,
    /// When.
    pub at: WallMs,
    /// Countable messages so far.
    pub ordinal: Ordinal,
    /// The number that made this state.
    pub rev: Rev,
    /// Whom it is about.
    pub member: Option<UserId>,
    /// And the role that they have from then on.
    pub role: Option<Role>,
    /// What it says; nothing if it was taken back or is no text.
    pub text: Option<String>,
    /// It counts for nobody.
    pub silent: bool,
    /// Its author changed it.
    pub edited: bool,
    /// When it ends; 0 never.
    pub ends: WallMs,
    /// Its time was over.
    pub over: bool,
    /// What others added; of a change: what it says of that.
    pub marks: Marks,
}

impl Look {
    /// Of an entry, live or in a page.
    #[must_use]
    pub fn of(entry: &Entry) -> Self {
        let text = matches!(
            entry.kind,
            EntryKind::Message | EntryKind::Edit | EntryKind::Withdraw
        );
        let text = text && entry.tombstone.is_none();
        let kind = match entry.kind {
            EntryKind::Withdraw => MessageKind::Merged,
            _ => (entry.header.as_ref()).map_or(MessageKind::Text, |header| header.kind),
        };
        Self {
            kind: entry.kind,
            sender: entry.sender.clone(),
            at: entry.at,
            ordinal: entry.ordinal,
            rev: entry.rev(),
            member: entry.member.as_ref().map(|change| change.user.clone()),
            role: entry.member.as_ref().and_then(|change| change.role),
            text: text.then(|| text_of(kind, &entry.content)),
            silent: entry.header.as_ref().is_some_and(|header| header.silent),
            edited: entry.edited,
            ends: entry.header.as_ref().map_or(0, |header| header.expires),
            over: !entry.kind.is_change() && entry.tombstone == Some(Tombstone::Expired),
            marks: Marks::of(entry),
        }
    }

    /// Without what rows do not show.
    #[must_use]
    pub fn as_row(&self) -> Self {
        Self {
            rev: 0,
            ordinal: 0,
            role: None,
            // Nor does a row say of what was taken back how it was sent.
            silent: self.silent && self.text.is_some(),
            ends: self.text.as_ref().map_or(0, |_| self.ends),
            marks: Marks {
                // A row says that it is pinned, not by whom.
                pinned: self.marks.pinned.as_ref().map(|_| self.sender.clone()),
                ..self.marks.clone()
            },
            ..self.clone()
        }
    }

    /// Of a row, which shows neither ordinal nor rev; `None`: there is no such item.
    #[must_use]
    pub fn of_row(row: &TimelineRow) -> Option<Self> {
        let (kind, member, text) = match &row.body {
            Body::Text(text) => (EntryKind::Message, None, Some(text.to_string())),
            Body::Content(content) => (EntryKind::Message, None, Some(content.plain_text())),
            Body::Answer(_) => (EntryKind::Answer, None, None),
            Body::Recalled | Body::Expired => (EntryKind::Message, None, None),
            Body::Created(_) => (EntryKind::Created, Some(row.sender.clone()), None),
            Body::Joined(user) => (EntryKind::Joined, Some(user.clone()), None),
            Body::Left(user) => (EntryKind::Left, Some(user.clone()), None),
            Body::Removed(user) => (EntryKind::Removed, Some(user.clone()), None),
            Body::Role(user, _) => (EntryKind::Role, Some(user.clone()), None),
            Body::Dissolved => (EntryKind::Dissolved, None, None),
            Body::Muted(user, _) => (EntryKind::Muted, Some(user.clone()), None),
            Body::Banned(user, _) => (EntryKind::Banned, Some(user.clone()), None),
            Body::MemberSet(user, _) => (EntryKind::MemberSet, Some(user.clone()), None),
            Body::Settings(_) => (EntryKind::Settings, None, None),
            Body::ChannelMade(_) => (EntryKind::ChannelMade, None, None),
            _ => return None,
        };
        let poll = row.details.as_ref().and_then(|it| it.poll.as_ref());
        Some(Self {
            kind,
            sender: row.sender.clone(),
            at: row.at,
            ordinal: 0,
            rev: 0,
            member,
            role: None,
            text,
            silent: row.details.as_ref().is_some_and(|details| details.silent),
            edited: row.edited,
            ends: row.details.as_ref().map_or(0, |details| details.expires),
            over: row.body == Body::Expired,
            marks: Marks {
                reactions: (row.reactions.iter().flat_map(|all| all.iter()))
                    .map(|one| (one.key.to_string(), one.users.to_vec()))
                    .collect(),
                pinned: row.pinned.then(|| row.sender.clone()),
                votes: (poll.iter().flat_map(|poll| poll.options.iter().zip(0..)))
                    .filter(|(one, _)| one.count > 0)
                    .map(|(one, option)| match one.users.is_empty() {
                        true => (option, unnamed(one.count, one.mine)),
                        false => (option, one.users.to_vec()),
                    })
                    .collect(),
                closed: poll.is_some_and(|poll| poll.closed),
                thread: row.details.as_ref().is_some_and(|it| it.thread.is_some()),
                preview: (row.details.as_ref())
                    .and_then(|it| it.preview.as_ref())
                    .map(|it| (it.url.clone(), it.title.clone())),
            },
        })
    }
}

/// Stands for voters whom nobody is told; one of them may be the reader.
fn unnamed(count: u64, mine: bool) -> Vec<UserId> {
    let of = |n| if mine && n == 0 { "(me)" } else { "(somebody)" };
    (0..count).filter_map(|n| UserId::new(of(n)).ok()).collect()
}

/// Unread messages that are counted; the last of them stands for more.
pub const UNREAD_SHOWN_MAX: usize = UNREAD_COUNT_MAX as usize + 1;

/// A conversation as a device has it at rest: its line in the list, and its cache.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct View {
    /// The user's role.
    pub role: Option<Role>,
    /// The largest number known.
    pub last: Sequence,
    /// When the last thing happened.
    pub at: WallMs,
    /// Unread messages, to [`UNREAD_SHOWN_MAX`].
    pub unread: usize,
    /// Who wrote the last message.
    pub sender: Option<UserId>,
    /// What it says.
    pub preview: String,
    /// The items in the cache.
    pub items: BTreeMap<Sequence, Look>,
}

/// What a device has and shows of a conversation at rest.
#[derive(Debug)]
pub struct Shown<'a> {
    /// Whose.
    pub user: &'a UserId,
    /// Which device.
    pub index: usize,
    /// Where.
    pub id: ConversationId,
    /// The conversation; `None`: not listed.
    pub view: Option<View>,
    /// The open timeline's messages that have a number; a hole is `None`.
    pub rows: Option<Vec<(Sequence, Option<Look>, MessageState)>>,
    /// The newest number that the timeline may show.
    pub top: Sequence,
}

/// What a message says, in plain words.
pub(super) fn text_of(kind: MessageKind, content: &bytes::Bytes) -> String {
    let content = Content::decode(kind, content);
    content.map_or_else(|_| "(not a text)".to_owned(), |it| it.plain_text())
}
