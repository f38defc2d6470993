//! Twenty times the load: bounded, honest, and back at once.

use super::Scale;

/// Not built yet: fails, so that nobody takes silence for success.
///
/// # Errors
/// Always.
pub fn run(_scale: Scale) -> anyhow::Result<()> {
    anyhow::bail!("overload is not built yet")
}
