#![expect(clippy::unwrap_used, reason = "tests")]
use ring::{hmac, signature};

use super::*;
use crate::token_key::{ED25519_SPKI_HEAD, KeyKind};

type Change = fn(&mut Claims);

const NOW: u64 = 1_800_000_000_000;

fn hs256(kid: &str, fill: u8) -> String {
    let secret = URL_SAFE_NO_PAD.encode([fill; 32]);
    format!("[[key]]\nkid = \"{kid}\"\nalgorithm = \"HS256\"\nsecret = \"{secret}\"\n")
}

fn ed25519(kid: &str, private: bool) -> String {
    use signature::KeyPair as _;
    let pair = signature::Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
    let mut spki = ED25519_SPKI_HEAD.to_vec();
    spki.extend_from_slice(pair.public_key().as_ref());
    let pem = |label: &str, der: &[u8]| {
        let body = base64::engine::general_purpose::STANDARD.encode(der);
        format!("\"\"\"-----BEGIN {label}-----\n{body}\n-----END {label}-----\n\"\"\"")
    };
    let mut text = format!(
        "[[key]]\nkid = \"{kid}\"\nalgorithm = \"EdDSA\"\npublic = {}\n",
        pem("PUBLIC KEY", &spki)
    );
    if private {
        let mut der = vec![
            0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20,
        ];
        der.extend_from_slice(&[7; 32]);
        text.push_str(&format!("private = {}\n", pem("PRIVATE KEY", &der)));
    }
    text
}

fn claims() -> Claims {
    Claims {
        sub: "ada".into(),
        exp: NOW / 1000 + 600,
        iat: NOW / 1000,
        name: " Ada e\u{301} ".into(),
        roles: vec!["staff".into()],
        ..Claims::default()
    }
}

fn raw(header: &str, payload: &str, key: &TokenKeys) -> String {
    let mut token = format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(header),
        URL_SAFE_NO_PAD.encode(payload)
    );
    let signature = key.keys[0].kind.sign(token.as_bytes()).unwrap();
    token.push('.');
    token.push_str(&URL_SAFE_NO_PAD.encode(signature));
    token
}

#[test]
fn both_algorithms_sign_and_verify() {
    let keys = TokenKeys::parse(&(hs256("a", 1) + &ed25519("b", true))).unwrap();
    for kid in ["a", "b"] {
        let token = keys.sign(Some(kid), &claims()).unwrap();
        let identity = keys.verify(&token, NOW).unwrap();
        assert_eq!(identity.user.as_str(), "ada");
        assert_eq!(identity.name, "Ada é");
        assert_eq!(identity.roles, ["staff"]);
        assert_eq!(identity.expires, NOW + 600_000);
    }
    let public_only = TokenKeys::parse(&ed25519("b", false)).unwrap();
    assert_eq!(
        public_only.sign(None, &claims()),
        Err(SignError::NoPrivateKey)
    );
    public_only
        .verify(&keys.sign(Some("b"), &claims()).unwrap(), NOW)
        .unwrap();
}

#[test]
fn a_token_of_another_tool_is_understood() {
    // The example of RFC 7515 appendix A.1 has no sub; this is its key with our claims, made with Python's hmac.
    let keys = TokenKeys::parse(&hs256("k", 0x6b)).unwrap();
    let header = r#"{"typ":"JWT",
 "alg":"HS256"}"#;
    let payload = r#"{"sub":"ada","exp":1800000600.5,"iat":1800000000,"nbf":1799999999,"extra":{"deep":[1,2]}}"#;
    assert_eq!(
        keys.verify(&raw(header, payload, &keys), NOW)
            .unwrap()
            .expires,
        NOW + 600_000
    );
}

#[test]
fn times_have_a_leeway_of_a_minute() {
    let keys = TokenKeys::parse(&hs256("a", 1)).unwrap();
    let token = |change: fn(&mut Claims)| {
        let mut claims = claims();
        change(&mut claims);
        keys.sign(None, &claims).unwrap()
    };
    let now = NOW / 1000;
    let _ = now;
    let cases: [(Change, Option<Code>); 7] = [
        (|c| c.exp = NOW / 1000 - 59, None),
        (|c| c.exp = NOW / 1000 - 60, Some(Code::TokenExpired)),
        (|c| c.nbf = Some(NOW / 1000 + 60), None),
        (
            |c| c.nbf = Some(NOW / 1000 + 61),
            Some(Code::TokenNotYetValid),
        ),
        (|c| c.iat = NOW / 1000 + 61, Some(Code::TokenNotYetValid)),
        (|c| c.sub = String::new(), Some(Code::TokenInvalid)),
        (|c| c.sub = "x".repeat(65), Some(Code::TokenInvalid)),
    ];
    for (index, (change, expected)) in cases.into_iter().enumerate() {
        let found = keys.verify(&token(change), NOW).err().map(TokenError::code);
        assert_eq!(found, expected, "case {index}");
    }
}

#[test]
fn forgeries_are_refused() {
    let keys = TokenKeys::parse(&(hs256("a", 1) + &ed25519("b", true))).unwrap();
    let good = keys.sign(Some("a"), &claims()).unwrap();
    let payload = serde_json::to_string(&claims()).unwrap();
    // The public key as an HMAC secret.
    let KeyKind::EdDsa { public, .. } = &keys.keys[1].kind else {
        unreachable!()
    };
    let confused = TokenKeys {
        keys: vec![TokenKey {
            kid: "b".into(),
            kind: KeyKind::Hs256(hmac::Key::new(hmac::HMAC_SHA256, public)),
        }],
        audiences: Vec::new(),
    };
    let mut flipped = good.clone().into_bytes();
    let last = flipped.len() - 3;
    flipped[last] = if flipped[last] == b'A' { b'B' } else { b'A' };
    let cases = [
        (
            confused.sign(None, &claims()).unwrap(),
            TokenError::WrongAlgorithm,
        ),
        (
            raw(r#"{"alg":"none","kid":"a"}"#, &payload, &keys),
            TokenError::WrongAlgorithm,
        ),
        (
            raw(r#"{"alg":"EdDSA","kid":"a"}"#, &payload, &keys),
            TokenError::WrongAlgorithm,
        ),
        (
            raw(r#"{"alg":"HS256","kid":"c"}"#, &payload, &keys),
            TokenError::UnknownKey,
        ),
        (
            raw(r#"{"alg":"HS256"}"#, &payload, &keys),
            TokenError::UnknownKey,
        ),
        (
            raw(
                r#"{"alg":"HS256","kid":"a","crit":["b64"]}"#,
                &payload,
                &keys,
            ),
            TokenError::Critical,
        ),
        (
            raw(
                r#"{"alg":"HS256","kid":"a"}"#,
                r#"{"sub":"a","exp":1,"exp":9999999999,"iat":1}"#,
                &keys,
            ),
            TokenError::Malformed,
        ),
        (
            raw(
                r#"{"alg":"HS256","kid":"a"}"#,
                r#"{"sub":"a","exp":-5,"iat":1}"#,
                &keys,
            ),
            TokenError::Malformed,
        ),
        (
            raw(
                r#"{"alg":"HS256","kid":"a"}"#,
                r#"{"sub":"a","iat":1}"#,
                &keys,
            ),
            TokenError::Malformed,
        ),
        (
            String::from_utf8(flipped).unwrap(),
            TokenError::BadSignature,
        ),
        (
            good.rsplit_once('.').unwrap().0.to_owned() + ".",
            TokenError::BadSignature,
        ),
        (format!("{good}="), TokenError::Malformed),
        ("a.b".to_owned(), TokenError::Malformed),
        (String::new(), TokenError::Malformed),
        ("x".repeat(TOKEN_BYTES_MAX + 1), TokenError::TooLong),
    ];
    for (index, (token, expected)) in cases.into_iter().enumerate() {
        assert_eq!(keys.verify(&token, NOW), Err(expected), "case {index}");
    }
}

#[test]
fn an_audience_is_checked_only_if_named() {
    let keys = || TokenKeys::parse(&hs256("a", 1)).unwrap();
    let with = |aud| keys().sign(None, &Claims { aud, ..claims() }).unwrap();
    let strict = keys().with_audiences(vec!["game".into()]);
    keys()
        .verify(&with(Some(Audience::One("else".into()))), NOW)
        .unwrap();
    strict
        .verify(&with(Some(Audience::One("game".into()))), NOW)
        .unwrap();
    strict
        .verify(
            &with(Some(Audience::Many(vec!["x".into(), "game".into()]))),
            NOW,
        )
        .unwrap();
    for aud in [
        None,
        Some(Audience::One("else".into())),
        Some(Audience::Many(vec![])),
    ] {
        assert_eq!(
            strict.verify(&with(aud), NOW),
            Err(TokenError::WrongAudience)
        );
    }
}

#[test]
fn key_files_are_checked() {
    let json = r#"{"key": [{"kid": "j", "algorithm": "HS256", "secret": "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE="}]}"#;
    assert_eq!(
        TokenKeys::parse(json).unwrap().kids().collect::<Vec<_>>(),
        ["j"]
    );
    let short = "[[key]]\nkid = \"s\"\nalgorithm = \"HS256\"\nsecret = \"c2hvcnQ\"\n";
    assert!(matches!(
        TokenKeys::parse(short),
        Err(KeyFileError::Key { .. })
    ));
    assert!(matches!(
        TokenKeys::parse(&hs256("a", 1).replace("HS256", "RS256")),
        Err(KeyFileError::Key { .. })
    ));
    assert!(matches!(
        TokenKeys::parse(&(hs256("a", 1) + &hs256("a", 2))),
        Err(KeyFileError::Doubled(_))
    ));
    assert!(matches!(TokenKeys::parse(""), Err(KeyFileError::Empty)));
    let typo = TokenKeys::parse(&hs256("a", 1).replace("secret", "sceret"))
        .unwrap_err()
        .to_string();
    assert!(typo.contains("sceret"), "{typo}");
}

#[test]
fn development_keys_are_made_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token-keys.toml");
    let first = TokenKeys::load_or_make(&path).unwrap();
    let second = TokenKeys::load_or_make(&path).unwrap();
    second
        .verify(&first.sign(None, &claims()).unwrap(), NOW)
        .unwrap();
}
