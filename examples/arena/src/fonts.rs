//! The font in this crate for Latin, Greek and Cyrillic; the machine's own fonts for everything else.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use bevy::{asset::AssetId, prelude::*, text::FontCx};
use fontique::{FallbackKey, Script};

/// Noto Sans, OFL; its licence lies beside it.
const LATIN: &[u8] = include_bytes!("../assets/NotoSans-Regular.ttf");

/// Makes the bundled font the one that every text uses unless it says otherwise.
pub(crate) fn plugin(app: &mut App) {
    let font = Font::from_bytes(LATIN.to_vec());
    let mut fonts = app.world_mut().resource_mut::<Assets<Font>>();
    if fonts.insert(AssetId::default(), font).is_err() {
        warn!("the font in the crate could not be used");
    }
    app.init_resource::<ManyScripts>()
        .add_systems(Startup, look_for_scripts);
}

/// Whether Chinese, Arabic and the like can be shown here; the cast asks before it says something in them.
#[derive(Clone, Debug, Default, Resource)]
pub(crate) struct ManyScripts(pub(crate) Arc<AtomicBool>);

fn look_for_scripts(mut fonts: ResMut<FontCx>, known: Res<ManyScripts>) {
    let all = [*b"Hani", *b"Arab"].into_iter().all(|script| {
        let key = FallbackKey::new(Script::from_bytes(script), None);
        fonts.collection.fallback_families(key).next().is_some()
    });
    known.0.store(all, Ordering::Relaxed);
    if !all {
        info!("no system fonts for Chinese or Arabic; install fonts-noto-core and fonts-noto-cjk");
    }
}
