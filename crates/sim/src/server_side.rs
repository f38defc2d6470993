//! The server's half of the world: what the real gateway does around the node (log-in, resume, pings, streams), and the node's
//! timers, disk and frames.

use bytes::Bytes;
use fireside_protocol::{
    ClientFrame, Code, FrameBuffer, Lane, ServerFrame, UserId,
    frames::{Pong, Refused},
    limits::FRAME_BYTES_MAX,
};
use fireside_server_core::{
    Login, Origin, Transmit,
    previews::{PageSummary, PreviewRequest},
    storage::Op,
};

use crate::{
    network::{DATAGRAM, LinkKey, StreamKey},
    oracle::previews::title,
    server_disk::Results,
    world::{EPOCH_MS, What, World},
};

/// Requests kept while the log-in is not answered.
const BEFORE_LOGIN_MAX: usize = 32;

/// A fake token: who, and until when.
#[must_use]
pub fn token(user: &UserId, until_ms: u64) -> String {
    format!("{user}|{until_ms}")
}

fn check_token(token: &str, now_wall_ms: u64) -> Result<(UserId, u64), Code> {
    let (user, until) = token.split_once('|').ok_or(Code::TokenInvalid)?;
    let user = UserId::new(user).map_err(|_| Code::TokenInvalid)?;
    let until: u64 = until.parse().map_err(|_| Code::TokenInvalid)?;
    if until + fireside_protocol::limits::TOKEN_LEEWAY_MS < now_wall_ms {
        Err(Code::TokenExpired)
    } else {
        Ok((user, until))
    }
}

impl World {
    /// A frame arrives at the server.
    pub(crate) fn server_gets(&mut self, key: LinkKey, stream: StreamKey, frame: &Bytes) {
        let Some(link) = self.links.get_mut(&key) else {
            return;
        };
        if !link.server_open || self.server.node.is_none() {
            return;
        }
        let mut buffer = FrameBuffer::new(FRAME_BYTES_MAX);
        buffer.extend(frame);
        let parsed = match buffer.next_frame() {
            Ok(Some(raw)) => raw.client().map(|frame| (raw.request, frame)),
            _ => return self.broke_frame(key),
        };
        let Ok((request, parsed)) = parsed else {
            return self.broke_frame(key);
        };
        let now = self.server_now();
        match parsed {
            ClientFrame::Hello(hello) => match check_token(&hello.token, now.wall_ms) {
                Ok((user, until)) => {
                    let login = Login {
                        user,
                        device: hello.device,
                        name: String::new(),
                        roles: Vec::new(),
                        platform: hello.platform,
                        agent: hello.agent,
                        issued_at: now.wall_ms,
                        token_expires: until,
                        request,
                        version: 1,
                        resume_secret: self.secret(&hello.token),
                        user_cursor: hello.user_cursor,
                        heads_since: hello.heads_since,
                        open: hello.open,
                        no_sync: hello.no_sync,
                        early: false,
                    };
                    self.log_in(key, login);
                }
                Err(code) => self.refuse(key, stream, request, code, true),
            },
            ClientFrame::Resume(resume) => {
                match self.server.resume.get(resume.secret.as_ref()).cloned() {
                    Some((user, until)) => {
                        self.report.count("resumed");
                        let early = self.links.get(&key).is_some_and(|link| link.early);
                        let login = Login {
                            user,
                            device: resume.device,
                            name: String::new(),
                            roles: Vec::new(),
                            platform: String::new(),
                            agent: String::new(),
                            issued_at: now.wall_ms,
                            token_expires: until,
                            request,
                            version: 1,
                            resume_secret: resume.secret,
                            user_cursor: resume.user_cursor,
                            heads_since: resume.heads_since,
                            open: resume.open,
                            no_sync: resume.no_sync,
                            early,
                        };
                        self.log_in(key, login);
                    }
                    None => self.refuse(key, stream, request, Code::ResumeUnknown, false),
                }
            }
            ClientFrame::Ping(ping) => {
                let pong = ServerFrame::Pong(Pong {
                    counter: ping.counter,
                    now: now.wall_ms,
                });
                self.send(key, 0, pong.encode(request));
            }
            other => self.request(key, stream, request, other, frame),
        }
        self.pump_server();
    }

    fn broke_frame(&mut self, _key: LinkKey) {
        let seen = "a client sent a frame that can not be read".to_owned();
        self.broke(Err(crate::violation::Violation {
            rule: "frames",
            seen,
        }));
    }

    fn secret(&mut self, token: &str) -> Bytes {
        let secret = self.rng.bytes().to_vec();
        if let Ok((user, until)) = check_token(token, 0) {
            self.server.resume.insert(secret.clone(), (user, until));
        }
        secret.into()
    }

    pub(crate) fn log_in(&mut self, key: LinkKey, login: Login) {
        let now = self.server_now();
        let session = self.server.next_session;
        let (Some(link), Some(node)) = (self.links.get_mut(&key), self.server.node.as_mut()) else {
            return;
        };
        if link.session.is_some() {
            return;
        }
        self.server.next_session += 1;
        link.session = Some((session, login.user.clone()));
        self.server.sessions.insert(session, key);
        node.handle_connected(session, link.outbound.clone(), login, now);
        for (stream, frame) in std::mem::take(&mut link.before_login) {
            self.schedule(0, What::ToServer(key, stream, frame));
        }
    }

    fn request(
        &mut self,
        key: LinkKey,
        stream: StreamKey,
        request: u32,
        parsed: ClientFrame,
        frame: &Bytes,
    ) {
        let now = self.server_now();
        let Some(link) = self.links.get_mut(&key) else {
            return;
        };
        let Some((session, user)) = link.session.clone() else {
            if stream != DATAGRAM && link.before_login.len() < BEFORE_LOGIN_MAX {
                link.before_login.push((stream, frame.clone()));
            }
            return;
        };
        let early_read = stream != 0 || matches!(parsed, ClientFrame::Attention(_));
        if link.early && !early_read {
            return self.refuse(key, stream, request, Code::NotInEarlyData, false);
        }
        let moment = self.moment();
        self.record.on_command(&user, &parsed, moment);
        let Some(node) = self.server.node.as_mut() else {
            return;
        };
        let origin = Origin {
            stream: if stream == DATAGRAM { 0 } else { stream },
            request,
        };
        match parsed {
            ClientFrame::SetToken(set) => match check_token(&set.token, now.wall_ms) {
                Ok((other, _)) if other != user => {
                    self.refuse(key, stream, request, Code::TokenOtherUser, false);
                }
                Ok((_, until)) => {
                    self.report.count("token renewed");
                    node.handle_token(session, until, Vec::new(), origin, now);
                }
                Err(code) => self.refuse(key, stream, request, code, false),
            },
            other => node.handle_request(session, origin, other, now),
        }
    }

    fn refuse(&mut self, key: LinkKey, stream: StreamKey, request: u32, code: Code, ends: bool) {
        self.send(
            key,
            stream,
            ServerFrame::Refused(Refused::new(code)).encode(request),
        );
        if ends {
            self.close_by_server(key, code);
        }
    }

    fn close_by_server(&mut self, key: LinkKey, code: Code) {
        let now = self.server_now();
        let Some(link) = self.links.get_mut(&key) else {
            return;
        };
        link.server_open = false;
        let session = link.session.take();
        // After everything that was sent before.
        let at = link.arrival(self.now, 0, false, &mut self.rng);
        self.schedule_at(at, What::ClientLost(key, Some(code.number())));
        if let (Some((session, _)), Some(node)) = (session, self.server.node.as_mut()) {
            self.server.sessions.remove(&session);
            node.handle_disconnected(session, now);
        }
    }

    /// Sends a frame to a client, in its stream's order.
    fn send(&mut self, key: LinkKey, stream: StreamKey, frame: Bytes) {
        let Some(link) = self.links.get_mut(&key) else {
            return;
        };
        if stream == DATAGRAM {
            if self.rng.chance(50) {
                self.report.count("fault: datagram lost");
                return;
            }
            if self.rng.chance(200) {
                self.report.count("fault: datagram doubled");
                let at = link.arrival(self.now, stream, false, &mut self.rng);
                self.schedule_at(at, What::ToClient(key, stream, frame.clone()));
            }
        }
        let Some(link) = self.links.get_mut(&key) else {
            return;
        };
        let at = link.arrival(self.now, stream, false, &mut self.rng);
        self.schedule_at(at, What::ToClient(key, stream, frame));
    }

    /// Takes everything the node gives.
    pub(crate) fn pump_server(&mut self) {
        let now = self.server_now();
        loop {
            let Some(node) = self.server.node.as_mut() else {
                return;
            };
            if let Some(published) = node.poll_publish() {
                node.handle_published(published, now);
                continue;
            }
            if let Some((ticket, op)) = node.poll_store() {
                self.submit(ticket, op);
                continue;
            }
            if let Some(transmit) = node.poll_transmit() {
                self.transmit(transmit);
                continue;
            }
            if let Some((session, code)) = node.poll_disconnect() {
                if let Some(key) = self.server.sessions.get(&session).copied() {
                    self.close_by_server(key, code);
                }
                continue;
            }
            if let Some(request) = node.poll_preview() {
                self.fetch(request);
                continue;
            }
            break;
        }
        let Some(node) = self.server.node.as_ref() else {
            return;
        };
        let drained = self.server.draining && node.is_drained();
        if let Some(at) = node.poll_timeout()
            && self.server.timer_at.is_none_or(|set| at < set)
        {
            let at = at.max(self.now);
            self.server.timer_at = Some(at);
            self.schedule_at(at, What::NodeTimer(self.server.life));
        }
        if drained {
            self.server.draining = false;
            self.report.count("fault: server drained");
            self.kill_server(false);
        }
    }

    /// A page of the world outside: read soon, late, twice, or never.
    fn fetch(&mut self, request: PreviewRequest) {
        if self.rng.chance(150) {
            self.report.count("fault: page not read");
            return;
        }
        let life = self.server.life;
        if self.rng.chance(100) {
            let at = self.rng.between(5, 3_000);
            self.schedule(at, What::PageRead(life, request.clone()));
        }
        let at = self.rng.between(5, 3_000);
        self.schedule(at, What::PageRead(life, request));
    }

    pub(crate) fn page_read(&mut self, life: u32, request: &PreviewRequest) {
        let now = self.server_now();
        if life != self.server.life {
            return;
        }
        let Some(node) = self.server.node.as_mut() else {
            return;
        };
        let page = PageSummary {
            title: title(&request.url),
            ..PageSummary::default()
        };
        self.report.count("pages read");
        node.handle_preview(request.clone(), &page, now);
        self.pump_server();
    }

    fn submit(&mut self, ticket: u64, op: Op) {
        let life = self.server.life;
        if op.is_write() {
            if self.server.disk.submit(ticket, op) {
                self.schedule_sync();
            }
        } else {
            let at = self.rng.between(1, 8);
            self.schedule(at, What::Read(life, ticket, op));
        }
    }

    fn schedule_sync(&mut self) {
        let stall = self.server.disk.stalled_until_ms.saturating_sub(self.now);
        let at = self.rng.between(2, 25) + stall;
        self.schedule(at, What::Synced(self.server.life));
    }

    pub(crate) fn synced(&mut self, life: u32) {
        if life != self.server.life || self.server.node.is_none() {
            return;
        }
        let results = self.server.disk.sync(self.now);
        let at = self.rng.below(3);
        self.schedule(at, What::Stored(life, results));
        if self.server.disk.begin() {
            self.schedule_sync();
        }
    }

    pub(crate) fn read(&mut self, life: u32, ticket: u64, op: Op) {
        if life != self.server.life || self.server.node.is_none() {
            return;
        }
        let result = self.server.disk.database.carry_out(op);
        self.stored(life, vec![(ticket, result)]);
    }

    pub(crate) fn stored(&mut self, life: u32, results: Results) {
        if life != self.server.life {
            return;
        }
        let now = self.server_now();
        for (ticket, result) in results {
            if let Some(node) = self.server.node.as_mut() {
                node.handle_stored(ticket, result, now);
            }
            self.pump_server();
        }
    }

    pub(crate) fn node_timer(&mut self, life: u32) {
        let now = self.server_now();
        if life != self.server.life || self.server.timer_at.is_none_or(|at| at > self.now) {
            return;
        }
        self.server.timer_at = None;
        if let Some(node) = self.server.node.as_mut() {
            node.handle_timeout(now);
        }
        self.pump_server();
    }

    fn transmit(&mut self, transmit: Transmit) {
        let Some(key) = self.server.sessions.get(&transmit.session).copied() else {
            return;
        };
        let Some(link) = self.links.get_mut(&key) else {
            return;
        };
        let stream = match transmit.lane {
            Lane::Datagram => DATAGRAM,
            // The sync stream is one of its own; keys over 1 << 32 are the server's.
            Lane::Page if transmit.stream == 0 => 1 << 32,
            Lane::Page => transmit.stream,
            Lane::Crowd => 1 << 33,
            _ => 0,
        };
        if self.now < link.slow_until_ms || !link.waiting.is_empty() {
            if stream == DATAGRAM {
                // Nobody keeps a datagram for a reader that stands still.
                link.outbound.sent(1, transmit.frame.len());
                return self.report.count("fault: datagram lost");
            }
            link.waiting.push_back((stream, transmit.frame));
            return;
        }
        let length = transmit.frame.len();
        let room = link.outbound.sent(1, length);
        self.send(key, stream, transmit.frame);
        if room {
            self.room_again(key);
        }
    }

    fn room_again(&mut self, key: LinkKey) {
        let now = self.server_now();
        let session = self
            .links
            .get(&key)
            .and_then(|link| link.session.as_ref())
            .map(|(session, _)| *session);
        if let (Some(session), Some(node)) = (session, self.server.node.as_mut()) {
            node.handle_drained(session, now);
        }
    }

    /// A slow reader takes what waited for it.
    pub(crate) fn reader_reads(&mut self, key: LinkKey) {
        let Some(link) = self.links.get_mut(&key) else {
            return;
        };
        if self.now < link.slow_until_ms {
            let again = link.slow_until_ms;
            return self.schedule_at(again, What::Drained(key));
        }
        let waiting = std::mem::take(&mut link.waiting);
        let outbound = link.outbound.clone();
        let ballast = std::mem::take(&mut link.ballast);
        let mut room = ballast > 0 && outbound.sent(1, ballast);
        for (stream, frame) in waiting {
            room |= outbound.sent(1, frame.len());
            self.send(key, stream, frame);
        }
        if room {
            self.room_again(key);
        }
        self.pump_server();
    }

    /// The server notices that a link is gone.
    pub(crate) fn server_lost(&mut self, key: LinkKey) {
        let now = self.server_now();
        if let Some(link) = self.links.get_mut(&key) {
            link.server_open = false;
            if let (Some((session, _)), Some(node)) =
                (link.session.take(), self.server.node.as_mut())
            {
                self.server.sessions.remove(&session);
                node.handle_disconnected(session, now);
            }
            if !link.client_open {
                self.links.remove(&key);
            }
        }
        self.pump_server();
    }

    /// The wall clock of the world, without anybody's offset.
    #[must_use]
    pub const fn wall(&self) -> u64 {
        EPOCH_MS + self.now
    }
}
