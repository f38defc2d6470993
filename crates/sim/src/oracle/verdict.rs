//! What the model says of what clients saw: on the wire at any time, and at rest on their screens.

use std::collections::BTreeMap;

use fireside_client_core::view::MessageState;
use fireside_protocol::{ConversationId, EntryKind, Role, Sequence, UserId, frames::TypingOf};

use super::{Check, Item, Log, Oracle, Violation, ensure};
use crate::record::{Act, Look, MS, Moment, Shown, UNREAD_SHOWN_MAX, View};

/// Rows that an opened timeline has at least, if there are so many.
const SCREEN_ROWS: usize = 50;
/// How long a datagram may be on its way.
const DATAGRAM: Moment = 1_000 * MS;

impl Oracle<'_> {
    /// Checks all that came to clients over the wire.
    ///
    /// # Errors
    /// The first rule that does not hold.
    pub fn check_wire(&self) -> Check {
        for ((user, id, n, rev), (target, look, moment)) in &self.record.delivered {
            let about = if *target == 0 { n } else { target };
            let what = format!("{user} got {id}/{n} {look:?}");
            let log = self.logs.get(id);
            let Some((log, item)) = log.and_then(|log| Some((log, log.items.get(about)?))) else {
                ensure!(false, "durable", "{what}, which is not there");
                continue;
            };
            let (now, what) = (item.now(), format!("{what} of {item:?}"));
            let member = log.members.get(user).and_then(|(_, all)| all.last());
            let near = if log.direct {
                now.sender == *user || self.record.peer(*id, user).is_some()
            } else {
                member.is_some_and(|(_, until)| n <= until)
            };
            ensure!(near && log.may(user, *about, item), "rights", "{what}");
            let number = (look.at, (*target > 0).then_some(*target));
            let state = item
                .states
                .get(rev)
                .is_some_and(|state| state == look || *target > 0 && state.text == look.text);
            let same = state && log.numbers.get(n) == Some(&number);
            ensure!(same, "state", "{what}");
            let open = *target > 0 || !log.hideable(user, item);
            let shut = || self.blocks(user, &now.sender, item.given, *moment) == Some(true);
            ensure!(open || !shut(), "rights", "{what} under a block");
        }
        let mut typings = self.record.typings.iter();
        let wrong = typings.find(|(user, typing, at)| !self.may_see_typing(user, typing, *at));
        ensure!(wrong.is_none(), "rights", "{wrong:?}");
        Ok(())
    }

    fn may_see_typing(&self, user: &UserId, typing: &TypingOf, to: Moment) -> bool {
        let (id, other) = (typing.conversation, &typing.user);
        let from = to.saturating_sub(DATAGRAM);
        if ConversationId::direct(user, other) == id {
            return self.closed(user, other, from, to) != Some(true);
        }
        let is_out = |who: &UserId| {
            let state = self.during(from, to, |command| match &command.act {
                _ if command.place != id => None,
                Act::Create(_) | Act::Join if command.user == *who => Some(true),
                Act::Leave if command.user == *who => Some(false),
                Act::Remove(user) if user == who => Some(false),
                _ => None,
            });
            state == Some(false)
        };
        let shut = self.blocks(user, other, from, to) == Some(true);
        !shut && !is_out(user) && !is_out(other)
    }

    /// All conversations there are.
    pub fn conversations(&self) -> impl Iterator<Item = ConversationId> {
        self.logs.keys().copied()
    }

    /// Checks what a device has and shows of a conversation.
    ///
    /// # Errors
    /// The first rule that does not hold.
    pub fn check_device(&self, id: ConversationId, device: &Shown<'_>) -> Check {
        let (user, Some(log)) = (device.user, self.logs.get(&id)) else {
            return Ok(());
        };
        let who = format!("{user} (device {}) in {id}", device.index);
        let visible = self.visible(id, log, user);
        let role = log.members.get(user).and_then(|(role, _)| *role);
        let role = role.or((log.direct && !visible.is_empty()).then_some(Role::Member));
        let shown = device.view.as_ref().and_then(|view| view.role);
        ensure!(
            role == shown,
            "rights",
            "{who} is {role:?} and sees itself as {shown:?}"
        );
        let Some(seen) = device.view.as_ref().filter(|_| role.is_some()) else {
            return Ok(());
        };
        let items: BTreeMap<_, _> =
            (visible.iter().map(|(n, it)| (*n, it.now().clone()))).collect();
        let message = |(_, look): &(&Sequence, &Look)| look.kind == EntryKind::Message;
        let messages = items.iter().filter(message);
        let own = messages.clone().rfind(|(_, look)| look.sender == *user);
        let read = log
            .read
            .get(user)
            .max(own.map(|(n, _)| n))
            .map_or(0, |n| *n);
        let unread = messages.clone().filter(|(n, _)| **n > read).count();
        let preview = messages.last().map(|(_, look)| look);
        let sees = |target: Option<Sequence>, n| visible.contains_key(&target.unwrap_or(n));
        let mut numbers = log.numbers.iter().rev();
        let expected = View {
            role,
            last: log.numbers.keys().next_back().copied().unwrap_or(0),
            at: (numbers.find(|(n, (_, of))| sees(*of, **n))).map_or(0, |(_, (at, _))| *at),
            unread: unread.min(UNREAD_SHOWN_MAX),
            sender: preview.map(|look| look.sender.clone()),
            preview: preview
                .and_then(|look| look.text.clone())
                .unwrap_or_default(),
            items,
        };
        for (n, look) in expected.items.iter().chain(&seen.items) {
            let (seen, due) = (seen.items.get(n), expected.items.get(n));
            ensure!(
                seen == due,
                "state",
                "{who} holds of {n} {seen:?}, not {due:?} ({look:?})"
            );
        }
        ensure!(
            seen.unread == expected.unread,
            "unread",
            "{who}: {seen:?}, not {expected:?}"
        );
        ensure!(
            *seen == expected,
            "views",
            "{who}: {seen:?}, not {expected:?}"
        );
        self.check_rows(log, id, device, &visible)
    }

    /// An open timeline shows the newest part of what there is, and how far own messages are.
    fn check_rows(
        &self,
        log: &Log,
        id: ConversationId,
        device: &Shown<'_>,
        visible: &BTreeMap<Sequence, &Item>,
    ) -> Check {
        let (user, who) = (
            device.user,
            format!("device {} shows of {id}", device.index),
        );
        let Some(rows) = &device.rows else {
            return Ok(());
        };
        let enough = rows.len() >= visible.len().min(SCREEN_ROWS);
        ensure!(
            enough,
            "views",
            "{who} {} rows of {}",
            rows.len(),
            visible.len()
        );
        let peer = self.record.peer(id, user).filter(|_| log.direct);
        let read = peer.and_then(|peer| log.read.get(peer)).map_or(0, |n| *n);
        // Behind a block receipts stand still.
        let open = |peer| self.closed(peer, user, 0, Moment::MAX) == Some(false);
        let open = peer.is_some_and(open);
        let got = |from, to| peer.is_some_and(|peer| self.record.got(peer, id, from, to));
        let mut items = visible.iter().rev();
        for (n, look, state) in rows.iter().rev() {
            let item = items.next().filter(|(number, _)| *number == n);
            let now = item.map(|(_, item)| item.now());
            let now = now.map(|now| Look {
                rev: 0,
                ordinal: 0,
                ..now.clone()
            });
            ensure!(*look == now, "views", "{who} {n} {look:?}, not {now:?}");
            let message = now.filter(|now| now.kind == EntryKind::Message);
            let own = message.is_some_and(|now| now.sender == *user);
            let fits = match state {
                MessageState::Received => !own,
                MessageState::Read => own && *n <= read,
                MessageState::Delivered => own && got(*n, Sequence::MAX) && !(open && *n <= read),
                _ => own && *state == MessageState::Sent && !(open && got(*n, *n)),
            };
            ensure!(fits, "receipts", "{who} {n} as {state:?}, read to {read}");
        }
        Ok(())
    }
}
