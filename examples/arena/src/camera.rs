//! The camera follows the player, softly, and does not look beyond the forest.

use bevy::prelude::*;

use crate::{figures::Player, theme, walk::Walked, world::WORLD};

/// How soon it is where it wants to be.
const EAGERNESS: f32 = 5.0;

pub(crate) fn plugin(app: &mut App) {
    app.insert_resource(ClearColor(theme::NIGHT))
        .add_systems(Startup, |mut commands: Commands| {
            commands.spawn(Camera2d);
        })
        .add_systems(Update, follow.in_set(CameraMoved).after(Walked));
}

/// Where the camera is this frame is known after this.
#[derive(Clone, Debug, Eq, Hash, PartialEq, SystemSet)]
pub(crate) struct CameraMoved;

fn follow(
    time: Res<Time>,
    window: Single<&Window>,
    player: Single<&Transform, (With<Player>, Without<Camera2d>)>,
    mut camera: Single<&mut Transform, With<Camera2d>>,
) {
    let half = window.size() / 2.0;
    let room = (WORLD - half).max(Vec2::ZERO);
    let wish = (player.translation.xy() * 0.7).clamp(-room, room);
    let now = camera.translation.xy();
    let next = now.lerp(wish, 1.0 - (-EAGERNESS * time.delta_secs()).exp());
    // Whole pixels, so that the ground does not shimmer while the camera comes to rest.
    let next = if next.distance(wish) < 0.5 {
        wish.round()
    } else {
        next
    };
    if next != now {
        camera.translation = next.extend(camera.translation.z);
    }
}
