//! The folders of an earlier version, unpacked and made young again.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use fireside_protocol::{ConversationId, limits::FRAME_HEADER_BYTES};
use serde_json::Value;

/// An unpacked fixture.
pub(super) struct Folders {
    folder: tempfile::TempDir,
}

impl Folders {
    /// Unpacks it and sets the clocks in it to today.
    pub(super) fn unpack(version: &str) -> Result<Self> {
        let packed = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("fixtures")
            .join(version);
        let packed = packed.join("folders.tar.gz");
        let folder = tempfile::tempdir()?;
        let mut tar = Command::new("tar");
        tar.arg("-xzf").arg(&packed).arg("-C").arg(folder.path());
        ensure!(
            tar.status()?.success(),
            "{} can not be unpacked",
            packed.display()
        );
        let folders = Self { folder };
        folders.make_young()?;
        Ok(folders)
    }

    /// An outbox fails what is older than 7 days, and a server forgets names after 30: they were written a moment ago.
    fn make_young(&self) -> Result<()> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis();
        let database = self.path("server").join("fireside.sqlite");
        let file = rusqlite::Connection::open(database)?;
        file.execute("UPDATE nonces SET at = ?1", [now as i64])?;
        for user in ["ann", "bob"] {
            for folder in fs::read_dir(self.path(user))? {
                let file = rusqlite::Connection::open(folder?.path().join("cache.sqlite"))?;
                file.execute("UPDATE outbox SET created_at = ?1", [now as i64])?;
            }
        }
        Ok(())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A copy of one of the folders, for somebody who changes it.
    pub(super) fn copy(&self, name: &str) -> Result<tempfile::TempDir> {
        let to = tempfile::tempdir()?;
        copy(&self.path(name), to.path())?;
        Ok(to)
    }

    /// A file of it.
    pub(super) fn text(&self, name: &str) -> Result<String> {
        let path = self.path(name);
        fs::read_to_string(&path).with_context(|| path.display().to_string())
    }

    /// A file of it, as JSON.
    pub(super) fn json(&self, name: &str) -> Result<Value> {
        Ok(serde_json::from_str(&self.text(name)?)?)
    }

    /// The id of one of its conversations.
    pub(super) fn conversation(&self, name: &str) -> Result<ConversationId> {
        let expected = self.json("expected.json")?;
        Ok(expected[name].as_str().context("a conversation")?.parse()?)
    }

    /// A list of texts.
    pub(super) fn texts(&self, name: &str) -> Result<Vec<String>> {
        let expected = self.json("expected.json")?;
        let texts = expected[name].as_array().context("a list of texts")?;
        Ok(texts
            .iter()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect())
    }

    /// Of the server's certificate.
    pub(super) fn fingerprint(&self) -> Result<[u8; 32]> {
        let text = self.text("server/certificate.sha256")?;
        let bytes = unhex(text.trim())?;
        bytes
            .as_ref()
            .try_into()
            .context("a fingerprint has 32 bytes")
    }
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &to)?;
        } else {
            fs::copy(entry.path(), to)?;
        }
    }
    Ok(())
}

/// Bytes from hexadecimal digits.
pub(super) fn unhex(text: &str) -> Result<Bytes> {
    ensure!(
        text.len().is_multiple_of(2) && text.is_ascii(),
        "not hexadecimal"
    );
    let digits = (0..text.len() / 2).map(|n| text.get(2 * n..2 * n + 2).unwrap_or_default());
    let bytes = digits.map(|pair| u8::from_str_radix(pair, 16));
    Ok(bytes.collect::<Result<Vec<_>, _>>()?.into())
}

/// Kind, request id and body of one whole frame.
pub(super) fn frame(bytes: &Bytes) -> Result<(u16, u32, Bytes)> {
    let header = bytes
        .get(..FRAME_HEADER_BYTES)
        .context("a frame has a header")?;
    let [a, b, c, d, kind @ ..] = header else {
        anyhow::bail!("a frame has a header");
    };
    let [k, l, request @ ..] = kind else {
        anyhow::bail!("a frame has a kind");
    };
    let length = u32::from_be_bytes([*a, *b, *c, *d]) as usize;
    ensure!(
        length + 4 == bytes.len(),
        "a frame of {length} and 4 bytes has {}",
        bytes.len()
    );
    let request = u32::from_be_bytes(request.try_into()?);
    Ok((
        u16::from_be_bytes([*k, *l]),
        request,
        bytes.slice(FRAME_HEADER_BYTES..),
    ))
}
