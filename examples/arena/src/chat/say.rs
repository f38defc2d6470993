//! Saying something: what a written line does. The window's text box and the headless script both come through here.

use bevy::{ecs::system::SystemParam, prelude::*};
use bevy_fireside::{
    Chat, ChatError, Timeline, UserId,
    prelude::{MessageState, TimelineRow},
};
use fireside_protocol::{
    limits::TEXT_GRAPHEMES_MAX,
    text::{Count, TextError, check_text},
};
use unicode_segmentation::UnicodeSegmentation;

use super::{
    rooms::{Rooms, whisper_room},
    words::{Line, help, parse},
};
use crate::{speech::Spoken, stage::Me};

/// What a line did.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Outcome {
    /// It is on its way, or done.
    Done,
    /// Done, and there is something to read.
    Told(String),
    /// Nothing happened; the line stays to be corrected.
    Refused(String),
}

/// Everything that saying something needs.
#[derive(SystemParam)]
pub(crate) struct Say<'w, 's> {
    chat: Chat<'w, 's>,
    rooms: ResMut<'w, Rooms>,
    me: Res<'w, Me>,
    spoken: MessageWriter<'w, Spoken>,
    timelines: Query<'w, 's, &'static Timeline>,
    commands: Commands<'w, 's>,
}

impl Say<'_, '_> {
    /// Does what the line says.
    pub(crate) fn line(&mut self, line: &str) -> Outcome {
        let outcome = match parse(line) {
            Err(wrong) => return Outcome::Refused(wrong),
            Ok(Line::Help) => return Outcome::Told(help()),
            Ok(Line::Text(text)) => self.here(text),
            Ok(Line::Whisper(user, text)) => self.whisper(&user, text),
            Ok(Line::Reply(text)) => match self.rooms.whispered().cloned() {
                Some(user) => self.whisper(&user, text),
                None => Err("Nobody has whispered to you yet.".to_owned()),
            },
            Ok(Line::Retry) => self.failed_ones(|chat, room, nonce| chat.retry(room, nonce)),
            Ok(Line::Discard) => self.failed_ones(|chat, room, nonce| chat.discard(room, nonce)),
        };
        match outcome {
            Ok(()) => Outcome::Done,
            Err(wrong) => Outcome::Refused(wrong),
        }
    }

    /// Looks at the next conversation, or the one before.
    pub(crate) fn turn(&mut self, back: bool) {
        self.rooms.turn(back);
    }

    /// The camp, once the player is in it.
    pub(crate) fn camp(&self) -> Option<Entity> {
        self.rooms.camp()
    }

    /// Looks at the camp.
    pub(crate) fn look_at_camp(&mut self) {
        if let Some(camp) = self.rooms.camp() {
            self.rooms.select(camp);
        }
    }

    /// Into the conversation that is looked at.
    fn here(&mut self, text: String) -> Result<(), String> {
        check(&text)?;
        let room = self
            .rooms
            .selected()
            .ok_or("The camp is not there yet. A moment, please.")?;
        self.chat
            .send(room, text.clone())
            .map_err(|error| not_taken(&error))?;
        if Some(room) == self.rooms.camp() {
            let who = self.me.user.clone();
            self.spoken.write(Spoken { who, text });
        }
        Ok(())
    }

    fn whisper(&mut self, user: &UserId, text: String) -> Result<(), String> {
        if *user == self.me.user {
            return Err("Whispering to yourself? Name somebody else.".to_owned());
        }
        if !text.is_empty() {
            check(&text)?;
        }
        let room = whisper_room(
            user,
            &self.me,
            &self.chat,
            &mut self.rooms,
            &mut self.commands,
        );
        self.rooms.select(room);
        if text.is_empty() {
            return Ok(());
        }
        let sent = self.chat.whisper(user, text);
        sent.map(drop).map_err(|error| not_taken(&error))
    }

    fn failed_ones<T>(
        &mut self,
        mut act: impl FnMut(&mut Chat, Entity, bevy_fireside::Nonce) -> Result<T, ChatError>,
    ) -> Result<(), String> {
        let nothing = "No message failed here.";
        let room = self.rooms.selected().ok_or(nothing)?;
        let rows = self.timelines.get(room).map_err(|_| nothing)?.rows();
        let failed: Vec<_> = rows.iter().filter(|row| is_failed(row)).collect();
        if failed.is_empty() {
            return Err(nothing.to_owned());
        }
        for nonce in failed.into_iter().filter_map(|row| row.nonce) {
            act(&mut self.chat, room, nonce).map_err(|error| not_taken(&error))?;
        }
        Ok(())
    }
}

/// Refused for good.
pub(crate) fn is_failed(row: &TimelineRow) -> bool {
    matches!(row.state, MessageState::Failed(_))
}

/// Characters as people count them.
pub(crate) fn length(text: &str) -> usize {
    text.trim().graphemes(true).count()
}

fn check(text: &str) -> Result<(), String> {
    check_text(text, Count::GRAPHEMES).map_err(|error| match error {
        TextError::TooLong => format!(
            "Too long: {} characters, {TEXT_GRAPHEMES_MAX} fit. Shorten it a little.",
            length(text)
        ),
        other => format!("Not sent: {other}."),
    })
}

fn not_taken(error: &ChatError) -> String {
    format!("Not sent: {error}.")
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn too_long_is_told_with_numbers() {
        let told = check(&"é".repeat(4_123)).unwrap_err();
        assert!(told.contains("4123") && told.contains("4000"), "{told}");
        assert!(check("").unwrap_err().contains("empty"));
        assert!(check("hello").is_ok());
    }
}
