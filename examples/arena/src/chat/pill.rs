//! How the connection is: a dot and a few words in the corner.

use bevy::prelude::*;
use bevy_fireside::ConnectionStatus;

use crate::{host::ServerState, people::short, stage::Me, theme};

/// Characters of the own name.
const NAME: usize = 24;

#[derive(Component)]
struct Dot;
#[derive(Component)]
struct Words;
#[derive(Component)]
struct Aside;

pub(crate) fn plugin(app: &mut App) {
    app.add_systems(Startup, spawn)
        .add_systems(Update, (show, show_server));
}

fn spawn(mut commands: Commands) {
    commands
        .spawn((
            Node {
                position_type: PositionType::Absolute,
                top: px(theme::PANEL_MARGIN),
                right: px(theme::PANEL_MARGIN),
                max_width: px(460),
                flex_direction: FlexDirection::Column,
                align_items: AlignItems::End,
                row_gap: px(6),
                ..default()
            },
            GlobalZIndex(5),
            Pickable::IGNORE,
        ))
        .with_children(|corner| {
            corner
                .spawn((
                    Node {
                        padding: UiRect::axes(px(13), px(7)),
                        column_gap: px(9),
                        align_items: AlignItems::Center,
                        border: UiRect::all(px(1)),
                        border_radius: BorderRadius::all(px(17)),
                        ..default()
                    },
                    BackgroundColor(theme::PANEL),
                    BorderColor::all(theme::LINE),
                    Pickable::IGNORE,
                ))
                .with_children(|pill| {
                    pill.spawn((
                        Dot,
                        Node {
                            width: px(9),
                            height: px(9),
                            flex_shrink: 0.0,
                            border_radius: BorderRadius::all(px(5)),
                            ..default()
                        },
                        BackgroundColor(theme::FAINT),
                        Pickable::IGNORE,
                    ));
                    pill.spawn((
                        Words,
                        Text::default(),
                        theme::font(theme::LABEL),
                        TextColor(theme::CREAM),
                        TextLayout::new(Justify::Left, LineBreak::WordOrCharacter),
                        Pickable::IGNORE,
                    ));
                });
            corner.spawn((
                Aside,
                Text::default(),
                theme::font(theme::SMALL),
                TextColor(theme::AMBER),
                Node {
                    margin: UiRect::right(px(12)),
                    ..default()
                },
                Pickable::IGNORE,
            ));
        });
}

fn show(
    time: Res<Time<Real>>,
    me: Res<Me>,
    status: Query<&ConnectionStatus>,
    mut words: Single<&mut Text, With<Words>>,
    mut dot: Single<&mut BackgroundColor, With<Dot>>,
    mut since: Local<Option<(ConnectionStatus, f32)>>,
) {
    let Ok(status) = status.get(me.client) else {
        return;
    };
    let now = time.elapsed_secs();
    if since.as_ref().is_none_or(|(before, _)| before != status) {
        *since = Some((status.clone(), now));
    }
    let for_s = since.as_ref().map_or(0.0, |(_, from)| now - from);
    let (color, text) = describe(status, for_s);
    let text = if status.is_online() {
        format!("{text} as {}", short(me.user.as_str(), NAME))
    } else {
        text
    };
    if words.0 != text {
        words.0 = text;
    }
    dot.set_if_neq(BackgroundColor(color));
}

/// A status that holds for so many seconds already.
pub(crate) fn describe(status: &ConnectionStatus, for_s: f32) -> (Color, String) {
    match status {
        ConnectionStatus::Online => (theme::GREEN, "online".to_owned()),
        ConnectionStatus::Connecting => (theme::AMBER, "connecting…".to_owned()),
        ConnectionStatus::Reconnecting {
            attempt,
            next_in_ms,
        } => {
            let left = *next_in_ms as f32 / 1_000.0 - for_s;
            let when = if left > 0.05 {
                format!(", in {} s", left.ceil())
            } else {
                String::new()
            };
            (theme::AMBER, format!("reconnecting: try {attempt}{when}"))
        }
        ConnectionStatus::Offline => (theme::RED, "offline".to_owned()),
        ConnectionStatus::Refused { text, .. } => (theme::RED, format!("refused: {text}")),
    }
}

/// The server in this process: only worth a word while it is away.
fn show_server(server: Res<ServerState>, mut aside: Single<&mut Text, With<Aside>>) {
    if !server.is_changed() {
        return;
    }
    let words = match *server {
        ServerState::Running => "",
        ServerState::Stopping => "the server is going",
        ServerState::Stopped => "the server is away; what you write waits",
        ServerState::Starting => "the server is coming back",
    };
    words.clone_into(&mut aside.0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tries_are_counted_down() {
        let waiting = ConnectionStatus::Reconnecting {
            attempt: 3,
            next_in_ms: 2_400,
        };
        assert_eq!(describe(&waiting, 0.0).1, "reconnecting: try 3, in 3 s");
        assert_eq!(describe(&waiting, 1.5).1, "reconnecting: try 3, in 1 s");
        assert_eq!(describe(&waiting, 5.0).1, "reconnecting: try 3");
    }

    #[test]
    fn a_refusal_says_why() {
        let refused = ConnectionStatus::Refused {
            code: 205,
            text: "banned until Friday".to_owned(),
            until: 0,
        };
        assert_eq!(describe(&refused, 0.0).1, "refused: banned until Friday");
    }
}
