//! What players do on the stage.

use std::time::{Duration, Instant};

use anyhow::Context;
use fireside_client::Client;
use fireside_client_core::{
    ConnectionState,
    command::{MessageRef, Recipient},
    view::{Body, MessageState},
};
use fireside_protocol::{ConversationId, UserId};

use super::{Role, Stage, Step, is_text, ms, reached};

impl Stage {
    /// Somebody types, and the other sees it.
    pub(in crate::demo) fn type_to(&mut self, from: Role, to: Role, time: Duration) -> Step {
        let conversation = ConversationId::direct(&self.player(from).user, &self.player(to).user);
        if !self
            .player(to)
            .list
            .iter()
            .any(|row| row.conversation == conversation)
        {
            return Ok(());
        }
        self.command(from, |client| client.typing(conversation, true))?;
        let end = Instant::now() + time;
        let mut seen = false;
        while Instant::now() < end {
            self.rest(Duration::from_millis(30))?;
            // A datagram: it may be lost, and then nothing is told.
            if !seen && self.player(to).typing == Some(conversation) {
                seen = true;
                self.tell(&format!("{} is typing…", self.name(from)));
            }
        }
        Ok(())
    }

    /// A direct message, and what becomes of it.
    pub(in crate::demo) fn whisper(&mut self, from: Role, to: Role, text: &str) -> Step {
        let conversation = ConversationId::direct(&self.player(from).user, &self.player(to).user);
        let recipient = Recipient::User(self.player(to).user.clone());
        self.open(from, conversation)?;
        let (start, after) = self.send(from, recipient, text)?;
        let mut times = Vec::new();
        for (state, word) in [
            (MessageState::Sent, "✓ sent"),
            (MessageState::Delivered, "✓✓ delivered"),
        ] {
            self.until("the message arrives", |stage| {
                stage
                    .state_of(from, conversation, after, text)
                    .is_some_and(|have| reached(&have, &state))
            })?;
            times.push(format!("{word} {}", ms(start.elapsed())));
            if state == MessageState::Sent {
                self.latencies_us.push(start.elapsed().as_micros() as u64);
            }
        }
        self.open(to, conversation)?;
        self.command(to, |client| client.mark_read(conversation, 0))?;
        self.until("the message is read", |stage| {
            stage.state_of(from, conversation, after, text) == Some(MessageState::Read)
        })?;
        times.push("read".to_owned());
        let to = self.name(to);
        self.show(from, &to, text, &times.join("  "));
        Ok(())
    }

    /// A message to a group, until it is on every screen.
    pub(in crate::demo) fn say(&mut self, from: Role, group: ConversationId, text: &str) -> Step {
        let (start, after) = self.send(from, Recipient::Conversation(group), text)?;
        self.until("the message is sent", |stage| {
            stage.number_of(from, group, after, text).is_some()
        })?;
        let sent = start.elapsed();
        self.latencies_us.push(sent.as_micros() as u64);
        let number = self.number_of(from, group, after, text);
        let there = |stage: &Self| {
            let others = stage.players.iter().filter(|player| {
                player.state == ConnectionState::Connected && player.timelines.contains_key(&group)
            });
            others
                .filter(|player| {
                    player.timelines[&group]
                        .iter()
                        .any(|row| row.sequence == number)
                })
                .count()
        };
        let connected = self
            .players
            .iter()
            .filter(|player| {
                player.state == ConnectionState::Connected && player.timelines.contains_key(&group)
            })
            .count();
        self.until("the message is on every screen", |stage| {
            there(stage) >= connected
        })?;
        let note = format!(
            "✓ sent {}  on {} screens {}",
            ms(sent),
            connected,
            ms(start.elapsed())
        );
        let title = self.title(group);
        self.show(from, &title, text, &note);
        Ok(())
    }

    /// A message by somebody without a network: its echo is all there is.
    pub(in crate::demo) fn say_unheard(
        &mut self,
        from: Role,
        group: ConversationId,
        text: &str,
    ) -> Step {
        let (_, after) = self.send(from, Recipient::Conversation(group), text)?;
        self.until("the echo shows", |stage| {
            stage.state_of(from, group, after, text) == Some(MessageState::Sending)
        })?;
        let title = self.title(group);
        self.show(from, &title, text, "… waits in the outbox, on disk");
        Ok(())
    }

    pub(in crate::demo) fn make_group(
        &mut self,
        owner: Role,
        name: &str,
        invited: &[Role],
    ) -> Step<ConversationId> {
        let users: Vec<UserId> = invited
            .iter()
            .map(|role| self.player(*role).user.clone())
            .collect();
        self.command(owner, |client| client.create_group(name, users.clone()))?;
        self.until("the group is made", |stage| {
            stage.player(owner).created.is_some()
        })?;
        let group = self.player(owner).created.context("no group")?;
        self.open(owner, group)?;
        self.until("the group is listed", |stage| {
            stage
                .player(owner)
                .list
                .iter()
                .any(|row| row.conversation == group)
        })?;
        self.tell(&format!(
            "{} makes “{name}” and invites {}",
            self.name(owner),
            users
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(", ")
        ));
        Ok(group)
    }

    pub(in crate::demo) fn join(&mut self, role: Role, group: ConversationId) -> Step {
        self.until("the invitation comes", |stage| {
            stage.player(role).invited.contains(&group)
        })?;
        self.command(role, |client| client.join(group))?;
        self.until("the group is listed", |stage| {
            stage
                .player(role)
                .list
                .iter()
                .any(|row| row.conversation == group && row.role.is_some())
        })?;
        self.open(role, group)?;
        self.until("its timeline is there", |stage| {
            stage.player(role).timelines.contains_key(&group)
        })?;
        self.tell(&format!("{} joins", self.name(role)));
        Ok(())
    }

    pub(in crate::demo) fn edit_last(
        &mut self,
        role: Role,
        group: ConversationId,
        text: &str,
    ) -> Step {
        let sequence = self.last_own(role, group)?;
        self.command(role, |client| {
            client.edit_text(group, MessageRef::Sequence(sequence), text)
        })?;
        self.until("all see the edit", |stage| {
            stage.all_show(group, sequence, |row| row.edited && is_text(row, text))
        })?;
        self.tell(&format!(
            "{} corrects it: “{text}” (edited), on every screen",
            self.name(role)
        ));
        Ok(())
    }

    pub(in crate::demo) fn recall_last(&mut self, role: Role, group: ConversationId) -> Step {
        let sequence = self.last_own(role, group)?;
        self.command(role, |client| {
            client.recall(group, MessageRef::Sequence(sequence))
        })?;
        self.until("all see the recall", |stage| {
            stage.all_show(group, sequence, |row| row.body == Body::Recalled)
        })?;
        self.tell(&format!(
            "{} takes it back: gone on every screen and on the server",
            self.name(role)
        ));
        Ok(())
    }

    pub(in crate::demo) fn cut_off(&mut self, role: Role) -> Step {
        self.command(role, Client::disconnect)?;
        self.until("the connection ends", |stage| {
            stage.player(role).state == ConnectionState::Offline
        })?;
        self.tell(&format!("{} is offline", self.name(role)));
        Ok(())
    }

    /// The network is back: what was missed comes, what was written goes.
    pub(in crate::demo) fn come_back(&mut self, role: Role, group: ConversationId) -> Step {
        let held = self.numbers(role, group);
        let waiting = self.unsent(role, group);
        let began = Instant::now();
        self.command(role, Client::connect)?;
        self.until("what was missed is there", |stage| {
            let reference = stage
                .players
                .iter()
                .enumerate()
                .find(|(index, _)| *index != role.0)
                .map(|(index, _)| stage.numbers(Role(index), group));
            stage.player(role).state == ConnectionState::Connected
                && stage.unsent(role, group) == 0
                && reference == Some(stage.numbers(role, group))
        })?;
        let missed = self.numbers(role, group).saturating_sub(held + waiting);
        self.tell(&format!(
            "{} is back: {missed} missed messages caught up, {waiting} unsent ones sent, in order, once; {}",
            self.name(role),
            ms(began.elapsed())
        ));
        Ok(())
    }
}
