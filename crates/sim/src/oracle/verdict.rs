//! What the model says of logs at rest: numbers, names, order, rights, and that nothing acknowledged is gone.

use std::collections::BTreeMap;

use fireside_protocol::{ConversationId, ConversationKind, Entry, EntryKind, Sequence, UserId};

use super::{Check, Log, Logs, Oracle, What, violation};

impl Oracle {
    /// Takes the logs as they are at rest and checks them against what was issued and acknowledged.
    ///
    /// # Errors
    /// The first rule that does not hold.
    pub fn check_logs(&mut self, logs: Logs) -> Check {
        self.logs.clear();
        let mut seen = BTreeMap::new();
        for (id, kind, entries) in logs {
            let mut log = Log {
                direct: kind == ConversationKind::Direct,
                ..Log::default()
            };
            let (mut ordinal, mut at, mut history) = (0, 0, 0);
            let mut counters: BTreeMap<String, u64> = BTreeMap::new();
            for (index, (entry, private)) in entries.iter().enumerate() {
                let n = entry.sequence;
                ordinal += u64::from(entry.is_countable());
                if n != index as u64 + 1 || entry.ordinal != ordinal || entry.at < at {
                    return violation(
                        "numbers",
                        format!(
                            "{id} has {n} (ordinal {}, at {}) at place {}",
                            entry.ordinal,
                            entry.at,
                            index + 1
                        ),
                    );
                }
                at = entry.at;
                let Some(nonce) = entry.nonce else {
                    return violation("once", format!("{id}/{n} has no nonce"));
                };
                let Some(issued) = self.issued.get(&nonce) else {
                    return violation("once", format!("{id}/{n}: nobody gave {nonce}"));
                };
                if let Some(other) = seen.insert(nonce, (id, n)) {
                    return violation("once", format!("{nonce} is {id}/{n} and {other:?}"));
                }
                if issued.user != entry.sender {
                    return violation(
                        "once",
                        format!(
                            "{id}/{n} of {} has the nonce of {}",
                            entry.sender, issued.user
                        ),
                    );
                }
                if log.direct {
                    log.members
                        .entry(entry.sender.clone())
                        .or_insert_with(|| vec![(1, Sequence::MAX)]);
                }
                let allowed = entry.kind == EntryKind::Created
                    || entry.kind == EntryKind::Joined
                    || log.is_member(&entry.sender, n);
                if !allowed {
                    return violation(
                        "rights",
                        format!("{id}/{n} is of {}, who is no member there", entry.sender),
                    );
                }
                match (&issued.what, entry.kind) {
                    (What::Send(to, text), EntryKind::Message) if *to == id => {
                        if let Some((device, count)) = text
                            .split_once('#')
                            .and_then(|(device, rest)| Some((device, rest.parse::<u64>().ok()?)))
                        {
                            if counters.get(device).is_some_and(|before| *before >= count) {
                                return violation(
                                    "order",
                                    format!(
                                        "{id}/{n}: {text} comes after {device}#{:?}",
                                        counters.get(device)
                                    ),
                                );
                            }
                            counters.insert(device.to_owned(), count);
                        }
                        log.texts.insert(n, (text.clone(), false, false));
                    }
                    (What::Edit(to, text), EntryKind::Edit) if *to == id => {
                        match log.texts.get_mut(&entry.target) {
                            Some(item) if !item.2 => *item = (text.clone(), true, false),
                            _ => {
                                return violation(
                                    "state",
                                    format!(
                                        "{id}/{n} edits {}, which is no live message",
                                        entry.target
                                    ),
                                );
                            }
                        }
                    }
                    (What::Recall(to), EntryKind::Recall) if *to == id => {
                        match log.texts.get_mut(&entry.target) {
                            Some(item) if !item.2 => *item = (String::new(), false, true),
                            _ => {
                                return violation(
                                    "state",
                                    format!(
                                        "{id}/{n} recalls {}, which is no live message",
                                        entry.target
                                    ),
                                );
                            }
                        }
                    }
                    (What::CreateGroup { history: chosen }, EntryKind::Created) => {
                        history = *chosen;
                    }
                    (
                        What::Other,
                        EntryKind::Joined | EntryKind::Left | EntryKind::Removed | EntryKind::Role,
                    ) => {}
                    other => {
                        return violation(
                            "state",
                            format!("{id}/{n} is not what its command said: {other:?}"),
                        );
                    }
                }
                log.membership(entry, history);
                log.entries.push((entry.clone(), *private));
                if log.direct {
                    self.check_private(id, entry, *private)?;
                }
            }
            self.logs.insert(id, log);
        }
        for (nonce, (id, sequence, at)) in &self.acked {
            if *sequence == 0 {
                continue;
            }
            let entry = self
                .logs
                .get(id)
                .and_then(|log| log.entries.get((*sequence - 1) as usize))
                .map(|(entry, _)| entry);
            if entry.is_none_or(|entry| entry.nonce != Some(*nonce) || entry.at != *at) {
                return violation(
                    "durable",
                    format!("{nonce} was acknowledged as {id}/{sequence} and is not there"),
                );
            }
        }
        self.check_deliveries()
    }

    /// Where it is certain whether a block held, the entry is private or not accordingly.
    fn check_private(&self, id: ConversationId, entry: &Entry, private: bool) -> Check {
        if entry.kind != EntryKind::Message {
            return Ok(());
        }
        match self.blocked_at(id, &entry.sender, entry.sequence) {
            Some(blocked) if blocked != private => violation(
                "rights",
                format!(
                    "{id}/{} of {}: blocked is {blocked}, private is {private}",
                    entry.sequence, entry.sender
                ),
            ),
            _ => Ok(()),
        }
    }

    /// Whether `sender`'s message with this number was sent under a block by or of the other side; `None`: cannot be said.
    fn blocked_at(&self, id: ConversationId, sender: &UserId, n: Sequence) -> Option<bool> {
        let mut certain = Some(false);
        let mut pairs: BTreeMap<(&UserId, &UserId), Option<bool>> = BTreeMap::new();
        for fact in self
            .block_order
            .iter()
            .filter_map(|nonce| self.blocks.get(nonce))
        {
            let about = (fact.by == *sender || fact.of == *sender)
                && ConversationId::direct(&fact.by, &fact.of) == id;
            if !about {
                continue;
            }
            let given = fact.given.get(&id).copied().unwrap_or_default();
            let acked = fact
                .acked
                .as_ref()
                .map(|lasts| lasts.get(&id).copied().unwrap_or_default());
            let state = pairs.entry((&fact.by, &fact.of)).or_insert(Some(false));
            *state = match acked {
                Some(acked) if n > acked => Some(fact.on),
                _ if n <= given => *state,
                _ if *state == Some(fact.on) => *state,
                _ => None,
            };
        }
        for state in pairs.values() {
            match state {
                Some(true) => return Some(true),
                Some(false) => {}
                None => certain = None,
            }
        }
        certain
    }

    fn check_deliveries(&self) -> Check {
        for (user, id, n, target) in &self.delivered {
            let Some(log) = self.logs.get(id) else {
                return violation("rights", format!("{user} got {id}/{n} of no log"));
            };
            let about = if *target == 0 { *n } else { *target };
            let Some((entry, private)) = log.entries.get((about - 1) as usize) else {
                return violation(
                    "durable",
                    format!("{user} got {id}/{n}, which is not there"),
                );
            };
            let other = &entry.sender != user;
            if log.direct && other && ConversationId::direct(user, &entry.sender) != *id {
                return violation(
                    "rights",
                    format!("{user} got {id}/{n} of {}, a stranger's", entry.sender),
                );
            }
            if !log.covers(user, about) || (other && *private) {
                return violation(
                    "rights",
                    format!(
                        "{user} got {id}/{n} (about {about} of {}, private {private})",
                        entry.sender
                    ),
                );
            }
            if log.direct || !other || entry.kind != EntryKind::Message || *target != 0 {
                continue;
            }
            let mut facts = self
                .block_order
                .iter()
                .filter_map(|nonce| self.blocks.get(nonce))
                .filter(|f| f.by == *user && f.of == entry.sender);
            let closed = facts.clone().any(|fact| {
                fact.on
                    && fact
                        .acked
                        .as_ref()
                        .is_some_and(|lasts| *n > lasts.get(id).copied().unwrap_or_default())
            });
            if closed && !facts.any(|fact| !fact.on) {
                return violation(
                    "rights",
                    format!(
                        "{user} got {id}/{n} of {} after the block was acknowledged",
                        entry.sender
                    ),
                );
            }
        }
        Ok(())
    }
}
