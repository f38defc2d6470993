//! What a line means: `/w ash hi` or plain text.

use bevy_fireside::UserId;

/// The commands: for the parser's errors and for `/help`.
pub(crate) const COMMANDS: &[(&str, &str, &str)] = &[
    ("/w", "name text", "whisper to somebody"),
    ("/r", "text", "answer who whispered last"),
    ("/retry", "", "try failed messages here again"),
    ("/discard", "", "drop failed messages here"),
    ("/help", "", "this"),
];

/// A line, understood.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Line {
    /// Said where one is.
    Text(String),
    /// To somebody; without a text the conversation is just opened.
    Whisper(UserId, String),
    /// To who whispered last.
    Reply(String),
    /// Failed messages again.
    Retry,
    /// Failed messages away.
    Discard,
    /// What there is.
    Help,
}

/// Reads a line. `Err`: what is wrong with it and what was expected.
pub(crate) fn parse(line: &str) -> Result<Line, String> {
    let line = line.trim();
    // Two slashes: a text that begins with one.
    if let Some(text) = line.strip_prefix("//") {
        return Ok(Line::Text(format!("/{text}")));
    }
    if !line.starts_with('/') {
        return Ok(Line::Text(line.to_owned()));
    }
    let (command, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let rest = rest.trim_start();
    match command {
        "/w" | "/whisper" => {
            let (name, text) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
            let name = name.strip_prefix('@').unwrap_or(name);
            let user = UserId::new(name).map_err(|_| usage("/w"))?;
            Ok(Line::Whisper(user, text.trim_start().to_owned()))
        }
        "/r" | "/reply" if rest.is_empty() => Err(usage("/r")),
        "/r" | "/reply" => Ok(Line::Reply(rest.to_owned())),
        "/retry" => Ok(Line::Retry),
        "/discard" => Ok(Line::Discard),
        "/help" | "/?" => Ok(Line::Help),
        other => Err(format!(
            "{other} is no command. /help lists them; // begins a text with a slash."
        )),
    }
}

/// All commands, for people.
pub(crate) fn help() -> String {
    let lines: Vec<String> = COMMANDS
        .iter()
        .map(|(name, arguments, what)| format!("{name} {arguments} – {what}").replace("  ", " "))
        .collect();
    lines.join("\n")
}

fn usage(command: &str) -> String {
    let arguments = COMMANDS
        .iter()
        .find(|(name, ..)| *name == command)
        .map_or("", |(_, arguments, _)| *arguments);
    format!("Expected: {command} {arguments}")
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn lines() {
        assert_eq!(parse(" hi /w bob "), Ok(Line::Text("hi /w bob".to_owned())));
        assert_eq!(parse("//shrug"), Ok(Line::Text("/shrug".to_owned())));
        let ash = UserId::new("ash").unwrap();
        assert_eq!(
            parse("/w @ash  hi there"),
            Ok(Line::Whisper(ash.clone(), "hi there".to_owned()))
        );
        assert_eq!(parse("/w ash"), Ok(Line::Whisper(ash, String::new())));
        assert_eq!(parse("/r yes"), Ok(Line::Reply("yes".to_owned())));
        assert!(parse("/r").unwrap_err().contains("/r text"));
        assert!(parse("/w").unwrap_err().contains("/w name text"));
        assert!(parse("/dance now").unwrap_err().contains("/dance"));
    }

    #[test]
    fn every_command_is_known_and_in_the_help() {
        let help = help();
        for (name, ..) in COMMANDS {
            assert!(parse(&format!("{name} x y")).is_ok(), "{name}");
            assert!(help.contains(name));
        }
    }
}
