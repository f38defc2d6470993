//! When a token ends, read without trusting it: only to ask the game for another in time.

use fireside_protocol::{WallMs, limits::TOKEN_BYTES_MAX};

/// The `exp` of a JWT, in ms; `None` if it can not be read.
pub(crate) fn expires_ms(token: &str) -> Option<WallMs> {
    if token.len() > TOKEN_BYTES_MAX {
        return None;
    }
    let payload = decode(token.split('.').nth(1)?)?;
    let text = std::str::from_utf8(&payload).ok()?;
    let (_, rest) = text.split_once("\"exp\"")?;
    let digits = rest.trim_start().strip_prefix(':')?.trim_start();
    let end = digits.find(|c: char| !c.is_ascii_digit());
    let seconds: u64 = digits.get(..end.unwrap_or(digits.len()))?.parse().ok()?;
    seconds.checked_mul(1_000)
}

/// Base64url without padding.
fn decode(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let (mut bits, mut count) = (0u32, 0u32);
    for byte in text.bytes() {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'-' => 62,
            b'_' => 63,
            b'=' => break,
            _ => return None,
        };
        bits = (bits << 6 | u32::from(value)) & 0xffff;
        count += 6;
        if count >= 8 {
            count -= 8;
            out.push((bits >> count) as u8);
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_end() {
        // {"sub":"ada","exp":1700000000}
        let token = "e30.eyJzdWIiOiJhZGEiLCJleHAiOjE3MDAwMDAwMDB9.c2ln";
        assert_eq!(expires_ms(token), Some(1_700_000_000_000));
        assert_eq!(expires_ms("x"), None);
        assert_eq!(expires_ms("a.!!.b"), None);
    }
}
