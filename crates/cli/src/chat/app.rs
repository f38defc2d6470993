//! What the terminal client knows and how keys and events change it. No terminal, no network: commands come out as a list.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::{Duration, Instant},
};

use fireside_client_core::{
    Command, ConnectionState, Event, RequestId,
    command::{MessageRef, Recipient},
    event::{CallError, Completion},
    view::{Body, ConversationRow, MessageState, TimelineRow},
};
use fireside_protocol::{
    Code, ConversationId, ConversationKind, Sequence, UserId, limits::TYPING_TIMEOUT_MS,
};

use super::{
    editor::Editor,
    words::{self, Line},
    wrap::safe_line,
};

/// Time a notice stays in the status line.
const NOTICE_TIME: Duration = Duration::from_secs(6);
/// Older messages asked for at once.
const OLDER_COUNT: u32 = 60;
/// Names remembered for completion.
const NAMES_MAX: usize = 2_000;
/// Lines of a popup.
const POPUP_LINES_MAX: usize = 500;

/// How a notice is meant.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Tone {
    Plain,
    Good,
    Bad,
}

/// What a call was for; says what its completion means.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Why {
    /// Nothing to say when it works.
    Quiet,
    /// Not even when it fails.
    Silent,
    /// Says this when it works.
    Say(String),
    Send,
    Create(String),
    Older(ConversationId),
    Members(ConversationId),
    Devices,
}

/// An open timeline.
#[derive(Debug, Default)]
pub(crate) struct Timeline {
    pub(crate) rows: Vec<TimelineRow>,
    /// Its reset came.
    pub(crate) loaded: bool,
    pub(crate) loading_older: bool,
    pub(crate) start_reached: bool,
    /// The last line shown: a row and a line in it. `None`: the end, whatever comes.
    pub(crate) anchor: Option<(u64, usize)>,
    /// The number above which everything was unread when it was opened.
    pub(crate) unread_above: Option<Sequence>,
    marked: Sequence,
}

/// A page over everything.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Popup {
    pub(crate) title: String,
    pub(crate) lines: Vec<String>,
    pub(crate) scroll: usize,
}

/// What the last drawing found out, for the keys that scroll.
#[derive(Debug, Default)]
pub(crate) struct Geometry {
    /// Row and line in it of each line of the timeline.
    pub(crate) lines: Vec<(u64, usize)>,
    pub(crate) height: usize,
    /// Index of the last line shown.
    pub(crate) bottom: usize,
}

/// Keys, as the loop names them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Move {
    Up(usize),
    Down(usize),
    PageUp,
    PageDown,
    Start,
    End,
}

#[derive(Debug)]
struct Completing {
    before: String,
    bytes: usize,
    offers: Vec<String>,
    at: usize,
}

/// The terminal client.
pub(crate) struct App {
    pub(crate) me: UserId,
    pub(crate) state: ConnectionState,
    pub(crate) state_since: Instant,
    pub(crate) memory_mode: Option<String>,
    pub(crate) list: Vec<ConversationRow>,
    pub(crate) selected: Option<ConversationId>,
    pub(crate) timelines: HashMap<ConversationId, Timeline>,
    /// Peers of direct conversations that are not in the list yet.
    new_peers: HashMap<ConversationId, UserId>,
    typing: HashMap<(ConversationId, UserId), Instant>,
    pub(crate) invitations: Vec<(ConversationId, UserId, String)>,
    pub(crate) input: Editor,
    pub(crate) popup: Option<Popup>,
    /// On a narrow screen: the list instead of the messages.
    pub(crate) show_list: bool,
    notice: Option<(String, Tone, Instant)>,
    completing: Option<Completing>,
    calls: HashMap<RequestId, Why>,
    outgoing: Vec<(Command, Why)>,
    searching: Option<String>,
    pub(crate) searches: Vec<(String, Option<ConversationId>)>,
    names: HashSet<String>,
    pub(crate) geometry: Geometry,
    pub(crate) quit: bool,
    pub(crate) bell: bool,
    pub(crate) now: Instant,
    pub(crate) rtt_ms: Option<u64>,
    /// The token is refused or ends soon: the loop gives another if it can.
    pub(crate) token_wanted: bool,
    typed: bool,
}

impl App {
    pub(crate) fn new(me: UserId, now: Instant) -> Self {
        Self {
            me,
            state: ConnectionState::Offline,
            state_since: now,
            memory_mode: None,
            list: Vec::new(),
            selected: None,
            timelines: HashMap::new(),
            new_peers: HashMap::new(),
            typing: HashMap::new(),
            invitations: Vec::new(),
            input: Editor::default(),
            popup: None,
            show_list: false,
            notice: None,
            completing: None,
            calls: HashMap::new(),
            outgoing: Vec::new(),
            searching: None,
            searches: Vec::new(),
            names: HashSet::new(),
            geometry: Geometry::default(),
            quit: false,
            bell: false,
            now,
            rtt_ms: None,
            token_wanted: false,
            typed: false,
        }
    }

    // ---- events

    /// Takes an event of the client.
    pub(crate) fn event(&mut self, event: Event) {
        match event {
            Event::Completed { request, result } => {
                if let Some(why) = self.calls.remove(&request) {
                    self.completed(why, result);
                }
            }
            Event::State(state) => self.connection(state),
            Event::TokenExpiring { .. } => self.token_wanted = true,
            Event::MemoryMode { reason } => {
                self.say(format!("not kept on disk: {reason}"), Tone::Bad);
                self.memory_mode = Some(reason);
            }
            Event::Conversations { diffs, .. } => {
                for diff in diffs {
                    diff.apply(&mut self.list);
                }
                for row in &self.list {
                    if let Some(peer) = &row.peer {
                        remember(&mut self.names, peer);
                    }
                }
                self.select_something();
            }
            Event::Timeline {
                conversation,
                diffs,
                ..
            } => {
                let timeline = self.timelines.entry(conversation).or_default();
                timeline.loaded = true;
                for diff in diffs {
                    diff.apply(&mut timeline.rows);
                }
                for row in &timeline.rows {
                    remember(&mut self.names, &row.sender);
                }
                self.mark_read();
            }
            Event::MessageReceived {
                conversation,
                sender,
                text,
                ..
            } => {
                self.typing.remove(&(conversation, sender.clone()));
                if self.selected != Some(conversation) || self.is_scrolled() {
                    self.bell = true;
                    let text = text.unwrap_or_else(|| Arc::from("a message"));
                    self.say(format!("{sender}: {}", safe_line(&text)), Tone::Plain);
                }
            }
            Event::Missed { count } => self.say(format!("{count} more messages came"), Tone::Plain),
            Event::Invited {
                conversation,
                by,
                name,
            } => {
                self.invitations
                    .retain(|(other, ..)| *other != conversation);
                self.bell = true;
                self.say(
                    format!(
                        "{by} invites you to {}: /join {}",
                        safe_line(&name),
                        safe_line(&name)
                    ),
                    Tone::Good,
                );
                self.invitations.push((conversation, by, name));
            }
            Event::Typing {
                conversation,
                user,
                on,
            } => {
                if on {
                    self.typing.insert(
                        (conversation, user),
                        self.now + Duration::from_millis(TYPING_TIMEOUT_MS),
                    );
                } else {
                    self.typing.remove(&(conversation, user));
                }
            }
            _ => {}
        }
    }

    fn connection(&mut self, state: ConnectionState) {
        let was = std::mem::replace(&mut self.state, state);
        self.state_since = self.now;
        match &self.state {
            ConnectionState::Connected
                if matches!(
                    was,
                    ConnectionState::Reconnecting { .. } | ConnectionState::Refused { .. }
                ) =>
            {
                self.say("connected again".to_owned(), Tone::Good);
            }
            ConnectionState::Refused { code, text, .. } => {
                let text = format!("the server refuses: {}", safe_line(text));
                self.token_wanted |= *code == Code::TokenExpired;
                self.say(text, Tone::Bad);
            }
            _ => {}
        }
    }

    fn completed(&mut self, why: Why, result: Result<Completion, CallError>) {
        if let Why::Older(conversation) = why
            && let Some(timeline) = self.timelines.get_mut(&conversation)
        {
            timeline.loading_older = false;
        }
        let completion = match result {
            Ok(completion) => completion,
            // What is cancelled or waits is seen elsewhere.
            Err(error) if why == Why::Silent || error.code == Code::Cancelled => return,
            Err(error) => {
                let text = if error.text.is_empty() {
                    error.code.text()
                } else {
                    &error.text
                };
                return self.say(safe_line(text), Tone::Bad);
            }
        };
        match (why, completion) {
            (Why::Say(text), _) => self.say(text, Tone::Good),
            (Why::Create(name), Completion::Created { conversation }) => {
                self.say(
                    format!("{name} is there; /invite brings people in"),
                    Tone::Good,
                );
                self.select(conversation);
            }
            (Why::Older(conversation), Completion::Loaded { start_reached, .. }) => {
                if let Some(timeline) = self.timelines.get_mut(&conversation) {
                    timeline.start_reached = start_reached;
                }
            }
            (Why::Members(conversation), Completion::Members { members, more }) => {
                for member in &members {
                    remember(&mut self.names, &member.user);
                }
                let mut lines: Vec<String> = members
                    .iter()
                    .map(|member| {
                        let name = if member.name.is_empty() {
                            String::new()
                        } else {
                            format!("  ({})", safe_line(&member.name))
                        };
                        format!("{}{name}  {}", member.user, role_name(Some(member.role)))
                    })
                    .collect();
                if more {
                    lines.push("and more".to_owned());
                }
                let title = format!("Members of {}", self.title_of(conversation));
                self.open_popup(title, lines);
            }
            (Why::Devices, Completion::Devices(devices)) => {
                let lines = devices
                    .iter()
                    .map(|device| {
                        let online = if device.online { "● online" } else { "○" };
                        format!(
                            "{online}  {}  {}  {}",
                            safe_line(&device.platform),
                            safe_line(&device.agent),
                            device.device
                        )
                    })
                    .collect();
                self.open_popup("Your devices".to_owned(), lines);
            }
            _ => {}
        }
    }

    /// Answers of a search.
    pub(crate) fn found(
        &mut self,
        words: &str,
        found: Result<Vec<fireside_client::Found>, String>,
    ) {
        if self.searching.as_deref() == Some(words) {
            self.searching = None;
        }
        match found {
            Err(reason) => self.say(format!("search: {reason}"), Tone::Bad),
            Ok(found) if found.is_empty() => {
                self.say(format!("nothing on this device has {words:?}"), Tone::Plain);
            }
            Ok(found) => {
                let lines = found
                    .iter()
                    .map(|hit| {
                        format!(
                            "{} · {}: {}",
                            self.title_of(hit.conversation),
                            hit.sender,
                            safe_line(&hit.text)
                        )
                    })
                    .collect();
                self.open_popup(format!("{} with {words:?}", found.len()), lines);
            }
        }
    }

    /// Time went on. `true` if something on the screen changes by that alone.
    pub(crate) fn time(&mut self, now: Instant) -> bool {
        self.now = now;
        let before = self.typing.len();
        self.typing.retain(|_, until| *until > now);
        let mut changed = before != self.typing.len();
        if self
            .notice
            .as_ref()
            .is_some_and(|(.., until)| *until <= now)
        {
            self.notice = None;
            changed = true;
        }
        changed || matches!(self.state, ConnectionState::Reconnecting { .. })
    }

    // ---- what is shown

    pub(crate) fn say(&mut self, text: String, tone: Tone) {
        self.notice = Some((text, tone, self.now + NOTICE_TIME));
    }

    pub(crate) fn notice(&self) -> Option<(&str, Tone)> {
        self.notice
            .as_ref()
            .map(|(text, tone, _)| (text.as_str(), *tone))
    }

    pub(crate) fn typing_in(&self, conversation: ConversationId) -> Vec<&UserId> {
        let mut users: Vec<&UserId> = self
            .typing
            .keys()
            .filter(|(other, user)| *other == conversation && *user != self.me)
            .map(|(_, user)| user)
            .collect();
        users.sort();
        users
    }

    pub(crate) fn row(&self, conversation: ConversationId) -> Option<&ConversationRow> {
        self.list
            .iter()
            .find(|row| row.conversation == conversation)
    }

    pub(crate) fn title_of(&self, conversation: ConversationId) -> String {
        match (self.row(conversation), self.new_peers.get(&conversation)) {
            (Some(row), _) if row.name.is_empty() => row
                .peer
                .as_ref()
                .map_or_else(|| "(no name)".to_owned(), ToString::to_string),
            (Some(row), _) => safe_line(&row.name),
            (None, Some(peer)) => peer.to_string(),
            (None, None) => conversation.to_string(),
        }
    }

    /// The timeline on screen.
    pub(crate) fn current(&self) -> Option<&Timeline> {
        self.timelines.get(&self.selected?)
    }

    /// Own messages that are not sent yet, as far as they are on screen.
    pub(crate) fn unsent(&self) -> usize {
        self.current().map_or(0, |timeline| {
            timeline
                .rows
                .iter()
                .filter(|row| row.state == MessageState::Sending)
                .count()
        })
    }

    fn is_scrolled(&self) -> bool {
        self.current()
            .is_some_and(|timeline| timeline.anchor.is_some())
    }

    fn open_popup(&mut self, title: String, mut lines: Vec<String>) {
        lines.truncate(POPUP_LINES_MAX);
        self.popup = Some(Popup {
            title,
            lines,
            scroll: 0,
        });
    }

    // ---- commands

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

    fn act(&mut self, command: Command, why: Why) {
        self.outgoing.push((command, why));
    }

    fn select_something(&mut self) {
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
    fn mark_read(&mut self) {
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

    fn stop_typing(&mut self) {
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
                self.input.submit();
                self.typed = false;
                self.run(line);
            }
        }
    }

    fn run(&mut self, line: Line) {
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
            Line::Search(words) => {
                self.searching = Some(words.clone());
                self.searches.push((words, None));
            }
            Line::Devices => self.act(Command::Devices, Why::Devices),
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
        match line {
            Line::Text(text) => {
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
                self.act(Command::SendText { to, text }, Why::Send);
            }
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
            Line::Recall => match self.own_last(|row| matches!(row.body, Body::Text(_))) {
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
            },
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

    fn own_last(&self, is: impl Fn(&TimelineRow) -> bool) -> Option<MessageRef> {
        let row = self.current()?.rows.iter().rev().find(|row| {
            row.sender == self.me && is(row) && !matches!(row.state, MessageState::Failed(_))
        })?;
        row.sequence
            .map(MessageRef::Sequence)
            .or(row.nonce.map(MessageRef::Nonce))
    }

    fn help(&mut self) {
        let mut lines: Vec<String> = words::COMMANDS
            .iter()
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

    // ---- scrolling

    /// Esc: closes what is over the messages, else goes to their end.
    pub(crate) fn escape(&mut self) {
        if self.popup.take().is_none() {
            self.show_list = false;
            self.show_end();
        }
    }

    fn show_end(&mut self) {
        if let Some(timeline) = self
            .selected
            .and_then(|conversation| self.timelines.get_mut(&conversation))
        {
            timeline.anchor = None;
        }
        self.mark_read();
    }

    /// Scrolls the popup, or the timeline by what the last drawing showed.
    pub(crate) fn scroll(&mut self, to: Move) {
        let page = self.geometry.height.saturating_sub(1).max(1);
        if let Some(popup) = &mut self.popup {
            let last = popup.lines.len().saturating_sub(1);
            popup.scroll = match to {
                Move::Up(by) => popup.scroll.saturating_sub(by),
                Move::Down(by) => (popup.scroll + by).min(last),
                Move::PageUp => popup.scroll.saturating_sub(page),
                Move::PageDown => (popup.scroll + page).min(last),
                Move::Start => 0,
                Move::End => last,
            };
            return;
        }
        let Some(conversation) = self.selected else {
            return;
        };
        let total = self.geometry.lines.len();
        let top_bottom = self
            .geometry
            .height
            .saturating_sub(1)
            .min(total.saturating_sub(1));
        let bottom = match to {
            Move::Up(by) => self.geometry.bottom.saturating_sub(by),
            Move::Down(by) => self.geometry.bottom + by,
            Move::PageUp => self.geometry.bottom.saturating_sub(page),
            Move::PageDown => self.geometry.bottom + page,
            Move::Start => 0,
            Move::End => total,
        }
        .max(top_bottom);
        let anchor = if bottom + 1 >= total {
            None
        } else {
            self.geometry.lines.get(bottom).copied()
        };
        let up = matches!(to, Move::Up(_) | Move::PageUp | Move::Start);
        let Some(timeline) = self.timelines.get_mut(&conversation) else {
            return;
        };
        timeline.anchor = anchor;
        // The first line is in sight: more, if there is more.
        if up && bottom <= top_bottom && !timeline.loading_older && !timeline.start_reached {
            timeline.loading_older = true;
            self.act(
                Command::LoadOlder {
                    conversation,
                    count: OLDER_COUNT,
                },
                Why::Older(conversation),
            );
        }
        self.mark_read();
    }
}

fn remember(names: &mut HashSet<String>, user: &UserId) {
    if names.len() < NAMES_MAX && !names.contains(user.as_str()) {
        names.insert(user.as_str().to_owned());
    }
}

/// A role in a word.
pub(crate) const fn role_name(role: Option<fireside_protocol::Role>) -> &'static str {
    use fireside_protocol::Role;
    match role {
        Some(Role::Owner) => "owner",
        Some(Role::Admin) => "admin",
        Some(Role::Member | Role::Unknown(_)) => "member",
        None => "no longer a member",
    }
}

/// A kind in a word.
pub(crate) const fn kind_name(kind: ConversationKind) -> &'static str {
    match kind {
        ConversationKind::Direct => "direct",
        ConversationKind::Group => "group",
        _ => "conversation",
    }
}

#[cfg(test)]
mod tests;
