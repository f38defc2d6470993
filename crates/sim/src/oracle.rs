//! The reference model. From acknowledged commands alone it writes the logs anew, under its own copy of the rules, and says what each
//! user should see. It gets a [`Record`] of what was to be seen from outside and no more; `verdict.rs` compares.

mod below;
mod expiry;
pub mod forward;
mod members;
pub mod own;
pub mod previews;
mod verdict;

use std::collections::{BTreeMap, BTreeSet};

use fireside_protocol::{ConversationId, EntryKind, MessageKind, Rev, Role, Sequence, UserId};

use crate::{
    record::{Acked, Act, Command, Look, Marks, Moment, Record},
    violation::{Check, Violation, ensure, some},
};

/// From when to when.
type Span = (Moment, Moment);
/// At rest.
const NOW: Span = (Moment::MAX, Moment::MAX);
/// A role now, and memberships with both ends included.
type Member = (Option<Role>, Vec<(Sequence, Sequence)>);
/// What a user should see of a log.
type Visible<'l> = BTreeMap<Sequence, &'l Item>;

/// An item: its states by rev, and what decides who sees it.
#[derive(Clone, Debug)]
struct Item {
    now: Look,
    states: BTreeMap<Rev, Look>,
    private: bool,
    /// Who else sees what is private: a card's author an answer to it.
    audience: Option<UserId>,
    /// Of which kind a message is.
    says: Option<MessageKind>,
    /// Of a poll: when it closes by itself; 0 never.
    closes: u64,
    /// Of a poll that tells nobody who chose what: who did.
    unnamed: Option<BTreeMap<UserId, Vec<u32>>>,
    /// What it was forwarded from.
    copies: Option<forward::Copies>,
    /// Another than its author took it back.
    taken_back: bool,
    given: Moment,
}

/// A log as the acknowledged commands make it.
#[derive(Debug, Default)]
struct Log {
    direct: bool,
    frozen: bool,
    history: u64,
    ordinal: u64,
    items: BTreeMap<Sequence, Item>,
    /// All numbers: time, and of a change its item.
    numbers: BTreeMap<Sequence, (u64, Option<Sequence>)>,
    /// Those that moved nothing up in a list.
    quiet: BTreeSet<Sequence>,
    /// What messages live from now on, in ms; 0: for ever.
    lifetime: u64,
    /// Numbers that nobody got anything of: ends of what nobody sees.
    unseen_ends: u64,
    members: BTreeMap<UserId, Member>,
    read: BTreeMap<UserId, Sequence>,
    /// What users deleted for themselves.
    deleted: BTreeMap<UserId, (Sequence, BTreeSet<Sequence>)>,
    /// Read markers that were refused, and may have moved before.
    perhaps: BTreeMap<UserId, Vec<Sequence>>,
    led: members::Led,
    /// Users whose membership nobody may have seen end.
    unsure_of: BTreeSet<UserId>,
}

/// The model.
#[derive(Debug)]
pub struct Oracle<'a> {
    record: &'a Record,
    /// Age to which a message may be changed, in ms, with what clocks may jump.
    window_ms: u64,
    logs: BTreeMap<ConversationId, Log>,
    /// What clients got of what nobody asked for.
    ends: expiry::Ends,
    /// Acknowledged commands on blocks and memberships.
    rights: Vec<Acked<'a>>,
    below: below::Below<'a>,
}

impl<'a> Oracle<'a> {
    /// Writes the logs that the acknowledged commands make, or says which rule they break.
    pub fn new(record: &'a Record, window_ms: u64, wall: u64) -> Result<Self, Violation> {
        let twofold = &record.twofold;
        ensure!(twofold.is_none(), "once", "{twofold:?}");
        let rights = record.acked().filter(|acked| !acked.by.act.is_talk());
        let mut oracle = Self {
            record,
            window_ms,
            logs: BTreeMap::new(),
            ends: expiry::seen(record),
            rights: rights.collect(),
            below: below::Below::new(record),
        };
        oracle.check_links()?;
        let (mut places, mut counts) = (BTreeMap::new(), BTreeMap::new());
        for acked in record.acked().filter(|acked| acked.sequence > 0) {
            let other = places.insert((acked.by.place, acked.sequence), acked);
            ensure!(other.is_none(), "once", "{acked:?} and {other:?}");
        }
        let numbers = places.clone();
        for ((id, _), acked) in places {
            if let Some((device, count)) = acked.by.counter() {
                // Only what is in one outbox waits for each other.
                let outbox = record.outbox_of(device, count);
                let before = counts.insert((id, device, outbox), count);
                ensure!(before < Some(count), "order", "{acked:?} after {before:?}");
            }
            let mut log = oracle.logs.remove(&id).unwrap_or_default();
            oracle.fill(id, &mut log, Some(acked.sequence))?;
            oracle.add(&mut log, acked)?;
            oracle.logs.insert(id, log);
        }
        oracle.end_meetings(wall)?;
        oracle.end_children()?;
        oracle.end_messages(wall)?;
        for by in record.acked().map(|acked| acked.by) {
            if let (Act::Delete(upto, some), Some(log)) = (&by.act, oracle.logs.get_mut(&by.place))
            {
                let (all, numbers) = log.deleted.entry(by.user.clone()).or_default();
                *all = *upto.max(all);
                numbers.extend(some);
            }
            if let (Act::Read(n), Some(log)) = (&by.act, oracle.logs.get_mut(&by.place)) {
                let read = log.read.entry(by.user.clone()).or_default();
                *read = *n.max(read);
            }
        }
        // Who deleted a copy for themselves is not told what was taken out of it.
        oracle.check_forwards()?;
        oracle.read_all(&numbers);
        // Nobody keeps the names of markers: one whose answer was lost, asked for again after its user left, is refused and moved all the
        // same.
        for by in record.commands.values() {
            if let (Act::Read(n), Some((_, Err(_))), Some(log)) =
                (&by.act, &by.answer, oracle.logs.get_mut(&by.place))
            {
                log.perhaps.entry(by.user.clone()).or_default().push(*n);
            }
        }
        Ok(oracle)
    }

    /// Adds what a command did, if it could.
    fn add(&self, log: &mut Log, acked: Acked<'_>) -> Check {
        let (by, n, me, mut look) = (acked.by, acked.sequence, &acked.by.user, acked.look());
        look.role = self.below.role(by.place, n).or(look.role);
        let mine = log.rank(me);
        let says = matches!(by.act, Act::Say(..) | Act::Forward(..));
        self.check_led(log, acked)?;
        self.check_end(log, acked)?;
        let before = log.numbers.last_key_value();
        let (last, at) = before.map_or((0, 0), |(n, (at, _))| (*n, *at));
        log.ordinal += u64::from(says && !look.silent);
        let dense = n == last + 1 && look.at >= at && look.ordinal == log.ordinal;
        ensure!(dense, "numbers", "{acked:?} after {last} ({at})");
        log.direct |= n == 1 && says;
        let peer = self.record.peer(by.place, me).filter(|_| log.direct);
        let closed = peer.map(|peer| self.closed(me, peer, acked.span()));
        let allowed = match &by.act {
            Act::Edit(..) | Act::Recall(..) => return self.change(log, acked, closed.flatten()),
            Act::React(..) | Act::Pin(..) | Act::Vote(..) | Act::Close(..) | Act::OpenThread(_) => {
                return self.mark(log, acked, closed.flatten());
            }
            Act::Channel(_) => mine > 1,
            // Cards are for those who lead.
            Act::Say(_, MessageKind::Card, _) => log.direct || mine > 1,
            Act::Say(..) | Act::Forward(..) => log.direct || mine > u16::from(log.frozen),
            Act::Answer(..) => {
                let card = log.items.get(&self.record.target(by));
                let card = card.filter(|card| card.now.text.is_some());
                (log.direct || mine > 0) && card.and_then(|it| it.says) == Some(MessageKind::Card)
            }
            Act::Create(history, _, open, ends) => {
                (log.history, log.led.open, log.led.ends) = (*history, *open, *ends);
                n == 1
            }
            Act::Set(frozen, history, lifetime) => {
                let (now, seen) = (&mut log.frozen, &mut log.history);
                (*now, *seen) = (frozen.unwrap_or(*now), history.unwrap_or(*seen));
                log.lifetime = lifetime.unwrap_or(log.lifetime);
                mine > 1
            }
            Act::Leave => mine > 0,
            Act::Remove(user) => log.rank(user) > 0 && mine > log.rank(user).min(2),
            Act::SetRole(user, _) => mine == 3 && log.rank(user) > 0,
            _ => self.may_lead(log, acked) == Some(true),
        };
        ensure!(allowed, "rights", "{acked:?}, who has role {mine} there");
        log.numbers.insert(n, (look.at, None));
        // Where it cannot be said whether a block held, whoever got it was let.
        let unseen = || peer.is_some_and(|peer| !self.record.got(peer, by.place, n, n));
        let closed = closed.is_some_and(|closed| closed.unwrap_or_else(unseen));
        let answers = matches!(by.act, Act::Answer(..));
        let card = log.items.get(&self.record.target(by));
        let card = card.filter(|_| answers && !closed);
        let (copies, kind) = self.copies_of(acked).unzip();
        if copies.is_some() {
            look.text = Some(self.told(by.place, n, n).unwrap_or_default());
        }
        let item = Item {
            private: closed || answers,
            copies,
            closes: acked.closes(),
            unnamed: acked.is_unnamed_poll().then(BTreeMap::new),
            taken_back: false,
            audience: card.map(|card| card.now.sender.clone()),
            says: match by.act {
                Act::Say(_, kind, _) => Some(kind),
                _ => kind.flatten(),
            },
            given: by.given,
            states: BTreeMap::from([(n, look.clone())]),
            now: look,
        };
        if !log.lead(n, &by.act) {
            log.change_member(n, item.now.member.clone(), &by.act);
            self.settle_role(by.place, log, n, item.now.member.as_ref());
        }
        log.items.insert(n, item);
        Ok(())
    }

    /// An edit or a recall.
    fn change(&self, log: &mut Log, acked: Acked<'_>, closed: Option<bool>) -> Check {
        let (n, me, look) = (acked.sequence, &acked.by.user, acked.look());
        let (target, mine, direct) = (self.record.target(acked.by), log.rank(me), log.direct);
        let floor = u16::from(log.frozen && look.text.is_some());
        log.numbers.insert(n, (look.at, Some(target)));
        let item = log.items.get_mut(&target).filter(|item| {
            let now = &item.now;
            let fresh = look.at.saturating_sub(now.at) <= self.window_ms;
            let open = (direct || mine > floor) && (item.private || closed != Some(true));
            let admin = look.text.is_none() && mine > 1;
            now.text.is_some() && open && (admin || now.sender == *me && fresh)
        });
        let Item {
            now,
            states,
            taken_back,
            ..
        } = some!(item, "rights", "{acked:?} may not change {target}");
        *taken_back |= look.text.is_none() && now.sender != *me;
        (now.rev, now.edited) = (n, look.text.is_some());
        // It is read anew for what it says now.
        now.marks.preview = None;
        now.text = look.text;
        if now.text.is_none() {
            now.marks = Marks::default();
        }
        states.insert(n, now.clone());
        Ok(())
    }

    /// A reaction, a pin, a vote.
    fn mark(&self, log: &mut Log, acked: Acked<'_>, closed: Option<bool>) -> Check {
        let (n, me) = (acked.sequence, &acked.by.user);
        let (target, mine, direct) = (self.record.target(acked.by), log.rank(me), log.direct);
        log.numbers.insert(n, (acked.wall, Some(target)));
        log.quiet.insert(n);
        let fits_thread =
            (log.items.get(&target)).is_some_and(|item| Self::may_open(log, acked, item));
        let item = log.items.get_mut(&target).filter(|item| {
            let open = item.private || closed != Some(true);
            let pins = !matches!(acked.by.act, Act::Pin(..)) || direct || mine > 1;
            let poll = item.says == Some(MessageKind::Poll);
            let fits = match acked.by.act {
                Act::OpenThread(_) => fits_thread,
                Act::Vote(..) => poll && !item.now.marks.closed,
                Act::Close(..) => {
                    let author = item.now.sender == *me;
                    poll && !item.now.marks.closed && (author || !direct && mine > 1)
                }
                _ => true,
            };
            item.now.text.is_some() && open && pins && fits && (direct || mine > 0)
        });
        let Item {
            now,
            states,
            unnamed,
            ..
        } = some!(item, "rights", "{acked:?} may not mark {target}");
        match &acked.by.act {
            Act::Pin(_, _, true) => {
                now.marks.pinned.get_or_insert_with(|| me.clone());
            }
            Act::React(_, _, key, on) => now.marks.react(key, me, *on),
            Act::Vote(_, _, choices) => match unnamed {
                None => now.marks.vote(choices, me),
                Some(ballots) => {
                    ballots.insert(me.clone(), choices.clone());
                    now.marks.count(ballots, None);
                }
            },
            Act::Close(..) => now.marks.closed = true,
            Act::OpenThread(_) => now.marks.thread = true,
            _ => now.marks.pinned = None,
        }
        now.rev = n;
        states.insert(n, now.clone());
        Ok(())
    }

    /// Whether somebody who joined may have been invited, since they were there last.
    fn invited(&self, acked: Acked<'_>) -> bool {
        let (me, place) = (&acked.by.user, acked.by.place);
        let here = self.rights.iter().filter(|other| other.by.place == place);
        let joins =
            (here.clone()).filter(|other| matches!(other.by.act, Act::Join) && other.sequence > 0);
        let before = joins.filter(|o| o.by.user == *me && o.sequence < acked.sequence);
        let since = before.map(|other| other.by.given).max().unwrap_or(0);
        here.filter(|other| since <= other.moment && other.by.given <= acked.moment)
            .any(|other| matches!(&other.by.act, Act::Create(_, users, ..) | Act::Invite(users) if users.contains(me)))
    }

    /// Whether something held all through a span; `None`: cannot be said. `change`: what a command makes of it.
    fn during(&self, span: Span, change: impl Fn(&Command) -> Option<bool>) -> Option<bool> {
        let came = self.rights.iter().filter(|acked| acked.by.given <= span.1);
        let came = came.filter_map(|acked| Some((acked, change(acked.by)?)));
        let (before, amid): (Vec<_>, Vec<_>) = came.partition(|(acked, _)| acked.moment < span.0);
        // Each took place between its two moments: of those before, which was the last?
        let later = |a: &Acked<'_>, b: &Acked<'_>| a.by.given > b.moment || a.sequence > b.sequence;
        let last = |(b, _): &&(&Acked<'_>, bool)| !before.iter().any(|(a, _)| later(a, b));
        let mut states = before.iter().filter(last).chain(&amid).map(|(_, on)| *on);
        let never = before.is_empty().then_some(false);
        let first = never.or_else(|| states.next())?;
        states.all(|on| on == first).then_some(first)
    }

    fn blocks(&self, by: &UserId, of: &UserId, span: Span) -> Option<bool> {
        self.during(span, |command| match &command.act {
            Act::Block(user, on) if command.user == *by && user == of => Some(*on),
            _ => None,
        })
    }

    /// A block of either side closes a direct conversation.
    fn closed(&self, one: &UserId, other: &UserId, span: Span) -> Option<bool> {
        let both = [(one, other), (other, one)].map(|(by, of)| self.blocks(by, of, span));
        let closed = both.contains(&Some(true)).then_some(true);
        closed.or_else(|| both[0].and(both[1]))
    }

    /// What a user should see of a log now.
    fn visible<'l>(&self, id: ConversationId, log: &'l Log, user: &UserId) -> Visible<'l> {
        let near = !log.direct || self.record.peer(id, user).is_some();
        let items = log.items.iter().filter(|(n, item)| {
            let hidden = || self.blocks(user, &item.now.sender, NOW) == Some(true);
            let gone =
                (log.deleted.get(user)).is_some_and(|(all, some)| *n <= all || some.contains(n));
            near && !gone && log.may(user, **n, item) && !(log.hideable(user, item) && hidden())
        });
        items.map(|(n, item)| (*n, item)).collect()
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
        let addressed = item.now.sender == *user || item.audience.as_ref() == Some(user);
        (self.direct || inside) && (!item.private || addressed)
    }

    /// Whether a user's block in a group withholds it.
    fn hideable(&self, user: &UserId, item: &Item) -> bool {
        let now = &item.now;
        let written = matches!(now.kind, EntryKind::Message | EntryKind::Answer);
        !self.direct && written && now.sender != *user
    }

    fn change_member(&mut self, n: Sequence, user: Option<UserId>, act: &Act) {
        let Some(user) = user else { return };
        let (role, intervals) = self.members.entry(user).or_default();
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
