//! The chat box: tabs, the log, a line for typing and hints, the text box.

use bevy::prelude::*;

use super::{
    hint,
    input::{self, ChatInput},
    log, pill, scroll, tabs,
};
use crate::{figures::Player, theme};

#[derive(Component)]
struct Panel;

pub(crate) fn plugin(app: &mut App) {
    app.add_plugins((
        tabs::plugin,
        log::plugin,
        scroll::plugin,
        hint::plugin,
        input::plugin,
        pill::plugin,
    ))
    .add_systems(Startup, build)
    .add_systems(Update, brighten);
}

fn build(mut commands: Commands) {
    commands
        .spawn((
            Panel,
            Node {
                position_type: PositionType::Absolute,
                left: px(theme::PANEL_MARGIN),
                bottom: px(theme::PANEL_MARGIN),
                width: px(theme::PANEL_WIDTH),
                height: px(theme::PANEL_HEIGHT),
                flex_direction: FlexDirection::Column,
                border: UiRect::all(px(1)),
                border_radius: BorderRadius::all(px(14)),
                ..default()
            },
            BackgroundColor(theme::PANEL),
            BorderColor::all(theme::LINE),
            BoxShadow::new(Color::BLACK.with_alpha(0.45), px(0), px(6), px(0), px(18)),
            GlobalZIndex(10),
        ))
        .with_children(|panel| {
            tabs::build(panel);
            log::build(panel);
            hint::build(panel);
            input::build(panel);
        });
}

/// Who writes sees it clearly; who plays sees the game behind it, and himself where he walks behind it.
fn brighten(
    window: Single<&Window>,
    camera: Single<(&Camera, &GlobalTransform), With<Camera2d>>,
    player: Single<&GlobalTransform, With<Player>>,
    focus: Res<bevy::input_focus::InputFocus>,
    input: Single<Entity, With<ChatInput>>,
    mut panel: Single<&mut BackgroundColor, With<Panel>>,
) {
    let (camera, camera_at) = *camera;
    let behind = camera
        .world_to_viewport(camera_at, player.translation())
        .is_ok_and(|at| theme::chat_box(window.size()).contains(at));
    let color = if focus.get() == Some(*input) {
        theme::PANEL_ACTIVE
    } else if behind {
        theme::PANEL_CLEAR
    } else {
        theme::PANEL
    };
    panel.set_if_neq(BackgroundColor(color));
}
