//! The reference model. From the acknowledged commands alone it writes the logs anew, under its own copy of the rules, and says
//! what each user should see. It gets a [`Record`] and no more: commands as they came to the server's door, the answers that clients
//! got, what was on the wire to clients and what they show at rest. It looks into nobody's store. `verdict.rs` compares.

mod verdict;

use std::collections::BTreeMap;

use fireside_protocol::{ConversationId, EntryKind, Rev, Role, Sequence, UserId, WallMs};

use crate::record::{Acked, Act, Command, Look, Moment, Record};

/// A rule that was broken.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Violation {
    /// Which, named as in `docs/model.md`.
    pub rule: &'static str,
    /// What was seen.
    pub seen: String,
}

type Check = Result<(), Violation>;

macro_rules! ensure {
    ($holds:expr, $rule:literal, $($seen:tt)*) => {
        if !$holds {
            return Err(Violation { rule: $rule, seen: format!($($seen)*) });
        }
    };
}
use ensure;

/// An item: its states by rev, and what decides who sees it.
#[derive(Clone, Debug)]
struct Item {
    states: BTreeMap<Rev, Look>,
    private: bool,
    given: Moment,
}

/// A log as the acknowledged commands make it.
#[derive(Debug, Default)]
struct Log {
    direct: bool,
    history: u64,
    ordinal: u64,
    items: BTreeMap<Sequence, Item>,
    /// All numbers: time, and of a change its item.
    numbers: BTreeMap<Sequence, (WallMs, Option<Sequence>)>,
    /// Roles now, and memberships with both ends included.
    members: BTreeMap<UserId, (Option<Role>, Vec<(Sequence, Sequence)>)>,
    read: BTreeMap<UserId, Sequence>,
}

/// The model.
#[derive(Debug)]
pub struct Oracle<'a> {
    record: &'a Record,
    /// Age to which a message may be changed, in ms, with what clocks may jump.
    window_ms: u64,
    logs: BTreeMap<ConversationId, Log>,
    /// Acknowledged commands on blocks and memberships by when they came.
    rights: Vec<Acked<'a>>,
}

impl<'a> Oracle<'a> {
    /// Writes the logs that the acknowledged commands make.
    ///
    /// # Errors
    /// The first rule that they break.
    pub fn new(record: &'a Record, window_ms: u64) -> Result<Self, Violation> {
        let twofold = &record.twofold;
        ensure!(twofold.is_none(), "once", "{twofold:?}");
        let talk = |act: &Act| matches!(act, Act::Say(_) | Act::Edit(..) | Act::Recall(..));
        let rights = record.acked().filter(|acked| !talk(&acked.by.act));
        let (rights, logs) = (rights.collect(), BTreeMap::new());
        let mut oracle = Self {
            record,
            window_ms,
            logs,
            rights,
        };
        let mut places = BTreeMap::new();
        for acked in record.acked().filter(|acked| acked.sequence > 0) {
            let other = places.insert((acked.by.place, acked.sequence), acked);
            ensure!(other.is_none(), "once", "{acked:?} and {other:?}");
        }
        let mut counts = BTreeMap::new();
        for (id, acked) in places.into_iter().map(|((id, _), acked)| (id, acked)) {
            if let Some((device, count)) = acked.by.counter() {
                let before = counts.insert((id, device), count);
                ensure!(
                    before < Some(count),
                    "order",
                    "{acked:?} comes after {before:?}"
                );
            }
            let mut log = oracle.logs.remove(&id).unwrap_or_default();
            oracle.add(&mut log, acked)?;
            oracle.logs.insert(id, log);
        }
        for acked in record.acked() {
            let log = oracle.logs.get_mut(&acked.by.place);
            if let (Act::Read(n), Some(log)) = (&acked.by.act, log) {
                let read = log.read.entry(acked.by.user.clone()).or_default();
                *read = *n.max(read);
            }
        }
        Ok(oracle)
    }

    /// Adds what a command did, if it could.
    fn add(&self, log: &mut Log, acked: Acked<'_>) -> Check {
        let (by, n, me) = (acked.by, acked.sequence, &acked.by.user);
        let (mine, says) = (log.rank(me), matches!(by.act, Act::Say(_)));
        let (last, (at, _)) = log
            .numbers
            .last_key_value()
            .map_or((0, (0, None)), |(n, at)| (*n, *at));
        log.ordinal += u64::from(says);
        let dense = n == last + 1 && acked.wall >= at && acked.ordinal == log.ordinal;
        ensure!(
            dense,
            "numbers",
            "{acked:?} after {last} at {at} ({})",
            log.ordinal
        );
        log.direct |= n == 1 && says;
        let peer = self.record.peer(by.place, me).filter(|_| log.direct);
        let closed = peer.map(|peer| self.closed(me, peer, by.given, acked.moment));
        let (kind, member, allowed) = match &by.act {
            Act::Say(_) => (EntryKind::Message, None, log.direct || mine > 0),
            Act::Create(history) => {
                log.history = *history;
                (EntryKind::Created, Some(me), n == 1)
            }
            Act::Join => (EntryKind::Joined, Some(me), mine == 0),
            Act::Leave => (EntryKind::Left, Some(me), mine > 0),
            Act::Remove(user) => {
                let theirs = log.rank(user);
                (
                    EntryKind::Removed,
                    Some(user),
                    theirs > 0 && mine > theirs.min(2),
                )
            }
            Act::SetRole(user, _) => (EntryKind::Role, Some(user), mine == 3 && log.rank(user) > 0),
            Act::Edit(..) | Act::Recall(..) => {
                let (target, text) = (self.record.target(by), by.text());
                log.numbers.insert(n, (acked.wall, Some(target)));
                let item = log.items.get_mut(&target).filter(|item| {
                    let now = item.now();
                    let fresh = acked.wall.saturating_sub(now.at) <= self.window_ms;
                    let open = item.private || closed != Some(Some(true));
                    let admin = text.is_none() && mine > 1;
                    now.text.is_some() && open && (admin || now.sender == *me && fresh)
                });
                ensure!(
                    item.is_some(),
                    "rights",
                    "{acked:?} may not change {target}"
                );
                item.into_iter()
                    .for_each(|item| item.change(n, text.clone()));
                return Ok(());
            }
            _ => (EntryKind::Message, None, false),
        };
        ensure!(allowed, "rights", "{acked:?}, who has role {mine} there");
        log.numbers.insert(n, (acked.wall, None));
        let look = Look {
            kind,
            sender: me.clone(),
            at: acked.wall,
            ordinal: acked.ordinal,
            rev: n,
            member: member.cloned(),
            text: by.text(),
            edited: false,
        };
        // Where it cannot be said whether a block held, whoever got it was let.
        let unseen = || peer.is_some_and(|peer| !self.record.got(peer, by.place, n, n));
        let private = closed.is_some_and(|closed| closed.unwrap_or_else(unseen));
        let (states, given) = (BTreeMap::from([(n, look)]), by.given);
        log.items.insert(
            n,
            Item {
                states,
                private,
                given,
            },
        );
        log.change_member(n, member, &by.act);
        Ok(())
    }

    /// Whether something held all the time from a moment to another; `None`: cannot be said. `change`: what a command makes of it.
    fn during(
        &self,
        from: u64,
        to: u64,
        change: impl Fn(&Command) -> Option<bool>,
    ) -> Option<bool> {
        let mut state = Some(false);
        for acked in &self.rights {
            state = match change(acked.by) {
                Some(on) if from > acked.moment => Some(on),
                Some(on) if to >= acked.by.given && state != Some(on) => None,
                _ => state,
            };
        }
        state
    }

    fn blocks(&self, by: &UserId, of: &UserId, from: Moment, to: Moment) -> Option<bool> {
        self.during(from, to, |command| match &command.act {
            Act::Block(user, on) if command.user == *by && user == of => Some(*on),
            _ => None,
        })
    }

    /// A block of either side closes a direct conversation.
    fn closed(&self, one: &UserId, other: &UserId, from: Moment, to: Moment) -> Option<bool> {
        let both = [(one, other), (other, one)].map(|(by, of)| self.blocks(by, of, from, to));
        let closed = both.contains(&Some(true)).then_some(true);
        closed.or_else(|| both[0].and(both[1]))
    }

    /// What a user should see of a log now.
    fn visible<'l>(
        &self,
        id: ConversationId,
        log: &'l Log,
        user: &UserId,
    ) -> BTreeMap<Sequence, &'l Item> {
        let near = !log.direct || self.record.peer(id, user).is_some();
        let own = |item: &Item| item.now().sender == *user;
        let items = log.items.iter().filter(|(_, item)| near || own(item));
        let shown = items.filter(|(n, item)| {
            let hidden = || self.blocks(user, &item.now().sender, Moment::MAX, Moment::MAX);
            let may = log.may(user, **n, item);
            may && !(log.hideable(user, item) && hidden() == Some(true))
        });
        shown.map(|(n, item)| (*n, item)).collect()
    }
}

impl Item {
    /// As it is now.
    fn now(&self) -> &Look {
        let newest = self.states.values().next_back();
        newest.unwrap_or_else(|| unreachable!("made with its first state"))
    }

    fn change(&mut self, rev: Rev, text: Option<String>) {
        let edited = text.is_some();
        let now = self.now().clone();
        self.states.insert(
            rev,
            Look {
                rev,
                text,
                edited,
                ..now
            },
        );
    }
}

impl Log {
    /// 3 owner, 2 admin, 1 member, 0 none.
    fn rank(&self, user: &UserId) -> u16 {
        let role = self.members.get(user).and_then(|(role, _)| *role);
        role.map_or(0, Role::number)
    }

    /// Whether the log's own rules show an item to a user: all but blocks in groups.
    fn may(&self, user: &UserId, n: Sequence, item: &Item) -> bool {
        let mut intervals = self.members.get(user).into_iter().flat_map(|(_, all)| all);
        let inside = intervals.any(|(from, until)| *from <= n && n <= *until);
        (self.direct || inside) && (!item.private || item.now().sender == *user)
    }

    /// Whether a user's block in a group withholds it.
    fn hideable(&self, user: &UserId, item: &Item) -> bool {
        let now = item.now();
        !self.direct && now.kind == EntryKind::Message && now.sender != *user
    }

    fn change_member(&mut self, n: Sequence, user: Option<&UserId>, act: &Act) {
        let Some(user) = user else { return };
        let (role, intervals) = self.members.entry(user.clone()).or_default();
        match (act, intervals.last_mut()) {
            (Act::SetRole(_, given), _) => *role = Some(*given),
            (Act::Leave | Act::Remove(_), Some(last)) => (*role, last.1) = (None, n),
            _ => {
                let mut from = n.saturating_sub(self.history).max(1);
                // What reaches into an earlier membership takes it in.
                while let Some((first, _)) = intervals.pop_if(|(_, until)| *until + 1 >= from) {
                    from = from.min(first);
                }
                intervals.push((from, Sequence::MAX));
                *role = Some(if n == 1 { Role::Owner } else { Role::Member });
            }
        }
    }
}
