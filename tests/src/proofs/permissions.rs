//! `docs/permissions.md` is true: every cell of its tables is tried over the wire against a real server, each in a conversation of
//! its own.

mod below;
mod lead;
mod page;
mod scene;
mod talk;

use std::{collections::BTreeMap, path::Path};

use anyhow::{Context, Result, ensure};

use self::{
    page::Cell,
    scene::{ACTIONS, Action, Stage},
    talk::Talk,
};
use super::Scale;
use crate::{chance::Chance, process::ServerPlan};

/// No cell waits for a rate: limits are another proof's subject.
const SETTINGS: &str = "[limits]\nrate_direct_per_s = 0\nrate_group_per_s = 0\nrate_conversation_per_s = 0\nrate_requests_per_s = 0\n";
/// Cells of the page at least: a page that lost its tables proves nothing.
const CELLS_MIN: usize = 150;

/// Starts a server and tries the page.
///
/// # Errors
/// A cell that is not so, or a page that can not be read.
pub fn run(scale: Scale) -> Result<()> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/permissions.md");
    let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let cells = page::cells(&text)?;
    ensure!(cells.len() >= CELLS_MIN, "only {} cells", cells.len());
    let leads = lead::ACTIONS.iter().map(|(action, _)| action);
    let below = below::ACTIONS.iter().map(|(action, _)| action);
    let talk = talk::ACTIONS.iter().map(|(action, _)| action);
    let known = ACTIONS.iter().map(|(action, _)| action);
    for action in known.chain(leads).chain(below).chain(talk) {
        let stands = cells.iter().any(|cell| cell.action == *action);
        ensure!(stands, "the page has no line `{action}`");
    }
    let folder = tempfile::tempdir()?;
    let mut plan = ServerPlan::new(folder.path());
    plan.settings = SETTINGS.into();
    let mut server = plan.start()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    let mut wrong = Vec::new();
    let mut counts: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    runtime.block_on(async {
        let mut stage = Stage::new(&plan, &server, Chance::new(scale.seed)).await?;
        // A live object keeps its first state for a while: those scenes are set first and played last.
        let mut first = Vec::new();
        for cell in &cells {
            if matches!(Stage::action(cell)?, Action::Talk(Talk::Live(_))) {
                let scene = stage.set(cell).await;
                first.push((cell, Some(scene.with_context(|| cell.to_string())?)));
            }
        }
        let others = cells
            .iter()
            .filter(|cell| first.iter().all(|(other, _)| other != cell));
        let others: Vec<_> = others.map(|cell| (cell, None)).collect();
        for (cell, scene) in others.into_iter().chain(first) {
            let scene = match scene {
                Some(scene) => scene,
                None => (stage.set(cell).await).with_context(|| cell.to_string())?,
            };
            let got = stage.play(cell, &scene).await;
            let got = got.with_context(|| cell.to_string())?;
            let (tried, ok) = counts.entry(&cell.table).or_default();
            *tried += 1;
            *ok += usize::from(got == "ok");
            if got != cell.expected {
                wrong.push(format!("{cell}: it is `{got}`"));
            }
        }
        Ok::<(), anyhow::Error>(())
    })?;
    server.check()?;
    for (table, (tried, ok)) in &counts {
        println!(
            "permissions: {table}: {tried} cells tried, {ok} allowed, {} refused",
            tried - ok
        );
    }
    ensure!(
        wrong.is_empty(),
        "{} of {} cells are not so:\n{}",
        wrong.len(),
        cells.len(),
        wrong.join("\n")
    );
    println!(
        "permissions: {} cells in {} tables hold",
        cells.len(),
        counts.len()
    );
    Ok(())
}

impl std::fmt::Display for Cell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            table,
            action,
            role,
            expected,
        } = self;
        write!(
            f,
            "{table}: {action}, as {role}: the page says `{expected}`"
        )
    }
}
