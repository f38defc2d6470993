//! Every limit holds, and a refusal changes nothing: each limit of `crates/protocol/src/limits.rs` and of the settings is tried one
//! below, at and one above over the wire, against the real server, by a bare client that checks nothing for itself. Every refusal has
//! the code that the protocol page names, and the server's whole database is the same before and after. What one may not know to be
//! there is answered with the same bytes as what is not.

mod bytes;
mod counts;
pub(super) mod crowds;
pub(super) mod ledger;
mod odd;
mod pages;
mod rules;
mod secrets;
mod sizes;
pub(super) mod stage;
mod transient;

use std::{collections::BTreeSet, path::Path, time::Instant};

use anyhow::{Context, Result, ensure};
use fireside_protocol::{ClientFrame, Code};

use self::stage::{Stage, Tally, UNHURRIED};
use super::Scale;
use crate::chance::Chance;

/// Limits in `limits.rs` at least: a table that is not read proves nothing.
const LIMITS_MIN: usize = 100;
/// Codes on the protocol page at least.
const CODES_MIN: usize = 50;

/// Limits that no request meets, each with the reason.
const ELSEWHERE: &[(&str, &str)] = &[
    (
        "PAGE_FRAME_BYTES_MAX",
        "of what a server sends: a client refuses more",
    ),
    (
        "MEETING_IDLE_MS",
        "10 min of the server's clock, which is an argument in the node's tests",
    ),
    ("WATCHED_USERS_MAX", "of what a server sends by itself"),
    ("PRESENCE_INTERVAL_MS", "of what a server sends by itself"),
    (
        "PRESENCE_GRACE_MS",
        "the server's clock, which is an argument in the node's tests",
    ),
    ("RECEIPT_INTERVAL_MS", "of what a server sends by itself"),
    ("REPORT_RETENTION_MS", "180 days of the server's clock"),
    ("NONCE_RETENTION_MS", "30 days of the server's clock"),
    (
        "USER_TOMBSTONE_MS",
        "90 days of the server's clock, which is an argument in the stores' suite",
    ),
    (
        "HEADS_OVERLAP_MS",
        "how far back a server looks: more comes than was asked for",
    ),
    (
        "REQUESTS_IN_FLIGHT_MAX",
        "the server reads no further while there are more: `./test overload`",
    ),
    (
        "PREVIEW_TITLE_BYTES_MAX",
        "of what a server makes of a page that it read: the node's tests",
    ),
    (
        "PREVIEW_TITLE_GRAPHEMES_MAX",
        "of what a server makes of a page that it read: the node's tests",
    ),
    (
        "PREVIEW_DESCRIPTION_BYTES_MAX",
        "of what a server makes of a page that it read: the node's tests",
    ),
    (
        "PREVIEW_DESCRIPTION_GRAPHEMES_MAX",
        "of what a server makes of a page that it read: the node's tests",
    ),
    (
        "PREVIEW_CONTENT_BYTES_MAX",
        "of what a server reads pages for: the protocol's tests",
    ),
    ("SESSION_BYTES_MAX", "measured by `./test fuzz`"),
    (
        "SESSION_QUEUE_BYTES_MAX",
        "of what waits in a server: the node's tests",
    ),
    (
        "SESSION_QUEUE_FRAMES_MAX",
        "of what waits in a server: the node's tests",
    ),
    ("IDLE_TIMEOUT_MS", "the transport's own, on both sides"),
    ("KEEP_ALIVE_MS", "a client's own pace"),
    ("PING_CALL_PENDING_MS", "a client's own pace"),
    ("PING_VISIBLE_MS", "a client's own pace"),
    ("PING_TIMEOUT_MS", "a client's own patience"),
    ("TYPING_TIMEOUT_MS", "a client's own patience"),
    ("TOKEN_EXPIRING_MS", "what a client tells its game"),
    ("DRAFT_INTERVAL_MS", "a client's own pace"),
    (
        "SENDS_IN_FLIGHT_MAX",
        "a client's own pace: a server takes them in order, however many",
    ),
    ("OUTBOX_ENTRIES_MAX", "of a device's outbox"),
    ("OUTBOX_AGE_MS_MAX", "of a device's outbox"),
    ("HOLE_REPAIR_DELAY_MS", "a client's own patience"),
];

/// Settings of the section `[limits]` that no request meets, each with the reason.
const SETTINGS_ELSEWHERE: &[(&str, &str)] = &[
    ("rate_direct_per_s", "tried as RATE_DIRECT_PER_S"),
    ("rate_group_per_s", "tried as RATE_GROUP_PER_S"),
    (
        "rate_conversation_per_s",
        "tried as RATE_CONVERSATION_PER_S",
    ),
    ("rate_requests_per_s", "tried as RATE_REQUESTS_PER_S"),
    (
        "conversations_max",
        "of what a server keeps in memory: what does not fit is read again",
    ),
    ("store_pending_max", "under load: `./test overload`"),
    ("inbox_max", "under load: `./test overload`"),
    ("logins_max", "under load: `./test overload`"),
];

/// Codes that this proof does not meet, each with the reason.
const CODES_ELSEWHERE: &[(Code, &str)] = &[
    (Code::VersionUnsupported, "`./test stranger`"),
    (Code::NotInEarlyData, "`./test network`"),
    (Code::TooManyRequests, "`./test fuzz`"),
    (
        Code::TokenRevoked,
        "no command revokes all of a user's tokens yet",
    ),
    (Code::TokenOtherUser, "`./test stranger`"),
    (Code::Banned, "no command bans from a server yet"),
    (Code::ResumeUnknown, "`./test network`"),
    (Code::SessionRevoked, "`./test stranger`"),
    (Code::Conflict, "`./test permissions` and the node's tests"),
    (Code::NotInvited, "`./test permissions`"),
    (Code::AlreadyExists, "the node's tests"),
    (Code::Frozen, "`./test permissions`"),
    (Code::Muted, "`./test permissions`"),
    (Code::Barred, "`./test permissions`"),
    (Code::PollClosed, "`./test features`"),
    (
        Code::UserInvalid,
        "of clients: on the wire such an id is a malformed body",
    ),
    (Code::Rejected, "version 1 servers do not use it"),
    (
        Code::StorageFull,
        "`./test simulate`, and the server's tests with a full disk",
    ),
    (Code::StorageUnavailable, "`./test simulate`"),
    (Code::RetryInOrder, "`./test simulate`"),
    (Code::Draining, "`./test network`"),
    (Code::Held, "version 1 servers do not use it"),
    (Code::SlowMode, "`./test permissions`"),
];

/// Tries everything.
///
/// # Errors
/// A limit that does not hold, a refusal with effects, or a limit that nothing tries.
pub fn run(scale: Scale) -> Result<()> {
    let limits = names(&page("crates/protocol/src/limits.rs")?, "pub const ", ':');
    ensure!(limits.len() >= LIMITS_MIN, "only {} limits", limits.len());
    let settings = page("docs/settings.md")?;
    let section = settings
        .split("[limits]\n")
        .nth(1)
        .context("no section of limits")?;
    let settings = names(section.split("\n\n").next().unwrap_or_default(), "", ' ');
    ensure!(settings.len() > 15, "only {} settings", settings.len());
    let documented = codes(&page("docs/protocol.md")?)?;
    every_conversation_is_asked_for()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    let mut tally = Tally::default();
    runtime.block_on(try_all(scale, &mut tally))?;
    let known: BTreeSet<&str> = limits.iter().chain(&settings).map(String::as_str).collect();
    for (list, names) in [(ELSEWHERE, &limits), (SETTINGS_ELSEWHERE, &settings)] {
        for name in names {
            let elsewhere = list.iter().any(|(other, _)| other == name);
            let tried = tally.tried.contains(name);
            ensure!(tried || elsewhere, "nothing tries {name}");
            ensure!(
                !(tried && elsewhere),
                "{name} is tried: it need not be excused"
            );
        }
        for (name, _) in list {
            ensure!(known.contains(name), "{name} is excused, and there is none");
        }
    }
    for code in &tally.codes {
        ensure!(
            documented.contains(code),
            "the protocol page does not know the code {code}"
        );
    }
    for code in documented.iter().filter(|code| code.number() < 600) {
        let elsewhere = CODES_ELSEWHERE.iter().any(|(other, _)| other == code);
        let seen = tally.codes.contains(code);
        ensure!(seen || elsewhere, "nothing was refused with {}", code.key());
        ensure!(
            !(seen && elsewhere),
            "{} was seen: it need not be excused",
            code.key()
        );
    }
    println!(
        "limits: {} of {} limits and {} of {} settings tried, the others are no request's; {} requests taken, {} refusals compared with the whole database, {} codes",
        limits
            .iter()
            .filter(|name| tally.tried.contains(*name))
            .count(),
        limits.len(),
        settings
            .iter()
            .filter(|name| tally.tried.contains(*name))
            .count(),
        settings.len(),
        tally.taken,
        tally.compared,
        tally.codes.len()
    );
    Ok(())
}

async fn try_all(scale: Scale, tally: &mut Tally) -> Result<()> {
    let mut chance = Chance::new(scale.seed);
    let mut stage = Stage::set(UNHURRIED, chance.fork())?;
    let tried = on_one_server(&mut stage).await;
    tried.with_context(|| stage.log_tail())?;
    rules::done(stage, tally)?;
    let begun = Instant::now();
    let rates = rules::rates(&mut chance, tally, scale.full)
        .await
        .context("rates")?;
    let settings = rules::settings(&mut chance, tally)
        .await
        .context("settings")?;
    say(&format!("{rates} rates, {settings} settings"), begun);
    Ok(())
}

async fn on_one_server(stage: &mut Stage) -> Result<()> {
    let begun = Instant::now();
    let count = sizes::run(stage).await?;
    say(&format!("{count} sizes"), begun);
    let begun = Instant::now();
    let refused = odd::run(stage).await?;
    let alike = secrets::run(stage).await?;
    let told = transient::run(stage).await?;
    say(
        &format!(
            "{refused} odd requests refused, {alike} secrets kept, {told} transient messages without a trace"
        ),
        begun,
    );
    let begun = Instant::now();
    let count = bytes::run(stage).await?;
    say(&format!("{count} bounds of bytes"), begun);
    let begun = Instant::now();
    let count = counts::run(stage).await?;
    say(&format!("{count} counts"), begun);
    let begun = Instant::now();
    let count = pages::run(stage).await?;
    say(&format!("{count} pages and lists"), begun);
    let begun = Instant::now();
    let count = crowds::run(stage).await?;
    say(&format!("{count} crowds"), begun);
    Ok(())
}

fn say(what: &str, begun: Instant) {
    println!("limits: {what} ({:.1} s)", begun.elapsed().as_secs_f64());
}

/// Every request that names a conversation is among those that must tell nothing of it.
fn every_conversation_is_asked_for() -> Result<()> {
    // No answer to typing; what presence of the conversations on screen is told is another proof's.
    const UNANSWERED: &[&str] = &["Typing"];
    for frame in ClientFrame::TABLE {
        let names = frame
            .fields
            .iter()
            .any(|field| field.key == "c" && field.name == "conversation");
        let asked = secrets::asked().any(|name| name == frame.name);
        let excused = UNANSWERED.contains(&frame.name);
        ensure!(
            !names || asked || excused,
            "nobody asks for a foreign conversation with {}",
            frame.name
        );
    }
    Ok(())
}

fn page(path: &str) -> Result<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
    std::fs::read_to_string(&path).with_context(|| path.display().to_string())
}

/// The names that lines begin with, behind `start` and before `end`.
fn names(text: &str, start: &str, end: char) -> Vec<String> {
    let lines = text
        .lines()
        .filter_map(|line| line.strip_prefix(start)?.split(end).next());
    let is_name = |name: &&str| {
        !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    lines.filter(is_name).map(str::to_owned).collect()
}

/// The codes that the protocol page knows.
fn codes(page: &str) -> Result<BTreeSet<Code>> {
    let section = page
        .split("<!-- generated: codes -->")
        .nth(1)
        .context("no table of codes")?;
    let table = section
        .split("<!-- end: codes -->")
        .next()
        .unwrap_or_default();
    let numbers = table
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.split(' ').next()?.parse().ok());
    let codes: BTreeSet<Code> = numbers.map(Code::from_number).collect();
    ensure!(codes.len() >= CODES_MIN, "only {} codes", codes.len());
    Ok(codes)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn tables_are_read() {
        let text = "/// Doc.\npub const PINS_MAX: usize = 50;\nconst _: () = ();\npub const A_MS: u64 = 1;";
        assert_eq!(names(text, "pub const ", ':'), ["PINS_MAX", "A_MS"]);
        let text = "pins = 3 # no\n# not = 2\nedit_window_ms = 9";
        assert_eq!(names(text, "", ' '), ["pins", "edit_window_ms"]);
        let found = codes(&page("docs/protocol.md").unwrap()).unwrap();
        assert!(found.contains(&Code::NotFound) && !found.contains(&Code::Unknown(2)));
    }
}
