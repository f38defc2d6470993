//! One line of the log: when, who, what, and how far an own message is.

use bevy::{ecs::hierarchy::ChildSpawnerCommands, prelude::*, text::LineHeight};
use bevy_fireside::{
    Chat, Nonce,
    prelude::{Body, MessageState, TimelineRow},
};

use crate::{clock, people::color_of, speech::plain, theme};

/// Width of the times on the left.
const TIME_WIDTH: f32 = 38.0;

/// A row and what else decides how it looks.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Look {
    pub(crate) row: TimelineRow,
    /// Written by the player.
    pub(crate) own: bool,
    /// Says how far it is: the newest of its state, and all that are not settled.
    pub(crate) marked: bool,
}

/// The row's outermost node.
pub(crate) fn node() -> Node {
    Node {
        width: percent(100),
        flex_shrink: 0.0,
        padding: UiRect::axes(px(12), px(2)),
        column_gap: px(8),
        ..default()
    }
}

/// Its parts.
pub(crate) fn fill(row: &mut ChildSpawnerCommands, look: &Look, room: Entity) {
    let about = &look.row;
    let plain;
    let text: &str = match &about.body {
        Body::Text(text) => text,
        Body::Content(content) => {
            plain = content.plain_text();
            &plain
        }
        Body::Answer(_) => return note(row, &format!("{} answers a card", about.sender)),
        Body::Expired => return note(row, "this message's time is over"),
        Body::Recalled => return note(row, &format!("{} took a message back", about.sender)),
        Body::Created(name) => return note(row, &format!("{} lit a fire: {name}", about.sender)),
        Body::ChannelMade(child) => {
            return note(
                row,
                &format!("{} lit another fire: {}", about.sender, child.name),
            );
        }
        Body::Joined(who) => return note(row, &format!("{who} sits down at the fire")),
        Body::Left(who) => return note(row, &format!("{who} leaves the fire")),
        Body::Removed(who) => {
            return note(row, &format!("{} sends {who} away", about.sender));
        }
        Body::Role(who, role) => return note(row, &format!("{who} is {role:?} now")),
        Body::Settings(_) => {
            return note(row, &format!("{} rearranges the camp", about.sender));
        }
        Body::Dissolved => return note(row, "the fire is put out"),
        Body::Muted(who, 0) => return note(row, &format!("{who} may speak again")),
        Body::Muted(who, _) => return note(row, &format!("{who} is told to be quiet")),
        Body::Banned(who, _) => {
            return note(row, &format!("{} sends {who} away for good", about.sender));
        }
        Body::MemberSet(who, change) => {
            return note(
                row,
                &match change.name.as_deref() {
                    Some("") | None => format!("{who} is somebody else here now"),
                    Some(name) => format!("{who} is called {name} here"),
                },
            );
        }
        Body::Hole => return note(row, "messages in between are not loaded yet"),
        Body::Unknown => return note(row, "a message that this version can not show"),
    };
    row.spawn((
        Text::new(clock::time(about.at)),
        theme::font(theme::SMALL),
        TextColor(theme::FAINT),
        TextLayout::no_wrap(),
        Node {
            width: px(TIME_WIDTH),
            flex_shrink: 0.0,
            margin: UiRect::top(px(2.5)),
            ..default()
        },
        Pickable::IGNORE,
    ));
    row.spawn((
        Node {
            flex_direction: FlexDirection::Column,
            flex_grow: 1.0,
            flex_basis: px(0),
            min_width: px(0),
            row_gap: px(3),
            ..default()
        },
        Pickable::IGNORE,
    ))
    .with_children(|column| {
        words(column, look, text);
        if let (MessageState::Failed(code), Some(nonce)) = (&about.state, about.nonce) {
            failure(column, code.text(), room, nonce);
        }
    });
}

/// Name, text and mark in one paragraph.
fn words(column: &mut ChildSpawnerCommands, look: &Look, text: &str) {
    let about = &look.row;
    let name = color_of(about.sender.as_str(), look.own);
    column
        .spawn((
            Text::new(format!("{}  ", plain(about.sender.as_str()))),
            theme::font(theme::TEXT),
            TextColor(Color::from(name)),
            TextLayout::new(Justify::Left, LineBreak::WordOrCharacter),
            LineHeight::RelativeToFont(1.32),
            Pickable::IGNORE,
        ))
        .with_children(|line| {
            let waiting = matches!(about.state, MessageState::Sending | MessageState::Failed(_));
            line.spawn((
                TextSpan::new(plain(text)),
                theme::font(theme::TEXT),
                TextColor(if waiting { theme::DIM } else { theme::CREAM }),
                LineHeight::RelativeToFont(1.32),
            ));
            if about.edited {
                mark(line, "edited", theme::FAINT);
            }
            if let Some((words, color)) = state(&about.state).filter(|_| look.marked) {
                mark(line, words, color);
            }
        });
}

fn mark(line: &mut ChildSpawnerCommands, words: &str, color: Color) {
    line.spawn((
        TextSpan::new(format!("   {words}")),
        theme::font(theme::SMALL),
        TextColor(color),
        LineHeight::RelativeToFont(1.32),
    ));
}

/// How far an own message is, in a word.
pub(crate) const fn state(state: &MessageState) -> Option<(&'static str, Color)> {
    Some(match state {
        MessageState::Sending => ("sending…", theme::AMBER),
        MessageState::Sent => ("sent", theme::FAINT),
        MessageState::Delivered => ("delivered", theme::DIM),
        MessageState::Read => ("read", theme::GREEN),
        MessageState::Held => ("held: a moderator reads it first", theme::AMBER),
        MessageState::Failed(_) => ("not sent", theme::RED),
        MessageState::Received => return None,
    })
}

/// Why it was refused, and what can be done.
fn failure(column: &mut ChildSpawnerCommands, reason: &str, room: Entity, nonce: Nonce) {
    column
        .spawn((
            Node {
                column_gap: px(6),
                row_gap: px(4),
                flex_wrap: FlexWrap::Wrap,
                align_items: AlignItems::Center,
                margin: UiRect::bottom(px(3)),
                ..default()
            },
            Pickable::IGNORE,
        ))
        .with_children(|line| {
            line.spawn((
                Text::new(capital(reason)),
                theme::font(theme::SMALL),
                TextColor(theme::RED),
                TextLayout::new(Justify::Left, LineBreak::WordOrCharacter),
                Node {
                    margin: UiRect::right(px(4)),
                    ..default()
                },
                Pickable::IGNORE,
            ));
            button(line, "Try again").observe(
                move |_: On<Pointer<Click>>, mut chat: Chat| -> Result {
                    chat.retry(room, nonce)?;
                    Ok(())
                },
            );
            button(line, "Discard").observe(
                move |_: On<Pointer<Click>>, mut chat: Chat| -> Result {
                    chat.discard(room, nonce)?;
                    Ok(())
                },
            );
        });
}

fn button<'a>(line: &'a mut ChildSpawnerCommands, label: &str) -> EntityCommands<'a> {
    let mut button = line.spawn((
        Node {
            padding: UiRect::axes(px(8), px(2)),
            border_radius: BorderRadius::all(px(7)),
            ..default()
        },
        BackgroundColor(theme::RAISED),
    ));
    button.with_child((
        Text::new(label),
        theme::font(theme::SMALL),
        TextColor(theme::CREAM),
        TextLayout::no_wrap(),
        Pickable::IGNORE,
    ));
    button
}

/// What happened, in the middle.
fn note(row: &mut ChildSpawnerCommands, words: &str) {
    row.spawn((
        Node {
            width: percent(100),
            justify_content: JustifyContent::Center,
            padding: UiRect::vertical(px(1)),
            ..default()
        },
        Pickable::IGNORE,
    ))
    .with_child((
        Text::new(plain(words)),
        theme::font(theme::SMALL),
        TextColor(theme::FAINT),
        TextLayout::new(Justify::Center, LineBreak::WordOrCharacter),
        Pickable::IGNORE,
    ));
}

fn capital(text: &str) -> String {
    let mut rest = text.chars();
    rest.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(rest).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_begin_with_a_capital() {
        assert_eq!(
            capital("your role does not allow this"),
            "Your role does not allow this"
        );
    }
}
