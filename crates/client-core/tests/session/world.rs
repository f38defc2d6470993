//! A session with its disk, its server and a game that mirrors the views.

use std::collections::{BTreeMap, VecDeque};

use fireside_client_core::{
    Action, Breaks, Command, CommandError, Config, Event, EventClass, LinkEvent, Session,
    SyncState,
    command::Recipient,
    event::{CallError, Completion, ConnectionState},
    storage::{
        ConversationRecord, ItemRecord, Loaded, OutboxRecord, Profile, Rows, StoreError, StoreOp,
        Ticket, Transaction,
    },
    view::{Body, ConversationRow, Diff, TimelineRow},
};
use fireside_protocol::{
    ClientFrame, ConversationId, Nonce, Now, RawFrame, RecordKey, ServerFrame, frames::UserRecord,
    limits::PAGE_FRAME_BYTES_MAX,
};

use crate::server::{Server, user};

/// A cache in memory that does what `storage.rs` says.
#[derive(Clone, Debug, Default)]
pub(crate) struct Disk {
    pub(crate) items: BTreeMap<(ConversationId, u64), ItemRecord>,
    pub(crate) conversations: BTreeMap<ConversationId, ConversationRecord>,
    pub(crate) outbox: BTreeMap<Nonce, OutboxRecord>,
    pub(crate) records: BTreeMap<RecordKey, UserRecord>,
    pub(crate) profile: Profile,
    /// Every operation fails.
    pub(crate) broken: bool,
}

impl Disk {
    fn apply(&mut self, transaction: Transaction) {
        for id in transaction.drop_items {
            self.items
                .retain(|(conversation, _), _| *conversation != id);
        }
        for record in transaction.conversations {
            self.conversations.insert(record.head.conversation, record);
        }
        for item in transaction.items {
            let key = (item.conversation, item.sequence);
            match self.items.get_mut(&key) {
                Some(held) if held.rev <= item.rev => {
                    *held = ItemRecord {
                        row: held.row,
                        ..item
                    }
                }
                Some(_) => {}
                None => {
                    self.items.insert(key, item);
                }
            }
        }
        if transaction.forget_records {
            self.records.clear();
        }
        for record in transaction.records {
            let key = record.key();
            self.records.remove(&key);
            if !record.gone {
                self.records.insert(key, record);
            }
        }
        for record in transaction.outbox {
            assert!(!transaction.outbox_remove.contains(&record.nonce));
            self.outbox.insert(record.nonce, record);
        }
        for nonce in transaction.outbox_remove {
            self.outbox.remove(&nonce);
        }
        if let Some(profile) = transaction.profile {
            self.profile = profile;
        }
    }

    fn run(&mut self, op: StoreOp) -> Result<Rows, StoreError> {
        if self.broken {
            return Err(StoreError {
                reason: "broken".to_owned(),
            });
        }
        Ok(match op {
            StoreOp::Load => {
                let mut outbox: Vec<OutboxRecord> = self.outbox.values().cloned().collect();
                outbox.sort_by_key(|record| record.position);
                Rows::Loaded(Box::new(Loaded {
                    profile: self.profile.clone(),
                    conversations: self.conversations.values().cloned().collect(),
                    records: self.records.values().cloned().collect(),
                    outbox,
                }))
            }
            StoreOp::Apply(transaction) => {
                self.apply(*transaction);
                Rows::Applied
            }
            StoreOp::Items(query) => {
                let mut items: Vec<ItemRecord> = (self.items)
                    .range((query.conversation, 0)..(query.conversation, query.below))
                    .rev()
                    .take(query.limit as usize)
                    .map(|(_, item)| item.clone())
                    .collect();
                items.reverse();
                Rows::Items(items)
            }
        })
    }
}

/// All of it.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) session: Session,
    pub(crate) now: Now,
    pub(crate) disk: Disk,
    pub(crate) server: Server,
    /// Frames on their way to the client.
    pub(crate) inbox: VecDeque<(u64, u32, ServerFrame)>,
    /// The server's frames wait in `inbox`.
    pub(crate) hold_frames: bool,
    /// The disk's answers wait.
    pub(crate) hold_disk: bool,
    pub(crate) ops: VecDeque<(Ticket, StoreOp)>,
    /// Links come up.
    pub(crate) up: bool,
    /// The server reads but says nothing.
    pub(crate) mute: bool,
    pub(crate) links: Vec<u64>,
    pub(crate) stopped: bool,
    pub(crate) list: Vec<ConversationRow>,
    pub(crate) timelines: BTreeMap<ConversationId, (u64, Vec<TimelineRow>)>,
    /// How near the device said it was, and the list at that moment.
    pub(crate) synced: Vec<(SyncState, Vec<ConversationRow>)>,
    pub(crate) events: Vec<Event>,
    /// The game polls its views.
    pub(crate) poll_views: bool,
    pub(crate) requests: u64,
    pub(crate) lives: u8,
    /// What the server says by itself after a log-in is lost.
    pub(crate) lose_first_sync: bool,
    /// Nothing at all comes from the server.
    pub(crate) hold_logins: bool,
    breaks: Breaks,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(Config::default(), Disk::default())
    }

    pub(crate) fn with(config: Config, disk: Disk) -> Self {
        let now = Now {
            monotonic_ms: 1_000,
            wall_ms: 1_700_000_000_000,
        };
        let breaks = config.breaks;
        let mut world = Self {
            session: Session::new(config, now),
            now,
            disk,
            server: Server::new(&user("ada")),
            inbox: VecDeque::new(),
            hold_frames: false,
            hold_disk: false,
            ops: VecDeque::new(),
            up: true,
            mute: false,
            links: Vec::new(),
            stopped: false,
            list: Vec::new(),
            timelines: BTreeMap::new(),
            synced: Vec::new(),
            events: Vec::new(),
            poll_views: true,
            requests: 0,
            lives: 0,
            lose_first_sync: false,
            hold_logins: false,
            breaks,
        };
        world.pump();
        world
    }

    /// Kills the session and starts another one on the same disk and server.
    pub(crate) fn restart(self) -> Self {
        let lives = self.lives + 1;
        let config = Config {
            seed: [lives; 32],
            breaks: self.breaks,
            ..Config::default()
        };
        let mut world = Self::with(config, self.disk);
        world.server = self.server;
        world.lives = lives;
        world
    }

    pub(crate) fn connected() -> Self {
        let mut world = Self::new();
        world.connect();
        world
    }

    pub(crate) fn connect(&mut self) {
        self.call(Command::SetToken("a.b.c".to_owned()));
        self.call(Command::Connect);
        assert_eq!(self.state(), Some(ConnectionState::Connected));
    }

    pub(crate) fn command(&mut self, command: Command) -> Result<u64, CommandError> {
        self.requests += 1;
        self.session
            .handle_command(self.requests, command, self.now)?;
        Ok(self.requests)
    }

    pub(crate) fn call(&mut self, command: Command) -> u64 {
        let request = self.command(command).unwrap();
        self.pump();
        request
    }

    pub(crate) fn send(&mut self, conversation: ConversationId, text: &str) -> u64 {
        let to = Recipient::Conversation(conversation);
        self.call(Command::SendText {
            to,
            text: text.to_owned(),
        })
    }

    /// A frame from the server, now.
    pub(crate) fn deliver(&mut self, request: u32, frame: &ServerFrame) {
        self.hear(request, frame);
        self.pump();
    }

    /// The same, in one flight with what follows: nothing is answered between.
    pub(crate) fn hear(&mut self, request: u32, frame: &ServerFrame) {
        let link = *self.links.last().unwrap();
        let bytes = frame.encode(request);
        let raw = RawFrame::from_bytes(&bytes, PAGE_FRAME_BYTES_MAX);
        self.session.handle_frame(link, raw, self.now);
    }

    pub(crate) fn live(&mut self, frame: ServerFrame) {
        self.deliver(0, &frame);
    }

    /// The link breaks.
    pub(crate) fn cut(&mut self) {
        let link = self.links.pop().unwrap();
        self.inbox.clear();
        let event = LinkEvent::Down {
            code: None,
            reason: "cut".to_owned(),
        };
        self.session.handle_link(link, event, self.now);
        self.pump();
    }

    /// Everything that can happen without time.
    pub(crate) fn pump(&mut self) {
        let mut rounds = 0;
        loop {
            rounds += 1;
            assert!(rounds < 3_000, "a conversation that never ends");
            let mut idle = true;
            while let Some(action) = self.session.poll_action() {
                idle = false;
                self.act(&action);
            }
            while let Some(transmit) = self.session.poll_transmit() {
                idle = false;
                assert!(
                    self.links.contains(&transmit.link),
                    "sent on a link that is not there"
                );
                let raw = RawFrame::from_bytes(&transmit.frame, PAGE_FRAME_BYTES_MAX).unwrap();
                assert_eq!(raw.request, transmit.request);
                let frame: ClientFrame = raw.client().unwrap();
                let mut answers = self.server.handle(raw.request, &frame);
                if self.lose_first_sync {
                    answers.retain(|(request, _)| *request != 0);
                }
                if !self.mute {
                    let link = transmit.link;
                    self.inbox
                        .extend(answers.into_iter().map(|(r, f)| (link, r, f)));
                }
            }
            while let Some(op) = self.session.poll_store() {
                self.ops.push_back(op);
            }
            if !self.hold_disk
                && let Some((ticket, op)) = self.ops.pop_front()
            {
                idle = false;
                let result = self.disk.run(op);
                self.session.handle_stored(ticket, result, self.now);
            }
            let next = match self.hold_frames {
                _ if self.hold_logins => None,
                true => self
                    .inbox
                    .iter()
                    .position(|(_, request, frame)| is_login(*request, frame)),
                false => (!self.inbox.is_empty()).then_some(0),
            };
            if let Some((link, request, frame)) = next.and_then(|next| self.inbox.remove(next)) {
                idle = false;
                let raw = RawFrame::from_bytes(&frame.encode(request), PAGE_FRAME_BYTES_MAX);
                self.session.handle_frame(link, raw, self.now);
            }
            if idle {
                break;
            }
            self.poll_events();
        }
        self.poll_events();
    }

    /// A late disk does one thing.
    pub(crate) fn disk_one(&mut self) {
        if let Some((ticket, op)) = self.ops.pop_front() {
            let result = self.disk.run(op);
            self.session.handle_stored(ticket, result, self.now);
        }
    }

    fn act(&mut self, action: &Action) {
        match action {
            Action::Connect { link, .. } => {
                if self.up {
                    self.links.push(*link);
                    let event = LinkEvent::Up { early: false };
                    self.session.handle_link(*link, event, self.now);
                }
            }
            Action::Close { link } => {
                self.links.retain(|open| open != link);
                self.inbox.retain(|(on, ..)| on != link);
            }
            Action::Rebind { .. } => {}
            Action::Stopped => self.stopped = true,
        }
    }

    pub(crate) fn poll_events(&mut self) {
        for class in [
            EventClass::Completion,
            EventClass::Notice,
            EventClass::Ephemeral,
        ] {
            while let Some(event) = self.session.poll_event(class) {
                assert_eq!(event.class(), class);
                self.events.push(event);
            }
        }
        if !self.poll_views {
            return;
        }
        while let Some(event) = self.session.poll_event(EventClass::View) {
            match event {
                Event::Conversations { diffs, .. } => {
                    for diff in &diffs {
                        assert!(diff.apply(&mut self.list), "a diff that does not fit");
                    }
                }
                Event::Timeline {
                    conversation,
                    generation,
                    diffs,
                } => {
                    let view = self.timelines.entry(conversation).or_default();
                    let reset = diffs.iter().any(|diff| matches!(diff, Diff::Reset { .. }));
                    assert_eq!(reset, generation > view.0, "generations grow with resets");
                    view.0 = generation;
                    for diff in &diffs {
                        assert!(diff.apply(&mut view.1), "a diff that does not fit");
                    }
                    assert!(view.1.len() <= fireside_client_core::view::TIMELINE_ROWS_MAX);
                }
                Event::Sync(state) => self.synced.push((state, self.list.clone())),
                other if other.class() == EventClass::View => self.events.push(other),
                other => panic!("not a view: {other:?}"),
            }
        }
    }

    /// Lets time go by, with all that is due in it.
    pub(crate) fn advance(&mut self, ms: u64) {
        let end = self.now.monotonic_ms + ms;
        let mut steps = 0;
        loop {
            self.pump();
            let due = self.session.poll_timeout().filter(|at| *at <= end);
            let at = due.unwrap_or(end).max(self.now.monotonic_ms);
            self.now.wall_ms += at - self.now.monotonic_ms;
            self.now.monotonic_ms = at;
            if due.is_none() {
                break;
            }
            self.session.handle_timeout(self.now);
            steps += 1;
            assert!(
                steps < 3_000,
                "a timer that never ends: {:?}",
                self.session.poll_timeout()
            );
        }
        self.pump();
    }

    pub(crate) fn state(&self) -> Option<ConnectionState> {
        let state = |event: &Event| match event {
            Event::State(state) => Some(state.clone()),
            _ => None,
        };
        self.events.iter().rev().find_map(state)
    }

    /// How near the device last said it was.
    pub(crate) fn sync_state(&self) -> SyncState {
        self.synced
            .last()
            .map_or(SyncState::Behind, |(state, _)| *state)
    }

    /// What came of a call; panics if it completed more than once.
    pub(crate) fn result(&self, call: u64) -> Option<Result<Completion, CallError>> {
        let mut results = self.events.iter().filter_map(|event| match event {
            Event::Completed { request, result } if *request == call => Some(result.clone()),
            _ => None,
        });
        let first = results.next();
        assert!(results.next().is_none(), "two completions of one call");
        first
    }

    pub(crate) fn rows(&self, conversation: ConversationId) -> &[TimelineRow] {
        self.timelines
            .get(&conversation)
            .map_or(&[], |view| &view.1)
    }

    /// Texts of a timeline; other rows in brackets.
    pub(crate) fn texts(&self, conversation: ConversationId) -> Vec<String> {
        let text = |row: &TimelineRow| match &row.body {
            Body::Text(text) => text.to_string(),
            other => format!("[{other:?}]"),
        };
        self.rows(conversation).iter().map(text).collect()
    }

    pub(crate) fn line(&self, conversation: ConversationId) -> &ConversationRow {
        self.list
            .iter()
            .find(|row| row.conversation == conversation)
            .unwrap()
    }

    /// How many requests of a kind the server saw.
    pub(crate) fn seen(&self, is: impl Fn(&ClientFrame) -> bool) -> usize {
        self.server.seen.iter().filter(|frame| is(frame)).count()
    }

    pub(crate) fn open(&mut self, conversation: ConversationId) {
        self.call(Command::Open { conversation });
    }
}

/// The answer to a log-in is never held back.
fn is_login(request: u32, frame: &ServerFrame) -> bool {
    match frame {
        ServerFrame::Welcome(_) => true,
        ServerFrame::UserLogPage(_) | ServerFrame::HeadsPage(_) => request == 0,
        _ => false,
    }
}
