//! Users, tokens and settings of a measured server.

use std::{
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::Context;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use fireside_protocol::{DeviceId, Nonce, UserId};
use ring::{hmac, rand::SecureRandom};

/// Members of the largest group.
pub(super) const GROUP_MEMBERS_MAX: u32 = 1_000;
/// A rate that no bench reaches.
const RATE: u32 = 1_000_000;

/// A data folder in the system's temporary folder, removed when dropped.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    secret: [u8; 32],
}

impl Folder {
    /// A new one with settings and a key.
    pub(super) fn new() -> anyhow::Result<Self> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let name = format!(
            "fireside-bench-{}-{}",
            std::process::id(),
            COUNT.fetch_add(1, Ordering::Relaxed)
        );
        let path = std::env::temp_dir().join(name);
        let secret = random()?;
        let folder = Self { path, secret };
        std::fs::create_dir_all(folder.data())?;
        std::fs::write(folder.data().join("token-keys.toml"), key_file(&secret))?;
        std::fs::write(
            folder.settings(),
            format!("[limits]\n{}[transport]\n{FROM_ONE_ADDRESS}\n", limits()),
        )?;
        Ok(folder)
    }

    /// For databases.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The server's data folder.
    pub(super) fn data(&self) -> PathBuf {
        self.path.join("data")
    }

    /// The settings file.
    pub(super) fn settings(&self) -> PathBuf {
        self.path.join("settings.toml")
    }

    /// A token as a game's backend makes it.
    pub(super) fn token(&self, user: &UserId) -> anyhow::Result<String> {
        let now = wall_ms() / 1000;
        let claims = serde_json::json!({ "sub": user.as_str(), "iat": now, "exp": now + 86_400, "name": user.as_str() });
        let head =
            URL_SAFE_NO_PAD.encode(format!(r#"{{"alg":"HS256","typ":"JWT","kid":"{KEY_ID}"}}"#));
        let signed = format!("{head}.{}", URL_SAFE_NO_PAD.encode(claims.to_string()));
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.secret);
        let signature = URL_SAFE_NO_PAD.encode(hmac::sign(&key, signed.as_bytes()));
        Ok(format!("{signed}.{signature}"))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

const KEY_ID: &str = "bench";

fn key_file(secret: &[u8]) -> String {
    let secret = URL_SAFE_NO_PAD.encode(secret);
    format!("[[key]]\nkid = \"{KEY_ID}\"\nalgorithm = \"HS256\"\nsecret = \"{secret}\"\n")
}

fn limits() -> String {
    format!(
        "rate_direct_per_s = {RATE}\nrate_group_per_s = {RATE}\nrate_conversation_per_s = {RATE}\nrate_requests_per_s = {RATE}\n\
         group_members_max = {GROUP_MEMBERS_MAX}\n"
    )
}

/// All of the load comes from this machine.
const FROM_ONE_ADDRESS: &str = "connections_per_address_max = 0";

/// What is raised, for the report.
pub(super) fn settings_note() -> String {
    format!(
        "raised by settings: {}, {FROM_ONE_ADDRESS}",
        limits().trim().replace('\n', ", ")
    )
}

/// User number `index`.
pub(super) fn user(index: usize) -> anyhow::Result<UserId> {
    UserId::new(&format!("bench-{index:05}")).context("a bad user id")
}

/// The device of user number `index`.
pub(super) fn device(index: usize) -> DeviceId {
    DeviceId((index as u128 + 1).to_be_bytes())
}

/// Wall clock in ms since 1970.
pub(super) fn wall_ms() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_millis() as u64)
}

fn random<const N: usize>() -> anyhow::Result<[u8; N]> {
    let mut bytes = [0; N];
    ring::rand::SystemRandom::new()
        .fill(&mut bytes)
        .ok()
        .context("no random bytes")?;
    Ok(bytes)
}

/// Makes nonces: random where they start, then counting, so that a sender's cost is not the random source's.
#[derive(Debug)]
pub(super) struct Nonces(u128);

impl Nonces {
    /// Starts somewhere.
    pub(super) fn new() -> anyhow::Result<Self> {
        Ok(Self(u128::from_be_bytes(random()?)))
    }

    /// The next.
    pub(super) fn next(&mut self) -> Nonce {
        self.0 = self.0.wrapping_add(1);
        let mut low = [0; 10];
        low.copy_from_slice(&self.0.to_be_bytes()[6..]);
        Nonce::new(wall_ms(), low)
    }
}
