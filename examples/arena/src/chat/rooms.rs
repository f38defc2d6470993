//! The conversations that the player has open as tabs: which there are, which one is looked at, what of it counts as read.

use bevy::prelude::*;
use bevy_fireside::{
    Chat, ConversationAdded, ConversationId, ConversationKind, ConversationOf, ConversationRemoved,
    FiresideSystems, Head, Invited, MessageReceived, OnScreen, OwnRole, Peer, Sequence, Title,
    Unread, UserId,
};

use crate::{people::CAMP, stage::Me};

/// The tabs.
#[derive(Debug, Default, Resource)]
pub(crate) struct Rooms {
    /// Camp first, then in the order in which they came.
    order: Vec<Entity>,
    selected: Option<Entity>,
    camp: Option<Entity>,
    /// Who whispered last.
    whispered: Option<UserId>,
}

/// The newest message of the selected conversation is in sight: what arrives there is read.
#[derive(Debug, Resource)]
pub(crate) struct Looking(pub(crate) bool);

pub(crate) fn plugin(app: &mut App) {
    app.init_resource::<Rooms>()
        .insert_resource(Looking(true))
        .add_observer(accept_invitation)
        .add_observer(add_room)
        .add_observer(remove_room)
        .add_systems(
            PreUpdate,
            (note_whispers, note_camp, forget_gone)
                .chain()
                .after(FiresideSystems::Receive),
        )
        .add_systems(Update, (keep_on_screen, mark_read));
}

impl Rooms {
    pub(crate) fn iter(&self) -> impl Iterator<Item = Entity> {
        self.order.iter().copied()
    }

    pub(crate) const fn selected(&self) -> Option<Entity> {
        self.selected
    }

    pub(crate) const fn camp(&self) -> Option<Entity> {
        self.camp
    }

    /// Who whispered to the player last.
    pub(crate) const fn whispered(&self) -> Option<&UserId> {
        self.whispered.as_ref()
    }

    /// Looks at another one.
    pub(crate) fn select(&mut self, room: Entity) {
        if self.order.contains(&room) {
            self.selected = Some(room);
        }
    }

    /// The next one round, or the one before.
    pub(crate) fn turn(&mut self, back: bool) {
        let count = self.order.len();
        let now = self
            .selected
            .and_then(|room| self.order.iter().position(|other| *other == room));
        if count > 1 {
            let step = if back { count - 1 } else { 1 };
            self.selected = self.order.get((now.unwrap_or(0) + step) % count).copied();
        }
    }

    /// Puts one in, if it is not there yet.
    pub(crate) fn add(&mut self, room: Entity, camp: bool) {
        if camp && self.camp.is_none() {
            self.order.retain(|other| *other != room);
            self.order.insert(0, room);
            self.camp = Some(room);
            // One waits for the camp; a whisper that is looked at stays.
            self.selected.get_or_insert(room);
        } else if !self.order.contains(&room) {
            self.order.push(room);
        }
    }

    fn remove(&mut self, gone: impl Fn(Entity) -> bool) {
        self.order.retain(|room| !gone(*room));
        self.camp = self.camp.filter(|room| !gone(*room));
        if self.selected.is_some_and(&gone) {
            self.selected = self.order.first().copied();
        }
    }
}

/// Whoever sits at the fire is welcome: the invitation is accepted.
fn accept_invitation(invited: On<Invited>, mut chat: Chat) -> Result {
    if invited.name == CAMP {
        chat.on(invited.client)?.join(invited.conversation)?;
    }
    Ok(())
}

fn add_room(
    added: On<ConversationAdded>,
    rooms_there: Query<(&ConversationKind, &Title, Has<OwnRole>)>,
    mut rooms: ResMut<Rooms>,
) {
    if let Ok((kind, title, member)) = rooms_there.get(added.conversation) {
        let camp = *kind == ConversationKind::Group && title.0 == CAMP && member;
        rooms.add(added.conversation, camp);
    }
}

fn remove_room(removed: On<ConversationRemoved>, mut rooms: ResMut<Rooms>) {
    rooms.remove(|room| room == removed.conversation);
}

/// A conversation's name or membership may come after its first line.
fn note_camp(
    changed: Query<(Entity, &ConversationKind, &Title), (With<OwnRole>, Changed<Title>)>,
    joined: Query<(Entity, &ConversationKind, &Title), Added<OwnRole>>,
    mut rooms: ResMut<Rooms>,
) {
    if rooms.camp.is_some() {
        return;
    }
    for (room, kind, title) in changed.iter().chain(&joined) {
        if *kind == ConversationKind::Group && title.0 == CAMP {
            rooms.add(room, true);
        }
    }
}

/// A whisper that was opened and never used goes when one looks away.
fn forget_gone(known: Query<(), With<ConversationId>>, mut rooms: ResMut<Rooms>) {
    if rooms.order.iter().any(|room| !known.contains(*room)) {
        rooms.remove(|room| !known.contains(room));
    }
}

fn note_whispers(
    mut received: MessageReader<MessageReceived>,
    direct: Query<&Peer>,
    mut rooms: ResMut<Rooms>,
) {
    for message in received.read() {
        if direct
            .get(message.conversation)
            .is_ok_and(|peer| peer.0 == message.sender)
        {
            rooms.whispered = Some(message.sender.clone());
        }
    }
}

/// Camp is always on screen, for the bubbles; of the others the one that is looked at.
fn keep_on_screen(
    rooms: Res<Rooms>,
    shown: Query<(Entity, &ConversationOf), With<OnScreen>>,
    mut commands: Commands,
) {
    if !rooms.is_changed() {
        return;
    }
    let wanted = [rooms.camp, rooms.selected];
    for (room, _) in &shown {
        if !wanted.contains(&Some(room)) {
            commands.entity(room).try_remove::<OnScreen>();
        }
    }
    for room in wanted.into_iter().flatten() {
        if !shown.contains(room) {
            commands.entity(room).try_insert(OnScreen);
        }
    }
}

/// What the player looks at is read. The list's next change says so; until then it is not said again.
fn mark_read(
    rooms: Res<Rooms>,
    looking: Res<Looking>,
    unread: Query<(&Unread, &Head)>,
    mut said: Local<Option<(Entity, Sequence)>>,
    mut chat: Chat,
) {
    let Some(room) = rooms.selected.filter(|_| looking.0) else {
        return;
    };
    let Ok((unread, head)) = unread.get(room) else {
        return;
    };
    let now = Some((room, head.last));
    if unread.messages > 0 && *said != now && chat.mark_read(room, head.last).is_ok() {
        *said = now;
    }
}

/// Opens the whisper with somebody: an entity of the game's own until there is a message.
pub(crate) fn whisper_room(
    user: &UserId,
    me: &Me,
    chat: &Chat,
    rooms: &mut Rooms,
    commands: &mut Commands,
) -> Entity {
    let id = fireside_protocol::ConversationId::direct(&me.user, user);
    let id = ConversationId::from(id);
    let room = chat.conversation(me.client, id).unwrap_or_else(|| {
        commands
            .spawn((
                id,
                ConversationOf(me.client),
                ConversationKind::Direct,
                Title(user.to_string()),
                Peer(user.clone()),
            ))
            .id()
    });
    rooms.add(room, false);
    room
}
