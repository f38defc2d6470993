//! What belongs to the user: own settings of conversations, drafts in the input line, folders, friends.

use std::time::{SystemTime, UNIX_EPOCH};

use fireside_client_core::{
    Command, Event,
    view::{FolderRow, FriendRow},
};
use fireside_protocol::{
    ConversationId, FolderId, FriendAction, FriendState, NotificationLevel, Personal,
    PresenceState, ReportReason, UserId, UserProfile,
    personal::MUTED_FOR_EVER,
    presence::{PresenceOf, SetPresence},
};

use super::{App, Tone, Why};
use crate::chat::{own_words::OwnLine, wrap::safe_line};

/// What is known of it beside the list.
#[derive(Debug, Default)]
pub(super) struct Own {
    folders: Vec<FolderRow>,
    friends: Vec<FriendRow>,
    /// The input line is the user's, not another device's.
    composing: bool,
}

impl App {
    /// Events about it.
    pub(super) fn own_event(&mut self, event: Event) {
        match event {
            Event::Folders(folders) => self.own.folders = folders.to_vec(),
            Event::Friends(friends) => {
                for asks in friends.iter().filter(|it| it.state == FriendState::Asks) {
                    if !self.own.friends.contains(asks) {
                        self.bell = true;
                        let text = format!("{} asks to be your friend: /friend {0}", asks.user);
                        self.say(safe_line(&text), Tone::Good);
                    }
                }
                self.own.friends = friends.to_vec();
            }
            _ => {}
        }
    }

    pub(super) fn show_profiles(&mut self, profiles: &[UserProfile]) {
        let mut lines = Vec::new();
        for profile in profiles {
            let name = match &*profile.name {
                "" => profile.user.to_string(),
                name => format!("{}  ({})", profile.user, safe_line(name)),
            };
            lines.push(name);
            let about = profile.description.lines().filter(|line| !line.is_empty());
            lines.extend(about.map(|line| format!("  {}", safe_line(line))));
            for one in &profile.attributes {
                lines.push(format!(
                    "  {}: {}",
                    safe_line(&one.key),
                    safe_line(&one.value)
                ));
            }
        }
        if lines.is_empty() {
            lines.push("nobody of that name was ever here".to_owned());
        }
        self.open_popup("About".to_owned(), lines);
    }

    pub(super) fn run_own(&mut self, line: OwnLine) {
        match line {
            OwnLine::ReadAll => {
                self.act(Command::ReadAll, Why::Say("everything is read".to_owned()));
            }
            OwnLine::Folders => {
                let mut lines: Vec<String> = (self.own.folders.iter())
                    .map(|folder| {
                        let filed = |row: &&fireside_client_core::view::ConversationRow| {
                            row.personal.folder == Some(folder.folder)
                        };
                        let count = self.list.iter().filter(filed).count();
                        format!("{}  {count}", safe_line(&folder.name))
                    })
                    .collect();
                if lines.is_empty() {
                    lines.push("none; /folder name files this conversation in one".to_owned());
                }
                self.open_popup("Your folders".to_owned(), lines);
            }
            OwnLine::Friends => {
                let words = |state| match state {
                    FriendState::Friend => "friend",
                    FriendState::Asked => "you asked",
                    FriendState::Asks => "asks you: /friend or /decline",
                    FriendState::Unknown(_) => "",
                };
                let mut lines: Vec<String> = (self.own.friends.iter())
                    .map(|friend| format!("{}  {}", friend.user, words(friend.state)))
                    .collect();
                if lines.is_empty() {
                    lines.push("nobody yet; /friend name asks somebody".to_owned());
                }
                self.open_popup("Your friends".to_owned(), lines);
            }
            OwnLine::Friend(user, action) => {
                let text = match action {
                    FriendAction::Decline => format!("you said no to {user}"),
                    FriendAction::Remove => format!("{user} is no friend"),
                    _ => format!("you asked {user}, or said yes"),
                };
                self.act(Command::Friend { user, action }, Why::Say(text));
            }
            OwnLine::Presence(state, text) => {
                let presence = SetPresence {
                    state,
                    text,
                    emoji: String::new(),
                    until: 0,
                    rich: None,
                };
                let why = Why::Say(format!("you are {}", presence_name(state)));
                self.act(Command::SetPresence(Box::new(presence)), why);
            }
            OwnLine::Who(users) => self.act(Command::Presence { users }, Why::Who),
            OwnLine::About(text) => {
                let said = match &*text {
                    "" => "you say nothing of yourself",
                    _ => "everybody can read it: /whois",
                };
                let command = Command::SetProfile {
                    description: Some(text),
                    picture: None,
                    attributes: Vec::new(),
                };
                self.act(command, Why::Say(said.to_owned()));
            }
            OwnLine::WhoIs(users) => self.act(Command::Profiles { users }, Why::WhoIs),
            OwnLine::Receipts(on) => {
                let text = if on {
                    "others see how far you have read"
                } else {
                    "nobody sees how far you have read, nor you of them"
                };
                self.act(Command::SetReceipts { on }, Why::Say(text.to_owned()));
            }
            here => match self.selected {
                Some(conversation) => self.set_here(here, conversation),
                None => self.say("first choose somebody: /w name text".to_owned(), Tone::Bad),
            },
        }
    }

    fn set_here(&mut self, line: OwnLine, conversation: ConversationId) {
        let now = self.row(conversation).map(|row| row.personal);
        let now = now.unwrap_or_default();
        let mut change = Personal::NOTHING;
        let text = match line {
            OwnLine::Top => {
                change.pinned = Some(!now.pinned);
                if now.pinned {
                    "back in its place"
                } else {
                    "at the top"
                }
            }
            OwnLine::Archive => {
                change.archived = Some(!now.archived);
                if now.archived { "back" } else { "put away" }
            }
            OwnLine::Mute(ms) => {
                let until = ms.map_or(MUTED_FOR_EVER, |ms| wall_ms().saturating_add(ms));
                change.muted_until = Some(until);
                "muted"
            }
            OwnLine::Unmute => {
                change.muted_until = Some(0);
                "not muted any more"
            }
            OwnLine::Notify(level) => {
                change.level = Some(level);
                match level {
                    NotificationLevel::Mentions => "only mentions are worth a notice here",
                    NotificationLevel::Nothing => "nothing is worth a notice here",
                    _ => "everything is worth a notice here",
                }
            }
            OwnLine::Unread => {
                change.marked_unread = Some(true);
                "marked as unread"
            }
            OwnLine::Folder(name) => return self.file(conversation, &name),
            OwnLine::Report(place, text) => return self.report(conversation, place, text),
            OwnLine::Readers(place) => return self.ask_readers(conversation, place),
            _ => return,
        };
        let why = Why::Say(text.to_owned());
        let command = Command::SetPersonal {
            conversation,
            change,
        };
        self.act(command, why);
    }

    /// Files a conversation; a folder that is not there is made, and then the line said again.
    fn file(&mut self, conversation: ConversationId, name: &str) {
        let found = (self.own.folders.iter()).find(|folder| *folder.name == *name);
        let folder = match (name, found) {
            ("", _) => FolderId::default(),
            (_, Some(folder)) => folder.folder,
            (name, None) => {
                let command = Command::SetFolder {
                    folder: None,
                    name: name.to_owned(),
                    order: self.own.folders.len() as u32,
                };
                let text = format!("the folder is there; now /folder {name} again");
                return self.act(command, Why::Say(safe_line(&text)));
            }
        };
        let change = Personal {
            folder: Some(folder),
            ..Personal::NOTHING
        };
        let text = if name.is_empty() {
            "taken out of its folder".to_owned()
        } else {
            format!("filed in {}", safe_line(name))
        };
        let command = Command::SetPersonal {
            conversation,
            change,
        };
        self.act(command, Why::Say(text));
    }

    /// Who has read an own message, counted from the end.
    fn ask_readers(&mut self, conversation: ConversationId, place: usize) {
        let rows = self.current().into_iter().flat_map(|it| it.rows.iter());
        let mut own = rows.rev().filter(|row| row.sender == self.me);
        let row = own.nth(place.saturating_sub(1));
        match row.and_then(|row| row.sequence) {
            Some(sequence) => self.act(
                Command::Readers {
                    conversation,
                    sequence,
                },
                Why::Readers,
            ),
            None => self.say("there is no such message of yours".to_owned(), Tone::Bad),
        }
    }

    /// Asks moderators to look at a message.
    fn report(&mut self, conversation: ConversationId, place: usize, text: String) {
        let found = self.counted_back(place);
        let sequence = found.and_then(|(_, row)| row.sequence);
        match sequence {
            Some(sequence) => self.act(
                Command::Report {
                    conversation: Some(conversation),
                    sequence,
                    user: None,
                    reason: ReportReason::Other,
                    text,
                },
                Why::Say("reported".to_owned()),
            ),
            None => self.say("there is no such message here".to_owned(), Tone::Bad),
        }
    }

    /// Who is there.
    pub(super) fn show_presence(&mut self, users: &[PresenceOf]) {
        let line = |it: &PresenceOf| {
            let words = format!("{} {}", it.emoji, it.text);
            format!(
                "{}  {}  {}",
                it.user,
                presence_name(it.state),
                safe_line(words.trim())
            )
        };
        let lines = users.iter().map(line).collect();
        self.open_popup("Who is there".to_owned(), lines);
    }

    /// Who has read a message.
    pub(super) fn show_readers(&mut self, users: &[UserId], of: u32) {
        if of == 0 {
            return self.say(
                "nobody tells here how far they have read".to_owned(),
                Tone::Plain,
            );
        }
        let lines = users.iter().map(ToString::to_string).collect();
        self.open_popup(format!("Read by {} of {of}", users.len()), lines);
    }

    /// The input line was changed by a key: a text in it is this conversation's draft.
    pub(super) fn draft_edited(&mut self, conversation: ConversationId) {
        let text = self.input.text();
        if text.starts_with('/') || self.row(conversation).is_none() {
            return;
        }
        let text = text.to_owned();
        if !std::mem::replace(&mut self.own.composing, true) {
            let on = true;
            self.act(Command::SetComposing { conversation, on }, Why::Silent);
        }
        let command = Command::SetDraft {
            conversation,
            text,
            reply_to: 0,
        };
        self.act(command, Why::Silent);
    }

    /// Another conversation comes on screen: what was begun stays with the old one.
    pub(super) fn draft_left(&mut self, conversation: ConversationId) {
        if std::mem::take(&mut self.own.composing) {
            let on = false;
            self.act(Command::SetComposing { conversation, on }, Why::Silent);
            if !self.input.text().starts_with('/') {
                self.input.set(String::new());
            }
        }
    }

    /// What was begun in the conversation that comes on screen, here or on another device.
    pub(super) fn draft_found(&mut self, conversation: ConversationId) {
        let row = self.row(conversation);
        let draft = row.and_then(|row| row.draft.as_ref());
        if let Some(text) = draft.map(|draft| draft.text.to_string())
            && self.input.is_empty()
        {
            self.input.set(text);
        }
    }

    /// A line was entered: the box is free again.
    pub(super) fn draft_submitted(&mut self) {
        if std::mem::take(&mut self.own.composing)
            && let Some(conversation) = self.selected
        {
            let on = false;
            self.act(Command::SetComposing { conversation, on }, Why::Silent);
        }
    }
}

/// A presence in a word.
const fn presence_name(state: PresenceState) -> &'static str {
    match state {
        PresenceState::Online => "there",
        PresenceState::Away => "away",
        PresenceState::DoNotDisturb => "busy",
        PresenceState::Invisible => "hidden",
        _ => "offline",
    }
}

fn wall_ms() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |now| u64::try_from(now.as_millis()).unwrap_or(u64::MAX))
}
