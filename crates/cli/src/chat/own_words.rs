//! Lines about what belongs to the user: `/top`, `/hush 8h`, `/friend bob`.

use fireside_protocol::{FriendAction, NotificationLevel, PresenceState, UserId};

/// Slash commands with their help, as in [`COMMANDS`](super::words::COMMANDS).
pub(crate) const COMMANDS: &[(&str, &str, &str)] = &[
    ("/top", "", "put this conversation at the top, or back"),
    ("/archive", "", "put it away until somebody writes, or back"),
    ("/hush", "[30m|8h|2d]", "hear no notices of it for so long"),
    ("/unhush", "", "hear them again"),
    (
        "/notify",
        "all|mentions|none",
        "what of it is worth a notice",
    ),
    ("/unread", "", "mark it as unread"),
    ("/readall", "", "mark everything as read"),
    (
        "/folder",
        "[name]",
        "file it in a folder; none: take it out",
    ),
    ("/folders", "", "your folders"),
    ("/friend", "user", "ask for a friendship, or say yes"),
    ("/decline", "user", "say no to who asks"),
    ("/unfriend", "user", "end it, or take your request back"),
    ("/friends", "", "your friends, and who asks"),
    (
        "/report",
        "[n] why",
        "report the last (n-th last) message to the moderators",
    ),
    ("/here", "[status]", "you are there"),
    ("/away", "[status]", "you are away"),
    ("/busy", "[status]", "you are not to be disturbed"),
    ("/hide", "", "nobody is to see that you are there"),
    ("/who", "users…", "are they there?"),
    (
        "/about",
        "text",
        "what others read of you; nothing: no more",
    ),
    ("/whois", "users…", "what they say of themselves"),
    (
        "/readers",
        "[n]",
        "who has read your last (n-th last) message",
    ),
    (
        "/receipts",
        "on|off",
        "tell others how far you have read, and be told",
    ),
];

/// Such a line, understood.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum OwnLine {
    Top,
    Archive,
    /// For so many ms; `None`: for ever.
    Mute(Option<u64>),
    Unmute,
    Notify(NotificationLevel),
    Unread,
    ReadAll,
    /// Empty: none.
    Folder(String),
    Folders,
    Friend(UserId, FriendAction),
    Friends,
    Receipts(bool),
    Readers(usize),
    Presence(PresenceState, String),
    Who(Vec<UserId>),
    About(String),
    WhoIs(Vec<UserId>),
    /// Which text from the end, and why.
    Report(usize, String),
}

/// Reads such a line. `None`: it is of another kind; `Some(None)`: something is wrong with it.
pub(crate) fn parse(
    command: &str,
    rest: &str,
    user: impl Fn(&str) -> Option<UserId>,
) -> Option<Option<OwnLine>> {
    let friend = |action| user(rest).map(|user| OwnLine::Friend(user, action));
    Some(match command {
        "/top" => Some(OwnLine::Top),
        "/archive" => Some(OwnLine::Archive),
        "/hush" if rest.is_empty() => Some(OwnLine::Mute(None)),
        "/hush" => span_ms(rest).map(|ms| OwnLine::Mute(Some(ms))),
        "/unhush" => Some(OwnLine::Unmute),
        "/notify" => match rest {
            "all" => Some(OwnLine::Notify(NotificationLevel::All)),
            "mentions" => Some(OwnLine::Notify(NotificationLevel::Mentions)),
            "none" => Some(OwnLine::Notify(NotificationLevel::Nothing)),
            _ => None,
        },
        "/unread" => Some(OwnLine::Unread),
        "/readall" => Some(OwnLine::ReadAll),
        "/folder" => Some(OwnLine::Folder(rest.to_owned())),
        "/folders" => Some(OwnLine::Folders),
        "/friend" => friend(FriendAction::Request),
        "/decline" => friend(FriendAction::Decline),
        "/unfriend" => friend(FriendAction::Remove),
        "/friends" => Some(OwnLine::Friends),
        "/receipts" => match rest {
            "on" => Some(OwnLine::Receipts(true)),
            "off" => Some(OwnLine::Receipts(false)),
            _ => None,
        },
        "/report" => {
            let (first, why) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
            match first.parse().ok().filter(|place| *place > 0) {
                Some(place) if !why.trim().is_empty() => {
                    Some(OwnLine::Report(place, why.trim().to_owned()))
                }
                None if !rest.is_empty() => Some(OwnLine::Report(1, rest.to_owned())),
                _ => None,
            }
        }
        "/here" => Some(OwnLine::Presence(PresenceState::Online, rest.to_owned())),
        "/away" => Some(OwnLine::Presence(PresenceState::Away, rest.to_owned())),
        "/busy" => Some(OwnLine::Presence(
            PresenceState::DoNotDisturb,
            rest.to_owned(),
        )),
        "/hide" => Some(OwnLine::Presence(PresenceState::Invisible, String::new())),
        "/about" => Some(OwnLine::About(rest.to_owned())),
        "/who" | "/whois" => {
            let names = rest.split([' ', ',']).filter(|name| !name.is_empty());
            let users: Option<Vec<UserId>> = names.map(&user).collect();
            let users = users.filter(|users| !users.is_empty());
            users.map(match command {
                "/who" => OwnLine::Who,
                _ => OwnLine::WhoIs,
            })
        }
        "/readers" if rest.is_empty() => Some(OwnLine::Readers(1)),
        "/readers" => (rest.parse().ok())
            .filter(|place| *place > 0)
            .map(OwnLine::Readers),
        _ => return None,
    })
}

/// `30m`, `8h`, `2d` in ms.
pub(super) fn span_ms(text: &str) -> Option<u64> {
    let unit = text.chars().next_back()?;
    let number: u64 = text.strip_suffix(unit)?.parse().ok()?;
    let minutes: u64 = match unit {
        'm' => 1,
        'h' => 60,
        'd' => 24 * 60,
        _ => return None,
    };
    let ms = number.checked_mul(minutes)?.checked_mul(60_000)?;
    (ms > 0).then_some(ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines() {
        let user = |name: &str| UserId::new(name).ok();
        let read = |command, rest| parse(command, rest, user);
        assert_eq!(
            read("/hush", "8h"),
            Some(Some(OwnLine::Mute(Some(8 * 3_600_000))))
        );
        assert_eq!(read("/hush", ""), Some(Some(OwnLine::Mute(None))));
        assert_eq!(
            read("/notify", "none"),
            Some(Some(OwnLine::Notify(NotificationLevel::Nothing)))
        );
        for (command, rest) in [
            ("/hush", "soon"),
            ("/hush", "0h"),
            ("/hush", "99999999999999999d"),
            ("/notify", "loud"),
            ("/receipts", ""),
            ("/friend", ""),
        ] {
            assert_eq!(read(command, rest), Some(None), "{command} {rest}");
        }
        assert_eq!(read("/nonsense", ""), None);
        for (command, ..) in COMMANDS {
            assert!(
                read(command, "").is_some(),
                "{command} is in the help alone"
            );
        }
    }
}
