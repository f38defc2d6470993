//! Transfer and decoding of given bytes, and a plain insert of given rows.

use std::{path::Path, time::Instant};

use anyhow::{Context, bail, ensure};
use bytes::{Buf, Bytes, BytesMut};
use rmp::Marker;
use rusqlite::{Connection, params};
use serde_json::{Value, json};

use crate::{LoadArgs, net::Net, stats::input_ended};

/// Bytes read from a stream at once.
const READ_BYTES: usize = 64 * 1024;
/// Bytes between a frame's length and its body: kind and request.
const HEADER_BYTES: usize = 6;

/// Sends the file's bytes over every stream that a client opens.
pub(crate) async fn serve(net: &Net, file: &Path) -> anyhow::Result<Value> {
    let bytes = Bytes::from(std::fs::read(file)?);
    let endpoint = net.server()?;
    let accept = async {
        while let Some(incoming) = endpoint.accept().await {
            let bytes = bytes.clone();
            tokio::spawn(async move {
                let connection = incoming.await?;
                let (mut send, _recv) = connection.accept_bi().await?;
                send.write_chunk(bytes).await?;
                send.finish()?;
                connection.closed().await;
                anyhow::Ok(())
            });
        }
    };
    tokio::select! {
        () = accept => {}
        () = input_ended() => {}
    }
    Ok(Value::Null)
}

/// Connects, fetches and decodes: the median of `times` in ms.
pub(crate) async fn fetch(net: &Net, load: &LoadArgs, times: usize) -> anyhow::Result<Value> {
    let clients = net.clients(1)?;
    let mut took = Vec::new();
    let (mut bytes, mut values) = (0, 0);
    for _ in 0..times {
        let began = Instant::now();
        let connection = clients.connect(0, load.connect).await?;
        let (mut send, mut recv) = connection.open_bi().await?;
        send.write_all(b"go").await?;
        let mut rest = BytesMut::new();
        (bytes, values) = (0, 0);
        while let Some(chunk) = recv.read_chunk(READ_BYTES, true).await? {
            bytes += chunk.bytes.len();
            let mut part = if rest.is_empty() {
                chunk.bytes
            } else {
                rest.extend_from_slice(&chunk.bytes);
                rest.split().freeze()
            };
            while let Some(head) = part.first_chunk::<4>() {
                let length = u32::from_be_bytes(*head) as usize;
                if part.len() < 4 + length {
                    break;
                }
                let frame = part.split_to(4 + length);
                let mut body = frame
                    .get(4 + HEADER_BYTES..)
                    .context("a frame without a body")?;
                values += walk(&mut body)?;
                ensure!(body.is_empty(), "bytes after a body");
            }
            rest.extend_from_slice(&part);
        }
        took.push(began.elapsed().as_secs_f64() * 1e3);
        connection.close(0u32.into(), b"");
    }
    took.sort_by(f64::total_cmp);
    let median = took.get(took.len() / 2).context("no times")?;
    Ok(json!({ "ms": median, "bytes": bytes, "values": values }))
}

/// Reads one value and all in it, and says how many there were. Texts are checked to be UTF-8.
fn walk(bytes: &mut &[u8]) -> anyhow::Result<u64> {
    let mut left = 1u64;
    let mut values = 0;
    while left > 0 {
        left -= 1;
        values += 1;
        match rmp::decode::read_marker(bytes).map_err(|error| anyhow::anyhow!("{error:?}"))? {
            Marker::FixMap(len) => left += 2 * u64::from(len),
            Marker::Map16 => left += 2 * u64::from(bytes.try_get_u16()?),
            Marker::FixArray(len) => left += u64::from(len),
            Marker::Array16 => left += u64::from(bytes.try_get_u16()?),
            Marker::FixStr(len) => text(bytes, len.into())?,
            Marker::Str8 => {
                let len = bytes.try_get_u8()?.into();
                text(bytes, len)?;
            }
            Marker::Str16 => {
                let len = bytes.try_get_u16()?.into();
                text(bytes, len)?;
            }
            Marker::Bin8 => {
                let len = bytes.try_get_u8()?.into();
                skip(bytes, len)?;
            }
            Marker::Bin16 => {
                let len = bytes.try_get_u16()?.into();
                skip(bytes, len)?;
            }
            Marker::FixPos(_) | Marker::FixNeg(_) | Marker::Null | Marker::True | Marker::False => {
            }
            Marker::U8 | Marker::I8 => skip(bytes, 1)?,
            Marker::U16 | Marker::I16 => skip(bytes, 2)?,
            Marker::U32 | Marker::I32 => skip(bytes, 4)?,
            Marker::U64 | Marker::I64 => skip(bytes, 8)?,
            other => bail!("a value of {other:?}"),
        }
    }
    Ok(values)
}

fn skip(bytes: &mut &[u8], len: usize) -> anyhow::Result<()> {
    *bytes = bytes.get(len..).context("cut")?;
    Ok(())
}

fn text(bytes: &mut &[u8], len: usize) -> anyhow::Result<()> {
    let (text, rest) = bytes.split_at_checked(len).context("cut")?;
    std::str::from_utf8(text)?;
    *bytes = rest;
    Ok(())
}

/// Inserts rows in transactions of `batch`, each with its words in an FTS5 index.
pub(crate) fn insert(file: &Path, folder: &Path, batch: usize) -> anyhow::Result<Value> {
    let bytes = std::fs::read(file)?;
    std::fs::create_dir_all(folder)?;
    let mut db = Connection::open(folder.join("rows.sqlite"))?;
    db.pragma_update(None, "journal_mode", "WAL")?;
    db.pragma_update(None, "synchronous", "NORMAL")?;
    db.pragma_update(None, "cache_size", -16_384)?;
    db.execute_batch(
        "CREATE TABLE item (conv BLOB NOT NULL, seq INTEGER NOT NULL, body TEXT NOT NULL, PRIMARY KEY (conv, seq)) WITHOUT ROWID;
         CREATE VIRTUAL TABLE words USING fts5 (body, content='', contentless_delete=1)",
    )?;
    let began = Instant::now();
    let mut rest = &bytes[..];
    let mut rows = 0i64;
    while !rest.is_empty() {
        let transaction = db.transaction()?;
        {
            let mut item = transaction.prepare_cached("INSERT INTO item VALUES (?1, ?2, ?3)")?;
            let mut word =
                transaction.prepare_cached("INSERT INTO words (rowid, body) VALUES (?1, ?2)")?;
            for _ in 0..batch {
                if rest.is_empty() {
                    break;
                }
                let len = rest.try_get_u32()? as usize;
                let (mut row, after) = rest.split_at_checked(len).context("cut")?;
                rest = after;
                let (conv, tail) = row.split_at_checked(16).context("cut")?;
                row = tail;
                let seq = row.try_get_u64()?;
                let body = std::str::from_utf8(row)?;
                rows += 1;
                item.execute(params![conv, seq as i64, body])?;
                word.execute(params![rows, body])?;
            }
        }
        transaction.commit()?;
    }
    Ok(json!({ "ms": began.elapsed().as_secs_f64() * 1e3, "rows": rows }))
}
