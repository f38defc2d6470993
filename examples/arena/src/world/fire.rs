//! The fire: stones, wood, flames that flicker, sparks that rise, and the light of it all.

use std::f32::consts::TAU;

use bevy::{
    asset::RenderAssetUsages,
    mesh::{Indices, PrimitiveTopology},
    prelude::*,
};

use super::{BORDER_Z, LIGHT_Z, SPARK_Z, THINGS_Z, paint, smooth};
use crate::chance::Chance;

const STONES: usize = 13;
const SPARKS: usize = 16;

/// A tongue of flame: how it moves.
#[derive(Component)]
struct Flame {
    size: Vec2,
    phase: f32,
    pace: f32,
}

/// The light on the ground.
#[derive(Component)]
struct Glow {
    size: f32,
    strength: f32,
}

/// A spark: where it began, how old it is, how long it lives.
#[derive(Component)]
struct Spark {
    from: Vec2,
    drift: f32,
    age_s: f32,
    life_s: f32,
}

pub(super) fn plugin(app: &mut App) {
    app.add_systems(Startup, (build, kindle))
        .add_systems(Update, (flicker, shine, rise));
}

/// Stones and wood.
fn build(
    mut meshes: ResMut<Assets<Mesh>>,
    mut materials: ResMut<Assets<ColorMaterial>>,
    mut commands: Commands,
) {
    let mut chance = Chance::new(0x57);
    let stone = meshes.add(Circle::new(1.0));
    let bed = meshes.add(Circle::new(40.0));
    let (coal, ember) = (
        materials.add(Color::srgb(0.085, 0.062, 0.055)),
        materials.add(Color::srgba(0.95, 0.36, 0.10, 0.55)),
    );
    commands.spawn((
        Mesh2d(bed),
        MeshMaterial2d(coal),
        Transform::from_xyz(0.0, 0.0, THINGS_Z).with_scale(Vec3::new(1.0, 0.86, 1.0)),
    ));
    let core = meshes.add(Ellipse::new(29.0, 21.0));
    commands.spawn((
        Mesh2d(core),
        MeshMaterial2d(ember),
        Transform::from_xyz(0.0, -1.0, THINGS_Z + 0.1),
    ));
    for at in 0..STONES {
        let turn = at as f32 / STONES as f32 * TAU;
        let place = Vec2::from_angle(turn) * Vec2::new(45.0, 38.0);
        let size = chance.between(8.5, 11.5);
        let shade = chance.between(0.24, 0.34);
        let dark = materials.add(Color::srgb(shade * 0.55, shade * 0.48, shade * 0.46));
        let lit = materials.add(Color::srgb(shade * 1.45, shade * 1.12, shade * 0.92));
        let z = THINGS_Z + 0.5 - place.y * 0.001;
        let squash = Vec3::new(size * 1.12, size * 0.9, 1.0);
        commands.spawn((
            Mesh2d(stone.clone()),
            MeshMaterial2d(dark),
            Transform::from_translation(place.extend(z)).with_scale(squash),
        ));
        commands.spawn((
            Mesh2d(stone.clone()),
            MeshMaterial2d(lit),
            Transform::from_translation((place * 0.95 + Vec2::Y * 1.6).extend(z + 0.0005))
                .with_scale(squash * Vec3::new(0.70, 0.66, 1.0)),
        ));
    }
    let log = meshes.add(Capsule2d::new(5.5, 44.0));
    let bark = materials.add(Color::srgb(0.17, 0.10, 0.07));
    let glowing = materials.add(Color::srgb(0.42, 0.17, 0.08));
    for (turn, material) in [(0.9, &bark), (2.3, &glowing), (1.6, &bark)] {
        commands.spawn((
            Mesh2d(log.clone()),
            MeshMaterial2d(material.clone()),
            Transform::from_xyz(0.0, -4.0, THINGS_Z + 0.7 + turn * 0.01)
                .with_rotation(Quat::from_rotation_z(turn)),
        ));
    }
}

/// Flames, light, sparks.
fn kindle(
    mut meshes: ResMut<Assets<Mesh>>,
    mut materials: ResMut<Assets<ColorMaterial>>,
    mut images: ResMut<Assets<Image>>,
    mut commands: Commands,
) {
    let tongue = meshes.add(teardrop());
    // From the outer, slow and dark, to the inner, quick and bright.
    let tongues = [
        (
            Color::srgba(0.82, 0.22, 0.07, 0.90),
            -15.0,
            27.0,
            44.0,
            1.3,
            0.00,
        ),
        (
            Color::srgba(0.82, 0.22, 0.07, 0.90),
            15.0,
            25.0,
            40.0,
            1.5,
            2.10,
        ),
        (
            Color::srgba(0.90, 0.33, 0.09, 0.95),
            0.0,
            32.0,
            66.0,
            1.7,
            4.00,
        ),
        (
            Color::srgba(0.97, 0.52, 0.14, 0.95),
            -7.0,
            19.0,
            46.0,
            2.1,
            1.10,
        ),
        (
            Color::srgba(0.97, 0.52, 0.14, 0.95),
            8.0,
            18.0,
            40.0,
            2.3,
            3.20,
        ),
        (
            Color::srgba(1.00, 0.74, 0.28, 1.00),
            0.0,
            17.0,
            40.0,
            2.7,
            5.00,
        ),
        (
            Color::srgba(1.00, 0.93, 0.66, 1.00),
            1.0,
            9.0,
            22.0,
            3.3,
            0.50,
        ),
    ];
    for (at, (color, x, width, height, pace, phase)) in tongues.into_iter().enumerate() {
        commands.spawn((
            Flame {
                size: Vec2::new(width, height),
                phase,
                pace,
            },
            Mesh2d(tongue.clone()),
            MeshMaterial2d(materials.add(color)),
            Transform::from_xyz(x, -12.0, BORDER_Z + at as f32 * 0.001),
        ));
    }
    let light = images.add(paint(128, 128, |at| {
        let near = smooth(1.0, 0.0, at.length());
        [1.0, 0.62, 0.27, near * near]
    }));
    for (z, size, strength) in [(LIGHT_Z, 920.0, 0.30), (SPARK_Z - 0.5, 420.0, 0.26)] {
        commands.spawn((
            Glow { size, strength },
            Sprite::from_image(light.clone()),
            Transform::from_xyz(0.0, 6.0, z),
        ));
    }
    let mut chance = Chance::new(0x5a);
    for _ in 0..SPARKS {
        let life_s = chance.between(1.6, 3.6);
        commands.spawn((
            Spark {
                from: Vec2::new(chance.between(-16.0, 16.0), chance.between(0.0, 26.0)),
                drift: chance.between(-24.0, 24.0),
                age_s: chance.between(0.0, life_s),
                life_s,
            },
            Sprite {
                image: light.clone(),
                custom_size: Some(Vec2::splat(7.0)),
                ..default()
            },
            Transform::from_xyz(0.0, 0.0, SPARK_Z),
        ));
    }
}

/// A drop of height 1 and width 1 that stands on its round end.
fn teardrop() -> Mesh {
    const POINTS: u32 = 40;
    let mut positions = vec![[0.0, 0.35, 0.0]];
    for at in 0..POINTS {
        let turn = at as f32 / POINTS as f32 * TAU;
        let width = turn.sin() * (turn / 2.0).sin().powf(1.4);
        positions.push([width * 0.62, 0.5 + turn.cos() * 0.5, 0.0]);
    }
    let around = (1..=POINTS)
        .flat_map(|at| [0, at % POINTS + 1, at])
        .collect();
    let normals = vec![[0.0, 0.0, 1.0]; positions.len()];
    let corners = vec![[0.0, 0.0]; positions.len()];
    Mesh::new(
        PrimitiveTopology::TriangleList,
        RenderAssetUsages::RENDER_WORLD,
    )
    .with_inserted_attribute(Mesh::ATTRIBUTE_POSITION, positions)
    .with_inserted_attribute(Mesh::ATTRIBUTE_NORMAL, normals)
    .with_inserted_attribute(Mesh::ATTRIBUTE_UV_0, corners)
    .with_inserted_indices(Indices::U32(around))
}

/// Three waves that never meet the same way twice.
fn wave(t: f32) -> f32 {
    (t * 5.1).sin() * 0.5 + (t * 8.7 + 1.3).sin() * 0.3 + (t * 14.3 + 0.7).sin() * 0.2
}

fn flicker(time: Res<Time>, mut flames: Query<(&Flame, &mut Transform)>) {
    let t = time.elapsed_secs();
    for (flame, mut transform) in &mut flames {
        let beat = wave(t * flame.pace * 0.55 + flame.phase);
        transform.scale = Vec3::new(
            flame.size.x * (1.0 - beat * 0.10),
            flame.size.y * (1.0 + beat * 0.20),
            1.0,
        );
        let lean = wave(t * 0.6 * flame.pace + flame.phase * 2.0) * 0.13;
        transform.rotation = Quat::from_rotation_z(lean);
    }
}

fn shine(time: Res<Time>, mut glows: Query<(&Glow, &mut Sprite)>) {
    let beat = wave(time.elapsed_secs() * 0.8);
    for (glow, mut sprite) in &mut glows {
        sprite.custom_size = Some(Vec2::splat(glow.size * (1.0 + beat * 0.025)));
        sprite.color = Color::WHITE.with_alpha(glow.strength * (1.0 + beat * 0.16));
    }
}

fn rise(time: Res<Time>, mut sparks: Query<(&mut Spark, &mut Sprite, &mut Transform)>) {
    for (mut spark, mut sprite, mut transform) in &mut sparks {
        spark.age_s += time.delta_secs();
        if spark.age_s > spark.life_s {
            spark.age_s = 0.0;
        }
        let age = spark.age_s / spark.life_s;
        let sway = (age * 9.0 + spark.drift).sin() * 7.0;
        let at = spark.from + Vec2::new(spark.drift * age + sway, age * 150.0);
        transform.translation = at.extend(transform.translation.z);
        sprite.color =
            Color::srgb(1.0, 0.82, 0.55).with_alpha((1.0 - age) * smooth(0.0, 0.15, age));
    }
}
