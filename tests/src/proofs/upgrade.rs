//! What an earlier version left behind goes on with this one: a server's data folder, clients' caches, an outbox that was half sent,
//! and an old client's bytes. The folders of each earlier version are in `tests/fixtures`, with a page of how they were made.

mod folders;
mod replay;

use std::{
    collections::BTreeMap,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use fireside_client_core::{
    Command,
    view::{Body, MessageState, TimelineRow},
};
use fireside_protocol::{ClientFrame, ConversationId, Entry, ServerFrame};
use fireside_server::{Claims, TokenKeys};
use serde_json::{Value, json};

use self::folders::{Folders, unhex};
use super::{Scale, features::device::Device};
use crate::{
    chance::Chance,
    process::{Server, ServerPlan},
    wire::{Dialer, Target, Wire, device, text_of},
};

/// The versions whose folders there are.
const VERSIONS: &[&str] = &["spine"];
/// What must not happen would have happened by then.
const QUIET: Duration = Duration::from_millis(700);
/// Whatever is awaited takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(20);

/// Opens the folders of every version.
///
/// # Errors
/// What is not as it was.
pub fn run(scale: Scale) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    for version in VERSIONS {
        let folders = Folders::unpack(version)?;
        let frames = vectors(&folders)?;
        let rows = offline(&folders)?;
        let replayed = runtime.block_on(replay::run(&folders))?;
        let mut chance = Chance::new(scale.seed);
        let (entries, sent) = online(&folders, &runtime, &mut chance)?;
        println!(
            "upgrade: {version}: {frames} recorded frames decode to the same and encode to the same bytes; {rows} rows of two caches shown without a network; \
             {replayed} recorded requests answered as then; {entries} entries of two logs are as they were; {sent} messages of the outbox went out once"
        );
    }
    Ok(())
}

/// The frames of then decode, and encode to the same bytes.
fn vectors(folders: &Folders) -> Result<usize> {
    let vectors = folders.json("vectors/frames.json")?;
    let vectors = vectors.as_array().context("a list of frames")?;
    for vector in vectors {
        let name = format!("{} ({})", vector["name"], vector["case"]);
        let bytes = unhex(vector["hex"].as_str().context("bytes")?)?;
        let (kind, request, body) = folders::frame(&bytes).with_context(|| name.clone())?;
        let again = if vector["side"] == "client" {
            let frame = ClientFrame::decode(kind, &body);
            let frame = frame.with_context(|| name.clone())?;
            ensure!(
                !matches!(frame, ClientFrame::Unknown(_)),
                "{name}: nobody knows it any more"
            );
            frame.encode(request)
        } else {
            let frame = ServerFrame::decode(kind, &body);
            let frame = frame.with_context(|| name.clone())?;
            ensure!(
                !matches!(frame, ServerFrame::Unknown(_)),
                "{name}: nobody knows it any more"
            );
            frame.encode(request)
        };
        ensure!(*again == *bytes, "{name}: it is encoded to other bytes now");
    }
    Ok(vectors.len())
}

/// Nobody is at home: only the caches are there.
fn offline(folders: &Folders) -> Result<usize> {
    let nowhere = Target {
        address: ([127, 0, 0, 1], 9).into(),
        fingerprint: folders.fingerprint()?,
    };
    let mut rows = 0;
    for user in ["ann", "bob"] {
        let copy = folders.copy(user)?;
        let mut device = Device::start(nowhere, user, "", Some(copy.path().to_owned()))?;
        rows +=
            shows(&mut device, folders, user, true).with_context(|| format!("{user}, offline"))?;
        device.client.shutdown(PATIENCE);
    }
    Ok(rows)
}

/// Whether a device shows what was expected of it; how many rows that was.
fn shows(device: &mut Device, folders: &Folders, user: &str, all: bool) -> Result<usize> {
    let expected = folders.json("expected.json")?;
    let mut rows = 0;
    for name in ["group", "direct"] {
        let conversation = folders.conversation(name)?;
        device.call(&Command::Open { conversation })?;
        let wanted = expected[user][name].as_array().context("rows")?;
        // What was in the outbox has a number by now.
        let wanted: Vec<&Value> = wanted
            .iter()
            .filter(|row| all || !row["sequence"].is_null())
            .collect();
        let begun = Instant::now();
        loop {
            let shown: Vec<Value> = device.rows(conversation).iter().map(row).collect();
            let first = shown.iter().zip(&wanted).find(|(one, other)| one != *other);
            if first.is_none()
                && shown.len() >= wanted.len()
                && (!all || shown.len() == wanted.len())
            {
                break;
            }
            if begun.elapsed() > PATIENCE {
                bail!(
                    "{name}: {} of {} rows; {first:?}",
                    shown.len(),
                    wanted.len()
                );
            }
            if shown.len() < wanted.len() {
                let count = 100;
                let _ = device.asks(&Command::LoadOlder {
                    conversation,
                    count,
                });
            }
            device.pump();
        }
        rows += wanted.len();
    }
    if all {
        list(device, &expected[user]["list"])?;
    }
    Ok(rows)
}

/// The list of conversations, as it was.
fn list(device: &Device, expected: &Value) -> Result<()> {
    for wanted in expected.as_array().context("a list")? {
        let row = device
            .list
            .iter()
            .find(|row| wanted["conversation"] == row.conversation.to_string());
        let row = row.context("a conversation is not in the list")?;
        let shown = json!({
            "conversation": row.conversation.to_string(),
            "name": &*row.name,
            "unread": row.unread,
            "mentions": row.mentions,
            "preview": &*row.preview,
            "last": row.last,
            "role": row.role.map(|role| role.number()),
        });
        ensure!(shown == *wanted, "the list has {shown}, not {wanted}");
    }
    Ok(())
}

/// A row in the words of the fixture.
fn row(row: &TimelineRow) -> Value {
    let body = match &row.body {
        Body::Text(text) => json!({ "text": &**text }),
        other => {
            let words = format!("{other:?}");
            let name = words.split(|c: char| !c.is_alphanumeric()).next();
            json!({ "other": name })
        }
    };
    json!({
        "sequence": row.sequence,
        "sender": row.sender.as_str(),
        "at": if row.sequence.is_some() { row.at } else { 0 },
        "body": body,
        "edited": row.edited,
        "state": format!("{:?}", row.state),
    })
}

/// The server of today over the folder of then, and the devices come back.
fn online(
    folders: &Folders,
    runtime: &tokio::runtime::Runtime,
    chance: &mut Chance,
) -> Result<(usize, usize)> {
    let copy = folders.copy("server")?;
    let mut plan = plan(copy.path())?;
    let mut server = plan.start()?;
    let target = target(&server);
    ensure!(
        target.fingerprint == folders.fingerprint()?,
        "the server has another certificate"
    );
    let keys = TokenKeys::load(&plan.data.join("token-keys.toml"))?;
    let entries = runtime.block_on(async {
        let (wire, _) = log_in(target, &keys, "ann", chance).await?;
        logs(&wire, folders).await
    })?;
    let mut devices = Vec::new();
    let mut copies = Vec::new();
    for user in ["ann", "bob"] {
        let copy = folders.copy(user)?;
        let token = keys.sign(None, &claims(user))?;
        let mut device = Device::start(target, user, &token, Some(copy.path().to_owned()))?;
        device.connect()?;
        devices.push(device);
        copies.push(copy);
    }
    let token = keys.sign(None, &claims("ann"))?;
    let mut fresh = Device::start(target, "ann", &token, None)?;
    fresh.connect()?;
    let [ann, bob] = devices.as_mut_slice() else {
        bail!("two devices");
    };
    let sent = outbox(ann, folders)?;
    runtime.block_on(async {
        let (wire, _) = log_in(target, &keys, "ann", chance).await?;
        once(&wire, folders).await
    })?;
    // A device that never had anything shows the same as the one with the old cache; bob's has all it had, and what is new.
    for conversation in [
        folders.conversation("group")?,
        folders.conversation("direct")?,
    ] {
        for device in [&mut *ann, &mut *bob, &mut fresh] {
            device.call(&Command::Open { conversation })?;
        }
        alike(ann, &mut fresh, conversation)?;
    }
    shows(ann, folders, "ann", false).context("ann, online")?;
    let expected = folders.json("expected.json")?;
    let marker = expected["bob"]["list"].as_array().into_iter().flatten();
    let before: u64 = marker.filter_map(|row| row["unread"].as_u64()).sum();
    // What was half sent and not sent, and nothing else, is new to bob.
    let wanted = before + sent as u64;
    bob.until("what is unread", |it| {
        it.list.iter().map(|row| u64::from(row.unread)).sum::<u64>() == wanted
    })?;
    for device in [ann, bob, &mut fresh] {
        device.client.shutdown(PATIENCE);
    }
    server.check()?;
    server.terminate(PATIENCE)?;
    Ok((entries, sent))
}

fn plan(data: &Path) -> Result<ServerPlan> {
    let mut plan = ServerPlan::new(data.parent().context("a folder")?);
    data.clone_into(&mut plan.data);
    plan.log = data.join("log");
    // What was said then may be changed by its author, however long ago that is; and many at once, as then.
    plan.settings = "[limits]\nedit_window_ms = 1000000000000\nrecall_window_ms = 1000000000000\nrate_direct_per_s = 1000\nrate_group_per_s = 1000\nrate_requests_per_s = 1000\n".to_owned();
    Ok(plan)
}

fn target(server: &Server) -> Target {
    Target {
        address: server.address(),
        fingerprint: server.fingerprint(),
    }
}

/// As the fixture's own.
fn claims(user: &str) -> Claims {
    Claims {
        sub: user.to_owned(),
        iat: 1_700_000_000,
        exp: 4_000_000_000,
        name: format!("{user}'s name"),
        ..Claims::default()
    }
}

async fn log_in(
    target: Target,
    keys: &TokenKeys,
    user: &str,
    chance: &mut Chance,
) -> Result<(Wire, Dialer)> {
    let dialer = Dialer::new(target)?;
    let token = keys.sign(None, &claims(user))?;
    let (wire, _) = Wire::log_in(&dialer, &token, device(chance)).await?;
    Ok((wire, dialer))
}

/// Both logs are as the server of then had them; how many entries.
async fn logs(wire: &Wire, folders: &Folders) -> Result<usize> {
    let expected = folders.json("expected.json")?;
    let mut entries = 0;
    for name in ["group", "direct"] {
        let log = wire.whole_log(folders.conversation(name)?).await?;
        let wanted = expected["log"][name].as_array().context("a log")?;
        ensure!(
            log.items.len() == wanted.len(),
            "{name}: {} entries, not {}",
            log.items.len(),
            wanted.len()
        );
        for (entry, wanted) in log.items.iter().zip(wanted) {
            let found = entry_json(entry);
            ensure!(found == *wanted, "{name}: {found}, not {wanted}");
        }
        entries += wanted.len();
    }
    Ok(entries)
}

fn entry_json(entry: &Entry) -> Value {
    json!({
        "sequence": entry.sequence,
        "kind": entry.kind.number(),
        "sender": entry.sender.as_str(),
        "at": entry.at,
        "ordinal": entry.ordinal,
        "rev": entry.rev,
        "text": text_of(entry),
        "edited": entry.edited,
        "tombstone": entry.tombstone.map(|why| why.number()),
    })
}

/// Waits until nothing of the outbox is left; how many messages were in it.
fn outbox(ann: &mut Device, folders: &Folders) -> Result<usize> {
    let waiting = ["group", "direct"].map(|name| folders.conversation(name));
    for conversation in waiting.into_iter().collect::<Result<Vec<_>>>()? {
        ann.call(&Command::Open { conversation })?;
    }
    ann.until("the outbox to be sent", |it| {
        it.timelines
            .values()
            .flatten()
            .all(|row| row.state != MessageState::Sending)
            && it.timelines.len() == 2
    })?;
    let failed = ann.timelines.values().flatten();
    let failed = failed
        .filter(|row| matches!(row.state, MessageState::Failed(_)))
        .count();
    ensure!(failed == 0, "{failed} messages of the outbox failed");
    Ok(folders.texts("half_sent")?.len() + folders.texts("not_sent")?.len())
}

/// Everything that was in the outbox is in the logs once; what the server had before at the number that it had.
async fn once(wire: &Wire, folders: &Folders) -> Result<()> {
    // A second one would be there by then.
    tokio::time::sleep(QUIET).await;
    let expected = folders.json("expected.json")?;
    let mut found: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for name in ["group", "direct"] {
        for entry in &wire.whole_log(folders.conversation(name)?).await?.items {
            if let Some(text) = text_of(entry) {
                found.entry(text).or_default().push(entry.sequence);
            }
        }
    }
    for (list, was_there) in [("half_sent", true), ("not_sent", false)] {
        for text in folders.texts(list)? {
            let numbers = found.get(&text).map_or(&[][..], Vec::as_slice);
            ensure!(
                numbers.len() == 1,
                "`{text}` is in the log {} times",
                numbers.len()
            );
            let before = expected["log"]["group"].as_array().into_iter().flatten();
            let before = before
                .filter(|it| it["text"] == *text)
                .find_map(|it| it["sequence"].as_u64());
            ensure!(
                was_there == before.is_some() && (!was_there || before == numbers.first().copied()),
                "`{text}` has the number {numbers:?}, and had {before:?}"
            );
        }
    }
    Ok(())
}

/// The two devices come to show the same of a conversation.
fn alike(one: &mut Device, other: &mut Device, conversation: ConversationId) -> Result<()> {
    let begun = Instant::now();
    loop {
        for device in [&mut *one, &mut *other] {
            device.pump();
            let (rows, count) = (device.rows(conversation).len(), 200);
            if rows < 40 {
                let _ = device.asks(&Command::LoadOlder {
                    conversation,
                    count,
                });
            }
        }
        // An ack of then says when as the names do, whose clock was set to today.
        let shown = |device: &Device| -> Vec<Value> {
            let rows = device.rows(conversation).iter();
            rows.map(|shown| {
                row(&TimelineRow {
                    at: 0,
                    ..shown.clone()
                })
            })
            .collect()
        };
        let (mine, theirs) = (shown(one), shown(other));
        if mine == theirs && one.row(conversation) == other.row(conversation) {
            return Ok(());
        }
        ensure!(
            begun.elapsed() < PATIENCE,
            "the old cache and a new device differ: {mine:?} and {theirs:?}; {:?} and {:?}",
            one.row(conversation),
            other.row(conversation)
        );
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn the_first_version_is_there_and_has_what_is_compared() {
        for version in VERSIONS {
            let folders = Folders::unpack(version).unwrap();
            assert!(vectors(&folders).unwrap() > 50);
            let half = folders.texts("half_sent").unwrap();
            assert!(half.len() == 3 && folders.texts("not_sent").unwrap().len() == 2);
        }
    }
}
