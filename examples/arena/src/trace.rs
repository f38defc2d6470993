//! A line for each fact, for tests that press keys and want to know what came of it.

use bevy::{input_focus::InputFocus, prelude::*};
use bevy_fireside::{
    ConnectionStatus, MessageReceived, Timeline, TimelineChanged, Title, TypingChanged,
    prelude::{Body, MessageState},
};

use crate::{
    bubbles::Bubble,
    chat::{
        hint::Hint,
        input::{ChatInput, Drafts},
        log::LogView,
        rooms::Rooms,
    },
    figures::Player,
    host::{Host, ServerState},
    out::say,
    stage::Me,
};

/// Facts of any scene.
pub(crate) fn plugin(app: &mut App) {
    app.add_systems(Last, (connection, server, received, own_rows, typing, tabs));
}

/// Facts of a window.
pub(crate) fn window_plugin(app: &mut App) {
    app.add_systems(
        Last,
        (
            ready, frames, place, focus, written, hint, bubbles, scrolled,
        ),
    );
}

fn tell(line: std::fmt::Arguments) {
    say!("trace {line}");
}

fn ready(mut frames: Local<u32>, host: Res<Host>, window: Single<&Window>) {
    *frames = frames.saturating_add(1);
    if *frames == 3 {
        tell(format_args!(
            "window {}x{} server {}",
            window.width(),
            window.height(),
            host.address
        ));
    }
}

/// Frames between two lines that say how far they are.
const FRAMES_TOLD: u32 = 4;

fn frames(mut frames: Local<u32>) {
    *frames = frames.wrapping_add(1);
    if frames.is_multiple_of(FRAMES_TOLD) {
        tell(format_args!("frame {}", *frames));
    }
}

fn place(
    player: Single<&Transform, With<Player>>,
    mut told: Local<Option<IVec2>>,
    mut still: Local<u32>,
) {
    let at = player.translation.xy().round().as_ivec2();
    if *told != Some(at) {
        *told = Some(at);
        *still = 0;
        tell(format_args!("place {} {}", at.x, at.y));
        return;
    }
    *still = still.saturating_add(1);
    if *still == STILL {
        tell(format_args!("stands {} {}", at.x, at.y));
    }
}

/// Frames without a move until one stands.
const STILL: u32 = 8;

fn focus(
    focus: Res<InputFocus>,
    input: Single<Entity, With<ChatInput>>,
    mut told: Local<Option<bool>>,
) {
    let writes = focus.get() == Some(*input);
    if *told != Some(writes) {
        *told = Some(writes);
        tell(format_args!(
            "focus {}",
            if writes { "chat" } else { "game" }
        ));
    }
}

fn written(drafts: Res<Drafts>, mut told: Local<String>) {
    if *told != drafts.now() {
        drafts.now().clone_into(&mut told);
        tell(format_args!("written {:?}", *told));
    }
}

fn hint(hint: Res<Hint>, mut told: Local<Option<String>>) {
    let words = hint.words();
    if told.as_deref() != words {
        *told = words.map(str::to_owned);
        tell(format_args!("hint {:?}", words.unwrap_or_default()));
    }
}

fn bubbles(new: Query<(&Bubble, &ComputedNode)>, mut told: Local<Vec<(String, String)>>) {
    let now: Vec<_> = new
        .iter()
        .filter(|(bubble, node)| !bubble.text.is_empty() && node.size().x > 0.0)
        .map(|(bubble, _)| (bubble.who.to_string(), bubble.text.clone()))
        .collect();
    for (who, text) in now.iter().filter(|bubble| !told.contains(bubble)) {
        tell(format_args!("bubble {who} {text:?}"));
    }
    for (who, _) in told.iter().filter(|bubble| !now.contains(bubble)) {
        tell(format_args!("bubble-gone {who}"));
    }
    *told = now;
}

/// How many rows the log has, and whether its end is in sight.
fn scrolled(
    view: Single<(&Children, &ComputedNode), With<LogView>>,
    mut told: Local<Option<(usize, bool)>>,
) {
    let (rows, node) = *view;
    let range = node.content_size().y - node.size().y;
    let now = (rows.len(), node.scroll_position.y >= range - 3.0);
    if *told != Some(now) {
        *told = Some(now);
        tell(format_args!(
            "log {} rows {}",
            now.0,
            if now.1 { "end" } else { "above" }
        ));
    }
}

fn connection(me: Res<Me>, status: Query<&ConnectionStatus, Changed<ConnectionStatus>>) {
    if let Ok(status) = status.get(me.client) {
        tell(format_args!("connection {status:?}"));
    }
}

fn server(state: Res<ServerState>) {
    if state.is_changed() {
        tell(format_args!("server {:?}", *state));
    }
}

fn received(mut received: MessageReader<MessageReceived>, titles: Query<&Title>) {
    for message in received.read() {
        let title = titles
            .get(message.conversation)
            .map_or("", |title| &title.0);
        tell(format_args!(
            "received {title:?} {} {:?}",
            message.sender,
            message.text.as_deref().unwrap_or_default()
        ));
    }
}

/// Own messages, each time their state is another.
fn own_rows(
    me: Res<Me>,
    mut changed: MessageReader<TimelineChanged>,
    timelines: Query<(&Timeline, &Title)>,
    mut told: Local<std::collections::HashMap<u64, MessageState>>,
) {
    for change in changed.read() {
        let Ok((timeline, title)) = timelines.get(change.conversation) else {
            continue;
        };
        for row in timeline.rows().iter().filter(|row| row.sender == me.user) {
            let Body::Text(text) = &row.body else {
                continue;
            };
            if told.get(&row.row) != Some(&row.state) {
                told.insert(row.row, row.state.clone());
                tell(format_args!("own {:?} {:?} {text:?}", title.0, row.state));
            }
        }
    }
}

fn typing(mut changed: MessageReader<TypingChanged>) {
    for change in changed.read() {
        let what = if change.on { "types" } else { "rests" };
        tell(format_args!("typing {} {what}", change.user));
    }
}

fn tabs(rooms: Res<Rooms>, titles: Query<&Title>, mut told: Local<Vec<String>>) {
    let now: Vec<String> = rooms
        .iter()
        .filter_map(|room| {
            let title = &titles.get(room).ok()?.0;
            let selected = if rooms.selected() == Some(room) {
                "*"
            } else {
                ""
            };
            Some(format!("{selected}{title}"))
        })
        .collect();
    if *told != now {
        tell(format_args!("tabs {}", now.join(" ")));
        *told = now;
    }
}
