//! The way of a request: who asks, is there room, what is known of the conversation, what is decided.

use fireside_protocol::{
    ClientFrame, Code, ConversationId, Now, ServerFrame, UserId,
    frames::Refused,
    limits::{INVITES_PER_REQUEST_MAX, OPEN_CONVERSATIONS_MAX, REQUESTS_IN_FLIGHT_MAX},
};

use crate::{
    answers::{BUSY_RETRY_MS, DRAINING_RETRY_MS, OVERLOAD_RETRY_MS},
    conversation::ConversationKey,
    decide::{Case, Decision, Plan},
    job::{Flight, Job, Pending, Task, command_of, peers},
    meetings::MeetingEnd,
    node::{Node, Origin, SessionKey, refused},
    own_commands::own_change,
    previews::PageRead,
    storage::{Append, Effect, Op},
};

impl Node {
    /// A request comes in.
    pub(crate) fn request(
        &mut self,
        key: SessionKey,
        origin: Origin,
        frame: ClientFrame,
        now: Now,
    ) {
        let nonce = frame.nonce();
        let Some(session) = self.sessions.get(&key) else {
            return;
        };
        if session.entering.is_some() {
            if !self.wait_for_welcome(key, origin, frame) {
                self.refuse(key, origin, Code::TooManyRequests, BUSY_RETRY_MS, nonce);
            }
            return;
        }
        let frame = match self.config.breaks.loss.spoil(frame, now.wall_ms) {
            Ok(frame) => frame,
            Err(instead) => {
                if origin.request != 0 {
                    self.answer(key, origin, &instead);
                }
                return;
            }
        };
        let is_read = matches!(
            frame,
            ClientFrame::PageRequest(_)
                | ClientFrame::HeadsRequest(_)
                | ClientFrame::UserLogRequest(_)
                | ClientFrame::MembersRequest(_)
                | ClientFrame::PinsRequest(_)
                | ClientFrame::ReadersRequest(_)
                | ClientFrame::PresenceRequest(_)
                | ClientFrame::RevisionsRequest(_)
                | ClientFrame::DevicesRequest(_)
                | ClientFrame::BansRequest(_)
                | ClientFrame::LinksRequest(_)
                | ClientFrame::ChildrenRequest(_)
                | ClientFrame::ProfilesRequest(_)
        );
        if session.early && !is_read {
            self.refuse(key, origin, Code::NotInEarlyData, 0, nonce);
            return;
        }
        if usize::from(session.requests) >= REQUESTS_IN_FLIGHT_MAX {
            self.refuse(key, origin, Code::TooManyRequests, BUSY_RETRY_MS, nonce);
            return;
        }
        let user_key = session.user;
        let Some(user) = self.users.get_mut(user_key) else {
            return;
        };
        let id = user.id.clone();
        match &frame {
            ClientFrame::Typing(typing) => return self.typing(key, typing, now),
            ClientFrame::Delivered(delivered) => {
                return self.delivered(key, origin, delivered.clone(), now);
            }
            // Messages have limits of their own, once it is known where they go.
            ClientFrame::Send(_)
            | ClientFrame::Edit(_)
            | ClientFrame::Recall(_)
            | ClientFrame::Answer(_)
            | ClientFrame::Forward(_)
            | ClientFrame::SendTransient(_) => {}
            _ => {
                let rate = self.config.rate_requests_per_s;
                let at = now.monotonic_ms;
                let mut takes = (0..cost(&frame)).map(|_| user.requests.take(rate, at));
                if let Some(wait) = takes.find_map(Result::err) {
                    self.counters.rate_limited += 1;
                    self.refuse(key, origin, Code::RateLimited, wait, nonce);
                    return;
                }
            }
        }
        if is_read {
            self.read(key, origin, id, frame, now);
        } else {
            self.command(key, origin, id, frame, now);
        }
    }

    fn command(
        &mut self,
        key: SessionKey,
        origin: Origin,
        user: UserId,
        frame: ClientFrame,
        now: Now,
    ) {
        let conversation = match &frame {
            ClientFrame::SetPresence(presence) => {
                return self.set_presence(key, origin, presence, now);
            }
            ClientFrame::Attention(attention) => {
                if attention.open.len() > OPEN_CONVERSATIONS_MAX {
                    self.refuse(key, origin, Code::ArgumentInvalid, 0, None);
                    return;
                }
                self.attend(key, attention.open.iter().copied(), now);
                self.done(key, origin);
                return;
            }
            ClientFrame::Send(frame) => frame.conversation,
            ClientFrame::Edit(frame) => frame.conversation,
            ClientFrame::Recall(frame) => frame.conversation,
            ClientFrame::React(frame) => frame.conversation,
            ClientFrame::Pin(frame) => frame.conversation,
            ClientFrame::Vote(frame) => frame.conversation,
            ClientFrame::ClosePoll(frame) => frame.conversation,
            ClientFrame::SetLive(frame) => frame.conversation,
            ClientFrame::Answer(frame) => frame.conversation,
            ClientFrame::Delete(frame) => frame.conversation,
            ClientFrame::Forward(frame) => frame.conversation,
            ClientFrame::SendTransient(frame) => frame.conversation,
            ClientFrame::Read(frame) => frame.conversation,
            ClientFrame::CreateGroup(frame) => {
                let made = ConversationId::made(&user, frame.nonce);
                frame.parent.unwrap_or(made)
            }
            ClientFrame::OpenThread(frame) => frame.conversation,
            ClientFrame::Invite(frame) => frame.conversation,
            ClientFrame::Join(frame) => frame.conversation,
            ClientFrame::Leave(frame) => frame.conversation,
            ClientFrame::RemoveMember(frame) => frame.conversation,
            ClientFrame::SetRole(frame) => frame.conversation,
            ClientFrame::SetConversation(frame) => frame.conversation,
            ClientFrame::AnswerRequest(frame) => frame.conversation,
            ClientFrame::Dissolve(frame) => frame.conversation,
            ClientFrame::Mute(frame) => frame.conversation,
            ClientFrame::Ban(frame) => frame.conversation,
            ClientFrame::SetMember(frame) => frame.conversation,
            ClientFrame::CreateLink(frame) => frame.conversation,
            ClientFrame::RevokeLink(frame) => frame.conversation,
            ClientFrame::Block(frame) => ConversationId::direct(&user, &frame.user),
            ClientFrame::RevokeDevice(_)
            | ClientFrame::SetPersonal(_)
            | ClientFrame::ReadAll(_)
            | ClientFrame::SetFolder(_)
            | ClientFrame::SetDraft(_)
            | ClientFrame::Friend(_)
            | ClientFrame::Report(_)
            | ClientFrame::SetProfile(_)
            | ClientFrame::SetReceipts(_) => ConversationId::default(),
            _ => {
                self.refuse(key, origin, Code::UnknownRequest, 0, frame.nonce());
                return;
            }
        };
        let nonce = frame.nonce();
        if self.draining {
            self.refuse(key, origin, Code::Draining, DRAINING_RETRY_MS, nonce);
            return;
        }
        if self.is_overloaded(now) {
            self.refuse_overloaded(key, origin, nonce);
            return;
        }
        self.begin_request(key);
        let is_revoke = matches!(frame, ClientFrame::RevokeDevice(_));
        let is_block = matches!(frame, ClientFrame::Block(_));
        let own = own_change(&user, &frame);
        let is_report = matches!(frame, ClientFrame::Report(_));
        let job = Job::new(key, origin, user, Task::Frame(frame));
        if is_revoke {
            self.revoke_device(job, now);
        } else if is_report {
            self.report(job, now);
        } else if let Some(change) = own {
            self.set_own(change, job, now);
        } else if is_block {
            self.set_block(conversation, job, now);
        } else {
            let conversation = self.conversations.open(conversation);
            self.run(conversation, job, now);
            self.conversations.release(conversation);
        }
    }

    /// Shows the present receipts of a conversation to a session that opened it.
    pub(crate) fn show_receipts(
        &mut self,
        key: SessionKey,
        user: UserId,
        conversation: ConversationKey,
        now: Now,
    ) {
        let job = Job::new(key, Origin::default(), user, Task::Receipts);
        self.run(conversation, job, now);
        self.conversations.release(conversation);
    }

    /// Takes a job as far as it goes: until it waits for something or is decided.
    pub(crate) fn run(&mut self, conversation: ConversationKey, job: Box<Job>, now: Now) {
        let peers = peers(&job);
        let Some(slot) = self.conversations.get_mut(conversation) else {
            return;
        };
        let ready = slot.loaded.as_ref().is_some_and(|loaded| {
            !loaded.dirty && (loaded.row.is_some() || loaded.knows_peers || peers.is_none())
        });
        let work = slot.work();
        if !ready || work.holds > 0 || work.loading {
            if work.waiting.len() >= WAITING_MAX {
                self.give_up(job, Code::Overloaded, BUSY_RETRY_MS);
                return;
            }
            work.waiting.push_back(job);
            if work.holds == 0 {
                self.load(conversation, now);
            }
            return;
        }
        // A change of a message that is still on its way waits for it.
        let leans_on = job.leans_on();
        let is_change = job.item.is_none()
            && matches!(
                job.task,
                Task::Frame(
                    ClientFrame::Edit(_)
                        | ClientFrame::Recall(_)
                        | ClientFrame::React(_)
                        | ClientFrame::Pin(_)
                        | ClientFrame::Vote(_)
                        | ClientFrame::ClosePoll(_)
                        | ClientFrame::SetLive(_)
                        | ClientFrame::Answer(_)
                )
            );
        let parked_on = work
            .parked
            .iter()
            .filter(|(_, other)| other.user == job.user)
            .filter_map(|(_, other)| other.nonce())
            .chain(
                work.undecided
                    .iter()
                    .filter(|(user, _)| *user == job.user)
                    .map(|(_, n)| *n),
            )
            .find(|nonce| leans_on.contains(&Some(*nonce)));
        let flying = work
            .flying
            .iter()
            .filter(|(user, _)| is_change && *user == job.user)
            .map(|(_, nonce)| *nonce)
            .find(|nonce| leans_on.contains(&Some(*nonce)));
        if let Some(nonce) = parked_on.or(flying) {
            if work.parked.len() >= WAITING_MAX {
                self.give_up(job, Code::Overloaded, BUSY_RETRY_MS);
            } else {
                work.parked.push((nonce, job));
            }
            return;
        }
        self.decide(conversation, job, now);
    }

    /// Decides a job on what is in memory.
    fn decide(&mut self, conversation: ConversationKey, mut job: Box<Job>, now: Now) {
        let Some(slot) = self.conversations.get_mut(conversation) else {
            return;
        };
        let Some(loaded) = &mut slot.loaded else {
            return;
        };
        loaded.used = true;
        if matches!(job.task, Task::End(_)) {
            // Nobody is left in it: it is over already.
            let Some(by) = MeetingEnd::by(loaded) else {
                return;
            };
            job.user = by;
        }
        if let Task::Expire(end) = &mut job.task
            && let Some(by) = end.by(job.item.as_ref(), now)
        {
            job.user = by;
        }
        if let (Task::Preview(_), Some(by)) = (&job.task, PageRead::by(job.item.as_ref())) {
            job.user = by;
        }
        let frame = match &job.task {
            Task::End(_) | Task::Expire(_) | Task::Preview(_) => None,
            Task::Receipts => return self.receipts_to(conversation, &job, now),
            Task::Frame(ClientFrame::Read(frame)) => {
                let upto = frame.upto;
                return self.mark_read(conversation, job, upto, now);
            }
            Task::Frame(ClientFrame::Delivered(frame)) => {
                let upto = frame.upto;
                return self.mark_delivered(conversation, job, upto, now);
            }
            Task::Frame(frame) => Some(frame),
        };
        let case = Case {
            config: &self.config,
            id: slot.id,
            state: loaded,
            me: &job.user,
            now,
            item: job.item.as_ref(),
            elsewhere: job.elsewhere.as_ref(),
            originals: job.originals.as_ref(),
            hidden: job.hidden.as_deref(),
            secret: self.secret,
            paid: job.paid,
        };
        let decision = match (frame, &job.task) {
            (Some(frame), _) => case.decide(frame),
            (None, Task::End(end)) => match end.decide(&case) {
                Some(plan) => Decision::Append(plan),
                None => return,
            },
            (None, Task::Expire(end)) => match end.decide(&case) {
                Some(decision) => decision,
                None => return,
            },
            (None, Task::Preview(read)) => match read.decide(&case) {
                Some(decision) => decision,
                None => return,
            },
            (None, _) => return,
        };
        match decision {
            Decision::Append(plan) => {
                if let Err(refusal) = self.charge(conversation, &mut job, now) {
                    self.finish(&job, ServerFrame::Refused(refusal));
                    return;
                }
                self.append(conversation, job, plan, now);
            }
            Decision::Tell => {
                if let Task::Frame(ClientFrame::SendTransient(frame)) = &job.task {
                    let frame = frame.clone();
                    self.take_transient(conversation, job, frame, now);
                }
            }
            Decision::Refuse(code) => self.refuse_for_good(conversation, job, code, now),
            Decision::Later(code, wait_ms) => self.give_up(job, code, wait_ms),
            wanted @ (Decision::Item(_) | Decision::Member(..) | Decision::Originals) => {
                let Some(op) = read_of(wanted, &job, slot.id) else {
                    return;
                };
                let work = slot.work();
                work.pins += 1;
                if let Some(nonce) = job.nonce() {
                    work.undecided.push((job.user.clone(), nonce));
                }
                self.submit(op, Pending::Item(conversation, job), now);
            }
            Decision::Blocks(users) => self.ask_blocks(conversation, job, users, now),
        }
    }

    /// Charges the rate limits of a message.
    pub(crate) fn charge(
        &mut self,
        conversation: ConversationKey,
        job: &mut Job,
        now: Now,
    ) -> Result<(), Refused> {
        if !job.is_send() || job.paid {
            return Ok(());
        }
        let shedding = self.is_shedding(now);
        let slot = self.conversations.get_mut(conversation);
        let Some(loaded) = slot.and_then(|slot| slot.loaded.as_mut()) else {
            return Ok(());
        };
        let group = loaded.is_group();
        if group && shedding {
            self.counters.overloaded += 1;
            return Err(refused(Code::Overloaded, OVERLOAD_RETRY_MS));
        }
        let at = now.monotonic_ms;
        let config = &self.config;
        let taken = match self.users.by_id_mut(&job.user) {
            Some(user) if group => user.group.take(config.rate_group_per_s, at),
            Some(user) => user.direct.take(config.rate_direct_per_s, at),
            None => Ok(()),
        };
        let taken = taken.and_then(|()| {
            let taken = loaded.rate.take(config.rate_conversation_per_s, at);
            if taken.is_err()
                && let Some(user) = self.users.by_id_mut(&job.user)
            {
                // What the conversation refuses is not held against the user.
                let own = if group {
                    &mut user.group
                } else {
                    &mut user.direct
                };
                own.give_back();
            }
            taken
        });
        match taken {
            Ok(()) => {
                job.paid = true;
                Ok(())
            }
            Err(wait) => {
                self.counters.rate_limited += 1;
                Err(refused(Code::RateLimited, wait))
            }
        }
    }

    /// Gives back what was charged for a message that was not taken: a client that sends many in order is not charged for those
    /// behind one that was refused.
    pub(crate) fn refund(&mut self, conversation: ConversationKey, job: &Job) {
        if !job.is_send() || !job.paid {
            return;
        }
        let slot = self.conversations.get_mut(conversation);
        let Some(loaded) = slot.and_then(|slot| slot.loaded.as_mut()) else {
            return;
        };
        loaded.rate.give_back();
        if let Some(user) = self.users.by_id_mut(&job.user) {
            let own = if loaded.is_group() {
                &mut user.group
            } else {
                &mut user.direct
            };
            own.give_back();
        }
    }

    fn append(&mut self, conversation: ConversationKey, mut job: Box<Job>, plan: Plan, now: Now) {
        let Some(slot) = self.conversations.get_mut(conversation) else {
            return;
        };
        let Some(command) = command_of(&job, now) else {
            return;
        };
        let id = slot.id;
        let loaded = slot.loaded.as_ref();
        let version = loaded.and_then(|loaded| loaded.version());
        let flying = slot.work.as_ref().map_or(0, |work| work.entries_flying);
        let guess = loaded.map(|loaded| loaded.guess(flying));
        let entries = plan.entries.len() as u64;
        let work = slot.work();
        work.entries_flying += entries;
        work.flying.push((job.user.clone(), command.nonce));
        self.slow(conversation, &mut job, now);
        if self.config.breaks.ack_before_sync
            && job.is_send()
            && let Some((sequence, ordinal, at)) = guess
        {
            let outcome = crate::storage::Outcome::Done {
                conversation: Some(id),
                sequence,
                ordinal,
                at: at.max(now.wall_ms),
                expires: 0,
            };
            self.finish(&job, crate::appended::answer_of(command.nonce, outcome));
            job.acked = true;
        }
        let append = Append {
            conversation: id,
            expected_version: version,
            create: plan.create.clone(),
            shape: plan.shape.clone(),
            links: plan.links.clone(),
            child: plan.child,
            command,
            effect: Effect::Entries {
                entries: plan.entries,
                bumps_version: plan.bumps_version,
                members: plan.members,
                records: plan.records,
            },
        };
        let flight = Flight {
            job,
            conversation,
            create: plan.create,
            shape: plan.shape,
            links: plan.links,
            entries,
            version,
        };
        let pending = Pending::Append(Box::new(flight));
        self.submit(Op::Append(Box::new(append)), pending, now);
    }

    /// A refusal for good is remembered before it is answered, so that a repeat gets the same and later commands go on.
    fn refuse_for_good(
        &mut self,
        conversation: ConversationKey,
        mut job: Box<Job>,
        code: Code,
        now: Now,
    ) {
        let Some(command) = command_of(&job, now) else {
            self.give_up(job, code, 0);
            return;
        };
        // Each is a write: whoever asks for nonsense is slowed down like everybody.
        let rate = self.config.rate_requests_per_s;
        if job.is_send()
            && !job.paid
            && let Some(user) = self.users.by_id_mut(&job.user)
            && let Err(wait) = user.requests.take(rate, now.monotonic_ms)
        {
            self.counters.rate_limited += 1;
            self.give_up(job, Code::RateLimited, wait);
            return;
        }
        job.paid = true;
        let Some(slot) = self.conversations.get_mut(conversation) else {
            return;
        };
        let id = slot.id;
        slot.work().flying.push((job.user.clone(), command.nonce));
        let append = Append {
            conversation: id,
            expected_version: None,
            create: None,
            shape: None,
            links: Vec::new(),
            child: None,
            command,
            effect: Effect::Refuse(code),
        };
        let flight = Flight {
            job,
            conversation,
            create: None,
            shape: None,
            links: Vec::new(),
            entries: 0,
            version: None,
        };
        let pending = Pending::Append(Box::new(flight));
        self.submit(Op::Append(Box::new(append)), pending, now);
    }
}

/// What is read for a decision.
fn read_of(wanted: Decision, job: &Job, conversation: ConversationId) -> Option<Op> {
    match (wanted, &job.task) {
        (Decision::Item(target), _) => Some(Op::LoadItem {
            conversation,
            target,
        }),
        (Decision::Member(conversation, user), _) => Some(Op::LoadMember { conversation, user }),
        (Decision::Originals, Task::Frame(ClientFrame::Forward(frame))) => Some(Op::Originals {
            user: job.user.clone(),
            conversation: frame.from,
            numbers: frame.numbers.clone(),
        }),
        _ => None,
    }
}

/// What a request costs of its rate: each user named is a read.
const fn cost(frame: &ClientFrame) -> usize {
    1 + match frame {
        ClientFrame::CreateGroup(frame) => named_cost(frame.invite.len()),
        ClientFrame::Invite(frame) => named_cost(frame.users.len()),
        _ => 0,
    }
}

/// More than may be named are refused for it, not for their rate.
const fn named_cost(named: usize) -> usize {
    if named > INVITES_PER_REQUEST_MAX {
        0
    } else {
        named / NAMED_PER_TOKEN
    }
}

/// Users named in a request for the price of one more request.
const NAMED_PER_TOKEN: usize = 10;
/// Requests that wait for one conversation.
const WAITING_MAX: usize = 1_024;
