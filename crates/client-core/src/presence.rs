//! Presence: what this user says of themselves, and what others say. Kept in memory; said anew after each log-in.

use fireside_protocol::{
    ClientFrame, Code, Now, UserId,
    limits::{PRESENCE_USERS_MAX, WATCHED_USERS_MAX},
    presence::{PresenceOf, PresencePage, PresenceRequest, SetPresence},
};

use crate::{Event, RequestId, Session, event::Completion, sorted::Map};

/// Own presence, and others' that the game was not told of yet.
#[derive(Debug, Default)]
pub(crate) struct Presence {
    /// As the game last said it.
    own: Option<Box<SetPresence>>,
    /// The newest of each user, for the game to poll.
    events: Map<UserId, Box<PresenceOf>>,
}

impl Session {
    /// The game says whether its user is there. Without a link it is said with the next log-in.
    pub(crate) fn set_presence(&mut self, presence: &SetPresence) -> Result<(), Code> {
        let presence = Box::new(presence.checked()?);
        self.presence.own = Some(presence);
        self.presence_connected();
        Ok(())
    }

    /// Logged in: what the game said holds on.
    pub(crate) fn presence_connected(&mut self) {
        if self.is_ready()
            && let Some(own) = &self.presence.own
        {
            let frame = ClientFrame::SetPresence((**own).clone());
            self.send(&frame, 0);
        }
    }

    pub(crate) fn ask_presence(
        &mut self,
        request: RequestId,
        users: Vec<UserId>,
        now: Now,
    ) -> Result<(), Code> {
        if users.len() > PRESENCE_USERS_MAX {
            return Err(Code::TooManyNamed);
        }
        let frame = ClientFrame::PresenceRequest(PresenceRequest { users });
        self.ask(request, frame, now)
    }

    pub(crate) fn on_presence_page(&mut self, call: RequestId, page: PresencePage) {
        let mut users = page.users;
        users.truncate(PRESENCE_USERS_MAX);
        self.finish(call, Ok(Completion::Presence(users)));
    }

    /// Somebody's presence. The newest takes the place of one that was not polled yet.
    pub(crate) fn on_presence(&mut self, presence: PresenceOf) {
        let events = &mut self.presence.events;
        if events.len() < WATCHED_USERS_MAX || events.contains_key(&presence.user) {
            events.insert(presence.user.clone(), Box::new(presence));
        }
    }

    pub(crate) fn poll_presence(&mut self) -> Option<Event> {
        let (_, presence) = self.presence.events.pop_first()?;
        Some(Event::Presence(presence))
    }
}
