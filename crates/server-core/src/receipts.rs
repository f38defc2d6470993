//! Markers and receipts: how far members got. Watermarks that only grow, many of them in one transaction.

use std::collections::HashMap;

use fireside_protocol::{
    ClientFrame, Code, ConversationId, Now, Sequence, ServerFrame, UserId,
    frames::{self, Ack, Delivered, Done},
    limits::{RECEIPT_INTERVAL_MS, RECEIPT_MEMBERS_MAX},
};
use foldhash::fast::RandomState;

use crate::{
    answers::{BUSY_RETRY_MS, DRAINING_RETRY_MS},
    appended::STORE_RETRY_MS,
    behind::fell_behind,
    conversation::ConversationKey,
    job::{Job, Pending, Task},
    loaded::Member,
    node::{Node, Origin, SessionKey},
    storage::{Mark, Op, Reply, StoreError},
    timers::Due,
    users::EPHEMERAL_PER_S,
};

/// Markers on their way to the store: one operation at a time, whatever comes meanwhile is the next one.
#[derive(Debug, Default)]
pub(crate) struct Marks {
    running: Vec<Marking>,
    next: Vec<Marking>,
    places: HashMap<(ConversationKey, UserId), usize, RandomState>,
    /// After a batch that failed: when the next may go, in monotonic ms.
    not_before: u64,
}

#[derive(Debug)]
struct Marking {
    conversation: ConversationKey,
    mark: Mark,
    #[expect(clippy::vec_box, reason = "jobs come and go as boxes")]
    waiting: Vec<Box<Job>>,
}

impl Marks {
    pub(crate) fn is_empty(&self) -> bool {
        self.running.is_empty() && self.next.is_empty()
    }
}

impl Node {
    /// Read up to a number: answered when it is durable.
    pub(crate) fn mark_read(
        &mut self,
        conversation: ConversationKey,
        job: Box<Job>,
        upto: Sequence,
        now: Now,
    ) {
        let Some(slot) = self.conversations.get(conversation) else {
            return;
        };
        let loaded = slot.loaded.as_ref();
        let member = loaded.and_then(|loaded| Some((loaded.last(), loaded.member(&job.user)?)));
        let Some((last, member)) = member.filter(|(_, member)| member.role.is_some()) else {
            self.give_up(job, Code::NotFound, 0);
            return;
        };
        let read = upto.min(last);
        if read <= member.read {
            self.finish(&job, marked_answer(&job, slot.id));
            return;
        }
        let mark = Mark {
            conversation: slot.id,
            user: job.user.clone(),
            read,
            delivered: 0,
            at: now.wall_ms,
        };
        if let Some(job) = self.add_mark(conversation, mark, Some(job)) {
            self.give_up(job, Code::Overloaded, BUSY_RETRY_MS);
        }
    }

    /// A device got entries. Direct only. Who gave it an id is told when it is durable, or to say it again; without one it is dropped
    /// when it comes too fast.
    pub(crate) fn delivered(
        &mut self,
        key: SessionKey,
        origin: Origin,
        frame: Delivered,
        now: Now,
    ) {
        let Some(session) = self.sessions.get(&key) else {
            return;
        };
        let Some(user) = self.users.get_mut(session.user) else {
            return;
        };
        let id = frame.conversation;
        let key_of = self.conversations.key(id);
        let is_in = key_of.is_some_and(|conversation| user.is_in(conversation));
        let refusal = if self.draining {
            Some((Code::Draining, DRAINING_RETRY_MS))
        } else if let Err(wait) = user.ephemeral.take(EPHEMERAL_PER_S, now.monotonic_ms) {
            Some((Code::RateLimited, wait))
        } else {
            (!is_in).then_some((Code::NotFound, 0))
        };
        let user = user.id.clone();
        let answered = origin.request != 0;
        if let Some((code, wait)) = refusal {
            if answered {
                self.refuse(key, origin, code, wait, None);
            }
            return;
        }
        if answered {
            self.begin_request(key);
        }
        let task = Task::Frame(ClientFrame::Delivered(frame));
        let conversation = self.conversations.open(id);
        self.run(conversation, Job::new(key, origin, user, task), now);
        self.conversations.release(conversation);
    }

    /// The conversation is in memory: the marker goes with the next batch.
    pub(crate) fn mark_delivered(
        &mut self,
        conversation: ConversationKey,
        job: Box<Job>,
        upto: Sequence,
        now: Now,
    ) {
        let Some(slot) = self.conversations.get(conversation) else {
            return;
        };
        let loaded = (slot.loaded.as_ref()).filter(|loaded| !loaded.is_group());
        let member = loaded.and_then(|loaded| Some((loaded.last(), loaded.member(&job.user)?)));
        let Some((last, member)) = member.filter(|(_, member)| member.role.is_some()) else {
            self.give_up(job, Code::NotFound, 0);
            return;
        };
        let delivered = upto.min(last);
        if delivered <= member.delivered {
            self.finish(&job, marked_answer(&job, slot.id));
            return;
        }
        let mark = Mark {
            conversation: slot.id,
            user: job.user.clone(),
            read: 0,
            delivered,
            at: now.wall_ms,
        };
        let waits = (!job.is_silent()).then_some(job);
        if let Some(job) = self.add_mark(conversation, mark, waits) {
            self.give_up(job, Code::Overloaded, BUSY_RETRY_MS);
        }
    }

    /// Adds to the next batch; gives the job back if there is no room.
    fn add_mark(
        &mut self,
        conversation: ConversationKey,
        mark: Mark,
        job: Option<Box<Job>>,
    ) -> Option<Box<Job>> {
        let marks = &mut self.marks;
        let name = (conversation, mark.user.clone());
        if let Some(marking) = marks
            .places
            .get(&name)
            .and_then(|place| marks.next.get_mut(*place))
        {
            marking.mark.read = marking.mark.read.max(mark.read);
            marking.mark.delivered = marking.mark.delivered.max(mark.delivered);
            marking.mark.at = mark.at;
            marking.waiting.extend(job);
            return None;
        }
        if marks.next.len() >= MARKS_MAX {
            return job;
        }
        marks.places.insert(name, marks.next.len());
        marks.next.push(Marking {
            conversation,
            mark,
            waiting: job.into_iter().collect(),
        });
        if let Some(slot) = self.conversations.get_mut(conversation) {
            slot.work().pins += 1;
        }
        None
    }

    /// Submits what has gathered, unless a batch is under way.
    pub(crate) fn flush_marks(&mut self, now: Now) {
        let wait = now.monotonic_ms < self.marks.not_before && !self.draining;
        if wait || !self.marks.running.is_empty() || self.marks.next.is_empty() {
            return;
        }
        self.marks.running = std::mem::take(&mut self.marks.next);
        self.marks.places.clear();
        let marks = self.marks.running.iter();
        let op = Op::Mark(marks.map(|marking| marking.mark.clone()).collect());
        self.submit(op, Pending::Marks, now);
    }

    /// A batch was answered.
    pub(crate) fn marked(&mut self, result: Result<Reply, StoreError>, now: Now) {
        let running = std::mem::take(&mut self.marks.running);
        let (records, error) = match result {
            Ok(Reply::Marked(records)) => (records, None),
            Ok(_) => (Vec::new(), Some(Code::StorageUnavailable)),
            Err(error) => (Vec::new(), Some(error.code())),
        };
        if error.is_some() {
            self.counters.store_errors += 1;
            self.marks.not_before = now.monotonic_ms + STORE_RETRY_MS;
            self.timers.set(self.marks.not_before, Due::Marks);
        }
        for marking in running {
            let Marking {
                conversation,
                mark,
                waiting,
            } = marking;
            if error.is_none() {
                self.marker_moved(conversation, &mark, now);
            } else if mark.delivered > 0 && !self.draining {
                // Nobody waits for it, so nobody would send it again.
                self.add_mark(
                    conversation,
                    Mark {
                        read: 0,
                        ..mark.clone()
                    },
                    None,
                );
            }
            for job in waiting {
                match error {
                    None => self.finish(&job, marked_answer(&job, mark.conversation)),
                    Some(code) => self.give_up(job, code, BUSY_RETRY_MS),
                }
            }
            if let Some(slot) = self.conversations.get_mut(conversation) {
                let work = slot.work();
                work.pins = work.pins.saturating_sub(1);
            }
            self.conversations.release(conversation);
        }
        self.send_records(&records);
    }

    pub(crate) fn marker_moved(&mut self, conversation: ConversationKey, mark: &Mark, now: Now) {
        let Some(slot) = self.conversations.get_mut(conversation) else {
            return;
        };
        let Some(loaded) = &mut slot.loaded else {
            return;
        };
        if let Some(member) = loaded.member_mut(&mark.user) {
            member.read = member.read.max(mark.read);
            member.delivered = member.delivered.max(mark.delivered);
        }
        let told = loaded.member_count <= RECEIPT_MEMBERS_MAX && !slot.openers.is_empty();
        if !told {
            return;
        }
        let at = loaded.receipts_at;
        let work = slot.work();
        if !work.receipts.contains(&mark.user) {
            work.receipts.push(mark.user.clone());
        }
        if at <= now.monotonic_ms {
            self.flush_receipts(conversation, now);
        } else {
            self.timers.set(at, Due::Receipts(conversation));
        }
    }

    /// Tells sessions that have the conversation open how far others got.
    pub(crate) fn flush_receipts(&mut self, conversation: ConversationKey, now: Now) {
        let Some(slot) = self.conversations.get_mut(conversation) else {
            return;
        };
        let Some(work) = &mut slot.work else {
            return;
        };
        let users = std::mem::take(&mut work.receipts);
        if let Some(loaded) = &mut slot.loaded {
            loaded.receipts_at = now.monotonic_ms + RECEIPT_INTERVAL_MS;
        }
        for opener in slot.openers.clone() {
            let of = |member: &Member| users.contains(&member.reader.user);
            self.send_receipts(conversation, opener, of, now);
        }
        self.conversations.release(conversation);
    }

    /// A member came: whoever has the conversation open counts them from now on.
    pub(crate) fn reader_came(&mut self, conversation: ConversationKey, user: &UserId, now: Now) {
        let Some(slot) = self.conversations.get_mut(conversation) else {
            return;
        };
        let loaded = slot.loaded.as_ref();
        let told = loaded.is_some_and(|loaded| {
            loaded.is_group()
                && loaded.member_count <= RECEIPT_MEMBERS_MAX
                && loaded.role(user).is_some()
        });
        if !told || slot.openers.is_empty() {
            return;
        }
        let work = slot.work();
        if !work.receipts.contains(user) {
            work.receipts.push(user.clone());
        }
        self.timers
            .set(now.monotonic_ms, Due::Receipts(conversation));
    }

    /// A user tells how far they have read, or does not any more: for all who have open what they are in, and for themselves.
    pub(crate) fn tells_receipts(&mut self, user: &UserId, on: bool, now: Now) {
        let online = self.users.by_id(user);
        let sessions = online.map_or_else(Vec::new, |online| online.sessions.clone());
        let conversations = match online {
            Some(online) => online.conversations.clone(),
            None => self.conversations.all(),
        };
        for conversation in conversations {
            let Some(slot) = self.conversations.get_mut(conversation) else {
                continue;
            };
            let Some(loaded) = &mut slot.loaded else {
                continue;
            };
            let (group, small) = (
                loaded.is_group(),
                loaded.member_count <= RECEIPT_MEMBERS_MAX,
            );
            let Some(member) = loaded.member_mut(user) else {
                continue;
            };
            member.receipts_off = !on;
            if member.role.is_none() || !small {
                continue;
            }
            let (id, openers) = (slot.id, slot.openers.clone());
            for opener in openers {
                if sessions.contains(&opener) {
                    if on {
                        self.send_receipts(conversation, opener, |_| true, now);
                    }
                } else if on {
                    let of = |member: &Member| member.reader.user == *user;
                    self.send_receipts(conversation, opener, of, now);
                } else if group && let Some(session) = self.sessions.get(&opener) {
                    let gone = ServerFrame::Receipt(frames::Receipt {
                        conversation: id,
                        user: user.clone(),
                        delivered: 0,
                        read: 0,
                        joined: 0,
                        gone: true,
                    });
                    self.out.push_live(opener, session, &gone.encode(0));
                }
            }
        }
    }

    /// The present receipts, for a session that opened the conversation.
    pub(crate) fn receipts_to(&mut self, conversation: ConversationKey, job: &Job, now: Now) {
        let is_small = self
            .conversations
            .get(conversation)
            .and_then(|slot| slot.loaded.as_ref())
            .is_some_and(|loaded| loaded.member_count <= RECEIPT_MEMBERS_MAX);
        if is_small {
            self.send_receipts(conversation, job.session, |_| true, now);
        }
    }

    fn send_receipts(
        &mut self,
        conversation: ConversationKey,
        key: SessionKey,
        of: impl Fn(&Member) -> bool,
        now: Now,
    ) {
        let Some(slot) = self.conversations.get(conversation) else {
            return;
        };
        let Some(loaded) = &slot.loaded else {
            return;
        };
        let Some(session) = self.sessions.get(&key) else {
            return;
        };
        let Some(user) = self.users.get(session.user) else {
            return;
        };
        let closed = !loaded.is_group() && loaded.is_blocked();
        if closed || loaded.role(&user.id).is_none() || !slot.openers.contains(&key) {
            return;
        }
        let me = loaded.member(&user.id);
        let tells = me.is_some_and(|me| !me.receipts_off);
        let group = loaded.is_group();
        let others = loaded
            .members
            .iter()
            .filter(|member| member.role.is_some() && member.reader.user != user.id && of(member));
        let (id, mut missed) = (slot.id, false);
        for receipt in others.filter_map(|member| receipt_of(id, member, group, tells)) {
            let frame = ServerFrame::Receipt(receipt).encode(0);
            if self.out.push_live(key, session, &frame) {
                self.counters.receipts_sent += 1;
            } else {
                missed = true;
            }
        }
        // The head that comes when there is room again brings the receipts with it: there may be no next one.
        if missed && let Some(session) = self.sessions.get_mut(&key) {
            let room_again = fell_behind(session, id, now);
            self.heads_later(key, now);
            if room_again {
                self.catch_up(key, now);
            }
        }
    }

    /// Answers a request with nothing to say, if it wants an answer.
    pub(crate) fn done(&mut self, key: SessionKey, origin: Origin) {
        if origin.request != 0 {
            self.answer(key, origin, &ServerFrame::Done(Done { reserved: 0 }));
        }
    }
}

/// The answer to a marker. To a read marker: no entry, and no time either, so that a repeat gets the same.
fn marked_answer(job: &Job, conversation: ConversationId) -> ServerFrame {
    if matches!(job.task, Task::Frame(ClientFrame::Delivered(_))) {
        return ServerFrame::Done(Done { reserved: 0 });
    }
    ServerFrame::Ack(Ack {
        nonce: job.nonce().unwrap_or_default(),
        conversation: Some(conversation),
        sequence: 0,
        ordinal: 0,
        at: 0,
        entry: None,
        link: None,
        expires: 0,
    })
}

/// Members and conversations in the next batch of markers.
const MARKS_MAX: usize = 4_096;
/// What a reader is told of a member, if anything. `tells`: the reader tells others.
fn receipt_of(
    conversation: ConversationId,
    member: &Member,
    group: bool,
    tells: bool,
) -> Option<frames::Receipt> {
    let told = tells && !member.receipts_off;
    let read = if told { member.read } else { 0 };
    if group {
        let joined = member.reader.intervals.last().map_or(0, |last| last.from);
        return told.then(|| frames::Receipt {
            conversation,
            user: member.reader.user.clone(),
            delivered: 0,
            read,
            joined,
            gone: false,
        });
    }
    (read > 0 || member.delivered > 0).then(|| frames::Receipt {
        conversation,
        user: member.reader.user.clone(),
        delivered: member.delivered,
        read,
        joined: 0,
        gone: false,
    })
}
