//! What came of an append, and what follows from it for memory, sessions and other nodes.

use std::sync::Arc;

use fireside_protocol::{
    ClientFrame, Code, ConversationKind, Lane, LinkCode, Nonce, Now, ServerFrame, UserId,
    frames::{Ack, HeadsRequest, Refused, UserRecord},
};

use crate::{
    answers::BUSY_RETRY_MS,
    conversation::{Awaiting, ConversationKey},
    job::{Flight, Job, Pending, Task},
    links::LinkSecret,
    loaded::Loaded,
    moderation::until_of,
    node::{Node, Published},
    storage::{Appended, Done, LinkOp, NewConversation, Op, Outcome, Reply, Shape, StoreError},
};

impl Node {
    /// An append was answered.
    pub(crate) fn appended(&mut self, flight: Flight, result: Result<Reply, StoreError>, now: Now) {
        let Flight {
            mut job,
            conversation,
            create,
            shape,
            links,
            entries,
            version,
        } = flight;
        let Some(nonce) = job.nonce() else {
            return;
        };
        let user = job.user.clone();
        if !matches!(result, Ok(Reply::Appended(Appended::Done(_)))) {
            self.unslow(conversation, &mut job);
        }
        let Some(slot) = self.conversations.get_mut(conversation) else {
            return;
        };
        let id = slot.id;
        let guess = slot.loaded.as_ref().map(|loaded| loaded.guess(0));
        let work = slot.work();
        work.entries_flying = work.entries_flying.saturating_sub(entries);
        if let Some(place) = work
            .flying
            .iter()
            .position(|(who, name)| *name == nonce && *who == user)
        {
            work.flying.remove(place);
        }
        match result {
            Ok(Reply::Appended(Appended::Done(done))) => {
                self.count_outcome(&done.outcome);
                if entries > 0 || !done.members.is_empty() || create.is_some() || !links.is_empty()
                {
                    self.apply(conversation, &done, create.as_ref(), shape, &links, now);
                }
                self.send_records(&done.records);
                self.counters.previews_added +=
                    u64::from(matches!(job.task, Task::Preview(_)) && entries > 0);
                self.want_previews(&job, &done);
                let answer = self.answer_for(conversation, &job, nonce, done.outcome);
                self.finish(&job, answer);
                let children = done.children;
                if !done.entries.is_empty() {
                    self.out.published.push_back(Published::Entries {
                        conversation: id,
                        version: done.version,
                        entries: Arc::from(done.entries),
                    });
                }
                self.children_changed(children, now);
            }
            Ok(Reply::Appended(Appended::Known(outcome))) => {
                self.counters.known_nonces += 1;
                let answer = self.answer_for(conversation, &job, nonce, outcome);
                self.finish(&job, answer);
            }
            Ok(Reply::Appended(Appended::OutOfOrder)) => {
                // The one before it was overtaken (a first message makes the conversation under it) and is on its way again: so is
                // this one, behind it.
                let behind = job.leans_on().into_iter().flatten().any(|before| {
                    let is_it = |(who, name): &(UserId, Nonce)| *name == before && *who == user;
                    work.flying.iter().any(is_it)
                        || work.undecided.iter().any(is_it)
                        || work
                            .parked
                            .iter()
                            .any(|(_, other)| other.user == user && other.nonce() == Some(before))
                });
                job.tries += 1;
                if behind && job.tries < DECISIONS_MAX {
                    self.run(conversation, job, now);
                } else {
                    self.counters.out_of_order += 1;
                    self.refund(conversation, &job);
                    self.give_up(job, Code::RetryInOrder, IN_ORDER_RETRY_MS);
                }
            }
            Ok(Reply::Appended(Appended::Stale)) => {
                self.counters.stale += 1;
                job.tries += 1;
                job.item = None;
                job.elsewhere = None;
                job.originals = None;
                job.hidden = None;
                if job.tries >= DECISIONS_MAX {
                    self.give_up(job, Code::Overloaded, BUSY_RETRY_MS);
                } else {
                    if let Some(loaded) = slot_state(self, conversation)
                        && loaded.version() == version
                    {
                        loaded.dirty = true;
                    }
                    self.run(conversation, job, now);
                }
            }
            Ok(_) => self.give_up(job, Code::StorageUnavailable, BUSY_RETRY_MS),
            Err(error) => {
                self.counters.store_errors += 1;
                if self.config.breaks.overlay_kept
                    && let Some((sequence, ordinal, at)) = guess
                    && entries > 0
                {
                    self.keep_overlay(conversation, sequence);
                    let outcome = Outcome::Done {
                        conversation: Some(id),
                        sequence,
                        ordinal,
                        at,
                        expires: 0,
                    };
                    self.finish(&job, answer_of(nonce, outcome));
                } else {
                    // The overlay goes with it: what leaned on this command has no outcome to lean on.
                    self.give_up(job, error.code(), STORE_RETRY_MS);
                }
            }
        }
        self.unpark(conversation, &user, nonce, now);
        self.conversations.release(conversation);
    }

    /// The answer that an outcome stands for, with the time that a mute or a ban has now, and the code of a link.
    fn answer_for(
        &self,
        conversation: ConversationKey,
        job: &Job,
        nonce: Nonce,
        outcome: Outcome,
    ) -> ServerFrame {
        let mut answer = answer_of(nonce, outcome);
        match (&mut answer, &job.task) {
            (ServerFrame::Refused(refused), _) => {
                let slot = self.conversations.get(conversation);
                let loaded = slot.and_then(|slot| slot.loaded.as_ref());
                let member = loaded.and_then(|loaded| loaded.member(&job.user));
                refused.until = member.map_or(0, |member| until_of(member, refused.code()));
            }
            (ServerFrame::Ack(ack), Task::Frame(ClientFrame::CreateLink(_))) => {
                let made = |secret: LinkSecret| LinkCode::made(&secret.0, &job.user, nonce);
                ack.link = self.secret.map(made);
            }
            _ => {}
        }
        answer
    }

    fn count_outcome(&mut self, outcome: &Outcome) {
        match outcome {
            Outcome::Done { .. } => self.counters.appended += 1,
            Outcome::Refused(_) => self.counters.refused_for_good += 1,
        }
    }

    /// A built-in fault: an entry that was never stored stays in memory as if it had been.
    fn keep_overlay(&mut self, conversation: ConversationKey, sequence: u64) {
        if let Some(row) = slot_state(self, conversation).and_then(|loaded| loaded.row.as_mut()) {
            row.last = row.last.max(sequence);
            row.ordinal += 1;
        }
    }

    /// Takes a durable append into memory.
    pub(crate) fn apply(
        &mut self,
        conversation: ConversationKey,
        done: &Done,
        create: Option<&NewConversation>,
        shape: Option<Box<Shape>>,
        links: &[LinkOp],
        now: Now,
    ) {
        let Some(slot) = self.conversations.get_mut(conversation) else {
            return;
        };
        let id = slot.id;
        let Some(loaded) = &mut slot.loaded else {
            return;
        };
        let shaped = shape.is_some();
        let changed = loaded.apply(id, done, create, shape, links);
        let row = loaded.row.as_ref();
        if let Some(row) = row.filter(|row| row.kind == ConversationKind::Meeting) {
            let ends = (!row.dissolved).then(|| row.settings.ends.unwrap_or(0));
            self.meeting_set(id, ends, now);
        }
        let Some(slot) = self.conversations.get_mut(conversation) else {
            return;
        };
        if changed.is_empty() && !shaped && links.is_empty() {
            return;
        }
        slot.work().epoch += 1;
        for user in &changed {
            self.member_changed(conversation, user);
            self.reader_came(conversation, user, now);
        }
        let dirty = slot_state(self, conversation).is_some_and(|loaded| loaded.dirty);
        if dirty {
            self.load(conversation, now);
        } else {
            self.request_join_heads(conversation, now);
        }
    }

    /// A member's record changed: whoever came and is here gets a head and then entries, whoever went loses the rest.
    fn member_changed(&mut self, conversation: ConversationKey, user: &UserId) {
        let Some(key) = self.users.key(user) else {
            return;
        };
        let Some(slot) = self.conversations.get_mut(conversation) else {
            return;
        };
        let Some(online) = self.users.get_mut(key) else {
            return;
        };
        let role = slot.loaded.as_ref().and_then(|loaded| loaded.role(user));
        if role.is_none() {
            // Live entries end with the one that ended the membership; typing and receipts end here.
            for online in &mut slot.online {
                online.leaving |= online.user == key;
            }
            slot.openers
                .retain(|opener| !online.sessions.contains(opener));
            for session in &online.sessions {
                if let Some(session) = self.sessions.get_mut(session) {
                    session.open.retain(|open| *open != conversation);
                }
            }
        } else if online.add(conversation) || !slot.is_member_here(key) {
            slot.remove_online(key);
            slot.add_online(key, user, true);
            slot.work().awaiting.push(Awaiting {
                user: key,
                held: Vec::new(),
                missed: false,
                asked: false,
            });
        }
    }

    /// Reads the heads of those who just came.
    pub(crate) fn request_join_heads(&mut self, conversation: ConversationKey, now: Now) {
        let Some(slot) = self.conversations.get_mut(conversation) else {
            return;
        };
        let id = slot.id;
        let Some(work) = &mut slot.work else {
            return;
        };
        let mut asked = Vec::new();
        for waiting in &mut work.awaiting {
            if !std::mem::replace(&mut waiting.asked, true) {
                asked.extend(self.users.get(waiting.user).map(|user| user.id.clone()));
            }
        }
        work.pins += asked.len() as u32;
        for user in asked {
            let op = Op::Heads {
                user: user.clone(),
                request: newest_heads(),
                only: vec![id],
            };
            self.submit(op, Pending::JoinHead(conversation, user), now);
        }
    }

    /// Sends user-log records to their owners' sessions.
    pub(crate) fn send_records(&mut self, records: &[(UserId, UserRecord)]) {
        for (user, record) in records {
            let Some(user) = self.users.by_id(user) else {
                continue;
            };
            let frame = ServerFrame::UserRecord(record.clone()).encode(0);
            for key in &user.sessions {
                let Some(session) = self.sessions.get(key) else {
                    continue;
                };
                // Who is being logged in reads the user log behind this.
                if session.entering.is_some() {
                    continue;
                }
                if session.outbound.has_room_answer(frame.len()) {
                    self.out
                        .push(*key, session, Lane::Chat, 0, false, frame.clone());
                } else {
                    self.lost_records.push(*key);
                }
            }
        }
        // A record has no head to make up for it: the session starts over from its cursor.
        for key in std::mem::take(&mut self.lost_records) {
            self.end(key, Code::Overloaded, None);
        }
    }
}

fn slot_state(node: &mut Node, conversation: ConversationKey) -> Option<&mut Loaded> {
    let slot = node.conversations.get_mut(conversation)?;
    slot.loaded.as_deref_mut()
}

/// The answer that an outcome stands for, the same each time.
pub(crate) fn answer_of(nonce: Nonce, outcome: Outcome) -> ServerFrame {
    match outcome {
        Outcome::Done {
            conversation,
            sequence,
            ordinal,
            at,
            expires,
        } => ServerFrame::Ack(Ack {
            nonce,
            conversation,
            sequence,
            ordinal,
            at,
            entry: None,
            link: None,
            expires,
        }),
        Outcome::Refused(code) => ServerFrame::Refused(Refused::new(code)),
    }
}

/// Heads without a start or an age.
pub(crate) const fn newest_heads() -> HeadsRequest {
    HeadsRequest {
        since: 0,
        before_at: 0,
        before: None,
        limit: 0,
        only: Vec::new(),
    }
}

/// Decisions on one command that may be overtaken before it is refused as overloaded.
const DECISIONS_MAX: u8 = 8;
/// When to try again in order, in ms: at once, for what it waits for is on its way.
const IN_ORDER_RETRY_MS: u64 = 100;
/// When to try again what the store failed at, in ms.
pub(crate) const STORE_RETRY_MS: u64 = 1_000;
