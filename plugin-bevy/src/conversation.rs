//! Conversations as entities: what is true of them now.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use bevy_ecs::{
    component::Component,
    entity::Entity,
    lifecycle::{Discard, Insert},
    observer::On,
    prelude::ReflectComponent,
    resource::Resource,
    system::{Query, ResMut},
};
use bevy_reflect::Reflect;
use fireside_client::core::view::{ConversationRow, Diff, TimelineRow};
use fireside_protocol::{Role, Sequence, UserId, WallMs};
use foldhash::fast::RandomState;

/// Which conversation an entity is. Spawned by the plugin for every line of a client's list; with [`Chat`](crate::Chat) you can
/// spawn one for a direct conversation that has no message yet.
#[derive(Clone, Component, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Reflect)]
#[component(immutable)]
#[require(Title, Unread, Head, ConversationKind)]
#[reflect(Component)]
pub struct ConversationId(pub [u8; 16]);

impl From<fireside_protocol::ConversationId> for ConversationId {
    fn from(id: fireside_protocol::ConversationId) -> Self {
        Self(id.0)
    }
}

impl From<ConversationId> for fireside_protocol::ConversationId {
    fn from(id: ConversationId) -> Self {
        Self(id.0)
    }
}

/// Whose list the conversation is in: the entity with the [`ChatClient`](crate::ChatClient).
#[derive(Clone, Component, Copy, Debug, Eq, PartialEq, Reflect)]
#[relationship(relationship_target = Conversations)]
#[reflect(Component)]
pub struct ConversationOf(pub Entity);

/// All conversation entities of a client, in no order. They end with it.
#[derive(Component, Debug, Default, Reflect)]
#[relationship_target(relationship = ConversationOf, linked_spawn)]
#[reflect(Component)]
pub struct Conversations(Vec<Entity>);

impl Conversations {
    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.len()
    }
}

/// A client's conversation list, newest activity first.
#[derive(Clone, Component, Debug, Default, Reflect)]
#[reflect(Component)]
pub struct ConversationList(pub(crate) Vec<Entity>);

impl ConversationList {
    /// The conversations, newest activity first.
    #[must_use]
    pub fn as_slice(&self) -> &[Entity] {
        &self.0
    }

    /// From newest to oldest.
    pub fn iter(&self) -> impl Iterator<Item = Entity> {
        self.0.iter().copied()
    }
}

/// What kind it is.
#[derive(Clone, Component, Copy, Debug, Default, Eq, PartialEq, Reflect)]
#[reflect(Component)]
pub enum ConversationKind {
    /// Between two users.
    #[default]
    Direct,
    /// A group.
    Group,
    /// Open or on request.
    Public,
    /// Temporary.
    Meeting,
    /// Broadcast.
    Live,
    /// A space of channels.
    Community,
    /// Whoever is near.
    Proximity,
    /// A part of a community.
    Channel,
    /// What is said to one message.
    Thread,
    /// One that this build does not know; its number on the wire.
    Unknown(u16),
}

impl From<fireside_protocol::ConversationKind> for ConversationKind {
    fn from(kind: fireside_protocol::ConversationKind) -> Self {
        use fireside_protocol::ConversationKind as Kind;
        match kind {
            Kind::Direct => Self::Direct,
            Kind::Group => Self::Group,
            Kind::Public => Self::Public,
            Kind::Meeting => Self::Meeting,
            Kind::Live => Self::Live,
            Kind::Community => Self::Community,
            Kind::Proximity => Self::Proximity,
            Kind::Channel => Self::Channel,
            Kind::Thread => Self::Thread,
            other => Self::Unknown(other.number()),
        }
    }
}

/// Its name; of a direct conversation the other user's id.
#[derive(Clone, Component, Debug, Default, Eq, PartialEq, Reflect)]
#[reflect(Component)]
pub struct Title(pub String);

/// What the user has not read.
#[derive(Clone, Component, Copy, Debug, Default, Eq, PartialEq, Reflect)]
#[reflect(Component)]
pub struct Unread {
    /// Messages; 1,000 stands for "999+".
    pub messages: u32,
    /// Mentions among them.
    pub mentions: u32,
}

/// The other user of a direct conversation.
#[derive(Clone, Component, Debug, Eq, PartialEq)]
#[component(immutable)]
pub struct Peer(pub UserId);

/// Of a channel: its community; of a thread: the conversation of the message it is under. Absent of all others.
#[derive(Clone, Component, Copy, Debug, Eq, PartialEq)]
#[component(immutable)]
pub struct BelongsTo {
    /// Which.
    pub parent: ConversationId,
    /// Of a thread the number of that message; else 0.
    pub root: Sequence,
}

/// The user's role; absent: no longer a member.
#[derive(Clone, Component, Copy, Debug, Eq, PartialEq)]
pub struct OwnRole(pub Role);

/// The last message, for the list.
#[derive(Clone, Component, Debug, Default, Eq, PartialEq)]
pub struct Head {
    /// Largest number known.
    pub last: Sequence,
    /// Who wrote the last message.
    pub sender: Option<UserId>,
    /// What it says, shortened.
    pub preview: Arc<str>,
    /// When, in ms since 1970.
    pub at: WallMs,
}

/// Insert it while the conversation is on screen: its [`Timeline`] is kept up to date, and typing and receipts come in. Remove it
/// when it goes. At most 16 a client; more than that wait until others go.
#[derive(Clone, Component, Copy, Debug, Default, Reflect)]
#[reflect(Component)]
pub struct OnScreen;

/// The messages of a conversation on screen, oldest first, own unsent ones last; at most 200.
///
/// Follow it either with `Changed<Timeline>` or, line by line, with [`TimelineChanged`](crate::TimelineChanged).
#[derive(Clone, Component, Debug, Default)]
pub struct Timeline {
    rows: Rows,
    generation: u64,
}

/// A reset is shared with whoever made it, and stays where it is: what comes after it is held beside, and only the order of rows changes.
#[derive(Clone, Debug, Default)]
struct Rows {
    reset: Arc<[TimelineRow]>,
    /// Rows that came since.
    since: Vec<TimelineRow>,
    /// Places in `since` that are not shown any more.
    free: Vec<u32>,
    /// Where each row is: in the reset, or, with numbers above those of the reset, in `since`.
    order: VecDeque<u32>,
}

/// The rows of a [`Timeline`], oldest first.
#[derive(Clone, Copy, Debug)]
pub struct TimelineRows<'a>(&'a Rows);

impl<'a> TimelineRows<'a> {
    /// How many there are.
    #[must_use]
    pub fn len(self) -> usize {
        self.0.order.len()
    }

    /// There are none.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0.order.is_empty()
    }

    /// The row at a place, from 0 for the oldest.
    #[must_use]
    pub fn get(self, index: usize) -> Option<&'a TimelineRow> {
        self.0.at(*self.0.order.get(index)?)
    }

    /// The oldest row.
    #[must_use]
    pub fn first(self) -> Option<&'a TimelineRow> {
        self.get(0)
    }

    /// The newest row.
    #[must_use]
    pub fn last(self) -> Option<&'a TimelineRow> {
        self.iter().next_back()
    }

    /// From the oldest to the newest.
    pub fn iter(self) -> impl DoubleEndedIterator<Item = &'a TimelineRow> + Clone {
        let order = self.0.order.iter();
        order.filter_map(move |place| self.0.at(*place))
    }
}

impl Timeline {
    /// The rows, oldest first. A row's number (`row`) stays the same from the echo to the sent message and over every edit.
    #[must_use]
    pub const fn rows(&self) -> TimelineRows<'_> {
        TimelineRows(&self.rows)
    }

    /// Takes changes in; `false`: one did not fit, and a reset is on its way.
    pub(crate) fn apply(&mut self, generation: u64, diffs: &[Diff<TimelineRow>]) -> bool {
        self.generation = generation;
        diffs.iter().all(|diff| self.rows.apply(diff))
    }
}

impl Rows {
    fn at(&self, place: u32) -> Option<&TimelineRow> {
        let place = place as usize;
        match place.checked_sub(self.reset.len()) {
            Some(place) => self.since.get(place),
            None => self.reset.get(place),
        }
    }

    fn apply(&mut self, diff: &Diff<TimelineRow>) -> bool {
        let rows = self.order.len();
        match diff {
            Diff::Reset { rows } => {
                self.reset = rows.clone();
                self.since.clear();
                self.free.clear();
                self.order.clear();
                self.order.extend(0..rows.len() as u32);
            }
            Diff::Insert { index, row } if *index <= rows => {
                let place = self.keep(row);
                self.order.insert(*index, place);
            }
            Diff::Set { index, row } if *index < rows => {
                let place = self.keep(row);
                if let Some(held) = self.order.get_mut(*index) {
                    let before = std::mem::replace(held, place);
                    self.forget(before);
                }
            }
            Diff::Remove { index } => match self.order.remove(*index) {
                Some(place) => self.forget(place),
                None => return false,
            },
            Diff::Move { from, to } if *from < rows && *to < rows => {
                if let Some(place) = self.order.remove(*from) {
                    self.order.insert(*to, place);
                }
            }
            _ => return false,
        }
        true
    }

    /// Where a row is held from now on.
    fn keep(&mut self, row: &TimelineRow) -> u32 {
        let free = self.free.pop();
        if let Some(place) = free
            && let Some(held) = self.since.get_mut(place as usize)
        {
            held.clone_from(row);
            return self.reset.len() as u32 + place;
        }
        self.since.push(row.clone());
        (self.reset.len() + self.since.len() - 1) as u32
    }

    /// A row is shown no more.
    fn forget(&mut self, place: u32) {
        if let Some(place) = place.checked_sub(self.reset.len() as u32) {
            self.free.push(place);
        }
    }
}

/// Who types in a conversation on screen.
#[derive(Clone, Component, Debug, Default, Eq, PartialEq, Reflect)]
#[reflect(Component)]
pub struct TypingUsers(pub Vec<String>);

/// Finds the entity of a conversation.
#[derive(Debug, Default, Resource)]
pub struct ConversationIndex(HashMap<(Entity, ConversationId), Entity, RandomState>);

impl ConversationIndex {
    /// The entity of `id` in the list of `client`.
    #[must_use]
    pub fn get(&self, client: Entity, id: ConversationId) -> Option<Entity> {
        self.0.get(&(client, id)).copied()
    }
}

/// Whoever spawns a conversation (plugin or game), it is found by its id.
pub(crate) fn index_conversation(
    insert: On<Insert, ConversationOf>,
    conversations: Query<(&ConversationId, &ConversationOf)>,
    mut index: ResMut<ConversationIndex>,
) {
    if let Ok((id, of)) = conversations.get(insert.entity) {
        index.0.entry((of.0, *id)).or_insert(insert.entity);
    }
}

pub(crate) fn forget_conversation(
    discard: On<Discard, ConversationOf>,
    conversations: Query<(&ConversationId, &ConversationOf)>,
    mut index: ResMut<ConversationIndex>,
) {
    if let Ok((id, of)) = conversations.get(discard.entity)
        && index.get(of.0, *id) == Some(discard.entity)
    {
        index.0.remove(&(of.0, *id));
    }
}

/// The components of a list row that may change, but for its title.
pub(crate) fn facts(row: &ConversationRow) -> (ConversationKind, Unread, Head) {
    (
        row.kind.into(),
        Unread {
            messages: row.unread,
            mentions: row.mentions,
        },
        Head {
            last: row.last,
            sender: row.last_sender.clone(),
            preview: row.preview.clone(),
            at: row.at,
        },
    )
}

#[cfg(test)]
mod tests {
    use fireside_client::core::view::{Body, MessageState, ReadBy};

    use super::*;

    fn row(n: u64) -> TimelineRow {
        TimelineRow {
            row: n,
            sequence: Some(n),
            nonce: None,
            sender: UserId::new("a").expect("a user"),
            at: n,
            body: Body::Hole,
            state: MessageState::Received,
            edited: false,
            read_by: ReadBy::default(),
            pinned: false,
            reactions: None,
            details: None,
        }
    }

    #[test]
    fn a_timeline_follows_its_diffs_as_a_list_does() {
        let (mut timeline, mut mirror) = (Timeline::default(), Vec::new());
        let insert = |index, n| Diff::Insert { index, row: row(n) };
        let mut diffs = vec![
            insert(0, 1),
            insert(1, 2),
            insert(3, 9),
            Diff::Remove { index: 2 },
        ];
        diffs.push(Diff::Reset {
            rows: (0..200).map(row).collect(),
        });
        // Far more than there is room for without moving rows.
        for n in 200..1_000 {
            diffs.extend([Diff::Remove { index: 0 }, insert(199, n)]);
        }
        diffs.extend([
            Diff::Move { from: 0, to: 199 },
            Diff::Move { from: 199, to: 3 },
            Diff::Move { from: 0, to: 200 },
            Diff::Set {
                index: 100,
                row: row(7),
            },
            Diff::Set {
                index: 200,
                row: row(7),
            },
            insert(100, 8),
            Diff::Remove { index: 50 },
            Diff::Reset { rows: [].into() },
            insert(0, 1),
        ]);
        for diff in &diffs {
            let fits = diff.apply(&mut mirror);
            assert_eq!(timeline.apply(1, std::slice::from_ref(diff)), fits);
            assert!(timeline.rows().iter().eq(&mirror));
            assert!(timeline.rows.since.len() <= 202, "places are used again");
        }
    }
}
