//! The line above the text box: who types, what a command had to say, what was wrong.

use bevy::{ecs::hierarchy::ChildSpawnerCommands, prelude::*, text::LineHeight};
use bevy_fireside::{Code, MessageFailed, TypingUsers};

use super::rooms::Rooms;
use crate::{people::short, theme};

/// Characters of a name.
const NAME: usize = 24;

/// Something to read, until the next line is written.
#[derive(Debug, Default, Resource)]
pub(crate) struct Hint(Option<(String, bool)>);

impl Hint {
    /// Says something.
    pub(crate) fn tell(&mut self, words: impl Into<String>) {
        self.0 = Some((words.into(), false));
    }

    /// Says what was wrong.
    pub(crate) fn warn(&mut self, words: impl Into<String>) {
        self.0 = Some((words.into(), true));
    }

    pub(crate) fn clear(&mut self) {
        if self.0.is_some() {
            self.0 = None;
        }
    }

    /// What it says.
    pub(crate) fn words(&self) -> Option<&str> {
        self.0.as_ref().map(|(words, _)| words.as_str())
    }
}

#[derive(Component)]
struct HintLine;

pub(crate) fn plugin(app: &mut App) {
    app.init_resource::<Hint>()
        .add_observer(tell_refused)
        .add_systems(Update, show);
}

pub(crate) fn build(panel: &mut ChildSpawnerCommands) {
    panel
        .spawn((
            // A text of its own would be no higher than this, whatever it says.
            Node {
                min_height: px(21),
                flex_shrink: 0.0,
                flex_direction: FlexDirection::Column,
                margin: UiRect::new(px(14), px(14), px(2), px(0)),
                ..default()
            },
            Pickable::IGNORE,
        ))
        .with_child((
            HintLine,
            Text::default(),
            theme::font(theme::SMALL),
            TextColor(theme::DIM),
            TextLayout::new(Justify::Left, LineBreak::WordOrCharacter),
            LineHeight::RelativeToFont(1.35),
            Pickable::IGNORE,
        ));
}

/// A message that did not even get a row.
fn tell_refused(failed: On<MessageFailed>, mut hint: ResMut<Hint>) {
    if failed.error.code == Code::OutboxFull {
        hint.warn(format!("Not sent: {}.", failed.error.code.text()));
    }
}

fn show(
    hint: Res<Hint>,
    rooms: Res<Rooms>,
    typing: Query<&TypingUsers>,
    line: Single<(&mut Text, &mut TextColor), With<HintLine>>,
) {
    let (words, color) = match &hint.0 {
        Some((words, wrong)) => (
            words.clone(),
            if *wrong { theme::RED } else { theme::CREAM },
        ),
        None => {
            let typing = rooms.selected().and_then(|room| typing.get(room).ok());
            let words = typing.map_or_else(String::new, |typing| type_words(&typing.0));
            (words, theme::DIM)
        }
    };
    let (mut text, mut ink) = line.into_inner();
    if text.0 != words {
        text.0 = words;
    }
    ink.set_if_neq(TextColor(color));
}

/// `ash and brook are typing…`
fn type_words(who: &[String]) -> String {
    match who {
        [] => String::new(),
        [one] => format!("{} is typing…", short(one, NAME)),
        [one, two] => format!("{} and {} are typing…", short(one, NAME), short(two, NAME)),
        more => format!("{} people are typing…", more.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_types() {
        let names = |all: &[&str]| all.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>();
        assert_eq!(type_words(&[]), "");
        assert_eq!(type_words(&names(&["ash"])), "ash is typing…");
        assert_eq!(type_words(&names(&["ash", "bo"])), "ash and bo are typing…");
        assert_eq!(type_words(&names(&["a", "b", "c"])), "3 people are typing…");
    }
}
