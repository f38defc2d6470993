//! The world at rest: nothing breaks any more, everybody is online, everything has arrived. Then everything is compared.

use std::collections::{BTreeMap, BTreeSet};

use fireside_client_core::{
    Command,
    view::{Body, MessageState},
};
use fireside_protocol::{
    ConversationId, Entry, EntryKind, Sequence, TextContent, UserId, decode,
    limits::UNREAD_COUNT_MAX,
};

use crate::{
    client_disk::ClientDisk,
    device::Device,
    oracle::{Expected, Violation},
    world::{What, World},
};

/// Virtual time in which everything must have settled, in ms.
const SETTLE_MS: u64 = 240_000;
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
            self.schedule(5, What::ClientStart(index));
        }
        self.run_for(60_000)?;
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
        let deadline = self.now + SETTLE_MS;
        self.run_for(QUIET_MS)?;
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
        self.run_for(5_000)?;
        self.compare()
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
            let behind = device
                .disk
                .conversations
                .values()
                .any(|record| is_open_ended(device, record));
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
                .filter(|record| is_open_ended(device, record))
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

    fn compare(&mut self) -> Result<(), Violation> {
        let logs = self.logs();
        self.oracle.check_logs(logs)?;
        for ((key, _), seen) in &self.owed {
            let up = self
                .links
                .get(key)
                .is_some_and(|link| link.client_open && link.server_open);
            if up {
                let seen = seen.clone();
                return Err(Violation {
                    rule: "dense",
                    seen,
                });
            }
        }
        self.check_store()?;
        for index in 0..self.devices.len() {
            let Some(device) = self.devices.get(index) else {
                continue;
            };
            let blocked = self.blocked(&device.user);
            for nonce in &device.outboxed {
                let failed = device
                    .disk
                    .outbox
                    .get(nonce)
                    .is_some_and(|record| record.failed != 0);
                let lost = !device.forgetful
                    && !failed
                    && !self.oracle.has_effect(*nonce)
                    && !self.report_refused(*nonce);
                if lost {
                    let seen = format!(
                        "{} (device {index}) had {nonce} in its outbox and it is nowhere",
                        device.user
                    );
                    return Err(Violation {
                        rule: "outbox",
                        seen,
                    });
                }
            }
            for (id, _) in self.server.disk.database.conversations() {
                if !self.oracle.is_member(id, &device.user) {
                    continue;
                }
                let expected = self.oracle.expected(id, &device.user, &blocked);
                self.compare_held(device, id, &expected)?;
                self.compare_rows(device, id, &expected)?;
                self.compare_list(device, id, &expected)?;
            }
        }
        Ok(())
    }

    /// Commands that the server refused for good stay refused; the device drops or keeps them as failed.
    const fn report_refused(&self, _nonce: fireside_protocol::Nonce) -> bool {
        false
    }

    /// The server's own state of each item is what the commands make of it.
    fn check_store(&self) -> Result<(), Violation> {
        for (id, _, entries) in self.logs() {
            for (entry, _) in entries {
                if entry.kind != EntryKind::Message {
                    continue;
                }
                let own = self.oracle.expected(id, &entry.sender, &BTreeSet::new());
                if let Some(expected) = own.get(&entry.sequence) {
                    same(&entry, expected).map_err(|seen| Violation {
                        rule: "state",
                        seen: format!("the server's {id}: {seen}"),
                    })?;
                }
            }
        }
        Ok(())
    }

    fn blocked(&self, user: &UserId) -> BTreeSet<UserId> {
        let wishes = self
            .devices
            .iter()
            .filter(|device| device.user == *user && device.which == 0);
        wishes
            .flat_map(|device| {
                device
                    .blocking
                    .iter()
                    .filter(|(_, on)| **on)
                    .map(|(other, _)| other.clone())
            })
            .collect()
    }

    /// What a device holds is what it should see, and all of it.
    fn compare_held(
        &self,
        device: &Device,
        id: ConversationId,
        expected: &BTreeMap<Sequence, Expected>,
    ) -> Result<(), Violation> {
        let who = format!("{} (device {}) in {id}", device.user, device.index);
        let held = held(&device.disk, id);
        for (sequence, entry) in &held {
            let Some(expected) = expected.get(sequence) else {
                return Err(Violation {
                    rule: "rights",
                    seen: format!("{who} holds {sequence}, which it may not see"),
                });
            };
            same(entry, expected).map_err(|seen| Violation {
                rule: "state",
                seen: format!("{who}: {seen}"),
            })?;
        }
        let Some(record) = device.disk.conversations.get(&id) else {
            if expected
                .values()
                .all(|item| item.kind != EntryKind::Message)
            {
                return Ok(());
            }
            return Err(Violation {
                rule: "converge",
                seen: format!("{who} does not know the conversation"),
            });
        };
        let last = self.oracle.newest(id, expected);
        if record.last_known < last {
            let seen = format!("{who} knows {} of {last}", record.last_known);
            return Err(Violation {
                rule: "converge",
                seen,
            });
        }
        let covered = |n: Sequence| {
            record
                .covered
                .iter()
                .any(|range| range.first <= n && n <= range.last)
        };
        for sequence in expected.keys().filter(|sequence| covered(**sequence)) {
            if !held.contains_key(sequence) {
                return Err(Violation {
                    rule: "dense",
                    seen: format!("{who} covers {sequence} and does not hold it"),
                });
            }
        }
        let newest = expected.keys().next_back().copied().unwrap_or_default();
        if newest > 0 && !covered(newest) {
            return Err(Violation {
                rule: "converge",
                seen: format!("{who} misses {newest}, the newest it may see"),
            });
        }
        Ok(())
    }

    /// What an open timeline shows is the newest part of what it should.
    fn compare_rows(
        &self,
        device: &Device,
        id: ConversationId,
        expected: &BTreeMap<Sequence, Expected>,
    ) -> Result<(), Violation> {
        let Some(rows) = device.timelines.get(&id) else {
            return Ok(());
        };
        let who = format!("{} (device {}) shows of {id}", device.user, device.index);
        let wrong = |seen: String| {
            Err(Violation {
                rule: "views",
                seen: format!("{who}: {seen}"),
            })
        };
        let mut names = BTreeSet::new();
        let mut before = 0;
        for row in rows {
            if !names.insert(row.row) {
                return wrong(format!("row {} twice", row.row));
            }
            let Some(sequence) = row.sequence else {
                if row.body != Body::Hole && !matches!(row.state, MessageState::Failed(_)) {
                    return wrong(format!("an unsent row at rest: {row:?}"));
                }
                continue;
            };
            if sequence <= before {
                return wrong(format!("{sequence} after {before}"));
            }
            before = sequence;
            let Some(item) = expected.get(&sequence) else {
                return wrong(format!("{sequence}, which it may not see"));
            };
            let fits = match &row.body {
                Body::Text(text) => item.text.as_deref() == Some(text.as_ref()),
                Body::Recalled => item.recalled,
                Body::Hole => false,
                _ => item.kind != EntryKind::Message,
            };
            if !fits || (!item.recalled && row.edited != item.edited) || row.sender != item.sender {
                return wrong(format!("{row:?} instead of {item:?}"));
            }
        }
        let newest = expected.keys().next_back().copied().unwrap_or_default();
        if before != newest {
            return wrong(format!("up to {before} instead of {newest}"));
        }
        Ok(())
    }

    /// The list's line says what a recount says.
    fn compare_list(
        &self,
        device: &Device,
        id: ConversationId,
        expected: &BTreeMap<Sequence, Expected>,
    ) -> Result<(), Violation> {
        let messages: Vec<&Expected> = expected
            .values()
            .filter(|item| item.kind == EntryKind::Message)
            .collect();
        let Some(row) = device.list.iter().find(|row| row.conversation == id) else {
            if messages.is_empty() {
                return Ok(());
            }
            return Err(Violation {
                rule: "views",
                seen: format!(
                    "{} (device {}) does not list {id}",
                    device.user, device.index
                ),
            });
        };
        let own = messages
            .iter()
            .filter(|item| item.sender == device.user)
            .map(|item| item.sequence)
            .max()
            .unwrap_or_default();
        let marker = own.max(self.server.disk.database.read_marker(id, &device.user));
        let unread = messages
            .iter()
            .filter(|item| item.countable && item.sequence > marker)
            .count() as u32;
        if row.unread.min(UNREAD_COUNT_MAX + 1) != unread.min(UNREAD_COUNT_MAX + 1) {
            let seen = format!(
                "{} (device {}) shows {} unread in {id}, a recount says {unread} (marker {marker})",
                device.user, device.index, row.unread
            );
            return Err(Violation {
                rule: "unread",
                seen,
            });
        }
        let last = messages.last();
        if let Some(text) = last.and_then(|last| last.text.as_ref())
            && !text.starts_with(row.preview.trim_end_matches('…'))
        {
            let seen = format!(
                "{} (device {}) previews {:?} of {id} instead of {text:?}",
                device.user, device.index, row.preview
            );
            return Err(Violation {
                rule: "unread",
                seen,
            });
        }
        Ok(())
    }
}

fn is_open_ended(
    device: &Device,
    record: &fireside_client_core::storage::ConversationRecord,
) -> bool {
    let _ = device;
    let covered_end = record.covered.last().map_or(0, |range| range.last);
    record.head.role.is_some() && covered_end < record.last_known
}

fn held(disk: &ClientDisk, id: ConversationId) -> BTreeMap<Sequence, Entry> {
    let items = disk.items.range((id, 0)..=(id, Sequence::MAX));
    items
        .filter_map(|((_, sequence), item)| Some((*sequence, decode::<Entry>(&item.body).ok()?)))
        .collect()
}

fn same(entry: &Entry, expected: &Expected) -> Result<(), String> {
    let recalled = entry.tombstone.is_some();
    let text = decode::<TextContent>(&entry.content)
        .ok()
        .map(|content| content.text)
        .filter(|_| !recalled);
    let message = entry.kind == EntryKind::Message;
    if entry.kind != expected.kind
        || entry.sender != expected.sender
        || (message
            && (text != expected.text
                || recalled != expected.recalled
                || entry.edited != expected.edited))
    {
        return Err(format!(
            "{} is {text:?} (recalled {recalled}, edited {}) instead of {expected:?}",
            entry.sequence, entry.edited
        ));
    }
    Ok(())
}
