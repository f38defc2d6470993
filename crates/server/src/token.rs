//! User tokens: JWTs (RFC 7519) that the game's backend signs, HS256 or EdDSA (Ed25519), keys by `kid`.
//!
//! Checked by hand over ring: the crate that was considered keeps its crypto provider in a process-wide global, and a server must
//! be embeddable beside anything. A key has exactly one algorithm; the token's `alg` only has to agree with it.

use std::path::Path;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use fireside_protocol::{
    Code, UserId, WallMs,
    limits::{TOKEN_BYTES_MAX, TOKEN_LEEWAY_MS},
    text::normalise_name,
};
use serde::{Deserialize, Serialize};

pub use crate::token_key::{KeyFileError, TOKEN_KEYS_MAX, TOKEN_SECRET_BYTES_MIN};
use crate::{
    keys::fill_random,
    token_key::{self, TokenKey},
};

/// Times of a token are cut to this: the end of the year 9999, in ms.
pub const TOKEN_TIME_MS_MAX: u64 = 253_402_300_799_999;
/// Roles kept of a token.
pub const TOKEN_ROLES_MAX: usize = 16;
/// Bytes of a role, platform or audience.
pub const TOKEN_WORD_BYTES_MAX: usize = 64;

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
        let keys = token_key::parse(text)?;
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
