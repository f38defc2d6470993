//! Who goes where: the player by keys, the others as they like.

use bevy::prelude::*;
use bevy_fireside::typing;

use crate::{
    bubbles::Talking,
    chance::Chance,
    figures::{Figure, Player},
    world::{CLEARING, FIRE_RADIUS},
};

/// Logical pixels a second.
const RUN: f32 = 210.0;
const STROLL: f32 = 62.0;
/// How soon a figure has its speed.
const AGILITY: f32 = 12.0;
/// Pixels of one stride.
const STRIDE: f32 = 26.0;

/// Left and below of this is the chat box, for who sits by the fire.
const CORNER: Vec2 = Vec2::new(-150.0, -110.0);

/// Pixels a second.
#[derive(Component, Debug, Default)]
pub(crate) struct Velocity(pub(crate) Vec2);

/// Strolls around by himself.
#[derive(Component, Debug)]
pub(crate) struct Stroller {
    goal: Vec2,
    rest_s: f32,
    chance: Chance,
}

impl Stroller {
    pub(crate) fn new(home: Vec2) -> Self {
        let seed = u64::from(home.x.to_bits()) << 32 | u64::from(home.y.to_bits());
        let mut chance = Chance::new(seed);
        Self {
            goal: home,
            rest_s: chance.between(1.0, 5.0),
            chance,
        }
    }
}

/// Walks everybody but the player.
pub(crate) fn plugin(app: &mut App) {
    app.add_systems(Update, (stroll, walk.in_set(Walked)).chain());
}

/// Everybody is where they are this frame.
#[derive(Clone, Debug, Eq, Hash, PartialEq, SystemSet)]
pub(crate) struct Walked;

/// The player's keys.
pub(crate) fn keys_plugin(app: &mut App) {
    app.add_systems(
        Update,
        (
            // "w" in a word does not walk.
            steer.run_if(not(typing)),
            stand.run_if(typing),
        )
            .before(walk),
    );
}

fn steer(keys: Res<ButtonInput<KeyCode>>, mut player: Single<&mut Velocity, With<Player>>) {
    let pressed = |all: [KeyCode; 2]| f32::from(u8::from(keys.any_pressed(all)));
    let right = pressed([KeyCode::KeyD, KeyCode::ArrowRight]);
    let left = pressed([KeyCode::KeyA, KeyCode::ArrowLeft]);
    let up = pressed([KeyCode::KeyW, KeyCode::ArrowUp]);
    let down = pressed([KeyCode::KeyS, KeyCode::ArrowDown]);
    let wish = Vec2::new(right - left, up - down).normalize_or_zero() * RUN;
    if player.0 != wish {
        player.0 = wish;
    }
}

fn stand(mut player: Single<&mut Velocity, With<Player>>) {
    if player.0 != Vec2::ZERO {
        player.0 = Vec2::ZERO;
    }
}

fn stroll(
    time: Res<Time>,
    talking: Option<Res<Talking>>,
    mut strollers: Query<(&Figure, &mut Stroller, &mut Velocity, &Transform)>,
) {
    for (figure, mut stroller, mut velocity, transform) in &mut strollers {
        let busy = talking
            .as_ref()
            .is_some_and(|talking| talking.is(&figure.user));
        let to_go = stroller.goal - transform.translation.xy();
        if busy || to_go.length() < 6.0 {
            velocity.0 = Vec2::ZERO;
            stroller.rest_s -= if busy { 0.0 } else { time.delta_secs() };
            if stroller.rest_s <= 0.0 {
                // Somewhere round the fire, near enough to be seen.
                let angle = stroller.chance.between(0.0, std::f32::consts::TAU);
                let far = stroller.chance.between(115.0, 330.0);
                stroller.goal = Vec2::from_angle(angle) * far * Vec2::new(1.25, 0.8);
                if stroller.goal.cmplt(CORNER).all() {
                    stroller.goal.x *= -1.0;
                }
                stroller.rest_s = stroller.chance.between(2.5, 8.0);
            }
        } else {
            velocity.0 = to_go.normalize() * STROLL;
        }
    }
}

/// Moves who has a speed, round the fire and not out of the clearing.
fn walk(
    time: Res<Time>,
    mut speeds: Local<std::collections::HashMap<Entity, Vec2>>,
    mut figures: Query<(Entity, &mut Figure, &mut Transform, &Velocity)>,
) {
    let dt = time.delta_secs().min(0.1);
    for (entity, mut figure, mut transform, wish) in &mut figures {
        let speed = speeds.entry(entity).or_default();
        *speed += (wish.0 - *speed) * (1.0 - (-AGILITY * dt).exp());
        if wish.0 == Vec2::ZERO && speed.length() < 4.0 {
            *speed = Vec2::ZERO;
        }
        let mut place = transform.translation.xy() + *speed * dt;
        let from_fire = place.length();
        if from_fire < FIRE_RADIUS {
            place = place.normalize_or(Vec2::NEG_Y) * FIRE_RADIUS;
        }
        place = place.clamp(-CLEARING, CLEARING);
        let moved = place - transform.translation.xy();
        if moved.length() > 0.01 {
            transform.translation = place.extend(transform.translation.z);
            figure.strides += moved.length() / STRIDE;
        } else {
            // Stands on both feet.
            figure.strides = figure.strides.round();
        }
        let facing = if speed.length() > 8.0 {
            speed.normalize()
        } else {
            // Who stands looks into the fire.
            (-place).normalize_or(Vec2::NEG_Y)
        };
        let turned = figure.facing.lerp(facing, 1.0 - (-9.0 * dt).exp());
        figure.facing = turned.normalize_or(facing);
    }
}
