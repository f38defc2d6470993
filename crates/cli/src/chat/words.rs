//! What a line means: `/w bob hi` or plain text.

use fireside_protocol::{
    Real, UserId,
    limits::{FORWARD_COPIES_MAX, USER_ID_BYTES_MAX},
    text::is_reaction_key,
};

use super::{
    lead::{self, Lead},
    own_words::{self, OwnLine},
    wrap::cut,
};

/// Cells of somebody's or something's name inside a notice: what is to be done about it must fit beside it.
pub(crate) const SHORT_CELLS: usize = 24;

/// A slash command with its help. The one list for parsing, completion and `/help`.
pub(crate) const COMMANDS: &[(&str, &str, &str)] = &[
    ("/w", "name text", "write to somebody"),
    (
        "/group",
        "name users…",
        "make a group, invite; \"quotes\" for several words",
    ),
    ("/invite", "users…", "invite into this group"),
    (
        "/join",
        "[name or link]",
        "accept an invitation, use a link",
    ),
    ("/leave", "[name]", "leave this group; a name declines"),
    ("/remove", "user", "remove a member"),
    ("/members", "", "who is here"),
    ("/find", "beginning", "who is here and begins so"),
    ("/name", "[name]", "what you are called here"),
    ("/mute", "user [minutes]", "let a member not write"),
    ("/unmute", "user", "let them write again"),
    ("/ban", "user [minutes]", "remove a user and keep them out"),
    ("/unban", "user", "let them come back"),
    ("/bans", "", "who is banned here"),
    ("/link", "[uses] [hours]", "make a link that lets others in"),
    ("/links", "", "the links into here"),
    ("/unlink", "code", "end a link"),
    ("/meeting", "name [minutes]", "make a group for a while"),
    ("/community", "name", "make a space of channels"),
    (
        "/channel",
        "name [default] [closed]",
        "make a channel in this community",
    ),
    ("/channels", "", "the channels here"),
    (
        "/thread",
        "[n] [name]",
        "talk about the last (n-th last) message",
    ),
    ("/threads", "", "the threads here"),
    ("/role", "user role", "owner, admin, member or a number"),
    (
        "/makerole",
        "number name may…",
        "a role of your own: send invite pin …",
    ),
    ("/dissolve", "", "end this for all"),
    ("/edit", "text", "change your last message here"),
    ("/recall", "", "take back your last message here"),
    ("/reply", "[n] text", "answer the last (n-th last) message"),
    ("/silent", "text", "say it without a sound or a count"),
    ("/burn", "30m|8h|2d text", "say something that ends"),
    (
        "/now",
        "text",
        "say something to who is online now, kept nowhere",
    ),
    (
        "/lifetime",
        "30m|8h|2d|off",
        "let what is said here end after so long",
    ),
    (
        "/poll",
        "question | a | b…",
        "ask everybody, with options to choose",
    ),
    (
        "/ballot",
        "question | a | b…",
        "the same, and nobody is told who chose what",
    ),
    (
        "/vote",
        "[numbers]",
        "vote in the last poll; nothing takes it back",
    ),
    ("/close", "", "close your last poll"),
    ("/answer", "id=value…", "answer the last card"),
    ("/at", "map x y [label]", "tell where you are"),
    ("/item", "id [name]", "show an item"),
    (
        "/forward",
        "to [n]",
        "send a copy of the last (n last) messages to somebody or a group",
    ),
    (
        "/delete",
        "[n]",
        "hide the last (n-th last) message from you",
    ),
    ("/clear", "", "hide all that was said here from you"),
    (
        "/history",
        "[n]",
        "what the last (n-th last) message said before",
    ),
    (
        "/react",
        "emoji [n]",
        "react to the last (n-th last) message, or undo it",
    ),
    (
        "/pin",
        "[n]",
        "pin the last (n-th last) message, or unpin it",
    ),
    ("/pins", "", "what is pinned here"),
    ("/retry", "", "try failed messages here again"),
    ("/discard", "", "drop failed messages here"),
    ("/block", "user", "hear nothing of somebody any more"),
    ("/unblock", "user", "hear them again"),
    ("/search", "words", "search this device's messages"),
    ("/devices", "", "where you are logged in"),
    ("/connect", "", "connect now"),
    ("/disconnect", "", "go offline"),
    ("/help", "", "this page; Esc closes it"),
    ("/quit", "", "leave (also Ctrl-C)"),
];

/// All of them.
pub(crate) fn commands() -> impl Iterator<Item = &'static (&'static str, &'static str, &'static str)>
{
    COMMANDS.iter().chain(own_words::COMMANDS)
}

/// A line, understood.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Line {
    Text(String),
    Whisper(UserId, String),
    Lead(Lead),
    Group(String, Vec<UserId>),
    Invite(Vec<UserId>),
    Join(String),
    Leave(String),
    Remove(UserId),
    Members,
    Edit(String),
    Recall,
    /// To which message from the end, what.
    Reply(usize, String),
    Silent(String),
    /// What ends after so many ms.
    Burn(u64, String),
    /// Say something to who is online now.
    Now(String),
    /// What messages live here, in ms; 0: for ever.
    Lifetime(u64),
    Poll(String, Vec<String>, bool),
    /// From 1.
    Vote(Vec<u32>),
    Close,
    Answer(Vec<(String, String)>),
    At(String, [Real; 2], String),
    Item(String, String),
    /// To a user or a conversation by name, how many of the last.
    Forward(String, usize),
    Delete(usize),
    Clear,
    History(usize),
    /// With what, to which message from the end.
    React(String, usize),
    Pin(usize),
    Pins,
    Retry,
    Discard,
    Block(UserId, bool),
    Search(String),
    Own(OwnLine),
    Devices,
    Connect,
    Disconnect,
    Help,
    Quit,
}

/// Reads a line. `Err`: what is wrong with it, for the status line.
pub(crate) fn parse(line: &str) -> Result<Line, String> {
    let line = line.trim_end();
    // Two slashes: a text that begins with one.
    if let Some(text) = line.strip_prefix("//") {
        return Ok(Line::Text(format!("/{text}")));
    }
    if !line.starts_with('/') {
        return Ok(Line::Text(line.to_owned()));
    }
    let (command, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let rest = rest.trim_start();
    let one_user = || match users(rest)?.as_slice() {
        [user] => Ok(user.clone()),
        _ => Err(usage(command)),
    };
    match command {
        "/w" => {
            let (name, text) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
            // Without a text the conversation is just opened.
            Ok(Line::Whisper(
                user(name).ok_or_else(|| usage(command))?,
                text.trim_start().to_owned(),
            ))
        }
        "/group" => {
            let (name, names) = quoted(rest).ok_or_else(|| usage(command))?;
            Ok(Line::Group(name, users(names)?))
        }
        "/invite" => match users(rest)? {
            names if names.is_empty() => Err(usage(command)),
            names => Ok(Line::Invite(names)),
        },
        "/join" => Ok(lead::link(rest).map_or_else(|| Line::Join(rest.to_owned()), Line::Lead)),
        "/find" | "/name" | "/mute" | "/unmute" | "/ban" | "/unban" | "/bans" | "/link"
        | "/links" | "/unlink" | "/meeting" | "/dissolve" | "/community" | "/channel"
        | "/channels" | "/thread" | "/threads" | "/role" | "/makerole" => {
            lead::parse(command, rest, user)
                .map(Line::Lead)
                .ok_or_else(|| usage(command))
        }
        "/leave" => Ok(Line::Leave(rest.to_owned())),
        "/remove" => Ok(Line::Remove(one_user()?)),
        "/members" => Ok(Line::Members),
        "/edit" if rest.is_empty() => Err(usage(command)),
        "/edit" => Ok(Line::Edit(rest.to_owned())),
        "/recall" => Ok(Line::Recall),
        "/react" => {
            let (key, place) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
            match place_from_end(place) {
                Some(place) if is_reaction_key(key) => Ok(Line::React(key.to_owned(), place)),
                _ => Err(usage(command)),
            }
        }
        "/pin" => {
            let place = place_from_end(rest).ok_or_else(|| usage(command))?;
            Ok(Line::Pin(place))
        }
        "/pins" => Ok(Line::Pins),
        "/reply" => {
            let (first, text) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
            let (place, text) = match first.parse::<usize>() {
                Ok(place) if place > 0 && !text.trim().is_empty() => (place, text.trim_start()),
                _ => (1, rest),
            };
            if text.is_empty() {
                return Err(usage(command));
            }
            Ok(Line::Reply(place, text.to_owned()))
        }
        "/silent" if rest.is_empty() => Err(usage(command)),
        "/silent" => Ok(Line::Silent(rest.to_owned())),
        "/now" if rest.is_empty() => Err(usage(command)),
        "/now" => Ok(Line::Now(rest.to_owned())),
        "/burn" => {
            let (span, text) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
            let text = text.trim_start().to_owned();
            let ms = own_words::span_ms(span).filter(|_| !text.is_empty());
            ms.map(|ms| Line::Burn(ms, text))
                .ok_or_else(|| usage(command))
        }
        "/lifetime" if rest == "off" => Ok(Line::Lifetime(0)),
        "/lifetime" => (own_words::span_ms(rest).map(Line::Lifetime)).ok_or_else(|| usage(command)),
        "/poll" | "/ballot" => {
            let mut parts = rest.split('|').map(|part| part.trim().to_owned());
            let question = parts.next().unwrap_or_default();
            let options: Vec<String> = parts.collect();
            if question.is_empty() || options.len() < 2 || options.iter().any(String::is_empty) {
                return Err(usage(command));
            }
            Ok(Line::Poll(question, options, command == "/ballot"))
        }
        "/vote" => {
            let numbers = rest.split([' ', ',']).filter(|it| !it.is_empty());
            let numbers: Option<Vec<u32>> = numbers
                .map(|it| it.parse().ok().filter(|number| *number > 0))
                .collect();
            numbers.map(Line::Vote).ok_or_else(|| usage(command))
        }
        "/close" => Ok(Line::Close),
        "/answer" => {
            let pairs: Option<Vec<_>> = pairs(rest);
            pairs.map(Line::Answer).ok_or_else(|| usage(command))
        }
        "/at" => {
            let mut words = rest.split_whitespace();
            let map = words.next().unwrap_or_default().to_owned();
            let mut number = || {
                let value = words.next()?.parse::<f64>().ok()?;
                value.is_finite().then_some(Real(value))
            };
            let (Some(x), Some(y)) = (number(), number()) else {
                return Err(usage(command));
            };
            let label: Vec<&str> = words.collect();
            Ok(Line::At(map, [x, y], label.join(" ")))
        }
        "/item" if rest.is_empty() => Err(usage(command)),
        "/item" => {
            let (id, name) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
            Ok(Line::Item(id.to_owned(), name.trim().to_owned()))
        }
        "/forward" => {
            let (to, rest) = quoted(rest).ok_or_else(|| usage(command))?;
            let count = place_from_end(rest).filter(|count| *count <= FORWARD_COPIES_MAX);
            count
                .map(|count| Line::Forward(to, count))
                .ok_or_else(|| usage(command))
        }
        "/delete" => {
            let place = place_from_end(rest).ok_or_else(|| usage(command))?;
            Ok(Line::Delete(place))
        }
        "/clear" => Ok(Line::Clear),
        "/history" => {
            let place = place_from_end(rest).ok_or_else(|| usage(command))?;
            Ok(Line::History(place))
        }
        "/retry" => Ok(Line::Retry),
        "/discard" => Ok(Line::Discard),
        "/block" => Ok(Line::Block(one_user()?, true)),
        "/unblock" => Ok(Line::Block(one_user()?, false)),
        "/search" if rest.is_empty() => Err(usage(command)),
        "/search" => Ok(Line::Search(rest.to_owned())),
        "/devices" => Ok(Line::Devices),
        "/connect" => Ok(Line::Connect),
        "/disconnect" => Ok(Line::Disconnect),
        "/help" | "/?" => Ok(Line::Help),
        "/quit" | "/exit" | "/q" => Ok(Line::Quit),
        other => match own_words::parse(other, rest, user) {
            Some(line) => line.map(Line::Own).ok_or_else(|| usage(other)),
            None => Err(format!(
                "{other} is not a command; /help lists them, // starts a text with a slash"
            )),
        },
    }
}

/// `id=value` and more of them; a value goes to the next such pair. `None`: there is none.
fn pairs(text: &str) -> Option<Vec<(String, String)>> {
    let mut pairs: Vec<(String, String)> = Vec::new();
    for word in text.split_whitespace() {
        match (word.split_once('='), pairs.last_mut()) {
            (Some((id, value)), _) if !id.is_empty() => {
                pairs.push((id.to_owned(), value.to_owned()));
            }
            (_, Some((_, value))) => {
                value.push(' ');
                value.push_str(word);
            }
            _ => return None,
        }
    }
    (!pairs.is_empty()).then_some(pairs)
}

/// 1, the last one, if nothing is said.
fn place_from_end(text: &str) -> Option<usize> {
    match text.trim() {
        "" => Some(1),
        number => number.parse().ok().filter(|number| *number > 0),
    }
}

fn usage(command: &str) -> String {
    let arguments = commands()
        .find(|(name, ..)| *name == command)
        .map_or("", |(_, arguments, _)| *arguments);
    format!("expected: {command} {arguments}")
}

fn user(name: &str) -> Option<UserId> {
    UserId::new(name.strip_prefix('@').unwrap_or(name)).ok()
}

fn users(text: &str) -> Result<Vec<UserId>, String> {
    text.split([' ', ','])
        .filter(|name| !name.is_empty())
        .map(|name| user(name).ok_or_else(|| no_user(name)))
        .collect()
}

/// Why this is nobody, in a line that fits under a narrow screen whatever the name is.
fn no_user(name: &str) -> String {
    if name.len() > USER_ID_BYTES_MAX {
        let short = cut(name, SHORT_CELLS);
        format!("too long for a user, {USER_ID_BYTES_MAX} bytes at most: {short}")
    } else {
        format!("{:?} is not a user name", cut(name, SHORT_CELLS))
    }
}

/// A word, or several in quotes, and the rest.
pub(crate) fn quoted(text: &str) -> Option<(String, &str)> {
    let (name, rest) = match text.strip_prefix('"') {
        Some(inner) => inner.split_once('"')?,
        None => text.split_once(char::is_whitespace).unwrap_or((text, "")),
    };
    (!name.trim().is_empty()).then(|| (name.trim().to_owned(), rest))
}

/// What Tab offers for the text before the cursor: how many bytes of it are replaced, and by what.
pub(crate) fn complete(before: &str, names: &[String]) -> (usize, Vec<String>) {
    let word_at = before.rfind(char::is_whitespace).map_or(0, |at| at + 1);
    let word = before.get(word_at..).unwrap_or_default();
    let mut found: Vec<String> = if word_at == 0 && word.starts_with('/') {
        let starting = commands()
            .map(|(name, ..)| *name)
            .filter(|name| name.starts_with(word));
        starting.map(|name| format!("{name} ")).collect()
    } else {
        let (at, prefix) = word
            .strip_prefix('@')
            .map_or(("", word), |rest| ("@", rest));
        let lower = prefix.to_lowercase();
        // An empty word offers names only where names are expected.
        let wanted = !prefix.is_empty() || !at.is_empty() || before.starts_with('/');
        let starting = names
            .iter()
            .filter(|name| wanted && name.to_lowercase().starts_with(&lower));
        starting.map(|name| format!("{at}{name} ")).collect()
    };
    found.sort();
    found.dedup();
    (word.len(), found)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn id(name: &str) -> UserId {
        UserId::new(name).unwrap()
    }

    #[test]
    fn lines() {
        assert_eq!(parse("hi /w bob"), Ok(Line::Text("hi /w bob".to_owned())));
        assert_eq!(parse("//shrug"), Ok(Line::Text("/shrug".to_owned())));
        assert_eq!(
            parse("/w @bob  hi there"),
            Ok(Line::Whisper(id("bob"), "hi there".to_owned()))
        );
        assert_eq!(
            parse("/w 小明"),
            Ok(Line::Whisper(id("小明"), String::new()))
        );
        assert_eq!(
            parse("/group \"Night raid\" bob, cy"),
            Ok(Line::Group(
                "Night raid".to_owned(),
                vec![id("bob"), id("cy")]
            ))
        );
        assert_eq!(
            parse("/group raid"),
            Ok(Line::Group("raid".to_owned(), vec![]))
        );
        assert_eq!(parse("/block bob"), Ok(Line::Block(id("bob"), true)));
        assert_eq!(parse("/reply 2 yes"), Ok(Line::Reply(2, "yes".to_owned())));
        assert_eq!(parse("/reply 42"), Ok(Line::Reply(1, "42".to_owned())));
        assert_eq!(parse("/vote 1,3"), Ok(Line::Vote(vec![1, 3])));
        let burns = Line::Burn(7_200_000, "read this".to_owned());
        assert_eq!(parse("/burn 2h read this"), Ok(burns));
        assert_eq!(parse("/now hi all"), Ok(Line::Now("hi all".to_owned())));
        assert!(parse("/now ").is_err());
        assert!(parse("/burn 2h").is_err() && parse("/burn read this").is_err());
        assert_eq!(parse("/lifetime 1d"), Ok(Line::Lifetime(86_400_000)));
        assert_eq!(parse("/lifetime off"), Ok(Line::Lifetime(0)));
        let raid = Line::Forward("Night raid".to_owned(), 3);
        assert_eq!(parse("/forward \"Night raid\" 3"), Ok(raid));
        let bob = Line::Forward("bob".to_owned(), 1);
        assert_eq!(parse("/forward bob"), Ok(bob));
        assert!(parse("/forward bob 101").is_err());
        let options = vec!["the mill".to_owned(), "harbour".to_owned()];
        assert_eq!(
            parse("/poll Where to? | the mill | harbour"),
            Ok(Line::Poll("Where to?".to_owned(), options.clone(), false))
        );
        assert_eq!(
            parse("/ballot Where to? | the mill | harbour"),
            Ok(Line::Poll("Where to?".to_owned(), options, true))
        );
        let pair = |id: &str, value: &str| (id.to_owned(), value.to_owned());
        assert_eq!(
            parse("/answer role=tank note=I may be late"),
            Ok(Line::Answer(vec![
                pair("role", "tank"),
                pair("note", "I may be late")
            ]))
        );
        for bad in [
            "/w",
            "/group \"open",
            "/invite",
            "/block a b",
            "/vote x",
            "/poll alone | one",
            "/answer tank",
            "/at mill",
            "/edit",
            "/nonsense",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
        assert!(parse("/block").unwrap_err().contains("/block user"));
        // The reason comes before what is long.
        let long = parse(&format!("/group raid {}", "x".repeat(300))).unwrap_err();
        assert!(
            long.starts_with("too long for a user") && long.chars().count() < 70,
            "{long}"
        );
    }

    #[test]
    fn every_command_in_the_list_is_known() {
        for (name, ..) in COMMANDS {
            let outcome = parse(&format!("{name} x y"));
            assert!(
                !matches!(&outcome, Err(text) if text.contains("is not a command")),
                "{name}"
            );
        }
    }

    #[test]
    fn completion() {
        let names: Vec<String> = ["bob", "bo", "Ada"].map(str::to_owned).to_vec();
        assert_eq!(complete("/gr", &names), (3, vec!["/group ".to_owned()]));
        assert_eq!(
            complete("/w bo", &names),
            (2, vec!["bo ".to_owned(), "bob ".to_owned()])
        );
        assert_eq!(complete("hello @a", &names), (2, vec!["@Ada ".to_owned()]));
        assert_eq!(complete("hello ", &names), (0, vec![]));
        assert_eq!(complete("/w ", &names).1.len(), 3);
    }
}
