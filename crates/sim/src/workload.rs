//! What games do, and what breaks.

mod faults;
mod forward;
mod lead;

use fireside_client_core::{
    Command, NewMessage,
    command::{MessageRef, Recipient},
    view::{Body, ConversationRow, MessageState, TimelineRow},
};
use fireside_protocol::{
    Content, ConversationId, ConversationKind, Role, Sequence, Settings, TextContent, UserId,
    WallMs,
    content::{AnswerValue, CardContent, CardElement, CardPage, ElementKind, PollContent},
    limits::{PAGE_CHANGES_MAX, SESSION_QUEUE_BYTES_MAX, TEXT_GRAPHEMES_MAX},
};

use crate::{
    device::Device,
    network::LinkKey,
    violation::Violation,
    world::{USERS, USERS_WITH_TWO, What, World},
};

/// Bytes that live frames may fill of a session's queue: the rest is kept for answers.
const LIVE_BYTES: usize = SESSION_QUEUE_BYTES_MAX - 48 * 1024;
/// Pages that links lead to.
const LINKS: u64 = 3;
/// Groups in one world.
const GROUPS: usize = 4;

impl World {
    pub(crate) fn user(&mut self) -> UserId {
        let n = self.rng.below(USERS as u64);
        UserId::new(&format!("u{n:02}")).unwrap_or_else(|_| unreachable!("a fixed name"))
    }

    /// One command of one game.
    pub(crate) fn work(&mut self) {
        let index = self.rng.below(self.devices.len() as u64) as usize;
        if self
            .devices
            .get(index)
            .is_none_or(|device| device.session.is_none())
        {
            return;
        }
        match self.rng.below(1_000) {
            0..=279 => self.write(index),
            280..=309 => self.own(index),
            310..=323 => self.forward(index),
            324..=339 => self.take_back(index),
            340..=369 => self.take_part(index),
            370..=409 => self.lead_or_be_led(index),
            410..=449 => self.mark(index),
            450..=549 => self.change(index),
            550..=649 => self.read_up(index),
            650..=769 => self.look(index),
            770..=799 => {
                if let Some(conversation) = self.known(index) {
                    self.command(
                        index,
                        Command::LoadOlder {
                            conversation,
                            count: 20,
                        },
                    );
                }
            }
            800..=839 => {
                if let Some(conversation) = self.known(index) {
                    let on = self.rng.chance(800);
                    self.command(index, Command::Typing { conversation, on });
                }
            }
            840..=929 => self.gather(index),
            930..=949 => self.block(index),
            950..=959 => self.give_token(index),
            960..=974 => {
                let on = self.rng.chance(500);
                self.command(index, Command::SetVisible(on));
            }
            975..=984 => {
                let on = self.rng.chance(300);
                self.command(index, Command::SetBackgroundFill(on));
            }
            985..=994 => {
                let pause = self.rng.between(100, 3_000);
                if let Some(device) = self.devices.get_mut(index) {
                    device.asleep_until = self.now + pause;
                }
            }
            _ => {
                if let Some(conversation) = self.known(index) {
                    self.command(
                        index,
                        Command::Members {
                            conversation,
                            after: None,
                        },
                    );
                }
            }
        }
    }

    /// Very many changes behind the back of a device that holds their items, and more entries than the queue of a reader that stands
    /// still.
    ///
    /// # Errors
    /// The first rule that was broken.
    pub(crate) fn storm(&mut self) -> Result<(), Violation> {
        self.change_behind_backs(PAGE_CHANGES_MAX as usize + 120, "")
    }

    /// The same with few changes, large ones.
    ///
    /// # Errors
    /// The first rule that was broken.
    pub(crate) fn squall(&mut self) -> Result<(), Violation> {
        self.change_behind_backs(20, &"𝄞".repeat(TEXT_GRAPHEMES_MAX - 100))
    }

    /// A writer with one device, and a reader with two, none of whom blocks the other: the reader's first device will stand still, the
    /// second will be away.
    fn pair(&mut self) -> Option<(usize, usize)> {
        let writer = 2 * USERS_WITH_TWO + self.rng.below((USERS - USERS_WITH_TWO) as u64) as usize;
        let still = 2 * self.rng.below(USERS_WITH_TWO as u64) as usize;
        let (one, other) = (self.devices.get(writer)?, self.devices.get(still)?);
        let blocks = |by: &Device, of: &Device| by.blocking.get(&of.user) == Some(&true);
        (!blocks(one, other) && !blocks(other, one)).then_some((writer, still))
    }

    fn change_behind_backs(&mut self, items: usize, large: &str) -> Result<(), Violation> {
        (self.working, self.faults) = (false, false);
        self.run_for(3_000)?;
        let Some((writer, still)) = self.pair() else {
            return Ok(());
        };
        let away = still + 1;
        let users =
            [writer, still].map(|index| self.devices.get(index).map(|device| device.user.clone()));
        let [Some(from), Some(to)] = users else {
            return Ok(());
        };
        let conversation = ConversationId::direct(&from, &to);
        self.command(away, Command::SetBackgroundFill(true));
        for _ in 0..items {
            if let Some(device) = self.devices.get_mut(writer) {
                device.texts += 1;
                let text = format!("d{writer}#{}{large}", device.texts);
                let to = Recipient::User(to.clone());
                self.command(writer, Command::SendText { to, text });
            }
        }
        self.run_until_answered(writer)?;
        self.run_for(if large.is_empty() { 5_000 } else { 1_000 })?;
        self.kill_client(away);
        let slow: Vec<LinkKey> = self
            .devices
            .get(still)
            .map_or_else(Vec::new, |device| device.links.values().copied().collect());
        for key in &slow {
            if let Some(link) = self.links.get_mut(key) {
                self.report.count("fault: slow reader");
                link.slow_until_ms = u64::MAX;
            }
        }
        let held = self.devices.get(writer).into_iter().flat_map(|device| {
            let range = (conversation, 0)..=(conversation, Sequence::MAX);
            device.disk.items.range(range).rev().take(items)
        });
        let held: Vec<Sequence> = held.map(|((_, sequence), _)| *sequence).collect();
        for sequence in held.into_iter().rev() {
            let text = format!("edit {writer} storm {sequence}{large}");
            let message = MessageRef::Sequence(sequence);
            self.command(
                writer,
                Command::EditText {
                    conversation,
                    message,
                    text,
                },
            );
        }
        self.run_until_answered(writer)?;
        for key in slow {
            if let Some(link) = self.links.get_mut(&key) {
                link.slow_until_ms = 0;
            }
            self.schedule(1, What::Drained(key));
        }
        self.schedule(1, What::ClientStart(away));
        self.run_for(3_000)
    }

    fn run_until_answered(&mut self, index: usize) -> Result<(), Violation> {
        let deadline = self.now + 600_000;
        while self
            .devices
            .get(index)
            .is_some_and(|device| device.calls.len() > 4)
        {
            if self.now > deadline {
                let seen = format!("device {index} gets no answers in a storm");
                return Err(Violation {
                    rule: "converge",
                    seen,
                });
            }
            self.step()?;
        }
        Ok(())
    }

    /// A conversation this device shows.
    pub(crate) fn known(&mut self, index: usize) -> Option<ConversationId> {
        let device = self.devices.get(index)?;
        let mine: Vec<ConversationId> = device
            .list
            .iter()
            .filter(|row| row.role.is_some() || row.kind == ConversationKind::Direct)
            .map(|row| row.conversation)
            .collect();
        // Mostly the groups: that is where the members meet.
        let groups: Vec<ConversationId> = mine
            .iter()
            .copied()
            .filter(|id| self.groups.contains(id))
            .collect();
        if self.rng.chance(600) && !groups.is_empty() {
            self.rng.pick(&groups).copied()
        } else {
            self.rng.pick(&mine).copied()
        }
    }

    fn write(&mut self, index: usize) {
        let to = if self.rng.chance(150) {
            let user = self.user();
            if self
                .devices
                .get(index)
                .is_some_and(|device| device.user == user)
            {
                return;
            }
            Recipient::User(user)
        } else {
            let Some(conversation) = self.known(index) else {
                return;
            };
            Recipient::Conversation(conversation)
        };
        let Some(device) = self.devices.get_mut(index) else {
            return;
        };
        device.texts += 1;
        let text = format!("d{index}#{}", device.texts);
        let text = self.with_link(text, 60);
        let message = match self.rng.below(100) {
            0..=3 => {
                self.report.count("polls");
                let soon = self.server_now().wall_ms + self.rng.between(3_000, 60_000);
                let ends = if self.rng.chance(400) { soon } else { 0 };
                let anonymous = self.rng.chance(400);
                if anonymous {
                    self.report.count("anonymous polls");
                }
                poll(text, ends, anonymous)
            }
            4..=6 => {
                self.report.count("cards");
                card(text)
            }
            12..=17 => {
                self.report.count("messages that end");
                let long = self.rng.between(3_000, 60_000);
                NewMessage {
                    expires: self.server_now().wall_ms + long,
                    ..NewMessage::new(Content::Text(TextContent::plain(text)))
                }
            }
            7..=11 => {
                self.report.count("silent messages");
                NewMessage {
                    silent: true,
                    ..NewMessage::new(Content::Text(TextContent::plain(text)))
                }
            }
            _ => {
                self.command(index, Command::SendText { to, text });
                return;
            }
        };
        let message = Box::new(message);
        self.command(index, Command::Send { to, message });
    }

    /// Now and then a text has a link, one of few.
    fn with_link(&mut self, text: String, per_mille: u64) -> String {
        if !self.rng.chance(per_mille) {
            return text;
        }
        self.report.count("links");
        let page = self.rng.below(LINKS);
        format!("https://page{page}.example/ {text}")
    }

    /// A poll or a card on the screen, and what is done with it; what a user deletes for themselves.
    fn take_part(&mut self, index: usize) {
        let Some(device) = self.devices.get(index) else {
            return;
        };
        let rows = device
            .timelines
            .iter()
            .flat_map(|(id, rows)| rows.iter().map(move |row| (*id, row)));
        let numbered = rows.filter_map(|(id, row)| Some((id, row.sequence?, row)));
        let delete = self.rng.chance(200);
        let found: Vec<_> = numbered
            .filter(|(_, _, row)| delete || matches!(row.body, Body::Content(_)))
            .map(|(id, number, row)| (id, number, row.body.clone()))
            .collect();
        let Some((conversation, number, body)) = self.rng.pick(&found).cloned() else {
            return;
        };
        let message = MessageRef::Sequence(number);
        let poll = matches!(&body, Body::Content(it) if matches!(**it, Content::Poll(_)));
        let (count, command) = if delete {
            let all = self.rng.chance(200);
            let command = Command::Delete {
                conversation,
                upto: if all { number } else { 0 },
                numbers: vec![number],
            };
            ("deleted for oneself", command)
        } else if poll && self.rng.chance(200) {
            let command = Command::ClosePoll {
                conversation,
                message,
            };
            ("polls closed", command)
        } else if poll {
            let choices = match self.rng.below(4) {
                3 => Vec::new(),
                option => vec![option as u32],
            };
            let command = Command::Vote {
                conversation,
                message,
                choices,
            };
            match &body {
                Body::Content(it) if matches!(&**it, Content::Poll(it) if it.anonymous) => {
                    ("anonymous votes", command)
                }
                _ => ("votes", command),
            }
        } else {
            let values = vec![AnswerValue {
                id: "note".to_owned(),
                value: "yes".to_owned(),
            }];
            let command = Command::AnswerCard {
                conversation,
                message,
                values,
            };
            ("answers to cards", command)
        };
        if self.command(index, command) {
            self.report.count(count);
        }
    }

    /// A text row of an open timeline, sent or not; mostly an own one.
    fn some_row(&mut self, index: usize, unsent: bool) -> Option<(ConversationId, TimelineRow)> {
        let own = self.rng.chance(900);
        let device = self.devices.get(index)?;
        let rows = device
            .timelines
            .iter()
            .flat_map(|(id, rows)| rows.iter().map(move |row| (*id, row)));
        let mine = rows.filter(|(_, row)| {
            let unsent_row = row.sequence.is_none() && row.state == MessageState::Sending;
            (row.sender == device.user || !own)
                && matches!(row.body, Body::Text(_))
                && (row.sequence.is_some() || (unsent && unsent_row))
        });
        let mine: Vec<(ConversationId, TimelineRow)> =
            mine.map(|(id, row)| (id, row.clone())).collect();
        self.rng.pick(&mine).cloned()
    }

    fn change(&mut self, index: usize) {
        let recall = self.rng.chance(300) && !self.is_stormy();
        // An unsent message may be edited; a recall of one could unmake it, which the model does not follow.
        let Some((conversation, row)) = self.some_row(index, !recall) else {
            return;
        };
        let message = match (row.sequence, row.nonce) {
            (Some(sequence), _) => MessageRef::Sequence(sequence),
            (None, Some(nonce)) => MessageRef::Nonce(nonce),
            _ => return,
        };
        if recall {
            if self.command(
                index,
                Command::Recall {
                    conversation,
                    message,
                },
            ) {
                self.report.count("recalls acknowledged");
            }
            return;
        }
        let times = if self.is_stormy() && self.rng.chance(30) {
            90
        } else {
            1
        };
        for _ in 0..times {
            let Some(device) = self.devices.get_mut(index) else {
                return;
            };
            device.texts += 1;
            let text = format!("edit {index} {}", device.texts);
            let text = self.with_link(text, 200);
            if self.command(
                index,
                Command::EditText {
                    conversation,
                    message,
                    text,
                },
            ) {
                self.report.count("edits acknowledged");
            }
        }
    }

    /// A reaction to what stands on the screen, or a pin.
    fn mark(&mut self, index: usize) {
        let pin = self.rng.chance(200);
        let Some((conversation, row)) = self.some_row(index, true) else {
            return;
        };
        let message = match (row.sequence, row.nonce) {
            (Some(sequence), _) => MessageRef::Sequence(sequence),
            (None, Some(nonce)) => MessageRef::Nonce(nonce),
            _ => return,
        };
        let command = if pin {
            let on = !row.pinned;
            Command::Pin {
                conversation,
                message,
                on,
            }
        } else {
            let keys = ["👍", "😂", "gg"];
            let key = keys[self.rng.below(3) as usize].to_owned();
            let mut reactions = row.reactions.iter().flat_map(|all| all.iter());
            let on = !reactions.any(|one| *one.key == *key && one.mine);
            Command::React {
                conversation,
                message,
                key,
                on,
            }
        };
        let count = if pin { "pins" } else { "reactions" };
        if self.command(index, command) {
            self.report.count(count);
        }
    }

    fn read_up(&mut self, index: usize) {
        let Some(conversation) = self.known(index) else {
            return;
        };
        let upto = if self.rng.chance(700) {
            0
        } else {
            self.rng.between(1, 50)
        };
        self.command(index, Command::MarkRead { conversation, upto });
    }

    fn look(&mut self, index: usize) {
        let Some(conversation) = self.known(index) else {
            return;
        };
        let Some(device) = self.devices.get_mut(index) else {
            return;
        };
        if device.open.remove(&conversation) {
            device.timelines.remove(&conversation);
            self.command(index, Command::Close { conversation });
        } else if device.open.len() < 8 {
            device.open.insert(conversation);
            if !self.command(index, Command::Open { conversation })
                && let Some(device) = self.devices.get_mut(index)
            {
                device.open.remove(&conversation);
            }
        }
    }

    /// Makes, fills and empties groups.
    fn gather(&mut self, index: usize) {
        if self.groups.len() < GROUPS && self.rng.chance(300) {
            let invite = (0..8).map(|_| self.user()).collect();
            let history_for_joiners = *self.rng.pick(&[0, 5, u64::MAX]).unwrap_or(&0);
            self.report.add(
                "late joiners with history",
                u64::from(history_for_joiners > 0),
            );
            let name = format!("group {}", self.groups.len());
            self.command(
                index,
                Command::CreateGroup {
                    name,
                    invite,
                    history_for_joiners,
                },
            );
            return;
        }
        let invited = self
            .devices
            .get(index)
            .and_then(|device| device.invitations.iter().next().copied());
        if let Some(conversation) = invited {
            if let Some(device) = self.devices.get_mut(index) {
                device.invitations.remove(&conversation);
            }
            self.command(index, Command::Join { conversation });
            return;
        }
        // Mostly where this device may do something about members.
        let leads = |row: &&ConversationRow| matches!(row.role, Some(Role::Owner | Role::Admin));
        let led = self.devices.get(index).into_iter().flat_map(|device| {
            let rows = device.list.iter().filter(leads);
            rows.map(|row| row.conversation)
        });
        let led: Vec<ConversationId> = led.filter(|id| self.groups.contains(id)).collect();
        let all: Vec<ConversationId> = self.groups.iter().copied().collect();
        let led = if self.rng.chance(700) { &led } else { &all };
        let Some(conversation) = self.rng.pick(led).copied() else {
            return;
        };
        let user = self.user();
        match self.rng.below(22) {
            // Not invited, as far as this device knows.
            0 => self.command(index, Command::Join { conversation }),
            1..=7 => self.command(
                index,
                Command::Invite {
                    conversation,
                    users: vec![user],
                },
            ),
            8..=13 => self.command(index, Command::RemoveMember { conversation, user }),
            18..=19 => {
                let change = self.some_settings().into();
                self.command(
                    index,
                    Command::SetConversation {
                        conversation,
                        change,
                    },
                )
            }
            14..=17 => {
                let Some(conversation) = self.known(index) else {
                    return;
                };
                self.command(index, Command::Leave { conversation })
            }
            _ => {
                let role = if self.rng.chance(700) {
                    Role::Admin
                } else {
                    Role::Member
                };
                self.command(
                    index,
                    Command::SetRole {
                        conversation,
                        user,
                        role,
                    },
                )
            }
        };
    }

    /// A change of what a group is set to. Mostly its members may write, and need not wait for long.
    fn some_settings(&mut self) -> Settings {
        self.report.count("settings changed");
        let frozen = self.rng.chance(300);
        let slow_mode_ms = *self.rng.pick(&[0, 200, 2_000]).unwrap_or(&0);
        let history = *self.rng.pick(&[0, 5, u64::MAX]).unwrap_or(&0);
        let lifetime_ms = *self.rng.pick(&[0, 5_000, 20_000]).unwrap_or(&0);
        Settings {
            name: Some(format!("group {}", self.rng.below(1_000))),
            frozen: self.rng.chance(600).then_some(frozen),
            slow_mode_ms: self.rng.chance(300).then_some(slow_mode_ms),
            history_for_joiners: self.rng.chance(200).then_some(history),
            lifetime_ms: self.rng.chance(200).then_some(lifetime_ms),
            ..Settings::default()
        }
    }

    /// Only first devices block, so that a user's wishes have one order.
    fn block(&mut self, index: usize) {
        let user = self.user();
        let Some(device) = self.devices.get_mut(index) else {
            return;
        };
        if device.which != 0 || device.user == user || !device.connected {
            return;
        }
        let on = !device.blocking.get(&user).copied().unwrap_or_default();
        // Only a few pairs, so that most talk goes on.
        if on && device.blocking.values().filter(|on| **on).count() >= 2 {
            return;
        }
        device.blocking.insert(user.clone(), on);
        self.report.count("blocks");
        self.command(index, Command::Block { user, on });
    }
}

/// A question that its author numbers, as they number their texts.
fn poll(question: String, ends: WallMs, anonymous: bool) -> NewMessage {
    NewMessage::new(Content::Poll(PollContent {
        question,
        options: ["yes", "no", "later"].map(str::to_owned).into(),
        choices_max: 0,
        ends,
        anonymous,
    }))
}

fn card(title: String) -> NewMessage {
    let note = CardElement {
        kind: ElementKind::Text,
        id: "note".to_owned(),
        label: String::new(),
        options: Vec::new(),
        required: true,
        value: String::new(),
    };
    NewMessage::new(Content::Card(CardContent {
        pages: vec![CardPage {
            title,
            text: String::new(),
            picture: String::new(),
            elements: vec![note],
        }],
    }))
}
