//! Communities and their channels, threads, and roles of a conversation's own.

use fireside_client_core::{Command, command::MessageRef};
use fireside_protocol::{
    ConversationId, ConversationKind, JoinPolicy, OwnRole, Permission, Role, Settings,
    frames::ChildSummary, text::normalise_name,
};

use super::{App, Tone, Why, role_name, safe_line};
use crate::chat::lead::Lead;

impl App {
    /// What needs no conversation on screen; the rest is given back.
    pub(super) fn children(&mut self, lead: Lead) -> Option<Lead> {
        match lead {
            Lead::Community(name) => match normalise_name(&name) {
                Ok(name) => {
                    let why = Why::Create(name.clone());
                    let command = Command::CreateCommunity {
                        name,
                        invite: Vec::new(),
                        join: JoinPolicy::Invite,
                    };
                    self.act(command, why);
                }
                Err(error) => self.say(error.code().text().to_owned(), Tone::Bad),
            },
            Lead::Come(conversation) => {
                let why = Why::Say("you are in".to_owned());
                self.act(Command::Join { conversation }, why);
                self.select(conversation);
            }
            other => return Some(other),
        }
        None
    }

    /// The rest; given back if it is none of this.
    pub(super) fn children_here(
        &mut self,
        lead: Lead,
        conversation: ConversationId,
    ) -> Option<Lead> {
        let (command, why) = match lead {
            Lead::Channel(name, by_default, closed) => {
                // In a channel: beside it.
                let row = self.row(conversation);
                let community = row.and_then(|row| match row.kind {
                    ConversationKind::Channel => row.parent,
                    _ => Some(row.conversation),
                });
                let command = Command::CreateChannel {
                    community: community.unwrap_or(conversation),
                    name: name.clone(),
                    join: if closed {
                        JoinPolicy::Invite
                    } else {
                        JoinPolicy::Open
                    },
                    by_default,
                };
                (command, Why::Create(name))
            }
            Lead::Channels => {
                let row = self.row(conversation);
                let beside = row.filter(|row| row.kind == ConversationKind::Channel);
                let of = beside.and_then(|row| row.parent).unwrap_or(conversation);
                let command = Command::Children {
                    conversation: of,
                    after: None,
                };
                (command, Why::Children(of))
            }
            Lead::Thread(place, name) => {
                let found = self.counted_back(place).map(|(message, _)| message);
                let Some(MessageRef::Sequence(message)) = found else {
                    self.say("there is no such message here".to_owned(), Tone::Bad);
                    return None;
                };
                let command = Command::OpenThread {
                    conversation,
                    message,
                    name,
                };
                (command, Why::Thread)
            }
            Lead::Role(user, role) => {
                let text = format!("{user} is {} now", role_name(Some(role)));
                let command = Command::SetRole {
                    conversation,
                    user,
                    role,
                };
                (command, Why::Say(text))
            }
            Lead::MakeRole(number, name, may) => {
                let text = match &*name {
                    "" => format!("role {number} is gone"),
                    name => format!("role {number} is {}", safe_line(name)),
                };
                let role = OwnRole {
                    number,
                    name,
                    permissions: may.into_iter().fold(0, |set, one| set | one.bit()),
                    colour: 0,
                };
                let change = Settings {
                    roles: vec![role],
                    ..Settings::default()
                };
                let command = Command::SetConversation {
                    conversation,
                    change: Box::new(change),
                };
                (command, Why::Say(text))
            }
            other => return Some(other),
        };
        self.act(command, why);
        None
    }

    /// A page of channels or threads.
    pub(super) fn show_children(
        &mut self,
        conversation: ConversationId,
        children: &[ChildSummary],
        more: bool,
    ) {
        let line = |child: &ChildSummary| {
            let name = match (&*child.name, child.root) {
                ("", root) => format!("under message {root}"),
                (name, _) => safe_line(name),
            };
            let here = match child.role {
                Some(_) => "you are in it".to_owned(),
                None => format!("/join {}", child.conversation),
            };
            let messages = child.messages;
            format!(
                "{name}  {} in it, {messages} messages  {here}",
                child.members
            )
        };
        let mut lines: Vec<String> = children.iter().map(line).collect();
        if more {
            lines.push("and more".to_owned());
        }
        if lines.is_empty() {
            lines.push(
                "none; /channel makes one in a community, /thread one under a message".to_owned(),
            );
        }
        let title = format!("In {}", self.title_of(conversation));
        self.open_popup(title, lines);
    }
}

/// A role by its word, or an own one by its number.
pub(crate) fn role(word: &str) -> Option<Role> {
    Some(match word {
        "owner" => Role::Owner,
        "admin" => Role::Admin,
        "member" => Role::Member,
        number => Role::from_number(number.parse().ok()?),
    })
}

/// A permission by its word.
pub(crate) fn permission(word: &str) -> Option<Permission> {
    Some(match word {
        "send" => Permission::Send,
        "all" => Permission::MentionAll,
        "invite" => Permission::Invite,
        "remove" => Permission::Remove,
        "recall" => Permission::RecallOthers,
        "pin" => Permission::Pin,
        "profile" => Permission::Profile,
        "mute" => Permission::Mute,
        "settings" => Permission::Settings,
        "ban" => Permission::Ban,
        "cards" => Permission::Cards,
        "channels" => Permission::Channels,
        "threads" => Permission::Threads,
        _ => return None,
    })
}
