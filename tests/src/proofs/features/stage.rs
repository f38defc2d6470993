//! The server, three people and a stranger, and the conversations of one scene.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail, ensure};
use fireside_client_core::{
    Command, ConnectionState, NewMessage, command::Recipient, event::Completion,
};
use fireside_protocol::{Content, ConversationId, FriendAction, TextContent, UserId};
use fireside_server::{
    Claims, PreviewSettings, RunningServer, Server, Settings, server::STORE_FILE,
};
use fireside_server_core::{Breaks, Loss};
use rusqlite::{Connection, OpenFlags};

use super::device::{Device, PATIENCE, number_of};
use crate::{pages::PageServer, wire::Target};

/// Who plays.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Role {
    /// Ann's device that is there all the time.
    Ann = 0,
    /// Ann's device that is away while it happens.
    Away = 1,
    Bob = 2,
    Cyd = 3,
}

const NAMES: [&str; 4] = ["ann", "ann", "bob", "cyd"];

pub(super) struct Stage {
    folder: tempfile::TempDir,
    pub(super) server: Option<RunningServer>,
    devices: Vec<Device>,
    /// Where links lead to.
    pub(super) pages: PageServer,
}

/// The conversations of a scene.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// Ann's group, with bob and cyd.
    pub(super) group: ConversationId,
    /// Ann and bob.
    pub(super) direct: ConversationId,
    /// The numbers of what ann, bob and cyd said in the group.
    pub(super) said: [u64; 3],
    /// Of what ann and bob said between them last.
    pub(super) between: [u64; 2],
    /// What the scene wants to remember.
    pub(super) note: u64,
    /// Another conversation that the scene made.
    pub(super) other: Option<ConversationId>,
    /// One that the scene made and that ann is no member of in the end.
    pub(super) ended: Option<ConversationId>,
    /// Reports that the server had before.
    pub(super) reports: usize,
}

impl Stage {
    pub(super) fn set(loss: Loss) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let mut settings = Settings::dev(folder.path().join("server"));
        settings.server.listen = ([127, 0, 0, 1], 0).into();
        settings.limits.rate_direct_per_s = 0;
        settings.limits.rate_group_per_s = 0;
        settings.limits.rate_conversation_per_s = 0;
        settings.limits.rate_requests_per_s = 0;
        settings.limits.breaks = Breaks {
            loss,
            ..Breaks::default()
        };
        settings.previews = PreviewSettings {
            enabled: true,
            http: true,
            other_ports: true,
            danger_reach_own_network: true,
            // Links of other scenes lead outside, and nobody there is to be called.
            allow: vec!["127.0.0.1".to_owned()],
            ..PreviewSettings::default()
        };
        let pages = PageServer::start()?;
        let server = Server::start(settings)?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        let target = Target {
            address: server.address(),
            fingerprint: server.fingerprint().0,
        };
        let mut devices = Vec::new();
        for (index, name) in NAMES.iter().enumerate() {
            let claims = Claims {
                sub: (*name).to_owned(),
                iat: now,
                exp: now + 3_600,
                name: format!("{name}'s name"),
                ..Claims::default()
            };
            let token = server.token_keys().sign(None, &claims)?;
            let cache = folder.path().join(format!("device-{index}"));
            let mut device = Device::start(target, name, &token, Some(cache))?;
            device.connect()?;
            devices.push(device);
        }
        Ok(Self {
            folder,
            server: Some(server),
            devices,
            pages,
        })
    }

    pub(super) fn device(&mut self, role: Role) -> Result<&mut Device> {
        self.devices
            .get_mut(role as usize)
            .context("everybody is there")
    }

    pub(super) fn call(&mut self, role: Role, command: Command) -> Result<Completion> {
        self.device(role)?.call(&command)
    }

    pub(super) fn user(role: Role) -> Result<UserId> {
        let name = NAMES.get(role as usize).context("everybody has a name")?;
        Ok(UserId::new(name)?)
    }

    /// A text in a conversation; its number.
    pub(super) fn say(&mut self, role: Role, id: ConversationId, text: &str) -> Result<u64> {
        let content = Content::Text(TextContent::plain(text));
        self.send(role, id, NewMessage::new(content))
    }

    /// A message; its number.
    pub(super) fn send(
        &mut self,
        role: Role,
        id: ConversationId,
        message: NewMessage,
    ) -> Result<u64> {
        let command = Command::Send {
            to: Recipient::Conversation(id),
            message: Box::new(message),
        };
        number_of(&self.call(role, command)?)
    }

    /// Opens a conversation on both devices of ann, and on the others'.
    pub(super) fn open(&mut self, id: ConversationId) -> Result<()> {
        for device in &mut self.devices {
            device.call(&Command::Open { conversation: id })?;
        }
        Ok(())
    }

    /// New conversations for a scene, which all who are in them have on the screen.
    pub(super) fn place(&mut self) -> Result<Place> {
        let [bob, cyd] = [Self::user(Role::Bob)?, Self::user(Role::Cyd)?];
        let made = self.call(
            Role::Ann,
            Command::CreateGroup {
                name: "the raid".to_owned(),
                invite: vec![bob.clone(), cyd],
                history_for_joiners: 0,
            },
        )?;
        let Completion::Created {
            conversation: group,
        } = made
        else {
            bail!("no group was made: {made:?}");
        };
        for role in [Role::Bob, Role::Cyd] {
            self.call(
                role,
                Command::Join {
                    conversation: group,
                },
            )?;
        }
        let direct = ConversationId::direct(&Self::user(Role::Ann)?, &bob);
        for device in &mut self.devices {
            device.call(&Command::Open {
                conversation: group,
            })?;
            if device.user.as_str() != "cyd" {
                device.call(&Command::Open {
                    conversation: direct,
                })?;
            }
        }
        let mut said = [0; 3];
        for (role, place) in [Role::Ann, Role::Bob, Role::Cyd].into_iter().zip(&mut said) {
            *place = self.say(role, group, "gg")?;
        }
        let mut between = [0; 2];
        for (role, to, place) in [(Role::Ann, Role::Bob, 0), (Role::Bob, Role::Ann, 1)] {
            let to = Recipient::User(Self::user(to)?);
            let text = "hello".to_owned();
            let sent = self.call(role, Command::SendText { to, text })?;
            if let Some(slot) = between.get_mut(place) {
                *slot = number_of(&sent)?;
            }
        }
        let place = Place {
            group,
            direct,
            said,
            between,
            note: 0,
            other: None,
            ended: None,
            reports: 0,
        };
        for role in [Role::Ann, Role::Away] {
            let device = self.device(role)?;
            device.until("the scene's conversations", |it| {
                said.iter()
                    .all(|number| it.message(group, *number).is_some())
                    && between
                        .iter()
                        .all(|number| it.message(direct, *number).is_some())
            })?;
        }
        Ok(place)
    }

    /// Everybody takes it off the screen again: 16 fit.
    pub(super) fn clear(&mut self, place: &Place) -> Result<()> {
        for device in &mut self.devices {
            for conversation in [Some(place.group), place.other].into_iter().flatten() {
                device.call(&Command::Close { conversation })?;
                device.timelines.remove(&conversation);
            }
            device.presence.clear();
            device.events.clear();
            device.typing.clear();
        }
        self.end_what_lasts()
    }

    /// What lasts between people and beyond a conversation would reach into the next scene.
    fn end_what_lasts(&mut self) -> Result<()> {
        let user = Self::user(Role::Cyd)?;
        self.call(Role::Ann, Command::Block { user, on: false })?;
        for role in [Role::Bob, Role::Cyd] {
            if self.device(role)?.state == ConnectionState::Offline {
                self.device(role)?.connect()?;
            }
            if !self.device(role)?.tells {
                self.call(role, Command::SetReceipts { on: true })?;
            }
        }
        for folder in self.device(Role::Ann)?.folders.clone() {
            let remove = Command::SetFolder {
                folder: Some(folder.folder),
                name: String::new(),
                order: 0,
            };
            self.call(Role::Ann, remove)?;
        }
        for friend in self.device(Role::Ann)?.friends.clone() {
            let (user, action) = (friend.user, FriendAction::Remove);
            self.call(Role::Ann, Command::Friend { user, action })?;
        }
        Ok(())
    }

    /// How many reports with so much evidence the server has.
    pub(super) fn reports(&self, evidence_bytes_min: usize) -> Result<usize> {
        let path = self.folder.path().join("server").join(STORE_FILE);
        let file = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        let count: i64 = file.query_row(
            "SELECT count(*) FROM reports WHERE length(evidence) >= ?1",
            [evidence_bytes_min as i64],
            |row| row.get(0),
        )?;
        Ok(usize::try_from(count)?)
    }

    /// Something said last between ann and bob: what came before it has come.
    pub(super) fn settle(&mut self, role: Role, place: &Place) -> Result<u64> {
        let direct = place.direct;
        let number = self.say(Role::Bob, direct, "that is all")?;
        let device = self.device(role)?;
        device.until("what is said last", |it| {
            it.message(direct, number).is_some()
        })?;
        Ok(number)
    }

    /// Waits until both devices of ann show it, and the same; else says what is not so.
    pub(super) fn both_show(
        &mut self,
        place: &Place,
        patience: std::time::Duration,
        shows: fn(&mut Self, Role, &Place) -> Result<bool>,
    ) -> Result<()> {
        let begun = Instant::now();
        loop {
            let mut missing = None;
            for role in [Role::Ann, Role::Away] {
                self.device(role)?.pump();
                if !shows(self, role, place)? {
                    missing = Some(format!("{role:?} does not show it"));
                }
            }
            let ids = [Some(place.group), Some(place.direct), place.other];
            for id in ids.into_iter().flatten() {
                let (Some(one), Some(other)) = (self.devices.first(), self.devices.get(1)) else {
                    bail!("everybody is there");
                };
                if let Some(difference) = one.difference(other, id) {
                    missing.get_or_insert(format!("the two devices differ: {difference}"));
                }
            }
            let Some(missing) = missing else {
                return Ok(());
            };
            ensure!(begun.elapsed() < patience.min(PATIENCE), "{missing}");
        }
    }

    pub(super) fn stop(mut self) {
        for device in &self.devices {
            device.client.shutdown(std::time::Duration::from_secs(2));
        }
        if let Some(server) = self.server.take() {
            server.stop();
        }
    }
}
