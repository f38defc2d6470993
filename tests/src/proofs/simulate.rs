//! The deterministic world, seed by seed: `crates/sim` has it; here it is one proof among the others.

use super::Scale;

/// 1,000 seeds (a slice: fewer), every fault and mechanism counted, every built-in break caught.
///
/// # Errors
/// What failed, with the command that shows it again.
pub fn run(scale: Scale) -> anyhow::Result<()> {
    fireside_sim::proof::proof(!scale.full).map_err(anyhow::Error::msg)
}
