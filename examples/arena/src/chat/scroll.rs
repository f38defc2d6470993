//! Scrolling the log: it stays at the newest unless the player looks back; looking back loads what is older.

use bevy::{ecs::hierarchy::ChildSpawnerCommands, input::mouse::MouseScrollUnit, prelude::*};
use bevy_fireside::{
    CallFinished, Chat, Head, HistoryLoaded, Timeline,
    client_core::core::{Command as ClientCommand, RequestId},
};

use super::{
    log::{LogView, OlderLine, Shown},
    rooms::{Looking, Rooms},
};
use crate::theme;

/// Pixels of a notch of the wheel.
const NOTCH: f32 = 44.0;
/// Nearer to the top than this, older messages are asked for.
const NEAR_TOP: f32 = 90.0;
/// How many at once.
const OLDER: u32 = 50;
/// Nearer to the bottom than this is at the bottom.
const AT_END: f32 = 3.0;
/// Beyond every log: layout stops at its end.
const END: f32 = 1e7;

/// Where the player looks.
#[derive(Debug, Resource)]
pub(crate) struct Scroll {
    /// At the newest, and stays there.
    pub(crate) stick: bool,
    /// Messages that came since he looked back.
    new: u32,
    /// A call for older ones that is under way.
    asked: Option<RequestId>,
    /// There are none.
    start: bool,
    /// Height of rows that went above what he reads.
    pub(crate) lost_above: f32,
}

impl Default for Scroll {
    fn default() -> Self {
        Self {
            stick: true,
            new: 0,
            asked: None,
            start: false,
            lost_above: 0.0,
        }
    }
}

impl Scroll {
    pub(crate) const fn count_new(&mut self) {
        if !self.stick {
            self.new = self.new.saturating_add(1);
        }
    }
}

/// Pages to scroll, down is positive.
#[derive(Debug, Message)]
pub(crate) struct ScrollPages(pub(crate) f32);

/// A row that is laid out aside, to know its height before it takes its place.
#[derive(Component, Debug)]
pub(crate) struct Measuring;

/// "3 new".
#[derive(Component)]
struct NewChip;

pub(crate) fn plugin(app: &mut App) {
    app.init_resource::<Scroll>()
        .add_message::<ScrollPages>()
        .add_observer(loaded)
        .add_systems(
            Update,
            (
                take_place,
                page,
                stay,
                ask_older,
                follow_calls,
                tell_older,
                tell_new,
                look,
            )
                .chain()
                .after(Shown),
        );
}

pub(crate) fn build(area: &mut ChildSpawnerCommands) {
    area.spawn((
        NewChip,
        Node {
            position_type: PositionType::Absolute,
            bottom: px(6),
            align_self: AlignSelf::Center,
            padding: UiRect::axes(px(12), px(4)),
            border_radius: BorderRadius::all(px(12)),
            display: Display::None,
            ..default()
        },
        BackgroundColor(theme::AMBER),
        BoxShadow::new(Color::BLACK.with_alpha(0.5), px(0), px(2), px(0), px(6)),
        ZIndex(2),
    ))
    .observe(|_: On<Pointer<Click>>, mut scroll: ResMut<Scroll>| {
        scroll.stick = true;
        scroll.new = 0;
    })
    .with_child((
        Text::default(),
        theme::font(theme::SMALL),
        TextColor(theme::INK),
        TextLayout::no_wrap(),
        Pickable::IGNORE,
    ));
}

/// The wheel over the log.
pub(crate) fn on_wheel(
    mut wheel: On<Pointer<bevy::picking::events::Scroll>>,
    mut pages: MessageWriter<ScrollPages>,
    view: Query<&ComputedNode, With<LogView>>,
) {
    wheel.propagate(false);
    let Ok(node) = view.get(wheel.entity) else {
        return;
    };
    let pixels = match wheel.unit {
        MouseScrollUnit::Line => wheel.y * NOTCH,
        MouseScrollUnit::Pixel => wheel.y,
    };
    let height = (node.size().y * node.inverse_scale_factor).max(1.0);
    pages.write(ScrollPages(-pixels / height));
}

/// The same node, out of the way.
pub(crate) fn aside(node: Node) -> Node {
    Node {
        position_type: PositionType::Absolute,
        top: px(-20_000),
        left: px(0),
        ..node
    }
}

/// Rows that were measured come in, and what the player reads stays where it is.
fn take_place(
    mut rows: Query<(Entity, &mut Node, &ComputedNode), With<Measuring>>,
    mut view: Single<&mut ScrollPosition, With<LogView>>,
    mut scroll: ResMut<Scroll>,
    mut commands: Commands,
) {
    let mut came = 0.0;
    for (row, mut node, size) in &mut rows {
        let height = size.size().y * size.inverse_scale_factor;
        if height > 0.0 {
            came += height;
            node.position_type = PositionType::Relative;
            node.top = Val::Auto;
            node.left = Val::Auto;
            commands.entity(row).remove::<Measuring>();
        }
    }
    let went = std::mem::take(&mut scroll.bypass_change_detection().lost_above);
    if !scroll.stick && came != went {
        view.y = (view.y + came - went).max(0.0);
    }
}

fn page(
    mut pages: MessageReader<ScrollPages>,
    view: Single<(&mut ScrollPosition, &ComputedNode), With<LogView>>,
    mut scroll: ResMut<Scroll>,
) {
    let by: f32 = pages.read().map(|page| page.0).sum();
    if by == 0.0 {
        return;
    }
    let (mut position, node) = view.into_inner();
    let height = node.size().y * node.inverse_scale_factor;
    let range = (node.content_size().y * node.inverse_scale_factor - height).max(0.0);
    let now = position.y.min(range);
    let next = (now + by * height).clamp(0.0, range);
    position.y = next;
    scroll.stick = next >= range - AT_END;
    if scroll.stick {
        scroll.new = 0;
    }
}

/// At the newest, wherever that is.
fn stay(scroll: Res<Scroll>, mut view: Single<&mut ScrollPosition, With<LogView>>) {
    if scroll.stick && view.y != END {
        view.y = END;
    }
}

/// Near the top there may be more.
fn ask_older(
    rooms: Res<Rooms>,
    view: Single<&ScrollPosition, With<LogView>>,
    timelines: Query<&Timeline>,
    mut scroll: ResMut<Scroll>,
    mut chat: Chat,
    mut was_top: Local<bool>,
) {
    let top = !scroll.stick && view.y < NEAR_TOP;
    // Once each time one comes to the top: a call that fails is not repeated every frame.
    let came = top && !std::mem::replace(&mut *was_top, top);
    let Some(room) = rooms.selected().filter(|_| came) else {
        return;
    };
    if scroll.start || scroll.asked.is_some() {
        return;
    }
    if timelines
        .get(room)
        .is_ok_and(|rows| !rows.rows().is_empty())
    {
        scroll.asked = chat.load_older(room, OLDER).ok();
    }
}

fn loaded(loaded: On<HistoryLoaded>, mut scroll: ResMut<Scroll>) {
    if scroll.asked == Some(loaded.request) {
        scroll.asked = None;
        scroll.start = loaded.start_reached;
    }
}

/// A call that failed is over too.
fn follow_calls(mut finished: MessageReader<CallFinished>, mut scroll: ResMut<Scroll>) {
    for call in finished.read() {
        if call.result.is_err() && scroll.asked == Some(call.request) {
            scroll.asked = None;
        }
    }
}

fn tell_older(scroll: Res<Scroll>, mut line: Single<&mut Text, With<OlderLine>>) {
    let words = if scroll.asked.is_some() {
        "loading older messages…"
    } else if scroll.start {
        "this is where it began"
    } else {
        ""
    };
    if line.0 != words {
        words.clone_into(&mut line.0);
    }
}

fn tell_new(
    scroll: Res<Scroll>,
    chip: Single<(&mut Node, &Children), With<NewChip>>,
    mut texts: Query<&mut Text>,
) {
    let (mut node, parts) = chip.into_inner();
    let (display, words) = match scroll.new {
        _ if scroll.stick => (Display::None, String::new()),
        0 => (Display::Flex, "to the newest".to_owned()),
        new => (Display::Flex, format!("{new} new")),
    };
    if node.display != display {
        node.display = display;
    }
    let mut parts = texts.iter_many_mut(parts);
    while let Some(mut text) = parts.fetch_next() {
        if text.0 != words {
            text.0.clone_from(&words);
        }
    }
}

/// Only what is in sight is read; and who comes back to the end sees the newest even if it was let go meanwhile.
fn look(
    scroll: Res<Scroll>,
    window: Single<&Window>,
    rooms: Res<Rooms>,
    rows: Query<(&Timeline, &Head, &bevy_fireside::ConversationId)>,
    mut looking: ResMut<Looking>,
    mut asked: Local<Option<(Entity, u64)>>,
    mut chat: Chat,
) -> Result {
    looking.0 = scroll.stick && window.focused;
    let shown = rooms.selected().filter(|_| scroll.stick);
    let Some((room, (timeline, head, id))) =
        shown.and_then(|room| Some((room, rows.get(room).ok()?)))
    else {
        return Ok(());
    };
    let last = timeline.rows().iter().rev().find_map(|row| row.sequence);
    // A view that was scrolled far up ends before the newest message (200 rows are the most it holds).
    let cut = timeline.rows().len() >= 200 && last.is_some_and(|last| last < head.last);
    if cut && *asked != Some((room, head.last)) {
        *asked = Some((room, head.last));
        let conversation = (*id).into();
        chat.primary()?.call(ClientCommand::Open { conversation })?;
    }
    Ok(())
}
