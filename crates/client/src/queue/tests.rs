#![expect(clippy::unwrap_used, reason = "tests")]

use std::{collections::HashMap, sync::Arc};

use fireside_client_core::ConnectionState;
use fireside_protocol::{PresenceState, limits::WATCHED_USERS_MAX, presence::PresenceOf};

use super::*;

const LONG: Duration = Duration::from_secs(5);

fn user(name: &str) -> UserId {
    UserId::new(name).unwrap()
}

fn typing(name: &str, on: bool) -> Event {
    Event::Typing {
        conversation: ConversationId([1; 16]),
        user: user(name),
        on,
    }
}

fn view(generation: u64) -> Event {
    Event::Conversations {
        generation,
        diffs: Vec::new(),
    }
}

fn notice(sequence: u64) -> Event {
    Event::MessageReceived {
        conversation: ConversationId([1; 16]),
        sequence,
        sender: user("a"),
        text: None,
        at: 0,
    }
}

/// A core that has these events.
struct Fake(HashMap<EventClass, VecDeque<Event>>);

impl Fake {
    fn of(events: impl IntoIterator<Item = Event>) -> Self {
        let mut fake = Self(HashMap::new());
        fake.add(events);
        fake
    }

    fn add(&mut self, events: impl IntoIterator<Item = Event>) {
        for event in events {
            self.0.entry(event.class()).or_default().push_back(event);
        }
    }

    fn left(&self, class: EventClass) -> usize {
        self.0.get(&class).map_or(0, VecDeque::len)
    }

    fn pump(&mut self, outlet: &mut Outlet, link: &Queues) {
        outlet.pump(link, |class| self.0.get_mut(&class)?.pop_front());
    }
}

fn ticked(link: &Queues, max: usize) -> (Vec<Event>, Tick) {
    let mut events = Vec::new();
    let tick = link.tick(max, LONG, Game::Takes(&mut |event| events.push(event)));
    (events, tick)
}

#[test]
fn classes_come_in_order_within_the_budget() {
    let (link, mut outlet) = (Queues::new(), Outlet::default());
    Fake::of([
        typing("a", true),
        notice(1),
        view(1),
        Event::State(ConnectionState::Connecting),
    ])
    .pump(&mut outlet, &link);
    let (events, tick) = ticked(&link, 3);
    let classes: Vec<EventClass> = events.iter().map(Event::class).collect();
    assert_eq!(
        classes,
        [EventClass::Completion, EventClass::View, EventClass::Notice]
    );
    assert_eq!(
        tick,
        Tick {
            delivered: 3,
            left: 1
        }
    );
    assert_eq!(
        ticked(&link, 3).1,
        Tick {
            delivered: 1,
            left: 0
        }
    );
    assert_eq!(ticked(&link, 3).1, Tick::default());
}

#[test]
fn the_lowest_class_gets_an_eighth() {
    for budget in [1_usize, 3, 8, 32] {
        let (link, mut outlet) = (Queues::new(), Outlet::default());
        let mut core = Fake::of((0..400).map(view));
        core.add((0..20).map(|i| typing(&format!("user{i}"), true)));
        let mut low = 0;
        let mut all = 0;
        while all < 160 {
            core.pump(&mut outlet, &link);
            let (events, _) = ticked(&link, budget);
            all += events.len();
            low += events
                .iter()
                .filter(|event| event.class() == EventClass::Ephemeral)
                .count();
        }
        assert!(
            low >= 19 && low <= 20 + budget / 8,
            "budget {budget}: {low} of {all}"
        );
    }
}

#[test]
fn time_is_a_budget_too() {
    let (link, mut outlet) = (Queues::new(), Outlet::default());
    Fake::of((0..100).map(view)).pump(&mut outlet, &link);
    let mut count = 0;
    let tick = link.tick(
        usize::MAX / 2,
        Duration::from_millis(5),
        Game::Takes(&mut |_| {
            count += 1;
            let end = Instant::now() + Duration::from_millis(2);
            while Instant::now() < end {
                std::hint::spin_loop();
            }
        }),
    );
    assert_eq!(tick.delivered, count);
    assert!((1..=4).contains(&count), "{count} events of 2 ms in 5 ms");
    assert_eq!(tick.left, VIEW_EVENTS_MAX - count);
    let tick = link.tick(10, Duration::ZERO, Game::Takes(&mut |_| ()));
    assert_eq!(tick.delivered, 1, "even no time gets on");
}

#[test]
fn who_only_reads_leaves_the_freeing_to_the_clients_thread() {
    let (link, mut outlet) = (Queues::new(), Outlet::default());
    let name = user("somebody");
    let said = |sequence| Event::MessageReceived {
        conversation: ConversationId([1; 16]),
        sequence,
        sender: name.clone(),
        text: Some(format!("message {sequence}").into()),
        at: 0,
    };
    let mut core = Fake::of((0..100).map(said));
    core.add([view(7)]);
    core.pump(&mut outlet, &link);
    let mut seen = Vec::new();
    let mut read = |max| {
        let tick = link.tick(
            max,
            LONG,
            Game::Reads(&mut |event| seen.push(event.clone())),
        );
        (tick.delivered, tick.left)
    };
    assert_eq!(read(31), (31, 70));
    assert_eq!(read(30), (30, 40));
    // What comes meanwhile comes behind them, and who takes goes on where who reads has been.
    core.add((100..110).map(said));
    core.pump(&mut outlet, &link);
    let (taken, tick) = ticked(&link, 20);
    assert_eq!((taken.len(), tick.left), (20, 30));
    seen.extend(taken);
    let mut read = |max| {
        let tick = link.tick(
            max,
            LONG,
            Game::Reads(&mut |event| seen.push(event.clone())),
        );
        (tick.delivered, tick.left)
    };
    assert_eq!(read(100), (20, 10), "those that it took over");
    assert_eq!(read(100), (10, 0));
    let expected: Vec<Event> = std::iter::once(view(7)).chain((0..110).map(said)).collect();
    assert_eq!(seen, expected);
    drop((seen, expected));
    core.pump(&mut outlet, &link);
    assert!(
        link.spent.lock().is_empty(),
        "they stay until the next tick"
    );
    assert_eq!(ticked(&link, 1).1.delivered, 0);
    let held = link.spent.lock().len();
    assert!(held > 0, "the game's thread freed them");
    core.pump(&mut outlet, &link);
    assert!(link.spent.lock().is_empty() && outlet.spare.is_empty());
    assert!(link.spent.lock().capacity() >= NOTICES_MAX && outlet.spare.capacity() >= NOTICES_MAX);
}

#[test]
fn what_was_read_stays_until_the_next_tick() {
    let (link, mut outlet) = (Queues::new(), Outlet::default());
    // Whoever else holds them sees whether an event still does.
    let text = Some("said".repeat(10).into());
    let folders: Arc<[_]> = Arc::new([]);
    let events = || {
        let said = |sequence| Event::MessageReceived {
            conversation: ConversationId([1; 16]),
            sequence,
            sender: user("a"),
            text: text.clone(),
            at: 0,
        };
        [said(1), said(2), Event::Folders(folders.clone())]
    };
    let alone = || {
        text.as_ref()
            .is_some_and(|text| text.as_bytes().is_unique())
    };
    let held = || (!alone(), Arc::strong_count(&folders) > 1);
    let read = |max| link.tick(max, LONG, Game::Reads(&mut |_| ())).delivered;
    Fake::of(events()).pump(&mut outlet, &link);
    assert_eq!(read(usize::MAX), 3);
    // The client's thread comes by, with more, and frees nothing.
    Fake::of(events()).pump(&mut outlet, &link);
    assert_eq!(held(), (true, true));
    assert_eq!(read(2), 2, "in the middle of the notices");
    Fake::of([]).pump(&mut outlet, &link);
    assert_eq!(held(), (true, true));
    assert_eq!(read(usize::MAX), 1);
    Fake::of([]).pump(&mut outlet, &link);
    assert_eq!(held(), (true, false), "what the tick before read is over");
    // Who takes makes room as who reads does.
    assert_eq!(ticked(&link, 1).1.delivered, 0);
    assert_eq!(held(), (true, false), "left to the client's thread");
    Fake::of([]).pump(&mut outlet, &link);
    assert_eq!(held(), (false, false));
}

#[test]
fn a_tick_within_one_that_reads_leaves_it_what_it_reads() {
    let (link, mut outlet) = (Queues::new(), Outlet::default());
    for round in 0..3 {
        Fake::of((0..20).map(notice)).pump(&mut outlet, &link);
        let mut order = Vec::new();
        let tick = link.tick(
            100,
            LONG,
            Game::Reads(&mut |event| {
                link.tick(100, LONG, Game::Reads(&mut |_| ()));
                order.push(event.clone());
            }),
        );
        assert_eq!(tick.delivered, 20, "round {round}");
        assert_eq!(order, (0..20).map(notice).collect::<Vec<_>>());
    }
}

#[test]
fn what_stays_is_bounded() {
    let (link, mut outlet) = (Queues::new(), Outlet::default());
    let mut core = Fake::of((0..3 * KEPT_EVENTS_MAX as u64).map(view));
    core.pump(&mut outlet, &link);
    let mut read = 0;
    // A game so slow that there is always one more.
    let tick = link.tick(
        usize::MAX,
        LONG,
        Game::Reads(&mut |_| {
            read += 1;
            core.pump(&mut outlet, &link);
        }),
    );
    assert_eq!(tick.delivered, KEPT_EVENTS_MAX);
    assert_eq!(tick.left, VIEW_EVENTS_MAX);
    assert_eq!(link.kept.lock().len(), KEPT_EVENTS_MAX);
    assert_eq!(read, KEPT_EVENTS_MAX);
}

#[test]
fn a_tick_within_a_tick_does_not_overtake_it() {
    let (link, mut outlet) = (Queues::new(), Outlet::default());
    Fake::of((0..20).map(notice)).pump(&mut outlet, &link);
    let mut order = Vec::new();
    let tick = link.tick(
        100,
        LONG,
        Game::Takes(&mut |event| {
            assert_eq!(ticked(&link, 100).0, Vec::new());
            order.push(event);
        }),
    );
    assert_eq!((tick.delivered, tick.left), (20, 0));
    assert_eq!(order, (0..20).map(notice).collect::<Vec<_>>());
}

#[test]
fn views_wait_in_the_core_and_room_is_told() {
    let (link, mut outlet) = (Queues::new(), Outlet::default());
    let mut core = Fake::of((0..300).map(view));
    core.pump(&mut outlet, &link);
    assert_eq!(core.left(EventClass::View), 300 - VIEW_EVENTS_MAX);
    assert!(link.starved.load(Ordering::SeqCst));
    ticked(&link, 1);
    assert!(
        !link.starved.load(Ordering::SeqCst),
        "the client's thread was told"
    );
    core.pump(&mut outlet, &link);
    assert_eq!(core.left(EventClass::View), 300 - VIEW_EVENTS_MAX - 1);
}

#[test]
fn notices_without_room_become_missed() {
    let (link, mut outlet) = (Queues::new(), Outlet::default());
    let extra = 50;
    let mut core = Fake::of((0..(NOTICES_MAX as u64 + extra)).map(notice));
    core.pump(&mut outlet, &link);
    assert_eq!(ticked(&link, 10).1.delivered, 10);
    core.add([notice(9_999)]);
    core.pump(&mut outlet, &link);
    let (events, _) = ticked(&link, 5_000);
    let missed: Vec<u64> = events
        .iter()
        .filter_map(|e| match e {
            Event::Missed { count } => Some(*count),
            _ => None,
        })
        .collect();
    assert_eq!(missed, [extra]);
    assert_eq!(
        events.last(),
        Some(&notice(9_999)),
        "later ones come after the gap is told"
    );
}

#[test]
fn ephemeral_events_are_newest_per_key() {
    let (link, mut outlet) = (Queues::new(), Outlet::default());
    let fill: Vec<Event> = (0..EPHEMERAL_MAX)
        .map(|i| typing(&format!("fill{i}"), true))
        .collect();
    Fake::of(fill).pump(&mut outlet, &link);
    Fake::of((0..100).map(|i| typing("ada", i % 2 == 0))).pump(&mut outlet, &link);
    Fake::of((0..1_000).map(|i| typing(&format!("other{i}"), true))).pump(&mut outlet, &link);
    assert!(outlet.ephemeral.len() <= EPHEMERAL_KEYS_MAX);
    let (link, mut outlet) = (Queues::new(), Outlet::default());
    let mut core = Fake::of((0..100).map(|i| typing("ada", i % 2 == 0)));
    core.pump(&mut outlet, &link);
    assert_eq!(ticked(&link, 200).0, [typing("ada", false)]);
}

#[test]
fn everybodys_presence_comes_and_the_newest_of_each() {
    let presence = |name: &str, state| {
        let of = PresenceOf {
            state,
            ..PresenceOf::offline(user(name), 0)
        };
        Event::Presence(Box::new(of))
    };
    let (link, mut outlet) = (Queues::new(), Outlet::default());
    let names: Vec<String> = (0..WATCHED_USERS_MAX).map(|n| format!("u{n:04}")).collect();
    let said = [PresenceState::Away, PresenceState::Online];
    let events = said
        .iter()
        .flat_map(|state| names.iter().map(|name| presence(name, *state)));
    let mut core = Fake::of(events);
    core.pump(&mut outlet, &link);
    let mut newest = HashMap::new();
    while newest.len() < names.len() {
        let (events, _) = ticked(&link, 64);
        assert!(
            !events.is_empty(),
            "only {} of {}",
            newest.len(),
            names.len()
        );
        for event in events {
            let Event::Presence(of) = event else { continue };
            newest.insert(of.user.clone(), of.state);
        }
        core.pump(&mut outlet, &link);
    }
    let rest = ticked(&link, 200).0;
    for event in rest {
        let Event::Presence(of) = event else { continue };
        newest.insert(of.user.clone(), of.state);
    }
    assert!(newest.values().all(|state| *state == PresenceState::Online));
}

#[test]
fn pending_calls_are_bounded_and_their_places_kept() {
    let (link, mut outlet) = (Queues::new(), Outlet::default());
    for _ in 0..PENDING_CALLS_MAX {
        link.command(Command::Devices).unwrap();
    }
    assert_eq!(link.command(Command::Devices).unwrap_err().code, Code::Busy);
    // States can not take the places of completions.
    let states = (0..500).map(|i| {
        Event::State(ConnectionState::Reconnecting {
            attempt: i,
            next_in_ms: 0,
        })
    });
    let mut core = Fake::of(states);
    core.pump(&mut outlet, &link);
    assert_eq!(core.left(EventClass::Completion), 500 - STATES_MAX);
    while let Some((request, _)) = link.take_command() {
        link.complete(request, Ok(Completion::Done));
        link.complete(request, Ok(Completion::Done));
    }
    assert_eq!(link.pending(), PENDING_CALLS_MAX, "pending until delivered");
    let (events, _) = ticked(&link, 5_000);
    assert_eq!(
        events
            .iter()
            .filter(|e| matches!(e, Event::Completed { .. }))
            .count(),
        PENDING_CALLS_MAX
    );
    assert_eq!(link.pending(), 0);
    link.command(Command::Devices).unwrap();
}

#[test]
fn the_game_is_woken_once_until_it_ticks() {
    let (link, mut outlet) = (Queues::new(), Outlet::default());
    let wakes = Arc::new(AtomicUsize::new(0));
    let counter = wakes.clone();
    link.set_wake(Some(Box::new(move || {
        counter.fetch_add(1, Ordering::SeqCst);
    })));
    link.wake();
    assert_eq!(wakes.load(Ordering::SeqCst), 0, "nothing to tick");
    for i in 0..3 {
        Fake::of([view(i)]).pump(&mut outlet, &link);
        link.wake();
    }
    assert_eq!(wakes.load(Ordering::SeqCst), 1);
    ticked(&link, 1);
    Fake::of([view(9)]).pump(&mut outlet, &link);
    link.wake();
    assert_eq!(wakes.load(Ordering::SeqCst), 2);
}

#[test]
fn cancelling_from_both_sides_completes_each_call_once() {
    for round in 0..50 {
        let link = Arc::new(Queues::new());
        let (game, client) = (link.clone(), link.clone());
        let calls = std::thread::spawn(move || {
            let mut taken = Vec::new();
            for _ in 0..200 {
                taken.extend(game.command(Command::Devices));
            }
            taken
        });
        let driver = std::thread::spawn(move || {
            for _ in 0..50 {
                if let Some((request, _)) = client.take_command() {
                    client.complete(request, Ok(Completion::Done));
                }
            }
            while !client.closing.load(Ordering::SeqCst) {
                client.take_command();
            }
            client.cancel_all();
        });
        for _ in 0..round * 100 {
            std::hint::spin_loop();
        }
        link.closing.store(true, Ordering::SeqCst);
        link.cancel_all();
        let mut taken = calls.join().unwrap();
        driver.join().unwrap();
        let (events, _) = ticked(&link, 5_000);
        let mut done: Vec<RequestId> = events
            .iter()
            .filter_map(|e| match e {
                Event::Completed { request, .. } => Some(*request),
                _ => None,
            })
            .collect();
        done.sort_unstable();
        taken.sort_unstable();
        assert_eq!(done, taken, "round {round}");
        assert_eq!(link.pending(), 0);
    }
}

#[test]
fn a_reset_counts_its_rows_against_the_budget() {
    let row = fireside_client_core::view::ConversationRow {
        conversation: ConversationId([1; 16]),
        kind: fireside_protocol::ConversationKind::Group,
        parent: None,
        root: 0,
        name: Arc::from("a"),
        peer: None,
        role: None,
        unread: 0,
        mentions: 0,
        last_sender: None,
        preview: Arc::from(""),
        at: 0,
        last: 0,
        capabilities: 0,
        frozen: false,
        slow_mode_ms: 0,
        muted_until: 0,
        picture: "".into(),
        personal: Default::default(),
        draft: None,
    };
    let reset = || Event::Conversations {
        generation: 1,
        diffs: vec![fireside_client_core::view::Diff::Reset {
            rows: vec![row.clone(); 40].into(),
        }],
    };
    let (link, mut outlet) = (Queues::new(), Outlet::default());
    Fake::of([reset(), reset(), reset()]).pump(&mut outlet, &link);
    // The one under way is finished; the third finds the budget used up.
    assert_eq!(ticked(&link, 64).0.len(), 2);
    assert_eq!(ticked(&link, 1).0.len(), 1);
}
