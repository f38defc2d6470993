//! Hello, resume, set-token: who is it, and may they in.

use std::{sync::Arc, time::Duration};

use fireside_protocol::{
    Code, DeviceId, VERSION,
    frames::{Hello, Resume},
};
use fireside_server_core::{Login, Origin};
use tokio::sync::SemaphorePermit;

use crate::{
    health::count,
    inbox::Input,
    resume::Resumed,
    session::{CLOSING, CONFIRMED, Session, WELCOMED},
    shared::Shared,
    token::Identity,
};

/// Bytes kept of the agent and platform that a client names.
const AGENT_BYTES_MAX: usize = 64;
/// A log-in waits this long for its turn in a storm; then it is refused as overloaded.
const LOG_IN_WAIT: Duration = Duration::from_secs(4);
/// A refused log-in of a storm is asked to wait this long, in ms, plus as much again at random.
const LOG_IN_RETRY_MS: u64 = 2_000;
/// Log-ins tried on one connection.
const LOG_IN_TRIES_MAX: u32 = 4;

/// The log-in state of one connection. Tells the node of the connection's end when dropped.
pub(crate) struct LogIn {
    shared: Arc<Shared>,
    session: Arc<Session>,
    who: Option<Who>,
    tries: u32,
}

struct Who {
    identity: Arc<Identity>,
    device: DeviceId,
}

/// What hello and resume have in common.
struct Greeting {
    version: u16,
    device: DeviceId,
    user_cursor: u64,
    heads_since: u64,
    open: Vec<fireside_protocol::ConversationId>,
    no_sync: bool,
    early: bool,
}

impl LogIn {
    pub(crate) const fn new(shared: Arc<Shared>, session: Arc<Session>) -> Self {
        Self {
            shared,
            session,
            who: None,
            tries: 0,
        }
    }

    /// Logs in with a token.
    pub(crate) async fn hello(&mut self, request: u32, hello: Hello) {
        // A token is not for early data: a replay would log in once more.
        self.session.wait_for(CONFIRMED | CLOSING).await;
        if self.session.has(CLOSING) {
            return;
        }
        let Some(version) = self.negotiate(request, hello.version_min, hello.version_max) else {
            return;
        };
        let shared = self.shared.clone();
        let Some(_permit) = self.turn(&shared, request).await else {
            return;
        };
        let now = shared.clock.now().wall_ms;
        let identity = match shared.tokens.load().verify(&hello.token, now) {
            Ok(identity) => identity,
            Err(error) => {
                tracing::debug!(session = self.session.key, %error, "token refused");
                self.fail(request, error.code(), 0);
                return;
            }
        };
        let platform = if identity.platform.is_empty() {
            &hello.platform
        } else {
            &identity.platform
        };
        let resumed = Resumed {
            platform: clip(platform).into(),
            agent: clip(&hello.agent).into(),
            identity: Arc::new(identity),
        };
        let greeting = Greeting {
            version,
            device: hello.device,
            user_cursor: hello.user_cursor,
            heads_since: hello.heads_since,
            open: hello.open,
            no_sync: hello.no_sync,
            early: false,
        };
        self.enter(request, resumed, greeting).await;
    }

    /// Logs in with the secret of an earlier welcome.
    pub(crate) async fn resume(&mut self, request: u32, resume: Resume) {
        let Some(version) = self.negotiate(request, resume.version_min, resume.version_max) else {
            return;
        };
        let shared = self.shared.clone();
        let Some(_permit) = self.turn(&shared, request).await else {
            return;
        };
        let now = shared.clock.now().wall_ms;
        let Some(resumed) = shared.resume.find(&resume.secret, resume.device, now) else {
            self.tries += 1;
            if self.tries >= LOG_IN_TRIES_MAX {
                self.fail(request, Code::ResumeUnknown, 0);
            } else {
                // The connection stays: hello may follow.
                self.session.refuse(request, Code::ResumeUnknown, 0);
            }
            return;
        };
        count(&shared.counts.resumed);
        let greeting = Greeting {
            version,
            device: resume.device,
            user_cursor: resume.user_cursor,
            heads_since: resume.heads_since,
            open: resume.open,
            no_sync: resume.no_sync,
            early: true,
        };
        self.enter(request, resumed, greeting).await;
    }

    /// Takes a new token of the same user.
    pub(crate) async fn set_token(&mut self, request: u32, token: String) {
        self.session.wait_for(CONFIRMED | CLOSING).await;
        let Some(who) = &mut self.who else { return };
        let now = self.shared.clock.now().wall_ms;
        let identity = match self.shared.tokens.load().verify(&token, now) {
            Ok(identity) => Arc::new(identity),
            Err(error) => {
                tracing::debug!(session = self.session.key, %error, "token refused");
                self.session.refuse(request, error.code(), 0);
                return;
            }
        };
        if identity.user != who.identity.user {
            self.session.refuse(request, Code::TokenOtherUser, 0);
            return;
        }
        who.identity = identity.clone();
        self.shared.resume.update(who.device, &identity);
        self.shared.inbox.reserve().await;
        if request != 0 {
            self.session.request_sent();
        }
        self.shared.inbox.push(Input::Token {
            session: self.session.key,
            expires: identity.expires,
            roles: identity.roles.clone(),
            origin: Origin { stream: 0, request },
        });
    }

    /// The highest version that both speak.
    fn negotiate(&self, request: u32, lowest: u16, highest: u16) -> Option<u16> {
        let version = highest.min(VERSION);
        if version >= lowest.max(1) {
            return Some(version);
        }
        self.fail(request, Code::VersionUnsupported, 0);
        None
    }

    /// Waits for its turn among the log-ins.
    async fn turn<'a>(&self, shared: &'a Shared, request: u32) -> Option<SemaphorePermit<'a>> {
        let turn = tokio::time::timeout(LOG_IN_WAIT, shared.log_ins.acquire()).await;
        if let Ok(Ok(permit)) = turn {
            return Some(permit);
        }
        let mut random = [0; 2];
        let _ = crate::keys::fill_random(&mut random);
        let spread = LOG_IN_RETRY_MS * u64::from(u16::from_be_bytes(random)) / u64::from(u16::MAX);
        self.fail(request, Code::Overloaded, LOG_IN_RETRY_MS + spread);
        None
    }

    fn fail(&self, request: u32, code: Code, retry_after_ms: u64) {
        count(&self.shared.counts.log_ins_refused);
        self.session.refuse(request, code, retry_after_ms);
        self.session.close(code);
    }

    /// Hands a checked log-in to the node and waits for its welcome.
    async fn enter(&mut self, request: u32, resumed: Resumed, greeting: Greeting) {
        let device = greeting.device;
        let Ok(secret) = self.shared.resume.issue(device, resumed.clone()) else {
            self.fail(request, Code::Overloaded, LOG_IN_RETRY_MS);
            return;
        };
        let identity = &resumed.identity;
        let login = Login {
            user: identity.user.clone(),
            device,
            name: identity.name.clone(),
            roles: identity.roles.clone(),
            platform: resumed.platform.as_ref().to_owned(),
            agent: resumed.agent.as_ref().to_owned(),
            issued_at: identity.issued_at,
            token_expires: identity.expires,
            request,
            version: greeting.version,
            resume_secret: secret,
            user_cursor: greeting.user_cursor,
            heads_since: greeting.heads_since,
            open: greeting.open,
            no_sync: greeting.no_sync,
            early: false,
        };
        self.shared.inbox.reserve().await;
        self.who = Some(Who {
            identity: resumed.identity,
            device,
        });
        count(&self.shared.counts.log_ins);
        let early = self.session.connect(login, greeting.early);
        if early {
            count(&self.shared.counts.early);
        }
        self.session.wait_for(WELCOMED | CLOSING).await;
    }
}

impl Drop for LogIn {
    fn drop(&mut self) {
        if self.who.is_some() {
            let gone = Input::Disconnected(self.session.key);
            self.shared.inbox.push(gone);
        }
    }
}

/// At most [`AGENT_BYTES_MAX`] bytes, without control characters.
fn clip(text: &str) -> String {
    let mut clipped = String::new();
    for c in text.chars().filter(|c| !c.is_control()) {
        if clipped.len() + c.len_utf8() > AGENT_BYTES_MAX {
            break;
        }
        clipped.push(c);
    }
    clipped
}
