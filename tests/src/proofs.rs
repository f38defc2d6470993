//! The proofs by name, and how much of each is run.

pub mod arena;
pub mod c;
pub mod crash;
pub mod features;
pub mod fuzz;
pub mod limits;
pub mod network;
pub mod overload;
pub mod permissions;
pub mod powercut;
pub mod recall;
pub mod scale;
pub mod simulate;
pub mod stall;
pub mod stranger;
pub mod terminal;
pub mod upgrade;

/// How much of a proof is run, and from which seed.
#[derive(Clone, Copy, Debug)]
pub struct Scale {
    /// The numbers of the requirement; else a slice of it, at most 90 s on two cores.
    pub full: bool,
    /// Where chance starts. Printed, so that a run can be repeated.
    pub seed: u64,
}

impl Scale {
    /// The number for a slice or the one for the full proof.
    #[must_use]
    pub fn pick<T>(self, slice: T, full: T) -> T {
        if self.full { full } else { slice }
    }
}

/// A proof: prints what it did; an error is a broken promise.
pub type Proof = fn(Scale) -> anyhow::Result<()>;

/// All of them, by the names that `./test` takes.
pub const PROOFS: &[(&str, Proof)] = &[
    ("arena", arena::run),
    ("c", c::run),
    ("crash", crash::run),
    ("features", features::run),
    ("fuzz", fuzz::run),
    ("limits", limits::run),
    ("network", network::run),
    ("overload", overload::run),
    ("permissions", permissions::run),
    ("powercut", powercut::run),
    ("recall", recall::run),
    ("scale", scale::run),
    ("simulate", simulate::run),
    ("stall", stall::run),
    ("stranger", stranger::run),
    ("terminal", terminal::run),
    ("upgrade", upgrade::run),
];
