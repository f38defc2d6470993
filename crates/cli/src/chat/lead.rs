//! Commands of those who lead a conversation, and of who comes in by a link: what a line means.

use fireside_protocol::{ConversationId, LinkCode, Permission, Role, UserId, settings::OWN_ROLES};

use super::app::children::{permission, role};

/// A command, understood.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Lead {
    /// A meeting's name, and how many minutes it lasts; 0: until nobody is there.
    Meeting(String, u64),
    /// Whom, for how many minutes; 0: not any more.
    Mute(UserId, u64),
    /// Whom, and for how many minutes; 0: for ever.
    Ban(UserId, u64),
    Unban(UserId),
    Bans,
    Dissolve,
    /// What one is called here; empty: nothing.
    Name(String),
    Find(String),
    /// How many may come in, 0 any number, and for how many hours, 0 for ever.
    Link(u32, u64),
    Links,
    Unlink(LinkCode),
    /// A community's name.
    Community(String),
    /// A channel's name; whether whoever comes into the community comes into it too; whether it is by invitation.
    Channel(String, bool, bool),
    /// Channels of a community, threads of any other.
    Channels,
    /// The thread under a message on screen, counted from the newest, and its name.
    Thread(usize, String),
    /// A member's role.
    Role(UserId, Role),
    /// A role of the conversation's own by number, its name (empty: it goes), and what it may do.
    MakeRole(u16, String, Vec<Permission>),
    /// Into an open conversation.
    Come(ConversationId),
    /// In by a link.
    Enter(ConversationId, LinkCode),
}

/// Minutes of a mute when nothing is said.
const MUTE_MINUTES: u64 = 60;
/// Minutes that may be said: 100 years.
const MINUTES_MAX: u64 = 100 * 366 * 24 * 60;

/// Reads such a command; `None`: it does not fit its arguments.
pub(crate) fn parse(
    command: &str,
    rest: &str,
    user: impl Fn(&str) -> Option<UserId>,
) -> Option<Lead> {
    let (first, second) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let minutes = |text: &str, usual| match text.trim() {
        "" => Some(usual),
        number => number.parse().ok().filter(|it| *it <= MINUTES_MAX),
    };
    Some(match command {
        "/meeting" => {
            let (name, after) = super::words::quoted(rest)?;
            Lead::Meeting(name, minutes(after, 0)?)
        }
        "/community" if !rest.is_empty() => Lead::Community(super::words::quoted(rest)?.0),
        "/channel" if !rest.is_empty() => {
            let (name, after) = super::words::quoted(rest)?;
            let mut words = after.split_whitespace();
            if !words
                .clone()
                .all(|word| matches!(word, "default" | "closed"))
            {
                return None;
            }
            let is_default = words.clone().any(|word| word == "default");
            Lead::Channel(name, is_default, words.any(|word| word == "closed"))
        }
        "/channels" | "/threads" => Lead::Channels,
        "/thread" => match first.trim_start_matches('-') {
            "" => Lead::Thread(1, String::new()),
            number => Lead::Thread(number.parse().ok()?, second.trim().to_owned()),
        },
        "/role" => Lead::Role(user(first)?, role(second.trim())?),
        "/makerole" => {
            let number = first
                .parse()
                .ok()
                .filter(|number| OWN_ROLES.contains(number))?;
            let (name, after) = match second.trim() {
                "" => (String::new(), ""),
                named => super::words::quoted(named)?,
            };
            let may = after.split_whitespace().map(permission);
            Lead::MakeRole(number, name, may.collect::<Option<_>>()?)
        }
        "/mute" => Lead::Mute(
            user(first)?,
            minutes(second, MUTE_MINUTES).filter(|it| *it > 0)?,
        ),
        "/unmute" if second.is_empty() => Lead::Mute(user(first)?, 0),
        "/ban" => Lead::Ban(user(first)?, minutes(second, 0)?),
        "/unban" if second.is_empty() => Lead::Unban(user(first)?),
        "/bans" => Lead::Bans,
        "/dissolve" => Lead::Dissolve,
        "/name" => Lead::Name(rest.to_owned()),
        "/find" if !rest.is_empty() => Lead::Find(rest.to_owned()),
        "/link" => {
            let uses = match first {
                "" => 0,
                number => number.parse().ok()?,
            };
            Lead::Link(uses, minutes(second, 0)?)
        }
        "/links" => Lead::Links,
        "/unlink" => Lead::Unlink(rest.trim().parse().ok()?),
        _ => return None,
    })
}

/// What a link looks like where it is shown: `conversation:code`.
pub(crate) fn link_text(conversation: ConversationId, code: LinkCode) -> String {
    format!("{conversation}:{}", code.to_text())
}

/// Reads it back.
pub(crate) fn link(text: &str) -> Option<Lead> {
    let Some((conversation, code)) = text.trim().split_once(':') else {
        return text.trim().parse().ok().map(Lead::Come);
    };
    Some(Lead::Enter(conversation.parse().ok()?, code.parse().ok()?))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn lines() {
        let user = |name: &str| UserId::new(name).ok();
        let read = |command, rest| parse(command, rest, user);
        let bob = user("bob").unwrap();
        assert_eq!(read("/mute", "bob 5"), Some(Lead::Mute(bob.clone(), 5)));
        assert_eq!(read("/mute", "bob"), Some(Lead::Mute(bob.clone(), 60)));
        assert_eq!(read("/unmute", "bob"), Some(Lead::Mute(bob.clone(), 0)));
        assert_eq!(read("/ban", "bob"), Some(Lead::Ban(bob, 0)));
        assert_eq!(read("/link", "3 24"), Some(Lead::Link(3, 24)));
        assert_eq!(
            read("/meeting", "\"Night raid\" 90"),
            Some(Lead::Meeting("Night raid".into(), 90))
        );
        assert_eq!(
            read("/channel", "\"the hall\" default"),
            Some(Lead::Channel("the hall".into(), true, false))
        );
        assert_eq!(read("/thread", ""), Some(Lead::Thread(1, String::new())));
        assert_eq!(
            read("/makerole", "20 scout send pin"),
            Some(Lead::MakeRole(
                20,
                "scout".into(),
                vec![Permission::Send, Permission::Pin]
            ))
        );
        for (command, rest) in [
            ("/channel", "hall open"),
            ("/makerole", "3 scout"),
            ("/makerole", "20 scout fly"),
            ("/role", "bob"),
            ("/mute", ""),
            ("/mute", "bob 0"),
            ("/mute", "bob x"),
            ("/ban", "bob 99999999999"),
            ("/unlink", "12"),
            ("/find", ""),
            ("/link", "many"),
            ("/meeting", ""),
        ] {
            assert_eq!(read(command, rest), None, "{command} {rest}");
        }
    }

    #[test]
    fn a_link_is_read_back() {
        let (conversation, code) = (ConversationId([1; 16]), LinkCode([0xfe; 16]));
        let text = link_text(conversation, code);
        assert_eq!(link(&text), Some(Lead::Enter(conversation, code)));
        assert_eq!(link("the raid: tonight"), None);
    }
}
