//! What is on screen: told to the client, so that the server sends it live.

use bevy_ecs::{
    component::Component,
    entity::Entity,
    query::{With, Without},
    system::{Commands, Query},
};

use crate::{
    client::{ChatClient, Link},
    conversation::{ConversationId, ConversationOf, OnScreen, Timeline, TypingUsers},
    receive::Listed,
};

/// Conversations open at once a client: the server's limit a session.
const OPEN_MAX: usize = fireside_protocol::limits::OPEN_CONVERSATIONS_MAX;

/// The client was told that it is on screen.
#[derive(Component, Debug)]
pub(crate) struct Opened;

/// What a client was told last: whether chat is on screen.
#[derive(Component, Debug)]
pub(crate) struct SaidVisible(bool);

/// Chat is on screen while any conversation is: then a dead server is noticed sooner.
pub(crate) fn tell_visibility(
    clients: Query<(Entity, &Link, Option<&SaidVisible>), With<ChatClient>>,
    opened: Query<&ConversationOf, With<Opened>>,
    mut commands: Commands,
) {
    for (client, link, said) in &clients {
        let visible = opened.iter().any(|of| of.0 == client);
        let said = said.is_some_and(|said| said.0);
        if visible != said && link.0.set_visible(visible).is_ok() {
            commands.entity(client).insert(SaidVisible(visible));
        }
    }
}

/// Opens what came on screen. A full queue is tried again in the next frame.
pub(crate) fn open_shown(
    shown: Query<(Entity, &ConversationId, &ConversationOf), (With<OnScreen>, Without<Opened>)>,
    opened: Query<&ConversationOf, With<Opened>>,
    clients: Query<&Link, With<ChatClient>>,
    mut commands: Commands,
) {
    if shown.is_empty() {
        return;
    }
    let mut new = 0;
    for (entity, id, of) in &shown {
        let Ok(link) = clients.get(of.0) else {
            continue;
        };
        let open = opened.iter().filter(|other| other.0 == of.0).count() + new;
        if open < OPEN_MAX && link.0.open((*id).into()).is_ok() {
            new += 1;
            commands
                .entity(entity)
                .insert((Opened, Timeline::default(), TypingUsers::default()));
        }
    }
}

/// Closes what went off the screen; what is in no list any more goes with it.
pub(crate) fn close_hidden(
    hidden: Query<
        (Entity, &ConversationId, &ConversationOf, Option<&Listed>),
        (With<Opened>, Without<OnScreen>),
    >,
    clients: Query<&Link, With<ChatClient>>,
    mut commands: Commands,
) {
    for (entity, id, of, listed) in &hidden {
        let Ok(link) = clients.get(of.0) else {
            continue;
        };
        if link.0.close((*id).into()).is_err() {
            continue;
        }
        if listed.is_some() {
            commands
                .entity(entity)
                .remove::<(Opened, Timeline, TypingUsers)>();
        } else {
            commands.entity(entity).despawn();
        }
    }
}
