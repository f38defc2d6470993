//! One scripted player: a client, and what he is about to say.

use std::{
    collections::{HashSet, VecDeque},
    sync::mpsc,
    time::{Duration, Instant},
};

use bevy_fireside::UserId;
use fireside_client::{
    Client, ClientConfig, Trust,
    core::{
        Command,
        command::Recipient,
        view::{ConversationRow, Diff},
    },
};
use fireside_protocol::ConversationId;

use super::Plan;
use crate::host::sign;

/// A player's fingers: time a character, and no line takes less or longer than these.
const KEY_TIME: Duration = Duration::from_millis(38);
const TYPING_MIN: Duration = Duration::from_millis(700);
const TYPING_MAX: Duration = Duration::from_millis(2_400);
/// Lines on one's mind; more are forgotten, oldest first.
const LINES_MAX: usize = 8;

/// Whom a line is for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum To {
    /// Everybody at the fire.
    Camp,
    /// One alone.
    Direct(UserId),
}

/// Something to say.
#[derive(Clone, Debug)]
struct Line {
    due: Instant,
    to: To,
    text: String,
    typing: bool,
}

/// A player.
pub(super) struct Actor {
    pub(super) user: UserId,
    pub(super) client: Client,
    pub(super) online: bool,
    /// The camp, once he is in it.
    pub(super) camp: Option<ConversationId>,
    /// Every conversation he is in. Bounded by the client's list.
    pub(super) member_of: HashSet<ConversationId>,
    lines: VecDeque<Line>,
}

impl Actor {
    pub(super) fn log_in(
        name: &str,
        plan: &Plan,
        wake: &mpsc::SyncSender<()>,
    ) -> anyhow::Result<Self> {
        let user = UserId::new(name)?;
        let token = sign(&plan.keys, &user)?;
        let mut config = ClientConfig::new(
            plan.address.to_string(),
            Trust::Pinned(plan.fingerprint),
            token,
        );
        config.user = Some(user.clone());
        config.agent = "arena-cast".to_owned();
        // Nobody at a fire waits long for the world to come back.
        config.reconnect_delay_ms_max = 3_000;
        let client = Client::start(config)?;
        let wake = wake.clone();
        client.set_wake(move || {
            let _ = wake.try_send(());
        });
        client.connect()?;
        client.set_visible(true)?;
        Ok(Self {
            user,
            client,
            online: false,
            camp: None,
            member_of: HashSet::new(),
            lines: VecDeque::new(),
        })
    }

    /// The list of his conversations changed.
    pub(super) fn note_memberships(&mut self, diffs: &[Diff<ConversationRow>]) {
        for diff in diffs {
            match diff {
                Diff::Insert { row, .. } | Diff::Set { row, .. } => self.note_membership(row),
                Diff::Reset { rows } => rows.iter().for_each(|row| self.note_membership(row)),
                Diff::Remove { .. } | Diff::Move { .. } => {}
            }
        }
    }

    fn note_membership(&mut self, row: &ConversationRow) {
        if row.role.is_some() {
            self.member_of.insert(row.conversation);
        } else {
            self.member_of.remove(&row.conversation);
        }
    }

    /// Will say something, after a moment's thought and the time that typing takes.
    pub(super) fn say(&mut self, to: To, text: impl Into<String>, thought: Duration) {
        if self.lines.len() == LINES_MAX {
            self.lines.pop_front();
        }
        let text = text.into();
        // One line after the other.
        let free = self.lines.back().map_or_else(Instant::now, |last| last.due);
        self.lines.push_back(Line {
            due: free.max(Instant::now()) + thought + typing_time(&text),
            to,
            text,
            typing: false,
        });
    }

    /// Says it at once.
    pub(super) fn blurt(&self, to: &To, text: &str) {
        let to = match (to, self.camp) {
            (To::Direct(user), _) => Recipient::User(user.clone()),
            (To::Camp, Some(camp)) => Recipient::Conversation(camp),
            (To::Camp, None) => return,
        };
        self.command(Command::SendText {
            to,
            text: text.to_owned(),
        });
    }

    /// Has nothing on his mind.
    pub(super) fn is_idle(&self) -> bool {
        self.lines.is_empty()
    }

    /// Types, says.
    pub(super) fn step(&mut self, now: Instant) {
        let Some(mut line) = self.lines.pop_front() else {
            return;
        };
        if !self.online || (line.to == To::Camp && self.camp.is_none()) {
            // Nobody would hear it. Later.
            line.due = line.due.max(now + typing_time(&line.text));
            line.typing = false;
            self.lines.push_front(line);
            return;
        }
        let about = match &line.to {
            To::Camp => self.camp,
            To::Direct(user) => Some(ConversationId::direct(&self.user, user)),
        };
        if now >= line.due {
            self.set_typing(about, false);
            self.blurt(&line.to, &line.text);
            return;
        }
        if !line.typing && now + typing_time(&line.text) >= line.due {
            line.typing = true;
            self.set_typing(about, true);
        }
        self.lines.push_front(line);
    }

    fn set_typing(&self, about: Option<ConversationId>, on: bool) {
        if let Some(conversation) = about {
            self.command(Command::Typing { conversation, on });
        }
    }

    /// A scripted player gives no call up for lost: what is not taken now (too many wait) is not said.
    pub(super) fn command(&self, command: Command) {
        if let Err(error) = self.client.command(command) {
            bevy::log::debug!("{}: {error}", self.user);
        }
    }
}

fn typing_time(text: &str) -> Duration {
    let keys = text.chars().count().min(200) as u32;
    (KEY_TIME * keys).clamp(TYPING_MIN, TYPING_MAX)
}
