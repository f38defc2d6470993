//! The world at rest: nothing breaks any more, everybody is online, everything has arrived. Then everything is compared.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use bytes::Bytes;
use fireside_client_core::{
    Command,
    view::{ConversationRow, MessageState, TIMELINE_ROWS_MAX, TimelineRow},
};
use fireside_protocol::{
    ClientFrame, ConversationId, DeviceId, Entry, EntryKind, Sequence, UserId, decode,
};
use fireside_server_core::Login;

use crate::{
    device::Device,
    network::{Link, LinkKey},
    oracle::{
        Oracle,
        own::{OwnLine, OwnShown},
    },
    record::{Look, Record, Shown, UNREAD_SHOWN_MAX, View},
    violation::Violation,
    world::{CLOCK_JUMP_MS, TOKEN_LIFE_MS, What, World},
};

/// The client of links that belong to no device.
pub(crate) const WITNESS: usize = usize::MAX;
/// How often commands without an answer are sent again at rest.
const ASK_ROUNDS: usize = 20;
/// Virtual time in which everything must have settled, in ms.
const SETTLE_MS: u64 = 240_000;
/// Bytes of a shortened preview at least.
const PREVIEW_BYTES: usize = 100;
/// Longer than heads look back before a device's last stamp, in ms.
const LONG_AWAY_MS: u64 = 70_000;
/// Quiet time after which nothing more is expected, in ms.
const QUIET_MS: u64 = 40_000;

impl World {
    /// Lets everything settle and compares it.
    ///
    /// # Errors
    /// The first rule that does not hold.
    pub(crate) fn rest(&mut self) -> Result<(), Violation> {
        self.working = false;
        self.faults = false;
        let now = self.now;
        self.server.disk.full_until_ms = 0;
        self.server.disk.stalled_until_ms = 0;
        for link in self.links.values_mut() {
            link.slow_until_ms = link.slow_until_ms.min(now);
        }
        let devices = self.devices.len();
        for index in 0..devices {
            if let Some(device) = self.devices.get_mut(index) {
                device.asleep_until = 0;
                if device.disk.broken || device.forgetful {
                    // A broken disk is mended by a restart.
                    device.disk.broken = false;
                    self.kill_client(index);
                }
            }
            // Some come back after longer than heads look back.
            let away = self.devices.get(index);
            let away = away.is_some_and(|device| device.session.is_none()) && self.rng.chance(300);
            let pause = if away { LONG_AWAY_MS } else { 5 };
            self.schedule(pause, What::ClientStart(index));
        }
        self.run_for(LONG_AWAY_MS + 20_000)?;
        for index in 0..devices {
            self.command(index, Command::SetBackgroundFill(true));
            self.stop_composing(index);
        }
        self.settle()?;
        self.ask_again()?;
        // A block whose answer was lost is given again, so that both sides know what holds.
        for index in 0..devices {
            let wishes: Vec<(UserId, bool)> =
                self.devices.get(index).map_or_else(Vec::new, |device| {
                    device.blocking.clone().into_iter().collect()
                });
            for (user, on) in wishes {
                self.command(index, Command::Block { user, on });
            }
            self.command(index, Command::SetBackgroundFill(true));
        }
        self.run_for(QUIET_MS)?;
        self.settle()?;
        self.run_for(5_000)?;
        self.ask_again()?;
        self.run_for(5_000)?;
        self.judge()
    }

    fn settle(&mut self) -> Result<(), Violation> {
        let deadline = self.now + SETTLE_MS;
        while !self.is_settled() {
            if self.now > deadline {
                let seen = self.unsettled();
                return Err(Violation {
                    rule: "converge",
                    seen,
                });
            }
            self.run_for(2_000)?;
        }
        Ok(())
    }

    pub(crate) fn run_for(&mut self, ms: u64) -> Result<(), Violation> {
        let until = self.now + ms;
        while self.now < until {
            self.step()?;
        }
        Ok(())
    }

    fn is_settled(&self) -> bool {
        self.devices.iter().all(|device| {
            let pending = device.disk.outbox.values().any(|record| record.failed == 0);
            let behind = device.disk.conversations.values().any(is_open_ended);
            device.connected && !pending && !behind
        })
    }

    fn unsettled(&self) -> String {
        let mut seen = String::new();
        for device in &self.devices {
            let pending = device
                .disk
                .outbox
                .values()
                .filter(|record| record.failed == 0)
                .count();
            let behind: Vec<String> = device
                .disk
                .conversations
                .values()
                .filter(|record| is_open_ended(record))
                .map(|record| {
                    format!(
                        "{} known to {}, covered {:?}",
                        record.head.conversation, record.last_known, record.covered
                    )
                })
                .collect();
            let kinds: Vec<String> = device
                .disk
                .outbox
                .values()
                .filter(|record| record.failed == 0)
                .map(|record| {
                    format!(
                        "kind {} in {} (tried {})",
                        record.kind, record.conversation, record.tried
                    )
                })
                .collect();
            if pending > 0 || !behind.is_empty() || !device.connected {
                seen.push_str(&format!(
                    "{} (device {}): connected {}, unsent {kinds:?}, behind in {behind:?}; ",
                    device.user, device.index, device.connected
                ));
            }
        }
        seen
    }

    /// Asks for what came of commands that nobody got an answer to, as a device of the user that never slept would: by sending them
    /// again under their names. From here on all that was ever done is acknowledged.
    fn ask_again(&mut self) -> Result<(), Violation> {
        let mut borrowed = self.borrowed();
        for _ in 0..ASK_ROUNDS {
            let mut asked: Vec<(UserId, ClientFrame)> = self
                .record
                .unanswered()
                .map(|(user, frame)| (user.clone(), frame.clone()))
                .collect();
            asked.extend(borrowed.take());
            if asked.is_empty() {
                return Ok(());
            }
            self.report.add("asked again at rest", asked.len() as u64);
            let users: BTreeSet<UserId> = asked.iter().map(|(user, _)| user.clone()).collect();
            let links: BTreeMap<UserId, LinkKey> = users
                .into_iter()
                .map(|user| (user.clone(), self.witness(user)))
                .collect();
            for (place, (user, frame)) in asked.into_iter().enumerate() {
                if let Some(link) = links.get(&user) {
                    let request = place as u32 + 1;
                    // One after the other, as they came first.
                    let at = place as u64 * 5;
                    self.schedule(at, What::ToServer(*link, 0, frame.encode(request)));
                }
            }
            self.run_for(6_000)?;
            for link in links.into_values() {
                if let Some(link) = self.links.get_mut(&link) {
                    link.client_open = false;
                }
                self.server_lost(link);
            }
        }
        let open: Vec<_> = self.record.unanswered().collect();
        if open.is_empty() {
            return Ok(());
        }
        let seen = format!("no answer at rest: {open:?}");
        Err(Violation {
            rule: "converge",
            seen,
        })
    }

    /// A message of one user under a name that another has used: names are of their users.
    fn borrowed(&mut self) -> Option<(UserId, ClientFrame)> {
        let says: Vec<_> = self.record.acked().map(|acked| acked.by).collect();
        let (one, other) = (self.rng.pick(&says)?, self.rng.pick(&says)?);
        let (user, mut frame) = (other.user.clone(), other.frame.clone());
        let ClientFrame::Send(send) = &mut frame else {
            return None;
        };
        let name = one.frame.nonce().filter(|_| one.user != user)?;
        send.nonce = name;
        let fresh = !self.record.commands.contains_key(&(user.clone(), name));
        self.report.add("name of another used", u64::from(fresh));
        fresh.then_some((user, frame))
    }

    /// A link of one more device of a user.
    fn witness(&mut self, user: UserId) -> LinkKey {
        let key = self.fresh_link();
        let mut link = Link::new(WITNESS, 0, 0, self.server.life, 2);
        (link.client_open, link.server_open) = (true, true);
        self.links.insert(key, link);
        let now = self.server_now();
        let login = Login {
            user,
            device: DeviceId([0xee; 16]),
            name: String::new(),
            roles: Vec::new(),
            platform: String::new(),
            agent: String::new(),
            issued_at: now.wall_ms,
            token_expires: now.wall_ms + TOKEN_LIFE_MS,
            request: 0,
            version: 1,
            resume_secret: Bytes::new(),
            user_cursor: 0,
            heads_since: now.wall_ms,
            open: Vec::new(),
            no_sync: true,
            early: false,
        };
        self.log_in(key, login);
        self.pump_server();
        key
    }

    /// Everything against the oracle.
    fn judge(&mut self) -> Result<(), Violation> {
        let mut record = std::mem::take(&mut self.record);
        record.previews = self.server.disk.database.previews();
        let verdict = self.judge_record(&record);
        self.record = record;
        verdict
    }

    fn judge_record(&self, record: &Record) -> Result<(), Violation> {
        let wall = self.server_now().wall_ms;
        let broken = |rule, seen| Err(Violation { rule, seen });
        let oracle = Oracle::new(record, self.window_ms() + CLOCK_JUMP_MS, wall)?;
        oracle.check_wire()?;
        for ((key, _), seen) in &self.owed {
            let link = self.links.get(key);
            if link.is_some_and(|link| link.client_open && link.server_open) {
                return broken("dense", seen.clone());
            }
        }
        for device in &self.devices {
            let who = format!("{} (device {})", device.user, device.index);
            let order = |row: &ConversationRow| {
                (
                    Reverse(row.personal.pinned),
                    Reverse(row.at),
                    row.conversation,
                )
            };
            if !device.list.is_sorted_by_key(order) {
                return broken("views", format!("{who}'s list is not in order"));
            }
            for nonce in &device.outboxed {
                let failed = device.disk.outbox.get(nonce);
                let failed = failed.is_some_and(|record| record.failed != 0);
                let known = record.commands.get(&(device.user.clone(), *nonce));
                if !device.forgetful && !failed && known.is_none_or(|it| it.answer.is_none()) {
                    return broken("outbox", format!("{who} had {nonce}, and it is nowhere"));
                }
            }
            for id in record.places() {
                oracle.check_device(&shown(device, id))?;
            }
            oracle.check_own(&own_shown(device))?;
        }
        oracle.check_friends()?;
        oracle.check_marks()?;
        Ok(())
    }
}

/// What a device shows of what belongs to its user.
fn own_shown(device: &Device) -> OwnShown<'_> {
    let last_message = |id: ConversationId| {
        let items = device.disk.items.range((id, 0)..=(id, Sequence::MAX));
        let mut items = items.rev();
        let is_message = |entry: Entry| entry.kind == EntryKind::Message;
        let last = items.find(|(_, item)| decode(&item.body).is_ok_and(is_message));
        last.map_or(0, |((_, sequence), _)| *sequence)
    };
    let lines = device.list.iter().map(|row| OwnLine {
        id: row.conversation,
        member: row.role.is_some(),
        unread: row.unread,
        personal: row.personal,
        draft: row.draft.as_ref().map(|draft| draft.text.to_string()),
        last_message: last_message(row.conversation),
    });
    OwnShown {
        user: &device.user,
        index: device.index,
        badge: device.badge,
        lines: lines.collect(),
        friends: (device.friends.iter())
            .map(|row| (row.user.clone(), row.state))
            .collect(),
        folders: (device.folders.iter())
            .map(|row| (row.folder, row.name.to_string()))
            .collect(),
    }
}

/// What a device has and shows of a conversation.
fn shown(device: &Device, id: ConversationId) -> Shown<'_> {
    let items = device.disk.items.range((id, 0)..=(id, Sequence::MAX));
    let held =
        items.filter_map(|((_, n), item)| Some((*n, Look::of(&decode::<Entry>(&item.body).ok()?))));
    let row = |row: &TimelineRow| {
        let failed = matches!(row.state, MessageState::Failed(_));
        let number = row.sequence.unwrap_or(0);
        (!failed).then(|| (number, Look::of_row(row), row.state.clone()))
    };
    let line = device.list.iter().find(|row| row.conversation == id);
    let known = device.disk.conversations.get(&id);
    let held: BTreeMap<Sequence, Look> = held.collect();
    // Of a long message the list shows the beginning.
    let whole = |shown: &str| {
        let start = shown
            .strip_suffix('…')
            .filter(|it| it.len() >= PREVIEW_BYTES);
        let text = held.values().rev().find_map(|look| look.text.as_ref());
        let text = text.filter(|text| start.is_some_and(|start| text.starts_with(start)));
        text.map_or_else(|| shown.to_owned(), String::clone)
    };
    let view = line.map(|line| View {
        role: line.role,
        last: known.map_or(0, |record| record.last_known.min(line.last)),
        at: line.at,
        unread: (line.unread as usize).min(UNREAD_SHOWN_MAX),
        sender: line.last_sender.clone(),
        preview: whole(&line.preview),
        items: held.clone(),
    });
    let timeline = device.timelines.get(&id);
    Shown {
        user: &device.user,
        index: device.index,
        id,
        view,
        rows: timeline.map(|rows| rows.iter().filter_map(row).collect()),
        // Full, it may be scrolled to older ones.
        top: timeline
            .filter(|rows| rows.len() == TIMELINE_ROWS_MAX)
            .and_then(|rows| rows.last()?.sequence)
            .unwrap_or(Sequence::MAX),
    }
}

fn is_open_ended(record: &fireside_client_core::storage::ConversationRecord) -> bool {
    let covered_end = record.covered.last().map_or(0, |range| range.last);
    // Of what the user deleted to the end nothing is held.
    let sees_end = record.head.visible_from <= record.last_known;
    record.head.role.is_some() && sees_end && covered_end < record.last_known
}
