//! The messages of the conversation that is looked at: one entity a row, kept in step with its `Timeline`.

use std::collections::HashMap;

use bevy::{ecs::hierarchy::ChildSpawnerCommands, prelude::*};
use bevy_fireside::{
    ConversationKind, Timeline, Title,
    prelude::{MessageState, TimelineRow},
};

use super::{
    rooms::Rooms,
    row::{self, Look},
    scroll::{self, Measuring, Scroll},
};
use crate::{people::short, stage::Me, theme};

/// Characters of a name where nothing is said yet.
const NAME: usize = 24;

/// What the rows are in; it scrolls.
#[derive(Component, Debug)]
pub(crate) struct LogView;

/// The line above the oldest message.
#[derive(Component)]
pub(crate) struct OlderLine;

/// Pushes few rows to the bottom.
#[derive(Component)]
struct Spring;

/// What is said where nothing is.
#[derive(Component)]
struct Empty;

/// What is on screen.
#[derive(Debug, Default, Resource)]
pub(crate) struct Log {
    room: Option<Entity>,
    rows: Vec<(Entity, Look)>,
}

pub(crate) fn plugin(app: &mut App) {
    app.init_resource::<Log>()
        .add_systems(Update, (follow, console).chain().in_set(Shown));
}

/// The rows are as the timeline has them.
#[derive(Clone, Debug, Eq, Hash, PartialEq, SystemSet)]
pub(crate) struct Shown;

pub(crate) fn build(panel: &mut ChildSpawnerCommands) {
    panel
        .spawn(Node {
            flex_grow: 1.0,
            flex_basis: px(0),
            min_height: px(0),
            flex_direction: FlexDirection::Column,
            ..default()
        })
        .with_children(|area| {
            area.spawn((
                LogView,
                ScrollPosition::default(),
                Node {
                    flex_grow: 1.0,
                    flex_basis: px(0),
                    min_height: px(0),
                    flex_direction: FlexDirection::Column,
                    overflow: Overflow::scroll_y(),
                    ..default()
                },
            ))
            .observe(scroll::on_wheel)
            .with_children(|view| {
                view.spawn((
                    Spring,
                    Node {
                        flex_grow: 1.0,
                        ..default()
                    },
                ));
                view.spawn((
                    OlderLine,
                    Text::default(),
                    theme::font(theme::SMALL),
                    TextColor(theme::FAINT),
                    Node {
                        align_self: AlignSelf::Center,
                        flex_shrink: 0.0,
                        min_height: px(20),
                        margin: UiRect::top(px(4)),
                        ..default()
                    },
                ));
            });
            area.spawn((
                Empty,
                Text::default(),
                theme::font(theme::LABEL),
                TextColor(theme::DIM),
                TextLayout::justify(Justify::Center),
                Node {
                    position_type: PositionType::Absolute,
                    left: px(40),
                    right: px(40),
                    bottom: percent(42),
                    ..default()
                },
                Pickable::IGNORE,
            ));
            scroll::build(area);
        });
}

/// Brings the rows in step.
fn follow(
    me: Res<Me>,
    rooms: Res<Rooms>,
    view: Single<(Entity, &Children), With<LogView>>,
    fixed: Query<(), Or<(With<Spring>, With<OlderLine>)>>,
    timelines: Query<Ref<Timeline>>,
    sizes: Query<&ComputedNode>,
    mut log: ResMut<Log>,
    mut scroll: ResMut<Scroll>,
    mut commands: Commands,
) {
    let (view, children) = *view;
    let switched = log.room != rooms.selected();
    if switched {
        for (old, _) in log.rows.drain(..) {
            commands.entity(old).try_despawn();
        }
        log.room = rooms.selected();
        *scroll = Scroll::default();
    }
    let Some(room) = log.room else {
        return;
    };
    let timeline = timelines.get(room).ok();
    if !switched
        && timeline
            .as_ref()
            .is_some_and(|timeline| !timeline.is_changed())
    {
        return;
    }
    let looks = timeline.map_or_else(Vec::new, |timeline| looks(timeline.rows().iter(), &me));
    if looks.len() == log.rows.len() && looks.iter().eq(log.rows.iter().map(|(_, look)| look)) {
        return;
    }

    let mut known: HashMap<u64, (usize, Entity, Look)> = log
        .rows
        .drain(..)
        .enumerate()
        .map(|(at, (entity, look))| (look.row.row, (at, entity, look)))
        .collect();
    let first_kept = looks
        .iter()
        .position(|look| known.contains_key(&look.row.row));
    let last_kept = looks
        .iter()
        .rposition(|look| known.contains_key(&look.row.row));
    let kept = looks.iter().filter_map(|look| known.get(&look.row.row));
    let top = kept.map(|(at, ..)| *at).min();
    let mut rows = Vec::with_capacity(looks.len());
    for (at, look) in looks.into_iter().enumerate() {
        let entity = match known.remove(&look.row.row) {
            Some((_, entity, before)) => {
                if before != look {
                    commands
                        .entity(entity)
                        .despawn_children()
                        .with_children(|parts| row::fill(parts, &look, room));
                }
                entity
            }
            None => {
                // Older ones, above what the player reads: they are measured before they push anything down.
                let above = first_kept.is_some_and(|first| at < first) && !scroll.stick;
                if !above && last_kept.is_some_and(|last| at > last) && !look.own {
                    scroll.count_new();
                }
                let node = if above {
                    scroll::aside(row::node())
                } else {
                    row::node()
                };
                let mut spawned = commands.spawn((node, Pickable::IGNORE));
                spawned.with_children(|parts| row::fill(parts, &look, room));
                if above {
                    spawned.insert(Measuring);
                }
                spawned.id()
            }
        };
        rows.push((entity, look));
    }
    // What went from above must not move what the player reads.
    for (at, gone, _) in known.into_values() {
        if top.is_some_and(|top| at < top)
            && let Ok(size) = sizes.get(gone)
        {
            scroll.lost_above += size.size().y * size.inverse_scale_factor;
        }
        commands.entity(gone).try_despawn();
    }
    let mut order: Vec<Entity> = children
        .iter()
        .filter(|child| fixed.contains(*child))
        .collect();
    order.extend(rows.iter().map(|(row, _)| *row));
    commands.entity(view).replace_children(&order);
    log.rows = rows;
}

/// How the rows look; of settled own messages only the newest of each state says so.
fn looks<'a>(rows: impl DoubleEndedIterator<Item = &'a TimelineRow>, me: &Me) -> Vec<Look> {
    let mut said: Vec<MessageState> = Vec::new();
    let mut looks: Vec<Look> = rows
        .rev()
        .map(|row| {
            let own = row.sender == me.user;
            let settled = matches!(
                row.state,
                MessageState::Sent | MessageState::Delivered | MessageState::Read
            );
            let marked = own && !(settled && said.contains(&row.state));
            if marked && settled {
                said.push(row.state.clone());
            }
            Look {
                row: row.clone(),
                own,
                marked,
            }
        })
        .collect();
    looks.reverse();
    looks
}

/// Something kind where nothing is yet.
fn console(
    log: Res<Log>,
    facts: Query<(&ConversationKind, &Title)>,
    mut empty: Single<&mut Text, With<Empty>>,
) {
    let words = match log.room.and_then(|room| facts.get(room).ok()) {
        _ if !log.rows.is_empty() => String::new(),
        Some((ConversationKind::Direct, title)) => format!(
            "Only you and {} see what is said here.\nPress Enter and begin.",
            short(&title.0, NAME)
        ),
        Some(_) => "Nobody has said anything yet.\nPress Enter and begin.".to_owned(),
        None => "Walking up to the fire…".to_owned(),
    };
    if empty.0 != words {
        empty.0 = words;
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use bevy_fireside::{Code, UserId, client_core::core::view::ReadBy, prelude::Body};

    use super::*;

    fn row(row: u64, sender: &str, state: MessageState) -> TimelineRow {
        TimelineRow {
            row,
            sequence: Some(row),
            nonce: None,
            sender: UserId::new(sender).unwrap(),
            at: 0,
            body: Body::Text("x".into()),
            state,
            edited: false,
            read_by: ReadBy::default(),
            pinned: false,
            reactions: None,
            details: None,
        }
    }

    #[test]
    fn the_newest_of_a_state_says_so_and_every_unsettled_one() {
        let me = Me {
            user: UserId::new("wren").unwrap(),
            client: Entity::PLACEHOLDER,
        };
        let rows = [
            row(1, "wren", MessageState::Read),
            row(2, "wren", MessageState::Read),
            row(3, "ash", MessageState::Received),
            row(4, "wren", MessageState::Sent),
            row(5, "wren", MessageState::Failed(Code::Forbidden)),
            row(6, "wren", MessageState::Sending),
            row(7, "wren", MessageState::Sending),
        ];
        let marked: Vec<u64> = looks(rows.iter(), &me)
            .into_iter()
            .filter(|look| look.marked)
            .map(|look| look.row.row)
            .collect();
        assert_eq!(marked, [2, 4, 5, 6, 7]);
    }
}
