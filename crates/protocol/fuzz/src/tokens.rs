//! Tokens, with the server's own sources: it would take minutes to build the whole server with counters. The first byte of an input says
//! whether the rest is a token as it came (0) or the payload of one that a key's owner signed (1).
#![no_main]

use std::sync::LazyLock;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use fireside_protocol::limits::{TOKEN_LEEWAY_MS, USER_ID_BYTES_MAX};
use libfuzzer_sys::fuzz_target;
use ring::hmac;

#[expect(dead_code, unused_imports, reason = "the server uses the rest")]
#[path = "../../../server/src/token.rs"]
mod token;
#[expect(dead_code, reason = "the server uses the rest")]
#[path = "../../../server/src/token_key.rs"]
mod token_key;

/// The server's file keys: nothing is written here.
mod keys {
    use std::{io, path::Path};

    pub(crate) fn fill_random(_: &mut [u8]) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(crate) fn write_secret(_: &Path, _: &[u8]) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

const SECRET: &[u8; 32] = b"0123456789abcdef0123456789abcdef";
/// The wall clock, in ms since 1970.
const NOW_MS: u64 = 1_763_900_000_000;
const HEADER: &str = r#"{"alg":"HS256","typ":"JWT","kid":"k1"}"#;

struct Signer {
    keys: token::TokenKeys,
    key: hmac::Key,
}

static SIGNER: LazyLock<Signer> = LazyLock::new(|| {
    let secret = URL_SAFE_NO_PAD.encode(SECRET);
    let file = format!("[[key]]\nkid = \"k1\"\nalgorithm = \"HS256\"\nsecret = \"{secret}\"\n");
    Signer {
        keys: token::TokenKeys::parse(&file).expect("a good file"),
        key: hmac::Key::new(hmac::HMAC_SHA256, SECRET),
    }
});

fuzz_target!(|data: &[u8]| {
    let Some((signed, bytes)) = data.split_first() else {
        return;
    };
    let signer = &*SIGNER;
    let token = if signed % 2 == 0 {
        String::from_utf8_lossy(bytes).into_owned()
    } else {
        let message = format!(
            "{}.{}",
            URL_SAFE_NO_PAD.encode(HEADER),
            URL_SAFE_NO_PAD.encode(bytes)
        );
        let signature = hmac::sign(&signer.key, message.as_bytes());
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
    };
    if let Ok(identity) = signer.keys.verify(&token, NOW_MS) {
        let user = identity.user.as_str();
        assert!((1..=USER_ID_BYTES_MAX).contains(&user.len()));
        assert!(!user.chars().any(char::is_control));
        assert!(identity.expires.saturating_add(TOKEN_LEEWAY_MS) > NOW_MS);
        assert!(identity.issued_at <= NOW_MS + TOKEN_LEEWAY_MS);
    }
});
