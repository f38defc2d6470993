//! How long the server's certificate still holds.

use std::{
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use fireside_server::certificate::CERTIFICATE_FILE;

use super::{DoctorArgs, Finding};

/// With fewer days left it is time to think of a new one.
const DAYS_SOON: i64 = 21;
/// More days are not worth counting.
const DAYS_COUNTED_MAX: i64 = 36_525;
const DAY_S: i64 = 86_400;

pub(super) fn check(args: &DoctorArgs) -> Finding {
    let path = match (&args.certificate, &args.data) {
        (Some(path), _) => path.clone(),
        (None, Some(data)) => data.join(CERTIFICATE_FILE),
        (None, None) => {
            return Finding::Skipped(
                "needs the server's folder (--data) or a PEM file (--certificate)".to_owned(),
            );
        }
    };
    if args.certificate.is_none() && !path.exists() {
        return Finding::Skipped(format!(
            "there is none in {}: a development server makes one at its first start",
            path.display()
        ));
    }
    let left_s = match days_left(&path) {
        Ok(left) => left,
        Err(reason) => {
            return Finding::Bad(
                format!("{}: {reason}; expected a PEM file with a certificate", path.display()),
                "name the right file with --certificate, or remove the broken one and start the server with --dev".to_owned(),
            );
        }
    };
    let days = left_s.div_euclid(DAY_S);
    let remedy = "get a new one, put it in its place and send the server SIGHUP; clients that pin the old one need the new fingerprint".to_owned();
    if left_s < 0 {
        return Finding::Bad(
            format!("{} has expired {} days ago", path.display(), -days),
            remedy,
        );
    }
    if days < args.limits.certificate_days_min {
        return Finding::Bad(
            format!(
                "{} holds for {days} more days; expected at least {}",
                path.display(),
                args.limits.certificate_days_min
            ),
            remedy,
        );
    }
    if days < DAYS_SOON {
        return Finding::Weak(
            format!("{} holds for {days} more days", path.display()),
            remedy,
        );
    }
    Finding::Good(match days {
        0..=DAYS_COUNTED_MAX => format!("holds for {days} more days"),
        _ => "holds for more than a hundred years".to_owned(),
    })
}

/// Seconds until the first certificate of a PEM file ends.
fn days_left(path: &Path) -> Result<i64, String> {
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    let body = text
        .split_once("-----BEGIN CERTIFICATE-----")
        .and_then(|(_, rest)| rest.split_once("-----END CERTIFICATE-----"))
        .map(|(body, _)| {
            body.chars()
                .filter(|c| !c.is_whitespace())
                .collect::<String>()
        })
        .ok_or("it has no certificate")?;
    let der = STANDARD.decode(body).map_err(|error| error.to_string())?;
    let end = not_after(&der).ok_or("its certificate can not be read")?;
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs();
    Ok(end - now.cast_signed())
}

/// `notAfter` of an X.509 certificate (RFC 5280 section 4.1), in seconds since 1970.
fn not_after(der: &[u8]) -> Option<i64> {
    let (_, certificate, _) = element(der)?;
    let (_, mut fields, _) = element(certificate)?;
    // An explicit version comes before the serial number.
    if fields.first() == Some(&0xa0) {
        fields = element(fields)?.2;
    }
    // Serial number, signature algorithm, issuer.
    for _ in 0..3 {
        fields = element(fields)?.2;
    }
    let (_, validity, _) = element(fields)?;
    let (_, _, rest) = element(validity)?;
    let (tag, text, _) = element(rest)?;
    let digits: Vec<i64> = text
        .iter()
        .map_while(|byte| (*byte as char).to_digit(10).map(i64::from))
        .collect();
    let pair = |at: usize| Some(digits.get(at)? * 10 + digits.get(at + 1)?);
    let (year, at) = match tag {
        // UTCTime: two digits of the year, until 2049.
        0x17 => (
            pair(0).map(|year| {
                if year < 50 {
                    2_000 + year
                } else {
                    1_900 + year
                }
            })?,
            2,
        ),
        0x18 => (pair(0)? * 100 + pair(2)?, 4),
        _ => return None,
    };
    let days = days_from_civil(year, pair(at)?, pair(at + 2)?);
    Some(days * DAY_S + pair(at + 4)? * 3_600 + pair(at + 6)? * 60 + pair(at + 8)?)
}

/// Tag, content and what comes after it.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = if first < 0x80 {
        (usize::from(first), rest)
    } else {
        let count = usize::from(first & 0x7f);
        let (bytes, rest) = rest.split_at_checked(count).filter(|_| count <= 4)?;
        (
            bytes
                .iter()
                .fold(0, |length, byte| length << 8 | usize::from(*byte)),
            rest,
        )
    };
    let (content, after) = rest.split_at_checked(length)?;
    Some((tag, content, after))
}

/// Days since 1970 (Howard Hinnant's `days_from_civil`).
const fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let shifted = (month + 9) % 12;
    let of_year = (153 * shifted + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn dates() {
        assert_eq!(days_from_civil(1970, 1, 1), 0);
        assert_eq!(days_from_civil(2000, 2, 29), 11_016);
        assert_eq!(days_from_civil(2026, 11, 23), 20_780);
    }

    #[test]
    fn hostile_certificates_are_only_wrong() {
        for der in [
            &[][..],
            &[0x30],
            &[0x30, 0x84, 255, 255, 255, 255],
            &[0x30, 0x80],
            &[0x30, 2, 0x30, 0],
        ] {
            assert_eq!(not_after(der), None);
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.pem");
        std::fs::write(
            &path,
            "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n",
        )
        .unwrap();
        assert!(days_left(&path).is_err());
    }
}
