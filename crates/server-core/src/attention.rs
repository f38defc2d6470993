//! What sessions have on screen, and who types there.

use fireside_protocol::{
    ConversationId, Lane, Now, ServerFrame,
    frames::{Typing, TypingOf},
};

use crate::{
    node::{Node, SessionKey},
    users::EPHEMERAL_PER_S,
};

impl Node {
    /// Replaces the conversations a session has open. Those its user is no member of are left out in silence.
    pub(crate) fn attend(
        &mut self,
        key: SessionKey,
        open: impl Iterator<Item = ConversationId>,
        now: Now,
    ) {
        let Some(session) = self.sessions.get_mut(&key) else {
            return;
        };
        let Some(user) = self.users.get(session.user) else {
            return;
        };
        let user_id = user.id.clone();
        let mut keys = Vec::new();
        for id in open {
            let found = self.conversations.key(id).filter(|it| user.is_in(*it));
            let found = found.filter(|it| {
                let slot = self.conversations.get(*it);
                slot.is_some_and(|slot| slot.is_member_here(session.user))
            });
            keys.extend(found.filter(|it| !keys.contains(it)));
        }
        keys.shrink_to_fit();
        let before = std::mem::replace(&mut session.open, keys.clone());
        self.presence_attends(key);
        for closed in before.iter().filter(|it| !keys.contains(it)) {
            if let Some(slot) = self.conversations.get_mut(*closed) {
                slot.openers.retain(|opener| *opener != key);
            }
        }
        for opened in keys.iter().filter(|it| !before.contains(it)) {
            if let Some(slot) = self.conversations.get_mut(*opened) {
                slot.openers.push(key);
            }
            self.show_receipts(key, user_id.clone(), *opened, now);
            self.presence_opened(key, *opened, now);
        }
    }

    /// Somebody types: whoever has the conversation open is told, if they may hear of it and have room.
    pub(crate) fn typing(&mut self, key: SessionKey, typing: &Typing, now: Now) {
        let Some(session) = self.sessions.get_mut(&key) else {
            return;
        };
        if typing.counter <= session.typing_seen {
            return;
        }
        session.typing_seen = typing.counter;
        let Some(user) = self.users.get_mut(session.user) else {
            return;
        };
        if user
            .ephemeral
            .take(EPHEMERAL_PER_S, now.monotonic_ms)
            .is_err()
        {
            return;
        }
        let Some(slot) = self.conversations.key(typing.conversation) else {
            return;
        };
        let Some(slot) = self.conversations.get(slot) else {
            return;
        };
        // Whoever has it open made this node load it.
        let Some(loaded) = &slot.loaded else {
            return;
        };
        let closed = !loaded.is_group() && loaded.is_blocked();
        // Who may not write is not announced.
        let may_write = loaded
            .member(&user.id)
            .is_some_and(|it| it.role.is_some() && !it.is_muted(now.wall_ms));
        if closed || !may_write {
            return;
        }
        let from = user.id.clone();
        for opener in &slot.openers {
            let Some(session) = self.sessions.get_mut(opener) else {
                continue;
            };
            let reader = self.users.get(session.user);
            let reader = reader.and_then(|reader| loaded.member(&reader.id));
            let may = reader.is_some_and(|it| {
                it.role.is_some() && it.reader.user != from && !it.reader.blocked.contains(&from)
            });
            if !may {
                continue;
            }
            session.typing_counter += 1;
            let frame = ServerFrame::TypingOf(TypingOf {
                conversation: slot.id,
                user: from.clone(),
                counter: session.typing_counter,
                on: typing.on,
            })
            .encode(0);
            if session.outbound.has_room_live(frame.len()) {
                self.out
                    .push(*opener, session, Lane::Datagram, 0, false, frame);
                self.counters.typing_sent += 1;
            }
        }
    }
}
