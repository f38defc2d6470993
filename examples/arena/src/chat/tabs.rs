//! A tab for each conversation: its name, what is unread in it, which one is looked at.

use bevy::{ecs::hierarchy::ChildSpawnerCommands, prelude::*};
use bevy_fireside::{Title, Unread};

use super::rooms::{Looking, Rooms};
use crate::{people::short, theme};

/// Characters of a name in a tab.
const CHARACTERS: usize = 14;
/// Between the selected tab and the end of the bar, in logical pixels.
const EDGE: f32 = 8.0;
/// More is "99+".
const UNREAD_MAX: u32 = 99;

#[derive(Component)]
struct TabBar;

/// The tab of what is looked at.
#[derive(Component)]
struct Selected;

/// How a tab looks.
#[derive(Clone, Debug, PartialEq)]
struct Look {
    room: Entity,
    title: String,
    unread: u32,
    selected: bool,
}

pub(crate) fn plugin(app: &mut App) {
    app.add_systems(Update, (show, reveal).chain());
}

pub(crate) fn build(panel: &mut ChildSpawnerCommands) {
    panel.spawn((
        TabBar,
        Node {
            height: px(40),
            flex_shrink: 0.0,
            padding: UiRect::axes(px(8), px(6)),
            column_gap: px(4),
            align_items: AlignItems::Stretch,
            border: UiRect::bottom(px(1)),
            overflow: Overflow::scroll_x(),
            ..default()
        },
        ScrollPosition::default(),
        BorderColor::all(theme::LINE),
    ));
}

fn show(
    bar: Single<Entity, With<TabBar>>,
    rooms: Res<Rooms>,
    looking: Res<Looking>,
    facts: Query<(&Title, &Unread)>,
    mut shown: Local<Option<Vec<Look>>>,
    mut commands: Commands,
) {
    let looks: Vec<Look> = rooms
        .iter()
        .filter_map(|room| {
            let (title, unread) = facts.get(room).ok()?;
            let selected = rooms.selected() == Some(room);
            // What one looks at is as good as read; the server's word for it comes a moment later.
            let seen = selected && looking.0;
            Some(Look {
                room,
                title: short(&title.0, CHARACTERS),
                unread: if seen { 0 } else { unread.messages },
                selected,
            })
        })
        .collect();
    if shown.as_ref() == Some(&looks) {
        return;
    }
    let mut bar = commands.entity(*bar);
    bar.despawn_children().with_children(|bar| {
        if looks.is_empty() {
            bar.spawn(Node {
                padding: UiRect::horizontal(px(8)),
                align_items: AlignItems::Center,
                ..default()
            })
            .with_child((
                Text::new("looking for the camp…"),
                theme::font(theme::LABEL),
                TextColor(theme::DIM),
            ));
        }
        for look in &looks {
            tab(bar, look);
        }
    });
    *shown = Some(looks);
}

fn tab(bar: &mut ChildSpawnerCommands, look: &Look) {
    let room = look.room;
    let (ground, ink) = if look.selected {
        (theme::RAISED, theme::CREAM)
    } else {
        (Color::NONE, theme::DIM)
    };
    bar.spawn((
        Node {
            flex_shrink: 0.0,
            padding: UiRect::horizontal(px(11)),
            column_gap: px(7),
            align_items: AlignItems::Center,
            border_radius: BorderRadius::all(px(8)),
            ..default()
        },
        BackgroundColor(ground),
    ))
    .insert_if(Selected, || look.selected)
    .observe(move |_: On<Pointer<Click>>, mut rooms: ResMut<Rooms>| rooms.select(room))
    .with_children(|tab| {
        tab.spawn((
            Text::new(look.title.clone()),
            theme::font(theme::LABEL),
            TextColor(ink),
            TextLayout::no_wrap(),
            Pickable::IGNORE,
        ));
        if look.unread > 0 {
            tab.spawn((
                Node {
                    min_width: px(19),
                    height: px(19),
                    padding: UiRect::horizontal(px(6)),
                    justify_content: JustifyContent::Center,
                    align_items: AlignItems::Center,
                    border_radius: BorderRadius::all(px(10)),
                    ..default()
                },
                BackgroundColor(theme::AMBER),
                Pickable::IGNORE,
            ))
            .with_child((
                Text::new(count(look.unread)),
                theme::font(theme::SMALL - 0.5),
                TextColor(theme::INK),
                TextLayout::no_wrap(),
                Pickable::IGNORE,
            ));
        }
        if look.selected {
            tab.spawn((
                Node {
                    position_type: PositionType::Absolute,
                    left: px(11),
                    right: px(11),
                    bottom: px(0),
                    height: px(2),
                    border_radius: BorderRadius::all(px(1)),
                    ..default()
                },
                BackgroundColor(theme::AMBER),
                Pickable::IGNORE,
            ));
        }
    });
}

/// Scrolls the bar, if there are more tabs than it has room for.
fn reveal(
    bar: Single<(&ComputedNode, &UiGlobalTransform, &mut ScrollPosition), With<TabBar>>,
    tab: Query<(&ComputedNode, &UiGlobalTransform), With<Selected>>,
) {
    let (bar, bar_at, mut scroll) = bar.into_inner();
    let Ok((tab, tab_at)) = tab.single() else {
        return;
    };
    // Not measured yet.
    if tab.size().x <= 0.0 {
        return;
    }
    let off = (tab_at.translation.x - bar_at.translation.x).abs();
    let room = (bar.size().x - tab.size().x) / 2.0 - EDGE / bar.inverse_scale_factor;
    if off > room {
        let by = (off - room.max(0.0)).copysign(tab_at.translation.x - bar_at.translation.x);
        let next = (scroll.x + by * bar.inverse_scale_factor).max(0.0);
        if (next - scroll.x).abs() > 0.5 {
            scroll.x = next;
        }
    }
}

fn count(unread: u32) -> String {
    if unread > UNREAD_MAX {
        format!("{UNREAD_MAX}+")
    } else {
        unread.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_stay_short() {
        assert_eq!(short("cedar", CHARACTERS), "cedar");
        let long = short("a-very-long-player-name", CHARACTERS);
        assert_eq!(long.chars().count(), CHARACTERS);
        assert_eq!((count(7), count(1_000)), ("7".to_owned(), "99+".to_owned()));
    }
}
