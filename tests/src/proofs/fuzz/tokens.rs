//! Tokens: what anybody can write, and what a backend with a key but without care can sign.

use anyhow::{Context, Result, ensure};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use fireside_protocol::limits::{TOKEN_LEEWAY_MS, USER_ID_BYTES_MAX};
use fireside_server::{TokenKeys, token::TokenError};
use ring::hmac;

use super::decoders::Outcome;
use crate::chance::Chance;

const SECRET: &[u8; 32] = b"0123456789abcdef0123456789abcdef";
/// The wall clock of all checks, in s since 1970.
const NOW_S: u64 = 1_763_900_000;

macro_rules! mutations {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// How a token was made from a good one.
        #[derive(Clone, Copy, Debug, Eq, PartialEq)]
        pub(super) enum Mutation { $($(#[$doc])* $name,)* }

        impl Mutation {
            /// All of them.
            pub(super) const ALL: &'static [Self] = &[$(Self::$name),*];
        }
    };
}

mutations! {
    /// Bits of the text turned, if it stays text.
    BitFlips,
    /// Ended early, or begun late.
    Cut,
    /// A part left out, doubled, or in another's place.
    Parts,
    /// Characters put in or over.
    Characters,
    /// The beginning of one token and the end of another.
    Spliced,
    /// Its payload changed, the signature left.
    Forged,
    /// Its header changed (another algorithm, another key), the signature left or gone.
    OtherHeader,
    /// Bytes of the payload changed, signed.
    SignedBytes,
    /// A claim with another value (numbers at their ends, other types), signed.
    SignedClaim,
    /// A claim that comes twice, signed.
    SignedRepeat,
    /// A claim nested deep or very long, signed.
    SignedDepth,
}

/// The keys of a server and good tokens for it.
pub(super) struct Tokens {
    keys: TokenKeys,
    key: hmac::Key,
    pub(super) good: Vec<String>,
    pub(super) payloads: Vec<String>,
}

impl Tokens {
    /// Makes them.
    pub(super) fn new() -> Result<Self> {
        let secret = URL_SAFE_NO_PAD.encode(SECRET);
        let other = URL_SAFE_NO_PAD.encode([7; 32]);
        let file = format!(
            "[[key]]\nkid = \"k1\"\nalgorithm = \"HS256\"\nsecret = \"{secret}\"\n\
             [[key]]\nkid = \"k2\"\nalgorithm = \"HS256\"\nsecret = \"{other}\"\n"
        );
        let keys = TokenKeys::parse(&file)?;
        let (iat, exp) = (NOW_S - 60, NOW_S + 3_600);
        let payloads = vec![
            format!(r#"{{"sub":"anna","iat":{iat},"exp":{exp}}}"#),
            format!(
                r#"{{"sub":"陈","iat":{iat},"exp":{exp}.5,"nbf":{iat},"aud":["a","b"],"name":"Chén","roles":["staff"],"age_group":"adult","platform":"ps5"}}"#
            ),
            format!(
                r#"{{"more":{{"a":[1,{{}}]}},"exp":{exp},"aud":"a","sub":"bob \"b\"","iat":{iat}}}"#
            ),
        ];
        let mut tokens = Self {
            keys,
            key: hmac::Key::new(hmac::HMAC_SHA256, SECRET),
            good: Vec::new(),
            payloads,
        };
        tokens.good = tokens
            .payloads
            .iter()
            .map(|payload| tokens.sign(HEADER, payload.as_bytes()))
            .collect();
        for token in &tokens.good {
            tokens.check(token).context("a good token")??;
        }
        Ok(tokens)
    }

    fn sign(&self, header: &str, payload: &[u8]) -> String {
        let message = format!(
            "{}.{}",
            URL_SAFE_NO_PAD.encode(header),
            URL_SAFE_NO_PAD.encode(payload)
        );
        let signature = hmac::sign(&self.key, message.as_bytes());
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    /// Checks a token; the outer error is a broken promise.
    fn check(&self, token: &str) -> Result<Result<(), TokenError>> {
        let identity = match self.keys.verify(token, NOW_S * 1_000) {
            Ok(identity) => identity,
            Err(error) => return Ok(Err(error)),
        };
        let user = identity.user.as_str();
        ensure!(
            (1..=USER_ID_BYTES_MAX).contains(&user.len()),
            "a user id of {} bytes",
            user.len()
        );
        ensure!(
            !user.chars().any(char::is_control),
            "control characters in {user:?}"
        );
        ensure!(
            identity
                .expires
                .checked_add(TOKEN_LEEWAY_MS)
                .is_some_and(|end| end > NOW_S * 1_000),
            "expired at {}",
            identity.expires
        );
        ensure!(
            identity.issued_at <= NOW_S * 1_000 + TOKEN_LEEWAY_MS,
            "issued at {}",
            identity.issued_at
        );
        Ok(Ok(()))
    }

    /// Gives a token to the parser. `signed`: by the key's owner, as it is.
    pub(super) fn attack(&self, token: &String, signed: bool) -> Result<Outcome> {
        let outcome = match self.check(token)? {
            Ok(()) => Outcome::Taken,
            Err(error) => Outcome::Refused(name(error)),
        };
        let as_it_was = self.good.contains(token);
        ensure!(
            signed || as_it_was || outcome != Outcome::Taken,
            "a token that nobody signed is taken"
        );
        Ok(outcome)
    }

    /// A token, and whether the key's owner signed it as it is.
    pub(super) fn mutate(&self, mutation: Mutation, chance: &mut Chance) -> (String, bool) {
        let index = chance.below(self.good.len() as u64) as usize;
        let (good, payload) = (&self.good[index], &self.payloads[index]);
        let mut parts: Vec<&str> = good.split('.').collect();
        let mut bytes = good.clone().into_bytes();
        match mutation {
            Mutation::BitFlips => {
                flip(&mut bytes, chance);
                (text(bytes), false)
            }
            Mutation::Cut => {
                let cut = chance.below(bytes.len() as u64) as usize;
                let rest = if chance.below(2) == 0 {
                    bytes.split_off(cut)
                } else {
                    bytes[..cut].to_vec()
                };
                (text(rest), false)
            }
            Mutation::Parts => {
                let (a, b) = (chance.below(3) as usize, chance.below(3) as usize);
                match chance.below(3) {
                    0 => drop(parts.remove(a)),
                    1 => parts.insert(a, parts[b]),
                    _ => parts.swap(a, b),
                }
                (parts.join("."), false)
            }
            Mutation::Characters => {
                for _ in 0..chance.between(1, 3) {
                    let odd = *chance.pick(b"..=+/_-A \n\0\x7f{\"").unwrap_or(&b'.');
                    let at = chance.below(bytes.len() as u64) as usize;
                    if chance.below(2) == 0 {
                        bytes.insert(at, odd);
                    } else {
                        bytes[at] = odd;
                    }
                }
                (text(bytes), false)
            }
            Mutation::Spliced => {
                let other = chance.pick(&self.good).unwrap_or(good);
                let (to, from) = (
                    chance.below(good.len() as u64),
                    chance.below(other.len() as u64),
                );
                (
                    format!("{}{}", &good[..to as usize], &other[from as usize..]),
                    false,
                )
            }
            Mutation::Forged => {
                let forged = payload
                    .replace("anna", "root")
                    .replace("bob", "root")
                    .replace('陈', "root");
                let forged = URL_SAFE_NO_PAD.encode(forged);
                (format!("{}.{forged}.{}", parts[0], parts[2]), false)
            }
            Mutation::OtherHeader => {
                let header = chance.pick(HEADERS).copied().unwrap_or_default();
                let header = URL_SAFE_NO_PAD.encode(header);
                let signature = if chance.below(2) == 0 { "" } else { parts[2] };
                (format!("{header}.{}.{signature}", parts[1]), false)
            }
            Mutation::SignedBytes => {
                let mut payload = payload.clone().into_bytes();
                match chance.below(3) {
                    0 => flip(&mut payload, chance),
                    1 => payload.truncate(chance.below(payload.len() as u64) as usize),
                    _ => {
                        let at = chance.below(payload.len() as u64) as usize;
                        payload.insert(at, chance.next() as u8);
                    }
                }
                (self.sign(HEADER, &payload), true)
            }
            Mutation::SignedClaim => {
                let claim = chance.pick(CLAIMS).copied().unwrap_or("sub");
                let value = chance.pick(VALUES).copied().unwrap_or("null");
                let payload = replace_claim(payload, claim, value);
                (self.sign(HEADER, payload.as_bytes()), true)
            }
            Mutation::SignedRepeat => {
                let claim = chance.pick(CLAIMS).copied().unwrap_or("sub");
                let value = chance.pick(VALUES).copied().unwrap_or("null");
                let payload = payload.replacen('{', &format!("{{\"{claim}\":{value},"), 1);
                (self.sign(HEADER, payload.as_bytes()), true)
            }
            Mutation::SignedDepth => {
                let levels = chance.between(1, 3_000) as usize;
                let value = match chance.below(3) {
                    0 => "[".repeat(levels) + &"]".repeat(levels),
                    1 => "{\"a\":".repeat(levels),
                    _ => format!("\"{}\"", "x".repeat(levels)),
                };
                let claim = chance.pick(CLAIMS).copied().unwrap_or("more");
                let payload = payload.replacen('{', &format!("{{\"{claim}\":{value},"), 1);
                (self.sign(HEADER, payload.as_bytes()), true)
            }
        }
    }
}

const HEADER: &str = r#"{"alg":"HS256","typ":"JWT","kid":"k1"}"#;
const HEADERS: &[&str] = &[
    r#"{"alg":"none"}"#,
    r#"{"alg":"none","kid":"k1"}"#,
    r#"{"alg":"EdDSA","kid":"k1"}"#,
    r#"{"alg":"RS256","kid":"k1"}"#,
    r#"{"alg":"hs256","kid":"k1"}"#,
    r#"{"alg":"HS256","kid":"k2"}"#,
    r#"{"alg":"HS256","kid":"../k1"}"#,
    r#"{"alg":"HS256"}"#,
    r#"{"alg":"HS256","kid":"k1","crit":["b64"]}"#,
    r#"{"alg":"HS256","alg":"none","kid":"k1"}"#,
    r#"{"kid":"k1"}"#,
    "[]",
    "",
];
const CLAIMS: &[&str] = &[
    "sub",
    "exp",
    "iat",
    "nbf",
    "aud",
    "name",
    "roles",
    "age_group",
    "platform",
    "more",
];
const VALUES: &[&str] = &[
    "null",
    "true",
    "0",
    "-1",
    "1e999",
    "1e18",
    "-0.0",
    "18446744073709551615",
    "18446744073709551616",
    "9007199254740993.5",
    "\"\"",
    "\"x\"",
    "\"\\u0000\"",
    "\"\\ud800\"",
    "\"a\\nb\"",
    "[]",
    "[null]",
    "[\"a\",\"b\"]",
    "{}",
    "\"1763903600\"",
    "1763900001",
    "1763800000",
];

fn replace_claim(payload: &str, claim: &str, value: &str) -> String {
    let marker = format!("\"{claim}\":");
    let Some(start) = payload.find(&marker).map(|at| at + marker.len()) else {
        return payload.replacen('{', &format!("{{{marker}{value},"), 1);
    };
    let rest = &payload[start..];
    // Arrays have commas of their own.
    let end = if rest.starts_with('[') {
        rest.find(']').map(|at| at + 1)
    } else {
        rest.find([',', '}'])
    };
    format!(
        "{}{value}{}",
        &payload[..start],
        &rest[end.unwrap_or(rest.len())..]
    )
}

fn flip(bytes: &mut [u8], chance: &mut Chance) {
    for _ in 0..chance.between(1, 4) {
        let at = chance.below(bytes.len() as u64) as usize;
        if let Some(byte) = bytes.get_mut(at) {
            *byte ^= 1 << chance.below(8);
        }
    }
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

fn name(error: TokenError) -> &'static str {
    match error {
        TokenError::TooLong => "token too long",
        TokenError::Malformed => "token malformed",
        TokenError::UnknownKey => "token of an unknown key",
        TokenError::WrongAlgorithm => "token of another algorithm",
        TokenError::Critical => "token with crit",
        TokenError::BadSignature => "token badly signed",
        TokenError::WrongAudience => "token for another audience",
        TokenError::BadUser => "token of no user",
        TokenError::Expired => "token expired",
        TokenError::NotYetValid => "token not yet valid",
        _ => "token: other",
    }
}
