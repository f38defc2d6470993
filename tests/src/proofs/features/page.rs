//! Reads `docs/features.md`: a line of a table is a feature, its scene, and what is lost to see that the scene would notice.

use anyhow::{Context, Result, ensure};
use fireside_protocol::ClientFrame;
use fireside_server_core::Loss;

/// A feature that stands on the page.
#[derive(Clone, Debug)]
pub(super) struct Feature {
    /// In the words of the page.
    pub(super) what: String,
    /// Which scene shows it.
    pub(super) scene: String,
    /// What is lost to break it.
    pub(super) loss: Loss,
    /// The same in the words of the page.
    pub(super) lost: String,
}

/// All features of the page.
///
/// # Errors
/// A line that is none, or a loss that there is not.
pub(super) fn features(page: &str) -> Result<Vec<Feature>> {
    let mut found = Vec::new();
    for line in page.lines() {
        let Some(line) = line.strip_prefix('|').and_then(|it| it.strip_suffix('|')) else {
            continue;
        };
        let columns: Vec<&str> = line.split('|').map(str::trim).collect();
        let [what, scene, lost] = columns.as_slice() else {
            continue;
        };
        if *scene == "scene" || what.starts_with("---") {
            continue;
        }
        let scene = in_ticks(scene).with_context(|| format!("{what}: the scene"))?;
        let lost = in_ticks(lost).with_context(|| format!("{what}: what is lost"))?;
        found.push(Feature {
            what: (*what).to_owned(),
            scene: scene.to_owned(),
            loss: loss_of(lost).with_context(|| format!("{what}: {lost}"))?,
            lost: lost.to_owned(),
        });
    }
    Ok(found)
}

fn in_ticks(text: &str) -> Result<&str> {
    let inner = text.strip_prefix('`').and_then(|it| it.strip_suffix('`'));
    inner.context("stands in backticks")
}

/// A request's name, or that of a part of one.
fn loss_of(name: &str) -> Result<Loss> {
    if let Some(field) = Loss::FIELDS.iter().find(|field| **field == name) {
        return Ok(Loss::Field(field));
    }
    let frame = ClientFrame::TABLE.iter().find(|info| info.name == name);
    ensure!(frame.is_some(), "is neither a request nor a part of one");
    Ok(Loss::Request(frame.map_or(0, |info| info.kind)))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn lines_are_read_and_mistakes_are_named() {
        let page = "| feature | scene | lost |\n|---|---|---|\n| a poll | `poll` | `Vote` |\n\n| a | b |\n";
        let found = features(page).unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].loss, Loss::Request(24));
        for (old, new) in [("`poll`", "poll"), ("`Vote`", "`Votes`")] {
            let error = features(&page.replace(old, new)).unwrap_err();
            assert!(format!("{error:#}").contains("a poll"), "{error:#}");
        }
    }
}
