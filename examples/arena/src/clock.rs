//! Times of day for people, in this machine's time zone.

use std::{process::Command, sync::OnceLock};

/// `14:05` of a time in ms since 1970.
pub(crate) fn time(at_ms: u64) -> String {
    let second = ((at_ms / 1_000) as i64 + offset_s()).rem_euclid(86_400);
    format!("{:02}:{:02}", second / 3_600, second / 60 % 60)
}

/// Asked once. Without an answer times are in UTC.
fn offset_s() -> i64 {
    static OFFSET: OnceLock<i64> = OnceLock::new();
    *OFFSET.get_or_init(|| {
        let output = Command::new("date").arg("+%z").output().ok();
        let text = output.and_then(|output| String::from_utf8(output.stdout).ok());
        text.and_then(|text| parse_offset(text.trim())).unwrap_or(0)
    })
}

/// `+0130` in seconds.
fn parse_offset(text: &str) -> Option<i64> {
    let (sign, digits) = match text.split_at_checked(1)? {
        ("+", digits) => (1, digits),
        ("-", digits) => (-1, digits),
        _ => return None,
    };
    let number: i64 = (digits.len() == 4).then(|| digits.parse().ok())??;
    Some(sign * (number / 100 * 3_600 + number % 100 * 60))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets() {
        assert_eq!(parse_offset("+0130"), Some(5_400));
        assert_eq!(parse_offset("-0800"), Some(-28_800));
        assert_eq!(parse_offset("Z"), None);
    }
}
