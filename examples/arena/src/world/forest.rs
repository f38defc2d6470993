//! Trees round the clearing, and logs to sit on.

use std::f32::consts::TAU;

use bevy::prelude::*;

use super::{CLEARING, FOREST_Z, THINGS_Z};
use crate::chance::Chance;

/// Trees in a row round the clearing, and how many rows.
const TREES: usize = 30;
const ROWS: usize = 2;

pub(super) fn plugin(app: &mut App) {
    app.add_systems(Startup, (plant, lay_logs));
}

fn plant(
    mut meshes: ResMut<Assets<Mesh>>,
    mut materials: ResMut<Assets<ColorMaterial>>,
    mut commands: Commands,
) {
    let mut chance = Chance::new(0x7ee5);
    let crown = meshes.add(Circle::new(1.0));
    let greens = [
        Color::srgb(0.036, 0.062, 0.046),
        Color::srgb(0.052, 0.086, 0.058),
        Color::srgb(0.074, 0.112, 0.070),
    ]
    .map(|green| materials.add(green));
    let shadow = materials.add(Color::srgba(0.0, 0.0, 0.0, 0.35));
    for row in 0..ROWS {
        for tree in 0..TREES {
            let turn = (tree as f32 + row as f32 * 0.5) / TREES as f32 * TAU;
            let out = 1.0 + row as f32 * 0.17;
            let edge = squircle(turn) * (CLEARING + Vec2::splat(92.0)) * out;
            let at = edge + Vec2::new(chance.between(-22.0, 22.0), chance.between(-18.0, 18.0));
            let size = chance.between(52.0, 88.0);
            let z = FOREST_Z + row as f32 - at.y * 0.0005;
            commands.spawn((
                Mesh2d(crown.clone()),
                MeshMaterial2d(shadow.clone()),
                Transform::from_translation((at + Vec2::new(8.0, -16.0)).extend(FOREST_Z - 0.9))
                    .with_scale(Vec3::splat(size * 1.05)),
            ));
            // Each smaller and lighter, towards the light.
            let towards = -at.normalize_or(Vec2::Y);
            for (layer, green) in greens.iter().enumerate() {
                let step = layer as f32;
                let off = towards * size * 0.14 * step + Vec2::Y * size * 0.07 * step;
                commands.spawn((
                    Mesh2d(crown.clone()),
                    MeshMaterial2d(green.clone()),
                    Transform::from_translation((at + off).extend(z + step * 0.0001))
                        .with_scale(Vec3::splat(size * (1.0 - step * 0.23))),
                ));
            }
        }
    }
}

/// Between a circle and a square, as the clearing is.
fn squircle(turn: f32) -> Vec2 {
    let (y, x) = turn.sin_cos();
    let bend = |part: f32| part.signum() * part.abs().powf(0.62);
    Vec2::new(bend(x), bend(y))
}

fn lay_logs(
    mut meshes: ResMut<Assets<Mesh>>,
    mut materials: ResMut<Assets<ColorMaterial>>,
    mut commands: Commands,
) {
    let trunk = meshes.add(Capsule2d::new(11.0, 74.0));
    let light = meshes.add(Capsule2d::new(3.5, 62.0));
    let end = meshes.add(Ellipse::new(7.0, 10.5));
    let heart = meshes.add(Ellipse::new(3.6, 5.8));
    let bark = materials.add(Color::srgb(0.27, 0.175, 0.11));
    let lit = materials.add(Color::srgba(0.62, 0.40, 0.22, 0.55));
    let wood = materials.add(Color::srgb(0.60, 0.43, 0.27));
    let core = materials.add(Color::srgb(0.45, 0.30, 0.18));
    let shadow = materials.add(Color::srgba(0.0, 0.0, 0.0, 0.35));
    for turn in [0.42_f32, 1.62, 2.75, 3.85, 5.40] {
        let at = Vec2::from_angle(turn) * Vec2::new(168.0, 132.0);
        // Along the fire, and its bright side towards it.
        let along = Quat::from_rotation_z(turn);
        commands.spawn((
            Mesh2d(trunk.clone()),
            MeshMaterial2d(shadow.clone()),
            Transform::from_translation((at * 1.035 - Vec2::Y * 3.0).extend(THINGS_Z - 0.1))
                .with_rotation(along),
        ));
        commands
            .spawn((
                Mesh2d(trunk.clone()),
                MeshMaterial2d(bark.clone()),
                Transform::from_translation(at.extend(THINGS_Z)).with_rotation(along),
            ))
            .with_children(|log| {
                log.spawn((
                    Mesh2d(light.clone()),
                    MeshMaterial2d(lit.clone()),
                    Transform::from_xyz(-4.5, 0.0, 0.01),
                ));
                log.spawn((
                    Mesh2d(end.clone()),
                    MeshMaterial2d(wood.clone()),
                    Transform::from_xyz(0.0, 42.0, 0.02)
                        .with_rotation(Quat::from_rotation_z(TAU / 4.0)),
                ));
                log.spawn((
                    Mesh2d(heart.clone()),
                    MeshMaterial2d(core.clone()),
                    Transform::from_xyz(0.0, 42.0, 0.03)
                        .with_rotation(Quat::from_rotation_z(TAU / 4.0)),
                ));
            });
    }
}
