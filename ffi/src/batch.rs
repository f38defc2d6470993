//! Events laid out flat: one array of events, one of rows per kind of row, one text. All are kept from tick to tick, so that an idle
//! tick allocates nothing and a busy one hardly anything.

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
        fireside_found, fireside_id, fireside_member, fireside_reaction, fireside_span,
        fireside_status, fireside_timeline_row,
    },
};

/// Elements of an array that are kept for the next tick; one burst of a big reset does not stay in memory for good.
const KEPT_ELEMENTS_MAX: usize = 4_096;
/// Bytes of text that are kept for the next tick.
const KEPT_TEXT_BYTES_MAX: usize = 1024 * 1024;
/// Users whose text is found again: to look through more takes longer than to copy a name.
const USERS_KNOWN_MAX: usize = 16;

/// What a tick delivered.
#[derive(Default)]
pub(crate) struct Batch {
    events: Vec<fireside_event>,
    timeline_rows: Vec<fireside_timeline_row>,
    conversation_rows: Vec<fireside_conversation_row>,
    members: Vec<fireside_member>,
    devices: Vec<fireside_device>,
    found: Vec<fireside_found>,
    reactions: Vec<fireside_reaction>,
    reaction_users: Vec<fireside_span>,
    text: Vec<u8>,
    /// Users whose text was laid out last, with their text: who writes in a burst is laid out once.
    users: Vec<(UserId, fireside_span)>,
}

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
        again(&mut self.timeline_rows, KEPT_ELEMENTS_MAX);
        again(&mut self.conversation_rows, KEPT_ELEMENTS_MAX);
        again(&mut self.members, KEPT_ELEMENTS_MAX);
        again(&mut self.devices, KEPT_ELEMENTS_MAX);
        again(&mut self.found, KEPT_ELEMENTS_MAX);
        again(&mut self.reactions, KEPT_ELEMENTS_MAX);
        again(&mut self.reaction_users, KEPT_ELEMENTS_MAX);
        again(&mut self.text, KEPT_TEXT_BYTES_MAX);
        self.users.clear();
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
            text: start(&self.text).cast(),
            text_len: self.text.len(),
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

    /// Lays out an event; a view's changes become an event each.
    pub(crate) fn push(&mut self, event: &Event) {
        match event {
            Event::MessageReceived {
                conversation,
                sequence,
                sender,
                text,
                at,
            } => {
                let event = fireside_event {
                    kind: c::FIRESIDE_EVENT_MESSAGE_RECEIVED,
                    conversation: id(conversation.0),
                    sequence: *sequence,
                    at_ms: *at,
                    user: self.user(sender),
                    text: text
                        .as_deref()
                        .map_or_else(fireside_span::default, |text| self.text(text)),
                    flag: u32::from(text.is_some()),
                    ..fireside_event::default()
                };
                self.events.push(event);
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
                    user: self.user(user),
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
                    text: self.text(reason),
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
                    user: self.user(by),
                    text: self.text(name),
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
    pub(crate) fn found(&mut self, request: u64, found: &[Found]) {
        let first = self.found.len();
        for message in found {
            let row = fireside_found {
                conversation: id(message.conversation.0),
                sequence: message.sequence,
                at_ms: message.at,
                sender: self.user(&message.sender),
                text: self.text(&message.text),
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
    }

    /// A search without an answer.
    pub(crate) fn search_failed(&mut self, request: u64, status: fireside_status, why: &str) {
        let event = fireside_event {
            kind: c::FIRESIDE_EVENT_COMPLETED,
            status,
            request,
            text: self.text(why),
            ..fireside_event::default()
        };
        self.events.push(event);
    }

    /// A span beyond 4 GiB can not be named; so much never fits the queues, and would be empty rather than wrong.
    fn text(&mut self, text: &str) -> fireside_span {
        let end = self.text.len() + text.len();
        let (Ok(offset), Ok(_)) = (u32::try_from(self.text.len()), u32::try_from(end)) else {
            return fireside_span::default();
        };
        self.text.extend_from_slice(text.as_bytes());
        fireside_span {
            offset,
            len: text.len() as u32,
        }
    }

    fn user(&mut self, user: &UserId) -> fireside_span {
        // By where they are, not by what they say: the client knows a user once, and nobody else's text comes there while one is kept.
        let here = |known: &&(UserId, _)| std::ptr::eq(known.0.as_str(), user.as_str());
        if let Some((_, span)) = self.users.iter().find(here) {
            return *span;
        }
        let span = self.text(user.as_str());
        if self.users.len() >= USERS_KNOWN_MAX {
            self.users.clear();
        }
        self.users.push((user.clone(), span));
        span
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
            sender: self.user(&row.sender),
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
                flat.text = self.text(text);
            }
            Body::Recalled => flat.body = c::FIRESIDE_BODY_RECALLED,
            Body::Expired => flat.body = c::FIRESIDE_BODY_EXPIRED,
            Body::Created(name) => {
                flat.body = c::FIRESIDE_BODY_CREATED;
                flat.text = self.text(name);
            }
            Body::Joined(user) => {
                flat.body = c::FIRESIDE_BODY_JOINED;
                flat.subject = self.user(user);
            }
            Body::Left(user) => {
                flat.body = c::FIRESIDE_BODY_LEFT;
                flat.subject = self.user(user);
            }
            Body::Removed(user) => {
                flat.body = c::FIRESIDE_BODY_REMOVED;
                flat.subject = self.user(user);
            }
            Body::Role(user, role) => {
                flat.body = c::FIRESIDE_BODY_ROLE;
                flat.subject = self.user(user);
                flat.role = role.number().into();
            }
            Body::Hole => flat.body = c::FIRESIDE_BODY_HOLE,
            // Not in the interface yet: what a newer library would show, with what is left of it as text.
            Body::Content(content) => {
                flat.body = c::FIRESIDE_BODY_UNKNOWN;
                flat.text = self.text(&content.plain_text());
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
            name: self.text(&row.name),
            peer: self.user_or_none(row.peer.as_ref()),
            last_sender: self.user_or_none(row.last_sender.as_ref()),
            preview: self.text(&row.preview),
            reserved: [0; 2],
        };
        self.conversation_rows.push(flat);
    }

    fn reaction(&mut self, one: &ReactionRow) {
        let flat = fireside_reaction {
            key: self.text(&one.key),
            user_first: short(self.reaction_users.len()),
            user_count: short(one.users.len()),
            mine: u32::from(one.mine),
            reserved: 0,
        };
        for user in one.users.iter() {
            let user = self.user(user);
            self.reaction_users.push(user);
        }
        self.reactions.push(flat);
    }

    fn user_or_none(&mut self, user: Option<&UserId>) -> fireside_span {
        user.map_or_else(fireside_span::default, |user| self.user(user))
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
            text: self.text(&error.text),
            delay_ms: error.retry_after_ms,
            ..fireside_event::default()
        }
    }

    fn member(&mut self, member: &Member) {
        let flat = fireside_member {
            user: self.user(&member.user),
            name: self.text(&member.name),
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
            platform: self.text(&device.platform),
            agent: self.text(&device.agent),
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
                text: self.text(text),
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

const fn id(bytes: [u8; 16]) -> fireside_id {
    fireside_id { bytes }
}

/// Counts of rows: the queues hold far fewer than 2³².
fn short(number: usize) -> u32 {
    number.try_into().unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
