//! This machine's clock against the server's.

use std::{
    net::SocketAddr,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, bail};
use fireside_client::{Trust, quic_config};
use fireside_protocol::{
    ClientFrame, DeviceId, FrameBuffer, ServerFrame, UserId, VERSION, frames::Hello,
    limits::FRAME_BYTES_MAX,
};
use fireside_server::certificate::fingerprint_in;

use super::{DoctorArgs, Finding, Place};
use crate::{target::parse_fingerprint, token::sign};

/// A difference beyond this is worth a word: times of messages look odd.
const SKEW_MS_ODD: u64 = 2_000;
/// Who looks, when a token is made for it. It writes nothing.
const USER: &str = "fireside-doctor";

pub(super) fn check(args: &DoctorArgs, place: &Place) -> Finding {
    let Some(server) = place.server else {
        return Finding::Skipped("needs a server to compare with: --server".to_owned());
    };
    let Some(token) = token(args, place) else {
        return Finding::Skipped(
            "needs a token to log in with: --token, or --data of the server".to_owned(),
        );
    };
    let wait = Duration::from_millis(args.limits.answer_ms_max);
    let name = name(args, server);
    let asked = trust(args).and_then(|trust| skew_ms(server, &name, trust, token, wait));
    let skew = match asked {
        Ok(skew) => skew.saturating_sub(args.clock_offset_ms),
        Err(error) => {
            return Finding::Bad(
                format!("no log-in at {server}: {error:#}"),
                "see to `udp` first; then check the token (its key, its time) and that the server is not full".to_owned(),
            );
        }
    };
    let (size, side) = (
        skew.unsigned_abs(),
        if skew < 0 { "ahead of" } else { "behind" },
    );
    let limit = args.limits.clock_skew_ms_max;
    let remedy = "set both clocks by NTP: `timedatectl set-ntp true`".to_owned();
    if size > limit {
        return Finding::Bad(
            format!(
                "this clock is {size} ms {side} the server's; expected at most {limit} ms: tokens will be refused"
            ),
            remedy,
        );
    }
    if size > SKEW_MS_ODD {
        return Finding::Weak(
            format!("this clock is {size} ms {side} the server's"),
            remedy,
        );
    }
    Finding::Good(format!("{size} ms from the server's"))
}

fn token(args: &DoctorArgs, place: &Place) -> Option<String> {
    if let Some(token) = &args.token {
        return Some(token.trim().to_owned());
    }
    let data = args.data.as_deref().filter(|_| place.has_data)?;
    sign(data, None, &UserId::new(USER).ok()?, "", &[], 300).ok()
}

/// The server's clock minus this one's.
fn skew_ms(
    server: SocketAddr,
    name: &str,
    trust: Trust,
    token: String,
    wait: Duration,
) -> anyhow::Result<i64> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        tokio::time::timeout(wait, ask(server, name, trust, token))
            .await
            .context("it takes too long")?
    })
}

async fn ask(server: SocketAddr, name: &str, trust: Trust, token: String) -> anyhow::Result<i64> {
    let bind = if server.is_ipv4() {
        "0.0.0.0:0"
    } else {
        "[::]:0"
    };
    let endpoint = quinn::Endpoint::client(bind.parse()?)?;
    let connection = endpoint
        .connect_with(quic_config(trust)?, server, name)?
        .await?;
    let (mut send, mut receive) = connection.open_bi().await?;
    let hello = ClientFrame::Hello(Hello {
        version_min: VERSION,
        version_max: VERSION,
        token,
        device: DeviceId(*b"fireside-doctor!"),
        agent: concat!("fireside-doctor/", env!("CARGO_PKG_VERSION")).to_owned(),
        platform: std::env::consts::OS.to_owned(),
        user_cursor: 0,
        heads_since: 0,
        open: Vec::new(),
        no_sync: true,
    });
    let (start, wall) = (Instant::now(), wall_ms());
    send.write_all(&[1]).await?;
    send.write_all(&hello.encode(1)).await?;
    let mut frames = FrameBuffer::new(FRAME_BYTES_MAX);
    loop {
        let chunk = receive
            .read_chunk(16 * 1_024, true)
            .await?
            .context("the server ended the stream")?;
        frames.extend(&chunk.bytes);
        while let Some(frame) = frames.next_frame()? {
            match frame.server()? {
                ServerFrame::Welcome(welcome) => {
                    // The answer was made about half way.
                    let here = wall + start.elapsed().as_millis() as u64 / 2;
                    connection.close(0_u32.into(), b"");
                    return Ok(welcome.now.cast_signed() - here.cast_signed());
                }
                ServerFrame::Refused(refused) => bail!("{}", refused.code()),
                _ => {}
            }
        }
    }
}

/// What a certificate must be for: the name given, else the address.
fn name(args: &DoctorArgs, server: SocketAddr) -> String {
    let given = args
        .server
        .as_deref()
        .and_then(|server| server.rsplit_once(':'));
    given.map_or_else(
        || server.ip().to_string(),
        |(host, _)| host.trim_matches(['[', ']']).to_owned(),
    )
}

fn wall_ms() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_millis() as u64
}

/// A token goes only to the server it is for: the one of the data folder, the one pinned, or one with a name of its own.
fn trust(args: &DoctorArgs) -> anyhow::Result<Trust> {
    if let Some(hex) = &args.fingerprint {
        return Ok(Trust::Pinned(parse_fingerprint(hex)?));
    }
    Ok(match &args.data {
        Some(data) => Trust::Pinned(fingerprint_in(data)?.0),
        None => Trust::Roots,
    })
}
