//! The front door: one user on one device, over any number of connections.

use std::collections::VecDeque;

use fireside_protocol::{Code, ConversationId, FrameError, Now, RawFrame, UserId};

pub use crate::config::{Action, Breaks, Config, Counters, LinkEvent, LinkId, Transmit};
use crate::{
    Command, CommandError, Event, EventClass, RequestId,
    cache::{Cache, Mode},
    conversations::Conversations,
    id_set::IdSet,
    lent::Lent,
    link::{CLOCK_JUMP_MS, Links, Request},
    list::List,
    outbox::Outbox,
    own::Own,
    pending::Calls,
    presence::Presence,
    random::Random,
    receipts::Receipts,
    sorted::Map,
    storage::{Rows, StoreError, StoreOp, Ticket},
    sync::Sync,
    timeline::Timeline,
    timers::{Timer, Timers},
};

/// One user on one device as a state machine. Call a `handle_*`, then every `poll_*` until it is `None`.
#[derive(Debug)]
pub struct Session {
    pub(crate) config: Config,
    pub(crate) now: Now,
    pub(crate) random: Random,
    pub(crate) timers: Timers,
    pub(crate) links: Links,
    pub(crate) requests: Map<u32, Request>,
    pub(crate) calls: Calls,
    pub(crate) cache: Cache,
    pub(crate) outbox: Outbox,
    pub(crate) sync: Sync,
    pub(crate) receipts: Receipts,
    pub(crate) conversations: Conversations,
    /// In memory mode: those that hold items.
    pub(crate) with_items: IdSet,
    /// On screen.
    pub(crate) open: Vec<ConversationId>,
    pub(crate) timelines: Map<ConversationId, Timeline>,
    pub(crate) list: List,
    pub(crate) own: Own,
    pub(crate) presence: Presence,
    /// Whose session it is, once known.
    pub(crate) me: Option<UserId>,
    /// Stands where a user must be named and none is known.
    pub(crate) nobody: UserId,
    pub(crate) visible: bool,
    pub(crate) suspended: bool,
    pub(crate) background_fill: bool,
    pub(crate) serial: u64,
    /// Of the newest timeline reset.
    pub(crate) generation: u64,
    /// Given before the cache was read.
    pub(crate) waiting_commands: Vec<(RequestId, Command)>,
    pub(crate) actions: VecDeque<Action>,
    pub(crate) transmits: VecDeque<Transmit>,
    pub(crate) completions: VecDeque<Event>,
    pub(crate) notices: VecDeque<Event>,
    pub(crate) lent: Lent,
    pub(crate) missed: u64,
    pub(crate) counters: Counters,
    stopped: bool,
}

/// Commands kept while the cache is read.
const WAITING_COMMANDS_MAX: usize = 256;

impl Session {
    /// A session that first asks for [`StoreOp::Load`].
    #[must_use]
    pub fn new(config: Config, now: Now) -> Self {
        let mut session = Self {
            random: Random::new(&config.seed),
            me: config.user.clone(),
            nobody: nobody(),
            config,
            now,
            timers: Timers::default(),
            links: Links::new(),
            requests: Map::default(),
            calls: Calls::default(),
            cache: Cache::new(),
            outbox: Outbox::default(),
            sync: Sync::default(),
            receipts: Receipts::default(),
            conversations: Conversations::default(),
            with_items: IdSet::default(),
            open: Vec::new(),
            timelines: Map::default(),
            list: List::new(),
            own: Own::default(),
            presence: Presence::default(),
            visible: false,
            suspended: false,
            background_fill: false,
            serial: 0,
            generation: 0,
            waiting_commands: Vec::new(),
            actions: VecDeque::new(),
            transmits: VecDeque::new(),
            completions: VecDeque::new(),
            notices: VecDeque::new(),
            lent: Lent::default(),
            missed: 0,
            counters: Counters::default(),
            stopped: false,
        };
        session.load(now);
        session
    }

    /// Takes a command. `request` is the caller's name for the call.
    ///
    /// # Errors
    /// [`CommandError`]: not taken, nothing happened, no completion will come.
    pub fn handle_command(
        &mut self,
        request: RequestId,
        command: Command,
        now: Now,
    ) -> Result<(), CommandError> {
        if self.stopped {
            return Err(Code::Cancelled.into());
        }
        if self.calls.contains(request) {
            return Err(Code::ArgumentInvalid.into());
        }
        if self.calls.is_full() {
            return Err(Code::Busy.into());
        }
        self.enter(now);
        if self.cache.mode == Mode::Loading {
            if self.waiting_commands.len() >= WAITING_COMMANDS_MAX {
                return Err(Code::Busy.into());
            }
            self.begin(request);
            self.waiting_commands.push((request, command));
            return Ok(());
        }
        if command.is_somebody_at_it() {
            self.hurry(now);
        }
        let result = self.carry_out(request, command, now);
        self.leave();
        result
    }

    /// Something happened to a link.
    pub fn handle_link(&mut self, link: u64, event: LinkEvent, now: Now) {
        self.enter(now);
        self.on_link(link, event, now);
        self.leave();
    }

    /// A frame came in, on any lane. A broken one ends its link.
    pub fn handle_frame(&mut self, link: u64, frame: Result<RawFrame, FrameError>, now: Now) {
        self.enter(now);
        match frame {
            Ok(frame) => self.on_frame(link, &frame),
            Err(_) => {
                self.counters.frames_bad += 1;
                self.break_link(link, now);
            }
        }
        self.leave();
    }

    /// What came of a storage operation.
    pub fn handle_stored(&mut self, ticket: Ticket, result: Result<Rows, StoreError>, now: Now) {
        self.enter(now);
        self.on_stored(ticket, result, now);
        self.leave();
    }

    /// Time went on to [`Session::poll_timeout`].
    pub fn handle_timeout(&mut self, now: Now) {
        self.enter(now);
        while let Some(timer) = self.timers.pop(now.monotonic_ms) {
            self.on_timer(timer, now);
        }
        self.heartbeat(now);
        self.leave();
    }

    fn on_timer(&mut self, timer: Timer, now: Now) {
        match timer {
            Timer::Reconnect => self.open_link(now),
            Timer::Login(link) => self.on_login_timeout(link, now),
            Timer::Token => self.on_token_due(now),
            Timer::Stall => self.on_stall(now),
            Timer::Repair(id) | Timer::Pull(id) => self.want_page(id),
            Timer::Page(request) => self.on_page_timeout(request),
            Timer::Heads => self.on_heads_due(),
            Timer::Outbox(id) => self.on_outbox_due(id, now),
            Timer::Expiry => self.outbox_expire(now),
            Timer::Unanswered(id) => self.on_unanswered(id, now),
            Timer::Delivered(id) => self.on_delivered_due(id),
            Timer::TypingOf(id, user) => self.say_typing(id, &user, false),
            Timer::Call(request) => self.on_call_timeout(request),
            Timer::Draft(id) => self.say_draft(id, now),
            Timer::Mute => self.on_mute_due(),
            Timer::Ends(id) => self.timeline_dirty(id),
        }
    }

    /// Completes every pending call as `cancelled`, hands over what is to be kept; [`Action::Stopped`] comes last.
    pub fn shutdown(&mut self, now: Now) {
        if self.stopped {
            return;
        }
        self.enter(now);
        self.cancel_calls();
        self.waiting_commands.clear();
        self.disconnect(now);
        self.leave();
        self.stopped = true;
        self.timers = Timers::default();
        self.actions.push_back(Action::Stopped);
    }

    /// The next thing the driver must do.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// The next frame to send.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.transmits.pop_front()
    }

    /// The next storage operation.
    pub fn poll_store(&mut self) -> Option<(Ticket, StoreOp)> {
        self.cache.queue.pop_front()
    }

    /// The next event of a class the caller has room for. Views collect changes until they are polled; what no longer fits in
    /// diffs becomes a reset.
    pub fn poll_event(&mut self, class: EventClass) -> Option<Event> {
        match class {
            EventClass::Completion => self.completions.pop_front(),
            EventClass::View if self.cache.mode == Mode::Loading => None,
            EventClass::View => (self.poll_list())
                .or_else(|| self.poll_own())
                .or_else(|| self.poll_timeline())
                .or_else(|| self.poll_sync()),
            EventClass::Notice => self.notices.pop_front().or_else(|| {
                let count = std::mem::take(&mut self.missed);
                (count > 0).then_some(Event::Missed { count })
            }),
            EventClass::Ephemeral => self.poll_typing().or_else(|| self.poll_presence()),
        }
    }

    /// When to call [`Session::handle_timeout`], in monotonic ms.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<u64> {
        let timer = self.timers.next_at();
        match (timer, self.heartbeat_at()) {
            (Some(timer), Some(heartbeat)) => Some(timer.min(heartbeat)),
            (timer, heartbeat) => timer.or(heartbeat),
        }
    }

    /// Pages are on their way: what is to be stored may wait a moment for what they bring.
    #[must_use]
    pub fn expects_pages(&self) -> bool {
        self.page_under_way()
    }

    /// What was counted.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// The server's clock as far as known: the wall clock until the first log-in.
    #[must_use]
    pub fn server_ms(&self, now: Now) -> u64 {
        self.links.server_ms(now)
    }

    /// Takes the time; a wall clock that jumped against the monotonic one means a sleep.
    fn enter(&mut self, now: Now) {
        let wall = now.wall_ms.abs_diff(self.now.wall_ms);
        let monotonic = now.monotonic_ms.saturating_sub(self.now.monotonic_ms);
        self.now = now;
        if wall.abs_diff(monotonic) > CLOCK_JUMP_MS {
            self.probe(now);
        }
    }

    /// After every call: what became possible is done, what is to be kept is handed out.
    fn leave(&mut self) {
        let now = self.now;
        // Without a disk a stored row may let another one out.
        for _ in 0..2 {
            self.outbox_pump(now);
            self.flush(now);
        }
        self.pull();
        self.judge_sync();
    }

    pub(crate) fn complete_event(&mut self, event: Event) {
        // Only the newest of states in a row matters.
        if let (Event::State(_), Some(Event::State(last))) = (&event, self.completions.back_mut()) {
            if let Event::State(state) = event {
                *last = state;
            }
            return;
        }
        self.completions.push_back(event);
    }
}

fn nobody() -> UserId {
    static NOBODY: std::sync::LazyLock<Option<UserId>> =
        std::sync::LazyLock::new(|| UserId::new("-").ok());
    match &*NOBODY {
        Some(user) => user.clone(),
        None => unreachable!("a valid id"),
    }
}
