//! The model's rules on channels and threads. What the server writes into their logs by itself nobody acknowledges: it is taken from what
//! clients were shown, and must be right; and in the end nobody may be in a child who is not in its parent.

use std::collections::BTreeMap;

use fireside_protocol::{ConversationId, EntryKind, Role, Sequence, UserId};

use super::{Item, Log, Oracle};
use crate::{
    record::{Acked, Act, Look, Record},
    violation::{Check, ensure},
};

/// What is known of children.
#[derive(Debug, Default)]
pub(super) struct Below<'a> {
    /// Their parents.
    parents: BTreeMap<ConversationId, ConversationId>,
    /// Who made them.
    makers: BTreeMap<ConversationId, &'a UserId>,
    /// Their items as they were first, as far as anybody saw them.
    seen: BTreeMap<(ConversationId, Sequence), &'a Look>,
}

impl<'a> Below<'a> {
    pub(super) fn new(record: &'a Record) -> Self {
        let made = record.acked().filter_map(|acked| match &acked.by.act {
            Act::Channel(id) => Some((*id, acked.by.place)),
            Act::OpenThread(target) => {
                let place = acked.by.place;
                Some((ConversationId::thread(place, *target), place))
            }
            _ => None,
        });
        let parents: BTreeMap<_, _> = made.collect();
        let made = record.acked().filter(|acked| acked.sequence > 0);
        let makers = made.filter_map(|acked| match &acked.by.act {
            Act::Channel(id) => Some((*id, &acked.by.user)),
            Act::OpenThread(target) => {
                let id = ConversationId::thread(acked.by.place, *target);
                Some((id, &acked.by.user))
            }
            _ => None,
        });
        let makers = makers.collect();
        let delivered = record.delivered.iter();
        let seen = delivered.filter(|((_, id, n, rev, in_list), (target, ..))| {
            parents.contains_key(id) && *target == 0 && n == rev && !in_list
        });
        let seen = seen.map(|((_, id, n, ..), (_, look, _))| ((*id, *n), look));
        Self {
            seen: seen.collect(),
            parents,
            makers,
        }
    }

    pub(super) fn is_child(&self, id: ConversationId) -> bool {
        self.parents.contains_key(&id)
    }

    /// Whom an entry let in has the role that they have in the parent.
    pub(super) fn role(&self, id: ConversationId, n: Sequence) -> Option<Role> {
        self.seen.get(&(id, n)).and_then(|look| look.role)
    }
}

impl Oracle<'_> {
    /// Takes in what the server wrote into a log by itself below a number, or after all that was acknowledged.
    pub(super) fn fill(&self, id: ConversationId, log: &mut Log, below: Option<Sequence>) -> Check {
        let is_child = self.below.is_child(id);
        loop {
            let (last, at) = log.newest();
            let n = last + 1;
            if below.is_some_and(|below| n >= below) {
                return Ok(());
            }
            if self.take_preview(id, log, n)? || self.take_end(id, log, n)? {
                continue;
            }
            if let Some(look) = self.below.seen.get(&(id, n)).filter(|_| is_child) {
                self.take(id, log, n, look)?;
                continue;
            }
            let mut previews = self.record.previews.range((id, n)..=(id, Sequence::MAX));
            let mut later = self.below.seen.range((id, n)..=(id, Sequence::MAX));
            let mut ends = self.ends.range((id, n)..=(id, Sequence::MAX));
            let none = later.next().is_none() && ends.next().is_none();
            if below.is_none() && none && previews.next().is_none() {
                return Ok(());
            }
            if !is_child {
                Self::take_unseen(log, n);
                continue;
            }
            // Nobody who is there now was there then.
            log.numbers.insert(n, (at, None));
            if let Some(maker) = self.below.makers.get(&id).filter(|_| n == 1) {
                (log.history, log.led.open) = (u64::MAX, true);
                log.change_member(n, Some((*maker).clone()), &Act::Join);
            }
        }
    }

    fn take(&self, id: ConversationId, log: &mut Log, n: Sequence, look: &Look) -> Check {
        let right = look.ordinal == log.ordinal && look.rev == n && look.text.is_none();
        let user = look.member.clone();
        let here = user.as_ref().is_some_and(|user| log.rank(user) > 0);
        let who = user.clone().unwrap_or_else(|| look.sender.clone());
        let act = match look.kind {
            EntryKind::Created if n == 1 => {
                (log.history, log.led.open) = (u64::MAX, true);
                Some(Act::Join)
            }
            EntryKind::Joined if !here => Some(Act::Join),
            EntryKind::Left if here && who == look.sender => Some(Act::Leave),
            EntryKind::Removed if here => Some(Act::Remove(who)),
            EntryKind::Role if here => look.role.map(|role| Act::SetRole(who, role)),
            EntryKind::Muted if here => Some(Act::Other),
            EntryKind::Dissolved => Some(Act::Dissolve),
            _ => None,
        };
        ensure!(
            right && act.is_some(),
            "rights",
            "{look:?} at {n} of {id}, which nobody asked for"
        );
        let item = Item {
            private: false,
            audience: None,
            says: None,
            copies: None,
            closes: 0,
            unnamed: None,
            taken_back: false,
            given: 0,
            states: BTreeMap::from([(n, look.clone())]),
            now: look.clone(),
        };
        log.numbers.insert(n, (look.at, None));
        log.items.insert(n, item);
        match act.unwrap_or(Act::Other) {
            Act::Dissolve => {
                log.lead(n, &Act::Dissolve);
            }
            Act::Other => {}
            act => {
                log.change_member(n, user.clone(), &act);
                self.settle_role(id, log, n, user.as_ref());
            }
        }
        Ok(())
    }

    /// The role of whom an entry of a child let in.
    pub(super) fn settle_role(
        &self,
        id: ConversationId,
        log: &mut Log,
        n: Sequence,
        user: Option<&UserId>,
    ) {
        let role = self.below.role(id, n);
        let member = user.and_then(|user| log.members.get_mut(user));
        if let (Some(role), Some((Some(mine), _))) = (role, member) {
            *mine = role;
        }
    }

    /// Who is not in the parent is not in the child, whoever saw it or not.
    pub(super) fn end_children(&mut self) -> Check {
        let mut logs = std::mem::take(&mut self.logs);
        for id in self.below.parents.keys() {
            let mut log = logs.remove(id).unwrap_or_default();
            self.fill(*id, &mut log, None)?;
            logs.insert(*id, log);
        }
        // A thread of a channel after its channel: no parent is a child's child's child.
        for _ in 0..2 {
            for (id, parent) in &self.below.parents {
                let Some(mut log) = logs.remove(id) else {
                    continue;
                };
                let last = log.numbers.keys().next_back().map_or(1, |last| last + 1);
                let above = logs.get(parent);
                let users: Vec<UserId> = log.members.keys().cloned().collect();
                for user in users {
                    if above.is_none_or(|above| above.rank(&user) == 0) {
                        log.end(&user, last);
                    }
                    // They were out and are back in the parent: what ended here meanwhile nobody may have seen.
                    let ends = above.and_then(|above| above.members.get(&user));
                    let back = ends.is_some_and(|(role, all)| role.is_some() && all.len() > 1);
                    let alone = log
                        .members
                        .values()
                        .filter(|(role, _)| role.is_some())
                        .count()
                        < 2;
                    if back && alone || above.is_some_and(|above| above.led.unsure) {
                        log.unsure_of.insert(user);
                    }
                }
                logs.insert(*id, log);
            }
        }
        self.logs = logs;
        Ok(())
    }

    /// Whether somebody may open a thread: everybody who may write, under a message that has none.
    pub(super) fn may_open(log: &Log, acked: Acked<'_>, item: &Item) -> bool {
        let mine = log.rank(&acked.by.user);
        !log.direct && mine > u16::from(log.frozen) && !item.now.marks.thread
    }
}
