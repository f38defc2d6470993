//! Every message, every observer and every component of the plugin, with two clients in one app.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};
use bevy::ecs::prelude::*;
use bevy_fireside::{
    CallFinished, Chat, ChatClient, ConnectionStatus, ConversationId, ConversationIndex,
    ConversationList, ConversationOf, Head, Link, OnScreen, PrimaryClient, Timeline, Title,
    TypingUsers, Unread, UserId, client_core::core::RequestId,
};
use fireside_client::{
    Client, Trust,
    core::{
        Event,
        command::{MessageRef, Recipient},
        event::Completion,
        view::{Body, MessageState},
    },
    limits::NOTICES_MAX,
};
use fireside_protocol::Code;
use fireside_tests::process::{Server, ServerPlan};

use crate::stage::{Seen, Stage};

/// Messages at once: more than a client keeps notices for.
const FLOOD: usize = 1_500;

/// Of those, in the outbox at once.
const IN_FLIGHT: usize = 500;

/// The server's settings: no rate limit that a flood meets.
const SETTINGS: &str = "[limits]
rate_direct_per_s = 100000
rate_conversation_per_s = 100000
";

/// What must have been seen at least once.
const ALL: [&str; 16] = [
    "CallFinished",
    "ClientFailed",
    "Connected",
    "ConversationAdded",
    "Disconnected",
    "HistoryLoaded",
    "Invited",
    "MembersLoaded",
    "MemoryModeEntered",
    "MessageFailed",
    "MessageReceived",
    "MessageSent",
    "MessagesMissed",
    "TimelineChanged",
    "TokenExpiring",
    "TypingChanged",
];

pub(crate) fn run(plan: &mut ServerPlan, folder: &Path) -> anyhow::Result<()> {
    // The flood below is not what the rate limit is for.
    plan.settings = SETTINGS.to_owned();
    let server = plan.start()?;
    let mut stage = Stage::new();
    let ada = stage
        .world()
        .spawn((
            Stage::client(plan, &server, "ada")?.keeping(UserId::new("ada")?, folder.join("ada")),
            PrimaryClient,
        ))
        .id();
    let bo = stage
        .world()
        .spawn(Stage::client(plan, &server, "bo")?)
        .id();
    stage.until("both are online", |world| {
        status(world, ada).is_online() && status(world, bo).is_online()
    })?;
    ensure!(stage.seen().times("Connected") == 2);

    let (ours, theirs) = whisper(&mut stage, ada, bo)?;
    screen(&mut stage, ours, theirs)?;
    life(&mut stage, ours, theirs)?;
    group(&mut stage, ada, bo)?;
    refusals(&mut stage, plan, &server, folder, ours)?;
    flood(&mut stage, ours, theirs, bo)?;
    let server = outage(&mut stage, plan, server, ada, ours, theirs)?;
    drop(server);

    let counts = stage.seen().counts.clone();
    let missing: Vec<_> = ALL
        .iter()
        .filter(|name| !counts.contains_key(*name))
        .collect();
    ensure!(missing.is_empty(), "never seen: {missing:?}");
    let told: Vec<_> = counts
        .iter()
        .map(|(name, count)| format!("{name} {count}"))
        .collect();
    println!("two clients in one app: {}", told.join(", "));
    Ok(())
}

fn status(world: &World, client: Entity) -> ConnectionStatus {
    world
        .get::<ConnectionStatus>(client)
        .cloned()
        .unwrap_or_default()
}

/// The first message makes the conversation on both sides.
fn whisper(stage: &mut Stage, ada: Entity, bo: Entity) -> anyhow::Result<(Entity, Entity)> {
    let user = UserId::new("bo")?;
    let request = stage
        .act(move |mut chat: Chat| chat.whisper(&user, "hello"))?
        .context("whisper")?;
    stage.until("bo hears it", |world| {
        let seen = world.resource::<Seen>();
        seen.received.iter().any(|it| it.client == bo) && !seen.sent.is_empty()
    })?;
    let seen = stage.seen();
    let (heard, sent) = (seen.received[0].clone(), seen.sent[0]);
    ensure!(heard.text.as_deref() == Some("hello") && heard.sender.as_str() == "ada");
    ensure!(sent.request == request && sent.sequence == heard.sequence);
    let (ours, theirs) = (sent.conversation, heard.conversation);
    stage.until("both lists have it", |world| {
        [(ada, ours), (bo, theirs)]
            .iter()
            .all(|(client, conversation)| {
                world
                    .get::<ConversationList>(*client)
                    .is_some_and(|list| list.as_slice() == [*conversation])
            })
    })?;
    let world = stage.world();
    ensure!(ours != theirs, "two clients share an entity");
    ensure!(world.get::<ConversationId>(ours) == world.get::<ConversationId>(theirs));
    ensure!(world.get::<Title>(ours).map(|title| title.0.as_str()) == Some("bo"));
    ensure!(world.get::<Title>(theirs).map(|title| title.0.as_str()) == Some("ada"));
    ensure!(world.get::<Unread>(theirs).map(|unread| unread.messages) == Some(1));
    ensure!(world.get::<Unread>(ours).map(|unread| unread.messages) == Some(0));
    ensure!(world.get::<Head>(theirs).map(|head| &*head.preview) == Some("hello"));
    Ok((ours, theirs))
}

/// On screen: the timeline, typing and receipts.
fn screen(stage: &mut Stage, ours: Entity, theirs: Entity) -> anyhow::Result<()> {
    stage.world().entity_mut(ours).insert(OnScreen);
    stage.world().entity_mut(theirs).insert(OnScreen);
    stage.until("both timelines show it", |world| {
        [ours, theirs]
            .iter()
            .all(|it| texts(world, *it) == ["hello"])
    })?;
    let bo = (stage.world().get::<ConversationOf>(theirs))
        .context("of whom")?
        .0;
    let (bo, id) = (
        link(stage, bo)?,
        stage.world().get::<ConversationId>(theirs),
    );
    let id = (*id.context("id")?).into();
    stage.until("ada sees bo type", |world| {
        // Again, as somebody who types does: the server may not know yet that ada looks.
        let _ = bo.typing(id, true);
        world
            .get::<TypingUsers>(ours)
            .is_some_and(|it| it.0 == ["bo"])
    })?;
    stage.act(move |mut chat: Chat| chat.typing(theirs, false))??;
    stage.until("bo stopped", |world| {
        world
            .get::<TypingUsers>(ours)
            .is_some_and(|it| it.0.is_empty())
    })?;
    stage.act(move |mut chat: Chat| chat.mark_read(theirs, 0))??;
    stage.until("ada's message is read, bo has nothing unread", |world| {
        let read = world.get::<Timeline>(ours).is_some_and(|timeline| {
            timeline
                .rows()
                .iter()
                .any(|row| row.state == MessageState::Read)
        });
        read && world
            .get::<Unread>(theirs)
            .is_some_and(|it| it.messages == 0)
    })
}

/// Echo, edit, recall, history.
fn life(stage: &mut Stage, ours: Entity, theirs: Entity) -> anyhow::Result<()> {
    stage.act(move |mut chat: Chat| chat.send(ours, "typo"))??;
    stage.until("it is there", |world| {
        texts(world, theirs) == ["hello", "typo"]
    })?;
    stage.until("ada knows its number", |world| {
        last_sequence(world, ours).is_ok()
    })?;
    let sequence = last_sequence(stage.world(), ours)?;
    let message = MessageRef::Sequence(sequence);
    stage.act(move |mut chat: Chat| chat.edit(ours, message, "no typo"))??;
    stage.until("the edit is there", |world| {
        texts(world, theirs) == ["hello", "no typo"]
    })?;
    stage.act(move |mut chat: Chat| chat.react(theirs, message, "🎉", true))??;
    stage.act(move |mut chat: Chat| chat.pin(ours, message, true))??;
    stage.until("the reaction and the pin are there", |world| {
        let last = |entity, mine| {
            let row = world.get::<Timeline>(entity)?.rows().last()?;
            let reaction = row.reactions.as_ref()?.first()?;
            Some(row.pinned && &*reaction.key == "🎉" && reaction.mine == mine)
        };
        last(ours, false) == Some(true) && last(theirs, true) == Some(true)
    })?;
    stage.act(move |mut chat: Chat| chat.recall(ours, message))??;
    stage.until("the recall is there", |world| {
        world.get::<Timeline>(theirs).is_some_and(|timeline| {
            timeline
                .rows()
                .last()
                .is_some_and(|row| row.body == Body::Recalled)
        })
    })?;
    let request = stage.act(move |mut chat: Chat| chat.load_older(ours, 50))??;
    stage.until("history was asked for", |world| {
        let seen = world.resource::<Seen>();
        seen.loaded
            .iter()
            .any(|it| it.request == request && it.conversation == ours)
    })?;
    // Off the screen and on again.
    stage.world().entity_mut(ours).remove::<OnScreen>();
    stage.until("off the screen it has no timeline", |world| {
        world.get::<Timeline>(ours).is_none()
    })?;
    stage.world().entity_mut(ours).insert(OnScreen);
    stage.until("on again, it has", |world| texts(world, ours) == ["hello"])
}

/// A group by invitation, members, removal.
fn group(stage: &mut Stage, ada: Entity, bo: Entity) -> anyhow::Result<()> {
    let user = UserId::new("bo")?;
    let invited = user.clone();
    let made = stage
        .act(move |mut chat: Chat| chat.on(ada)?.create_group("Raid", vec![invited.clone()]))??;
    let id = finished(stage, ada, made)?;
    let Completion::Created { conversation } = id else {
        bail!("a group was made with {id:?}")
    };
    let id = ConversationId::from(conversation);
    stage.until("bo is invited", |world| {
        let seen = world.resource::<Seen>();
        seen.invited
            .iter()
            .any(|it| it.client == bo && it.conversation == id && it.name == "Raid")
    })?;
    let joined = stage.act(move |mut chat: Chat| chat.on(bo)?.join(id))??;
    finished(stage, bo, joined)?;
    stage.until("both have the group", |world| {
        let index = world.resource::<ConversationIndex>();
        [ada, bo].iter().all(|client| {
            index.get(*client, id).is_some_and(|it| {
                world
                    .get::<Title>(it)
                    .is_some_and(|title| title.0 == "Raid")
            })
        })
    })?;
    let index = stage.world().resource::<ConversationIndex>();
    let raid = index.get(ada, id).context("ada's raid")?;
    let raid_of_bo = index.get(bo, id).context("bo's raid")?;
    let request = stage.act(move |mut chat: Chat| chat.members(raid, None))??;
    stage.until("the members came", |world| {
        let seen = world.resource::<Seen>();
        seen.members
            .iter()
            .any(|it| it.request == request && it.members.len() == 2 && !it.more)
    })?;
    let removed = stage.act(move |mut chat: Chat| chat.remove_member(raid, user.clone()))??;
    finished(stage, ada, removed)?;
    stage.act(move |mut chat: Chat| chat.send(raid_of_bo, "am I still here?"))??;
    stage.until("bo's message is refused", |world| {
        let seen = world.resource::<Seen>();
        seen.failed.iter().any(|it| it.conversation == raid_of_bo)
    })
}

/// What can not be started, what can not be used.
fn refusals(
    stage: &mut Stage,
    plan: &ServerPlan,
    server: &Server,
    folder: &Path,
    ours: Entity,
) -> anyhow::Result<()> {
    let request = stage.act(move |mut chat: Chat| chat.send(ours, ""))??;
    stage.until("an empty message is refused", |world| {
        let seen = world.resource::<Seen>();
        seen.failed
            .iter()
            .any(|it| it.request == request && it.error.code == Code::TextEmpty)
    })?;
    let nonsense = ChatClient::new("nonsense", Trust::Roots, "");
    let nonsense = stage.world().spawn(nonsense).id();
    stage.until("a client that makes no sense fails", |world| {
        world.resource::<Seen>().times("ClientFailed") == 1
    })?;
    let no_link = stage.act(move |mut chat: Chat| chat.on(nonsense).err())?;
    ensure!(no_link == Some(bevy_fireside::ChatError::NoClient(nonsense)));
    stage.world().despawn(nonsense);

    // A file stands where the cache's folder should be.
    let taken = folder.join("a-file");
    fs::write(&taken, "not a folder")?;
    let settings = Stage::client(plan, server, "cy")?.keeping(UserId::new("cy")?, taken);
    let cy = stage.world().spawn(settings).id();
    stage.until("cy goes on in memory", |world| {
        world.resource::<Seen>().times("MemoryModeEntered") == 1 && status(world, cy).is_online()
    })?;
    stage.world().despawn(cy);

    let mut settings = Stage::client(plan, server, "di")?;
    settings.token = "not-a-token".to_owned();
    let di = stage.world().spawn(settings).id();
    stage.until("a bad token is refused", |world| {
        matches!(status(world, di), ConnectionStatus::Refused { code, .. } if code == Code::TokenInvalid.number())
    })?;
    // A good one ends it, in the last minutes of its life.
    let token = short_token(plan, "di")?;
    let set = stage.act(move |mut chat: Chat| chat.on(di)?.set_token(token.clone()))??;
    finished(stage, di, set)?;
    stage.until("the token's end is announced", |world| {
        status(world, di).is_online() && world.resource::<Seen>().times("TokenExpiring") > 0
    })?;
    stage.world().despawn(di);
    Ok(())
}

/// A token that ends in two minutes.
fn short_token(plan: &ServerPlan, user: &str) -> anyhow::Result<String> {
    let mut command = std::process::Command::new(fireside_tests::process::program("fireside")?);
    command.arg("token").arg("--data").arg(&plan.data);
    let output = command.args(["--user", user, "--ttl", "120"]).output()?;
    ensure!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

/// More messages than a client keeps notices for: the rest is counted, and the timeline is whole.
fn flood(stage: &mut Stage, ours: Entity, theirs: Entity, bo: Entity) -> anyhow::Result<()> {
    let before = stage.seen().received.len() as u64;
    let of_ada = stage
        .world()
        .get::<ConversationOf>(ours)
        .context("of whom")?
        .0;
    let (ada, bo) = (link(stage, of_ada)?, link(stage, bo)?);
    let id = stage
        .world()
        .get::<ConversationId>(ours)
        .copied()
        .context("id")?;
    // The app does not step meanwhile: bo's notices have nowhere to go. Ada alone is ticked, so that her calls find room.
    let (mut taken, mut done) = (0, 0);
    let deadline = Instant::now() + Duration::from_secs(60);
    while done < FLOOD || bo.stats().waiting_events < NOTICES_MAX {
        ensure!(
            Instant::now() < deadline,
            "{done} of {FLOOD} were sent, {:?}",
            bo.stats()
        );
        let to = Recipient::Conversation(id.into());
        let room = taken < FLOOD && taken - done < IN_FLIGHT;
        if room && ada.send_text(to, format!("flood {taken}")).is_ok() {
            taken += 1;
            continue;
        }
        let _ = ada.wait(Duration::from_millis(10));
        ada.tick(256, Duration::from_millis(1), &mut |event| {
            if matches!(
                event,
                Event::Completed {
                    result: Ok(Completion::Sent { .. }),
                    ..
                }
            ) {
                done += 1;
            }
        });
    }
    let last = format!("flood {}", FLOOD - 1);
    stage.until("the flood's last message is on bo's screen", |world| {
        texts(world, theirs).last() == Some(&last)
    })?;
    // Every message is told or counted.
    stage.until("the flood is accounted for", |world| {
        let seen = world.resource::<Seen>();
        seen.received.len() as u64 - before + seen.missed >= FLOOD as u64
    })?;
    let seen = stage.seen();
    let (received, missed) = (seen.received.len() as u64 - before, seen.missed);
    println!("a flood of {FLOOD} messages: {received} notices, {missed} counted as missed");
    Ok(())
}

fn link(stage: &mut Stage, client: Entity) -> anyhow::Result<Client> {
    let link = stage
        .world()
        .get::<Link>(client)
        .context("a client without its link")?;
    Ok(link.0.clone())
}

/// The server goes and comes back.
fn outage(
    stage: &mut Stage,
    plan: &mut ServerPlan,
    server: Server,
    ada: Entity,
    ours: Entity,
    theirs: Entity,
) -> anyhow::Result<Server> {
    // The flood's changes of ada's timeline went past the app: it is opened anew.
    stage.world().entity_mut(ours).remove::<OnScreen>();
    stage.until("ada's conversation is off the screen", |world| {
        world.get::<Timeline>(ours).is_none()
    })?;
    stage.world().entity_mut(ours).insert(OnScreen);
    stage.until("and on again", |world| !texts(world, ours).is_empty())?;
    let lost = stage.seen().times("Disconnected");
    server.kill()?;
    stage.act(move |mut chat: Chat| chat.send(ours, "is anybody there?"))??;
    stage.until("both notice", |world| {
        world.resource::<Seen>().times("Disconnected") >= lost + 2
            && matches!(status(world, ada), ConnectionStatus::Reconnecting { .. })
    })?;
    stage.until("the message is shown as sending", |world| {
        world.get::<Timeline>(ours).is_some_and(|timeline| {
            timeline
                .rows()
                .last()
                .is_some_and(|row| row.state == MessageState::Sending)
        })
    })?;
    let server = plan.start()?;
    // Whoever comes back after it was sent finds it in the list; a notice is for what arrives live.
    stage.until("both are back, and it has arrived", |world| {
        let head = world.get::<Head>(theirs);
        status(world, ada).is_online()
            && head.is_some_and(|head| &*head.preview == "is anybody there?")
    })?;
    Ok(server)
}

/// Waits for a call; its result.
fn finished(stage: &mut Stage, client: Entity, request: RequestId) -> anyhow::Result<Completion> {
    let is = move |it: &&CallFinished| it.client == client && it.request == request;
    stage.until("the call finishes", |world| {
        world.resource::<Seen>().finished.iter().any(|it| is(&it))
    })?;
    let found = stage.seen().finished.iter().find(is);
    Ok(found.context("finished")?.result.clone()?)
}

/// The texts of a timeline.
fn texts(world: &World, conversation: Entity) -> Vec<String> {
    let timeline = world.get::<Timeline>(conversation).into_iter();
    let rows = timeline.flat_map(|timeline| timeline.rows().iter());
    let texts = rows.filter_map(|row| match &row.body {
        Body::Text(text) => Some(text.to_string()),
        _ => None,
    });
    texts.collect()
}

fn last_sequence(world: &World, conversation: Entity) -> anyhow::Result<u64> {
    let timeline = world.get::<Timeline>(conversation).context("no timeline")?;
    let row = timeline.rows().last().context("no rows")?;
    row.sequence.context("the last row has no number")
}
