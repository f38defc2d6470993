//! Reads: the sync after a log-in, and whatever the page lane asks for.

use fireside_protocol::{
    ClientFrame, Code, Lane, Now, ServerFrame, UserId, UserSequence, WallMs,
    frames::{HeadsPage, HeadsRequest, UserLogPage},
    limits::{
        HEADS_ONLY_MAX, HEADS_OVERLAP_MS, HELD_RANGES_MAX, MEMBER_PREFIX_BYTES_MAX, PROFILES_MAX,
    },
};

use crate::{
    job::Pending,
    node::{Node, Origin, SessionKey, refused},
    storage::{Op, Reply, StoreError},
};

impl Node {
    /// Reads the first pages of user log and heads, to be pushed.
    pub(crate) fn begin_sync(
        &mut self,
        key: SessionKey,
        cursor: UserSequence,
        heads_since: WallMs,
        now: Now,
    ) {
        let user = (self.sessions.get(&key)).and_then(|session| self.users.get(session.user));
        let Some(user) = user.map(|user| user.id.clone()) else {
            return;
        };
        let op = Op::Sync {
            user,
            cursor,
            request: HeadsRequest {
                since: heads_since.saturating_sub(HEADS_OVERLAP_MS),
                before_at: 0,
                before: None,
                limit: 0,
                only: Vec::new(),
            },
            now: now.wall_ms,
        };
        self.submit(op, Pending::Sync(key, cursor), now);
    }

    /// The first pages came. If they did not, the client is told to ask for them.
    pub(crate) fn synced(
        &mut self,
        key: SessionKey,
        cursor: UserSequence,
        result: Result<Reply, StoreError>,
    ) {
        let (log, heads) = match result {
            Ok(Reply::Sync(pages)) => {
                let (log, heads) = *pages;
                (log, self.finish_heads(key, heads))
            }
            _ => (
                UserLogPage {
                    records: Vec::new(),
                    cursor,
                    reload: false,
                    more: true,
                },
                HeadsPage {
                    heads: Vec::new(),
                    more: true,
                    stamp: 0,
                },
            ),
        };
        let Some(session) = self.sessions.get(&key) else {
            return;
        };
        let log = ServerFrame::UserLogPage(log).encode(0);
        let heads = ServerFrame::HeadsPage(heads).encode(0);
        self.out.push(key, session, Lane::Page, 0, false, log);
        self.out.push(key, session, Lane::Page, 0, true, heads);
    }

    /// What only the core knows of heads.
    pub(crate) fn finish_heads(&self, key: SessionKey, mut page: HeadsPage) -> HeadsPage {
        page.stamp = self.sessions.get(&key).map_or(0, |session| session.stamp);
        if self.config.breaks.unread_drift {
            for head in &mut page.heads {
                head.unread += u32::from(head.unread > 0);
            }
        }
        page
    }

    /// A request that only reads.
    pub(crate) fn read(
        &mut self,
        key: SessionKey,
        origin: Origin,
        user: UserId,
        frame: ClientFrame,
        now: Now,
    ) {
        let op = match frame {
            ClientFrame::PresenceRequest(request) => {
                return self.ask_presence(key, origin, request, now);
            }
            ClientFrame::PageRequest(request) => {
                if request.held.len() > HELD_RANGES_MAX {
                    self.refuse(key, origin, Code::ArgumentInvalid, 0, None);
                    return;
                }
                Op::Page { user, request }
            }
            ClientFrame::HeadsRequest(mut request) => {
                if request.only.len() > HEADS_ONLY_MAX {
                    self.refuse(key, origin, Code::ArgumentInvalid, 0, None);
                    return;
                }
                request.since = request.since.saturating_sub(HEADS_OVERLAP_MS);
                let only = Vec::new();
                Op::Heads {
                    user,
                    request,
                    only,
                }
            }
            ClientFrame::UserLogRequest(request) => Op::UserLog {
                user,
                cursor: request.cursor,
                now: now.wall_ms,
            },
            ClientFrame::MembersRequest(request) => {
                if request.prefix.len() > MEMBER_PREFIX_BYTES_MAX {
                    self.refuse(key, origin, Code::ArgumentInvalid, 0, None);
                    return;
                }
                Op::Members { user, request }
            }
            ClientFrame::PinsRequest(request) => Op::Pins { user, request },
            ClientFrame::BansRequest(request) => Op::Bans {
                user,
                request,
                now: now.wall_ms,
            },
            ClientFrame::LinksRequest(request) => Op::Links { user, request },
            ClientFrame::ProfilesRequest(request) => {
                if request.users.is_empty() || request.users.len() > PROFILES_MAX {
                    let code = if request.users.is_empty() {
                        Code::ArgumentInvalid
                    } else {
                        Code::TooManyNamed
                    };
                    self.refuse(key, origin, code, 0, None);
                    return;
                }
                Op::Profiles(request.users)
            }
            ClientFrame::ChildrenRequest(request) => Op::Children { user, request },
            ClientFrame::ReadersRequest(request) => Op::Readers { user, request },
            ClientFrame::RevisionsRequest(request) => Op::Revisions { user, request },
            _ => Op::Devices(user),
        };
        if self.is_shedding(now) {
            self.refuse_overloaded(key, origin, None);
            return;
        }
        self.begin_request(key);
        self.submit(op, Pending::Read(key, origin), now);
    }

    /// What a read brought goes to who asked.
    pub(crate) fn read_done(
        &mut self,
        key: SessionKey,
        origin: Origin,
        result: Result<Reply, StoreError>,
    ) {
        let frame = match result {
            Ok(Reply::Page(page)) => ServerFrame::Page(*page),
            Ok(Reply::Heads(page)) => ServerFrame::HeadsPage(self.finish_heads(key, page)),
            Ok(Reply::UserLog(page)) => ServerFrame::UserLogPage(page),
            Ok(Reply::Members(page)) => ServerFrame::MembersPage(page),
            Ok(Reply::Pins(page)) => ServerFrame::PinsPage(page),
            Ok(Reply::Bans(page)) => ServerFrame::BansPage(page),
            Ok(Reply::Links(page)) => ServerFrame::LinksPage(page),
            Ok(Reply::Profiles(page)) => ServerFrame::ProfilesPage(page),
            Ok(Reply::Children(page)) => ServerFrame::ChildrenPage(page),
            Ok(Reply::Readers(page)) => ServerFrame::ReadersPage(page),
            Ok(Reply::Revisions(page)) => ServerFrame::RevisionsPage(page),
            Ok(Reply::Forbidden) => ServerFrame::Refused(refused(Code::Forbidden, 0)),
            Ok(Reply::Devices(mut page)) => {
                let user = self.sessions.get(&key).map(|session| session.user);
                let user = user.and_then(|user| self.users.get(user));
                let sessions = user.map_or(&[][..], |user| &user.sessions);
                for device in &mut page.devices {
                    let mut here = sessions.iter().filter_map(|key| self.sessions.get(key));
                    device.online = here.any(|session| session.device == device.device);
                }
                ServerFrame::DevicesPage(page)
            }
            Ok(_) => ServerFrame::Refused(refused(Code::NotFound, 0)),
            Err(error) => {
                self.counters.store_errors += 1;
                ServerFrame::Refused(refused(error.code(), READ_RETRY_MS))
            }
        };
        self.end_request(key);
        let Some(session) = self.sessions.get(&key) else {
            return;
        };
        if self.out.answer(key, session, origin, &frame) {
            return;
        }
        // A page may come again when there is room; an answer may not be lost.
        let frame = ServerFrame::Refused(refused(Code::Overloaded, READ_RETRY_MS));
        self.answer(key, origin, &frame);
    }
}

/// When to try a read again, in ms.
const READ_RETRY_MS: u64 = 500;
