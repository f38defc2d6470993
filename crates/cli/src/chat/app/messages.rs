//! Lines that send, change or delete messages in a conversation.

use std::collections::BTreeSet;

use fireside_client_core::{
    Command, NewMessage,
    command::{MessageRef, Recipient},
    view::{Body, ConversationRow, MessageState, TimelineRow},
};
use fireside_protocol::{
    Content, ConversationId, Real, Settings, TextContent, UserId,
    content::{
        AnswerValue, ItemContent, ItemLink, LocationContent, PollContent, Span, SpanKind,
        WorldPlace,
    },
    limits::{MENTIONS_MAX, SPANS_MAX},
};

use super::{App, Tone, Why};
use crate::chat::{words::Line, wrap::safe_line};

impl App {
    /// Sends copies of the last messages of a conversation to a user, or to a conversation of that name.
    fn forward(&mut self, from: ConversationId, to: &str, count: usize) {
        let said = |place| Some(self.counted_back(place)?.1.sequence);
        let numbers: Vec<_> = (1..=count)
            .rev()
            .map_while(|place| said(place).flatten())
            .collect();
        if numbers.is_empty() {
            return self.no_message();
        }
        let named = self.list.iter().find(|row| &*row.name == to);
        let to = match (named, UserId::new(to.trim_start_matches('@'))) {
            (Some(row), _) => Recipient::Conversation(row.conversation),
            (None, Ok(user)) => Recipient::User(user),
            (None, Err(_)) => return self.say(format!("there is no {to}"), Tone::Bad),
        };
        let merged = (numbers.len() > 1).then(String::new);
        self.act(
            Command::Forward {
                to,
                from,
                messages: numbers,
                merged,
            },
            Why::Say("forwarded".to_owned()),
        );
    }

    /// Carries out a line about messages; gives back any other.
    pub(super) fn run_message(&mut self, line: Line, conversation: ConversationId) -> Option<Line> {
        match line {
            Line::Text(text) => self.send(conversation, self.written(&text)),
            Line::Silent(text) => {
                let message = self.written(&text);
                let silent = true;
                self.send(conversation, NewMessage { silent, ..message });
            }
            Line::Burn(ms, text) => {
                let message = self.written(&text);
                let expires = super::super::wall_ms().saturating_add(ms);
                self.send(conversation, NewMessage { expires, ..message });
            }
            Line::Now(text) => {
                let said = format!("to who is online now: {}", safe_line(&text));
                let message = Box::new(self.written(&text));
                self.act(
                    Command::SendTransient {
                        conversation,
                        message,
                    },
                    Why::Say(said),
                );
            }
            Line::Lifetime(ms) => {
                let change = Settings {
                    lifetime_ms: Some(ms),
                    ..Settings::default()
                };
                let said = if ms == 0 {
                    "what is said here stays from now on"
                } else {
                    "what is said here ends after that long from now on"
                };
                self.act(
                    Command::SetConversation {
                        conversation,
                        change: Box::new(change),
                    },
                    Why::Say(said.to_owned()),
                );
            }
            Line::Reply(place, text) => {
                let found = self.counted_back(place).map(|(_, row)| row.sequence);
                match found {
                    Some(Some(reply_to)) => {
                        let message = self.written(&text);
                        self.send(
                            conversation,
                            NewMessage {
                                reply_to,
                                ..message
                            },
                        );
                    }
                    Some(None) => self.say("that message is not sent yet".to_owned(), Tone::Bad),
                    None => self.no_message(),
                }
            }
            Line::Poll(question, options, anonymous) => {
                let poll = PollContent {
                    question,
                    options,
                    choices_max: 0,
                    ends: 0,
                    anonymous,
                };
                self.send(conversation, NewMessage::new(Content::Poll(poll)));
            }
            Line::At(map, [x, y], label) => {
                let world = WorldPlace {
                    map,
                    x,
                    y,
                    z: Real(0.0),
                };
                let place = LocationContent {
                    earth: None,
                    world: Some(world),
                    label,
                    address: String::new(),
                    picture: String::new(),
                };
                self.send(conversation, NewMessage::new(Content::Location(place)));
            }
            Line::Item(id, name) => {
                let item = ItemLink {
                    id,
                    name,
                    rarity: String::new(),
                    tooltip: bytes::Bytes::new(),
                    signature: bytes::Bytes::new(),
                };
                let content = ItemContent {
                    item,
                    text: String::new(),
                };
                self.send(conversation, NewMessage::new(Content::Item(content)));
            }
            Line::Vote(numbers) => {
                let choices = numbers.iter().map(|number| number - 1).collect();
                match self.last_message(|_, content| matches!(content, Content::Poll(_))) {
                    Some(message) => self.act(
                        Command::Vote {
                            conversation,
                            message,
                            choices,
                        },
                        Why::Quiet,
                    ),
                    None => self.say("there is no poll here".to_owned(), Tone::Bad),
                }
            }
            Line::Close => {
                let own = |row: &TimelineRow, content: &Content| {
                    row.sender == self.me && matches!(content, Content::Poll(_))
                };
                match self.last_message(own) {
                    Some(message) => self.act(
                        Command::ClosePoll {
                            conversation,
                            message,
                        },
                        Why::Quiet,
                    ),
                    None => self.say("there is no poll of yours here".to_owned(), Tone::Bad),
                }
            }
            Line::Answer(pairs) => {
                let value = |(id, value)| AnswerValue { id, value };
                let values = pairs.into_iter().map(value).collect();
                match self.last_message(|_, content| matches!(content, Content::Card(_))) {
                    Some(message) => self.act(
                        Command::AnswerCard {
                            conversation,
                            message,
                            values,
                        },
                        Why::Say("your answer is on its way".to_owned()),
                    ),
                    None => self.say("there is no card here".to_owned(), Tone::Bad),
                }
            }
            Line::Forward(to, count) => self.forward(conversation, &to, count),
            Line::Delete(place) => match self.counted_back(place).map(|(_, row)| row.sequence) {
                Some(Some(number)) => self.act(
                    Command::Delete {
                        conversation,
                        upto: 0,
                        numbers: vec![number],
                    },
                    Why::Say("hidden from you; the others still see it".to_owned()),
                ),
                Some(None) => self.say("that message is not sent yet".to_owned(), Tone::Bad),
                None => self.no_message(),
            },
            Line::Clear => self.act(
                Command::Delete {
                    conversation,
                    upto: u64::MAX,
                    numbers: Vec::new(),
                },
                Why::Say("cleared for you; the others still see it".to_owned()),
            ),
            Line::History(place) => match self.counted_back(place).map(|(_, row)| row.sequence) {
                Some(Some(message)) => self.act(
                    Command::Revisions {
                        conversation,
                        message,
                        after: 0,
                    },
                    Why::Revisions,
                ),
                Some(None) => self.say("that message is not sent yet".to_owned(), Tone::Bad),
                None => self.no_message(),
            },
            other => return Some(other),
        }
        None
    }

    fn no_message(&mut self) {
        self.say("there is no such message here".to_owned(), Tone::Bad);
    }

    fn send(&mut self, conversation: ConversationId, message: NewMessage) {
        self.show_end();
        self.show_list = false;
        let to = match (self.row(conversation), self.new_peers.get(&conversation)) {
            (None, Some(peer)) => Recipient::User(peer.clone()),
            (
                Some(ConversationRow {
                    peer: Some(peer), ..
                }),
                _,
            ) => Recipient::User(peer.clone()),
            _ => Recipient::Conversation(conversation),
        };
        let message = Box::new(message);
        self.act(Command::Send { to, message }, Why::Send);
    }

    /// A text, with those it names: `@name` of somebody seen before, and `@all`.
    fn written(&self, text: &str) -> NewMessage {
        let mut content = TextContent::plain(text);
        let mut named: BTreeSet<UserId> = BTreeSet::new();
        let mut all = false;
        for (at, _) in text.match_indices('@') {
            let begins = text.get(..at).is_some_and(|before| {
                before.is_empty() || before.ends_with(|c: char| c.is_whitespace() || c == '(')
            });
            let rest = text.get(at + 1..).unwrap_or_default();
            let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
            let word = rest.get(..end).unwrap_or_default();
            let word = word.trim_end_matches([',', '.', '!', '?', ':', ';', ')']);
            if !begins || word.is_empty() || content.spans.len() >= SPANS_MAX {
                continue;
            }
            let known = self.names.iter().any(|name| name == word);
            let user = UserId::new(word).ok().filter(|_| known);
            if user.is_none() && word != "all" || named.len() >= MENTIONS_MAX {
                continue;
            }
            content.spans.push(Span {
                kind: if user.is_some() {
                    SpanKind::Mention
                } else {
                    SpanKind::MentionAll
                },
                start: at as u32,
                length: word.len() as u32 + 1,
                user: user.clone(),
                value: String::new(),
                item: None,
            });
            all |= user.is_none();
            named.extend(user);
        }
        NewMessage {
            mentions: named.into_iter().collect(),
            mention_all: all,
            mention_roles: Vec::new(),
            ..NewMessage::new(Content::Text(content))
        }
    }

    /// The newest message that is one.
    fn last_message(&self, is: impl Fn(&TimelineRow, &Content) -> bool) -> Option<MessageRef> {
        let rows = &self.current()?.rows;
        let row = rows.iter().rev().find(|row| match &row.body {
            Body::Content(content) => is(row, content),
            _ => false,
        })?;
        reference(row)
    }

    /// The message that stands so far from the end; 1 is the last.
    pub(super) fn counted_back(&self, place: usize) -> Option<(MessageRef, &TimelineRow)> {
        let rows = &self.current()?.rows;
        let mut messages = (rows.iter().rev()).filter(|row| {
            matches!(row.body, Body::Text(_) | Body::Content(_))
                && !matches!(row.state, MessageState::Failed(_))
        });
        let row = messages.nth(place.checked_sub(1)?)?;
        Some((reference(row)?, row))
    }

    pub(super) fn own_last(&self, is: impl Fn(&TimelineRow) -> bool) -> Option<MessageRef> {
        let row = self.current()?.rows.iter().rev().find(|row| {
            row.sender == self.me && is(row) && !matches!(row.state, MessageState::Failed(_))
        })?;
        reference(row)
    }
}

fn reference(row: &TimelineRow) -> Option<MessageRef> {
    let number = row.sequence.map(MessageRef::Sequence);
    number.or(row.nonce.map(MessageRef::Nonce))
}
