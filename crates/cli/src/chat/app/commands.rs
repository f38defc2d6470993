//! What keys and lines make of the terminal client: commands for the client core.

use fireside_client_core::{
    Command, RequestId,
    command::Recipient,
    view::{Body, MessageState},
};
use fireside_protocol::{
    Code, ConversationId, UserId,
    text::{Count, TextError, check_text, normalise_name},
};

use super::{App, Completing, Timeline, Tone, Why, remember};
use crate::chat::words::{self, Line};

impl App {
    /// What the loop is to hand to the client.
    pub(crate) fn take_commands(&mut self) -> Vec<(Command, Why)> {
        std::mem::take(&mut self.outgoing)
    }

    /// The client took a command.
    pub(crate) fn sent(&mut self, request: RequestId, why: Why) {
        self.calls.insert(request, why);
    }

    /// The client did not take it.
    pub(crate) fn not_taken(&mut self, code: Code) {
        self.say(code.text().to_owned(), Tone::Bad);
    }

    pub(super) fn act(&mut self, command: Command, why: Why) {
        self.outgoing.push((command, why));
    }

    pub(super) fn select_something(&mut self) {
        if self.selected.is_none()
            && let Some(row) = self.list.first()
        {
            self.select(row.conversation);
        }
    }

    /// Puts a conversation on screen.
    pub(crate) fn select(&mut self, conversation: ConversationId) {
        self.show_list = false;
        if self.selected == Some(conversation) {
            return;
        }
        self.stop_typing();
        if let Some(old) = self.selected.replace(conversation) {
            self.draft_left(old);
            // One is open at a time; a new Open brings it all back from the cache.
            self.timelines.remove(&old);
            self.act(Command::Close { conversation: old }, Why::Silent);
        }
        let unread_above = self
            .row(conversation)
            .filter(|row| row.unread > 0)
            .map(|row| row.last.saturating_sub(u64::from(row.unread)));
        self.timelines.insert(
            conversation,
            Timeline {
                unread_above,
                ..Timeline::default()
            },
        );
        self.act(Command::Open { conversation }, Why::Quiet);
        self.draft_found(conversation);
    }

    /// Up or down in the list.
    pub(crate) fn select_next(&mut self, down: bool) {
        let at = self
            .list
            .iter()
            .position(|row| Some(row.conversation) == self.selected);
        let next = match (at, down) {
            (None, _) => 0,
            (Some(at), true) => at + 1,
            (Some(at), false) => at.wrapping_sub(1),
        };
        let show_list = self.show_list;
        if let Some(row) = self.list.get(next) {
            self.select(row.conversation);
        }
        self.show_list = show_list;
    }

    /// The next conversation with unread messages.
    pub(crate) fn select_unread(&mut self) {
        match self
            .list
            .iter()
            .find(|row| row.unread > 0 && Some(row.conversation) != self.selected)
        {
            Some(row) => self.select(row.conversation),
            None => self.say("nothing unread".to_owned(), Tone::Plain),
        }
    }

    /// What is on screen at the end of the timeline is read.
    pub(super) fn mark_read(&mut self) {
        let Some(conversation) = self.selected else {
            return;
        };
        let me = self.me.clone();
        let Some(timeline) = self.timelines.get_mut(&conversation) else {
            return;
        };
        if timeline.anchor.is_some() {
            return;
        }
        let last = timeline
            .rows
            .iter()
            .rev()
            .find(|row| row.sequence.is_some() && row.sender != me)
            .and_then(|row| row.sequence);
        if let Some(last) = last
            && last > timeline.marked
        {
            timeline.marked = last;
            self.act(
                Command::MarkRead {
                    conversation,
                    upto: last,
                },
                Why::Silent,
            );
        }
    }

    pub(super) fn stop_typing(&mut self) {
        if std::mem::take(&mut self.typed)
            && let Some(conversation) = self.selected
        {
            self.act(
                Command::Typing {
                    conversation,
                    on: false,
                },
                Why::Silent,
            );
        }
    }

    /// The input line was changed by a key.
    pub(crate) fn edited(&mut self) {
        self.completing = None;
        let Some(conversation) = self.selected else {
            return;
        };
        self.draft_edited(conversation);
        let writes = !self.input.is_empty() && !self.input.text().starts_with('/');
        if writes && self.row(conversation).is_some() {
            self.typed = true;
            // The client sends no more of them than are useful.
            self.act(
                Command::Typing {
                    conversation,
                    on: true,
                },
                Why::Silent,
            );
        } else if !writes {
            self.stop_typing();
        }
    }

    /// Tab.
    pub(crate) fn complete(&mut self) {
        if let Some(completing) = &mut self.completing {
            completing.at = (completing.at + 1) % completing.offers.len();
            let offer = completing
                .offers
                .get(completing.at)
                .cloned()
                .unwrap_or_default();
            // What stands there now is the offer before.
            let bytes =
                self.input.before_cursor().len() - (completing.before.len() - completing.bytes);
            return self.input.replace_before(bytes, &offer);
        }
        let names: Vec<String> = self.names.iter().cloned().collect();
        let before = self.input.before_cursor().to_owned();
        let (bytes, offers) = words::complete(&before, &names);
        if let Some(offer) = offers.first() {
            self.input.replace_before(bytes, offer);
            // A single offer is final: the next Tab completes what follows it.
            self.completing = (offers.len() > 1).then_some(Completing {
                before,
                bytes,
                offers,
                at: 0,
            });
        }
    }

    /// Enter.
    pub(crate) fn submit(&mut self) {
        self.completing = None;
        if self.input.text().trim().is_empty() {
            self.show_list = false;
            return;
        }
        match words::parse(self.input.text()) {
            Err(text) => self.say(text, Tone::Bad),
            Ok(line) => {
                if let Err(error) = check(&line) {
                    // What was written stays, to be made right.
                    self.say(error.code().text().to_owned(), Tone::Bad);
                    return;
                }
                self.input.submit();
                self.typed = false;
                self.run(line);
                self.draft_submitted();
            }
        }
    }

    pub(super) fn run(&mut self, line: Line) {
        match line {
            Line::Whisper(user, text) => self.whisper(user, text),
            Line::Group(name, invite) => {
                let why = Why::Create(name.clone());
                self.act(
                    Command::CreateGroup {
                        name,
                        invite,
                        history_for_joiners: 0,
                    },
                    why,
                );
            }
            Line::Join(name) => match self.invitation(&name) {
                Some(conversation) => {
                    self.invitations
                        .retain(|(other, ..)| *other != conversation);
                    self.act(
                        Command::Join { conversation },
                        Why::Say("you are in".to_owned()),
                    );
                    self.select(conversation);
                }
                None => self.say("there is no such invitation".to_owned(), Tone::Bad),
            },
            Line::Leave(name) if !name.is_empty() => match self.invitation(&name) {
                Some(conversation) => {
                    self.invitations
                        .retain(|(other, ..)| *other != conversation);
                    self.act(
                        Command::Leave { conversation },
                        Why::Say("declined".to_owned()),
                    );
                }
                None => self.say(
                    "there is no such invitation; /leave alone leaves this group".to_owned(),
                    Tone::Bad,
                ),
            },
            Line::Block(user, on) => {
                let text = if on {
                    format!("you hear nothing of {user} any more")
                } else {
                    format!("you hear {user} again")
                };
                self.act(Command::Block { user, on }, Why::Say(text));
            }
            Line::Own(line) => self.run_own(line),
            Line::Search(words) => {
                self.searching = Some(words.clone());
                self.searches.push((words, None));
            }
            Line::Devices => self.act(Command::Devices, Why::Devices),
            Line::Lead(lead) => match (self.lead(lead), self.selected) {
                (None, _) => {}
                (Some(lead), Some(conversation)) => self.lead_here(lead, conversation),
                (Some(_), None) => self.say("first choose a group".to_owned(), Tone::Bad),
            },
            Line::Connect => self.act(Command::Connect, Why::Quiet),
            Line::Disconnect => self.act(Command::Disconnect, Why::Quiet),
            Line::Help => self.help(),
            Line::Quit => self.quit = true,
            here => match self.selected {
                Some(conversation) => self.run_here(here, conversation),
                None => self.say("first choose somebody: /w name text".to_owned(), Tone::Bad),
            },
        }
    }

    fn run_here(&mut self, line: Line, conversation: ConversationId) {
        let Some(line) = self.run_message(line, conversation) else {
            return;
        };
        match line {
            Line::Invite(users) => {
                let names: Vec<String> = users.iter().map(ToString::to_string).collect();
                self.act(
                    Command::Invite {
                        conversation,
                        users,
                    },
                    Why::Say(format!("invited: {}", names.join(", "))),
                );
            }
            Line::Leave(_) => self.act(
                Command::Leave { conversation },
                Why::Say("you left".to_owned()),
            ),
            Line::Remove(user) => {
                let text = format!("{user} is removed");
                self.act(Command::RemoveMember { conversation, user }, Why::Say(text));
            }
            Line::Members => self.act(
                Command::Members {
                    conversation,
                    after: None,
                },
                Why::Members(conversation),
            ),
            Line::Edit(text) => match self.own_last(|row| matches!(row.body, Body::Text(_))) {
                Some(message) => self.act(
                    Command::EditText {
                        conversation,
                        message,
                        text,
                    },
                    Why::Quiet,
                ),
                None => self.say(
                    "there is no message of yours to change here".to_owned(),
                    Tone::Bad,
                ),
            },
            Line::Recall => {
                match self.own_last(|row| matches!(row.body, Body::Text(_) | Body::Content(_))) {
                    Some(message) => self.act(
                        Command::Recall {
                            conversation,
                            message,
                        },
                        Why::Quiet,
                    ),
                    None => self.say(
                        "there is no message of yours to take back here".to_owned(),
                        Tone::Bad,
                    ),
                }
            }
            Line::React(key, place) => {
                let found = self.counted_back(place).map(|(message, row)| {
                    let mut all = row.reactions.iter().flat_map(|all| all.iter());
                    let mine = all.any(|one| *one.key == *key && one.mine);
                    (message, !mine)
                });
                match found {
                    Some((message, on)) => self.act(
                        Command::React {
                            conversation,
                            message,
                            key,
                            on,
                        },
                        Why::Quiet,
                    ),
                    None => self.say("there is no such message here".to_owned(), Tone::Bad),
                }
            }
            Line::Pin(place) => {
                let found = self.counted_back(place);
                match found.map(|(message, row)| (message, !row.pinned)) {
                    Some((message, on)) => self.act(
                        Command::Pin {
                            conversation,
                            message,
                            on,
                        },
                        Why::Quiet,
                    ),
                    None => self.say("there is no such message here".to_owned(), Tone::Bad),
                }
            }
            Line::Pins => self.act(
                Command::Pins {
                    conversation,
                    before: 0,
                },
                Why::Pins(conversation),
            ),
            Line::Retry | Line::Discard => {
                let failed: Vec<_> = self
                    .current()
                    .into_iter()
                    .flat_map(|timeline| &timeline.rows)
                    .filter(|row| matches!(row.state, MessageState::Failed(_)))
                    .filter_map(|row| row.nonce)
                    .collect();
                if failed.is_empty() {
                    self.say("nothing failed here".to_owned(), Tone::Plain);
                }
                for nonce in failed {
                    let command = if line == Line::Retry {
                        Command::Retry { nonce }
                    } else {
                        Command::Discard { nonce }
                    };
                    self.act(command, Why::Quiet);
                }
            }
            _ => {}
        }
    }

    fn whisper(&mut self, user: UserId, text: String) {
        if user == self.me {
            return self.say("that is you".to_owned(), Tone::Bad);
        }
        remember(&mut self.names, &user);
        let conversation = ConversationId::direct(&self.me, &user);
        self.new_peers.insert(conversation, user.clone());
        if !text.is_empty() {
            self.act(
                Command::SendText {
                    to: Recipient::User(user),
                    text,
                },
                Why::Send,
            );
        }
        self.select(conversation);
    }

    fn invitation(&self, name: &str) -> Option<ConversationId> {
        let mut matching =
            self.invitations.iter().rev().filter(|(id, _, other)| {
                name.is_empty() || other == name || id.to_string() == name
            });
        matching.next().map(|(conversation, ..)| *conversation)
    }

    fn help(&mut self) {
        let mut lines: Vec<String> = words::commands()
            .map(|(name, arguments, what)| format!("{:<22} {what}", format!("{name} {arguments}")))
            .collect();
        let keys = [
            ("", ""),
            ("Enter", "send; Alt-Enter a new line"),
            ("Tab", "complete a command or a name"),
            ("Up, Down", "what you wrote before"),
            (
                "Ctrl-Up, Ctrl-Down",
                "other conversation (also Ctrl-P, Ctrl-N)",
            ),
            ("Ctrl-G", "next conversation with something unread"),
            ("PageUp, PageDown", "scroll; Esc back to the end"),
            ("Ctrl-L", "the list, on a narrow screen"),
            (
                "…  ✓  ✓✓  ✗",
                "sending, sent, delivered (bright: read), failed",
            ),
        ];
        lines.extend(keys.iter().map(|(key, what)| format!("{key:<22} {what}")));
        self.open_popup("Help".to_owned(), lines);
    }
}

/// What the client would refuse at once.
fn check(line: &Line) -> Result<(), TextError> {
    match line {
        Line::Whisper(_, text) if text.is_empty() => Ok(()),
        Line::Text(text) | Line::Edit(text) | Line::Whisper(_, text) => {
            check_text(text, Count::GRAPHEMES)
        }
        Line::Group(name, _) => normalise_name(name).map(|_| ()),
        _ => Ok(()),
    }
}
