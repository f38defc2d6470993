//! Links to servers: opened, lost, opened again with a growing pause; a second one is raced against a silent first.

mod heartbeat;
mod login;

use bytes::Bytes;
use fireside_protocol::{
    ClientFrame, Code, ConversationId, Lane, Nonce, Now, RawFrame, WallMs,
    frames::{Draining, Kicked},
    limits::PAGE_REQUEST_BYTES_MAX,
};

use crate::{
    Action, ConnectionState, Event, LinkEvent, RequestId, Session, Transmit, session::LinkId,
    timers::Timer,
};

/// A link that is not logged in after this is given up, in ms.
const LOGIN_TIMEOUT_MS: u64 = 10_000;
/// A link that lasted this long ends a series of failures, in ms.
const STABLE_MS: u64 = 5_000;
/// The wall clock may jump this far against the monotonic one before the link is probed, in ms.
pub(crate) const CLOCK_JUMP_MS: u64 = 5_000;
/// Between two tries when somebody is at it, in ms.
const HURRIED_TRY_MS: u64 = 2_000;
/// A server's wish for patience is followed up to this, in ms.
const RETRY_AFTER_MS_MAX: u64 = 60_000;

/// Frames of the first sync kept while the welcome is not in: a page of the user log and one of heads, with room to grow.
const AHEAD_FRAMES_MAX: usize = 4;

/// What a request was for.
#[derive(Clone, Debug)]
pub(crate) enum Request {
    /// Hello or resume.
    Login,
    /// A command of the outbox.
    Outbox(Nonce),
    /// A call.
    Call(RequestId),
    /// A new token, given by this call, if a call gave it.
    SetToken(RequestId),
    /// A page.
    Page(ConversationId),
    /// More heads of the first sync.
    HeadsMore,
    /// Heads of these.
    HeadsOf(Vec<ConversationId>),
    /// More of the user log.
    UserLog,
    /// A delivered mark.
    Delivered(ConversationId),
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Stage {
    /// The driver opens it.
    Opening,
    /// Hello or resume is on its way.
    LoggingIn { resumed: bool },
    /// Logged in.
    Ready,
}

/// One connection.
#[derive(Debug)]
struct Link {
    id: LinkId,
    stage: Stage,
    /// Only resume and reads may be sent.
    early: bool,
    heard_at: u64,
    ready_at: u64,
    /// An unanswered ping: since when.
    pinged_at: Option<u64>,
    draining: bool,
    /// The first sync comes on a stream of its own and may overtake the welcome.
    ahead: Vec<RawFrame>,
}

/// All about being connected.
#[derive(Debug)]
pub(crate) struct Links {
    wanted: bool,
    main: Option<Link>,
    /// A second one, raced against a main one that is silent or draining.
    rival: Option<Link>,
    next_id: LinkId,
    attempt: u32,
    /// When the last link was begun, in monotonic ms.
    tried_at: u64,
    /// The server asked not to be tried before, in monotonic ms.
    not_before: u64,
    ever: bool,
    token: Option<String>,
    /// The token of the last hello.
    token_tried: Option<String>,
    /// The token before the one that is being set.
    token_before: Option<String>,
    secret: Option<Bytes>,
    refused: bool,
    said: ConnectionState,
    ping_counter: u64,
    ping_sent: Option<(u64, Now)>,
    /// Server clock minus ours, in ms.
    offset_ms: i64,
    token_expires: WallMs,
    token_said: bool,
    next_request: u32,
}

impl Links {
    pub(crate) fn new() -> Self {
        Self {
            wanted: false,
            main: None,
            rival: None,
            next_id: 1,
            attempt: 0,
            tried_at: 0,
            not_before: 0,
            ever: false,
            token: None,
            token_tried: None,
            token_before: None,
            secret: None,
            refused: false,
            said: ConnectionState::Offline,
            ping_counter: 0,
            ping_sent: None,
            offset_ms: 0,
            token_expires: 0,
            token_said: false,
            next_request: 0,
        }
    }

    /// The server's clock, as far as known.
    pub(crate) fn server_ms(&self, now: Now) -> WallMs {
        now.wall_ms.saturating_add_signed(self.offset_ms)
    }
}

impl Session {
    /// Logged in, and commands may be sent.
    pub(crate) fn is_ready(&self) -> bool {
        (self.links.main.as_ref())
            .is_some_and(|link| link.stage == Stage::Ready && !link.early && !link.draining)
    }

    /// Logged in, and reads may be sent.
    pub(crate) fn can_read(&self) -> bool {
        (self.links.main.as_ref()).is_some_and(|link| link.stage == Stage::Ready)
    }

    fn next_request(&mut self) -> u32 {
        self.links.next_request = self.links.next_request.checked_add(1).unwrap_or(1);
        self.links.next_request
    }

    /// Sends a request on the main link. Its answer comes back with `what`.
    pub(crate) fn request(&mut self, frame: &ClientFrame, what: Request) -> u32 {
        let request = self.next_request();
        self.requests.insert(request, what);
        self.send(frame, request);
        request
    }

    /// Sends a frame on the main link.
    pub(crate) fn send(&mut self, frame: &ClientFrame, request: u32) {
        if let Some(link) = &self.links.main {
            let transmit = Transmit {
                link: link.id,
                lane: frame.lane(),
                request,
                frame: frame.encode(request),
            };
            debug_assert!(
                transmit.lane != Lane::Page || transmit.frame.len() <= PAGE_REQUEST_BYTES_MAX,
                "a page request of {} bytes, for which a server ends the connection",
                transmit.frame.len()
            );
            self.transmits.push_back(transmit);
        }
    }

    fn send_on(&mut self, link: LinkId, frame: &ClientFrame, request: u32) {
        self.transmits.push_back(Transmit {
            link,
            lane: Lane::Control,
            request,
            frame: frame.encode(request),
        });
    }

    fn say(&mut self, state: ConnectionState) {
        if self.links.said != state {
            self.links.said = state.clone();
            self.complete_event(Event::State(state));
        }
    }

    // Wishes of the game.

    pub(crate) fn connect(&mut self, now: Now) {
        self.links.wanted = true;
        self.links.refused = false;
        if self.links.main.is_none() && self.links.rival.is_none() {
            self.links.attempt = 0;
            self.open_link(now);
        }
    }

    /// Somebody is at it: the next try does not wait for the end of a long pause, only for what the server asked.
    pub(crate) fn hurry(&mut self, now: Now) {
        let links = &self.links;
        if links.main.is_some() || links.rival.is_some() || !self.timers.is_set(&Timer::Reconnect) {
            return;
        }
        let soonest = (links.tried_at.saturating_add(HURRIED_TRY_MS))
            .max(links.not_before)
            .max(now.monotonic_ms);
        if self.timers.set_sooner(Timer::Reconnect, soonest) {
            self.say(ConnectionState::Reconnecting {
                attempt: self.links.attempt,
                next_in_ms: soonest.saturating_sub(now.monotonic_ms),
            });
        }
    }

    pub(crate) fn disconnect(&mut self, now: Now) {
        self.links.wanted = false;
        self.links.refused = false;
        self.timers.clear(&Timer::Reconnect);
        self.close_all(now);
        self.say(ConnectionState::Offline);
    }

    fn close_all(&mut self, now: Now) {
        if let Some(link) = self.links.rival.take() {
            self.end_link(&link);
        }
        if let Some(link) = self.links.main.take() {
            self.end_link(&link);
            self.link_lost(now);
        }
    }

    fn end_link(&mut self, link: &Link) {
        self.timers.clear(&Timer::Login(link.id));
        self.actions.push_back(Action::Close { link: link.id });
    }

    // Links.

    fn new_link(&mut self, now: Now) -> Link {
        let id = self.links.next_id;
        self.links.next_id += 1;
        self.links.tried_at = now.monotonic_ms;
        self.timers.set(
            Timer::Login(id),
            now.monotonic_ms.saturating_add(LOGIN_TIMEOUT_MS),
        );
        self.actions.push_back(Action::Connect {
            link: id,
            early: self.links.secret.is_some(),
        });
        Link {
            id,
            stage: Stage::Opening,
            early: false,
            heard_at: now.monotonic_ms,
            ready_at: 0,
            pinged_at: None,
            draining: false,
            ahead: Vec::new(),
        }
    }

    pub(crate) fn open_link(&mut self, now: Now) {
        if self.links.main.is_some() {
            // Draining, or silent: the second link is raced.
            if self.links.rival.is_none() {
                let link = self.new_link(now);
                self.links.rival = Some(link);
            }
            return;
        }
        if self.links.token.is_none() && self.links.secret.is_none() {
            self.refuse(Code::TokenInvalid, "no token was given".to_owned(), 0);
            return;
        }
        self.timers.clear(&Timer::Reconnect);
        let link = self.new_link(now);
        self.links.main = Some(link);
        let state = if self.links.ever || self.links.attempt > 0 {
            ConnectionState::Reconnecting {
                attempt: self.links.attempt.max(1),
                next_in_ms: 0,
            }
        } else {
            ConnectionState::Connecting
        };
        self.say(state);
    }

    /// The server said no: nothing more is tried by itself.
    fn refuse(&mut self, code: Code, text: String, until: WallMs) {
        self.links.refused = true;
        self.timers.clear(&Timer::Reconnect);
        self.say(ConnectionState::Refused { code, text, until });
    }

    fn link_mut(&mut self, id: LinkId) -> Option<&mut Link> {
        [&mut self.links.main, &mut self.links.rival]
            .into_iter()
            .flatten()
            .find(|link| link.id == id)
    }

    /// The link that entries and answers come over.
    pub(crate) fn is_current(&self, id: LinkId) -> bool {
        self.is_main(id) && self.can_read()
    }

    fn is_main(&self, id: LinkId) -> bool {
        self.links.main.as_ref().is_some_and(|link| link.id == id)
    }

    pub(crate) fn on_link(&mut self, id: LinkId, event: LinkEvent, now: Now) {
        let Some(link) = self.link_mut(id) else {
            return;
        };
        match event {
            LinkEvent::Up { early } => {
                link.early = early;
                link.heard_at = now.monotonic_ms;
                if link.stage == Stage::Opening {
                    self.log_in(id);
                }
            }
            LinkEvent::Confirmed { early_accepted } => {
                link.heard_at = now.monotonic_ms;
                if !std::mem::replace(&mut link.early, false) {
                    return;
                }
                let stage = link.stage;
                match stage {
                    Stage::Opening => self.log_in(id),
                    Stage::LoggingIn { .. } if !early_accepted => self.log_in(id),
                    Stage::LoggingIn { .. } => {}
                    Stage::Ready if self.is_main(id) => self.go(now),
                    Stage::Ready => {}
                }
            }
            LinkEvent::Down { code, reason } => {
                let refusal = code.filter(|code| is_final(*code));
                match refusal {
                    // A newer link of this very device took its place.
                    Some(Code::DeviceReplaced) if self.links.rival.is_some() => {
                        self.link_down(id, 0, now);
                    }
                    Some(Code::DeviceReplaced) if self.is_young(id, now) => {
                        self.link_down(id, STABLE_MS, now);
                    }
                    Some(code) if self.is_main(id) => {
                        self.link_gone(id, now);
                        self.close_all(now);
                        self.refuse(code, reason, 0);
                    }
                    _ => self.link_down(id, 0, now),
                }
            }
            LinkEvent::RequestLost { request } => {
                if self.is_main(id) {
                    self.on_request_lost(request);
                }
            }
            LinkEvent::RouteChanged => {
                self.actions.push_back(Action::Rebind { link: id });
                if self.is_main(id) {
                    self.probe(now);
                }
            }
        }
    }

    /// The main link is gone: what was on its way is sent again on the next.
    fn link_lost(&mut self, now: Now) {
        self.requests
            .retain(|_, what| matches!(what, Request::Login));
        self.links.ping_sent = None;
        self.calls_lost();
        self.marks_lost();
        self.sync_lost();
        self.outbox_lost(now);
    }

    /// Takes a link out of the books. `true`: it was the main one.
    fn link_gone(&mut self, id: LinkId, now: Now) -> bool {
        self.timers.clear(&Timer::Login(id));
        self.transmits.retain(|transmit| transmit.link != id);
        if self.links.rival.as_ref().is_some_and(|link| link.id == id) {
            self.links.rival = None;
            return false;
        }
        let Some(link) = self.links.main.take() else {
            return false;
        };
        let lasted = now.monotonic_ms.saturating_sub(link.ready_at);
        if link.stage == Stage::Ready && lasted >= STABLE_MS {
            self.links.attempt = 0;
        }
        self.link_lost(now);
        true
    }

    /// Whether the main link did not last yet. What takes the device from it then may be a late log-in of this device's own past, of a
    /// process that was killed and started again at once: it is tried again. Two processes that run do not fight over it for long,
    /// because the next one to be replaced has lasted.
    fn is_young(&self, id: LinkId, now: Now) -> bool {
        let main = self.links.main.as_ref().filter(|link| link.id == id);
        main.is_some_and(|link| {
            let lasted = now.monotonic_ms.saturating_sub(link.ready_at);
            link.stage != Stage::Ready || lasted < STABLE_MS
        })
    }

    fn link_down(&mut self, id: LinkId, retry_after_ms: u64, now: Now) {
        if !self.link_gone(id, now) {
            // A raced link failed. If the main one is still silent it is given up too, else it goes on.
            let silent = (self.links.main.as_ref())
                .is_some_and(|link| link.pinged_at.is_some_and(|at| at >= link.heard_at));
            let draining = self.links.main.as_ref().is_some_and(|link| link.draining);
            if silent && let Some(link) = self.links.main.take() {
                self.end_link(&link);
                self.link_lost(now);
            } else if draining {
                self.back_off(retry_after_ms, now);
                return;
            } else {
                return;
            }
        }
        if let Some(rival) = self.links.rival.take() {
            // Already on its way.
            self.links.main = Some(rival);
            return;
        }
        if self.links.wanted && !self.links.refused {
            self.back_off(retry_after_ms, now);
        }
    }

    fn back_off(&mut self, retry_after_ms: u64, now: Now) {
        let max = (self.config.reconnect_delay_ms_max).max(self.config.reconnect_delay_ms_min);
        let doubled = (self.config.reconnect_delay_ms_min)
            .saturating_mul(1u64.checked_shl(self.links.attempt).unwrap_or(u64::MAX))
            .min(max);
        self.links.attempt = (self.links.attempt + 1).min(32);
        let asked = retry_after_ms.min(RETRY_AFTER_MS_MAX);
        self.links.not_before = now.monotonic_ms.saturating_add(asked);
        let delay = asked.saturating_add(self.random.up_to(doubled));
        self.timers
            .set(Timer::Reconnect, now.monotonic_ms.saturating_add(delay));
        if self.links.main.is_none() {
            self.say(ConnectionState::Reconnecting {
                attempt: self.links.attempt,
                next_in_ms: delay,
            });
        }
    }

    /// Its frames make no sense, or it does not log in.
    pub(crate) fn break_link(&mut self, id: LinkId, now: Now) {
        if self.link_mut(id).is_some() {
            self.actions.push_back(Action::Close { link: id });
            self.link_down(id, 0, now);
        }
    }

    pub(crate) fn on_kicked(&mut self, id: LinkId, kicked: Kicked, now: Now) {
        let code = Code::from_number(kicked.code);
        self.actions.push_back(Action::Close { link: id });
        let replaced_by_self = code == Code::DeviceReplaced && self.links.rival.is_some();
        if is_final(code) && self.is_main(id) && !replaced_by_self {
            self.links.secret = None;
            self.link_gone(id, now);
            self.close_all(now);
            self.refuse(code, kicked.text, kicked.until);
        } else {
            self.link_down(id, 0, now);
        }
    }

    pub(crate) fn on_draining(&mut self, id: LinkId, draining: Draining, now: Now) {
        if !self.is_main(id) {
            return;
        }
        if let Some(link) = &mut self.links.main {
            link.draining = true;
        }
        // Everybody is told at once: they must not all come at once.
        let spread = draining.retry_after_ms.min(RETRY_AFTER_MS_MAX);
        let delay = self.random.up_to(spread);
        self.timers
            .set(Timer::Reconnect, now.monotonic_ms.saturating_add(delay));
    }

    pub(crate) fn is_link(&self, id: LinkId) -> bool {
        [&self.links.main, &self.links.rival]
            .into_iter()
            .flatten()
            .any(|link| link.id == id)
    }
}

/// One clock minus another, within what an offset may be.
fn difference(one: WallMs, other: WallMs) -> i64 {
    let clamp = |ms: u64| i64::try_from(ms).unwrap_or(i64::MAX);
    if one >= other {
        clamp(one - other)
    } else {
        -clamp(other - one)
    }
}

/// Codes of the 2xx and the frame itself: about who logs in and how.
const fn is_about_login(code: Code) -> bool {
    matches!(code.number(), 200..=299)
}

/// Refusals that trying again does not change.
const fn is_final(code: Code) -> bool {
    (is_about_login(code) || matches!(code, Code::VersionUnsupported)) && !code.retryable()
}
