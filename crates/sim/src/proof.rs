//! `./test simulate`: many seeds clean, every built-in fault caught.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Instant,
};

use fireside_client_core::Breaks as ClientBreaks;
use fireside_server_core::Breaks as ServerBreaks;

use crate::{
    report::Report,
    violation::Violation,
    world::{Plan, World},
};

/// Events of a seed in a full run, without those at rest.
pub const STEPS: u64 = 30_000;
/// Least events of any seed.
const STEPS_MIN: u64 = 20_000;
/// Least lives of the server in any seed.
const LIVES_MIN: u64 = 3;
/// Least clients that started in any seed.
const CLIENTS_MIN: u64 = 30;
/// Least users with two of them.
const TWOS_MIN: u64 = 10;
/// Least times of each mechanism in 40 seeds.
const TIMES_MIN: u64 = 100;
/// A long run says how far it is after each so many seeds.
const TOLD_SEEDS: u64 = 100;
/// Seeds within which a built-in fault must be caught.
pub const CATCH_SEEDS: u64 = 100;
/// All built-in faults.
pub const BREAKS: &[&str] = &[
    "dedupe",
    "dedupe-after-restart",
    "repair",
    "ack-before-sync",
    "cursor-before-rows",
    "rev-ignored",
    "skip-omitted",
    "removal-race",
    "outbox-order",
    "overlay-kept",
    "head-as-gap",
    "unread-drift",
    "facets-whole",
    "reaction-under-block",
    "recall-keeps-facets",
    "mute-ignored",
    "ban-ignored",
    "dissolve-keeps-members",
    "orphans",
    "link-uncounted",
    "timer-lost",
    "personal-not-synced",
    "draft-stays",
    "friend-through-block",
    "receipts-off-ignored",
    "vote-twice",
    "ballot-forgotten",
    "ballot-named",
    "answers-for-all",
    "deleted-comes-back",
    "expiry-forgotten",
    "expired-unread",
    "copies-stay",
    "poll-stays-open",
    "forward-unseen",
    "preview-of-old",
];

/// A plan with one built-in fault; `None` for a name that is none.
#[must_use]
pub fn plan(seed: u64, steps: u64, fault: Option<&str>) -> Option<Plan> {
    let mut server_breaks = ServerBreaks::default();
    let mut client_breaks = ClientBreaks::default();
    match fault {
        None => {}
        Some("dedupe") => server_breaks.dedupe = true,
        Some("dedupe-after-restart") => server_breaks.dedupe_after_restart = true,
        Some("repair") => client_breaks.repair = true,
        Some("ack-before-sync") => server_breaks.ack_before_sync = true,
        Some("cursor-before-rows") => client_breaks.cursor_before_rows = true,
        Some("rev-ignored") => client_breaks.rev_ignored = true,
        Some("skip-omitted") => server_breaks.skip_omitted = true,
        Some("removal-race") => server_breaks.removal_race = true,
        Some("outbox-order") => client_breaks.outbox_order = true,
        Some("overlay-kept") => server_breaks.overlay_kept = true,
        Some("head-as-gap") => client_breaks.head_as_gap = true,
        Some("unread-drift") => server_breaks.unread_drift = true,
        Some("facets-whole") => client_breaks.facets_whole = true,
        Some("reaction-under-block") => server_breaks.reaction_under_block = true,
        Some("vote-twice") => server_breaks.vote_twice = true,
        Some("ballot-forgotten") => server_breaks.ballot_forgotten = true,
        Some("ballot-named") => server_breaks.ballot_named = true,
        Some("answers-for-all") => server_breaks.answers_for_all = true,
        Some("poll-stays-open") => server_breaks.poll_stays_open = true,
        Some("copies-stay") => server_breaks.copies_stay = true,
        Some("preview-of-old") => server_breaks.preview_of_old = true,
        Some("forward-unseen") => server_breaks.forward_unseen = true,
        Some("expiry-forgotten") => server_breaks.expiry_forgotten = true,
        Some("expired-unread") => server_breaks.expired_unread = true,
        Some("deleted-comes-back") => server_breaks.deleted_comes_back = true,
        Some("recall-keeps-facets") => server_breaks.recall_keeps_facets = true,
        Some("mute-ignored") => server_breaks.mute_ignored = true,
        Some("ban-ignored") => server_breaks.ban_ignored = true,
        Some("dissolve-keeps-members") => server_breaks.dissolve_keeps_members = true,
        Some("orphans") => server_breaks.orphans = true,
        Some("timer-lost") => server_breaks.timer_lost = true,
        Some("link-uncounted") => server_breaks.link_uncounted = true,
        Some("personal-not-synced") => client_breaks.personal_not_synced = true,
        Some("draft-stays") => server_breaks.draft_stays = true,
        Some("friend-through-block") => server_breaks.friend_through_block = true,
        Some("receipts-off-ignored") => server_breaks.receipts_off_ignored = true,
        Some(_) => return None,
    }
    Some(Plan {
        seed,
        steps,
        server_breaks,
        client_breaks,
    })
}

/// How large a world was; of many: the smallest of each.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// Events.
    pub steps: u64,
    /// Lives of the server.
    pub lives: u64,
    /// Clients that started.
    pub clients: u64,
    /// Users with two of them.
    pub twos: u64,
}

impl Size {
    const fn of_nothing() -> Self {
        Self::all(u64::MAX)
    }

    const fn all(n: u64) -> Self {
        Self {
            steps: n,
            lives: n,
            clients: n,
            twos: n,
        }
    }

    fn of(world: &World) -> Self {
        let started = world.devices.iter().filter(|device| device.life > 0);
        let seconds = started.clone().filter(|device| device.which > 0);
        Self {
            steps: world.steps,
            lives: u64::from(world.server.life),
            clients: started.count() as u64,
            twos: seconds.count() as u64,
        }
    }

    fn least(self, other: Self) -> Self {
        Self {
            steps: self.steps.min(other.steps),
            lives: self.lives.min(other.lives),
            clients: self.clients.min(other.clients),
            twos: self.twos.min(other.twos),
        }
    }

    const fn is_enough(self) -> bool {
        let world = self.clients >= CLIENTS_MIN && self.twos >= TWOS_MIN;
        world && self.steps >= STEPS_MIN && self.lives >= LIVES_MIN
    }
}

/// What came of many seeds.
#[derive(Debug)]
pub struct Seeds {
    /// Counts of all.
    pub report: Report,
    /// How many.
    pub ran: u64,
    /// Events of all.
    pub steps: u64,
    /// The smallest sizes.
    pub least: Size,
    /// The lowest seed that broke a rule, and which.
    pub broken: Option<(u64, Violation)>,
}

/// What came of one seed.
#[derive(Debug)]
pub struct Outcome {
    /// How large its world was.
    pub size: Size,
    /// Hash over all events.
    pub trace: u64,
    /// Counts.
    pub report: Report,
    /// The first broken rule, and at which event.
    pub violation: Option<Violation>,
}

/// Runs one seed. A panic of a core is a broken rule like any other.
#[must_use]
pub fn run_seed(plan: Plan, verbose: bool) -> Outcome {
    let result = std::panic::catch_unwind(|| {
        let mut world = World::new(plan);
        world.verbose = verbose;
        let violation = world.run().err();
        for device in 0..world.devices.len() {
            world.kill_client(device);
        }
        if let Some(node) = world.server.node.take() {
            world.count_node(&node.counters());
        }
        world.count_logs();
        Outcome {
            size: Size::of(&world),
            trace: world.trace,
            report: world.report,
            violation,
        }
    });
    result.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Outcome {
            size: Size::all(0),
            trace: 0,
            report: Report::default(),
            violation: Some(Violation {
                rule: "panic",
                seen: text.unwrap_or_else(|| "a panic without text".to_owned()),
            }),
        }
    })
}

/// Runs seeds on all cores until all are done or one breaks a rule.
#[must_use]
pub fn run_seeds(first: u64, seeds: u64, steps: u64, fault: Option<&str>) -> Seeds {
    let next = AtomicU64::new(first);
    let stop = AtomicBool::new(false);
    let gathered = Mutex::new(Seeds {
        report: Report::default(),
        ran: 0,
        steps: 0,
        least: Size::of_nothing(),
        broken: None,
    });
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + seeds {
                        return;
                    }
                    let Some(plan) = plan(seed, steps, fault) else {
                        return;
                    };
                    let outcome = run_seed(plan, false);
                    let mut gathered = gathered
                        .lock()
                        .unwrap_or_else(std::sync::PoisonError::into_inner);
                    gathered.report.merge(&outcome.report);
                    gathered.ran += 1;
                    gathered.steps += outcome.size.steps;
                    gathered.least = gathered.least.least(outcome.size);
                    if let Some(violation) = outcome.violation {
                        stop.store(true, Ordering::Relaxed);
                        if gathered
                            .broken
                            .as_ref()
                            .is_none_or(|(lowest, _)| seed < *lowest)
                        {
                            gathered.broken = Some((seed, violation));
                        }
                    } else if fault.is_none() && gathered.ran.is_multiple_of(TOLD_SEEDS) {
                        println!("{} of {seeds} seeds", gathered.ran);
                    }
                }
            });
        }
    });
    gathered
        .into_inner()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// The whole proof; a slice of it is the same with smaller numbers. Prints what it did.
///
/// # Errors
/// What failed, with the command that shows it again.
pub fn proof(slice: bool) -> Result<(), String> {
    let seeds = if slice { 40 } else { 1_000 };
    let start = Instant::now();
    let ran = run_seeds(1, seeds, STEPS, None);
    println!(
        "{seeds} seeds, {} events, {:.1} s:\n{}",
        ran.steps,
        start.elapsed().as_secs_f64(),
        ran.report
    );
    let least = ran.least;
    println!(
        "  every seed: at least {} events, {} clients, {} users with two, {} server lives\n",
        least.steps, least.clients, least.twos, least.lives
    );
    if let Some((seed, violation)) = ran.broken {
        return Err(format!(
            "seed {seed} {violation}\nagain: ./test simulate --seed {seed}"
        ));
    }
    if !least.is_enough() {
        let due = format!(
            "{STEPS_MIN} events, {CLIENTS_MIN} clients, {TWOS_MIN} users with two, {LIVES_MIN} lives"
        );
        return Err(format!("a seed was too small: {least:?}, not {due}"));
    }
    let missing: Vec<&str> = ran.report.fewer_than(TIMES_MIN * seeds / 40).collect();
    if !missing.is_empty() {
        return Err(format!("happened too rarely: {}", missing.join(", ")));
    }
    // A caught fault panics or breaks a rule; the hook's text would only be noise here.
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let mut missed = Vec::new();
    for fault in BREAKS {
        let start = Instant::now();
        let ran = run_seeds(1, CATCH_SEEDS, STEPS, Some(fault));
        match ran.broken {
            Some((seed, violation)) => println!(
                "  caught {fault:<22} by `{}` in seed {seed} ({} events, {:.1} s)",
                violation.rule,
                ran.steps,
                start.elapsed().as_secs_f64()
            ),
            None => missed.push(*fault),
        }
    }
    std::panic::set_hook(hook);
    if missed.is_empty() {
        Ok(())
    } else {
        Err(format!(
            "not caught within {CATCH_SEEDS} seeds: {}",
            missed.join(", ")
        ))
    }
}
