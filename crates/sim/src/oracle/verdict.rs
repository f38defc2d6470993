//! What the model says of what clients saw: on the wire at any time, and at rest on their screens.

use std::collections::BTreeMap;

use fireside_client_core::view::MessageState::{Delivered, Read, Received, Sent};
use fireside_protocol::{ConversationId, EntryKind, Role, Sequence, UserId, frames::TypingOf};

use super::{Log, NOW, Oracle, Visible};
use crate::{
    record::{Act, Look, MS, Marks, Moment, Shown, UNREAD_SHOWN_MAX, View},
    violation::{Check, ensure, some},
};

/// Rows that an opened timeline has at least, if there are so many.
const SCREEN_ROWS: usize = 50;
/// How long a datagram may be on its way.
const DATAGRAM: Moment = 1_000 * MS;

impl Oracle<'_> {
    /// Checks all that came to clients over the wire; an error is the first rule that does not hold.
    pub fn check_wire(&self) -> Check {
        for ((user, id, n, rev, in_list), (target, look, moment)) in &self.record.delivered {
            let about = if *target == 0 { n } else { target };
            let what = (user, id, n, look);
            let log = self.logs.get(id);
            let known = log.and_then(|log| Some((log, log.items.get(about)?)));
            let (log, item) = some!(known, "durable", "{what:?}, which is not there");
            let member = log.members.get(user).and_then(|(_, all)| all.last());
            let in_group = member.is_some_and(|(_, until)| n <= until);
            let near = in_group || log.direct && self.record.peer(*id, user).is_some();
            let may = near && log.may(user, *about, item);
            ensure!(may, "rights", "{what:?} of {item:?}");
            let number = (look.at, (*target > 0).then_some(*target));
            let state = item.states.get(rev).is_some_and(|state| match look.kind {
                EntryKind::React => state.marks.reactions == look.marks.reactions,
                EntryKind::Pin => state.marks.pinned == look.marks.pinned,
                EntryKind::Preview => state.marks.preview == look.marks.preview,
                EntryKind::Thread => state.marks.thread == look.marks.thread,
                EntryKind::Vote => {
                    let (marks, told) = (&state.marks, &look.marks);
                    // An anonymous vote is told in the name of the poll's author; who closed the poll is told.
                    let vote = item.unnamed.is_some() && !told.closed;
                    (!vote || look.sender == state.sender)
                        && marks.votes == told.votes
                        && marks.closed == told.closed
                }
                _ if *target > 0 => state.text == look.text,
                _ if *in_list => {
                    Look {
                        marks: Marks::default(),
                        ..state.clone()
                    } == *look
                }
                _ => state == look,
            });
            let same = state && log.numbers.get(n) == Some(&number);
            ensure!(same, "state", "{what:?} of {item:?}");
            let open = *target > 0 || !log.hideable(user, item);
            let shut = || self.blocks(user, &look.sender, (item.given, *moment));
            let may = open || shut() != Some(true);
            ensure!(may, "rights", "{what:?} under a block");
        }
        let mut typings = self.record.typings.iter();
        let wrong = typings.find(|(user, typing, at)| !self.may_see_typing(user, typing, *at));
        ensure!(wrong.is_none(), "rights", "{wrong:?}");
        Ok(())
    }

    fn may_see_typing(&self, user: &UserId, typing: &TypingOf, to: Moment) -> bool {
        let (id, other) = (typing.conversation, &typing.user);
        let span = (to.saturating_sub(DATAGRAM), to);
        if self.below.is_child(id) {
            // Who comes and goes with the parent gave no command there.
            return self.blocks(user, other, span) != Some(true);
        }
        if ConversationId::direct(user, other) == id {
            return self.closed(user, other, span) != Some(true);
        }
        let is_out = |who: &UserId| {
            let state = self.during(span, |command| match &command.act {
                _ if command.place != id => None,
                Act::Create(..) | Act::Join | Act::JoinBy(_) if command.user == *who => Some(true),
                Act::LetIn(user, true) if user == who => Some(true),
                Act::Ban(user, true, _) if user == who => Some(false),
                Act::Dissolve => Some(false),
                Act::Leave if command.user == *who => Some(false),
                Act::Remove(user) if user == who => Some(false),
                _ => None,
            });
            state == Some(false)
        };
        let shut = self.blocks(user, other, span) == Some(true);
        !shut && !is_out(user) && !is_out(other)
    }

    /// Checks what a device has and shows of a conversation; an error is the first rule that does not hold.
    pub fn check_device(&self, device: &Shown<'_>) -> Check {
        let (user, id) = (device.user, device.id);
        let known = |log: &&Log| !log.led.unsure && !log.unsure_of.contains(user);
        let Some(log) = self.logs.get(&id).filter(known) else {
            return Ok(());
        };
        let who = format!("{user} (device {}) in {id}", device.index);
        let visible = self.visible(id, log, user);
        let role = log.members.get(user).and_then(|(role, _)| *role);
        // Whoever deleted all of a direct conversation is still in it.
        let near = log.direct && self.record.peer(id, user).is_some();
        let met = near && log.items.iter().any(|(n, item)| log.may(user, *n, item));
        let role = role.or(met.then_some(Role::Member));
        let shown = device.view.as_ref().and_then(|view| view.role);
        // What a user wrote first and was refused stands in a conversation of this device's own, whatever there is besides.
        let refused = || {
            let mut mine = self.record.commands.values();
            mine.any(|by| {
                let said = by.user == *user && by.place == id && matches!(by.act, Act::Say(..));
                said && matches!(by.answer, Some((_, Err(_))))
            })
        };
        if near && role.is_none() && shown == Some(Role::Member) && refused() {
            return Ok(());
        }
        ensure!(role == shown, "rights", "{who} is {role:?}, not {shown:?}");
        let Some(seen) = device.view.as_ref().filter(|_| role.is_some()) else {
            return Ok(());
        };
        let items: BTreeMap<_, _> =
            (visible.iter().map(|(n, item)| (*n, item.now.clone()))).collect();
        let mut messages = items.iter().filter(|(_, it)| it.kind == EntryKind::Message);
        // Own words are read, also those that the user deleted.
        let is_own = |look: &Look| look.kind == EntryKind::Message && look.sender == *user;
        let mut written = log.items.iter().map(|(n, item)| (n, &item.now));
        let own = written.rfind(|(_, look)| is_own(look));
        let read = log.read.get(user).max(own.map(|(n, _)| n));
        let read = read.map_or(0, |n| *n);
        let unread = |read| {
            let unread = messages
                .clone()
                .filter(|(n, it)| **n > read && !it.silent && !it.over);
            unread.count().min(UNREAD_SHOWN_MAX)
        };
        let perhaps = log.perhaps.get(user).into_iter().flatten();
        let mut perhaps = perhaps.map(|n| unread(read.max(*n)));
        let unread = perhaps
            .find(|it| *it == seen.unread)
            .unwrap_or(unread(read));
        let preview = messages.next_back().map(|(_, look)| look.clone());
        let sees = |target: Option<Sequence>, n| visible.contains_key(&target.unwrap_or(n));
        let mut numbers = log.numbers.iter().rev();
        let expected = View {
            role,
            last: log.numbers.keys().next_back().copied().unwrap_or(0),
            at: numbers
                .find(|(n, (_, of))| !log.quiet.contains(n) && sees(*of, **n))
                .map_or(0, |(_, (at, _))| *at),
            unread,
            sender: preview.as_ref().map(|look| look.sender.clone()),
            preview: preview.and_then(|look| look.text).unwrap_or_default(),
            items,
        };
        for n in expected.items.keys().chain(seen.items.keys()) {
            let (has, due) = (seen.items.get(n), expected.items.get(n));
            ensure!(
                has == due,
                "state",
                "{who} holds of {n} {has:?}, not {due:?}"
            );
        }
        let rule = if seen.unread == expected.unread {
            "views"
        } else {
            "unread"
        };
        let short = |view: &View| View {
            items: BTreeMap::new(),
            ..view.clone()
        };
        ensure!(
            *seen == expected,
            rule,
            "{who}, read to {read}: {:?}, not {:?}",
            short(seen),
            short(&expected)
        );
        self.check_rows(log, device, &visible)
    }

    /// An open timeline shows the newest part of what there is, and how far own messages are.
    fn check_rows(&self, log: &Log, device: &Shown<'_>, visible: &Visible<'_>) -> Check {
        let (user, id, Some(rows)) = (device.user, device.id, &device.rows) else {
            return Ok(());
        };
        let who = format!("device {} shows of {id}", device.index);
        let (has, due) = (rows.len(), visible.len().min(SCREEN_ROWS));
        ensure!(has >= due, "views", "{who} {has} rows, not {due}");
        let peer = self.record.peer(id, user).filter(|_| log.direct);
        let read = peer.and_then(|peer| log.read.get(peer)).map_or(0, |n| *n);
        let perhaps = peer.and_then(|peer| log.perhaps.get(peer)?.iter().max());
        let perhaps = perhaps.map_or(0, |n| *n);
        let got = |n| peer.is_some_and(|peer| self.record.got(peer, id, n, Sequence::MAX));
        // Behind a block receipts stand still.
        let still = |peer| self.closed(peer, user, (0, Moment::MAX)) != Some(false);
        // So they do for who told nothing at any time.
        let quiet = |user| self.told_nothing(user);
        let still = peer.is_some_and(|peer| still(peer) || quiet(peer) || quiet(user));
        let mut items = visible.range(..=device.top).rev();
        for (n, look, state) in rows.iter().rev() {
            let item = items.next().filter(|(number, _)| *number == n);
            let unnamed = item.and_then(|(_, item)| item.unnamed.as_ref());
            let now = item.map(|(_, item)| &item.now);
            let hidden = |by: &UserId| self.blocks(user, by, NOW) == Some(true);
            let plain = now.map(|now| {
                let look = now.as_row();
                let mut marks = look.marks.without(hidden);
                if let Some(ballots) = unnamed.filter(|_| look.text.is_some()) {
                    let mine = ballots.get(user).map_or(&[][..], Vec::as_slice);
                    marks.count(ballots, Some(mine));
                }
                Look { marks, ..look }
            });
            ensure!(*look == plain, "views", "{who} {n} {look:?}, not {plain:?}");
            let message = now.filter(|now| now.kind == EntryKind::Message);
            let level = match message.filter(|now| now.sender == *user) {
                None => 0,
                Some(_) if *n <= read => 3,
                Some(_) => 1 + usize::from(got(*n)),
            };
            let levels = [Received, Sent, Delivered, Read];
            let shown = levels.iter().position(|one| one == state);
            let less = still && shown > Some(0) && shown < Some(level);
            // Where it cannot be said whether a marker moved.
            let more = shown == Some(3) && level > 0 && *n <= perhaps;
            let fits = shown == Some(level) || less || more;
            ensure!(fits, "receipts", "{who} {n} as {state:?}, read to {read}");
        }
        Ok(())
    }
}
