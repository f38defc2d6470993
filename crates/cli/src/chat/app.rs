//! What the terminal client knows and how keys and events change it. No terminal, no network: commands come out as a list.

use std::{
    collections::{HashMap, HashSet},
    time::{Duration, Instant},
};

use fireside_client_core::{
    Command, ConnectionState, Event, RequestId,
    event::{CallError, Completion},
    view::{Body, ConversationRow, MessageState, TimelineRow},
};
use fireside_protocol::{
    Code, ConversationId, ConversationKind, Sequence, TextContent, UserId, decode,
    frames::Revision, limits::TYPING_TIMEOUT_MS,
};

use super::{
    editor::Editor,
    lead::link_text,
    words::SHORT_CELLS,
    wrap::{cut, safe_line},
};

pub(crate) mod children;
mod commands;
mod lead;
mod messages;
mod own;
mod scroll;

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
    Pins(ConversationId),
    Bans(ConversationId),
    Links(ConversationId),
    Children(ConversationId),
    Thread,
    WhoIs,
    Link(ConversationId),
    Revisions,
    Devices,
    Readers,
    Who,
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
    own: own::Own,
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
            own: own::Own::default(),
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
                    let text = text.as_deref().unwrap_or("a message");
                    self.say(format!("{sender}: {}", safe_line(text)), Tone::Plain);
                }
            }
            Event::Transient(told) => {
                self.typing
                    .remove(&(told.conversation, told.sender.clone()));
                self.bell |= told.names_me;
                let text = told.content.plain_text();
                let text = if text.is_empty() { "something" } else { &text };
                let said = format!("{} (only now): {}", told.sender, safe_line(text));
                self.say(said, Tone::Plain);
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
                        "{} invites you: /join {}",
                        cut(&safe_line(by.as_str()), SHORT_CELLS),
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
            other => self.own_event(other),
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
                    format!(
                        "{} is there; /invite brings people in",
                        cut(&safe_line(&name), SHORT_CELLS)
                    ),
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
                self.show_members(conversation, &members, more);
            }
            (Why::Bans(conversation), Completion::Bans { bans, more }) => {
                self.show_bans(conversation, &bans, more);
            }
            (Why::Children(of), Completion::Children { children, more }) => {
                self.show_children(of, &children, more);
            }
            (Why::Thread, Completion::Created { conversation }) => self.select(conversation),
            (Why::Links(conversation), Completion::Links(links)) => {
                self.show_links(conversation, &links);
            }
            (Why::Link(conversation), Completion::Link { code }) => {
                let line = format!("/join {}", link_text(conversation, code));
                let title = format!("A link into {}", self.title_of(conversation));
                self.open_popup(title, vec![line]);
            }
            (Why::Revisions, Completion::Revisions { revisions, more }) => {
                let line = |one: &Revision| {
                    let content: Option<TextContent> = decode(&one.content).ok();
                    content.map_or_else(
                        || "something that is no text".to_owned(),
                        |content| safe_line(&content.text),
                    )
                };
                let mut lines: Vec<String> = revisions.iter().map(line).collect();
                if more {
                    lines.push("and more".to_owned());
                }
                if lines.is_empty() {
                    lines.push("it never said anything else".to_owned());
                }
                self.open_popup("What it said before".to_owned(), lines);
            }
            (Why::Pins(conversation), Completion::Pins { rows, more }) => {
                let line = |row: &TimelineRow| match &row.body {
                    Body::Text(text) => format!("{}: {}", row.sender, safe_line(text)),
                    Body::Content(content) => {
                        format!("{}: {}", row.sender, safe_line(&content.plain_text()))
                    }
                    _ => format!("{}: a message this program does not show", row.sender),
                };
                let mut lines: Vec<String> = rows.iter().map(line).collect();
                if more {
                    lines.push("and more".to_owned());
                }
                if lines.is_empty() {
                    lines.push("nothing; /pin pins the last message".to_owned());
                }
                let title = format!("Pinned in {}", self.title_of(conversation));
                self.open_popup(title, lines);
            }
            (Why::Readers, Completion::Readers { users, of }) => self.show_readers(&users, of),
            (Why::WhoIs, Completion::Profiles(profiles)) => self.show_profiles(&profiles),
            (Why::Who, Completion::Presence(users)) => self.show_presence(&users),
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
        Some(Role::Member) => "member",
        Some(Role::Unknown(_)) => "of another role",
        None => "no longer a member",
    }
}

/// A kind in a word.
pub(crate) const fn kind_name(kind: ConversationKind) -> &'static str {
    match kind {
        ConversationKind::Direct => "direct",
        ConversationKind::Group => "group",
        ConversationKind::Public => "public",
        ConversationKind::Meeting => "meeting",
        ConversationKind::Community => "community",
        ConversationKind::Channel => "channel",
        ConversationKind::Thread => "thread",
        _ => "conversation",
    }
}

#[cfg(test)]
mod tests;
