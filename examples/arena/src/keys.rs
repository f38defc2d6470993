//! The line that says which keys there are.

use bevy::prelude::*;
use bevy_fireside::typing;

use crate::{host::ServerState, theme};

#[derive(Component)]
struct KeyLine;

pub(crate) fn plugin(app: &mut App) {
    app.add_systems(Startup, spawn).add_systems(Update, tell);
}

fn spawn(mut commands: Commands) {
    commands.spawn((
        KeyLine,
        Node {
            position_type: PositionType::Absolute,
            right: px(theme::PANEL_MARGIN),
            bottom: px(theme::PANEL_MARGIN),
            padding: UiRect::axes(px(13), px(7)),
            border_radius: BorderRadius::all(px(9)),
            column_gap: px(18),
            ..default()
        },
        BackgroundColor(theme::PANEL),
        GlobalZIndex(5),
        Pickable::IGNORE,
    ));
}

/// What can be pressed now, and what it does.
fn tell(
    server: Res<ServerState>,
    line: Single<Entity, With<KeyLine>>,
    writing: Query<(), With<bevy::text::EditableText>>,
    focus: Option<Res<bevy::input_focus::InputFocus>>,
    mut said: Local<Option<(bool, ServerState)>>,
    mut commands: Commands,
) {
    let writes = typing(None, focus, writing);
    if *said == Some((writes, *server)) {
        return;
    }
    *said = Some((writes, *server));
    let f5 = match *server {
        ServerState::Running => ("F5", "take the server away"),
        ServerState::Stopping => ("F5", "the server goes…"),
        ServerState::Stopped => ("F5", "bring the server back"),
        ServerState::Starting => ("F5", "the server comes…"),
    };
    let keys = if writes {
        vec![
            ("Enter", "send"),
            ("Esc", "back to the game"),
            ("Tab", "next tab"),
            ("Up", "what you said"),
            f5,
        ]
    } else {
        vec![
            ("WASD", "walk"),
            ("Enter", "chat"),
            ("Tab", "next tab"),
            ("Page Up", "older"),
            f5,
        ]
    };
    commands
        .entity(*line)
        .despawn_children()
        .with_children(|line| {
            for (key, what) in keys {
                line.spawn(Node {
                    column_gap: px(6),
                    align_items: AlignItems::Center,
                    ..default()
                })
                .with_children(|pair| {
                    pair.spawn((
                        Text::new(key),
                        theme::font(theme::SMALL),
                        TextColor(theme::AMBER),
                        TextLayout::no_wrap(),
                        Pickable::IGNORE,
                    ));
                    pair.spawn((
                        Text::new(what),
                        theme::font(theme::SMALL),
                        TextColor(theme::DIM),
                        TextLayout::no_wrap(),
                        Pickable::IGNORE,
                    ));
                });
            }
        });
}
