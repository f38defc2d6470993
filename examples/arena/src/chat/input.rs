//! The text box: Bevy's own `EditableText`, and the keys that games need around it.

use std::collections::{HashMap, VecDeque};

use bevy::{
    clipboard::Clipboard,
    ecs::hierarchy::ChildSpawnerCommands,
    input::{
        ButtonState,
        keyboard::{Key, KeyboardInput},
    },
    input_focus::{FocusCause, FocusedInput, InputFocus},
    prelude::*,
    text::{EditableText, FontCx, LayoutCx, TextCursorStyle, TextEdit},
    window::PrimaryWindow,
};
use bevy_fireside::{Chat, ConversationKind, Title};
use fireside_protocol::limits::TEXT_GRAPHEMES_MAX;

use super::{
    hint::Hint,
    rooms::Rooms,
    say::{Outcome, Say, length},
    scroll::{Scroll, ScrollPages},
};
use crate::{
    host::{self, Host, ServerState},
    people::short,
    theme,
};

/// The box holds more than a message may have, so that what is too long is told, not dropped.
const CHARACTERS_MAX: usize = 20_000;
/// From so many left the characters are counted.
const COUNTED_FROM: usize = TEXT_GRAPHEMES_MAX - 400;
/// Own lines that Arrow Up brings back.
const HISTORY_MAX: usize = 50;
/// Of a page, so that the eye finds its place again.
const PAGE: f32 = 0.85;

/// Characters of a name before anything is written.
const NAME: usize = 24;

/// Where the player writes.
#[derive(Component, Debug)]
pub(crate) struct ChatInput;

#[derive(Component)]
struct Frame;
#[derive(Component)]
struct Placeholder;
#[derive(Component)]
struct Counter;

/// What was written, and is being written.
#[derive(Debug, Default, Resource)]
pub(crate) struct Drafts {
    /// What the box holds, as of the last frame.
    now: String,
    /// Unsent lines of the other conversations.
    kept: HashMap<Entity, String>,
    room: Option<Entity>,
    /// Own lines, oldest first.
    said: VecDeque<String>,
    /// How far back Arrow Up is.
    back: usize,
    /// What the box is to hold next.
    wanted: Option<String>,
    /// The box as it was when something was pasted, and frames since.
    pasted: Option<(String, u8)>,
}

impl Drafts {
    /// What the box holds.
    pub(crate) fn now(&self) -> &str {
        &self.now
    }

    /// The box will hold this.
    fn put(&mut self, text: impl Into<String>) {
        self.wanted = Some(text.into());
    }

    fn remember(&mut self, line: &str) {
        if self.said.back().is_none_or(|last| last != line) {
            self.said.push_back(line.to_owned());
        }
        if self.said.len() > HISTORY_MAX {
            self.said.pop_front();
        }
        self.back = 0;
    }

    /// One line further back, or forth again.
    fn recall(&mut self, older: bool) {
        let back = if older {
            (self.back + 1).min(self.said.len())
        } else {
            self.back.saturating_sub(1)
        };
        if back == self.back {
            return;
        }
        self.back = back;
        let line = self.said.len().checked_sub(back);
        let line = line.and_then(|at| self.said.get(at)).cloned();
        self.put(line.unwrap_or_default());
    }
}

pub(crate) fn plugin(app: &mut App) {
    app.init_resource::<Drafts>()
        .add_systems(Startup, listen)
        .add_systems(Update, (watch, change_room, put, dress).chain());
}

pub(crate) fn build(panel: &mut ChildSpawnerCommands) {
    panel
        .spawn((
            Frame,
            Node {
                height: px(38),
                flex_shrink: 0.0,
                margin: UiRect::new(px(9), px(9), px(3), px(9)),
                padding: UiRect::horizontal(px(11)),
                column_gap: px(10),
                align_items: AlignItems::Center,
                border: UiRect::all(px(1)),
                border_radius: BorderRadius::all(px(10)),
                ..default()
            },
            BackgroundColor(theme::WELL),
            BorderColor::all(theme::LINE),
        ))
        .observe(
            |mut press: On<Pointer<Press>>,
             input: Single<Entity, With<ChatInput>>,
             mut focus: ResMut<InputFocus>| {
                press.propagate(false);
                focus.set(*input, FocusCause::Pressed);
            },
        )
        .with_children(|frame| {
            frame
                .spawn((
                    ChatInput,
                    EditableText {
                        max_characters: Some(CHARACTERS_MAX),
                        cursor_width: 0.12,
                        ..default()
                    },
                    theme::font(theme::TEXT),
                    TextColor(theme::CREAM),
                    TextLayout::no_wrap(),
                    TextCursorStyle {
                        color: theme::AMBER,
                        selection_color: theme::AMBER.with_alpha(0.35),
                        unfocused_selection_color: Color::NONE,
                        selected_text_color: None,
                    },
                    Node {
                        flex_grow: 1.0,
                        flex_basis: px(0),
                        min_width: px(0),
                        ..default()
                    },
                ))
                .observe(on_key);
            frame.spawn((
                Placeholder,
                Text::default(),
                theme::font(theme::TEXT),
                TextColor(theme::FAINT),
                TextLayout::no_wrap(),
                Node {
                    position_type: PositionType::Absolute,
                    left: px(15),
                    ..default()
                },
                Pickable::IGNORE,
            ));
            frame.spawn((
                Counter,
                Text::default(),
                theme::font(theme::SMALL),
                TextColor(theme::DIM),
                TextLayout::no_wrap(),
                Node {
                    flex_shrink: 0.0,
                    ..default()
                },
                Pickable::IGNORE,
            ));
        });
}

/// Keys while the player does not write come to the window; so do those that the box has no use for.
fn listen(window: Single<Entity, With<PrimaryWindow>>, mut commands: Commands) {
    commands.entity(*window).observe(on_world_key);
}

fn on_world_key(
    key: On<FocusedInput<KeyboardInput>>,
    keys: Res<ButtonInput<KeyCode>>,
    input: Single<Entity, With<ChatInput>>,
    mut focus: ResMut<InputFocus>,
    mut rooms: ResMut<Rooms>,
    mut drafts: ResMut<Drafts>,
    mut pages: MessageWriter<ScrollPages>,
    server: (Res<Host>, ResMut<ServerState>),
) {
    if key.input.state != ButtonState::Pressed {
        return;
    }
    match &key.input.logical_key {
        Key::PageUp => {
            pages.write(ScrollPages(-PAGE));
        }
        Key::PageDown => {
            pages.write(ScrollPages(PAGE));
        }
        Key::F5 if !key.input.repeat => {
            let (host, mut state) = server;
            host::toggle(&host, &mut state);
        }
        Key::Enter if !key.input.repeat => focus.set(*input, FocusCause::Navigated),
        Key::Character(slash) if slash == "/" && focus.get() != Some(*input) => {
            focus.set(*input, FocusCause::Navigated);
            if drafts.now.is_empty() {
                drafts.put("/");
            }
        }
        Key::Tab => rooms.turn(shift(&keys)),
        _ => {}
    }
}

fn shift(keys: &ButtonInput<KeyCode>) -> bool {
    keys.any_pressed([KeyCode::ShiftLeft, KeyCode::ShiftRight])
}

/// What typing needs to be settled before a key that acts on the whole line.
type Typesetting<'w> = (
    ResMut<'w, FontCx>,
    ResMut<'w, LayoutCx>,
    ResMut<'w, Clipboard>,
);

/// Keys while the player writes.
fn on_key(
    mut key: On<FocusedInput<KeyboardInput>>,
    keys: Res<ButtonInput<KeyCode>>,
    mut input: Query<&mut EditableText, With<ChatInput>>,
    mut typesetting: Typesetting,
    mut focus: ResMut<InputFocus>,
    mut drafts: ResMut<Drafts>,
    mut scroll: ResMut<Scroll>,
    mut hint: ResMut<Hint>,
    mut say: Say,
) {
    let Ok(mut text) = input.get_mut(key.focused_entity) else {
        return;
    };
    // While a word is composed, the keys are the input method's.
    if key.input.state != ButtonState::Pressed || text.is_composing() {
        return;
    }
    match &key.input.logical_key {
        Key::Enter if !key.input.repeat => {
            key.propagate(false);
            // Letters of this very frame belong to the line.
            let (fonts, layout, clipboard) = &mut typesetting;
            text.apply_pending_edits(&mut fonts.context, &mut layout.0, clipboard, |_| true);
            let line = text.value().to_string();
            if line.trim().is_empty() {
                focus.clear();
                return;
            }
            hint.clear();
            match say.line(&line) {
                Outcome::Refused(wrong) => return hint.warn(wrong),
                Outcome::Told(words) => hint.tell(words),
                Outcome::Done => {}
            }
            drafts.remember(line.trim());
            scroll.stick = true;
            text.clear();
            // A whisper may have opened another tab: the sent line is nobody's draft.
            drafts.now.clear();
        }
        Key::Escape => {
            key.propagate(false);
            hint.clear();
            focus.clear();
        }
        Key::Tab => {
            key.propagate(false);
            say.turn(shift(&keys));
        }
        Key::ArrowUp => drafts.recall(true),
        Key::ArrowDown => drafts.recall(false),
        Key::Paste => drafts.pasted = Some((text.value().to_string(), 0)),
        Key::Character(letter)
            if letter.eq_ignore_ascii_case("v")
                && keys.any_pressed([KeyCode::ControlLeft, KeyCode::ControlRight]) =>
        {
            drafts.pasted = Some((text.value().to_string(), 0));
        }
        _ => {}
    }
}

/// Notes what the box holds, tells the others that somebody types.
fn watch(
    input: Single<&EditableText, With<ChatInput>>,
    rooms: Res<Rooms>,
    mut drafts: ResMut<Drafts>,
    mut hint: ResMut<Hint>,
    mut chat: Chat,
) {
    let text = input.value().to_string();
    let pasted = drafts.pasted.take();
    if let Some((before, frames)) = pasted {
        if frames == 0 {
            drafts.pasted = Some((before, 1));
        } else if before == text {
            hint.warn(format!(
                "Nothing was pasted: the clipboard is empty, or holds more than {CHARACTERS_MAX} characters."
            ));
        }
    }
    if text == drafts.now {
        return;
    }
    // Commands and whispers to somebody else are nobody's business here.
    let was = !drafts.now.is_empty() && !drafts.now.starts_with('/');
    let is = !text.is_empty() && !text.starts_with('/');
    if let Some(room) = rooms.selected().filter(|_| was || is) {
        // Lossy by nature: a full queue costs nobody anything.
        let _ = chat.typing(room, is);
    }
    drafts.now = text;
}

/// Every conversation has its own unsent line.
fn change_room(rooms: Res<Rooms>, mut drafts: ResMut<Drafts>, mut hint: ResMut<Hint>) {
    if drafts.room == rooms.selected() {
        return;
    }
    if let Some(before) = drafts.room {
        let text = drafts.now.clone();
        if !text.is_empty() {
            // Bounded by the tabs there are.
            drafts.kept.insert(before, text);
        }
        hint.clear();
    }
    drafts.room = rooms.selected();
    let text = rooms.selected().and_then(|room| drafts.kept.remove(&room));
    if drafts.now != text.clone().unwrap_or_default() {
        drafts.put(text.unwrap_or_default());
    }
}

/// Puts a line into the box, the caret behind it.
fn put(mut input: Single<&mut EditableText, With<ChatInput>>, mut drafts: ResMut<Drafts>) {
    if drafts.wanted.is_none() {
        return;
    }
    if let Some(text) = drafts.wanted.take() {
        input.clear();
        input.editor_mut().set_text(&text);
        input.queue_edit(TextEdit::TextEnd(false));
    }
}

/// Border, placeholder, counter.
fn dress(
    focus: Res<InputFocus>,
    input: Single<Entity, With<ChatInput>>,
    rooms: Res<Rooms>,
    drafts: Res<Drafts>,
    facts: Query<(&ConversationKind, &Title)>,
    mut frame: Single<&mut BorderColor, With<Frame>>,
    mut placeholder: Single<&mut Text, (With<Placeholder>, Without<Counter>)>,
    counter: Single<(&mut Text, &mut TextColor), (With<Counter>, Without<Placeholder>)>,
) {
    let writes = focus.get() == Some(*input);
    let line = if writes {
        theme::AMBER.with_alpha(0.75)
    } else {
        theme::LINE
    };
    frame.set_if_neq(BorderColor::all(line));

    let words = match rooms.selected().and_then(|room| facts.get(room).ok()) {
        _ if !drafts.now.is_empty() => String::new(),
        _ if !writes => "Press Enter to chat".to_owned(),
        Some((ConversationKind::Direct, title)) => format!("Whisper to {}", short(&title.0, NAME)),
        Some((_, title)) => format!("Say something in {}, or /help", title.0),
        None => "A moment, please…".to_owned(),
    };
    if placeholder.0 != words {
        placeholder.0 = words;
    }

    let long = length(&drafts.now);
    let (mut count, mut ink) = counter.into_inner();
    let words = if long > COUNTED_FROM {
        format!("{long} / {TEXT_GRAPHEMES_MAX}")
    } else {
        String::new()
    };
    if count.0 != words {
        count.0 = words;
    }
    let color = if long > TEXT_GRAPHEMES_MAX {
        theme::RED
    } else {
        theme::DIM
    };
    ink.set_if_neq(TextColor(color));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrows_go_through_what_was_said() {
        let mut drafts = Drafts::default();
        for line in ["one", "two", "two", "three"] {
            drafts.remember(line);
        }
        let mut step = |older| {
            drafts.recall(older);
            drafts.wanted.take()
        };
        assert_eq!(step(true).as_deref(), Some("three"));
        assert_eq!(step(true).as_deref(), Some("two"));
        assert_eq!(step(true).as_deref(), Some("one"));
        assert_eq!(step(true), None);
        assert_eq!(step(false).as_deref(), Some("two"));
        assert_eq!(step(false).as_deref(), Some("three"));
        assert_eq!(step(false).as_deref(), Some(""));
        assert_eq!(step(false), None);
    }
}
