//! Sessions come and go: log-in, device policy, log-out.

use std::sync::Arc;

use bytes::Bytes;
use fireside_protocol::{
    ClientFrame, Code, DeviceId, Lane, Now, ServerFrame, UserId,
    frames::{Refused, Welcome},
    limits::OPEN_CONVERSATIONS_MAX,
};

use crate::{
    job::Pending,
    node::{DevicePolicy, Login, Node, Origin, Outbound, SessionKey, kicked, refused},
    presence::Social,
    session::{ENTERING_FRAMES_MAX, Entering, Session},
    storage::{LoadedUser, Op, PutDevice, StoreError},
};

impl Node {
    /// A log-in begins: what is known of the user is read before anything else.
    pub(crate) fn enter(
        &mut self,
        key: SessionKey,
        outbound: Arc<Outbound>,
        login: Login,
        now: Now,
    ) {
        let user = login.user.clone();
        let full = self.sessions.len() >= self.config.sessions_max;
        let user_key = self
            .users
            .add_session(&user, key, &self.config, now.monotonic_ms);
        let request = login.request;
        self.next_age += 1;
        let session = Session {
            user: user_key,
            device: login.device,
            platform: login.platform.as_str().into(),
            outbound,
            token_expires: 0,
            token_timer: 0,
            age: self.next_age,
            stamp: now.wall_ms,
            early: login.early,
            entering: Some(Box::new(Entering {
                login,
                waiting: Vec::new(),
            })),
            open: Vec::new(),
            behind: None,
            requests: 0,
            typing_counter: 0,
            typing_seen: 0,
        };
        self.sessions.insert(key, session);
        let overloaded = full || self.is_overloaded(now);
        if self.draining || overloaded {
            let code = if self.draining {
                Code::Draining
            } else {
                Code::Overloaded
            };
            self.counters.overloaded += u64::from(overloaded);
            self.refuse_login(key, request, refused(code, LOGIN_RETRY_MS));
            return;
        }
        self.submit(Op::LoadUser(user), Pending::Login(key), now);
        self.note_device(key, now);
    }

    /// What is known of the user came: the session is let in or refused.
    pub(crate) fn entered(
        &mut self,
        key: SessionKey,
        loaded: Result<LoadedUser, StoreError>,
        now: Now,
    ) {
        let Some(session) = self.sessions.get_mut(&key) else {
            return;
        };
        let Some(entering) = session.entering.take() else {
            return;
        };
        let Entering { login, waiting } = *entering;
        let early = session.early;
        let refusal = match &loaded {
            Err(error) => Some(refused(error.code(), LOGIN_RETRY_MS)),
            Ok(user) if user.banned_until > now.wall_ms => Some(Refused {
                until: user.banned_until,
                ..Refused::new(Code::Banned)
            }),
            Ok(user) if user.valid_after > login.issued_at => {
                Some(Refused::new(Code::TokenRevoked))
            }
            Ok(_) => None,
        };
        let loaded = match (refusal, loaded) {
            (None, Ok(loaded)) => loaded,
            (refusal, _) => {
                let refusal = refusal.unwrap_or_else(|| Refused::new(Code::StorageUnavailable));
                self.refuse_login(key, login.request, refusal);
                return;
            }
        };
        self.counters.logins += 1;
        self.register(key, &loaded);
        self.welcome(key, &login, &loaded, now);
        self.set_token_timer(key, login.token_expires, now);
        if !early {
            self.replace_others(key);
        }
        if !login.no_sync {
            self.begin_sync(key, login.user_cursor, login.heads_since, now);
        }
        let open: Vec<_> = login.open.iter().take(OPEN_CONVERSATIONS_MAX).collect();
        self.attend(key, open.into_iter().copied(), now);
        if !early {
            self.presence_entered(key, now);
        }
        for (origin, frame) in waiting {
            self.request(key, origin, frame, now);
        }
    }

    /// Keeps a request until the log-in is answered; `false` if there are too many.
    pub(crate) fn wait_for_welcome(
        &mut self,
        key: SessionKey,
        origin: Origin,
        frame: ClientFrame,
    ) -> bool {
        let session = self.sessions.get_mut(&key);
        let Some(entering) = session.and_then(|session| session.entering.as_mut()) else {
            return false;
        };
        let room = entering.waiting.len() < ENTERING_FRAMES_MAX;
        if room {
            entering.waiting.push((origin, frame));
        }
        room
    }

    /// The handshake is done: what early data may not do is made up for.
    pub(crate) fn confirm(&mut self, key: SessionKey, now: Now) {
        let Some(session) = self.sessions.get_mut(&key) else {
            return;
        };
        if !session.early {
            return;
        }
        session.early = false;
        if let Some(entering) = &mut session.entering {
            entering.login.early = false;
        }
        self.note_device(key, now);
        if self
            .sessions
            .get(&key)
            .is_some_and(|it| it.entering.is_none())
        {
            self.presence_entered(key, now);
            self.replace_others(key);
        }
    }

    /// Forgets a session. If it was the last thing that others saw of its user, they are told.
    pub(crate) fn leave(&mut self, key: SessionKey) {
        let now = self.clock;
        let user = self.sessions.get(&key).map(|session| session.user);
        let seen = user.and_then(|user| self.presence_of(user, now));
        let Some((user, before)) = user.zip(seen) else {
            return self.forget(key);
        };
        let id = before.user.clone();
        let known = self.users.get(user).map(|user| {
            let friends = user.social.as_ref();
            let friends = friends.map_or_else(Vec::new, |social| social.friends());
            (friends, user.conversations.clone())
        });
        self.forget(key);
        let after = self.users.key(&id).and_then(|it| self.presence_of(it, now));
        if let Some((friends, conversations)) = known
            && after.as_ref() != Some(&before)
        {
            self.announce_to(&id, &friends, &conversations, now);
        }
    }

    fn forget(&mut self, key: SessionKey) {
        let Some(session) = self.sessions.remove(&key) else {
            return;
        };
        self.presence_left(key);
        self.timers
            .clear(session.token_timer, crate::timers::Due::Token(key));
        for conversation in &session.open {
            if let Some(slot) = self.conversations.get_mut(*conversation) {
                slot.openers.retain(|opener| *opener != key);
            }
        }
        if let Some(user) = self.users.remove_session(session.user, key) {
            for conversation in user.conversations {
                if let Some(slot) = self.conversations.get_mut(conversation) {
                    slot.remove_online(session.user);
                    if let Some(work) = &mut slot.work {
                        work.awaiting.retain(|waiting| waiting.user != session.user);
                    }
                }
                self.conversations.release(conversation);
            }
        }
    }

    /// Ends the sessions of a device that was signed out.
    pub(crate) fn revoke(&mut self, user: &UserId, device: DeviceId) {
        self.out.revoked.push_back((user.clone(), device));
        let sessions = self.users.by_id(user).map(|user| user.sessions.clone());
        for key in sessions.unwrap_or_default() {
            if self
                .sessions
                .get(&key)
                .is_some_and(|it| it.device == device)
            {
                let code = Code::SessionRevoked;
                self.end(key, code, Some(kicked(code)));
            }
        }
    }

    fn note_device(&mut self, key: SessionKey, now: Now) {
        let Some(session) = self.sessions.get(&key) else {
            return;
        };
        if session.early {
            return;
        }
        let Some(user) = self.users.get(session.user) else {
            return;
        };
        let login = session.entering.as_ref().map(|entering| &entering.login);
        let put = PutDevice {
            user: user.id.clone(),
            device: session.device,
            platform: session.platform.to_string(),
            agent: login.map_or_else(String::new, |login| login.agent.clone()),
            name: login.map_or_else(String::new, |login| login.name.clone()),
            at: now.wall_ms,
        };
        self.submit(Op::PutDevice(put), Pending::Device, now);
    }

    /// From here on the user's conversations are delivered live.
    fn register(&mut self, key: SessionKey, loaded: &LoadedUser) {
        let Some(user_key) = self.sessions.get(&key).map(|session| session.user) else {
            return;
        };
        let Some(user) = self.users.get_mut(user_key) else {
            return;
        };
        user.conversations.reserve_exact(
            loaded
                .conversations
                .len()
                .saturating_sub(user.conversations.len()),
        );
        user.social = Social::of(loaded);
        for id in &loaded.conversations {
            self.meetings.seen(*id);
            let conversation = self.conversations.open(*id);
            if user.add(conversation)
                && let Some(slot) = self.conversations.get_mut(conversation)
            {
                slot.add_online(user_key, &user.id, false);
            }
        }
    }

    fn welcome(&mut self, key: SessionKey, login: &Login, loaded: &LoadedUser, now: Now) {
        let Some(session) = self.sessions.get(&key) else {
            return;
        };
        let frame = ServerFrame::Welcome(Welcome {
            version: login.version,
            user: login.user.clone(),
            now: now.wall_ms,
            resume_secret: login.resume_secret.clone(),
            token_expires: login.token_expires,
            user_cursor: loaded.user_sequence,
            heads_stamp: session.stamp,
            name: login.name.clone(),
        });
        let bytes: Bytes = frame.encode(login.request);
        self.out.push(key, session, Lane::Control, 0, false, bytes);
    }

    /// Ends the user's sessions that this one takes the place of.
    fn replace_others(&mut self, key: SessionKey) {
        let Some(session) = self.sessions.get(&key) else {
            return;
        };
        let Some(user) = self.users.get(session.user) else {
            return;
        };
        let mut replaced = Vec::new();
        for other_key in &user.sessions {
            let Some(other) = self.sessions.get(other_key) else {
                continue;
            };
            if *other_key == key || other.age > session.age {
                continue;
            }
            let same_device = other.device == session.device;
            let policy = match self.config.device_policy {
                DevicePolicy::All => false,
                DevicePolicy::OnePerPlatform => other.platform == session.platform,
                DevicePolicy::One => true,
            };
            if same_device || policy {
                replaced.push((*other_key, same_device));
            }
        }
        let code = Code::DeviceReplaced;
        for (other, same_device) in replaced {
            // A device that came back knows; its old connection is most likely dead.
            self.end(other, code, (!same_device).then(|| kicked(code)));
        }
    }

    fn refuse_login(&mut self, key: SessionKey, request: u32, refusal: Refused) {
        self.counters.logins_refused += 1;
        let code = refusal.code();
        let origin = Origin { stream: 0, request };
        self.answer(key, origin, &ServerFrame::Refused(refusal));
        self.end(key, code, None);
    }
}

/// When to try a log-in again that found no room, in ms.
const LOGIN_RETRY_MS: u64 = 1_000;
