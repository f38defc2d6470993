//! Commands of those who lead a conversation, and what is shown of their answers.

use fireside_client_core::Command;
use fireside_protocol::{
    ConversationId, JoinPolicy, MemberProfile, WallMs,
    frames::{Banned, Link, Member},
    text::normalise_name,
};

use super::{App, Tone, Why, remember, role_name, safe_line};
use crate::chat::lead::{Lead, link_text};

/// A minute, in ms.
const MINUTE_MS: u64 = 60_000;

impl App {
    /// What needs no conversation on screen; the rest is given back.
    pub(super) fn lead(&mut self, lead: Lead) -> Option<Lead> {
        match lead {
            Lead::Meeting(name, minutes) => match normalise_name(&name) {
                Ok(name) => {
                    let ends = until(minutes);
                    let why = Why::Create(name.clone());
                    let command = Command::CreateMeeting {
                        name,
                        invite: Vec::new(),
                        join: JoinPolicy::Invite,
                        ends,
                    };
                    self.act(command, why);
                }
                Err(error) => self.say(error.code().text().to_owned(), Tone::Bad),
            },
            Lead::Enter(conversation, code) => {
                let why = Why::Say("you are in".to_owned());
                self.act(Command::JoinByLink { conversation, code }, why);
                self.select(conversation);
            }
            other => return self.children(other),
        }
        None
    }

    /// The rest.
    pub(super) fn lead_here(&mut self, lead: Lead, conversation: ConversationId) {
        let (command, why) = match lead {
            Lead::Mute(user, minutes) => {
                let text = match minutes {
                    0 => format!("{user} may write again"),
                    minutes => format!("{user} is muted for {minutes} min"),
                };
                let until = until(minutes);
                let command = Command::Mute {
                    conversation,
                    user,
                    until,
                };
                (command, Why::Say(text))
            }
            Lead::Ban(user, minutes) => {
                let text = match minutes {
                    0 => format!("{user} is banned"),
                    minutes => format!("{user} is banned for {minutes} min"),
                };
                let until = until(minutes);
                let command = Command::Ban {
                    conversation,
                    user,
                    on: true,
                    until,
                };
                (command, Why::Say(text))
            }
            Lead::Unban(user) => {
                let text = format!("{user} may come back");
                let command = Command::Ban {
                    conversation,
                    user,
                    on: false,
                    until: 0,
                };
                (command, Why::Say(text))
            }
            Lead::Bans => {
                let after = None;
                let command = Command::Bans {
                    conversation,
                    after,
                };
                (command, Why::Bans(conversation))
            }
            Lead::Dissolve => {
                let text = "it is over for all".to_owned();
                (Command::Dissolve { conversation }, Why::Say(text))
            }
            Lead::Name(name) => {
                let text = match &*name {
                    "" => "you have no other name here".to_owned(),
                    name => format!("you are {} here", safe_line(name)),
                };
                let profile = MemberProfile {
                    name: Some(name),
                    attributes: None,
                };
                let command = Command::SetMember {
                    conversation,
                    user: None,
                    profile: Box::new(profile),
                };
                (command, Why::Say(text))
            }
            Lead::Find(prefix) => {
                let command = Command::FindMembers {
                    conversation,
                    prefix,
                    after: None,
                };
                (command, Why::Members(conversation))
            }
            Lead::Link(uses, hours) => {
                let expires = until(hours.saturating_mul(60));
                let command = Command::CreateLink {
                    conversation,
                    expires,
                    uses,
                };
                (command, Why::Link(conversation))
            }
            Lead::Links => (Command::Links { conversation }, Why::Links(conversation)),
            Lead::Unlink(code) => {
                let text = "the link is none any more".to_owned();
                let command = Command::RevokeLink { conversation, code };
                (command, Why::Say(text))
            }
            other => {
                self.children_here(other, conversation);
                return;
            }
        };
        self.act(command, why);
    }

    /// A page of members.
    pub(super) fn show_members(
        &mut self,
        conversation: ConversationId,
        members: &[Member],
        more: bool,
    ) {
        let now = super::super::wall_ms();
        let mut lines = Vec::new();
        for member in members {
            remember(&mut self.names, &member.user);
            let mut line = member.user.to_string();
            for name in [&member.name_here, &member.name] {
                if !name.is_empty() {
                    line = format!("{line}  ({})", safe_line(name));
                }
            }
            line = format!("{line}  {}", role_name(Some(member.role)));
            if member.muted_until > now {
                line.push_str(", muted");
            }
            lines.push(line);
        }
        if more {
            lines.push("and more".to_owned());
        }
        if lines.is_empty() {
            lines.push("nobody".to_owned());
        }
        let title = format!("In {}", self.title_of(conversation));
        self.open_popup(title, lines);
    }

    pub(super) fn show_bans(&mut self, conversation: ConversationId, bans: &[Banned], more: bool) {
        let now = super::super::wall_ms();
        let line = |ban: &Banned| match ban.until {
            0 => format!("{}  by {}", ban.user, ban.by),
            until => {
                let left = until.saturating_sub(now).div_ceil(MINUTE_MS);
                format!("{}  by {}, {left} min left", ban.user, ban.by)
            }
        };
        let mut lines: Vec<String> = bans.iter().map(line).collect();
        if more {
            lines.push("and more".to_owned());
        }
        if lines.is_empty() {
            lines.push("nobody".to_owned());
        }
        let title = format!("Banned from {}", self.title_of(conversation));
        self.open_popup(title, lines);
    }

    pub(super) fn show_links(&mut self, conversation: ConversationId, links: &[Link]) {
        let now = super::super::wall_ms();
        let line = |link: &Link| {
            let uses = match link.uses {
                0 => format!("{} used it", link.used),
                uses => format!("{} of {uses} used", link.used),
            };
            let ended = if link.is_open(now) { "" } else { ", ended" };
            let text = link_text(conversation, link.code);
            format!("/join {text}  by {}, {uses}{ended}", link.by)
        };
        let mut lines: Vec<String> = links.iter().map(line).collect();
        if lines.is_empty() {
            lines.push("none; /link makes one".to_owned());
        }
        let title = format!("Links into {}", self.title_of(conversation));
        self.open_popup(title, lines);
    }
}

/// So many minutes from now; 0 stays 0.
fn until(minutes: u64) -> WallMs {
    match minutes {
        0 => 0,
        minutes => super::super::wall_ms().saturating_add(minutes.saturating_mul(MINUTE_MS)),
    }
}
