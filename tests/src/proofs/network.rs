//! Rebinding, loss, delay, reordering and duplication; round trips counted.

use super::Scale;

/// Not built yet: fails, so that nobody takes silence for success.
///
/// # Errors
/// Always.
pub fn run(_scale: Scale) -> anyhow::Result<()> {
    anyhow::bail!("network is not built yet")
}
