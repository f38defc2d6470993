//! Presence: what sessions say of their users, merged, to who may know. In memory only; lost with the node, and said anew by clients.

use std::collections::{BTreeSet, HashMap};

use fireside_protocol::{
    Code, Now, ServerFrame, UserId, WallMs,
    limits::{PRESENCE_GRACE_MS, PRESENCE_INTERVAL_MS, PRESENCE_USERS_MAX, WATCHED_USERS_MAX},
    presence::{PresenceOf, PresencePage, PresenceRequest, PresenceState, SetPresence},
};
use foldhash::fast::RandomState;

use crate::{
    conversation::{ConversationKey, UserKey},
    job::Pending,
    node::{Node, Origin, SessionKey},
    storage::{LoadedUser, Op, Reply, StoreError},
    timers::Due,
};

/// Whom a user knows: most know nobody, then there is none.
#[derive(Debug, Default)]
pub(crate) struct Social {
    /// Friends, as their own records say.
    friends: BTreeSet<UserId>,
    /// Whom they block.
    blocks: BTreeSet<UserId>,
    /// Who blocks them.
    blocked_by: BTreeSet<UserId>,
}

impl Social {
    /// Friends, as their own records say.
    pub(crate) fn friends(&self) -> Vec<UserId> {
        self.friends.iter().cloned().collect()
    }

    /// Of who logs in.
    pub(crate) fn of(loaded: &LoadedUser) -> Option<Box<Self>> {
        let all = [&loaded.friends, &loaded.blocks, &loaded.blocked_by];
        let known = all.iter().any(|users| !users.is_empty());
        known.then(|| {
            Box::new(Self {
                friends: loaded.friends.iter().cloned().collect(),
                blocks: loaded.blocks.iter().cloned().collect(),
                blocked_by: loaded.blocked_by.iter().cloned().collect(),
            })
        })
    }
}

/// What a session said.
#[derive(Debug)]
struct Said {
    presence: Box<SetPresence>,
    /// Grows: of two alike the newer one counts.
    age: u64,
}

/// Whom a session is to be told of.
#[derive(Debug, Default)]
struct Watch {
    /// Whom it was told of since its attention changed.
    told: BTreeSet<UserId>,
    /// Who changed.
    due: BTreeSet<UserId>,
    /// When its timer is set, in monotonic ms.
    timer: Option<u64>,
    /// In monotonic ms.
    not_before: u64,
}

/// All presence of the node.
#[derive(Debug, Default)]
pub(crate) struct Presences {
    said: HashMap<SessionKey, Said, RandomState>,
    watches: HashMap<SessionKey, Watch, RandomState>,
    /// When the timers of sessions that said nothing yet, or whose status ends, are set, in monotonic ms.
    timers: HashMap<SessionKey, u64, RandomState>,
    age: u64,
}

/// How present a state is.
const fn rank(state: PresenceState) -> u8 {
    match state {
        PresenceState::Online => 4,
        PresenceState::DoNotDisturb => 3,
        PresenceState::Away => 2,
        PresenceState::Invisible => 1,
        _ => 0,
    }
}

impl Node {
    /// A session that says nothing for a moment is there.
    pub(crate) fn presence_entered(&mut self, key: SessionKey, now: Now) {
        self.presence_timer(key, Some(now.monotonic_ms + PRESENCE_GRACE_MS));
        let Some(user) = self.sessions.get(&key).map(|session| session.user) else {
            return;
        };
        let social = self.users.get(user).and_then(|user| user.social.as_ref());
        let friends = social.map_or_else(Vec::new, |social| social.friends());
        for friend in friends {
            if self.users.key(&friend).is_some() && self.is_open_to(key, &friend) {
                self.presence_due(key, &friend, now);
            }
        }
    }

    /// A session says whether its user is there.
    pub(crate) fn set_presence(
        &mut self,
        key: SessionKey,
        origin: Origin,
        frame: &SetPresence,
        now: Now,
    ) {
        let said = match frame.normalised() {
            Ok(said) => said,
            Err(code) => return self.refuse(key, origin, code, 0, None),
        };
        let left = said.until.checked_sub(now.wall_ms).filter(|ms| *ms > 0);
        let at = left.map(|left| now.monotonic_ms.saturating_add(left));
        self.presence_timer(key, at);
        self.say_presence(key, said, now);
        self.done(key, origin);
    }

    fn say_presence(&mut self, key: SessionKey, said: SetPresence, now: Now) {
        let Some(user) = self.sessions.get(&key).map(|session| session.user) else {
            return;
        };
        let before = self.presence_of(user, now);
        self.presence.age += 1;
        let said = Said {
            presence: Box::new(said),
            age: self.presence.age,
        };
        self.presence.said.insert(key, said);
        if self.presence_of(user, now) != before {
            self.announce(user, now);
        }
    }

    /// A moment went by after a log-in, or a status came to its end.
    pub(crate) fn on_presence(&mut self, key: SessionKey, now: Now) {
        self.presence.timers.remove(&key);
        let Some(session) = self.sessions.get(&key) else {
            return;
        };
        if session.entering.is_some() || session.early {
            return;
        }
        let Some(said) = self.presence.said.get(&key) else {
            let online = SetPresence {
                state: PresenceState::Online,
                text: String::new(),
                emoji: String::new(),
                until: 0,
                rich: None,
            };
            return self.say_presence(key, online, now);
        };
        let until = said.presence.until;
        if until > 0 && until <= now.wall_ms {
            let ended = SetPresence {
                text: String::new(),
                emoji: String::new(),
                until: 0,
                ..(*said.presence).clone()
            };
            let user = session.user;
            if let Some(said) = self.presence.said.get_mut(&key) {
                *said.presence = ended;
            }
            self.announce(user, now);
        } else if until > now.wall_ms {
            // The wall clock went back meanwhile.
            let at = now.monotonic_ms.saturating_add(until - now.wall_ms);
            self.presence_timer(key, Some(at));
        }
    }

    /// A session is gone: what it said goes with it.
    pub(crate) fn presence_left(&mut self, key: SessionKey) {
        let watch = self.presence.watches.remove(&key);
        if let Some(at) = watch.and_then(|watch| watch.timer) {
            self.timers.clear(at, Due::PresenceTo(key));
        }
        self.presence_timer(key, None);
        self.presence.said.remove(&key);
    }

    /// Sets the timer of what a session says, in the place of the one before.
    fn presence_timer(&mut self, key: SessionKey, at: Option<u64>) {
        let before = match at {
            Some(at) => self.presence.timers.insert(key, at),
            None => self.presence.timers.remove(&key),
        };
        if let Some(before) = before {
            self.timers.clear(before, Due::Presence(key));
        }
        if let Some(at) = at {
            self.timers.set(at, Due::Presence(key));
        }
    }

    /// What others see of a user; `None`: they are not there.
    pub(crate) fn presence_of(&self, user: UserKey, now: Now) -> Option<PresenceOf> {
        let user = self.users.get(user)?;
        let said = user.sessions.iter().filter_map(|key| {
            let said = self.presence.said.get(key)?;
            Some((rank(said.presence.state), said.age, key, said))
        });
        let (_, _, key, said) = said.max_by_key(|(rank, age, ..)| (*rank, *age))?;
        let said = &said.presence;
        if said.state == PresenceState::Invisible {
            return None;
        }
        let lasts = said.until == 0 || said.until > now.wall_ms;
        let own = |text: &String| if lasts { text.clone() } else { String::new() };
        Some(PresenceOf {
            user: user.id.clone(),
            state: said.state,
            text: own(&said.text),
            emoji: own(&said.emoji),
            rich: said.rich.clone(),
            platform: (self.sessions.get(key))
                .map_or_else(String::new, |it| it.platform.to_string()),
            last_seen: 0,
        })
    }

    /// A user's presence changed: whoever may know is told.
    pub(crate) fn announce(&mut self, key: UserKey, now: Now) {
        let Some(user) = self.users.get(key) else {
            return;
        };
        let (id, conversations) = (user.id.clone(), user.conversations.clone());
        let social = user.social.as_ref();
        let friends = social.map_or_else(Vec::new, |social| social.friends());
        self.announce_to(&id, &friends, &conversations, now);
    }

    /// The same of a user who may be gone from memory.
    pub(crate) fn announce_to(
        &mut self,
        id: &UserId,
        friends: &[UserId],
        conversations: &[ConversationKey],
        now: Now,
    ) {
        let mut sessions: BTreeSet<SessionKey> = BTreeSet::new();
        for friend in friends {
            let online = self.users.by_id(friend);
            sessions.extend(
                online
                    .into_iter()
                    .flat_map(|it| it.sessions.iter().copied()),
            );
        }
        for conversation in conversations {
            let slot = self.conversations.get(*conversation);
            let small = slot.filter(|slot| slot.online.len() <= WATCHED_USERS_MAX);
            sessions.extend(small.into_iter().flat_map(|it| it.openers.iter().copied()));
        }
        for session in sessions {
            if self.is_open_to(session, id) {
                self.presence_due(session, id, now);
            }
        }
    }

    /// Whether no block stands between a session's user and another.
    fn is_open_to(&self, key: SessionKey, other: &UserId) -> bool {
        let watcher = self.sessions.get(&key).map(|session| session.user);
        let watcher = watcher.and_then(|watcher| self.users.get(watcher));
        watcher.is_some_and(|it| it.id != *other && !is_closed(it.social.as_deref(), other))
    }

    /// A session put a conversation on screen: it watches who is there.
    pub(crate) fn presence_opened(
        &mut self,
        key: SessionKey,
        conversation: ConversationKey,
        now: Now,
    ) {
        let Some(slot) = self.conversations.get(conversation) else {
            return;
        };
        if slot.online.len() > WATCHED_USERS_MAX {
            return;
        }
        let here = slot.online.iter().filter(|online| !online.leaving);
        let own = self.sessions.get(&key).map(|session| session.user);
        let others = here.map(|online| online.user).filter(|it| Some(*it) != own);
        let others: Vec<UserId> = others
            .filter_map(|user| Some(self.users.get(user)?.id.clone()))
            .collect();
        for other in others {
            if self.is_open_to(key, &other) {
                self.presence_due(key, &other, now);
            }
        }
    }

    /// What is on screen is another: room for others to watch.
    pub(crate) fn presence_attends(&mut self, key: SessionKey) {
        if let Some(watch) = self.presence.watches.get_mut(&key) {
            watch.told.clear();
        }
    }

    /// How two users stand to each other changed: both look again.
    pub(crate) fn presence_between(&mut self, one: &UserId, other: &UserId, now: Now) {
        for (watcher, of) in [(one, other), (other, one)] {
            let sessions = self.users.by_id(watcher).map(|it| it.sessions.clone());
            for session in sessions.unwrap_or_default() {
                self.presence_due(session, of, now);
            }
        }
    }

    /// A block was set or taken away.
    pub(crate) fn presence_blocked(&mut self, by: &UserId, of: &UserId, on: bool, now: Now) {
        let put = |users: &mut BTreeSet<UserId>, user: &UserId| {
            if on {
                users.insert(user.clone());
            } else {
                users.remove(user);
            }
        };
        if let Some(user) = self.users.by_id_mut(by) {
            put(&mut user.social.get_or_insert_default().blocks, of);
        }
        if let Some(user) = self.users.by_id_mut(of) {
            put(&mut user.social.get_or_insert_default().blocked_by, by);
        }
        self.presence_between(by, of, now);
    }

    /// A user's friend record changed.
    pub(crate) fn presence_friend(&mut self, user: &UserId, other: &UserId, on: bool, now: Now) {
        if let Some(user) = self.users.by_id_mut(user) {
            let social = user.social.get_or_insert_default();
            if on {
                social.friends.insert(other.clone());
            } else {
                social.friends.remove(other);
            }
        }
        self.presence_between(user, other, now);
    }

    /// A session is told of a user soon, with others that change meanwhile.
    fn presence_due(&mut self, key: SessionKey, of: &UserId, now: Now) {
        if !self.sessions.contains_key(&key) {
            return;
        }
        let watch = self.presence.watches.entry(key).or_default();
        if !watch.told.contains(of) {
            if watch.told.len() >= WATCHED_USERS_MAX {
                return;
            }
            watch.told.insert(of.clone());
        }
        watch.due.insert(of.clone());
        if watch.timer.is_none() {
            let at = watch.not_before.max(now.monotonic_ms);
            watch.timer = Some(at);
            self.timers.set(at, Due::PresenceTo(key));
        }
    }

    /// Tells a session who changed.
    pub(crate) fn presence_to(&mut self, key: SessionKey, now: Now) {
        let Some(watch) = self.presence.watches.get_mut(&key) else {
            return;
        };
        watch.timer = None;
        watch.not_before = now.monotonic_ms + PRESENCE_INTERVAL_MS;
        let due = std::mem::take(&mut watch.due);
        for of in due {
            let Some(session) = self.sessions.get(&key) else {
                return;
            };
            let presence = self.presence_seen(key, &of, now);
            let frame = ServerFrame::PresenceOf(presence).encode(0);
            // What finds no room is told later: by then it may be another.
            if !self.out.push_live(key, session, &frame) {
                self.presence_due(key, &of, now);
            }
        }
    }

    /// What a session's user may see of another.
    fn presence_seen(&self, key: SessionKey, of: &UserId, now: Now) -> PresenceOf {
        let offline = PresenceOf::offline(of.clone(), 0);
        let session = self.sessions.get(&key);
        let Some(me) = session.and_then(|session| self.users.get(session.user)) else {
            return offline;
        };
        let Some(other) = self.users.by_id(of) else {
            return offline;
        };
        let knows = |user: &crate::users::User, id: &UserId| {
            let social = user.social.as_ref();
            social.is_some_and(|social| social.friends.contains(id))
        };
        let friends = knows(me, of) && knows(other, &me.id);
        let shared = session.is_some_and(|session| {
            let mut open = session.open.iter();
            open.any(|conversation| other.is_in(*conversation))
        });
        if is_closed(me.social.as_deref(), of) || !(friends || shared) {
            return offline;
        }
        let seen = self.users.key(of).and_then(|it| self.presence_of(it, now));
        let Some(mut seen) = seen else {
            return offline;
        };
        if !friends && let Some(rich) = &mut seen.rich {
            rich.join_secret = bytes::Bytes::new();
        }
        seen
    }

    /// Whether a session's user may know when another was there last.
    fn may_know(&self, key: SessionKey, of: &UserId) -> bool {
        let session = self.sessions.get(&key);
        let Some(me) = session.and_then(|session| self.users.get(session.user)) else {
            return false;
        };
        let social = me.social.as_deref();
        let friends = social.is_some_and(|social| social.friends.contains(of));
        let shared = session.is_some_and(|session| {
            session.open.iter().any(|conversation| {
                let slot = self.conversations.get(*conversation);
                let loaded = slot.and_then(|slot| slot.loaded.as_ref());
                loaded.is_some_and(|loaded| loaded.role(of).is_some())
            })
        });
        !is_closed(social, of) && (friends || shared)
    }

    /// Asks for the presence of users; of who is not there the store says when they were.
    pub(crate) fn ask_presence(
        &mut self,
        key: SessionKey,
        origin: Origin,
        request: PresenceRequest,
        now: Now,
    ) {
        if request.users.len() > PRESENCE_USERS_MAX {
            return self.refuse(key, origin, Code::TooManyNamed, 0, None);
        }
        self.begin_request(key);
        let users = request.users;
        let pending = Pending::Presence(key, origin, users.clone());
        self.submit(Op::LastSeen(users), pending, now);
    }

    /// When they were there last came: the rest is told from memory.
    pub(crate) fn presence_read(
        &mut self,
        key: SessionKey,
        origin: Origin,
        users: Vec<UserId>,
        result: Result<Reply, StoreError>,
        now: Now,
    ) {
        let Ok(Reply::LastSeen(seen)) = result else {
            return self.read_done(key, origin, result);
        };
        let last = |user: &UserId| -> WallMs {
            let found = seen.iter().find(|(of, _)| of == user);
            found.map_or(0, |(_, at)| *at)
        };
        let presences = users.into_iter().map(|user| {
            let mut presence = self.presence_seen(key, &user, now);
            if presence.state == PresenceState::Offline && self.may_know(key, &user) {
                presence.last_seen = last(&user);
            }
            presence
        });
        let page = PresencePage {
            users: presences.collect(),
        };
        self.end_request(key);
        self.answer(key, origin, &ServerFrame::PresencePage(page));
    }
}

/// Whether one of two blocks the other.
fn is_closed(social: Option<&Social>, other: &UserId) -> bool {
    social.is_some_and(|social| social.blocks.contains(other) || social.blocked_by.contains(other))
}
