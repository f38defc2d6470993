//! The book of promises: what was sent, what the server acknowledged, what others heard. A log is held against it.

use std::collections::{BTreeMap, HashMap, HashSet};

use anyhow::{Context, bail, ensure};
use fireside_protocol::{Code, ConversationId, Entry, EntryKind, Nonce};

use crate::wire::{WholeLog, text_of};

/// What became of a command so far.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fate {
    /// No answer yet: it may or may not be in the log, once at most.
    Doubt,
    /// In the log under this number, for ever.
    Acked(u64),
    /// Refused for good: never in the log.
    Refused(Code),
}

/// A command that was sent at least once.
#[derive(Clone, Debug)]
pub struct Promise {
    /// Where.
    pub conversation: ConversationId,
    /// Who, as the log calls them.
    pub sender: String,
    /// What.
    pub text: String,
    /// Place among the sender's messages in this conversation.
    pub counter: u64,
    /// What became of it.
    pub fate: Fate,
}

/// All promises of a run.
#[derive(Clone, Debug, Default)]
pub struct Book {
    promises: HashMap<Nonce, Promise>,
    /// Texts are made unique; readers other than the sender may get entries without the nonce.
    by_text: HashMap<String, Nonce>,
    /// Shown to their author, and so never to be lost once their outbox could be emptied.
    shown: HashSet<Nonce>,
    heard: BTreeMap<(ConversationId, u64), Nonce>,
    repeats: u64,
}

/// What a log was found to hold.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Checked {
    /// Messages in it.
    pub messages: u64,
    /// Those of them that had been acknowledged.
    pub acked: u64,
    /// Those of them that were in doubt.
    pub doubtful: u64,
}

impl Book {
    /// Notes a command before it is sent the first time.
    pub fn promise(&mut self, nonce: Nonce, promise: Promise) {
        self.by_text.insert(promise.text.clone(), nonce);
        self.promises.insert(nonce, promise);
    }

    /// Notes an ack.
    ///
    /// # Errors
    /// When it says something else than an earlier one.
    pub fn acked(&mut self, nonce: Nonce, sequence: u64) -> anyhow::Result<()> {
        let Some(promise) = self.promises.get_mut(&nonce) else {
            bail!("an ack of nothing")
        };
        match promise.fate {
            Fate::Acked(before) => {
                ensure!(
                    before == sequence,
                    "{}: number {before}, then {sequence}",
                    promise.text
                );
                self.repeats += 1;
            }
            Fate::Refused(code) => bail!("{}: refused with {code:?}, then acked", promise.text),
            Fate::Doubt => promise.fate = Fate::Acked(sequence),
        }
        Ok(())
    }

    /// Notes a refusal for good.
    ///
    /// # Errors
    /// When it was acknowledged before.
    pub fn refused(&mut self, nonce: Nonce, code: Code) -> anyhow::Result<()> {
        let Some(promise) = self.promises.get_mut(&nonce) else {
            bail!("a refusal of nothing")
        };
        ensure!(
            !matches!(promise.fate, Fate::Acked(_)),
            "{}: acked, then refused with {code:?}",
            promise.text
        );
        promise.fate = Fate::Refused(code);
        Ok(())
    }

    /// Notes an entry that came live to somebody: who heard it may rely on it, so it must be durable.
    ///
    /// # Errors
    /// When another message was heard under its number.
    pub fn heard(&mut self, entry: &Entry) -> anyhow::Result<()> {
        if entry.kind != EntryKind::Message {
            return Ok(());
        }
        let nonce = self.name(entry)?;
        self.heard_as(nonce, entry.conversation, entry.sequence)
    }

    /// As [`Book::heard`], for a message whose name is known.
    ///
    /// # Errors
    /// When another message was heard under its number.
    pub fn heard_as(
        &mut self,
        nonce: Nonce,
        conversation: ConversationId,
        sequence: u64,
    ) -> anyhow::Result<()> {
        let before = self.heard.insert((conversation, sequence), nonce);
        ensure!(
            before.is_none_or(|before| before == nonce),
            "two messages were heard as number {sequence} of {conversation}"
        );
        Ok(())
    }

    /// The nonce of a message by its text. Clients give nonces themselves; the book then has one of its own.
    fn name(&self, entry: &Entry) -> anyhow::Result<Nonce> {
        let name = text_of(entry).and_then(|text| self.by_text.get(&text).copied());
        name.with_context(|| format!("number {} was never sent", entry.sequence))
    }

    /// The nonce of a text that was promised.
    #[must_use]
    pub fn name_of(&self, text: &str) -> Option<Nonce> {
        self.by_text.get(text).copied()
    }

    /// What became of a command so far.
    #[must_use]
    pub fn fate(&self, nonce: Nonce) -> Option<Fate> {
        self.promises.get(&nonce).map(|promise| promise.fate)
    }

    /// Notes that a message was shown to its author. `true`: for the first time.
    pub fn shown(&mut self, nonce: Nonce) -> bool {
        self.shown.insert(nonce)
    }

    /// Fails if a message that was shown to its author is in doubt still: all outboxes are empty, so it must have been sent.
    ///
    /// # Errors
    /// The first such message that `logged` does not have.
    pub fn check_shown(&self, logged: &HashSet<Nonce>) -> anyhow::Result<()> {
        for nonce in &self.shown {
            let Some(promise) = self.promises.get(nonce) else {
                continue;
            };
            let refused = matches!(promise.fate, Fate::Refused(_));
            ensure!(
                refused || logged.contains(nonce),
                "LOST: {} was shown to its author and is in no log",
                promise.text
            );
        }
        Ok(())
    }

    /// The names of the messages of a log.
    ///
    /// # Errors
    /// When there is one that nobody sent.
    pub fn names(&self, log: &WholeLog) -> anyhow::Result<HashSet<Nonce>> {
        let messages = log
            .items
            .iter()
            .filter(|entry| entry.kind == EntryKind::Message);
        messages.map(|entry| self.name(entry)).collect()
    }

    /// Commands, acks, and messages heard so far.
    #[must_use]
    pub fn counts(&self) -> (u64, u64, u64) {
        let acked = self
            .promises
            .values()
            .filter(|p| matches!(p.fate, Fate::Acked(_)))
            .count();
        (
            self.promises.len() as u64,
            acked as u64,
            self.heard.len() as u64,
        )
    }

    /// Acks that repeated an earlier one.
    #[must_use]
    pub const fn repeats(&self) -> u64 {
        self.repeats
    }

    /// Holds the log of a conversation against the book. It must have no changes (edits, recalls) in it.
    ///
    /// # Errors
    /// The first promise that is not kept: lost, doubled, out of order, made up, or with holes.
    pub fn check(&self, conversation: ConversationId, log: &WholeLog) -> anyhow::Result<Checked> {
        let mut checked = Checked::default();
        let skipped: u64 = log
            .skips
            .iter()
            .map(|s| (s.last + 1).saturating_sub(s.first))
            .sum();
        ensure!(
            log.items.len() as u64 + skipped == log.last,
            "{conversation}: {} items and {skipped} skipped numbers are not {}",
            log.items.len(),
            log.last
        );
        let mut by_number = HashMap::new();
        let mut names = HashSet::new();
        let mut counters: HashMap<&str, u64> = HashMap::new();
        for entry in log
            .items
            .iter()
            .filter(|entry| entry.kind == EntryKind::Message)
        {
            let number = entry.sequence;
            let nonce = self.name(entry)?;
            let Some(promise) = self.promises.get(&nonce) else {
                bail!("number {number} of {conversation} was never sent");
            };
            let text = &promise.text;
            ensure!(names.insert(nonce), "{text} is there twice");
            ensure!(
                promise.conversation == conversation,
                "{text} is in another conversation"
            );
            ensure!(
                text_of(entry).as_ref() == Some(text),
                "number {number} is not {text}"
            );
            let last = counters.insert(&promise.sender, promise.counter);
            ensure!(
                last.is_none_or(|last| last < promise.counter),
                "{text} is out of order"
            );
            match promise.fate {
                Fate::Acked(acked) => {
                    ensure!(
                        acked == number,
                        "{text} was acked as {acked} and is {number}"
                    );
                    checked.acked += 1;
                }
                Fate::Doubt => checked.doubtful += 1,
                Fate::Refused(code) => bail!("{text} was refused with {code:?} and is there"),
            }
            checked.messages += 1;
            by_number.insert(number, nonce);
        }
        for promise in self
            .promises
            .values()
            .filter(|p| p.conversation == conversation)
        {
            if let Fate::Acked(number) = promise.fate {
                ensure!(
                    by_number.contains_key(&number),
                    "LOST: {} was acked as number {number}; the log ends at {}",
                    promise.text,
                    log.last
                );
            }
        }
        let from = (conversation, 0);
        let to = (conversation, u64::MAX);
        for ((_, number), nonce) in self.heard.range(from..=to) {
            ensure!(
                by_number.get(number) == Some(nonce),
                "LOST: number {number} of {conversation} was heard by somebody"
            );
        }
        Ok(checked)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use fireside_protocol::{Header, TextContent, UserId, encode};

    use super::*;

    const ROOM: ConversationId = ConversationId([7; 16]);

    fn promise(counter: u64) -> Promise {
        let text = format!("text {counter}");
        Promise {
            conversation: ROOM,
            sender: "anna".into(),
            text,
            counter,
            fate: Fate::Doubt,
        }
    }

    fn entry(sequence: u64, counter: u64) -> Entry {
        let content = encode(&TextContent::plain(format!("text {counter}"))).into();
        Entry {
            conversation: ROOM,
            sequence,
            kind: EntryKind::Message,
            sender: UserId::new("anna").unwrap(),
            at: 0,
            ordinal: sequence,
            rev: 0,
            nonce: Some(Nonce([counter as u8; 16])),
            target: 0,
            header: Some(Header::text()),
            content,
            edited: false,
            tombstone: None,
            member: None,
            body_rev: 0,
            facets: Vec::new(),
        }
    }

    fn book() -> Book {
        let mut book = Book::default();
        for counter in 1..=3 {
            book.promise(Nonce([counter as u8; 16]), promise(counter));
        }
        book.acked(Nonce([1; 16]), 1).unwrap();
        book.acked(Nonce([2; 16]), 2).unwrap();
        book
    }

    fn log(entries: &[(u64, u64)]) -> WholeLog {
        let items = entries
            .iter()
            .map(|(sequence, counter)| entry(*sequence, *counter))
            .collect();
        WholeLog {
            items,
            skips: Vec::new(),
            last: entries.len() as u64,
        }
    }

    #[test]
    fn a_kept_promise_is_found_kept() {
        let book = book();
        assert_eq!(book.check(ROOM, &log(&[(1, 1), (2, 2)])).unwrap().acked, 2);
        assert_eq!(
            book.check(ROOM, &log(&[(1, 1), (2, 2), (3, 3)]))
                .unwrap()
                .doubtful,
            1
        );
    }

    #[test]
    fn every_breach_is_found() {
        let mut book = book();
        let breach = |book: &Book, entries: &[(u64, u64)], what: &str| {
            let error = book.check(ROOM, &log(entries)).unwrap_err().to_string();
            assert!(error.contains(what), "{error}");
        };
        breach(&book, &[(1, 1)], "LOST");
        breach(&book, &[(1, 1), (2, 2), (3, 2)], "twice");
        breach(&book, &[(1, 2), (2, 1)], "acked as 2 and is 1");
        breach(&book, &[(1, 1), (3, 2)], "acked as 2 and is 3");
        let other = Entry {
            content: encode(&TextContent::plain("?")).into(),
            ..entry(3, 9)
        };
        assert!(book.heard(&other).is_err());
        book.heard(&entry(3, 3)).unwrap();
        breach(&book, &[(1, 1), (2, 2)], "heard by somebody");
        assert!(book.heard(&entry(3, 2)).is_err());
        book.shown(Nonce([3; 16]));
        let logged = book.names(&log(&[(1, 1), (2, 2)])).unwrap();
        assert!(
            book.check_shown(&logged)
                .unwrap_err()
                .to_string()
                .contains("LOST")
        );
        book.refused(Nonce([3; 16]), Code::Forbidden).unwrap();
        assert!(book.check_shown(&logged).is_ok());
        breach(&book, &[(1, 1), (2, 2), (3, 3)], "was refused");
        assert!(book.acked(Nonce([1; 16]), 5).is_err());
        assert!(book.refused(Nonce([1; 16]), Code::Forbidden).is_err());
        let holes = WholeLog {
            last: 4,
            ..log(&[(1, 1), (2, 2)])
        };
        assert!(book.check(ROOM, &holes).is_err());
    }
}
