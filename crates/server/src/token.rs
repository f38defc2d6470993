//! User tokens: JWTs (RFC 7519) that the game's backend signs, HS256 or EdDSA (Ed25519), keys by `kid`.
//!
//! Checked by hand over ring: the crate that was considered keeps its crypto provider in a process-wide global, and a server must
//! be embeddable beside anything. A key has exactly one algorithm; the token's `alg` only has to agree with it.

use std::path::{Path, PathBuf};

use base64::{
    Engine as _, alphabet,
    engine::{
        DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig, general_purpose::URL_SAFE_NO_PAD,
    },
};
use fireside_protocol::{
    Code, UserId, WallMs,
    limits::{TOKEN_BYTES_MAX, TOKEN_LEEWAY_MS},
    text::normalise_name,
};
use ring::{hmac, signature};
use serde::{Deserialize, Serialize};

use crate::keys::fill_random;

/// Times of a token are cut to this: the end of the year 9999, in ms.
pub const TOKEN_TIME_MS_MAX: u64 = 253_402_300_799_999;
/// Roles kept of a token.
pub const TOKEN_ROLES_MAX: usize = 16;
/// Bytes of a role, platform or audience.
pub const TOKEN_WORD_BYTES_MAX: usize = 64;
/// Keys of one server: a few per backend, old and new.
pub const TOKEN_KEYS_MAX: usize = 64;
/// Bytes of an HS256 secret at least (RFC 7518 section 3.2).
pub const TOKEN_SECRET_BYTES_MIN: usize = 32;

/// What a token says. Times are in seconds since 1970, as in every JWT.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Claims {
    /// The user id: 1 to 64 bytes without control characters.
    pub sub: String,
    /// When the token ends.
    #[serde(deserialize_with = "numeric_date")]
    pub exp: u64,
    /// When it was issued.
    #[serde(deserialize_with = "numeric_date")]
    pub iat: u64,
    /// Not valid before.
    #[serde(
        default,
        deserialize_with = "some_numeric_date",
        skip_serializing_if = "Option::is_none"
    )]
    pub nbf: Option<u64>,
    /// Whom it is for; checked if the server names an audience.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aud: Option<Audience>,
    /// The name shown to others.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// For example `staff`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<String>,
    /// For example `child`, `teen`, `adult`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub age_group: String,
    /// For example `windows`, `ps5`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub platform: String,
}

/// One audience or several.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Audience {
    /// One.
    One(String),
    /// Several.
    Many(Vec<String>),
}

/// Who a checked token says somebody is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Identity {
    /// The token's `sub`.
    pub user: UserId,
    /// Its name, normalised; empty if there is none or it is not a name.
    pub name: String,
    /// Its roles.
    pub roles: Vec<String>,
    /// Its age group.
    pub age_group: String,
    /// Its platform.
    pub platform: String,
    /// When it was issued.
    pub issued_at: WallMs,
    /// When it ends.
    pub expires: WallMs,
}

/// Why a token is refused. The texts name what to look at and hold nothing of the token.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// Over [`TOKEN_BYTES_MAX`].
    #[error("the token is over {TOKEN_BYTES_MAX} bytes")]
    TooLong,
    /// Not three base64url parts of JSON with the claims there must be.
    #[error("the token is not a JWT with sub, exp and iat")]
    Malformed,
    /// No key of this name; or no name and several keys.
    #[error("the token's kid names no key of this server")]
    UnknownKey,
    /// Another algorithm than the key's.
    #[error("the token's alg is not that of its key")]
    WrongAlgorithm,
    /// The header asks for something that this server does not do.
    #[error("the token's header has crit, which is not supported")]
    Critical,
    /// Not signed with the key.
    #[error("the token's signature does not fit its key")]
    BadSignature,
    /// Not for this server.
    #[error("the token's aud is not this server's")]
    WrongAudience,
    /// The user id has no bytes, too many, or control characters.
    #[error("the token's sub is not 1 to 64 bytes without control characters")]
    BadUser,
    /// Over.
    #[error("the token has expired")]
    Expired,
    /// `nbf` or `iat` is in the future.
    #[error("the token is not valid yet")]
    NotYetValid,
}

impl TokenError {
    /// The code on the wire.
    #[must_use]
    pub const fn code(self) -> Code {
        match self {
            Self::Expired => Code::TokenExpired,
            Self::NotYetValid => Code::TokenNotYetValid,
            _ => Code::TokenInvalid,
        }
    }
}

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

/// Why a token can not be signed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SignError {
    /// No such key.
    #[error("there is no key of this name")]
    UnknownKey,
    /// A public key checks tokens, it can not sign them.
    #[error("the key has no private part: sign where the private key is")]
    NoPrivateKey,
    /// The claims can not be written.
    #[error("the claims can not be written as JSON")]
    Claims,
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

enum KeyKind {
    Hs256(hmac::Key),
    EdDsa {
        public: [u8; 32],
        private: Option<Box<signature::Ed25519KeyPair>>,
    },
}

struct TokenKey {
    kid: String,
    kind: KeyKind,
}

/// The keys that tokens are checked against. Immutable; a reload makes new ones.
///
/// The file is TOML (or JSON of the same shape):
///
/// ```toml
/// [[key]]
/// kid = "2026-11"
/// algorithm = "HS256"
/// secret = "base64url of at least 32 random bytes"
///
/// [[key]]
/// kid = "backend"
/// algorithm = "EdDSA"
/// public = """-----BEGIN PUBLIC KEY----- …"""    # PEM, or base64url of the 32 bytes
/// # private = """-----BEGIN PRIVATE KEY----- …"""  # only where `fireside token` signs
/// ```
pub struct TokenKeys {
    keys: Vec<TokenKey>,
    audiences: Vec<String>,
}

impl std::fmt::Debug for TokenKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list()
            .entries(self.keys.iter().map(|key| &key.kid))
            .finish()
    }
}

#[derive(Deserialize)]
struct TokenHeader {
    alg: String,
    #[serde(default)]
    kid: Option<String>,
    #[serde(default)]
    crit: Option<serde_json::Value>,
}

impl TokenKeys {
    /// Reads a key file.
    ///
    /// # Errors
    /// [`KeyFileError`].
    pub fn load(path: &Path) -> Result<Self, KeyFileError> {
        let text = std::fs::read_to_string(path).map_err(|source| KeyFileError::File {
            path: path.to_owned(),
            source,
        })?;
        Self::parse(&text)
    }

    /// Reads the file at `path`; if there is none, makes one with a random HS256 key named `dev`. For development.
    ///
    /// # Errors
    /// [`KeyFileError`].
    pub fn load_or_make(path: &Path) -> Result<Self, KeyFileError> {
        let failed = |source| KeyFileError::File {
            path: path.to_owned(),
            source,
        };
        if !path.exists() {
            let mut secret = [0; 32];
            fill_random(&mut secret).map_err(failed)?;
            let secret = URL_SAFE_NO_PAD.encode(secret);
            let text = format!(
                "# Made by fireside for development. Whoever has it can log in as anybody.\n\
                 [[key]]\nkid = \"dev\"\nalgorithm = \"HS256\"\nsecret = \"{secret}\"\n"
            );
            crate::keys::write_secret(path, text.as_bytes()).map_err(failed)?;
        }
        Self::load(path)
    }

    /// Reads a key file's text.
    ///
    /// # Errors
    /// [`KeyFileError`].
    pub fn parse(text: &str) -> Result<Self, KeyFileError> {
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
        Ok(Self {
            keys,
            audiences: Vec::new(),
        })
    }

    /// Takes only tokens for one of these; without any, `aud` is not looked at.
    #[must_use]
    pub fn with_audiences(mut self, audiences: Vec<String>) -> Self {
        self.audiences = audiences;
        self
    }

    /// Checks a token at the wall clock `now_ms`.
    ///
    /// # Errors
    /// [`TokenError`]; nothing of an invalid token is believed, so its times are looked at last.
    pub fn verify(&self, token: &str, now_ms: WallMs) -> Result<Identity, TokenError> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(TokenError::TooLong);
        }
        let (message, signature) = token.rsplit_once('.').ok_or(TokenError::Malformed)?;
        let (header, payload) = message.split_once('.').ok_or(TokenError::Malformed)?;
        let header: TokenHeader = part(header)?;
        if header.crit.is_some() {
            return Err(TokenError::Critical);
        }
        let key = self
            .find(header.kid.as_deref())
            .ok_or(TokenError::UnknownKey)?;
        if header.alg != key.kind.algorithm() {
            return Err(TokenError::WrongAlgorithm);
        }
        let signature = URL_SAFE_NO_PAD
            .decode(signature)
            .map_err(|_| TokenError::Malformed)?;
        if !key.kind.verify(message.as_bytes(), &signature) {
            return Err(TokenError::BadSignature);
        }
        self.check(part(payload)?, now_ms)
    }

    /// Signs claims with the named key, or with the first that can sign.
    ///
    /// # Errors
    /// [`SignError`].
    pub fn sign(&self, kid: Option<&str>, claims: &Claims) -> Result<String, SignError> {
        let key = match kid {
            Some(kid) => self.keys.iter().find(|key| key.kid == kid),
            None => self
                .keys
                .iter()
                .find(|key| key.kind.can_sign())
                .or(self.keys.first()),
        };
        let key = key.ok_or(SignError::UnknownKey)?;
        let header = serde_json::json!({"alg": key.kind.algorithm(), "typ": "JWT", "kid": key.kid});
        let payload = serde_json::to_vec(claims).map_err(|_| SignError::Claims)?;
        let mut token = URL_SAFE_NO_PAD.encode(header.to_string());
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(payload, &mut token);
        let signature = key
            .kind
            .sign(token.as_bytes())
            .ok_or(SignError::NoPrivateKey)?;
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut token);
        Ok(token)
    }

    /// The names of the keys.
    pub fn kids(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().map(|key| key.kid.as_str())
    }

    fn find(&self, kid: Option<&str>) -> Option<&TokenKey> {
        match (kid, self.keys.as_slice()) {
            (Some(kid), keys) => keys.iter().find(|key| key.kid == kid),
            (None, [only]) => Some(only),
            (None, _) => None,
        }
    }

    fn check(&self, claims: Claims, now_ms: WallMs) -> Result<Identity, TokenError> {
        if !self.audiences.is_empty() {
            let ours = |aud: &String| self.audiences.contains(aud);
            let fits = match &claims.aud {
                None => false,
                Some(Audience::One(aud)) => ours(aud),
                Some(Audience::Many(auds)) => auds.iter().any(ours),
            };
            if !fits {
                return Err(TokenError::WrongAudience);
            }
        }
        let user = UserId::new(&claims.sub).map_err(|_| TokenError::BadUser)?;
        // Sums with these must not overflow, whatever a backend signs.
        let ms = |seconds: u64| seconds.saturating_mul(1000).min(TOKEN_TIME_MS_MAX);
        if ms(claims.exp).saturating_add(TOKEN_LEEWAY_MS) <= now_ms {
            return Err(TokenError::Expired);
        }
        let latest = now_ms.saturating_add(TOKEN_LEEWAY_MS);
        if ms(claims.nbf.unwrap_or(0)) > latest || ms(claims.iat) > latest {
            return Err(TokenError::NotYetValid);
        }
        let word = |text: String| {
            if text.len() <= TOKEN_WORD_BYTES_MAX {
                text
            } else {
                String::new()
            }
        };
        Ok(Identity {
            user,
            name: normalise_name(&claims.name).unwrap_or_default(),
            roles: claims
                .roles
                .into_iter()
                .map(word)
                .filter(|role| !role.is_empty())
                .take(TOKEN_ROLES_MAX)
                .collect(),
            age_group: word(claims.age_group),
            platform: word(claims.platform),
            issued_at: ms(claims.iat),
            expires: ms(claims.exp),
        })
    }
}

impl KeyKind {
    const fn algorithm(&self) -> &'static str {
        match self {
            Self::Hs256(_) => "HS256",
            Self::EdDsa { .. } => "EdDSA",
        }
    }

    const fn can_sign(&self) -> bool {
        matches!(
            self,
            Self::Hs256(_)
                | Self::EdDsa {
                    private: Some(_),
                    ..
                }
        )
    }

    fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        match self {
            Self::Hs256(key) => hmac::verify(key, message, signature).is_ok(),
            Self::EdDsa { public, .. } => {
                signature::UnparsedPublicKey::new(&signature::ED25519, public)
                    .verify(message, signature)
                    .is_ok()
            }
        }
    }

    fn sign(&self, message: &[u8]) -> Option<Vec<u8>> {
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

const ED25519_SPKI_HEAD: [u8; 12] = [
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

fn part<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, TokenError> {
    let json = URL_SAFE_NO_PAD
        .decode(text)
        .map_err(|_| TokenError::Malformed)?;
    serde_json::from_slice(&json).map_err(|_| TokenError::Malformed)
}

/// Seconds as RFC 7519 has them: a number that may have a fraction.
fn numeric_date<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let number = serde_json::Number::deserialize(deserializer)?;
    let whole = number.as_u64().or_else(|| {
        let float = number.as_f64()?;
        (0.0..1e15).contains(&float).then_some(float as u64)
    });
    whole.ok_or_else(|| serde::de::Error::custom("not seconds since 1970"))
}

fn some_numeric_date<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<u64>, D::Error> {
    numeric_date(deserializer).map(Some)
}

#[cfg(test)]
#[path = "token_tests.rs"]
mod tests;
