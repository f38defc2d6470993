//! The reference model. It sees commands as clients put them on the wire, acknowledgements and deliveries as clients get them, and at
//! rest the logs; it has its own copy of the rules. It shares no code with the cores but the wire's types.

use std::collections::{BTreeMap, BTreeSet};

use fireside_protocol::{
    ClientFrame, ConversationId, ConversationKind, Entry, EntryKind, Nonce, Sequence, TextContent,
    UserId, decode,
};

/// A rule that was broken: which, and what was seen.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Violation {
    /// Named as in `docs/model.md`.
    pub rule: &'static str,
    /// What was seen.
    pub seen: String,
}

type Check = Result<(), Violation>;

/// Logs as they are: entries with whether they are private.
pub type Logs = Vec<(ConversationId, ConversationKind, Vec<(Entry, bool)>)>;

fn violation<T>(rule: &'static str, seen: impl Into<String>) -> Result<T, Violation> {
    Err(Violation {
        rule,
        seen: seen.into(),
    })
}

/// What a command said, under its name.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Issued {
    user: UserId,
    what: What,
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum What {
    Send(ConversationId, String),
    Edit(ConversationId, String),
    Recall(ConversationId),
    CreateGroup { history: u64 },
    Other,
}

/// A block that was acknowledged, with how far each log was when it was given and when it was acknowledged.
#[derive(Clone, Debug)]
struct BlockFact {
    by: UserId,
    of: UserId,
    on: bool,
    given: BTreeMap<ConversationId, Sequence>,
    acked: Option<BTreeMap<ConversationId, Sequence>>,
}

/// A membership, both ends included.
type Interval = (Sequence, Sequence);

/// What a user should see of an item.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Expected {
    /// Its number.
    pub sequence: Sequence,
    /// What it is.
    pub kind: EntryKind,
    /// Who.
    pub sender: UserId,
    /// The text now; `None` for system items and recalled ones.
    pub text: Option<String>,
    /// Its author changed it.
    pub edited: bool,
    /// It was taken back.
    pub recalled: bool,
    /// Counts as unread.
    pub countable: bool,
}

/// A log and what follows from it.
#[derive(Clone, Debug, Default)]
struct Log {
    direct: bool,
    entries: Vec<(Entry, bool)>,
    members: BTreeMap<UserId, Vec<Interval>>,
    texts: BTreeMap<Sequence, (String, bool, bool)>,
}

/// The model.
#[derive(Clone, Debug, Default)]
pub struct Oracle {
    issued: BTreeMap<Nonce, Issued>,
    acked: BTreeMap<Nonce, (ConversationId, Sequence, u64)>,
    blocks: BTreeMap<Nonce, BlockFact>,
    block_order: Vec<Nonce>,
    /// (user, conversation, number) got as a body, with the target of a change.
    delivered: BTreeSet<(UserId, ConversationId, Sequence, Sequence)>,
    logs: BTreeMap<ConversationId, Log>,
}

fn text_of(content: &bytes::Bytes) -> String {
    decode::<TextContent>(content)
        .map_or_else(|_| "(not a text)".to_owned(), |content| content.text)
}

impl Oracle {
    /// A client put a command on the wire; `lasts` are the logs' ends now. A retry must say the same as the first try.
    pub fn on_command(
        &mut self,
        user: &UserId,
        frame: &ClientFrame,
        lasts: &dyn Fn() -> BTreeMap<ConversationId, Sequence>,
    ) -> Check {
        let Some(nonce) = frame.nonce() else {
            return Ok(());
        };
        let what = match frame {
            ClientFrame::Send(send) => What::Send(send.conversation, text_of(&send.content)),
            ClientFrame::Edit(edit) => What::Edit(edit.conversation, text_of(&edit.content)),
            ClientFrame::Recall(recall) => What::Recall(recall.conversation),
            ClientFrame::CreateGroup(create) => What::CreateGroup {
                history: create.history_for_joiners,
            },
            _ => What::Other,
        };
        let issued = Issued {
            user: user.clone(),
            what,
        };
        match self.issued.get(&nonce) {
            Some(first) if *first != issued => {
                return violation("once", format!("{nonce} was {first:?} and is {issued:?}"));
            }
            Some(_) => return Ok(()),
            None => self.issued.insert(nonce, issued),
        };
        if let ClientFrame::Block(block) = frame {
            let fact = BlockFact {
                by: user.clone(),
                of: block.user.clone(),
                on: block.on,
                given: lasts(),
                acked: None,
            };
            self.blocks.insert(nonce, fact);
            self.block_order.push(nonce);
        }
        Ok(())
    }

    /// The server gave an ack of a block; `lasts` are the logs' ends at that moment.
    pub fn on_block_acked(
        &mut self,
        nonce: Nonce,
        lasts: &dyn Fn() -> BTreeMap<ConversationId, Sequence>,
    ) {
        if let Some(fact) = self
            .blocks
            .get_mut(&nonce)
            .filter(|fact| fact.acked.is_none())
        {
            fact.acked = Some(lasts());
        }
    }

    /// A client got an ack. A nonce has one answer for ever.
    pub fn on_ack(
        &mut self,
        nonce: Nonce,
        conversation: Option<ConversationId>,
        sequence: Sequence,
        at: u64,
    ) -> Check {
        let Some(conversation) = conversation else {
            return Ok(());
        };
        let answer = (conversation, sequence, at);
        match self.acked.insert(nonce, answer) {
            Some(first) if first != answer => violation(
                "once",
                format!("{nonce} was answered {first:?} and then {answer:?}"),
            ),
            _ => Ok(()),
        }
    }

    /// A client got a body, live or in a page.
    pub fn on_delivered(&mut self, user: &UserId, entry: &Entry) {
        self.delivered.insert((
            user.clone(),
            entry.conversation,
            entry.sequence,
            entry.target,
        ));
    }

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

    /// What a user should see of a conversation, given whom they block now.
    #[must_use]
    pub fn expected(
        &self,
        id: ConversationId,
        user: &UserId,
        blocked: &BTreeSet<UserId>,
    ) -> BTreeMap<Sequence, Expected> {
        let Some(log) = self.logs.get(&id) else {
            return BTreeMap::new();
        };
        let visible = log.entries.iter().filter(|(entry, private)| {
            let hidden = *private
                || (!log.direct
                    && entry.kind == EntryKind::Message
                    && blocked.contains(&entry.sender));
            entry.target == 0
                && log.covers(user, entry.sequence)
                && (entry.sender == *user || !hidden)
        });
        let items = visible.map(|(entry, _)| {
            let (text, edited, recalled) = log
                .texts
                .get(&entry.sequence)
                .cloned()
                .map_or((None, false, false), |t| (Some(t.0), t.1, t.2));
            let expected = Expected {
                sequence: entry.sequence,
                kind: entry.kind,
                sender: entry.sender.clone(),
                text: text.filter(|_| !recalled),
                edited,
                recalled,
                countable: entry.is_countable(),
            };
            (entry.sequence, expected)
        });
        items.collect()
    }

    /// Whether the user is a member at the end of the log.
    #[must_use]
    pub fn is_member(&self, id: ConversationId, user: &UserId) -> bool {
        self.logs
            .get(&id)
            .is_some_and(|log| log.is_member(user, log.entries.len() as u64 + 1))
    }

    /// The largest number a user may see, changes of what they see included.
    #[must_use]
    pub fn newest(&self, id: ConversationId, seen: &BTreeMap<Sequence, Expected>) -> Sequence {
        let entries = self.logs.get(&id).map_or(&[][..], |log| &log.entries);
        let about = |entry: &Entry| {
            if entry.target == 0 {
                entry.sequence
            } else {
                entry.target
            }
        };
        let newest = entries
            .iter()
            .rev()
            .find(|(entry, _)| seen.contains_key(&about(entry)));
        newest.map_or(0, |(entry, _)| entry.sequence)
    }

    /// Whether a command under this name is in some log, or was acknowledged.
    #[must_use]
    pub fn has_effect(&self, nonce: Nonce) -> bool {
        self.acked.contains_key(&nonce)
            || self.logs.values().any(|log| {
                log.entries
                    .iter()
                    .any(|(entry, _)| entry.nonce == Some(nonce))
            })
    }
}

impl Log {
    fn is_member(&self, user: &UserId, n: Sequence) -> bool {
        self.members.get(user).is_some_and(|intervals| {
            intervals
                .last()
                .is_some_and(|(from, until)| *from <= n && n <= *until)
        })
    }

    fn covers(&self, user: &UserId, n: Sequence) -> bool {
        let known = self.members.get(user);
        match known {
            Some(intervals) => intervals
                .iter()
                .any(|(from, until)| *from <= n && n <= *until),
            // The silent side of a direct conversation.
            None => self.direct,
        }
    }

    fn membership(&mut self, entry: &Entry, history: u64) {
        let Some(user) = entry.member.as_ref().map(|member| member.user.clone()) else {
            return;
        };
        if self.direct {
            return;
        }
        let n = entry.sequence;
        let intervals = self.members.entry(user).or_default();
        match entry.kind {
            EntryKind::Created => intervals.push((1, Sequence::MAX)),
            EntryKind::Joined => {
                let from = if history == 0 {
                    n
                } else {
                    n.saturating_sub(history).max(1)
                };
                let mut from = from;
                while let Some((first, until)) = intervals.last().copied()
                    && until.saturating_add(1) >= from
                {
                    from = from.min(first);
                    intervals.pop();
                }
                intervals.push((from, Sequence::MAX));
            }
            EntryKind::Left | EntryKind::Removed => {
                if let Some(last) = intervals.last_mut() {
                    last.1 = n;
                }
            }
            _ => {}
        }
    }
}
