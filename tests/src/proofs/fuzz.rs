//! No bytes break a decoder or a server.

use super::Scale;

/// Not built yet: fails, so that nobody takes silence for success.
///
/// # Errors
/// Always.
pub fn run(_scale: Scale) -> anyhow::Result<()> {
    anyhow::bail!("fuzz is not built yet")
}
