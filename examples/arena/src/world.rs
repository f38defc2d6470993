//! The place: a clearing in a forest at night, and a fire in its middle. Everything is made in code.

mod fire;
mod forest;
mod ground;

use bevy::{
    asset::RenderAssetUsages,
    prelude::*,
    render::render_resource::{Extent3d, TextureDimension, TextureFormat},
};

/// Half of the world, in logical pixels.
pub(crate) const WORLD: Vec2 = Vec2::new(900.0, 560.0);
/// Half of the clearing that one can walk in.
pub(crate) const CLEARING: Vec2 = Vec2::new(700.0, 385.0);
/// Nobody gets nearer to the fire than this.
pub(crate) const FIRE_RADIUS: f32 = 74.0;

/// Depths: what is larger is drawn later.
const GROUND_Z: f32 = 0.0;
const LIGHT_Z: f32 = 1.0;
const THINGS_Z: f32 = 4.0;
/// The figures, each a little before or behind this by where it stands.
pub(crate) const BORDER_Z: f32 = 10.0;
const FOREST_Z: f32 = 15.0;
const NIGHT_Z: f32 = 20.0;
const SPARK_Z: f32 = 22.0;

pub(crate) fn plugin(app: &mut App) {
    app.add_plugins((ground::plugin, forest::plugin, fire::plugin));
}

/// A picture from a function of the place in it, from -1 to 1 both ways, y up: colour and opacity, each from 0 to 1.
fn paint(width: u32, height: u32, color: impl Fn(Vec2) -> [f32; 4]) -> Image {
    let mut data = Vec::with_capacity(width as usize * height as usize * 4);
    for y in 0..height {
        for x in 0..width {
            let at = Vec2::new(
                (x as f32 + 0.5) / width as f32 * 2.0 - 1.0,
                1.0 - (y as f32 + 0.5) / height as f32 * 2.0,
            );
            data.extend(color(at).map(|part| (part.clamp(0.0, 1.0) * 255.0).round() as u8));
        }
    }
    picture(width, height, data)
}

/// A picture of RGBA bytes.
fn picture(width: u32, height: u32, data: Vec<u8>) -> Image {
    Image::new(
        Extent3d {
            width,
            height,
            depth_or_array_layers: 1,
        },
        TextureDimension::D2,
        data,
        TextureFormat::Rgba8UnormSrgb,
        RenderAssetUsages::RENDER_WORLD,
    )
}

/// From 0 at `from` to 1 at `to`, without corners.
fn smooth(from: f32, to: f32, at: f32) -> f32 {
    let t = ((at - from) / (to - from)).clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}
