//! Who of the cast does what: makes the camp, answers, keeps the evening going.

use std::{
    fs,
    path::PathBuf,
    sync::{Arc, atomic::AtomicBool, atomic::Ordering},
    time::{Duration, Instant},
};

use bevy_fireside::{Sequence, UserId};
use fireside_client::core::{
    Command, Event,
    event::{Completion, ConnectionState},
};
use fireside_protocol::ConversationId;

use super::{
    Plan,
    actor::{Actor, To},
    script::{HISTORY, Line, TALKS, TALKS_IN_MANY_SCRIPTS},
    words::answer,
};
use crate::{
    chance::Chance,
    people::{CAMP, CAST},
};

/// Between two small talks, in seconds.
const LULL: (f32, f32) = (9.0, 17.0);
/// After somebody spoke to the cast, small talk waits at least this long.
const ATTENTION: Duration = Duration::from_secs(11);
/// Lines said at once before the player comes, at most this many a second from each: the server's limit.
const HISTORY_PAUSE: Duration = Duration::from_millis(260);
/// Joiners see everything that was said before.
const ALL_HISTORY: u64 = u64::MAX;

/// Directs the cast. The first of it made the camp and may invite.
pub(super) struct Director {
    player: UserId,
    many_scripts: Arc<AtomicBool>,
    chance: Chance,
    /// Which group is the camp, over restarts.
    camp_file: PathBuf,
    camp: Option<ConversationId>,
    created: bool,
    invited: bool,
    welcomed: bool,
    history: u32,
    history_next: Instant,
    /// The player's last message that was answered.
    answered: Sequence,
    turn: usize,
    last: String,
    talk: Vec<Line>,
    talks: usize,
    next_talk: Instant,
    /// The world was away; somebody will say so.
    lost: bool,
}

impl Director {
    pub(super) fn new(plan: Plan) -> Self {
        let camp_file = plan.folder.join("camp");
        let known = fs::read_to_string(&camp_file).ok();
        Self {
            camp: known.and_then(|text| parse_id(text.trim())),
            camp_file,
            player: plan.player,
            many_scripts: plan.many_scripts,
            chance: Chance::fresh(),
            created: false,
            invited: false,
            welcomed: false,
            history: plan.history,
            history_next: Instant::now(),
            answered: 0,
            turn: 0,
            last: String::new(),
            talk: Vec::new(),
            talks: 0,
            next_talk: Instant::now() + Duration::from_secs(7),
            lost: false,
        }
    }

    /// Something happened to one of the cast.
    pub(super) fn take(&mut self, actors: &mut [Actor], at: usize, event: Event) {
        match event {
            Event::State(state) => {
                let online = state == ConnectionState::Connected;
                self.lost |= actors[at].online && !online;
                actors[at].online = online;
            }
            Event::Conversations { diffs, .. } => actors[at].note_memberships(&diffs),
            Event::Invited {
                conversation, name, ..
            } if name == CAMP => {
                actors[at].command(Command::Join { conversation });
            }
            Event::Completed {
                result: Ok(Completion::Created { conversation }),
                ..
            } => {
                self.camp = Some(conversation);
                if let Err(error) = fs::write(&self.camp_file, format_id(conversation)) {
                    bevy::log::warn!("the camp will not be found again: {error}");
                }
            }
            Event::MessageReceived {
                conversation,
                sequence,
                sender,
                text: Some(text),
                ..
            } if sender == self.player => {
                if Some(conversation) == self.camp {
                    self.heard(actors, sequence, &text);
                } else {
                    self.whispered(actors, at, conversation, sequence, &text);
                }
            }
            _ => {}
        }
    }

    /// The player said something at the fire. All of the cast hear it; the first to hear it decides who answers.
    fn heard(&mut self, actors: &mut [Actor], sequence: Sequence, text: &str) {
        if sequence <= self.answered {
            return;
        }
        self.answered = sequence;
        let lower = text.to_lowercase();
        if lower.contains("kick me") {
            self.send_away(actors);
            return;
        }
        let named = CAST.iter().position(|name| lower.contains(name));
        let who = named.unwrap_or_else(|| {
            self.turn += 1;
            self.turn % CAST.len()
        });
        let said = self.answer(who, text, false);
        let thought = Duration::from_secs_f32(self.chance.between(0.3, 0.9));
        actors[who].say(To::Camp, said, thought);
        self.talk.clear();
        self.next_talk = self.next_talk.max(Instant::now() + ATTENTION);
    }

    /// The player whispered to one of the cast.
    fn whispered(
        &mut self,
        actors: &mut [Actor],
        at: usize,
        conversation: ConversationId,
        upto: Sequence,
        text: &str,
    ) {
        let actor = &mut actors[at];
        actor.command(Command::MarkRead { conversation, upto });
        let said = if text.to_lowercase().contains("invite me") && at == 0 {
            self.invited = false;
            "Come back to the fire, then.".to_owned()
        } else {
            self.answer(at, text, true)
        };
        let thought = Duration::from_secs_f32(self.chance.between(0.3, 0.9));
        actors[at].say(To::Direct(self.player.clone()), said, thought);
    }

    fn answer(&mut self, who: usize, text: &str, whispered: bool) -> String {
        let me = CAST.get(who).copied().unwrap_or_default();
        let name = self.player.as_str();
        let said = answer(&mut self.chance, text, me, name, whispered, &self.last);
        self.last.clone_from(&said);
        said
    }

    /// The player asked for it: to see what a message looks like that is refused.
    fn send_away(&self, actors: &mut [Actor]) {
        let (Some(first), Some(conversation)) = (actors.first_mut(), self.camp) else {
            return;
        };
        first.command(Command::RemoveMember {
            conversation,
            user: self.player.clone(),
        });
        first.say(
            To::Direct(self.player.clone()),
            "As you wish. Whisper \"invite me\" when you want to come back.",
            Duration::ZERO,
        );
    }

    /// Time goes by.
    pub(super) fn step(&mut self, actors: &mut [Actor], now: Instant) {
        self.make_camp(actors);
        if !actors
            .iter()
            .all(|actor| actor.online && actor.camp.is_some())
        {
            // What nobody would hear is not said.
            self.next_talk = self.next_talk.max(now + Duration::from_secs(4));
            return;
        }
        if self.history > 0 {
            return self.tell_history(actors, now);
        }
        if !self.welcomed {
            self.welcomed = true;
            let welcome = format!("Evening, {}. Come sit, the fire is warm.", self.player);
            actors[0].say(To::Camp, welcome, Duration::from_millis(900));
        }
        if std::mem::take(&mut self.lost) {
            let said = "…where was I? The world went quiet for a moment.";
            actors[0].say(To::Camp, said, Duration::from_secs(2));
        }
        if now >= self.next_talk && actors.iter().all(Actor::is_idle) {
            self.small_talk(actors, now);
        }
    }

    /// The first of the cast makes the camp once, and invites whoever is not in it yet.
    fn make_camp(&mut self, actors: &mut [Actor]) {
        let Some(first) = actors.first() else {
            return;
        };
        if !first.online {
            return;
        }
        let everybody = || -> Vec<UserId> {
            let others = actors.iter().skip(1).map(|actor| actor.user.clone());
            others.chain([self.player.clone()]).collect()
        };
        match self.camp {
            None if !self.created => {
                self.created = true;
                first.command(Command::CreateGroup {
                    name: CAMP.to_owned(),
                    invite: everybody(),
                    history_for_joiners: ALL_HISTORY,
                });
                self.invited = true;
            }
            Some(camp) => {
                if !std::mem::replace(&mut self.invited, true) {
                    // Whoever is a member already is refused one by one.
                    for user in everybody() {
                        first.command(Command::Invite {
                            conversation: camp,
                            users: vec![user],
                        });
                    }
                }
                for actor in actors.iter_mut() {
                    actor.camp = actor.member_of.contains(&camp).then_some(camp);
                }
            }
            None => {}
        }
    }

    fn tell_history(&mut self, actors: &mut [Actor], now: Instant) {
        if now < self.history_next {
            return;
        }
        self.history_next = now + HISTORY_PAUSE;
        let count = self.history as usize;
        for actor in actors.iter_mut().take(count) {
            self.history -= 1;
            let at = self.history as usize;
            let (_, text) = HISTORY[at % HISTORY.len()];
            actor.blurt(&To::Camp, &format!("{text} ({at})"));
        }
    }

    fn small_talk(&mut self, actors: &mut [Actor], now: Instant) {
        if self.talk.is_empty() {
            self.next_talk = now + Duration::from_secs_f32(self.chance.between(LULL.0, LULL.1));
            let many = self.many_scripts.load(Ordering::Relaxed);
            let others = if many { TALKS_IN_MANY_SCRIPTS } else { &[] };
            // Every third talk, from the first, is in other scripts.
            let pool = if self.talks.is_multiple_of(3) && many {
                others
            } else {
                TALKS
            };
            let next = if pool.len() == TALKS.len() {
                self.talks - self.talks.div_ceil(3) * usize::from(many)
            } else {
                self.talks / 3
            };
            self.talks += 1;
            self.talk = pool[next % pool.len()].to_vec();
            self.talk.reverse();
        }
        if let Some((who, text)) = self.talk.pop() {
            let thought = Duration::from_secs_f32(self.chance.between(0.4, 1.2));
            actors[who].say(To::Camp, text, thought);
            if !self.talk.is_empty() {
                self.next_talk = now;
            } else {
                self.next_talk = now + Duration::from_secs_f32(self.chance.between(LULL.0, LULL.1));
            }
        }
    }
}

fn format_id(id: ConversationId) -> String {
    id.0.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn parse_id(text: &str) -> Option<ConversationId> {
    let mut id = [0; 16];
    if text.len() != 32 || !text.is_ascii() {
        return None;
    }
    for (at, byte) in id.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(at * 2..at * 2 + 2)?, 16).ok()?;
    }
    Some(ConversationId(id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_as_written() {
        let id = ConversationId([7; 16]);
        assert_eq!(parse_id(&format_id(id)), Some(id));
        assert_eq!(parse_id("07"), None);
    }
}
