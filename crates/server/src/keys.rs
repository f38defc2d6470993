//! Secrets that outlive the process: without them every restart looks like an attack to the clients.

use std::{fs, io, path::Path};

use fireside_server_core::links::LinkSecret;
use quinn::EndpointConfig;
use quinn_proto::HashedConnectionIdGenerator;
use ring::{
    hkdf, hmac,
    rand::{SecureRandom, SystemRandom},
};

/// The file in the data folder.
pub const KEYS_FILE: &str = "transport.keys";

const RESET_BYTES: usize = 64;
const CONNECTION_ID_BYTES: usize = 8;
const ADDRESS_TOKEN_BYTES: usize = 32;
const FILE_BYTES: usize = RESET_BYTES + CONNECTION_ID_BYTES + ADDRESS_TOKEN_BYTES;

/// The keys a server's transport keeps over restarts.
///
/// - the reset key: a client of the life before is told at once that its connection is gone (stateless reset);
/// - the connection-id key: packets for connections of this server are told from noise;
/// - the address-token key: a retry token stays valid. The codes of invite links come from it too.
pub struct TransportKeys {
    bytes: Box<[u8; FILE_BYTES]>,
}

impl std::fmt::Debug for TransportKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TransportKeys(..)")
    }
}

impl TransportKeys {
    /// Reads the keys from the data folder, or makes them there (mode 0600).
    ///
    /// # Errors
    /// What the file system said; a file of another size is `InvalidData`.
    pub fn load_or_make(data: &Path) -> io::Result<Self> {
        let path = data.join(KEYS_FILE);
        let mut bytes = Box::new([0; FILE_BYTES]);
        match fs::read(&path) {
            Ok(found) if found.len() == FILE_BYTES => bytes.copy_from_slice(&found),
            Ok(found) => {
                let text = format!(
                    "{} has {} bytes instead of {FILE_BYTES}; remove it to have it made again (clients then reconnect once)",
                    path.display(),
                    found.len()
                );
                return Err(io::Error::new(io::ErrorKind::InvalidData, text));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                fill_random(bytes.as_mut())?;
                write_secret(&path, bytes.as_ref())?;
            }
            Err(error) => return Err(error),
        }
        Ok(Self { bytes })
    }

    /// The endpoint's configuration: reset key and connection ids.
    #[must_use]
    pub fn endpoint_config(&self) -> EndpointConfig {
        let reset = hmac::Key::new(hmac::HMAC_SHA256, &self.bytes[..RESET_BYTES]);
        let mut id = [0; CONNECTION_ID_BYTES];
        id.copy_from_slice(&self.bytes[RESET_BYTES..RESET_BYTES + CONNECTION_ID_BYTES]);
        let id = u64::from_be_bytes(id);
        let mut config = EndpointConfig::new(std::sync::Arc::new(reset));
        config.cid_generator(move || Box::new(HashedConnectionIdGenerator::from_key(id)));
        config
    }

    /// The key of address tokens.
    #[must_use]
    pub fn address_token_key(&self) -> hkdf::Prk {
        let secret = &self.bytes[RESET_BYTES + CONNECTION_ID_BYTES..];
        hkdf::Salt::new(hkdf::HKDF_SHA256, b"fireside/address-token/1").extract(secret)
    }
}

impl TransportKeys {
    /// What invite links are made with.
    pub(crate) fn link_secret(&self) -> LinkSecret {
        let secret = &self.bytes[RESET_BYTES + CONNECTION_ID_BYTES..];
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
        let mut made = [0; 32];
        made.copy_from_slice(hmac::sign(&key, b"fireside/link/1").as_ref());
        LinkSecret(made)
    }
}

/// Fills a buffer from the system's random source.
pub(crate) fn fill_random(bytes: &mut [u8]) -> io::Result<()> {
    SystemRandom::new()
        .fill(bytes)
        .map_err(|_| io::Error::other("the system gives no random numbers"))
}

/// Writes a file only its owner may read, whole or not at all.
pub(crate) fn write_secret(path: &Path, bytes: &[u8]) -> io::Result<()> {
    use io::Write as _;
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let temporary = Path::new(&name);
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    let mut file = options.open(temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(temporary, path)?;
    // The name must be durable too: a certificate that comes and goes with a power cut locks pinned clients out.
    #[cfg(unix)]
    if let Some(folder) = path.parent() {
        fs::File::open(folder)?.sync_all()?;
    }
    Ok(())
}

/// Says in the log if others than its owner may read a file with a secret in it, and what to do. Whoever signs tokens is anybody.
pub(crate) fn warn_if_open(path: &Path) {
    if is_open_to_others(path) {
        let file = path.display();
        tracing::warn!("others on this machine can read the secret in {file}: chmod 600 {file}");
    }
}

fn is_open_to_others(path: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        fs::metadata(path).is_ok_and(|found| found.permissions().mode() & 0o077 != 0)
    }
    #[cfg(not(unix))]
    {
        let _ = path;
        false
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn keys_are_made_once_and_kept_private() {
        let folder = tempfile::tempdir().unwrap();
        let first = TransportKeys::load_or_make(folder.path()).unwrap();
        let second = TransportKeys::load_or_make(folder.path()).unwrap();
        assert_eq!(first.bytes, second.bytes);
        assert_ne!(*first.bytes, [0; FILE_BYTES]);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = fs::metadata(folder.path().join(KEYS_FILE))
                .unwrap()
                .permissions()
                .mode();
            assert_eq!(mode & 0o777, 0o600);
            let path = folder.path().join(KEYS_FILE);
            assert!(!is_open_to_others(&path));
            fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
            assert!(is_open_to_others(&path));
        }
    }

    #[test]
    fn a_damaged_file_is_an_error_and_stays() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(KEYS_FILE), b"short").unwrap();
        let error = TransportKeys::load_or_make(folder.path()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        assert_eq!(fs::read(folder.path().join(KEYS_FILE)).unwrap(), b"short");
    }
}
