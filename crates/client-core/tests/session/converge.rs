//! Whatever order, loss and repetition: a device comes to show the log at its head, as if it had loaded it whole.

use fireside_client_core::{
    Breaks, Command, Config,
    command::{MessageRef, Recipient},
    view::{Body, TIMELINE_ROWS_MAX},
};
use fireside_protocol::{
    ConversationId, Entry, FacetKind, Reactions, ServerFrame, UserId,
    frames::{Range, UserRecord, UserRecordKind},
};
use proptest::prelude::*;

use crate::{
    server::{Server, user},
    world::{Disk, World},
};

#[derive(Clone, Debug)]
enum Step {
    /// Somebody writes (0 bob, 1 eve whom the user may block, 2 another device of the user).
    Text(u8),
    /// A message that this user may not see.
    Hidden,
    /// Changes of what is there.
    Edit(u8),
    Recall(u8),
    React(u8, bool),
    /// This device writes, edits, recalls, reads.
    Send,
    SendEdit(u8),
    SendRecall(u8),
    SendReact(u8, bool),
    Read,
    /// A live frame arrives (any of them), arrives twice, is lost.
    Live(u8),
    Twice(u8),
    Drop(u8),
    /// An answer arrives, any of them.
    Answer(u8),
    /// The server says how far the log is.
    Head,
    /// The user blocks or unblocks eve: rights change.
    Block,
    Cut,
    /// The process dies. Of what the disk was still to do, it does so many things.
    Kill(u8),
    Open,
    Close,
    Older,
    Time(u16),
    DiskLate(bool),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0u8..3).prop_map(Step::Text),
        1 => Just(Step::Hidden),
        3 => any::<u8>().prop_map(Step::Edit),
        1 => any::<u8>().prop_map(Step::Recall),
        3 => (any::<u8>(), prop::bool::weighted(0.7)).prop_map(|(pick, on)| Step::React(pick, on)),
        2 => Just(Step::Send),
        1 => any::<u8>().prop_map(Step::SendEdit),
        1 => any::<u8>().prop_map(Step::SendRecall),
        1 => (any::<u8>(), any::<bool>()).prop_map(|(pick, on)| Step::SendReact(pick, on)),
        1 => Just(Step::Read),
        8 => any::<u8>().prop_map(Step::Live),
        1 => any::<u8>().prop_map(Step::Twice),
        2 => any::<u8>().prop_map(Step::Drop),
        6 => any::<u8>().prop_map(Step::Answer),
        1 => Just(Step::Head),
        1 => Just(Step::Block),
        1 => Just(Step::Cut),
        2 => any::<u8>().prop_map(Step::Kill),
        2 => Just(Step::Open),
        1 => Just(Step::Close),
        1 => Just(Step::Older),
        4 => (0u16..2_000).prop_map(Step::Time),
        2 => any::<bool>().prop_map(Step::DiskLate),
    ]
}

struct Run {
    world: World,
    id: ConversationId,
    /// Live frames on their way.
    pool: Vec<ServerFrame>,
    open: bool,
    sent: u32,
}

impl Run {
    fn new(direct: bool, before: u8, breaks: Breaks) -> Self {
        let config = Config {
            breaks,
            ..Config::default()
        };
        let mut world = World::with(config, Disk::default());
        let id = if direct {
            world.server.direct("bob")
        } else {
            world.server.group(1)
        };
        for number in 0..before {
            world
                .server
                .log(id)
                .text(&user("bob"), &format!("old {number}"));
        }
        world.connect();
        world.hold_frames = true;
        Self {
            world,
            id,
            pool: Vec::new(),
            open: false,
            sent: 0,
        }
    }

    fn publish(&mut self, entry: &Entry) {
        let log = self.world.server.log(self.id);
        self.pool.push(log.live(entry.sequence));
    }

    /// An item that can be changed.
    fn target(&mut self, pick: u8, sender: Option<&UserId>) -> Option<u64> {
        let log = self.world.server.log(self.id);
        let items: Vec<u64> = (1..=log.last())
            .filter(|n| {
                log.state(*n, log.last())
                    .is_some_and(|i| i.tombstone.is_none())
            })
            .filter(|n| sender.is_none_or(|sender| log.entry(*n).unwrap().sender == *sender))
            .collect();
        (!items.is_empty()).then(|| items[usize::from(pick) % items.len()])
    }

    fn take(&mut self, pick: u8) -> Option<ServerFrame> {
        (!self.pool.is_empty()).then(|| self.pool.remove(usize::from(pick) % self.pool.len()))
    }

    fn live(&mut self, frame: ServerFrame) {
        if !self.world.links.is_empty() {
            self.world.live(frame);
        }
    }

    fn step(&mut self, step: &Step) {
        let id = self.id;
        let me = user("ada");
        match *step {
            Step::Text(who) => {
                let sender = user(["bob", "eve", "ada"][usize::from(who)]);
                let log = self.world.server.log(id);
                let text = format!("text {}", log.last() + 1);
                let entry = log.text(&sender, &text);
                if log.rights % 2 == 1 && sender == user("eve") {
                    log.hidden.insert(entry.sequence);
                }
                self.publish(&entry);
            }
            Step::Hidden => {
                let log = self.world.server.log(id);
                let entry = log.text(&user("bob"), "secret");
                log.hidden.insert(entry.sequence);
                self.publish(&entry);
            }
            Step::Edit(pick) => {
                if let Some(target) = self.target(pick, None) {
                    let log = self.world.server.log(id);
                    let text = format!("edit {}", log.last() + 1);
                    let entry = log.edit(&user("bob"), target, &text);
                    self.publish(&entry);
                }
            }
            Step::Recall(pick) => {
                if let Some(target) = self.target(pick, None) {
                    let entry = self.world.server.log(id).recall(&user("bob"), target);
                    self.publish(&entry);
                }
            }
            Step::React(pick, on) => {
                if let Some(target) = self.target(pick, None) {
                    let key = ["👍", "gg"][usize::from(pick % 2)];
                    let log = self.world.server.log(id);
                    let entry = log.react(&user("bob"), target, key, on);
                    self.publish(&entry);
                }
            }
            Step::SendReact(pick, on) => {
                if let Some(target) = self.target(pick, None) {
                    let message = MessageRef::Sequence(target);
                    let key = "👍".to_owned();
                    let _ = self.world.command(Command::React {
                        conversation: id,
                        message,
                        key,
                        on,
                    });
                }
            }
            Step::Send => {
                self.sent += 1;
                let text = format!("sent {}", self.sent);
                let to = Recipient::Conversation(id);
                let _ = self.world.command(Command::SendText { to, text });
            }
            Step::SendEdit(pick) => {
                if let Some(target) = self.target(pick, Some(&me)) {
                    let message = MessageRef::Sequence(target);
                    let text = format!("own edit {pick}");
                    let _ = self.world.command(Command::EditText {
                        conversation: id,
                        message,
                        text,
                    });
                }
            }
            Step::SendRecall(pick) => {
                if let Some(target) = self.target(pick, Some(&me)) {
                    let message = MessageRef::Sequence(target);
                    let _ = self.world.command(Command::Recall {
                        conversation: id,
                        message,
                    });
                }
            }
            Step::Read => {
                let _ = self.world.command(Command::MarkRead {
                    conversation: id,
                    upto: 0,
                });
            }
            Step::Live(pick) => {
                if let Some(frame) = self.take(pick) {
                    self.live(frame);
                }
            }
            Step::Twice(pick) => {
                if let Some(frame) = self.take(pick) {
                    self.live(frame.clone());
                    self.live(frame);
                }
            }
            Step::Drop(pick) => drop(self.take(pick)),
            Step::Answer(pick) => {
                let inbox = &mut self.world.inbox;
                if !inbox.is_empty()
                    && let Some((_, request, frame)) = inbox.remove(usize::from(pick) % inbox.len())
                {
                    self.world.deliver(request, &frame);
                }
            }
            Step::Head => {
                let head = self.world.server.log(id).head(&me);
                self.live(head.into());
            }
            Step::Block => self.block(),
            Step::Cut => {
                if !self.world.links.is_empty() {
                    self.pool.clear();
                    self.world.cut();
                }
            }
            Step::Kill(pick) => self.kill(pick),
            Step::Open => {
                let _ = self.world.command(Command::Open { conversation: id });
                self.open = true;
            }
            Step::Close => {
                let _ = self.world.command(Command::Close { conversation: id });
                self.world.pump();
                self.world.timelines.clear();
                self.open = false;
            }
            Step::Older => {
                let _ = self.world.command(Command::LoadOlder {
                    conversation: id,
                    count: 10,
                });
            }
            Step::Time(ms) => self.world.advance(u64::from(ms)),
            Step::DiskLate(late) => self.world.hold_disk = late,
        }
        self.world.pump();
    }

    /// Eve's messages are hidden, or seen again. What was on its way comes first, as on a stream.
    fn block(&mut self) {
        for frame in std::mem::take(&mut self.pool) {
            self.live(frame);
        }
        let id = self.id;
        let log = self.world.server.log(id);
        log.rights += 1;
        let blocked = log.rights % 2 == 1;
        for number in 1..=log.last() {
            if log.entry(number).unwrap().sender == user("eve") {
                if blocked {
                    log.hidden.insert(number);
                } else {
                    log.hidden.remove(&number);
                }
            }
        }
        let rights = log.rights;
        let server: &mut Server = &mut self.world.server;
        server
            .records
            .retain(|record| record.kind != UserRecordKind::Rights);
        let record = UserRecord {
            sequence: rights,
            kind: UserRecordKind::Rights,
            conversation: Some(id),
            user: None,
            value: rights,
            name: String::new(),
            gone: false,
            at: 0,
            folder: None,
            body: bytes::Bytes::new(),
        };
        server.records.push(record.clone());
        self.live(record.into());
    }

    fn kill(&mut self, pick: u8) {
        self.pool.clear();
        let done = usize::from(pick) % (self.world.ops.len() + 1);
        for _ in 0..done {
            self.world.disk_one();
        }
        let world = std::mem::replace(&mut self.world, World::new());
        self.world = world.restart();
        self.world.connect();
        self.world.hold_frames = true;
        if self.open {
            self.world.open(self.id);
        }
    }

    /// All is quiet: what is lost stays lost, what is asked is answered.
    fn settle(&mut self) {
        self.pool.clear();
        self.world.hold_frames = false;
        self.world.hold_disk = false;
        self.world.call(Command::SetBackgroundFill(true));
        self.world.advance(40_000);
        let head = self.world.server.log(self.id).head(&user("ada"));
        self.live(head.into());
        self.world.advance(200_000);
    }

    fn check(&mut self) -> Result<(), TestCaseError> {
        let id = self.id;
        let me = user("ada");
        prop_assert!(self.world.disk.outbox.is_empty(), "the outbox is not empty");
        let log = self.world.server.log(id).clone();
        let expected: Vec<String> = (1..=log.last())
            .filter_map(|number| log.state(number, log.last()))
            .map(|item| show(&item))
            .collect();
        if !self.world.disk.broken {
            // The cache holds the state, and accounts for every number.
            let cached: Vec<String> = (self.world.disk.items.values())
                .filter(|item| !log.is_hidden(item.sequence))
                .map(|item| show(&fireside_protocol::decode(&item.body).unwrap()))
                .collect();
            let record = &self.world.disk.conversations[&id];
            let all = match log.last() {
                0 => Vec::new(),
                last => vec![Range { first: 1, last }],
            };
            prop_assert_eq!(&record.covered, &all);
            prop_assert_eq!(record.changes_to, log.last());
            prop_assert_eq!(&cached, &expected);
        }
        prop_assert_eq!(self.world.line(id).unread, log.unread(&me), "unread");
        // A timeline that was open all the while shows the same as one that is opened now.
        for open_again in [false, true] {
            if open_again {
                self.world.open(id);
            } else if !self.open {
                continue;
            }
            let shown: Vec<String> = (self.world.rows(id).iter())
                .map(|row| match &row.body {
                    Body::Text(text) => {
                        let all = row.reactions.iter().flat_map(|all| all.iter());
                        let all: Vec<_> = all
                            .map(|one| format!("{} {:?}", one.key, one.users))
                            .collect();
                        format!("{:?} {text} {} {all:?}", row.sequence, row.edited)
                    }
                    other => format!("{:?} {other:?}", row.sequence),
                })
                .collect();
            let newest = expected
                .len()
                .saturating_sub(TIMELINE_ROWS_MAX.min(shown.len()));
            prop_assert_eq!(&shown, &expected[newest..], "opened again: {}", open_again);
            prop_assert!(shown.len() >= expected.len().min(30), "too few rows");
            let rows: std::collections::BTreeSet<u64> =
                self.world.rows(id).iter().map(|row| row.row).collect();
            prop_assert_eq!(rows.len(), shown.len(), "a row number came twice");
        }
        Ok(())
    }
}

fn show(item: &Entry) -> String {
    let text = fireside_protocol::decode::<fireside_protocol::TextContent>(&item.content);
    let number = Some(item.sequence);
    match text {
        Ok(content) if item.tombstone.is_none() => {
            let state = item.facet::<Reactions>(FacetKind::Reactions);
            let keys = state.map_or_else(Vec::new, |state| state.keys);
            let all: Vec<_> = (keys.iter())
                .map(|one| format!("{} {:?}", one.key, one.users))
                .collect();
            format!("{number:?} {} {} {all:?}", content.text, item.edited)
        }
        _ => format!("{number:?} {:?}", Body::Recalled),
    }
}

fn run(direct: bool, before: u8, steps: &[Step], breaks: Breaks) -> Result<(), TestCaseError> {
    let mut run = Run::new(direct, before, breaks);
    for step in steps {
        run.step(step);
    }
    run.settle();
    run.check()
}

fn cases(default: u32) -> ProptestConfig {
    let cases = std::env::var("CONVERGE_CASES")
        .ok()
        .and_then(|cases| cases.parse().ok());
    ProptestConfig {
        cases: cases.unwrap_or(default),
        max_shrink_iters: 3_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(cases(150))]

    #[test]
    fn converges(direct: bool, before in 0u8..80, steps in proptest::collection::vec(step(), 0..120)) {
        run(direct, before, &steps, Breaks::default())?;
    }
}

proptest! {
    #![proptest_config(cases(60))]

    #[test]
    fn converges_without_a_disk(direct: bool, before in 0u8..80, steps in proptest::collection::vec(step(), 0..120)) {
        let mut run = Run::new(direct, before, Breaks::default());
        run.world.disk.broken = true;
        for step in &steps {
            run.step(step);
        }
        run.settle();
        run.check()?;
    }
}

/// The property above notices each fault that is built in: without it, it would say nothing.
#[test]
fn built_in_faults_are_noticed() {
    let none = Breaks::default();
    let faults = [
        (
            "repair",
            Breaks {
                repair: true,
                ..none
            },
        ),
        (
            "rev_ignored",
            Breaks {
                rev_ignored: true,
                ..none
            },
        ),
        (
            "head_as_gap",
            Breaks {
                head_as_gap: true,
                ..none
            },
        ),
    ];
    for (name, breaks) in faults {
        let config = ProptestConfig {
            cases: 4_000,
            max_shrink_iters: 0,
            failure_persistence: None,
            ..ProptestConfig::default()
        };
        let rng = proptest::test_runner::TestRng::deterministic_rng(Default::default());
        let mut runner = proptest::test_runner::TestRunner::new_with_rng(config, rng);
        let strategy = (
            any::<bool>(),
            0u8..80,
            proptest::collection::vec(step(), 0..120),
        );
        let result = runner.run(&strategy, |(direct, before, steps)| {
            let quiet = std::panic::AssertUnwindSafe(|| run(direct, before, &steps, breaks));
            std::panic::catch_unwind(quiet).unwrap_or_else(|_| Err(TestCaseError::fail("panic")))
        });
        assert!(result.is_err(), "{name} was not noticed");
    }
}

/// A process that dies between two writes of the disk: cursors and rows must be one.
#[test]
fn cursors_before_rows_are_noticed() {
    let steps = [
        Step::DiskLate(true),
        Step::Text(0),
        Step::Live(0),
        Step::Kill(1),
    ];
    for broken in [false, true] {
        let breaks = Breaks {
            cursor_before_rows: broken,
            ..Breaks::default()
        };
        assert_eq!(run(true, 3, &steps, breaks).is_err(), broken);
    }
}
