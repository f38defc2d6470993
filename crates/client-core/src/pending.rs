//! Calls: each gets exactly one completion.

use fireside_protocol::{
    ClientFrame, Code, ConversationId, Entry, Now, decode,
    frames::{Ack, BansPage, DevicesPage, HeadsPage, LinksPage, MembersPage, PinsPage, Refused},
    limits::{LINKS_MAX, PINS_MAX},
};

use crate::{
    Event, RequestId, Session,
    conversation::{Item, compact},
    event::{CallError, Completion},
    link::Request,
    rows::row_of,
    sorted::Map,
    timers::Timer,
};

/// Calls that wait for their completion; more are `busy`.
pub(crate) const CALLS_MAX: usize = 1_024;
/// A call that needs the server fails with `timed_out` after this, in ms.
const CALL_TIMEOUT_MS: u64 = 30_000;

/// A call that waits.
#[derive(Debug)]
pub(crate) struct Call {
    /// What to send (again after a reconnect: its nonce makes that safe). `None`: something else completes it.
    frame: Option<Box<ClientFrame>>,
    /// It is on its way on the present link.
    sent: bool,
}

impl Call {
    /// It has no name that would make a repeat safe, and is no read.
    fn is_once(&self) -> bool {
        matches!(self.frame.as_deref(), Some(ClientFrame::SendTransient(_)))
    }
}

/// All that wait.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    waiting: Map<RequestId, Call>,
}

impl Calls {
    pub(crate) fn is_full(&self) -> bool {
        self.waiting.len() >= CALLS_MAX
    }

    pub(crate) fn contains(&self, request: RequestId) -> bool {
        self.waiting.contains_key(&request)
    }

    /// Whether one of them waits for the server.
    pub(crate) fn any_sent(&self) -> bool {
        self.waiting.values().any(|call| call.sent)
    }
}

impl Session {
    /// A call that something else completes.
    pub(crate) fn begin(&mut self, request: RequestId) {
        let call = Call {
            frame: None,
            sent: false,
        };
        self.calls.waiting.insert(request, call);
    }

    /// A call that times out.
    pub(crate) fn begin_timed(&mut self, request: RequestId, now: Now) {
        self.begin(request);
        let at = now.monotonic_ms.saturating_add(CALL_TIMEOUT_MS);
        self.timers.set(Timer::Call(request), at);
    }

    /// A call that is one request to the server.
    pub(crate) fn ask(
        &mut self,
        request: RequestId,
        frame: ClientFrame,
        now: Now,
    ) -> Result<(), Code> {
        if !self.is_ready() {
            return Err(Code::Offline);
        }
        self.begin_timed(request, now);
        if let Some(call) = self.calls.waiting.get_mut(&request) {
            call.frame = Some(Box::new(frame));
        }
        self.send_calls();
        Ok(())
    }

    /// Sends what is not on its way.
    pub(crate) fn send_calls(&mut self) {
        if !self.is_ready() {
            return;
        }
        let mut due = Vec::new();
        for (request, call) in self.calls.waiting.iter_mut() {
            if !call.sent
                && let Some(frame) = call.frame.take()
            {
                call.sent = true;
                due.push((*request, frame));
            }
        }
        for (request, frame) in due {
            self.request(&frame, Request::Call(request));
            // It may have to be sent again.
            if let Some(call) = self.calls.waiting.get_mut(&request) {
                call.frame = Some(frame);
            }
        }
    }

    /// The link is gone: commands are sent again on the next, with their nonces.
    pub(crate) fn calls_lost(&mut self) {
        let mut once = Vec::new();
        for (request, call) in self.calls.waiting.iter_mut() {
            if call.sent && call.is_once() {
                once.push(*request);
            }
            call.sent = false;
        }
        for request in once {
            self.fail(request, Code::Offline);
        }
    }

    /// One call's request was lost by the transport.
    pub(crate) fn call_lost(&mut self, request: RequestId) {
        let Some(call) = self.calls.waiting.get_mut(&request) else {
            return;
        };
        call.sent = false;
        if call.is_once() {
            self.fail(request, Code::Offline);
        }
        self.send_calls();
    }

    pub(crate) fn finish(&mut self, request: RequestId, result: Result<Completion, CallError>) {
        if self.calls.waiting.remove(&request).is_some() {
            self.timers.clear(&Timer::Call(request));
            self.complete_event(Event::Completed { request, result });
        }
    }

    pub(crate) fn fail(&mut self, request: RequestId, code: Code) {
        self.finish(request, Err(call_error(code)));
    }

    pub(crate) fn on_call_timeout(&mut self, request: RequestId) {
        self.older_given_up(request);
        self.fail(request, Code::TimedOut);
    }

    pub(crate) fn on_call_ack(&mut self, request: RequestId, ack: &Ack) {
        let call = self.calls.waiting.get(&request);
        let frame = call.and_then(|call| call.frame.as_deref());
        let forwarded = matches!(frame, Some(ClientFrame::Forward(_)));
        let made = match frame {
            // The ack names the conversation that it belongs to.
            Some(ClientFrame::CreateGroup(frame)) if frame.parent.is_some() => {
                (self.me.as_ref()).map(|me| ConversationId::made(me, frame.nonce))
            }
            Some(ClientFrame::CreateGroup(_)) => ack.conversation,
            Some(ClientFrame::OpenThread(frame)) => {
                Some(ConversationId::thread(frame.conversation, frame.target))
            }
            _ => None,
        };
        let completion = match (made, ack.conversation) {
            (Some(conversation), _) => Completion::Created { conversation },
            (None, Some(conversation)) if forwarded => Completion::Sent {
                conversation,
                nonce: ack.nonce,
                sequence: ack.sequence,
                at: ack.at,
            },
            _ => (ack.link).map_or(Completion::Done, |code| Completion::Link { code }),
        };
        if let Some(conversation) = made.or(ack.conversation)
            && !self.conversations.contains_key(&conversation)
        {
            self.ask_head(conversation, 0);
        }
        self.finish(request, Ok(completion));
    }

    pub(crate) fn on_call_refused(&mut self, request: RequestId, refused: &Refused) {
        self.finish(request, Err(refusal(refused)));
    }

    pub(crate) fn on_members(&mut self, request: RequestId, page: MembersPage) {
        let completion = Completion::Members {
            members: page.members,
            more: page.more,
        };
        self.finish(request, Ok(completion));
    }

    pub(crate) fn on_bans(&mut self, request: RequestId, page: BansPage) {
        let completion = Completion::Bans {
            bans: page.bans,
            more: page.more,
        };
        self.finish(request, Ok(completion));
    }

    pub(crate) fn on_links(&mut self, request: RequestId, mut page: LinksPage) {
        page.links.truncate(2 * LINKS_MAX);
        self.finish(request, Ok(Completion::Links(page.links)));
    }

    pub(crate) fn on_pins(&mut self, request: RequestId, page: &PinsPage) {
        let me = self.me.as_ref();
        let entries = page
            .items
            .iter()
            .filter_map(|raw| decode::<Entry>(&raw.0).ok());
        let rows = entries.map(|entry| row_of(&Item::new(0, compact(&entry)), me, 0, 0));
        let completion = Completion::Pins {
            rows: rows.take(2 * PINS_MAX).collect(),
            more: page.more,
        };
        self.finish(request, Ok(completion));
    }

    pub(crate) fn on_devices(&mut self, request: RequestId, page: DevicesPage) {
        self.finish(request, Ok(Completion::Devices(page.devices)));
    }

    /// The head of one conversation, with what it is set to.
    pub(crate) fn on_settings_page(&mut self, request: RequestId, page: HeadsPage) {
        let Some(head) = page.heads.into_iter().next() else {
            self.fail(request, Code::NotFound);
            return;
        };
        let mut settings = head.settings.clone().unwrap_or_default();
        settings.name = Some(head.name.clone());
        self.on_head(head, false);
        self.finish(request, Ok(Completion::Settings(settings)));
    }

    /// The end: each gets its completion.
    pub(crate) fn cancel_calls(&mut self) {
        let requests: Vec<RequestId> = self.calls.waiting.keys().copied().collect();
        for request in requests {
            self.fail(request, Code::Cancelled);
        }
    }
}

pub(crate) fn call_error(code: Code) -> CallError {
    CallError {
        code,
        text: code.text().to_owned(),
        retry_after_ms: 0,
    }
}

pub(crate) fn refusal(refused: &Refused) -> CallError {
    CallError {
        code: refused.code(),
        text: refused.text.clone(),
        retry_after_ms: refused.retry_after_ms,
    }
}
