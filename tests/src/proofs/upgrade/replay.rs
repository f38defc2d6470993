//! An old client's bytes, sent again as they are to the server of today over a copy of the folder that they were recorded with.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use fireside_protocol::limits::{FRAME_BYTES_MAX, PAGE_FRAME_BYTES_MAX};
use quinn::RecvStream;
use rmpv::Value;
use tokio::time::timeout;

use super::{
    folders::{Folders, frame, unhex},
    plan, target,
};
use crate::wire::Dialer;

const PATIENCE: Duration = Duration::from_secs(10);
/// Times since this one (in ms since 1970) may be others today.
const CLOCK: u64 = 1_700_000_000_000;
/// What differs each time: the secret to resume with, the stamp of the heads.
const CHANCE: &[&str] = &["s", "hs"];
/// Answers of kinds that changed before the first release, with why an old client does not mind: (request, then, now).
const OTHER_KINDS: &[(&str, u16, u16)] = &[
    // A read marker is acknowledged by its nonce; before, it was just done.
    ("Read", 67, 66),
];

/// Sends them all; how many.
pub(super) async fn run(folders: &Folders) -> Result<usize> {
    let copy = folders.copy("server")?;
    let mut plan = plan(copy.path())?;
    plan.log = copy.path().with_extension("log");
    let mut server = plan.start()?;
    let dialer = Dialer::new(target(&server))?;
    let connection = dialer.connect().await?;
    let (mut out, mut input) = connection.open_bi().await?;
    out.write_all(&[1]).await?;
    let mut session = Answers::default();
    let mut wrong = Vec::new();
    let lines = folders.text("replay.jsonl")?;
    let mut count = 0;
    for line in lines.lines() {
        let recorded: serde_json::Value = serde_json::from_str(line)?;
        let name = recorded["name"].as_str().context("a name")?;
        let bytes = unhex(recorded["hex"].as_str().context("bytes")?)?;
        let (_, request, _) = frame(&bytes)?;
        count += 1;
        let wanted = recorded["answer"].as_str().map(unhex).transpose()?;
        if recorded["lane"] == "page" {
            let (mut out, mut input) = connection.open_bi().await?;
            out.write_all(&[2]).await?;
            out.write_all(&bytes).await?;
            out.finish()?;
            let mut answers = Answers::default();
            let answer = answers
                .next(&mut input, PAGE_FRAME_BYTES_MAX, request)
                .await?;
            compare(name, &wanted.context("a page")?, &answer, &mut wrong)?;
            continue;
        }
        out.write_all(&bytes).await?;
        if let Some(wanted) = wanted {
            let answer = session.next(&mut input, FRAME_BYTES_MAX, request).await?;
            compare(name, &wanted, &answer, &mut wrong)?;
        }
    }
    ensure!(count > 15, "only {count} frames");
    ensure!(
        wrong.is_empty(),
        "{} old requests are answered otherwise:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    server.check()?;
    Ok(count)
}

/// Reads whole frames of a stream, and keeps what answers none.
#[derive(Default)]
struct Answers {
    buffer: Vec<u8>,
}

impl Answers {
    /// The answer to a request, as bytes.
    async fn next(&mut self, input: &mut RecvStream, most: usize, request: u32) -> Result<Bytes> {
        loop {
            if let Some(length) = self.buffer.first_chunk::<4>() {
                let length = 4 + u32::from_be_bytes(*length) as usize;
                ensure!(length <= most, "a frame of {length} bytes");
                if self.buffer.len() >= length {
                    let rest = self.buffer.split_off(length);
                    let bytes = Bytes::from(std::mem::replace(&mut self.buffer, rest));
                    // Events answer nothing.
                    if frame(&bytes)?.1 == request {
                        return Ok(bytes);
                    }
                    continue;
                }
            }
            let chunk = timeout(PATIENCE, input.read_chunk(64 * 1024, true)).await;
            match chunk.context("no answer in time")?? {
                Some(chunk) => self.buffer.extend_from_slice(&chunk.bytes),
                None => bail!("the stream ended without an answer to {request}"),
            }
        }
    }
}

/// All that an old client reads in an answer is there and the same; what is new it skips.
fn compare(name: &str, then: &Bytes, now: &Bytes, wrong: &mut Vec<String>) -> Result<()> {
    let ((kind, _, body), (kind_now, _, body_now)) = (frame(then)?, frame(now)?);
    if kind != kind_now {
        if !OTHER_KINDS.contains(&(name, kind, kind_now)) {
            wrong.push(format!("{name}: answered with kind {kind_now}, not {kind}"));
        }
        return Ok(());
    }
    let read = |mut bytes: &[u8]| rmpv::decode::read_value(&mut bytes);
    let (then, now) = (read(&body)?, read(&body_now)?);
    if let Some(difference) = difference(&then, &now) {
        wrong.push(format!("{name}: {difference}"));
    }
    Ok(())
}

/// What of the old value is not in the new one.
fn difference(then: &Value, now: &Value) -> Option<String> {
    match (then, now) {
        (Value::Map(then), Value::Map(now)) => {
            let now: BTreeMap<&str, &Value> = now
                .iter()
                .filter_map(|(key, value)| Some((key.as_str()?, value)))
                .collect();
            then.iter().find_map(|(key, value)| {
                let key = key.as_str()?;
                if CHANCE.contains(&key) {
                    return None;
                }
                let found = match now.get(key) {
                    Some(found) => difference(value, found)?,
                    None => "is not there".to_owned(),
                };
                Some(format!("{key}: {found}"))
            })
        }
        (Value::Array(then), Value::Array(now)) if then.len() == now.len() => {
            let mut pairs = then.iter().zip(now).enumerate();
            pairs.find_map(|(place, (then, now))| {
                Some(format!("[{place}] {}", difference(then, now)?))
            })
        }
        (Value::Binary(then), Value::Binary(now)) if then != now => {
            // Encoded records in records.
            let read = |mut bytes: &[u8]| rmpv::decode::read_value(&mut bytes).ok();
            match (read(then), read(now)) {
                (Some(then @ Value::Map(_)), Some(now @ Value::Map(_))) => difference(&then, &now),
                _ => Some("other bytes".to_owned()),
            }
        }
        (Value::Integer(then), Value::Integer(now)) => {
            let are_times = [then, now]
                .iter()
                .all(|it| it.as_u64().is_some_and(|it| it > CLOCK));
            (then != now && !are_times).then(|| format!("{now}, not {then}"))
        }
        (then, now) => (then != now).then(|| format!("{now}, not {then}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_new_is_no_difference_and_what_is_gone_is() {
        let map = |pairs: &[(&str, u64)]| {
            Value::Map(
                pairs
                    .iter()
                    .map(|(key, value)| ((*key).into(), (*value).into()))
                    .collect(),
            )
        };
        let then = map(&[("a", 1), ("t", CLOCK + 1)]);
        assert_eq!(
            difference(&then, &map(&[("t", CLOCK + 9), ("a", 1), ("b", 2)])),
            None
        );
        assert!(difference(&then, &map(&[("a", 2), ("t", CLOCK + 1)])).is_some());
        assert!(difference(&then, &map(&[("a", 1)])).is_some());
    }
}
