//! Bounds of the bytes themselves: frames, bodies, datagrams, tokens. What no client of ours would ever send.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use fireside_protocol::{
    ClientFrame, Code, ConversationId, FrameBuffer, ServerFrame,
    frames::{Attention, Typing},
    limits,
};
use fireside_server::Claims;
use quinn::{Connection, ConnectionError, RecvStream, SendStream};
use tokio::time::timeout;

use super::stage::{Stage, seconds};
use crate::wire::{Wire, device, hello, next_frame};

/// Whatever is awaited takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(10);
/// The kind of `Ping`.
const PING: u16 = 3;
/// The kind of `PageRequest`.
const PAGE: u16 = 48;
/// An answer that must not come: it would be here long before.
const SILENCE: Duration = Duration::from_millis(300);

/// How an input is answered.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum End {
    /// It is, and the connection goes on.
    Answered,
    /// With a refusal, after which the connection ends with the same code.
    Refused(Code),
}

/// Tries all of them; how many there were.
pub(super) async fn run(stage: &mut Stage) -> Result<usize> {
    let mut count = 0;
    for (limit, at, beyond, make) in BODIES {
        for (size, end) in [
            (at - 1, End::Answered),
            (*at, End::Answered),
            (at + 1, End::Refused(*beyond)),
        ] {
            let bytes = make(size);
            let got = session(stage, &bytes)
                .await
                .with_context(|| format!("{limit}: {size}"))?;
            ensure!(got == end, "{limit}: {size}: {got:?}, not {end:?}");
        }
        stage.tried(limit);
        count += 1;
    }
    // A frame is its length, kind and request at least.
    for (length, end) in [(5, End::Refused(Code::BadFrame)), (7, End::Answered)] {
        let mut bytes = frame(PING, &[0x80]);
        if let Some(low) = bytes.get_mut(3) {
            *low = length;
        }
        let got = session(stage, &bytes).await.context("FRAME_HEADER_BYTES")?;
        ensure!(
            got == end,
            "FRAME_HEADER_BYTES: a length of {length}: {got:?}"
        );
    }
    stage.tried("FRAME_HEADER_BYTES");
    page_request(stage)
        .await
        .context("PAGE_REQUEST_BYTES_MAX")?;
    datagrams(stage).await.context("DATAGRAM_BYTES_MAX")?;
    user_ids(stage).await.context("USER_ID_BYTES_MAX")?;
    tokens(stage).await?;
    Ok(count + 6)
}

type Body = (&'static str, usize, Code, fn(usize) -> Vec<u8>);

/// Pings with something in them that nobody knows, which is skipped up to the limit.
const BODIES: &[Body] = &[
    (
        "FRAME_BYTES_MAX",
        limits::FRAME_BYTES_MAX,
        Code::FrameTooLarge,
        |size| {
            let mut body = b"\x81\xa2zz\xc6".to_vec();
            let more = size - limits::FRAME_HEADER_BYTES - body.len() - 4;
            body.extend_from_slice(&(more as u32).to_be_bytes());
            body.resize(body.len() + more, 0);
            frame(PING, &body)
        },
    ),
    (
        "DEPTH_MAX",
        limits::DEPTH_MAX as usize,
        Code::BadBody,
        |depth| {
            // The body's map is the first level.
            let mut body = b"\x81\xa2zz".to_vec();
            body.extend(vec![0x91; depth - 2]);
            body.push(0x90);
            frame(PING, &body)
        },
    ),
    (
        "FIELDS_MAX",
        limits::FIELDS_MAX as usize,
        Code::BadBody,
        |fields| {
            let mut body = vec![0xde, 0, fields as u8];
            for n in 0..fields {
                body.extend_from_slice(&[
                    0xa3,
                    b'z',
                    b'a' + (n / 26) as u8,
                    b'a' + (n % 26) as u8,
                    0xc0,
                ]);
            }
            frame(PING, &body)
        },
    ),
    (
        "LIST_ITEMS_MAX",
        limits::LIST_ITEMS_MAX as usize,
        Code::BadBody,
        |items| {
            let mut body = b"\x81\xa2zz\xdc".to_vec();
            body.extend_from_slice(&(items as u16).to_be_bytes());
            body.extend(vec![0xc0; items]);
            frame(PING, &body)
        },
    ),
    (
        "KEY_BYTES_MAX",
        limits::KEY_BYTES_MAX,
        Code::BadBody,
        |bytes| {
            let mut body = vec![0x81, 0xd9, bytes as u8];
            body.extend(vec![b'z'; bytes]);
            body.push(0xc0);
            frame(PING, &body)
        },
    ),
];

fn frame(kind: u16, body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend_from_slice(&(6 + body.len() as u32).to_be_bytes());
    bytes.extend_from_slice(&kind.to_be_bytes());
    bytes.extend_from_slice(&9_u32.to_be_bytes());
    bytes.extend_from_slice(body);
    bytes
}

/// A session that is logged in, as bytes.
struct Raw {
    connection: Connection,
    out: SendStream,
    input: RecvStream,
    frames: FrameBuffer,
}

impl Raw {
    async fn log_in(stage: &mut Stage, user: &str) -> Result<Self> {
        let token = stage.keys.sign(None, &Stage::claims(user)?)?;
        let hello = hello(&token, device(&mut stage.chance));
        let connection = stage.dialer.connect().await?;
        let (mut out, mut input) = connection.open_bi().await?;
        out.write_all(&[1]).await?;
        out.write_all(&ClientFrame::from(hello).encode(1)).await?;
        let mut frames = FrameBuffer::new(limits::FRAME_BYTES_MAX);
        let welcome = timeout(PATIENCE, next_frame(&mut input, &mut frames)).await??;
        ensure!(
            matches!(welcome, Some(ServerFrame::Welcome(_))),
            "{welcome:?}"
        );
        Ok(Self {
            connection,
            out,
            input,
            frames,
        })
    }

    async fn end(mut self) -> Result<End> {
        let answer = timeout(PATIENCE, next_frame(&mut self.input, &mut self.frames)).await;
        match answer.context("no answer")?? {
            Some(ServerFrame::Pong(_)) => Ok(End::Answered),
            Some(ServerFrame::Refused(refused)) => {
                let code = refused.code();
                self.closed(code).await?;
                Ok(End::Refused(code))
            }
            other => bail!("answered with {other:?}"),
        }
    }

    /// Waits for the end of the connection, which must say the same.
    async fn closed(&self, code: Code) -> Result<()> {
        let reason = timeout(PATIENCE, self.connection.closed()).await;
        match reason.context("the connection goes on")? {
            ConnectionError::ApplicationClosed(close)
                if close.error_code.into_inner() == u64::from(code.number()) =>
            {
                Ok(())
            }
            other => bail!("the connection ended with {other}, after {}", code.key()),
        }
    }
}

/// A new session gets these bytes.
async fn session(stage: &mut Stage, bytes: &[u8]) -> Result<End> {
    let mut raw = Raw::log_in(stage, "raw").await?;
    // What is not taken to its end is refused: that is looked at.
    let _ = raw.out.write_all(bytes).await;
    let end = raw.end().await?;
    if let End::Refused(code) = end {
        stage.tally.codes.insert(code);
    }
    Ok(end)
}

/// A request on a page stream has less room.
async fn page_request(stage: &mut Stage) -> Result<()> {
    let most = limits::PAGE_REQUEST_BYTES_MAX;
    for size in [most - 1, most, most + 1] {
        let mut raw = Raw::log_in(stage, "raw").await?;
        let mut body = b"\x82\xa1c\xc4\x10".to_vec();
        body.extend_from_slice(&[7; 16]);
        body.extend_from_slice(b"\xa2zz\xc5");
        let more = size - limits::FRAME_HEADER_BYTES - body.len() - 2;
        body.extend_from_slice(&(more as u16).to_be_bytes());
        body.resize(body.len() + more, 0);
        let (mut out, mut input) = raw.connection.open_bi().await?;
        out.write_all(&[2]).await?;
        let _ = out.write_all(&frame(PAGE, &body)).await;
        let _ = out.finish();
        if size > most {
            let end = timeout(PATIENCE, next_frame(&mut raw.input, &mut raw.frames)).await??;
            let Some(ServerFrame::Refused(refused)) = end else {
                bail!("{size} bytes: {end:?}");
            };
            ensure!(refused.code() == Code::FrameTooLarge, "{}", refused.code());
            raw.closed(Code::FrameTooLarge).await?;
            continue;
        }
        let mut frames = FrameBuffer::new(limits::PAGE_FRAME_BYTES_MAX);
        let answer = timeout(PATIENCE, next_frame(&mut input, &mut frames)).await??;
        let Some(ServerFrame::Refused(refused)) = answer else {
            bail!("{size} bytes: {answer:?}");
        };
        // Well formed: there is no such conversation.
        ensure!(
            refused.code() == Code::NotFound,
            "{size} bytes: {}",
            refused.code()
        );
    }
    stage.tried("PAGE_REQUEST_BYTES_MAX");
    Ok(())
}

/// A datagram over the limit is dropped, the next is not.
async fn datagrams(stage: &mut Stage) -> Result<()> {
    let group = stage.group("ann", &["bob"]).await?;
    let open = vec![group];
    stage.taken("ann", Attention { open }).await?;
    let most = limits::DATAGRAM_BYTES_MAX;
    let (ann, bob) = (stage.wire("ann").await?, stage.wire("bob").await?);
    for (counter, size) in [(1, most - 1), (2, most), (3, most + 1), (4, 0)] {
        let bytes = typing(group, counter, size);
        ensure!(size == 0 || bytes.len() == size, "{} bytes", bytes.len());
        bob.connection().send_datagram(bytes.into())?;
        let heard = typed(&ann, counter).await?;
        ensure!(heard == (size <= most), "{size} bytes: heard: {heard}");
        // What a user sends too fast is dropped.
        tokio::time::sleep(SILENCE).await;
    }
    stage.tried("DATAGRAM_BYTES_MAX");
    Ok(())
}

fn typing(conversation: ConversationId, counter: u64, size: usize) -> Vec<u8> {
    let typing = Typing {
        conversation,
        counter,
        on: counter % 2 == 1,
    };
    let plain = ClientFrame::from(typing).encode(0);
    if size == 0 {
        return plain.to_vec();
    }
    let mut body = plain
        .get(limits::FRAME_HEADER_BYTES..)
        .unwrap_or_default()
        .to_vec();
    if let Some(map) = body.first_mut() {
        *map += 1;
    }
    body.extend_from_slice(b"\xa2zz\xc5");
    let more = size - limits::FRAME_HEADER_BYTES - body.len() - 2;
    body.extend_from_slice(&(more as u16).to_be_bytes());
    body.resize(body.len() + more, 0);
    let mut bytes = frame(21, &body);
    // Typing has no answer.
    for byte in bytes.iter_mut().skip(6).take(4) {
        *byte = 0;
    }
    bytes
}

/// Whether somebody was told of typing, a moment after it was said.
async fn typed(wire: &Wire, counter: u64) -> Result<bool> {
    let patience = if counter == 3 { SILENCE } else { PATIENCE };
    let begun = Instant::now();
    let mut datagram = wire.connection().read_datagram();
    while begun.elapsed() < patience {
        match timeout(
            patience.saturating_sub(begun.elapsed()),
            &mut Box::pin(datagram),
        )
        .await
        {
            Ok(bytes) => {
                let mut frames = FrameBuffer::new(limits::DATAGRAM_BYTES_MAX);
                frames.extend(&bytes?);
                if let Some(raw) = frames.next_frame()?
                    && matches!(raw.server()?, ServerFrame::TypingOf(_))
                {
                    return Ok(true);
                }
                datagram = wire.connection().read_datagram();
            }
            Err(_) => return Ok(false),
        }
    }
    Ok(false)
}

/// A user id in a request: 1 to 64 bytes.
async fn user_ids(stage: &mut Stage) -> Result<()> {
    let most = limits::USER_ID_BYTES_MAX;
    for (bytes, end) in [
        (1, true),
        (most - 1, true),
        (most, true),
        (most + 1, false),
        (0, false),
    ] {
        let mut raw = Raw::log_in(stage, "raw").await?;
        let mut body = b"\x83\xa1i\xc4\x10".to_vec();
        body.extend_from_slice(&stage.nonce().0);
        body.extend_from_slice(b"\xa1u\xd9");
        body.push(bytes as u8);
        body.extend(vec![b'x'; bytes]);
        body.extend_from_slice(b"\xa2on\xc3");
        raw.out.write_all(&frame(38, &body)).await?;
        let answer = loop {
            // Its record in the user log may come first.
            match timeout(PATIENCE, next_frame(&mut raw.input, &mut raw.frames)).await?? {
                Some(ServerFrame::UserRecord(_)) => {}
                answer => break answer,
            }
        };
        match answer {
            Some(ServerFrame::Ack(_)) if end => {}
            Some(ServerFrame::Refused(refused)) if !end => {
                ensure!(
                    refused.code() == Code::BadBody,
                    "{bytes} bytes: {}",
                    refused.code()
                );
                raw.closed(Code::BadBody).await?;
            }
            other => bail!("{bytes} bytes: {other:?}"),
        }
    }
    // And in a token.
    for (bytes, code) in [(most, None), (most + 1, Some(Code::TokenInvalid))] {
        let claims = Stage::claims(&"y".repeat(bytes))?;
        logs_in(stage, claims, code).await?;
    }
    stage.tried("USER_ID_BYTES_MAX");
    Ok(())
}

/// Tokens: their bytes and their times.
async fn tokens(stage: &mut Stage) -> Result<()> {
    // A name that is too long is left out; the token is as long as it makes it.
    let long = |bytes: usize| -> Result<Claims> {
        Ok(Claims {
            name: "x".repeat(bytes),
            ..Stage::claims("long")?
        })
    };
    let (mut name, mut below) = (limits::TOKEN_BYTES_MAX / 2, 0);
    loop {
        let token = stage.keys.sign(None, &long(name)?)?;
        if token.len() > limits::TOKEN_BYTES_MAX {
            break;
        }
        (below, name) = (token.len(), name + 1);
    }
    ensure!(below + 2 >= limits::TOKEN_BYTES_MAX, "{below} bytes");
    logs_in(stage, long(name - 1)?, None)
        .await
        .context("TOKEN_BYTES_MAX")?;
    let refused = logs_in(stage, long(name)?, Some(Code::TokenInvalid)).await;
    refused.context("TOKEN_BYTES_MAX")?;
    stage.tried("TOKEN_BYTES_MAX");
    let (now, leeway) = (seconds()?, limits::TOKEN_LEEWAY_MS / 1_000);
    const NEAR: u64 = 8;
    for (ahead, before, code) in [
        (0, leeway - NEAR, None),
        (0, leeway + NEAR, Some(Code::TokenExpired)),
        (leeway - NEAR, 0, None),
        (leeway + NEAR, 0, Some(Code::TokenNotYetValid)),
    ] {
        let claims = Claims {
            iat: now - 1_000,
            exp: if before > 0 {
                now - before
            } else {
                now + 1_000
            },
            nbf: Some(now + ahead),
            ..Stage::claims("late")?
        };
        let claims = Claims {
            nbf: if ahead > 0 { claims.nbf } else { None },
            ..claims
        };
        let tried = logs_in(stage, claims, code).await;
        tried.with_context(|| format!("TOKEN_LEEWAY_MS: {ahead} ahead, {before} before"))?;
    }
    stage.tried("TOKEN_LEEWAY_MS");
    Ok(())
}

/// A log-in with these claims is welcome, or refused with a code.
async fn logs_in(stage: &mut Stage, claims: Claims, code: Option<Code>) -> Result<()> {
    let token = stage.keys.sign(None, &claims)?;
    let device = device(&mut stage.chance);
    match (Wire::log_in(&stage.dialer, &token, device).await, code) {
        (Ok((wire, _)), None) => wire.close(),
        (Ok(_), Some(code)) => bail!("it is welcome, not {}", code.key()),
        (Err(error), code) => {
            let refused = error.downcast_ref::<crate::wire::LoginRefused>();
            let got = refused.map(|refused| refused.code);
            ensure!(got.is_some() && got == code, "{error:#}");
            stage.tally.codes.extend(got);
        }
    }
    Ok(())
}
