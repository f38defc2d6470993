//! A client in another language, written from the documentation.

use super::Scale;

/// Not built yet: fails, so that nobody takes silence for success.
///
/// # Errors
/// Always.
pub fn run(_scale: Scale) -> anyhow::Result<()> {
    anyhow::bail!("stranger is not built yet")
}
