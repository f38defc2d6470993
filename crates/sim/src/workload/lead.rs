//! What those do who lead: mute, ban, name, link, open to the public, end.

use fireside_client_core::{
    Command,
    view::{Body, ConversationRow},
};
use fireside_protocol::{
    ConversationId, ConversationKind, JoinPolicy, LinkCode, MemberProfile, Role, UserId,
};

/// Communities in one world.
const COMMUNITIES: usize = 2;
/// Channels in one world.
const CHANNELS: usize = 6;
/// Threads in one world that are opened again.
const THREADS: usize = 12;

use super::GROUPS;
use crate::{record::Act, world::World};

impl World {
    /// Something about who is where and may do what.
    pub(super) fn lead_or_be_led(&mut self, index: usize) {
        // What has ended makes room for others.
        let Self {
            groups, devices, ..
        } = self;
        groups.retain(|id| {
            let mut lists = devices.iter().map(|device| &device.list);
            lists.any(|list| {
                list.iter()
                    .any(|row| row.conversation == *id && row.role.is_some())
            })
        });
        match self.rng.below(100) {
            0..=47 => self.lead(index),
            48..=63 => self.belong(index),
            64..=79 if self.groups.len() < GROUPS + 2 => self.publish(index),
            80..=84 => self.meet(index),
            _ => self.come_in(index),
        }
    }

    /// Communities, their channels, and threads.
    fn belong(&mut self, index: usize) {
        let Some(device) = self.devices.get(index) else {
            return;
        };
        let rows = device.timelines.iter();
        let rows = rows.flat_map(|(id, rows)| rows.iter().map(move |row| (*id, row)));
        let said: Vec<(ConversationId, u64)> = rows
            .filter(|(_, row)| matches!(row.body, Body::Text(_)))
            .filter_map(|(id, row)| Some((id, row.sequence?)))
            .collect();
        // Whoever leads one makes its channels.
        let leads = |row: &&ConversationRow| {
            let leads = matches!(row.role, Some(Role::Owner | Role::Admin));
            leads && row.kind == ConversationKind::Community
        };
        let led = self.devices.iter().enumerate().flat_map(|(index, device)| {
            let rows = device.list.iter().filter(leads);
            rows.map(move |row| (index, row.conversation))
        });
        let led: Vec<(usize, ConversationId)> = led.collect();
        let community = self.rng.pick(&led).copied();
        match (self.rng.below(10), community) {
            (0..=4, _) if self.communities < COMMUNITIES => {
                self.communities += 1;
                let invite = (0..4).map(|_| self.user()).collect();
                let name = format!("community {}", self.communities);
                let join = JoinPolicy::Open;
                self.command(index, Command::CreateCommunity { name, invite, join });
            }
            (0..=4, Some((index, community))) if self.channels < CHANNELS => {
                self.channels += 1;
                self.report.count("channels made");
                let name = format!("channel {}", self.channels);
                let by_default = self.rng.chance(600);
                let command = Command::CreateChannel {
                    community,
                    name,
                    join: JoinPolicy::Open,
                    by_default,
                };
                self.command(index, command);
            }
            _ => {
                let below = self.below.iter().copied().collect::<Vec<_>>();
                let again = self.rng.chance(500);
                let known = self.rng.pick(&below).copied().filter(|_| again);
                let found = known.or_else(|| self.rng.pick(&said).copied());
                let Some((conversation, message)) = found else {
                    return;
                };
                let thread = ConversationId::thread(conversation, message);
                self.threads.insert(thread);
                if self.below.len() < THREADS {
                    self.below.insert((conversation, message));
                }
                self.report.count("threads opened");
                let command = Command::OpenThread {
                    conversation,
                    message,
                    name: String::new(),
                };
                self.command(index, command);
            }
        }
    }

    /// Makes a conversation that ends by itself.
    fn meet(&mut self, index: usize) {
        let invite = (0..6).map(|_| self.user()).collect();
        let ends = self.server_now().wall_ms + self.rng.between(2_000, 60_000);
        let join = *self
            .rng
            .pick(&[JoinPolicy::Open, JoinPolicy::Invite])
            .unwrap_or(&JoinPolicy::Invite);
        self.report.count("meetings");
        let name = "meeting".to_owned();
        self.command(
            index,
            Command::CreateMeeting {
                name,
                invite,
                join,
                ends,
            },
        );
    }

    /// Makes a conversation that others come into by themselves.
    fn publish(&mut self, index: usize) {
        let open = self.rng.chance(600);
        let join = if open {
            JoinPolicy::Open
        } else {
            JoinPolicy::Request
        };
        let invite = (0..3).map(|_| self.user()).collect();
        let name = format!("public {}", self.groups.len());
        self.report.count("public conversations");
        self.command(index, Command::CreatePublic { name, invite, join });
    }

    /// Comes into anything there is, asked or not.
    fn come_in(&mut self, index: usize) {
        let links = self.known_links();
        if self.rng.chance(400)
            && let Some((conversation, code)) = self.rng.pick(&links).copied()
        {
            if self.command(index, Command::JoinByLink { conversation, code }) {
                self.report.count("links tried");
            }
            return;
        }
        let all: Vec<ConversationId> = self.groups.iter().copied().collect();
        if let Some(conversation) = self.rng.pick(&all).copied() {
            self.command(index, Command::Join { conversation });
        }
    }

    /// Something that leading takes.
    fn lead(&mut self, index: usize) {
        let leads = |row: &&ConversationRow| matches!(row.role, Some(Role::Owner | Role::Admin));
        // Few lead something: often one of them does it instead.
        let anybody = self.rng.chance(400);
        let led = self.devices.iter().enumerate().flat_map(|(by, device)| {
            let rows = device.list.iter().filter(leads);
            rows.map(move |row| (by, row.conversation, row.role == Some(Role::Owner)))
        });
        let led: Vec<(usize, ConversationId, bool)> = led
            .filter(|(by, id, _)| (anybody || *by == index) && self.groups.contains(id))
            .collect();
        let Some((index, conversation, owns)) = self.rng.pick(&led).copied() else {
            // Whoever leads nothing may still have another name.
            if let Some(conversation) = self.known(index) {
                self.name_member(index, conversation, None);
            }
            return;
        };
        let user = self.user();
        let wall = self.server_now().wall_ms;
        match self.rng.below(24) {
            0..=4 => {
                let long = *self.rng.pick(&[0, 1_000, 4_000, 30_000]).unwrap_or(&0);
                let until = if long == 0 { 0 } else { wall + long };
                self.report.count("mutes");
                self.command(
                    index,
                    Command::Mute {
                        conversation,
                        user,
                        until,
                    },
                );
            }
            5..=7 => {
                let long = *self.rng.pick(&[0, 3_000, 20_000]).unwrap_or(&0);
                let until = if long == 0 { 0 } else { wall + long };
                self.report.count("bans");
                self.command(
                    index,
                    Command::Ban {
                        conversation,
                        user,
                        on: true,
                        until,
                    },
                );
            }
            8 => {
                self.command(
                    index,
                    Command::Ban {
                        conversation,
                        user,
                        on: false,
                        until: 0,
                    },
                );
            }
            9..=11 => {
                let other = self.rng.chance(300).then_some(user);
                self.name_member(index, conversation, other);
            }
            12..=16 => {
                let uses = self.rng.between(1, 2) as u32;
                self.report.count("links made");
                self.command(
                    index,
                    Command::CreateLink {
                        conversation,
                        expires: 0,
                        uses,
                    },
                );
            }
            17..=22 => self.let_in(index, conversation),
            _ => {
                // Seldom: there must be something left to talk in.
                if owns && self.groups.len() >= GROUPS && self.rng.chance(400) {
                    self.report.count("dissolved");
                    self.groups.remove(&conversation);
                    self.command(index, Command::Dissolve { conversation });
                }
            }
        }
    }

    fn name_member(&mut self, index: usize, conversation: ConversationId, user: Option<UserId>) {
        let name = format!("name {}", self.rng.below(1_000));
        self.report.count("members named");
        self.command(
            index,
            Command::SetMember {
                conversation,
                user,
                profile: Box::new(MemberProfile {
                    name: Some(name),
                    attributes: None,
                }),
            },
        );
    }

    /// Answers somebody who asked to come in, or somebody who did not.
    fn let_in(&mut self, index: usize, conversation: ConversationId) {
        let asked = self.record.commands.values().rev();
        let asked = asked.filter(|by| by.place == conversation && by.act == Act::Join);
        let asked: Vec<UserId> = asked.map(|by| by.user.clone()).take(8).collect();
        let Some(user) = self.rng.pick(&asked).cloned() else {
            return;
        };
        let accept = self.rng.chance(800);
        self.command(
            index,
            Command::AnswerRequest {
                conversation,
                user,
                accept,
            },
        );
    }

    /// Links that somebody was told of.
    fn known_links(&self) -> Vec<(ConversationId, LinkCode)> {
        let links = self.record.links();
        links.map(|(place, code, _)| (place, code)).collect()
    }
}
