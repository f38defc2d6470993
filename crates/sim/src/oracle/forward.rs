//! The model's own rules on forwarded messages: what they may say, and what an admin's recall takes out of them.

use fireside_protocol::{ConversationId, MessageKind, Sequence, UserId};

use super::{Item, Log, Oracle};
use crate::{
    record::{Acked, Act},
    violation::{Check, ensure, some},
};

/// The heading of every merged message here.
pub const TITLE: &str = "merged";

/// What a message was made of.
#[derive(Clone, Debug)]
pub(super) struct Copies {
    from: ConversationId,
    numbers: Vec<Sequence>,
    merged: bool,
}

impl Oracle<'_> {
    /// What a forward is made of, and its kind.
    pub(super) fn copies_of(&self, acked: Acked<'_>) -> Option<(Copies, Option<MessageKind>)> {
        let Act::Forward(from, numbers, merged) = &acked.by.act else {
            return None;
        };
        let copies = Copies {
            from: *from,
            numbers: numbers.clone(),
            merged: *merged,
        };
        Some((copies, merged.then_some(MessageKind::Merged)))
    }

    /// What a message said after a number, as anybody got it.
    pub(super) fn told(&self, id: ConversationId, n: Sequence, rev: Sequence) -> Option<String> {
        let mut delivered = self.record.delivered.iter();
        let told = delivered.find(|((_, place, number, of, _), (target, ..))| {
            *place == id && *number == n && *of == rev && *target == 0
        });
        told.and_then(|(_, (_, look, _))| look.text.clone())
    }

    /// Nobody forwards what they do not see or what was never said, and what an admin took back is in no copy.
    pub(super) fn check_forwards(&mut self) -> Check {
        let mut unsure = Vec::new();
        for (id, log) in &self.logs {
            for (n, item) in &log.items {
                let Some(copies) = &item.copies else { continue };
                let me = &item.now.sender;
                self.check_said(*n, item, copies, me)?;
                let most = self.count(copies, |log, n| self.is_gone(log, n, 8));
                let least = self.count(copies, |log, n| self.must_go(log, n, 8));
                let all = copies.numbers.len();
                let left = match &item.now.text {
                    Some(text) if copies.merged => text.lines().count().saturating_sub(1),
                    Some(_) => 1,
                    None => continue,
                };
                // Who is out of it is not told what was taken out since.
                let seen = self.record.users.iter().any(|user| {
                    let here = log.direct || log.rank(user) > 0;
                    here && self.visible(*id, log, user).contains_key(n)
                });
                if !seen {
                    unsure.push(*id);
                    continue;
                }
                let fits = all - most <= left && left <= all - least;
                ensure!(
                    fits,
                    "rights",
                    "{n} of {id} still says {item:?}: of {all} copies {least} to {most} are gone"
                );
            }
        }
        for id in unsure {
            if let Some(log) = self.logs.get_mut(&id) {
                log.led.unsure = true;
            }
        }
        Ok(())
    }

    fn check_said(&self, n: Sequence, item: &Item, copies: &Copies, me: &UserId) -> Check {
        let from = some!(
            self.logs.get(&copies.from),
            "rights",
            "{n} of nowhere: {item:?}"
        );
        let mut texts = Vec::new();
        for number in &copies.numbers {
            let source = from
                .items
                .get(number)
                .filter(|it| from.may(me, *number, it));
            let source = some!(
                source,
                "rights",
                "{item:?} of {number}, which {me} does not see"
            );
            let merged = source.says == Some(MessageKind::Merged);
            let said = source.states.values().filter_map(|look| look.text.clone());
            let said: Vec<String> = if merged && copies.merged {
                vec![TITLE.to_owned()]
            } else {
                said.collect()
            };
            texts.push(said);
        }
        let first = item.states.get(&n).and_then(|look| look.text.as_ref());
        // Nobody got it before something of it was taken out.
        let Some(first) = first.filter(|text| !text.is_empty()) else {
            return Ok(());
        };
        let right = if copies.merged {
            let lines: Vec<&str> = first.lines().collect();
            lines.first() == Some(&TITLE)
                && lines.len() == texts.len() + 1
                && (lines.iter().skip(1).zip(&texts))
                    .all(|(line, said)| said.iter().any(|it| it == line))
        } else {
            texts.iter().all(|said| said.contains(first))
        };
        ensure!(right, "rights", "{n} says {first:?}, made of {texts:?}");
        Ok(())
    }

    fn count(&self, copies: &Copies, is: impl Fn(&Log, Sequence) -> bool) -> usize {
        let Some(log) = self.logs.get(&copies.from) else {
            return 0;
        };
        copies.numbers.iter().filter(|n| is(log, **n)).count()
    }

    /// Whether a copy of a message may have been taken out: it, or what it was copied from, is gone.
    fn is_gone(&self, log: &Log, n: Sequence, depth: u8) -> bool {
        let Some(item) = log.items.get(&n).filter(|_| depth > 0) else {
            return true;
        };
        item.now.text.is_none()
            || item.copies.as_ref().is_some_and(|copies| {
                let from = self.logs.get(&copies.from);
                from.is_some_and(|log| {
                    let mut numbers = copies.numbers.iter();
                    numbers.any(|n| self.is_gone(log, *n, depth - 1))
                })
            })
    }

    /// Whether a copy of a message must have been taken out: another than its author took it back, or what it was copied from.
    fn must_go(&self, log: &Log, n: Sequence, depth: u8) -> bool {
        let Some(item) = log.items.get(&n).filter(|_| depth > 0) else {
            return false;
        };
        item.taken_back
            || item.copies.as_ref().is_some_and(|copies| {
                let from = self.logs.get(&copies.from);
                from.is_some_and(|log| {
                    // What was out of it before it was copied itself does not count; the last one does.
                    let mut numbers = copies.numbers.iter();
                    numbers.all(|n| self.must_go(log, *n, depth - 1))
                })
            })
    }
}
