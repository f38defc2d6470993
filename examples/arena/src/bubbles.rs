//! Speech bubbles over the figures: what was said in Camp, and dots while somebody types there.

use std::collections::HashMap;

use bevy::{prelude::*, text::LineHeight};
use bevy_fireside::{TypingUsers, UserId};

use crate::{
    camera::CameraMoved,
    chat::rooms::Rooms,
    figures::{Figure, HEAD},
    speech::{Spoken, plain},
    stage::Me,
    theme,
};

/// Seconds a bubble stays: at least, at most, and for each character in between.
const STAY: (f32, f32, f32) = (4.6, 9.0, 0.055);
/// Seconds it takes to go.
const FADE: f32 = 0.6;
/// Widest, in logical pixels.
const WIDTH: f32 = 250.0;
/// Characters shown; the chat has the rest.
const CHARACTERS: usize = 150;
/// Between a bubble and the window's edge, the chat box, another bubble.
const GAP: f32 = 6.0;
/// Pushed further than this off its figure, it has no tail.
const TAIL_REACH: f32 = 14.0;

/// A bubble over a figure.
#[derive(Component, Debug)]
pub(crate) struct Bubble {
    /// Whose.
    pub(crate) who: UserId,
    /// What it says; empty: its owner types.
    pub(crate) text: String,
    age_s: f32,
    stay_s: f32,
}

#[derive(Component)]
struct Tail;

/// Who talks or types right now: they stand still.
#[derive(Debug, Default, Resource)]
pub(crate) struct Talking(Vec<UserId>);

impl Talking {
    pub(crate) fn is(&self, user: &UserId) -> bool {
        self.0.contains(user)
    }
}

pub(crate) fn plugin(app: &mut App) {
    app.init_resource::<Talking>()
        .add_systems(Update, (speak, dots, age, place).chain().after(CameraMoved));
}

/// New words take the place of the old ones.
fn speak(
    mut spoken: MessageReader<Spoken>,
    figures: Query<&Figure>,
    bubbles: Query<(Entity, &Bubble)>,
    mut commands: Commands,
) {
    // Of several at once the newest.
    let mut latest: HashMap<UserId, String> = HashMap::new();
    for words in spoken.read() {
        latest.insert(words.who.clone(), words.text.clone());
    }
    for (who, text) in latest {
        if !figures.iter().any(|figure| figure.user == who) {
            continue;
        }
        for (old, _) in bubbles.iter().filter(|(_, bubble)| bubble.who == who) {
            commands.entity(old).try_despawn();
        }
        let long = text.chars().count();
        let stay_s = (STAY.0 + long as f32 * STAY.2).min(STAY.1);
        spawn(&mut commands, who, shorten(&text), stay_s);
    }
}

/// Somebody types.
fn dots(
    rooms: Res<Rooms>,
    typing: Query<&TypingUsers>,
    figures: Query<&Figure>,
    bubbles: Query<(Entity, &Bubble)>,
    mut commands: Commands,
) {
    let typing = rooms.camp().and_then(|camp| typing.get(camp).ok());
    let types =
        |user: &UserId| typing.is_some_and(|all| all.0.iter().any(|it| it == user.as_str()));
    for (entity, bubble) in &bubbles {
        if bubble.text.is_empty() && !types(&bubble.who) {
            commands.entity(entity).try_despawn();
        }
    }
    for figure in &figures {
        let has = bubbles.iter().any(|(_, bubble)| bubble.who == figure.user);
        if !has && types(&figure.user) {
            spawn(&mut commands, figure.user.clone(), String::new(), f32::MAX);
        }
    }
}

fn spawn(commands: &mut Commands, who: UserId, text: String, stay_s: f32) {
    let words = if text.is_empty() {
        "• • •"
    } else {
        &text
    };
    let words = words.to_owned();
    commands
        .spawn((
            Bubble {
                who,
                text,
                age_s: 0.0,
                stay_s,
            },
            Node {
                position_type: PositionType::Absolute,
                left: px(0),
                top: px(0),
                max_width: px(WIDTH),
                padding: UiRect::axes(px(11), px(7)),
                border_radius: BorderRadius::all(px(11)),
                ..default()
            },
            BackgroundColor(theme::BUBBLE),
            BoxShadow::new(Color::BLACK.with_alpha(0.4), px(0), px(2), px(0), px(6)),
            UiTransform::default(),
            GlobalZIndex(1),
            // Until it is measured.
            Visibility::Hidden,
            Pickable::IGNORE,
        ))
        .with_children(|bubble| {
            bubble.spawn((
                Tail,
                Node {
                    position_type: PositionType::Absolute,
                    left: percent(50),
                    bottom: px(-5),
                    width: px(12),
                    height: px(12),
                    margin: UiRect::left(px(-6)),
                    border_radius: BorderRadius::all(px(2)),
                    ..default()
                },
                UiTransform::from_rotation(Rot2::degrees(45.0)),
                BackgroundColor(theme::BUBBLE),
                ZIndex(-1),
                Pickable::IGNORE,
            ));
            bubble.spawn((
                Text::new(words),
                theme::font(theme::TEXT),
                TextColor(theme::INK),
                TextLayout::new(Justify::Left, LineBreak::WordOrCharacter),
                LineHeight::RelativeToFont(1.25),
                Pickable::IGNORE,
            ));
        });
}

/// Bubbles grow old and go.
fn age(
    time: Res<Time>,
    mut bubbles: Query<(
        Entity,
        &mut Bubble,
        &mut BackgroundColor,
        &mut BoxShadow,
        &Children,
    )>,
    mut tails: Query<&mut BackgroundColor, (With<Tail>, Without<Bubble>)>,
    mut texts: Query<&mut TextColor>,
    mut talking: ResMut<Talking>,
    mut commands: Commands,
) {
    talking.0.clear();
    for (entity, mut bubble, mut ground, mut shadow, parts) in &mut bubbles {
        bubble.age_s += time.delta_secs();
        let left = bubble.stay_s - bubble.age_s;
        if left < -FADE {
            commands.entity(entity).try_despawn();
            continue;
        }
        talking.0.push(bubble.who.clone());
        if left > 0.0 {
            continue;
        }
        let there = 1.0 + left / FADE;
        ground.0 = theme::BUBBLE.with_alpha(there);
        for shadow in &mut shadow.0 {
            shadow.color = Color::BLACK.with_alpha(0.4 * there);
        }
        for part in parts {
            if let Ok(mut tail) = tails.get_mut(*part) {
                tail.0 = theme::BUBBLE.with_alpha(there * there);
            }
            if let Ok(mut text) = texts.get_mut(*part) {
                text.0 = theme::INK.with_alpha(there);
            }
        }
    }
}

/// Over its figure, inside the window, beside the chat box, above the bubbles below it.
fn place(
    window: Single<&Window>,
    camera: Single<(&Camera, &Transform), With<Camera2d>>,
    me: Res<Me>,
    figures: Query<(&Figure, &Transform), Without<Camera2d>>,
    mut bubbles: Query<(
        &Bubble,
        &ComputedNode,
        &mut UiTransform,
        &mut Visibility,
        &Children,
    )>,
    mut tails: Query<&mut Visibility, (With<Tail>, Without<Bubble>)>,
) {
    let (camera, camera_at) = *camera;
    let camera_at = GlobalTransform::from(*camera_at);
    let mut placed: Vec<Rect> = Vec::new();
    // One's own first: it keeps its place. Then from the lowest up.
    let mut order: Vec<_> = bubbles
        .iter_mut()
        .filter_map(|bubble| {
            let (_, at) = figures
                .iter()
                .find(|(figure, _)| figure.user == bubble.0.who)?;
            let over = at.translation + Vec3::Y * HEAD;
            let at = camera.world_to_viewport(&camera_at, over).ok()?;
            Some((bubble.0.who != me.user, at, bubble))
        })
        .collect();
    order.sort_by(|a, b| a.0.cmp(&b.0).then(b.1.y.total_cmp(&a.1.y)));
    for (_, at, (_, node, mut transform, mut visibility, parts)) in order {
        let size = node.size() * node.inverse_scale_factor;
        if size.x <= 0.0 {
            continue;
        }
        let wish = Rect::from_corners(
            at - Vec2::new(size.x / 2.0, size.y),
            at + Vec2::X * size.x / 2.0,
        );
        let rect = fit(wish, window.size(), &placed);
        placed.push(rect);
        let corner = rect.min.round();
        let translation = Val2::px(corner.x, corner.y);
        if transform.translation != translation {
            transform.translation = translation;
        }
        visibility.set_if_neq(Visibility::Inherited);
        let near = rect.min.distance(wish.min) < TAIL_REACH;
        for part in parts {
            if let Ok(mut tail) = tails.get_mut(*part) {
                tail.set_if_neq(if near {
                    Visibility::Inherited
                } else {
                    Visibility::Hidden
                });
            }
        }
    }
}

/// The nearest place to `wish` that is free.
fn fit(wish: Rect, window: Vec2, placed: &[Rect]) -> Rect {
    let size = wish.size();
    let moved = |min: Vec2| Rect::from_corners(min, min + size);
    let inside = |rect: Rect| {
        let room = (window - size - Vec2::splat(GAP)).max(Vec2::splat(GAP));
        moved(rect.min.clamp(Vec2::splat(GAP), room))
    };
    let mut rect = inside(wish);
    let chat = theme::chat_box(window).inflate(GAP);
    if !rect.intersect(chat).is_empty() {
        let (up, right) = (rect.max.y - chat.min.y, chat.max.x - rect.min.x);
        rect = if up < right {
            moved(rect.min - Vec2::Y * up)
        } else {
            moved(rect.min + Vec2::X * right)
        };
    }
    // A few bubbles: each step clears one of them.
    for _ in 0..placed.len() {
        let hit = placed
            .iter()
            .find(|other| !rect.intersect(other.inflate(GAP / 2.0)).is_empty());
        let Some(hit) = hit else {
            break;
        };
        rect = moved(Vec2::new(rect.min.x, hit.min.y - GAP - size.y));
    }
    inside(rect)
}

/// What fits into a bubble.
fn shorten(text: &str) -> String {
    let mut words: String = plain(text)
        .chars()
        .map(|c| if c == '\n' { ' ' } else { c })
        .take(CHARACTERS)
        .collect();
    if text.chars().count() > CHARACTERS {
        words.push('…');
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Vec2 = Vec2::new(1280.0, 720.0);

    fn rect(x: f32, y: f32) -> Rect {
        Rect::from_corners(Vec2::new(x, y), Vec2::new(x + 200.0, y + 40.0))
    }

    #[test]
    fn free_places_stay() {
        assert_eq!(fit(rect(700.0, 100.0), WINDOW, &[]), rect(700.0, 100.0));
    }

    #[test]
    fn the_chat_box_and_the_edges_are_kept_clear() {
        let over_chat = fit(rect(100.0, 380.0), WINDOW, &[]);
        assert!(over_chat.max.y <= 720.0 - 18.0 - 326.0, "{over_chat:?}");
        let beside = fit(rect(430.0, 600.0), WINDOW, &[]);
        assert!(beside.min.x >= 478.0, "{beside:?}");
        let corner = fit(rect(1270.0, -30.0), WINDOW, &[]);
        assert!(corner.max.x <= 1280.0 && corner.min.y >= 0.0, "{corner:?}");
    }

    #[test]
    fn bubbles_do_not_cover_each_other() {
        let low = rect(700.0, 300.0);
        let high = fit(rect(720.0, 290.0), WINDOW, &[low]);
        assert!(high.intersect(low).is_empty(), "{high:?}");
    }

    #[test]
    fn long_words_are_cut_and_cannot_turn_around() {
        let cut = shorten(&"x".repeat(500));
        assert_eq!(cut.chars().count(), CHARACTERS + 1);
        assert_eq!(shorten("a\u{202e}b\nc"), "ab c");
    }
}
