//! The model's own rules on muting, banning, links and the end of a conversation.

use std::collections::BTreeMap;

use fireside_protocol::{ConversationId, EntryKind, Sequence, UserId, WallMs};

use super::{Item, Log, Oracle};
use crate::{
    record::{Acked, Act},
    violation::{Check, ensure},
    world::CLOCK_JUMP_MS,
};

/// What a log says of who leads and who is led.
#[derive(Debug, Default)]
pub(super) struct Led {
    /// Whoever wants comes in.
    pub(super) open: bool,
    /// Until when somebody may not write.
    muted: BTreeMap<UserId, WallMs>,
    /// Until when somebody may not come in, 0 for ever.
    banned: BTreeMap<UserId, WallMs>,
    /// It has ended.
    over: bool,
    /// When it ends by itself; 0 never.
    pub(super) ends: WallMs,
    /// Whether it has ended by itself can not be said: clocks jump.
    pub(super) unsure: bool,
}

impl Oracle<'_> {
    /// Nobody does anything in what has ended, and who is muted changes nothing.
    pub(super) fn check_led(&self, log: &Log, acked: Acked<'_>) -> Check {
        let (by, me) = (acked.by, &acked.by.user);
        ensure!(!log.led.over, "rights", "{acked:?} after the end");
        let names_itself =
            matches!(&by.act, Act::SetMember(of) if of.as_ref().is_none_or(|of| of == me));
        let writes = by.act.is_talk() && !matches!(by.act, Act::Recall(..) | Act::Delete(..))
            || names_itself;
        let until = log.led.muted.get(me).copied().unwrap_or(0);
        let muted = writes && log.rank(me) < 3 && acked.wall < until;
        ensure!(!muted, "rights", "{acked:?} of who is muted until {until}");
        Ok(())
    }

    /// Whether what leads is allowed; `None`: it is something else.
    pub(super) fn may_lead(&self, log: &Log, acked: Acked<'_>) -> Option<bool> {
        let (me, mine) = (&acked.by.user, log.rank(&acked.by.user));
        let over = |user: &UserId| user != me && mine > 1 && mine > log.rank(user).min(2);
        Some(match &acked.by.act {
            Act::Mute(user, _) => log.rank(user) > 0 && over(user),
            Act::Ban(user, on, _) => *on && over(user),
            Act::SetMember(Some(user)) if user != me => log.rank(user) > 0 && over(user),
            Act::SetMember(_) => mine > 0,
            Act::Dissolve => mine == 3,
            Act::LetIn(user, yes) => {
                *yes && mine > 1 && log.rank(user) == 0 && self.asked(acked, user)
            }
            Act::Join => {
                let comes = log.led.open || self.invited(acked);
                mine == 0 && comes && !self.barred(log, acked, me)
            }
            Act::JoinBy(code) => {
                let mut links = self.record.links();
                let known = links.any(|(place, of, _)| place == acked.by.place && of == *code);
                mine == 0 && known && !self.barred(log, acked, me)
            }
            _ => return None,
        })
    }

    /// Whether a ban held that nobody ended meanwhile.
    fn barred(&self, log: &Log, acked: Acked<'_>, user: &UserId) -> bool {
        let Some(until) = log.led.banned.get(user) else {
            return false;
        };
        let ended = self.rights.iter().any(|other| {
            let ends = matches!(&other.by.act, Act::Ban(of, false, _) if of == user);
            ends && other.by.place == acked.by.place && other.by.given <= acked.moment
        });
        !ended && (*until == 0 || acked.wall < *until)
    }

    /// Whether somebody asked to come in before.
    fn asked(&self, acked: Acked<'_>, user: &UserId) -> bool {
        self.rights.iter().any(|other| {
            let asks = other.by.act == Act::Join && other.sequence == 0;
            let here = other.by.place == acked.by.place && other.by.user == *user;
            asks && here && other.by.given <= acked.moment
        })
    }

    /// Meetings that ended by themselves. What was seen of an end must be right; an end that nobody was there to see has come all the same.
    pub(super) fn end_meetings(&mut self, wall: WallMs) -> Check {
        let mut logs = std::mem::take(&mut self.logs);
        for (id, log) in &mut logs {
            self.end_meeting(*id, log, wall)?;
        }
        self.logs = logs;
        Ok(())
    }

    fn end_meeting(&self, id: ConversationId, log: &mut Log, wall: WallMs) -> Check {
        let ends = log.led.ends;
        if ends == 0 || log.led.over {
            return Ok(());
        }
        let mut delivered = self.record.delivered.iter();
        let seen = delivered.find(|((_, place, ..), (_, look, _))| {
            *place == id && look.kind == EntryKind::Dissolved
        });
        if let Some(((_, _, n, ..), (_, look, _))) = seen {
            let n = *n;
            self.fill(id, log, Some(n))?;
            let last = log.numbers.keys().next_back().map_or(0, |last| *last);
            ensure!(n == last + 1, "numbers", "{id} ended with {n} after {last}");
            let right = look.at >= ends && log.rank(&look.sender) == 3;
            let right = right && look.ordinal == log.ordinal;
            ensure!(right, "rights", "{id} ended with {look:?}, due at {ends}");
            log.numbers.insert(n, (look.at, None));
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
            log.items.insert(n, item);
            log.lead(n, &Act::Dissolve);
        } else if ends + CLOCK_JUMP_MS <= wall {
            let n = log.numbers.keys().next_back().map_or(1, |last| last + 1);
            log.lead(n, &Act::Dissolve);
        } else {
            log.led.unsure = wall + CLOCK_JUMP_MS >= ends;
        }
        Ok(())
    }

    /// No link lets in more than it may.
    pub(super) fn check_links(&self) -> Check {
        for (place, code, uses) in self.record.links() {
            let entries = self.rights.iter().filter(|acked| {
                let by = acked.by.act == Act::JoinBy(code);
                by && acked.by.place == place && acked.sequence > 0
            });
            let count = entries.count();
            let fits = uses == 0 || count <= uses as usize;
            ensure!(
                fits,
                "rights",
                "a link for {uses} into {place} let in {count}"
            );
        }
        Ok(())
    }
}

impl Log {
    /// Takes over what an entry says of who leads; `false`: it says something of memberships.
    pub(super) fn lead(&mut self, n: Sequence, act: &Act) -> bool {
        match act {
            Act::Mute(user, until) => {
                self.led.muted.insert(user.clone(), *until);
            }
            Act::SetMember(_) => {}
            Act::Ban(user, _, until) => {
                self.led.banned.insert(user.clone(), *until);
                self.end(user, n);
            }
            Act::Dissolve => {
                self.led.over = true;
                let all: Vec<UserId> = self.members.keys().cloned().collect();
                for user in all {
                    self.end(&user, n);
                }
            }
            _ => return false,
        }
        true
    }

    /// Ends a membership, if there is one.
    pub(super) fn end(&mut self, user: &UserId, n: Sequence) {
        if let Some((role, intervals)) = self.members.get_mut(user)
            && role.take().is_some()
            && let Some(last) = intervals.last_mut()
        {
            last.1 = n;
        }
    }
}
