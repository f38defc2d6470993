//! `docs/features.md` is true: every feature that stands there is played over the wire by real clients, on two devices of one user
//! of which one is away while it happens; afterwards both show it, and the same. And each scene fails when its feature is lost.

mod below;
pub(super) mod device;
mod endings;
mod lead;
mod links;
mod page;
mod people;
mod places;
mod stage;
mod talk;

use std::{
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use fireside_server_core::Loss;

use self::{
    device::PATIENCE,
    page::Feature,
    stage::{Place, Role, Stage},
};
use super::Scale;
use crate::chance::Chance;

/// Features of the page at least: a page that lost its tables proves nothing.
const FEATURES_MIN: usize = 75;
/// Scenes drawn for a slice.
const DRAWN: usize = 20;
/// How long a lost feature has to appear all the same.
const LOST_PATIENCE: Duration = Duration::from_millis(1_200);

/// A scene that shows a feature.
pub(super) struct Scene {
    name: &'static str,
    /// What happens while ann's other device is away.
    act: fn(&mut Stage, &mut Place) -> Result<()>,
    /// Whether a device of hers shows it.
    shows: fn(&mut Stage, Role, &Place) -> Result<bool>,
}

/// Plays the page.
///
/// # Errors
/// A feature that is not there, or whose loss nobody notices.
pub fn run(scale: Scale) -> Result<()> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/features.md");
    let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let mut features = page::features(&text)?;
    ensure!(
        features.len() >= FEATURES_MIN,
        "only {} features",
        features.len()
    );
    let all = [
        talk::SCENES,
        endings::SCENES,
        places::SCENES,
        below::SCENES,
        lead::SCENES,
        links::SCENES,
        people::SCENES,
    ];
    let scenes: Vec<&Scene> = all.into_iter().flatten().collect();
    for scene in &scenes {
        let stands = features.iter().any(|feature| feature.scene == scene.name);
        ensure!(
            stands,
            "the page has no line for the scene `{}`",
            scene.name
        );
    }
    let all = features.len();
    if !scale.full {
        let mut chance = Chance::new(scale.seed);
        let mut drawn = Vec::new();
        while drawn.len() < DRAWN && !features.is_empty() {
            let place = chance.below(features.len() as u64) as usize;
            drawn.push(features.swap_remove(place));
        }
        features = drawn;
    }
    let begun = Instant::now();
    let mut wrong = Vec::new();
    let mut stage = Stage::set(Loss::Nothing)?;
    for feature in &features {
        let scene = scenes.iter().find(|scene| scene.name == feature.scene);
        let scene = scene.with_context(|| format!("there is no scene `{}`", feature.scene))?;
        if let Err(error) = play(&mut stage, scene, PATIENCE) {
            let fault = format!("{}: {error:#}", feature.what);
            println!("features: BROKEN: {fault}");
            wrong.push(fault);
        }
    }
    stage.stop();
    let played = begun.elapsed();
    for feature in &features {
        let Some(scene) = scenes.iter().find(|scene| scene.name == feature.scene) else {
            continue;
        };
        if is_missed(scene, feature)? {
            println!(
                "features: {}: lost `{}`, noticed",
                feature.what, feature.lost
            );
        } else {
            let (what, lost) = (&feature.what, &feature.lost);
            println!("features: BROKEN: {what}: nobody notices that `{lost}` is lost");
            wrong.push(format!("{what}: nobody notices that `{lost}` is lost"));
        }
    }
    ensure!(
        wrong.is_empty(),
        "{} of {} features are not so (seed {}):\n{}",
        wrong.len(),
        features.len(),
        scale.seed,
        wrong.join("\n")
    );
    println!(
        "features: {} of {all} features hold on both devices ({:.1} s), and each is missed when it is lost ({:.1} s in all, seed {})",
        features.len(),
        played.as_secs_f64(),
        begun.elapsed().as_secs_f64(),
        scale.seed
    );
    Ok(())
}

/// Plays a scene: ann's other device goes, it happens, the device comes back, both show it.
fn play(stage: &mut Stage, scene: &Scene, patience: Duration) -> Result<()> {
    let mut place = stage.place()?;
    stage.device(Role::Away)?.disconnect()?;
    let acted = (scene.act)(stage, &mut place);
    let settled = acted.and_then(|()| stage.settle(Role::Ann, &place));
    stage.device(Role::Away)?.connect()?;
    let last = settled?;
    let direct = place.direct;
    let away = stage.device(Role::Away)?;
    away.until("what is said last", |it| it.message(direct, last).is_some())?;
    if let Some(conversation) = place.other {
        stage.open(conversation)?;
    }
    stage.both_show(&place, patience, scene.shows)?;
    stage.clear(&place)
}

/// Whether a scene notices that its feature is lost.
fn is_missed(scene: &Scene, feature: &Feature) -> Result<bool> {
    let mut stage = Stage::set(feature.loss)?;
    let missed = play(&mut stage, scene, LOST_PATIENCE).is_err();
    stage.stop();
    Ok(missed)
}
