//! The floor: grass that thins out towards the fire, with tufts and pebbles, lit from the middle.

use bevy::prelude::*;

use super::{GROUND_Z, NIGHT_Z, WORLD, paint, picture, smooth};
use crate::chance::Chance;

const GRASS: Vec3 = Vec3::new(0.128, 0.158, 0.104);
const EARTH: Vec3 = Vec3::new(0.238, 0.182, 0.132);
const SOOT: Vec3 = Vec3::new(0.120, 0.098, 0.088);
/// What the fire adds, at its brightest.
const GLOW: Vec3 = Vec3::new(0.98, 0.60, 0.26);
const NIGHT: Vec3 = Vec3::new(0.010, 0.014, 0.026);

const TUFTS: usize = 3_200;
const PEBBLES: usize = 260;

pub(super) fn plugin(app: &mut App) {
    app.add_systems(Startup, lay);
}

fn lay(mut images: ResMut<Assets<Image>>, mut commands: Commands) {
    commands.spawn((
        Sprite {
            image: images.add(ground()),
            custom_size: Some(WORLD * 2.0),
            ..default()
        },
        Transform::from_xyz(0.0, 0.0, GROUND_Z),
    ));
    // Night comes from the forest. Small and stretched: it has no edges.
    let night = paint(144, 96, |at| {
        let far = (at * WORLD * Vec2::new(0.86, 1.15)).length();
        let dark = smooth(230.0, 790.0, far) * 0.90;
        [NIGHT.x, NIGHT.y, NIGHT.z, dark]
    });
    commands.spawn((
        Sprite {
            image: images.add(night),
            custom_size: Some(WORLD * 2.0 + Vec2::splat(400.0)),
            ..default()
        },
        Transform::from_xyz(0.0, 0.0, NIGHT_Z),
    ));
}

fn ground() -> Image {
    let (width, height) = (WORLD.x as u32 * 2, WORLD.y as u32 * 2);
    let mut pixels: Vec<Vec3> = Vec::with_capacity((width * height) as usize);
    for y in 0..height {
        for x in 0..width {
            let at = Vec2::new(x as f32 - WORLD.x, WORLD.y - y as f32);
            pixels.push(soil(at));
        }
    }
    let mut canvas = Canvas {
        width,
        height,
        pixels,
    };
    let mut chance = Chance::new(0x5eed);
    for _ in 0..TUFTS {
        canvas.tuft(&mut chance);
    }
    for _ in 0..PEBBLES {
        canvas.pebble(&mut chance);
    }
    let data = canvas
        .pixels
        .iter()
        .flat_map(|color| {
            let byte = |part: f32| (part.clamp(0.0, 1.0) * 255.0) as u8;
            [byte(color.x), byte(color.y), byte(color.z), 255]
        })
        .collect();
    picture(width, height, data)
}

/// The floor without what lies on it.
fn soil(at: Vec2) -> Vec3 {
    let far = at.length();
    let broad = fbm(at / 120.0);
    let fine = fbm(at / 17.0 + Vec2::splat(40.0));
    let bare = smooth(360.0, 110.0, far + (broad - 0.5) * 300.0);
    let color = GRASS.lerp(EARTH, bare).lerp(SOOT, smooth(92.0, 44.0, far));
    lit(color * (0.72 + 0.56 * fine) * (0.86 + 0.28 * broad), far)
}

/// As the fire lights it.
fn lit(color: Vec3, far: f32) -> Vec3 {
    let warmth = (-far * far / (2.0 * 250.0_f32.powi(2))).exp();
    color * (Vec3::ONE + GLOW * warmth * 1.35)
}

struct Canvas {
    width: u32,
    height: u32,
    pixels: Vec<Vec3>,
}

impl Canvas {
    fn blend(&mut self, at: Vec2, color: Vec3, much: f32) {
        let (x, y) = ((at.x + WORLD.x) as i32, (WORLD.y - at.y) as i32);
        if x < 0 || y < 0 || x >= self.width as i32 || y >= self.height as i32 {
            return;
        }
        let index = y as usize * self.width as usize + x as usize;
        if let Some(pixel) = self.pixels.get_mut(index) {
            *pixel = pixel.lerp(color, much);
        }
    }

    /// A few blades.
    fn tuft(&mut self, chance: &mut Chance) {
        let at = somewhere(chance);
        let far = at.length();
        // Nothing grows where everybody sits.
        if chance.unit() < smooth(300.0, 130.0, far) {
            return;
        }
        let color = lit(GRASS * chance.between(1.25, 1.75), far);
        for _ in 0..3 {
            let root = at + Vec2::new(chance.between(-4.0, 4.0), 0.0);
            let lean = chance.between(-0.5, 0.5);
            let height = chance.between(3.0, 8.0);
            for step in 0..height as i32 {
                let up = step as f32;
                let here = root + Vec2::new(lean * up, up);
                self.blend(here, color, 0.85 - up / height * 0.45);
            }
        }
    }

    /// A stone: lit from the fire's side, dark on the other.
    fn pebble(&mut self, chance: &mut Chance) {
        let at = somewhere(chance);
        let size = chance.between(1.6, 4.6);
        let far = at.length();
        if far < 60.0 {
            return;
        }
        let towards = -at.normalize_or(Vec2::Y);
        let reach = size.ceil() as i32 + 1;
        for dy in -reach..=reach {
            for dx in -reach..=reach {
                let off = Vec2::new(dx as f32, dy as f32 * 1.35);
                let edge = smooth(size + 0.7, size - 0.7, off.length());
                let side = 0.5 + 0.5 * off.normalize_or_zero().dot(towards);
                let color = lit(Vec3::new(0.24, 0.22, 0.20) * (0.55 + 0.75 * side), far);
                self.blend(at + Vec2::new(dx as f32, dy as f32), color, edge);
            }
        }
    }
}

fn somewhere(chance: &mut Chance) -> Vec2 {
    Vec2::new(
        chance.between(-WORLD.x, WORLD.x),
        chance.between(-WORLD.y, WORLD.y),
    )
}

/// Noise of three sizes, from 0 to 1.
fn fbm(at: Vec2) -> f32 {
    (noise(at) * 4.0 + noise(at * 2.1) * 2.0 + noise(at * 4.3)) / 7.0
}

/// Smooth noise from 0 to 1.
fn noise(at: Vec2) -> f32 {
    let cell = at.floor();
    let within = at - cell;
    let t = within * within * (Vec2::splat(3.0) - 2.0 * within);
    let corner = |x: f32, y: f32| hash(cell.x as i32 + x as i32, cell.y as i32 + y as i32);
    let low = corner(0.0, 0.0).lerp(corner(1.0, 0.0), t.x);
    let high = corner(0.0, 1.0).lerp(corner(1.0, 1.0), t.x);
    low.lerp(high, t.y)
}

fn hash(x: i32, y: i32) -> f32 {
    let mut h = (x as u32).wrapping_mul(0x9e37_79b1) ^ (y as u32).wrapping_mul(0x85eb_ca77);
    h ^= h >> 15;
    h = h.wrapping_mul(0xc2b2_ae3d);
    h ^= h >> 13;
    (h >> 8) as f32 / (1 << 24) as f32
}
