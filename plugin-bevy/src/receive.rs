//! Once a frame: what the clients have to tell becomes components, messages and events.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use bevy_ecs::{
    change_detection::DetectChangesMut,
    component::Component,
    entity::Entity,
    query::{Has, QueryState, With},
    resource::Resource,
    system::Local,
    world::{Mut, World},
};
use fireside_client::{
    Client,
    core::{
        Event, RequestId,
        event::{CallError, Completion},
        view::{ConversationRow, Diff, TimelineRow},
    },
};
use fireside_protocol::UserId;

use crate::{
    client::{
        CatchUp, ChatClient, ConnectionStatus, FrameBudget, Link, StatusChanges,
        note_status_changes,
    },
    conversation::{
        BelongsTo, ConversationId, ConversationIndex, ConversationKind, ConversationList,
        ConversationOf, Head, OnScreen, OwnRole, Peer, Timeline, Title, TypingUsers, Unread, facts,
    },
    events::{
        CallFinished, ConversationAdded, ConversationRemoved, HistoryLoaded, Invited,
        MembersLoaded, MemoryModeEntered, MessageFailed, MessageReceived, MessageSent,
        MessagesMissed, TimelineChanged, TokenExpiring, TransientReceived, TypingChanged,
    },
};

/// What a pending call is about.
#[derive(Clone, Copy, Debug)]
pub(crate) struct About {
    /// Which conversation.
    pub(crate) conversation: ConversationId,
    /// A message, or a change of one: that it fails is an event of its own.
    pub(crate) message: bool,
}

/// What pending calls are about. Bounded by the calls a client takes before it answers `busy`.
#[derive(Debug, Default, Resource)]
pub(crate) struct Calls(HashMap<(Entity, RequestId), About>);

impl Calls {
    pub(crate) fn began(&mut self, client: Entity, request: RequestId, about: About) {
        self.0.insert((client, request), about);
    }

    /// The calls of a client that is gone will not finish.
    pub(crate) fn forget(&mut self, client: Entity) {
        self.0.retain(|(of, _), _| *of != client);
    }
}

/// The conversation is in its client's list.
#[derive(Component, Debug)]
pub(crate) struct Listed;

/// Messages of a burst that are handed to Bevy at once.
const RECEIVED_AT_ONCE: usize = 32;
/// Conversations remembered by [`Scratch::find`]: looking through them is quicker than the index.
const RECENT_MAX: usize = 16;

/// Kept between frames, so that an idle frame allocates nothing.
#[derive(Default)]
pub(crate) struct Scratch {
    clients: Vec<(Entity, Client, usize, Duration)>,
    received: Vec<MessageReceived>,
    finished: Vec<CallFinished>,
    typing: Vec<TypingChanged>,
    timelines: Vec<TimelineChanged>,
    /// Conversations of the client being ticked that were looked up last: a busy frame is about few. They and their client are there:
    /// this is cleared before anything that lets an observer run.
    recent: Vec<(ConversationId, Entity)>,
    /// Where in `recent` the last one was found: the next is the same, or one soon after.
    found: usize,
    lines: Lines,
}

/// What a line of the list is on its entity, found at once; made when the first line comes.
type Lines = Option<
    QueryState<(
        Option<&'static mut ConversationKind>,
        Option<&'static mut Title>,
        Option<&'static mut Unread>,
        Option<&'static mut Head>,
        Option<&'static OwnRole>,
        Has<Listed>,
    )>,
>;

/// Ticks every client within its budget. Runs alone on the world, in [`FiresideSystems::Receive`](crate::FiresideSystems).
pub(crate) fn receive(
    world: &mut World,
    clients: &mut QueryState<(Entity, &Link, &FrameBudget), With<ChatClient>>,
    changes: &mut StatusChanges,
    mut scratch: Local<Scratch>,
) {
    let mut ticked = std::mem::take(&mut scratch.clients);
    ticked.extend(clients.iter(world).map(|(entity, link, budget)| {
        (entity, link.0.clone(), budget.events_max, budget.time_max)
    }));
    for (entity, client, events_max, time_max) in &ticked {
        client.tick(*events_max, *time_max, &mut |event| {
            scratch.take(world, *entity, event);
        });
        scratch.recent.clear();
    }
    // The last clone of a despawned client ends here.
    ticked.clear();
    scratch.clients = ticked;
    scratch.write(world);
    note_status_changes(world, changes);
}

impl Scratch {
    fn write(&mut self, world: &mut World) {
        if !self.timelines.is_empty() {
            world.write_message_batch(self.timelines.drain(..));
        }
        if !self.received.is_empty() {
            world.write_message_batch(self.received.drain(..));
        }
        if !self.typing.is_empty() {
            world.write_message_batch(self.typing.drain(..));
        }
        if !self.finished.is_empty() {
            world.write_message_batch(self.finished.drain(..));
        }
    }

    fn take(&mut self, world: &mut World, client: Entity, event: Event) {
        let event = match event {
            Event::MessageReceived {
                conversation,
                sequence,
                sender,
                text,
                at,
            } => {
                let Some(conversation) = self.find(world, client, conversation.into()) else {
                    return;
                };
                self.received.push(MessageReceived {
                    client,
                    conversation,
                    sequence,
                    sender,
                    text,
                    at,
                });
                // A burst goes through memory that the processor has at hand.
                if self.received.len() >= RECEIVED_AT_ONCE {
                    world.write_message_batch(self.received.drain(..));
                }
                return;
            }
            other => other,
        };
        // An observer may have despawned the client meanwhile.
        if world.get_entity(client).is_err() {
            return;
        }
        self.recent.clear();
        self.take_other(world, client, event);
    }

    /// Whatever there are few of in a frame. The client is there.
    fn take_other(&mut self, world: &mut World, client: Entity, event: Event) {
        match event {
            Event::Timeline {
                conversation,
                generation,
                diffs,
            } => {
                if let Some(entity) = self.find(world, client, conversation.into()) {
                    self.timeline(world, entity, generation, diffs);
                }
            }
            Event::Conversations { diffs, .. } => list(world, &mut self.lines, client, &diffs),
            Event::Typing {
                conversation,
                user,
                on,
            } => {
                if let Some(entity) = self.find(world, client, conversation.into()) {
                    self.typing(world, entity, user, on);
                }
            }
            Event::Completed { request, result } => self.completed(world, client, request, result),
            Event::State(state) => {
                if let Some(mut status) = world.get_mut::<ConnectionStatus>(client) {
                    status.set_if_neq(ConnectionStatus::from(&state));
                }
            }
            Event::Sync(state) => {
                if let Some(mut catch_up) = world.get_mut::<CatchUp>(client) {
                    catch_up.set_if_neq(CatchUp::from(state));
                }
            }
            Event::Missed { count } => {
                world.write_message(MessagesMissed { client, count });
            }
            Event::TokenExpiring { in_ms } => world.trigger(TokenExpiring { client, in_ms }),
            Event::MemoryMode { reason } => world.trigger(MemoryModeEntered { client, reason }),
            Event::Invited {
                conversation,
                by,
                name,
            } => world.trigger(Invited {
                client,
                conversation: conversation.into(),
                by,
                name,
            }),
            Event::Transient(message) => {
                if let Some(conversation) = self.find(world, client, message.conversation.into()) {
                    world.trigger(TransientReceived {
                        conversation,
                        message,
                    });
                }
            }
            // Events of a newer core.
            _ => {}
        }
    }

    /// The entity of a conversation; a new one if it is not known yet (its list row is on its way). `None`: the client is gone.
    fn find(&mut self, world: &mut World, client: Entity, id: ConversationId) -> Option<Entity> {
        let begin = self.found.min(self.recent.len());
        let (before, after) = self.recent.split_at(begin);
        let mut recent = after.iter().chain(before).enumerate();
        if let Some((far, (_, entity))) = recent.find(|(_, (known, _))| *known == id) {
            self.found = (begin + far) % self.recent.len();
            return Some(*entity);
        }
        world.get_entity(client).ok()?;
        if let Some(entity) = world.resource::<ConversationIndex>().get(client, id) {
            if self.recent.len() >= RECENT_MAX {
                self.recent.clear();
            }
            self.recent.push((id, entity));
            return Some(entity);
        }
        // Observers are told of a new one.
        self.recent.clear();
        Some(world.spawn((id, ConversationOf(client))).id())
    }

    fn timeline(
        &mut self,
        world: &mut World,
        conversation: Entity,
        generation: u64,
        diffs: Vec<Diff<TimelineRow>>,
    ) {
        // Gone off the screen meanwhile.
        let Some(mut timeline) = world.get_mut::<Timeline>(conversation) else {
            return;
        };
        if !timeline.apply(generation, &diffs) {
            tracing::debug!(%conversation, "a change did not fit the timeline; a reset follows");
        }
        self.timelines.push(TimelineChanged {
            conversation,
            diffs,
        });
    }

    fn typing(&mut self, world: &mut World, conversation: Entity, user: UserId, on: bool) {
        if let Some(mut typing) = world.get_mut::<TypingUsers>(conversation) {
            let known = typing.0.iter().position(|who| who == user.as_str());
            match (known, on) {
                (None, true) => typing.0.push(user.as_str().to_owned()),
                (Some(index), false) => {
                    typing.0.remove(index);
                }
                _ => {}
            }
        }
        self.typing.push(TypingChanged {
            conversation,
            user,
            on,
        });
    }

    fn completed(
        &mut self,
        world: &mut World,
        client: Entity,
        request: RequestId,
        result: Result<Completion, CallError>,
    ) {
        let about = world
            .get_resource_mut::<Calls>()
            .and_then(|mut calls| calls.0.remove(&(client, request)));
        let of_message = about.is_some_and(|about| about.message);
        let index = world.resource::<ConversationIndex>();
        let about = about.and_then(|about| index.get(client, about.conversation));
        match (&result, about) {
            (
                Ok(Completion::Sent {
                    conversation,
                    nonce,
                    sequence,
                    ..
                }),
                _,
            ) => {
                if let Some(conversation) = self.find(world, client, (*conversation).into()) {
                    self.recent.clear();
                    world.trigger(MessageSent {
                        conversation,
                        request,
                        nonce: *nonce,
                        sequence: *sequence,
                    });
                }
            }
            (
                Ok(Completion::Loaded {
                    count,
                    start_reached,
                }),
                Some(conversation),
            ) => world.trigger(HistoryLoaded {
                conversation,
                request,
                count: *count,
                start_reached: *start_reached,
            }),
            (Ok(Completion::Members { members, more }), Some(conversation)) => {
                world.trigger(MembersLoaded {
                    conversation,
                    request,
                    members: members.as_slice().into(),
                    more: *more,
                });
            }
            (Err(error), Some(conversation)) if of_message => world.trigger(MessageFailed {
                conversation,
                request,
                error: error.clone(),
            }),
            _ => {}
        }
        self.finished.push(CallFinished {
            client,
            request,
            result,
        });
    }
}

fn entity_of(world: &mut World, client: Entity, id: ConversationId) -> Entity {
    let known = world.resource::<ConversationIndex>().get(client, id);
    known.unwrap_or_else(|| world.spawn((id, ConversationOf(client))).id())
}

/// Applies changes of a client's list.
fn list(world: &mut World, lines: &mut Lines, client: Entity, diffs: &[Diff<ConversationRow>]) {
    let Some(mut list) = world.get_mut::<ConversationList>(client) else {
        return;
    };
    let mut order = std::mem::take(&mut list.0);
    let (mut added, mut removed) = (Vec::new(), Vec::new());
    let mut bring = |world: &mut World, row| {
        let (entity, new) = bring(world, lines, client, row);
        if new {
            added.push(entity);
        }
        entity
    };
    for diff in diffs {
        match diff {
            Diff::Insert { index, row } => {
                let entity = bring(world, row);
                if *index <= order.len() {
                    order.insert(*index, entity);
                }
            }
            Diff::Set { row, .. } => {
                bring(world, row);
            }
            Diff::Remove { index } if *index < order.len() => removed.push(order.remove(*index)),
            Diff::Move { from, to } if *from < order.len() && *to < order.len() => {
                let entity = order.remove(*from);
                order.insert(*to, entity);
            }
            Diff::Reset { rows } => {
                let before = std::mem::take(&mut order);
                order.extend(rows.iter().map(|row| bring(world, row)));
                let now: HashSet<Entity> = order.iter().copied().collect();
                removed.extend(before.into_iter().filter(|entity| !now.contains(entity)));
            }
            // Does not fit: the client follows with a reset.
            Diff::Remove { .. } | Diff::Move { .. } => {}
        }
    }
    if let Some(mut list) = world.get_mut::<ConversationList>(client) {
        list.0 = order;
    }
    // Whoever is told sees the list as it is now.
    for conversation in added {
        world.trigger(ConversationAdded { conversation });
    }
    for conversation in removed {
        drop_listed(world, conversation);
    }
}

/// The entity of a row, with the row's facts on it; and whether it is new in the list.
fn bring(
    world: &mut World,
    lines: &mut Lines,
    client: Entity,
    row: &ConversationRow,
) -> (Entity, bool) {
    let entity = entity_of(world, client, row.conversation.into());
    let lines = lines.get_or_insert_with(|| world.query());
    let Ok((kind, title, unread, head, role, listed)) = lines.get_mut(world, entity) else {
        return (entity, false);
    };
    let (has_role, facts) = (role.copied(), facts(row));
    if listed {
        set(kind, facts.0);
        set(unread, facts.1);
        set(head, facts.2);
        if let Some(mut title) = title.filter(|title| *title.0 != *row.name) {
            title.0 = row.name.to_string();
        }
    } else {
        let title = Title(row.name.to_string());
        let mut conversation = world.entity_mut(entity);
        conversation.insert((facts, title, Listed));
        if let Some(peer) = &row.peer {
            conversation.insert(Peer(peer.clone()));
        }
        if let Some(parent) = row.parent {
            conversation.insert(BelongsTo {
                parent: parent.into(),
                root: row.root,
            });
        }
    }
    match row.role {
        Some(role) if has_role != Some(OwnRole(role)) => {
            world.entity_mut(entity).insert(OwnRole(role));
        }
        None if has_role.is_some() => {
            world.entity_mut(entity).remove::<OwnRole>();
        }
        _ => {}
    }
    (entity, !listed)
}

/// Writes a component only if it is different, so that `Changed` means changed.
fn set<C: PartialEq>(component: Option<Mut<C>>, value: C) {
    if let Some(mut component) = component {
        component.set_if_neq(value);
    }
}

/// A conversation that went out of the list.
fn drop_listed(world: &mut World, entity: Entity) {
    world.trigger(ConversationRemoved {
        conversation: entity,
    });
    let Ok(mut conversation) = world.get_entity_mut(entity) else {
        return;
    };
    if conversation.contains::<OnScreen>() {
        conversation.remove::<Listed>();
    } else {
        conversation.despawn();
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use bevy_app::App;
    use std::time::{Duration, Instant};

    use bevy_ecs::{
        message::{MessageCursor, Messages},
        observer::On,
        system::ResMut,
    };
    use fireside_client::{Trust, core::event::ConnectionState};
    use fireside_protocol::{Code, ConversationKind};

    use super::*;
    use crate::FiresidePlugin;

    /// Conversations that were removed, with how long the list was then.
    #[derive(Default, Resource)]
    struct Removed(Vec<(Entity, usize)>);

    fn row(n: u8, name: &str) -> ConversationRow {
        ConversationRow {
            conversation: fireside_protocol::ConversationId([n; 16]),
            kind: ConversationKind::Group,
            parent: None,
            root: 0,
            name: name.into(),
            peer: None,
            role: None,
            unread: 0,
            mentions: 0,
            last_sender: None,
            preview: "".into(),
            at: 0,
            last: 0,
            capabilities: 0,
            frozen: false,
            slow_mode_ms: 0,
            muted_until: 0,
            picture: "".into(),
            personal: Default::default(),
            draft: None,
        }
    }

    fn stage() -> (App, Entity) {
        let mut app = App::new();
        app.add_plugins(FiresidePlugin::default());
        app.init_resource::<Removed>();
        app.add_observer(
            |it: On<ConversationRemoved>,
             lists: bevy_ecs::system::Query<&ConversationList>,
             mut removed: ResMut<Removed>| {
                let length = lists.iter().map(|list| list.as_slice().len()).sum();
                removed.0.push((it.event().conversation, length));
            },
        );
        let client = app.world_mut().spawn(ConversationList::default()).id();
        (app, client)
    }

    fn names(app: &App, client: Entity) -> Vec<String> {
        let list = app.world().get::<ConversationList>(client).unwrap();
        let name = |entity| app.world().get::<Title>(entity).unwrap().0.clone();
        list.iter().map(name).collect()
    }

    #[test]
    fn a_frame_takes_no_more_than_its_budget() {
        const CALLS: usize = 20;
        let mut app = App::new();
        app.add_plugins(FiresidePlugin::default());
        let chat = ChatClient::new("localhost:9", Trust::Pinned([0; 32]), "a.b.c");
        let budget = FrameBudget {
            events_max: 3,
            ..FrameBudget::default()
        };
        let entity = app.world_mut().spawn((chat, budget)).id();
        let client = app.world().get::<Link>(entity).unwrap().0.clone();
        // Without a server each fails at once: an event each.
        for _ in 0..CALLS {
            let nowhere = fireside_protocol::ConversationId([1; 16]);
            client.members(nowhere, None).unwrap();
        }
        let patience = Instant::now() + Duration::from_secs(20);
        while client.stats().waiting_events < CALLS {
            assert!(Instant::now() < patience, "{:?}", client.stats());
            std::thread::yield_now();
        }
        let (mut cursor, mut finished, mut frames) = (MessageCursor::default(), 0, 0);
        while finished < CALLS {
            app.update();
            let messages = app.world().resource::<Messages<CallFinished>>();
            let told = cursor.read(messages).count();
            assert!(told <= budget.events_max, "{told} in one frame");
            (finished, frames) = (finished + told, frames + 1);
            assert!(frames < 1_000, "{finished} of {CALLS}");
        }
        assert!(frames >= CALLS / budget.events_max);
    }

    #[test]
    fn a_list_follows_its_diffs() {
        let (mut app, client) = stage();
        let rows = [row(1, "one"), row(2, "two"), row(3, "three")];
        let reset = Diff::Reset { rows: rows.into() };
        list(app.world_mut(), &mut None, client, &[reset]);
        assert_eq!(names(&app, client), ["one", "two", "three"]);
        let first = app.world().get::<ConversationList>(client).unwrap().0[0];
        let diffs = [
            Diff::Move { from: 0, to: 2 },
            Diff::Set {
                index: 2,
                row: row(1, "uno"),
            },
            Diff::Insert {
                index: 0,
                row: row(4, "four"),
            },
            // Does not fit: nothing happens, and nothing breaks.
            Diff::Remove { index: 9 },
        ];
        list(app.world_mut(), &mut None, client, &diffs);
        assert_eq!(names(&app, client), ["four", "two", "three", "uno"]);
        let last = app.world().get::<ConversationList>(client).unwrap().0[3];
        assert_eq!(first, last, "a conversation keeps its entity");
    }

    #[test]
    fn what_leaves_the_list_is_told_and_goes_unless_it_is_on_screen() {
        let (mut app, client) = stage();
        let rows = [row(1, "one"), row(2, "two")];
        list(
            app.world_mut(),
            &mut None,
            client,
            &[Diff::Reset { rows: rows.into() }],
        );
        let before = app
            .world()
            .get::<ConversationList>(client)
            .unwrap()
            .0
            .clone();
        app.world_mut().entity_mut(before[1]).insert(OnScreen);
        list(
            app.world_mut(),
            &mut None,
            client,
            &[Diff::Reset { rows: [].into() }],
        );
        let removed = &app.world().resource::<Removed>().0;
        assert_eq!(*removed, [(before[0], 0), (before[1], 0)]);
        assert!(app.world().get_entity(before[0]).is_err());
        assert!(app.world().get::<Title>(before[1]).is_some());
        assert!(app.world().get::<Listed>(before[1]).is_none());
    }

    #[test]
    fn only_messages_fail_as_messages() {
        let (mut app, client) = stage();
        let failed = app.world_mut().spawn_empty().id();
        app.world_mut().init_resource::<Removed>();
        app.add_observer(move |it: On<MessageFailed>, mut seen: ResMut<Removed>| {
            seen.0.push((failed, it.event().request as usize));
        });
        let id = ConversationId([7; 16]);
        app.world_mut().spawn((id, ConversationOf(client)));
        for (request, message) in [(1, true), (2, false)] {
            let about = About {
                conversation: id,
                message,
            };
            app.world_mut()
                .resource_mut::<Calls>()
                .began(client, request, about);
            let error = CallError {
                code: Code::Forbidden,
                text: String::new(),
                retry_after_ms: 0,
            };
            let event = Event::Completed {
                request,
                result: Err(error),
            };
            Scratch::default().take(app.world_mut(), client, event);
        }
        assert_eq!(app.world().resource::<Removed>().0, [(failed, 1)]);
        assert!(app.world().resource::<Calls>().0.is_empty());
    }

    #[test]
    fn a_status_changes_only_when_it_changes() {
        let (mut app, _) = stage();
        let client = app.world_mut().spawn(ConnectionStatus::default()).id();
        let mut scratch = Scratch::default();
        let mut changed = |app: &mut App, state| {
            app.world_mut().clear_trackers();
            scratch.take(app.world_mut(), client, Event::State(state));
            let mut query = app
                .world_mut()
                .query::<bevy_ecs::world::Ref<ConnectionStatus>>();
            use bevy_ecs::change_detection::DetectChanges;
            query.get(app.world(), client).unwrap().is_changed()
        };
        assert!(changed(&mut app, ConnectionState::Connected));
        assert!(!changed(&mut app, ConnectionState::Connected));
        assert!(changed(&mut app, ConnectionState::Offline));
    }
}
