//! A broken rule.

/// A rule that was broken.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Violation {
    /// Which, named as in `docs/model.md`.
    pub rule: &'static str,
    /// What was seen.
    pub seen: String,
}

impl std::fmt::Display for Violation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let seen: String = self.seen.chars().take(SHOWN_CHARS).collect();
        write!(f, "broke `{}`: {seen}", self.rule)
    }
}

/// Characters that are printed: texts can be long.
const SHOWN_CHARS: usize = 4_000;

/// Whether the rules hold.
pub type Check = Result<(), Violation>;

/// Leaves with a [`Violation`] unless something holds: `ensure!(holds, rule, format…)`.
macro_rules! ensure {
    ($holds:expr, $rule:expr, $($seen:tt)*) => {
        if !$holds {
            return Err(crate::violation::Violation { rule: $rule, seen: format!($($seen)*) });
        }
    };
}
pub(crate) use ensure;

/// Takes out what must be there: `some!(option, rule, format…)`.
macro_rules! some {
    ($option:expr, $rule:expr, $($seen:tt)*) => {
        match $option {
            Some(it) => it,
            None => {
                let seen = format!($($seen)*);
                return Err(crate::violation::Violation { rule: $rule, seen });
            }
        }
    };
}
pub(crate) use some;
