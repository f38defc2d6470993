//! What the arena is started with.

use std::path::PathBuf;

use bevy_fireside::UserId;
use clap::Parser;

use crate::people::CAST;

/// A small game in which players chat: you, three others, and a server inside this process.
#[derive(Clone, Debug, Parser)]
#[command(name = "arena", version)]
pub(crate) struct Args {
    /// Ends by itself after so many seconds.
    #[arg(long, value_name = "N")]
    pub(crate) seconds: Option<u64>,
    /// Your name.
    #[arg(long, default_value = "wren", value_parser = player_name)]
    pub(crate) name: UserId,
    /// Keeps the server's and your own data in this folder; without it they are in a temporary one.
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// No window: a script plays you, and the conversation is printed.
    #[arg(long)]
    pub(crate) headless: bool,
    /// Prints a line for each fact, for tests.
    #[arg(long)]
    pub(crate) trace: bool,
    /// The others have said so many lines before you come.
    #[arg(long, default_value_t = 0, value_name = "N", hide = true)]
    pub(crate) history: u32,
}

fn player_name(name: &str) -> Result<UserId, String> {
    if CAST.contains(&name) {
        let cast = CAST.join(", ");
        return Err(format!("{cast} sit at the fire already; take another name"));
    }
    UserId::new(name).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn names_of_the_cast_are_taken() {
        assert!(Args::try_parse_from(["arena", "--name", "ash"]).is_err());
        let args = Args::try_parse_from(["arena", "--name", "小明", "--seconds", "3"]).unwrap();
        assert_eq!((args.name.as_str(), args.seconds), ("小明", Some(3)));
    }
}
