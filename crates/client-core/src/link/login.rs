//! Logging in: hello or resume, the welcome, refusals, tokens.

use fireside_protocol::{
    ClientFrame, Code, Now, RawFrame, VERSION,
    frames::{Hello, Refused, Resume, SetToken, Welcome},
    limits::{HEADS_OVERLAP_MS, TOKEN_EXPIRING_MS},
};

use super::{AHEAD_FRAMES_MAX, Request, Stage, difference, is_about_login, is_final};
use crate::{
    Action, ConnectionState, Event, RequestId, Session, event::Completion, pending::refusal,
    session::LinkId, timers::Timer, token,
};

impl Session {
    pub(super) fn log_in(&mut self, id: LinkId) {
        let early = self.link_mut(id).is_some_and(|link| link.early);
        let profile = &self.cache.profile;
        let user_cursor = profile.user_cursor;
        let heads_since = profile.heads_since.saturating_sub(HEADS_OVERLAP_MS);
        let device = profile.device;
        let open = self.open.clone();
        let frame = match (&self.links.secret, &self.links.token) {
            (Some(secret), _) => ClientFrame::Resume(Resume {
                version_min: VERSION,
                version_max: VERSION,
                secret: secret.clone(),
                device,
                user_cursor,
                heads_since,
                open,
                no_sync: false,
            }),
            (None, Some(token)) if !early => ClientFrame::Hello(Hello {
                version_min: VERSION,
                version_max: VERSION,
                token: token.clone(),
                device,
                agent: self.config.agent.clone(),
                platform: self.config.platform.clone(),
                user_cursor,
                heads_since,
                open,
                no_sync: false,
            }),
            // A token is no early data: after the handshake.
            (None, _) => return,
        };
        let resumed = matches!(frame, ClientFrame::Resume(_));
        if !resumed {
            self.links.token_tried.clone_from(&self.links.token);
        }
        if let Some(link) = self.link_mut(id) {
            link.stage = Stage::LoggingIn { resumed };
        }
        let request = self.next_request();
        self.requests.insert(request, Request::Login);
        self.send_on(id, &frame, request);
    }

    pub(crate) fn on_welcome(&mut self, id: LinkId, welcome: Welcome, now: Now) {
        let Some(link) = self.link_mut(id) else {
            return;
        };
        if !matches!(link.stage, Stage::LoggingIn { .. }) {
            return;
        }
        link.stage = Stage::Ready;
        link.ready_at = now.monotonic_ms;
        self.timers.clear(&Timer::Login(id));
        if self.me.as_ref().is_some_and(|me| *me != welcome.user) {
            self.close_all(now);
            self.refuse(
                Code::TokenOtherUser,
                Code::TokenOtherUser.text().to_owned(),
                0,
            );
            return;
        }
        if !self.is_main(id)
            && let Some(winner) = self.links.rival.take()
        {
            if let Some(loser) = self.links.main.take() {
                self.end_link(&loser);
                self.link_lost(now);
            }
            self.links.main = Some(winner);
        } else if let Some(loser) = self.links.rival.take() {
            self.end_link(&loser);
        }
        if std::mem::replace(&mut self.links.ever, true) {
            self.counters.reconnects += 1;
        }
        self.timers.clear(&Timer::Reconnect);
        self.links.offset_ms = difference(welcome.now, now.wall_ms);
        self.links.secret = Some(welcome.resume_secret.clone()).filter(|s| !s.is_empty());
        if welcome.token_expires != 0 && welcome.token_expires != self.links.token_expires {
            self.links.token_expires = welcome.token_expires;
            self.links.token_said = false;
        }
        self.arm_token(now);
        if self.me.is_none() {
            self.me = Some(welcome.user.clone());
        }
        if self.cache.profile.user.as_ref() != Some(&welcome.user) {
            self.cache.profile.user = Some(welcome.user);
            self.cache.profile_dirty = true;
        }
        self.start_sync(welcome.heads_stamp);
        self.say(ConnectionState::Connected);
        self.go(now);
    }

    /// Logged in (and confirmed): what waits goes out.
    pub(super) fn go(&mut self, now: Now) {
        if self.is_ready() {
            self.send_calls();
            self.outbox_connected(now);
            self.receipts_connected();
            self.presence_connected();
        }
    }

    pub(crate) fn on_login_timeout(&mut self, id: LinkId, now: Now) {
        if self
            .link_mut(id)
            .is_some_and(|link| link.stage != Stage::Ready)
        {
            self.break_link(id, now);
        }
    }

    pub(crate) fn on_login_refused(&mut self, id: LinkId, refused: &Refused, now: Now) {
        let Some(link) = self.link_mut(id) else {
            return;
        };
        let Stage::LoggingIn { resumed } = link.stage else {
            return;
        };
        let code = refused.code();
        let final_for_device = matches!(
            code,
            Code::Banned | Code::DeviceReplaced | Code::SessionRevoked | Code::VersionUnsupported
        );
        if resumed && !final_for_device && is_about_login(code) {
            // The secret is of no use; the token may be.
            self.links.secret = None;
            if self.links.token.is_some() {
                self.log_in(id);
                return;
            }
        }
        self.actions.push_back(Action::Close { link: id });
        // A newer token came while the old one was on its way.
        let outdated = is_about_login(code)
            && !final_for_device
            && self.links.token.is_some()
            && self.links.token != self.links.token_tried;
        if is_final(code) && !outdated {
            self.links.secret = None;
            self.link_gone(id, now);
            self.close_all(now);
            self.refuse(code, refused.text.clone(), refused.until);
        } else {
            self.link_down(id, refused.retry_after_ms, now);
        }
    }

    /// Keeps a frame of the first sync until the welcome is in.
    pub(crate) fn keep_ahead(&mut self, id: LinkId, frame: &RawFrame) {
        if let Some(link) = self.link_mut(id)
            && matches!(link.stage, Stage::LoggingIn { .. })
            && link.ahead.len() < AHEAD_FRAMES_MAX
        {
            link.ahead.push(frame.clone());
        }
    }

    /// What was kept, in its order.
    pub(crate) fn take_ahead(&mut self, id: LinkId) -> Vec<RawFrame> {
        self.link_mut(id)
            .map_or_else(Vec::new, |link| std::mem::take(&mut link.ahead))
    }

    pub(crate) fn set_token(&mut self, request: RequestId, token: String, now: Now) {
        self.links.token_expires = token::expires_ms(&token).unwrap_or(0);
        self.links.token_said = false;
        let first = self.links.token.is_none();
        self.links.token_before = self.links.token.replace(token.clone());
        self.arm_token(now);
        self.begin_timed(request, now);
        if self.is_ready() {
            let frame = ClientFrame::SetToken(SetToken { token });
            self.request(&frame, Request::SetToken(request));
            return;
        }
        self.finish(request, Ok(Completion::Done));
        if self.links.wanted && (self.links.refused || first) {
            self.links.refused = false;
            // An old secret would bring the old refusal.
            self.links.secret = None;
            self.connect(now);
        }
    }

    /// The server did not take it: the old one stays.
    pub(crate) fn on_token_refused(&mut self, request: RequestId, refused: &Refused) {
        if !refused.code().retryable() && self.links.token_before.is_some() {
            self.links.token = self.links.token_before.take();
        }
        self.finish(request, Err(refusal(refused)));
    }

    pub(crate) fn on_token_set(&mut self, request: RequestId) {
        self.counters.tokens_renewed += 1;
        self.finish(request, Ok(Completion::Done));
    }

    pub(super) fn arm_token(&mut self, now: Now) {
        let expires = self.links.token_expires;
        if expires == 0 || self.links.token_said {
            self.timers.clear(&Timer::Token);
            return;
        }
        let left = expires.saturating_sub(self.links.server_ms(now));
        let wait = left.saturating_sub(TOKEN_EXPIRING_MS);
        self.timers
            .set(Timer::Token, now.monotonic_ms.saturating_add(wait));
    }

    pub(crate) fn on_token_due(&mut self, now: Now) {
        let left = (self.links.token_expires).saturating_sub(self.links.server_ms(now));
        if left > TOKEN_EXPIRING_MS {
            self.arm_token(now);
            return;
        }
        self.links.token_said = true;
        self.complete_event(Event::TokenExpiring { in_ms: left });
    }
}
