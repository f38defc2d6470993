//! Times as people read them.

use std::process::Command;

use fireside_protocol::WallMs;

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];
const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];

/// The local offset from UTC, as it is now.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct LocalClock {
    offset_s: i64,
    today: i64,
}

impl LocalClock {
    /// Asks the system's `date`; without it everything is UTC.
    pub(crate) fn read(now_ms: WallMs) -> Self {
        let output = Command::new("date").arg("+%z").output().ok();
        let text = output
            .and_then(|output| String::from_utf8(output.stdout).ok())
            .unwrap_or_default();
        let offset_s = parse_offset(text.trim()).unwrap_or(0);
        let mut clock = Self { offset_s, today: 0 };
        clock.today = clock.days(now_ms);
        clock
    }

    /// It may be another day by now.
    pub(crate) const fn set_now(&mut self, now_ms: WallMs) {
        self.today = self.days(now_ms);
    }

    const fn local_s(&self, at: WallMs) -> i64 {
        // A lying time far ahead stays a number.
        (at / 1_000) as i64 + self.offset_s
    }

    const fn days(&self, at: WallMs) -> i64 {
        self.local_s(at).div_euclid(86_400)
    }

    /// `14:05`
    pub(crate) fn time(&self, at: WallMs) -> String {
        let second = self.local_s(at).rem_euclid(86_400);
        format!("{:02}:{:02}", second / 3_600, second / 60 % 60)
    }

    /// `Today`, `Yesterday`, `Mon 23 Nov 2026`
    pub(crate) fn day(&self, at: WallMs) -> String {
        let days = self.days(at);
        match self.today - days {
            0 => "Today".to_owned(),
            1 => "Yesterday".to_owned(),
            _ => {
                let (year, month, day) = civil(days);
                let weekday = usize::try_from(days.rem_euclid(7))
                    .ok()
                    .and_then(|day| DAYS.get(day))
                    .unwrap_or(&"");
                format!(
                    "{weekday} {day} {} {year}",
                    MONTHS.get(month).unwrap_or(&"")
                )
            }
        }
    }

    /// For the list: the time today, else the day.
    pub(crate) fn short(&self, at: WallMs) -> String {
        let days = self.days(at);
        if at == 0 {
            return String::new();
        }
        if days == self.today {
            return self.time(at);
        }
        let (_, month, day) = civil(days);
        format!("{day} {}", MONTHS.get(month).unwrap_or(&""))
    }
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

/// Year, month from 0 and day of a number of days since 1970 (Howard Hinnant's `civil_from_days`).
const fn civil(days: i64) -> (i64, usize, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 2
    } else {
        shifted_month - 10
    };
    (
        year_of_era + era * 400 + (month < 2) as i64,
        month as usize,
        day,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_times() {
        let clock = LocalClock {
            offset_s: 5_400,
            today: 20_780,
        };
        // 2026-11-23 06:37:05 UTC
        let at = 1_795_415_825_000;
        assert_eq!(clock.time(at), "08:07");
        assert_eq!(clock.day(at), "Today");
        assert_eq!(clock.day(at - 86_400_000), "Yesterday");
        assert_eq!(clock.day(at - 3 * 86_400_000), "Fri 20 Nov 2026");
        assert_eq!(clock.short(at - 3 * 86_400_000), "20 Nov");
        assert_eq!(civil(0), (1970, 0, 1));
        assert_eq!(civil(11_016), (2000, 1, 29));
        assert_eq!(
            (
                parse_offset("+0130"),
                parse_offset("-0800"),
                parse_offset("x")
            ),
            (Some(5_400), Some(-28_800), None)
        );
        let _ = clock.day(u64::MAX);
    }
}
