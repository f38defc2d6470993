//! Keys that tokens are checked against: their file, and what each can do.

use std::path::PathBuf;

use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use ring::{hmac, signature};
use serde::Deserialize;

/// Keys of one server: a few per backend, old and new.
pub const TOKEN_KEYS_MAX: usize = 64;

/// Bytes of an HS256 secret at least (RFC 7518 section 3.2).
pub const TOKEN_SECRET_BYTES_MIN: usize = 32;

/// Why a key file can not be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyFileError {
    /// It can not be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Neither TOML nor JSON of the right shape.
    #[error("the key file is not right: {0}")]
    Shape(String),
    /// No key at all.
    #[error("the key file has no [[key]]")]
    Empty,
    /// Over [`TOKEN_KEYS_MAX`].
    #[error("the key file has over {TOKEN_KEYS_MAX} keys")]
    TooMany,
    /// Two keys of one name.
    #[error("the key file has two keys named {0}")]
    Doubled(String),
    /// A key can not be used.
    #[error("key {kid}: {text}")]
    Key {
        /// Which.
        kid: String,
        /// What is wrong, and what is right.
        text: &'static str,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyFile {
    #[serde(default)]
    key: Vec<KeyEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyEntry {
    kid: String,
    algorithm: String,
    #[serde(default)]
    secret: Option<String>,
    #[serde(default)]
    public: Option<String>,
    #[serde(default)]
    private: Option<String>,
}

pub(crate) enum KeyKind {
    Hs256(hmac::Key),
    EdDsa {
        public: [u8; 32],
        private: Option<Box<signature::Ed25519KeyPair>>,
    },
}

pub(crate) struct TokenKey {
    pub(crate) kid: String,
    pub(crate) kind: KeyKind,
}

/// Reads a key file, TOML or JSON of the same shape.
pub(crate) fn parse(text: &str) -> Result<Vec<TokenKey>, KeyFileError> {
    let file: KeyFile = if text.trim_start().starts_with('{') {
        serde_json::from_str(text).map_err(|error| {
            // serde_json's text may hold a piece of the file; line and column do not.
            KeyFileError::Shape(format!("line {}, column {}", error.line(), error.column()))
        })?
    } else {
        toml::from_str(text).map_err(|error| KeyFileError::Shape(error.message().to_owned()))?
    };
    if file.key.is_empty() {
        return Err(KeyFileError::Empty);
    }
    if file.key.len() > TOKEN_KEYS_MAX {
        return Err(KeyFileError::TooMany);
    }
    let mut keys: Vec<TokenKey> = Vec::with_capacity(file.key.len());
    for entry in file.key {
        if keys.iter().any(|key| key.kid == entry.kid) {
            return Err(KeyFileError::Doubled(entry.kid));
        }
        let kind = key_kind(&entry).map_err(|text| KeyFileError::Key {
            kid: entry.kid.clone(),
            text,
        })?;
        keys.push(TokenKey {
            kid: entry.kid,
            kind,
        });
    }
    Ok(keys)
}

impl KeyKind {
    pub(crate) const fn algorithm(&self) -> &'static str {
        match self {
            Self::Hs256(_) => "HS256",
            Self::EdDsa { .. } => "EdDSA",
        }
    }

    pub(crate) const fn can_sign(&self) -> bool {
        matches!(
            self,
            Self::Hs256(_)
                | Self::EdDsa {
                    private: Some(_),
                    ..
                }
        )
    }

    pub(crate) fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        match self {
            Self::Hs256(key) => hmac::verify(key, message, signature).is_ok(),
            Self::EdDsa { public, .. } => {
                signature::UnparsedPublicKey::new(&signature::ED25519, public)
                    .verify(message, signature)
                    .is_ok()
            }
        }
    }

    pub(crate) fn sign(&self, message: &[u8]) -> Option<Vec<u8>> {
        match self {
            Self::Hs256(key) => Some(hmac::sign(key, message).as_ref().to_vec()),
            Self::EdDsa { private, .. } => private
                .as_ref()
                .map(|pair| pair.sign(message).as_ref().to_vec()),
        }
    }
}

fn key_kind(entry: &KeyEntry) -> Result<KeyKind, &'static str> {
    match entry.algorithm.as_str() {
        "HS256" => {
            if entry.public.is_some() || entry.private.is_some() {
                return Err("an HS256 key has only a secret");
            }
            let secret = entry
                .secret
                .as_deref()
                .ok_or("an HS256 key needs a secret")?;
            let secret = lenient_base64(secret).ok_or("the secret is not base64url")?;
            if secret.len() < TOKEN_SECRET_BYTES_MIN {
                return Err("the secret is under 32 bytes; make one of 32 random bytes");
            }
            Ok(KeyKind::Hs256(hmac::Key::new(hmac::HMAC_SHA256, &secret)))
        }
        "EdDSA" => {
            if entry.secret.is_some() {
                return Err("an EdDSA key has public (and private), no secret");
            }
            ed_key(entry.public.as_deref(), entry.private.as_deref())
        }
        _ => Err("the algorithm must be HS256 or EdDSA"),
    }
}

fn ed_key(public: Option<&str>, private: Option<&str>) -> Result<KeyKind, &'static str> {
    use signature::KeyPair as _;
    let private = match private {
        None => None,
        Some(text) => {
            let der = der_of(text).ok_or("private is not PEM or base64url")?;
            let pair = signature::Ed25519KeyPair::from_pkcs8_maybe_unchecked(&der)
                .map_err(|_| "private is not an Ed25519 key in PKCS #8")?;
            Some(Box::new(pair))
        }
    };
    let public = match (public, &private) {
        (Some(text), _) => {
            let der = der_of(text).ok_or("public is not PEM or base64url")?;
            // SubjectPublicKeyInfo of Ed25519 is a fixed 12-byte head and the key (RFC 8410 section 4).
            let raw = der.strip_prefix(&ED25519_SPKI_HEAD).unwrap_or(&der);
            <[u8; 32]>::try_from(raw).map_err(|_| "public is not an Ed25519 key")?
        }
        (None, Some(pair)) => <[u8; 32]>::try_from(pair.public_key().as_ref())
            .map_err(|_| "private is not an Ed25519 key")?,
        (None, None) => return Err("an EdDSA key needs public"),
    };
    if private
        .as_ref()
        .is_some_and(|pair| pair.public_key().as_ref() != public)
    {
        return Err("public and private are not a pair");
    }
    Ok(KeyKind::EdDsa { public, private })
}

pub(crate) const ED25519_SPKI_HEAD: [u8; 12] = [
    0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
];

fn der_of(text: &str) -> Option<Vec<u8>> {
    let text = text.trim();
    if text.starts_with("-----BEGIN") {
        let body: String = text
            .lines()
            .map(str::trim)
            .filter(|line| !line.starts_with("-----"))
            .collect();
        lenient_base64(&body)
    } else {
        lenient_base64(text)
    }
}

/// base64 of a key file, either alphabet, padded or not: people paste what they have.
fn lenient_base64(text: &str) -> Option<Vec<u8>> {
    const CONFIG: GeneralPurposeConfig =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let standard = text.trim().replace('-', "+").replace('_', "/");
    GeneralPurpose::new(&alphabet::STANDARD, CONFIG)
        .decode(standard)
        .ok()
}
