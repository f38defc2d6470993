//! Token buckets: so much per second, with a burst of two seconds' worth.

/// A bucket. Small, because every user has several.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bucket {
    /// Thousandths of a token.
    level: u32,
    /// When it was filled last, in monotonic ms; wraps after 49 days, which only fills it.
    filled_at: u32,
}

impl Bucket {
    /// A full one.
    pub(crate) const fn full(rate_per_s: u32, now_ms: u64) -> Self {
        Self {
            level: Self::capacity(rate_per_s),
            filled_at: now_ms as u32,
        }
    }

    const fn capacity(rate_per_s: u32) -> u32 {
        rate_per_s.saturating_mul(BURST_S * 1_000)
    }

    /// Takes one token.
    ///
    /// # Errors
    /// The ms until there is one. A rate of 0 has no limit.
    pub(crate) fn take(&mut self, rate_per_s: u32, now_ms: u64) -> Result<(), u64> {
        if rate_per_s == 0 {
            return Ok(());
        }
        let passed = (now_ms as u32).wrapping_sub(self.filled_at);
        self.filled_at = now_ms as u32;
        let gained = passed.saturating_mul(rate_per_s);
        self.level = self
            .level
            .saturating_add(gained)
            .min(Self::capacity(rate_per_s));
        match self.level.checked_sub(1_000) {
            Some(left) => {
                self.level = left;
                Ok(())
            }
            None => Err(u64::from((1_000 - self.level).div_ceil(rate_per_s))),
        }
    }

    /// Gives a token back.
    pub(crate) fn give_back(&mut self) {
        self.level = self.level.saturating_add(1_000);
    }
}

/// Seconds' worth of tokens that a full bucket holds.
const BURST_S: u32 = 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_then_the_rate() {
        let mut bucket = Bucket::full(5, 1_000);
        for _ in 0..10 {
            assert_eq!(bucket.take(5, 1_000), Ok(()));
        }
        assert_eq!(bucket.take(5, 1_000), Err(200));
        assert_eq!(bucket.take(5, 1_199), Err(1));
        assert_eq!(bucket.take(5, 1_200), Ok(()));
        assert_eq!(bucket.take(5, 1_200), Err(200));
        // Idle time fills no more than the burst.
        for _ in 0..10 {
            assert_eq!(bucket.take(5, 60_000), Ok(()));
        }
        assert!(bucket.take(5, 60_000).is_err());
        assert_eq!(bucket.take(0, 60_000), Ok(()), "no limit");
    }
}
