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

/// A reset is shared with whoever made it: rows are copied only when one of them changes.
#[derive(Clone, Debug, Default)]
struct Rows {
    reset: Option<Arc<[TimelineRow]>>,
    /// Without a reset, in one piece. What comes at the end and goes at the beginning moves no other row.
    own: VecDeque<TimelineRow>,
}

impl Timeline {
    /// The rows, oldest first. A row's number (`row`) stays the same from the echo to the sent message and over every edit.
    #[must_use]
    pub fn rows(&self) -> &[TimelineRow] {
        match &self.rows.reset {
            Some(rows) => rows,
            None => self.rows.own.as_slices().0,
        }
    }

    /// Takes changes in; `false`: one did not fit, and a reset is on its way.
    pub(crate) fn apply(&mut self, generation: u64, diffs: &[Diff<TimelineRow>]) -> bool {
        self.generation = generation;
        let fits = diffs.iter().all(|diff| self.rows.apply(diff));
        self.rows.own.make_contiguous();
        fits
    }
}

impl Rows {
    fn apply(&mut self, diff: &Diff<TimelineRow>) -> bool {
        if let Diff::Reset { rows } = diff {
            self.own.clear();
            self.reset = Some(rows.clone());
            return true;
        }
        let rows = self.own();
        match diff {
            Diff::Insert { index, row } if *index <= rows.len() => rows.insert(*index, row.clone()),
            Diff::Set { index, row } => match rows.get_mut(*index) {
                Some(slot) => slot.clone_from(row),
                None => return false,
            },
            Diff::Remove { index } => return rows.remove(*index).is_some(),
            Diff::Move { from, to } if *from < rows.len() && *to < rows.len() => {
                if let Some(row) = rows.remove(*from) {
                    rows.insert(*to, row);
                }
            }
            _ => return false,
        }
        true
    }

    fn own(&mut self) -> &mut VecDeque<TimelineRow> {
        if let Some(reset) = self.reset.take() {
            // With room at the end for as many again, before what is left of them must move to the beginning.
            self.own.reserve(2 * reset.len());
            self.own.extend(reset.iter().cloned());
        }
        &mut self.own
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
            assert_eq!(timeline.rows(), mirror);
        }
    }
}
