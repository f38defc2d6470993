//! The server's certificate: self-made for development, PEM files in production, exchanged without a restart.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use arc_swap::ArcSwap;
use ring::digest;
use rustls::{
    crypto::CryptoProvider,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};

use crate::keys::write_secret;

/// The self-made certificate in the data folder.
pub const CERTIFICATE_FILE: &str = "certificate.pem";
/// Its fingerprint, for scripts: hexadecimal digits and a line end.
pub const FINGERPRINT_FILE: &str = "certificate.sha256";
/// Its private key.
pub const CERTIFICATE_KEY_FILE: &str = "certificate.key";

/// SHA-256 of a certificate in DER: what a client pins.
#[derive(Clone, Copy, Eq, Hash, PartialEq)]
pub struct Fingerprint(pub [u8; 32]);

impl std::fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl std::fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self}")
    }
}

/// Why a certificate can not be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// A file can not be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Not PEM, or nothing of the kind in it.
    #[error("{} is not a PEM file with {expected}", path.display())]
    Pem {
        /// Which.
        path: PathBuf,
        /// What was looked for.
        expected: &'static str,
    },
    /// The key does not fit the certificate, or is of an unknown kind.
    #[error("certificate and key do not fit: {0}")]
    Key(rustls::Error),
    /// A development certificate could not be made.
    #[error("can not make a certificate: {0}")]
    Make(String),
}

/// Where certificate and key are.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum CertificateSource {
    /// Made by the server, kept in this folder. Clients pin its fingerprint.
    SelfMade(PathBuf),
    /// PEM files: the chain, leaf first, and the key.
    Files {
        /// The chain.
        certificate: PathBuf,
        /// The private key.
        key: PathBuf,
    },
}

/// The certificate in use; exchanged by [`CertificateHolder::reload`].
#[derive(Debug)]
pub struct CertificateHolder {
    source: CertificateSource,
    provider: Arc<CryptoProvider>,
    current: ArcSwap<CertifiedKey>,
}

impl CertificateHolder {
    /// Loads the certificate, or makes it.
    ///
    /// # Errors
    /// [`CertificateError`].
    pub fn load(
        source: CertificateSource,
        provider: Arc<CryptoProvider>,
    ) -> Result<Self, CertificateError> {
        if let CertificateSource::SelfMade(folder) = &source {
            make_if_missing(folder)?;
        }
        let current = ArcSwap::new(read(&source, &provider)?);
        let holder = Self {
            source,
            provider,
            current,
        };
        holder.write_fingerprint()?;
        Ok(holder)
    }

    /// Reads the files again. New connections get the new certificate; on an error the old one stays.
    ///
    /// # Errors
    /// [`CertificateError`].
    pub fn reload(&self) -> Result<(), CertificateError> {
        self.current.store(read(&self.source, &self.provider)?);
        self.write_fingerprint()
    }

    fn write_fingerprint(&self) -> Result<(), CertificateError> {
        let CertificateSource::SelfMade(folder) = &self.source else {
            return Ok(());
        };
        let path = folder.join(FINGERPRINT_FILE);
        let text = format!("{}\n", self.fingerprint());
        if fs::read_to_string(&path).is_ok_and(|found| found == text) {
            return Ok(());
        }
        write_secret(&path, text.as_bytes())
            .map_err(|source| CertificateError::File { path, source })
    }

    /// Of the certificate in use.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        self.current
            .load()
            .cert
            .first()
            .map_or(Fingerprint([0; 32]), |leaf| fingerprint_of(leaf))
    }
}

impl ResolvesServerCert for CertificateHolder {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current.load_full())
    }
}

/// The fingerprint of a certificate in DER.
#[must_use]
pub fn fingerprint_of(certificate: &[u8]) -> Fingerprint {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest::digest(&digest::SHA256, certificate).as_ref());
    Fingerprint(bytes)
}

/// The fingerprint of the certificate a server keeps in its data folder.
///
/// # Errors
/// [`CertificateError`] if there is none.
pub fn fingerprint_in(data: &Path) -> Result<Fingerprint, CertificateError> {
    let chain = read_chain(&data.join(CERTIFICATE_FILE))?;
    chain
        .first()
        .map(|leaf| fingerprint_of(leaf))
        .ok_or_else(|| CertificateError::Pem {
            path: data.join(CERTIFICATE_FILE),
            expected: "a certificate",
        })
}

fn read(
    source: &CertificateSource,
    provider: &CryptoProvider,
) -> Result<Arc<CertifiedKey>, CertificateError> {
    let (certificate, key) = match source {
        CertificateSource::SelfMade(folder) => (
            folder.join(CERTIFICATE_FILE),
            folder.join(CERTIFICATE_KEY_FILE),
        ),
        CertificateSource::Files { certificate, key } => (certificate.clone(), key.clone()),
    };
    let chain = read_chain(&certificate)?;
    let private =
        PrivateKeyDer::from_pem_slice(&read_file(&key)?).map_err(|_| CertificateError::Pem {
            path: key,
            expected: "a private key",
        })?;
    CertifiedKey::from_der(chain, private, provider)
        .map(Arc::new)
        .map_err(CertificateError::Key)
}

fn read_chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
    let pem = read_file(path)?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    match chain {
        Ok(chain) if !chain.is_empty() => Ok(chain),
        _ => Err(CertificateError::Pem {
            path: path.to_owned(),
            expected: "a certificate",
        }),
    }
}

fn read_file(path: &Path) -> Result<Vec<u8>, CertificateError> {
    fs::read(path).map_err(|source| CertificateError::File {
        path: path.to_owned(),
        source,
    })
}

fn make_if_missing(folder: &Path) -> Result<(), CertificateError> {
    let certificate = folder.join(CERTIFICATE_FILE);
    let key = folder.join(CERTIFICATE_KEY_FILE);
    if certificate.exists() && key.exists() {
        return Ok(());
    }
    // ECDSA P-256 is rcgen's default, and what browsers take for pinned certificates.
    let names = vec!["localhost".to_owned(), "fireside.invalid".to_owned()];
    let made = rcgen::generate_simple_self_signed(names)
        .map_err(|error| CertificateError::Make(error.to_string()))?;
    let write = |path: &Path, text: String| {
        write_secret(path, text.as_bytes()).map_err(|source| CertificateError::File {
            path: path.to_owned(),
            source,
        })
    };
    // The key first: a certificate without its key would be kept for ever.
    write(&key, made.signing_key.serialize_pem())?;
    write(&certificate, made.cert.pem())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn provider() -> Arc<CryptoProvider> {
        Arc::new(rustls::crypto::ring::default_provider())
    }

    #[test]
    fn a_self_made_certificate_is_made_once() {
        let folder = tempfile::tempdir().unwrap();
        let source = CertificateSource::SelfMade(folder.path().to_owned());
        let first = CertificateHolder::load(source.clone(), provider())
            .unwrap()
            .fingerprint();
        let second = CertificateHolder::load(source, provider())
            .unwrap()
            .fingerprint();
        assert_eq!(first, second);
        assert_eq!(fingerprint_in(folder.path()).unwrap(), first);
        let written = fs::read_to_string(folder.path().join(FINGERPRINT_FILE)).unwrap();
        assert_eq!(written, format!("{first}\n"));
    }

    #[test]
    fn reload_takes_new_files_and_keeps_the_old_ones_on_errors() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        make_if_missing(one.path()).unwrap();
        make_if_missing(two.path()).unwrap();
        let files = CertificateSource::Files {
            certificate: one.path().join(CERTIFICATE_FILE),
            key: one.path().join(CERTIFICATE_KEY_FILE),
        };
        let holder = CertificateHolder::load(files, provider()).unwrap();
        let before = holder.fingerprint();
        fs::copy(
            two.path().join(CERTIFICATE_FILE),
            one.path().join(CERTIFICATE_FILE),
        )
        .unwrap();
        assert!(matches!(holder.reload(), Err(CertificateError::Key(_))));
        assert_eq!(holder.fingerprint(), before);
        fs::copy(
            two.path().join(CERTIFICATE_KEY_FILE),
            one.path().join(CERTIFICATE_KEY_FILE),
        )
        .unwrap();
        holder.reload().unwrap();
        assert_eq!(holder.fingerprint(), fingerprint_in(two.path()).unwrap());
        fs::write(one.path().join(CERTIFICATE_FILE), "nothing").unwrap();
        assert!(matches!(holder.reload(), Err(CertificateError::Pem { .. })));
    }
}
