//! People in real terminals.

use super::Scale;

/// Not built yet: fails, so that nobody takes silence for success.
///
/// # Errors
/// Always.
pub fn run(_scale: Scale) -> anyhow::Result<()> {
    anyhow::bail!("terminal is not built yet")
}
