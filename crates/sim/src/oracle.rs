//! The reference model. It sees commands as clients put them on the wire, acknowledgements and deliveries as clients get them, and at
//! rest the logs; it has its own copy of the rules. It shares no code with the cores but the wire's types. What it compares with the
//! logs stands in `verdict.rs`.

mod verdict;

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
