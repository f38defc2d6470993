//! Events laid out flat: one array of events, one of rows per kind of row. All are kept from tick to tick, so that an idle tick allocates
//! nothing and a busy one hardly anything. Texts stay where the client has them: it lends what was read until the next tick.

use ::fireside_client::{
    Found,
    core::{
        ConnectionState, Event,
        event::{CallError, Completion, SyncState},
        view::{Body, ConversationRow, Diff, MessageState, ReactionRow, TimelineRow},
    },
};
use fireside_protocol::{
    UserId,
    frames::{Device, Member},
};

use crate::{
    constants as c,
    status::{self, FIRESIDE_STATUS_OK},
    types::{
        fireside_conversation_row, fireside_device, fireside_event, fireside_events,
        fireside_found, fireside_id, fireside_member, fireside_message, fireside_reaction,
        fireside_status, fireside_str, fireside_timeline_row,
    },
};

/// Elements of an array that are kept for the next tick; one burst of a big reset does not stay in memory for good.
const KEPT_ELEMENTS_MAX: usize = 4_096;

/// What a tick delivered. What it points to outside of itself are events that [`Client::read`](::fireside_client::Client::read) showed.
#[derive(Default)]
pub(crate) struct Batch {
    events: Vec<fireside_event>,
    messages: Vec<fireside_message>,
    timeline_rows: Vec<fireside_timeline_row>,
    conversation_rows: Vec<fireside_conversation_row>,
    members: Vec<fireside_member>,
    devices: Vec<fireside_device>,
    found: Vec<fireside_found>,
    reactions: Vec<fireside_reaction>,
    reaction_users: Vec<fireside_str>,
    /// What is behind `found`.
    answers: Vec<Vec<Found>>,
    /// Texts that were made for the batch; they stay in their place when this grows.
    made: Vec<String>,
}

// SAFETY: the pointers in it are for the caller; here they are not followed.
unsafe impl Send for Batch {}

impl Batch {
    /// Forgets the last tick's.
    pub(crate) fn clear(&mut self) {
        fn again<T>(array: &mut Vec<T>, kept: usize) {
            array.clear();
            if array.capacity() > kept {
                array.shrink_to(kept);
            }
        }
        again(&mut self.events, KEPT_ELEMENTS_MAX);
        again(&mut self.messages, KEPT_ELEMENTS_MAX);
        again(&mut self.timeline_rows, KEPT_ELEMENTS_MAX);
        again(&mut self.conversation_rows, KEPT_ELEMENTS_MAX);
        again(&mut self.members, KEPT_ELEMENTS_MAX);
        again(&mut self.devices, KEPT_ELEMENTS_MAX);
        again(&mut self.found, KEPT_ELEMENTS_MAX);
        again(&mut self.reactions, KEPT_ELEMENTS_MAX);
        again(&mut self.reaction_users, KEPT_ELEMENTS_MAX);
        self.answers.clear();
        self.made.clear();
    }

    /// Events laid out so far.
    pub(crate) const fn len(&self) -> usize {
        self.events.len()
    }

    /// Pointers into it, as C reads it.
    pub(crate) fn view(&self) -> fireside_events {
        fn start<T>(array: &[T]) -> *const T {
            if array.is_empty() {
                std::ptr::null()
            } else {
                array.as_ptr()
            }
        }
        fireside_events {
            struct_size: size_of::<fireside_events>() as u32,
            reserved: 0,
            events: start(&self.events),
            event_count: self.events.len(),
            messages: start(&self.messages),
            message_count: self.messages.len(),
            timeline_rows: start(&self.timeline_rows),
            timeline_row_count: self.timeline_rows.len(),
            conversation_rows: start(&self.conversation_rows),
            conversation_row_count: self.conversation_rows.len(),
            members: start(&self.members),
            member_count: self.members.len(),
            devices: start(&self.devices),
            device_count: self.devices.len(),
            found: start(&self.found),
            found_count: self.found.len(),
            reactions: start(&self.reactions),
            reaction_count: self.reactions.len(),
            reaction_users: start(&self.reaction_users),
            reaction_user_count: self.reaction_users.len(),
        }
    }

    /// Lays out an event; a view's changes become an event each, and messages that follow each other are one.
    pub(crate) fn push(&mut self, event: &Event) {
        match event {
            Event::MessageReceived {
                conversation,
                sequence,
                sender,
                text,
                at,
            } => {
                match self.events.last_mut() {
                    Some(event) if event.kind == c::FIRESIDE_EVENT_MESSAGE_RECEIVED => {
                        event.count = event.count.saturating_add(1);
                    }
                    _ => self.events.push(fireside_event {
                        kind: c::FIRESIDE_EVENT_MESSAGE_RECEIVED,
                        first: short(self.messages.len()),
                        count: 1,
                        ..fireside_event::default()
                    }),
                }
                self.messages.push(fireside_message {
                    conversation: id(conversation.0),
                    sequence: *sequence,
                    at_ms: *at,
                    sender: named(sender),
                    text: lent(text.as_deref().unwrap_or_default()),
                    reserved: 0,
                });
            }
            Event::Timeline {
                conversation,
                generation,
                diffs,
            } => {
                for diff in diffs {
                    let event = fireside_event {
                        kind: c::FIRESIDE_EVENT_TIMELINE,
                        conversation: id(conversation.0),
                        generation: *generation,
                        ..self.change(diff, Self::timeline_row, |batch| batch.timeline_rows.len())
                    };
                    self.events.push(event);
                }
            }
            Event::Conversations { generation, diffs } => {
                for diff in diffs {
                    let event = fireside_event {
                        kind: c::FIRESIDE_EVENT_CONVERSATIONS,
                        generation: *generation,
                        ..self.change(diff, Self::conversation_row, |batch| {
                            batch.conversation_rows.len()
                        })
                    };
                    self.events.push(event);
                }
            }
            Event::Typing {
                conversation,
                user,
                on,
            } => {
                let event = fireside_event {
                    kind: c::FIRESIDE_EVENT_TYPING,
                    conversation: id(conversation.0),
                    user: named(user),
                    flag: u32::from(*on),
                    ..fireside_event::default()
                };
                self.events.push(event);
            }
            Event::Completed { request, result } => {
                let event = fireside_event {
                    kind: c::FIRESIDE_EVENT_COMPLETED,
                    request: *request,
                    ..match result {
                        Ok(completion) => self.completion(completion),
                        Err(error) => self.failure(error),
                    }
                };
                self.events.push(event);
            }
            Event::State(state) => {
                let event = self.state(state);
                self.events.push(event);
            }
            Event::TokenExpiring { in_ms } => self.events.push(fireside_event {
                kind: c::FIRESIDE_EVENT_TOKEN_EXPIRING,
                delay_ms: *in_ms,
                ..fireside_event::default()
            }),
            Event::MemoryMode { reason } => {
                let event = fireside_event {
                    kind: c::FIRESIDE_EVENT_MEMORY_MODE,
                    text: lent(reason),
                    ..fireside_event::default()
                };
                self.events.push(event);
            }
            Event::Missed { count } => self.events.push(fireside_event {
                kind: c::FIRESIDE_EVENT_MISSED,
                count: (*count).try_into().unwrap_or(u32::MAX),
                ..fireside_event::default()
            }),
            Event::Invited {
                conversation,
                by,
                name,
            } => {
                let event = fireside_event {
                    kind: c::FIRESIDE_EVENT_INVITED,
                    conversation: id(conversation.0),
                    user: named(by),
                    text: lent(name),
                    ..fireside_event::default()
                };
                self.events.push(event);
            }
            Event::Sync(state) => self.events.push(fireside_event {
                kind: c::FIRESIDE_EVENT_SYNC,
                detail: match state {
                    SyncState::Behind => c::FIRESIDE_SYNC_BEHIND,
                    SyncState::Newest => c::FIRESIDE_SYNC_NEWEST,
                    SyncState::Complete => c::FIRESIDE_SYNC_COMPLETE,
                },
                ..fireside_event::default()
            }),
            // Of a newer core; the test over its list of events finds it first.
            _ => {}
        }
    }

    /// The answer of a search.
    pub(crate) fn found(&mut self, request: u64, found: Vec<Found>) {
        let first = self.found.len();
        for message in &found {
            let row = fireside_found {
                conversation: id(message.conversation.0),
                sequence: message.sequence,
                at_ms: message.at,
                sender: named(&message.sender),
                text: lent(&message.text),
                reserved: [0; 2],
            };
            self.found.push(row);
        }
        self.events.push(fireside_event {
            kind: c::FIRESIDE_EVENT_COMPLETED,
            request,
            detail: c::FIRESIDE_RESULT_FOUND,
            first: short(first),
            count: short(found.len()),
            ..fireside_event::default()
        });
        self.answers.push(found);
    }

    /// A search without an answer.
    pub(crate) fn search_failed(&mut self, request: u64, status: fireside_status, why: String) {
        let event = fireside_event {
            kind: c::FIRESIDE_EVENT_COMPLETED,
            status,
            request,
            text: self.made(why),
            ..fireside_event::default()
        };
        self.events.push(event);
    }

    /// A text that nobody else has.
    fn made(&mut self, text: String) -> fireside_str {
        let lent = lent(&text);
        self.made.push(text);
        lent
    }

    fn change<Row>(
        &mut self,
        diff: &Diff<Row>,
        mut push: impl FnMut(&mut Self, &Row),
        rows: impl Fn(&Self) -> usize,
    ) -> fireside_event {
        let first = rows(self);
        let (detail, index, to) = match diff {
            Diff::Insert { index, row } => {
                push(self, row);
                (c::FIRESIDE_CHANGE_INSERT, *index, 0)
            }
            Diff::Set { index, row } => {
                push(self, row);
                (c::FIRESIDE_CHANGE_SET, *index, 0)
            }
            Diff::Remove { index } => (c::FIRESIDE_CHANGE_REMOVE, *index, 0),
            Diff::Move { from, to } => (c::FIRESIDE_CHANGE_MOVE, *from, *to),
            Diff::Reset { rows } => {
                for row in &**rows {
                    push(self, row);
                }
                (c::FIRESIDE_CHANGE_RESET, 0, 0)
            }
        };
        fireside_event {
            detail,
            index: short(index),
            to: short(to),
            first: short(first),
            count: short(rows(self) - first),
            ..fireside_event::default()
        }
    }

    fn timeline_row(&mut self, row: &TimelineRow) {
        let (state, status) = message_state(&row.state);
        let mut flat = fireside_timeline_row {
            row: row.row,
            sequence: row.sequence.unwrap_or_default(),
            at_ms: row.at,
            nonce: id(row.nonce.unwrap_or_default().0),
            sender: named(&row.sender),
            state,
            status,
            edited: u32::from(row.edited),
            pinned: u32::from(row.pinned),
            ..fireside_timeline_row::default()
        };
        if let Some(reactions) = &row.reactions {
            flat.reaction_first = short(self.reactions.len());
            flat.reaction_count = short(reactions.len());
            for one in reactions.iter() {
                self.reaction(one);
            }
        }
        match &row.body {
            Body::Text(text) => {
                flat.body = c::FIRESIDE_BODY_TEXT;
                flat.text = lent(text);
            }
            Body::Recalled => flat.body = c::FIRESIDE_BODY_RECALLED,
            Body::Expired => flat.body = c::FIRESIDE_BODY_EXPIRED,
            Body::Created(name) => {
                flat.body = c::FIRESIDE_BODY_CREATED;
                flat.text = lent(name);
            }
            Body::Joined(user) => {
                flat.body = c::FIRESIDE_BODY_JOINED;
                flat.subject = named(user);
            }
            Body::Left(user) => {
                flat.body = c::FIRESIDE_BODY_LEFT;
                flat.subject = named(user);
            }
            Body::Removed(user) => {
                flat.body = c::FIRESIDE_BODY_REMOVED;
                flat.subject = named(user);
            }
            Body::Role(user, role) => {
                flat.body = c::FIRESIDE_BODY_ROLE;
                flat.subject = named(user);
                flat.role = role.number().into();
            }
            Body::Hole => flat.body = c::FIRESIDE_BODY_HOLE,
            // Not in the interface yet: what a newer library would show, with what is left of it as text.
            Body::Content(content) => {
                flat.body = c::FIRESIDE_BODY_UNKNOWN;
                flat.text = self.made(content.plain_text().into());
            }
            Body::Settings(_)
            | Body::Dissolved
            | Body::Muted(..)
            | Body::Banned(..)
            | Body::MemberSet(..)
            | Body::Answer(_)
            | Body::ChannelMade(_)
            | Body::Unknown => flat.body = c::FIRESIDE_BODY_UNKNOWN,
        }
        self.timeline_rows.push(flat);
    }

    fn conversation_row(&mut self, row: &ConversationRow) {
        let flat = fireside_conversation_row {
            conversation: id(row.conversation.0),
            kind: row.kind.number().into(),
            role: row.role.map_or(0, |role| role.number().into()),
            unread: row.unread,
            mentions: row.mentions,
            at_ms: row.at,
            last: row.last,
            name: lent(&row.name),
            peer: named_or_none(row.peer.as_ref()),
            last_sender: named_or_none(row.last_sender.as_ref()),
            preview: lent(&row.preview),
            reserved: [0; 2],
        };
        self.conversation_rows.push(flat);
    }

    fn reaction(&mut self, one: &ReactionRow) {
        let flat = fireside_reaction {
            key: lent(&one.key),
            user_first: short(self.reaction_users.len()),
            user_count: short(one.users.len()),
            mine: u32::from(one.mine),
            reserved: 0,
        };
        for user in one.users.iter() {
            let user = named(user);
            self.reaction_users.push(user);
        }
        self.reactions.push(flat);
    }

    fn completion(&mut self, completion: &Completion) -> fireside_event {
        let none = fireside_event {
            status: FIRESIDE_STATUS_OK,
            ..fireside_event::default()
        };
        match completion {
            // No call of the interface gives settings, revisions, readers or presence yet.
            Completion::Done
            | Completion::Settings(_)
            | Completion::Revisions { .. }
            | Completion::Bans { .. }
            | Completion::Link { .. }
            | Completion::Links(_)
            | Completion::Children { .. }
            | Completion::Profiles(_)
            | Completion::Readers { .. }
            | Completion::Presence(_) => fireside_event {
                detail: c::FIRESIDE_RESULT_DONE,
                ..none
            },
            Completion::Sent {
                conversation,
                nonce,
                sequence,
                at,
            } => fireside_event {
                detail: c::FIRESIDE_RESULT_SENT,
                conversation: id(conversation.0),
                nonce: id(nonce.0),
                sequence: *sequence,
                at_ms: *at,
                ..none
            },
            Completion::Created { conversation } => fireside_event {
                detail: c::FIRESIDE_RESULT_CREATED,
                conversation: id(conversation.0),
                ..none
            },
            Completion::Loaded {
                count,
                start_reached,
            } => fireside_event {
                detail: c::FIRESIDE_RESULT_LOADED,
                count: *count,
                flag: u32::from(*start_reached),
                ..none
            },
            Completion::Pins { rows, more } => {
                let first = self.timeline_rows.len();
                rows.iter().for_each(|row| self.timeline_row(row));
                fireside_event {
                    detail: c::FIRESIDE_RESULT_PINS,
                    first: short(first),
                    count: short(rows.len()),
                    flag: u32::from(*more),
                    ..none
                }
            }
            Completion::Members { members, more } => {
                let first = self.members.len();
                members.iter().for_each(|member| self.member(member));
                fireside_event {
                    detail: c::FIRESIDE_RESULT_MEMBERS,
                    first: short(first),
                    count: short(members.len()),
                    flag: u32::from(*more),
                    ..none
                }
            }
            Completion::Devices(devices) => {
                let first = self.devices.len();
                devices.iter().for_each(|device| self.device(device));
                fireside_event {
                    detail: c::FIRESIDE_RESULT_DEVICES,
                    first: short(first),
                    count: short(devices.len()),
                    ..none
                }
            }
        }
    }

    fn failure(&mut self, error: &CallError) -> fireside_event {
        fireside_event {
            status: status::of(error.code),
            text: lent(&error.text),
            delay_ms: error.retry_after_ms,
            ..fireside_event::default()
        }
    }

    fn member(&mut self, member: &Member) {
        let flat = fireside_member {
            user: named(&member.user),
            name: lent(&member.name),
            joined: member.joined,
            read: member.read,
            role: member.role.number().into(),
            reserved: [0; 3],
        };
        self.members.push(flat);
    }

    fn device(&mut self, device: &Device) {
        let flat = fireside_device {
            device: id(device.device.0),
            platform: lent(&device.platform),
            agent: lent(&device.agent),
            seen_ms: device.seen,
            online: u32::from(device.online),
            reserved: [0; 3],
        };
        self.devices.push(flat);
    }

    fn state(&mut self, state: &ConnectionState) -> fireside_event {
        let event = fireside_event {
            kind: c::FIRESIDE_EVENT_STATE,
            ..fireside_event::default()
        };
        match state {
            ConnectionState::Offline => fireside_event {
                detail: c::FIRESIDE_STATE_OFFLINE,
                ..event
            },
            ConnectionState::Connecting => fireside_event {
                detail: c::FIRESIDE_STATE_CONNECTING,
                ..event
            },
            ConnectionState::Connected => fireside_event {
                detail: c::FIRESIDE_STATE_CONNECTED,
                ..event
            },
            ConnectionState::Reconnecting {
                attempt,
                next_in_ms,
            } => fireside_event {
                detail: c::FIRESIDE_STATE_RECONNECTING,
                count: *attempt,
                delay_ms: *next_in_ms,
                ..event
            },
            ConnectionState::Refused { code, text, until } => fireside_event {
                detail: c::FIRESIDE_STATE_REFUSED,
                status: status::of(*code),
                text: lent(text),
                at_ms: *until,
                ..event
            },
        }
    }
}

fn message_state(state: &MessageState) -> (u32, fireside_status) {
    match state {
        MessageState::Sending => (c::FIRESIDE_MESSAGE_SENDING, 0),
        MessageState::Sent => (c::FIRESIDE_MESSAGE_SENT, 0),
        MessageState::Delivered => (c::FIRESIDE_MESSAGE_DELIVERED, 0),
        MessageState::Read => (c::FIRESIDE_MESSAGE_READ, 0),
        MessageState::Failed(code) => (c::FIRESIDE_MESSAGE_FAILED, status::of(*code)),
        MessageState::Held => (c::FIRESIDE_MESSAGE_HELD, 0),
        MessageState::Received => (c::FIRESIDE_MESSAGE_RECEIVED, 0),
    }
}

/// A text that stays until the batch is cleared.
const fn lent(text: &str) -> fireside_str {
    fireside_str {
        // Nothing has no place.
        data: if text.is_empty() {
            std::ptr::null()
        } else {
            text.as_ptr().cast()
        },
        len: text.len(),
    }
}

fn named(user: &UserId) -> fireside_str {
    lent(user.as_str())
}

fn named_or_none(user: Option<&UserId>) -> fireside_str {
    user.map_or_else(fireside_str::default, named)
}

const fn id(bytes: [u8; 16]) -> fireside_id {
    fireside_id { bytes }
}

/// Counts of rows: the queues hold far fewer than 2³².
fn short(number: usize) -> u32 {
    number.try_into().unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
