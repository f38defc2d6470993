//! The model's own rules on what nobody asks for: messages that end by their time, and copies that are taken out of messages. It is told
//! from what clients got, and a number that nobody got anything of changed something that nobody sees any more.

use std::collections::BTreeMap;

use fireside_protocol::{ClientFrame, ConversationId, EntryKind, Rev, Sequence, WallMs};

use super::{Item, Log, Oracle};
use crate::{
    record::{Acked, Look, Marks, Record},
    violation::{Check, Violation, ensure, some},
    world::CLOCK_JUMP_MS,
};

/// What a number did to a message that nobody asked for.
#[derive(Clone, Debug)]
pub(super) struct End {
    /// Which.
    target: Sequence,
    /// When, if that was told.
    at: Option<WallMs>,
    /// Its time was over; else copies in it were taken out.
    over: bool,
    /// What it says from then on.
    text: Option<String>,
    /// Of a poll: it is closed from then on.
    closed: bool,
}

/// What clients got of such numbers. (Those that somebody asked for are among them, and never looked up.)
pub(super) type Ends = BTreeMap<(ConversationId, Sequence), End>;

/// What clients got of messages that ended or changed.
pub(super) fn seen(record: &Record) -> Ends {
    let mut ends = Ends::new();
    for ((_, id, number, rev, in_list), (target, look, _)) in &record.delivered {
        let over = look.kind == EntryKind::Expire || look.over;
        let text = look.text.clone();
        let closed = look.marks.closed;
        if matches!(
            look.kind,
            EntryKind::Expire | EntryKind::Withdraw | EntryKind::Vote
        ) {
            let (target, at) = (*target, Some(look.at));
            let end = End {
                target,
                at,
                over,
                text,
                closed,
            };
            ends.insert((*id, *number), end);
        } else if *target == 0 && rev != number && (over || !in_list) {
            // A list says of a message that it is over, but nothing of its facets.
            ends.entry((*id, *rev)).or_insert(End {
                target: *number,
                at: None,
                over,
                text,
                closed,
            });
        }
    }
    ends
}

impl Oracle<'_> {
    /// When a message should end, by its author's wish and the conversation's rule, is when it was said to end.
    pub(super) fn check_end(&self, log: &Log, acked: Acked<'_>) -> Check {
        let wished = match &acked.by.frame {
            ClientFrame::Send(send) => send.header.expires,
            ClientFrame::Forward(_) => 0,
            _ => return Ok(()),
        };
        let told = acked.expires;
        let rule = acked.wall.saturating_add(log.lifetime);
        let by_rule = told <= rule && rule <= told.saturating_add(CLOCK_JUMP_MS);
        let right = match (wished, log.lifetime) {
            (_, 0) => told == wished,
            (0, _) => by_rule,
            _ => told <= wished && (told == wished || by_rule),
        };
        let lives = log.lifetime;
        ensure!(right, "rights", "{acked:?}: messages live {lives} ms");
        Ok(())
    }

    /// Takes in what a number did that nobody asked for; `false`: it is none of these.
    pub(super) fn take_end(
        &self,
        id: ConversationId,
        log: &mut Log,
        n: Sequence,
    ) -> Result<bool, Violation> {
        let Some(End {
            target,
            at: told,
            over,
            text,
            closed,
        }) = self.ends.get(&(id, n))
        else {
            return Ok(false);
        };
        let (_, at) = log.newest();
        let item = log.items.get_mut(target);
        let item = some!(
            item,
            "rights",
            "{n} of {id} ends {target}, which is not there"
        );
        let due = item.now.ends != 0 && told.is_none_or(|at| item.now.ends <= at);
        let closes = item.closes;
        let closing = !*over && item.copies.is_none();
        let may_close = *closed && closes != 0 && told.is_none_or(|at| closes <= at);
        let may = match (*over, closing) {
            (true, _) => due,
            (_, true) => may_close && !item.now.marks.closed,
            _ => true,
        };
        let right = item.now.text.is_some() && may;
        ensure!(right, "rights", "{n} of {id} changes {item:?} at {told:?}");
        if *over {
            item.end(n);
        } else if closing {
            item.close(n);
        } else {
            item.withdraw(n, text.clone());
        }
        log.numbers.insert(n, (told.unwrap_or(at), Some(*target)));
        log.quiet.insert(n);
        Ok(true)
    }

    /// A number that nobody got anything of: it changed something that nobody sees any more.
    pub(super) fn take_unseen(log: &mut Log, n: Sequence) {
        let (_, at) = log.newest();
        log.unseen_ends += 1;
        log.numbers.insert(n, (at, Some(0)));
        log.quiet.insert(n);
    }

    /// Messages that ended behind all that was asked for. At rest everything is over that was to end.
    pub(super) fn end_messages(&mut self, wall: WallMs) -> Check {
        let mut logs = std::mem::take(&mut self.logs);
        for (id, log) in &mut logs {
            self.fill(*id, log, None)?;
            self.end_rest(*id, log, wall)?;
        }
        self.logs = logs;
        Ok(())
    }

    fn end_rest(&self, id: ConversationId, log: &mut Log, wall: WallMs) -> Check {
        let over = |item: &Item| {
            let ends = item.now.ends;
            item.now.text.is_some() && ends != 0 && ends + CLOCK_JUMP_MS <= wall
        };
        let due: Vec<Sequence> = (log.items.iter())
            .filter(|(_, item)| over(item))
            .map(|(n, _)| *n)
            .collect();
        let open = |item: &Item| {
            let closes = item.closes;
            let over = closes != 0 && closes + CLOCK_JUMP_MS <= wall;
            item.now.text.is_some() && over && !item.now.marks.closed
        };
        let polls: Vec<Sequence> = (log.items.iter())
            .filter(|(_, item)| open(item))
            .map(|(n, _)| *n)
            .collect();
        // One that was to end too may have ended before it was closed.
        let both = due.iter().any(|n| polls.contains(n));
        log.led.unsure |= both;
        let left = (due.len() + polls.len()) as u64;
        let unseen = log.unseen_ends;
        // A poll that closed by itself and was gone before anybody saw it closed.
        let gone = (log.items.values())
            .filter(|item| log.may_have_closed(item))
            .count() as u64;
        for n in &polls {
            if let Some(item) = log.items.get_mut(n) {
                item.close(0);
            }
        }
        // Which of them is nothing cannot be said then.
        log.led.unsure |= unseen > 0 && left > 0 && gone > 0;
        if unseen > left + gone {
            let copied = log.items.values().any(|item| item.copies.is_some());
            ensure!(
                copied,
                "numbers",
                "{unseen} numbers of {id} are nothing, and {left} and {gone} may be ends"
            );
            // Something was taken out of what nobody sees.
            log.led.unsure = true;
        }
        // In a child such a number may be something else that nobody saw.
        log.led.unsure |= left > 0 && self.below.is_child(id);
        for n in &due {
            if let Some(item) = log.items.get_mut(n) {
                item.end(0);
            }
        }
        for _ in unseen..left {
            let (last, at) = log.newest();
            log.numbers.insert(last + 1, (at, Some(0)));
            log.quiet.insert(last + 1);
        }
        Ok(())
    }
}

impl Log {
    /// The last number and its time.
    pub(super) fn newest(&self) -> (Sequence, WallMs) {
        let last = self.numbers.last_key_value();
        last.map_or((0, 0), |(n, (at, _))| (*n, *at))
    }

    /// Whether a poll of which nothing is left may have closed by its time, with nobody there to see it.
    fn may_have_closed(&self, item: &Item) -> bool {
        let gone = |(_, look): &(&Rev, &Look)| look.text.is_none();
        let gone = item.states.iter().find(gone).map(|(rev, _)| *rev);
        let at = gone.and_then(|rev| self.numbers.get(&rev));
        item.closes != 0
            && item.states.values().all(|look| !look.marks.closed)
            && at.is_some_and(|(at, _)| item.closes <= *at)
    }
}

impl Item {
    /// It is a poll, and closed from a number on; 0: nobody has seen it since.
    fn close(&mut self, n: Sequence) {
        let now = &mut self.now;
        now.marks.closed = true;
        if n > 0 {
            now.rev = n;
            self.states.insert(n, now.clone());
        }
    }

    /// Copies in it were taken out; without a text nothing is left.
    fn withdraw(&mut self, n: Sequence, text: Option<String>) {
        let now = &mut self.now;
        if text.is_none() {
            now.marks = Marks::default();
        }
        (now.text, now.rev) = (text, n);
        self.states.insert(n, now.clone());
    }

    /// Nothing is left of it from a number on; 0: nobody has seen it since.
    fn end(&mut self, n: Sequence) {
        let now = &mut self.now;
        (now.text, now.over, now.edited) = (None, true, false);
        now.marks = Marks::default();
        if n > 0 {
            now.rev = n;
            self.states.insert(n, now.clone());
        }
    }
}
