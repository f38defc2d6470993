//! What stands between the game's thread and the client's: bounded queues, nothing else.

use std::{
    collections::VecDeque,
    sync::{
        Condvar, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering, fence},
    },
    time::{Duration, Instant},
};

use fireside_client_core::{
    Command, CommandError, Event, EventClass, RequestId,
    event::{CallError, Completion},
};
use fireside_protocol::{Code, ConversationId, UserId};
use tokio::sync::Notify;

use crate::{
    limits::{
        EPHEMERAL_KEYS_MAX, EPHEMERAL_MAX, NOTICES_MAX, PENDING_CALLS_MAX, SEARCHES_MAX,
        STATES_MAX, VIEW_EVENTS_MAX,
    },
    lock::Mutex,
    search::SearchQuery,
};

/// What events weigh together between two looks at the clock in a tick, once so many were delivered.
const CLOCK_EVERY: usize = 8;
/// Events of one tick, beside notices, that stay until the next one: as many as can wait at once.
const KEPT_EVENTS_MAX: usize = PENDING_CALLS_MAX + STATES_MAX + VIEW_EVENTS_MAX + EPHEMERAL_MAX;
/// Looks at a queue's lock before the processor is left to whoever has it.
const SPINS_MAX: u32 = 128;

/// What a tick did.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Tick {
    /// Events given to the callback.
    pub delivered: usize,
    /// Events that wait for the next tick.
    pub left: usize,
}

/// Called when something can be ticked, or a search was answered.
pub(crate) type Wake = Box<dyn Fn() + Send>;

/// Events of a class, oldest first. Its lock is held for the few instructions that move one event, and nobody sleeps for it; a channel
/// without locks takes longer for each, and waits for a thread that was interrupted within them just the same.
struct Queue<T> {
    limit: usize,
    /// How many, those that were taken over and not delivered included. So that an idle tick takes no lock.
    waiting: AtomicUsize,
    events: Mutex<VecDeque<T>>,
}

impl<T> Queue<T> {
    fn new(limit: usize) -> Self {
        Self {
            limit,
            waiting: AtomicUsize::new(0),
            // All of it at once: it never grows with the lock held.
            events: Mutex::new(VecDeque::with_capacity(limit)),
        }
    }

    fn len(&self) -> usize {
        self.waiting.load(Ordering::SeqCst)
    }

    fn is_full(&self) -> bool {
        self.len() >= self.limit
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<T>> {
        lock_awake(&self.events)
    }

    /// `false`: there was no room.
    fn push(&self, event: T) -> bool {
        self.offer(event).is_ok()
    }

    /// Gives it back if there was no room.
    fn offer(&self, event: T) -> Result<(), T> {
        let mut events = self.lock();
        if self.is_full() {
            return Err(event);
        }
        events.push_back(event);
        self.waiting.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    fn pop(&self) -> Option<T> {
        if self.len() == 0 {
            return None;
        }
        let event = self.lock().pop_front();
        self.taken(usize::from(event.is_some()));
        event
    }

    /// Takes over all events for an empty queue, with as much room as this one had. They wait until they are [`Queue::taken`].
    fn take_all(&self, empty: &mut VecDeque<T>) {
        std::mem::swap(&mut *self.lock(), empty);
    }

    /// So many events wait no more.
    fn taken(&self, count: usize) {
        self.waiting.fetch_sub(count, Ordering::SeqCst);
    }
}

/// Without a call into the kernel that could put the game's thread to sleep: the other one is done before it could wake it.
fn lock_awake<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    let mut tries = 0;
    loop {
        if let Some(guard) = mutex.try_lock() {
            return guard;
        }
        tries += 1;
        if tries < SPINS_MAX {
            std::hint::spin_loop();
        } else {
            // It was interrupted within them: let it go on.
            std::thread::yield_now();
        }
    }
}

/// What the game does with events.
pub(crate) enum Game<'a> {
    /// They are its own.
    Takes(&'a mut dyn FnMut(Event)),
    /// It looks at them.
    Reads(&'a mut dyn FnMut(&Event)),
}

/// Notices that a tick took over: those that were read, which stay until the next tick, and behind them those that were not
/// delivered yet.
struct Taken {
    events: VecDeque<Event>,
    /// How many were read.
    read: usize,
}

/// Shared by the handles and the client's thread.
pub(crate) struct Queues {
    commands: Queue<(RequestId, Command)>,
    /// Calls taken and not yet delivered as completed.
    pending: AtomicUsize,
    next_request: AtomicU64,
    /// Calls the client's thread has taken from `commands` and not completed. Whoever takes an id out of it completes the call.
    /// Ascending.
    outstanding: Mutex<Vec<RequestId>>,
    completions: Queue<Event>,
    /// Events in `completions` that complete no call.
    states: AtomicUsize,
    views: Queue<Event>,
    notices: Queue<Event>,
    /// Notices that a tick took over.
    taken: Mutex<Taken>,
    /// Other events that the last tick read.
    kept: Mutex<VecDeque<Event>>,
    /// The last tick read something.
    reading: AtomicBool,
    /// What was read before the last tick, for the client's thread to free: it allocated it.
    spent: Mutex<VecDeque<Event>>,
    ephemeral: Queue<Event>,
    /// Eighths of events that the lowest class may take; kept between ticks, so that ticks of one event are fair too.
    low_credit: AtomicUsize,
    /// The client's thread found a queue full.
    starved: AtomicBool,
    /// The game was woken and has not ticked since.
    woken: AtomicBool,
    /// A search was answered since the last tick.
    answered: AtomicBool,
    wake: Mutex<Option<Wake>>,
    /// There was something to wake for, and nobody who waits has seen it.
    told: std::sync::Mutex<bool>,
    telling: Condvar,
    searches: Queue<SearchQuery>,
    /// Wakes the client's thread.
    pub(crate) notify: Notify,
    pub(crate) closing: AtomicBool,
}

impl Queues {
    pub(crate) fn new() -> Self {
        Self {
            commands: Queue::new(PENDING_CALLS_MAX),
            pending: AtomicUsize::new(0),
            next_request: AtomicU64::new(1),
            outstanding: Mutex::default(),
            completions: Queue::new(PENDING_CALLS_MAX + STATES_MAX),
            states: AtomicUsize::new(0),
            views: Queue::new(VIEW_EVENTS_MAX),
            notices: Queue::new(NOTICES_MAX),
            taken: Mutex::new(Taken {
                events: VecDeque::with_capacity(NOTICES_MAX),
                read: 0,
            }),
            kept: Mutex::default(),
            reading: AtomicBool::new(false),
            spent: Mutex::new(VecDeque::with_capacity(NOTICES_MAX)),
            ephemeral: Queue::new(EPHEMERAL_MAX),
            low_credit: AtomicUsize::new(0),
            starved: AtomicBool::new(false),
            woken: AtomicBool::new(false),
            answered: AtomicBool::new(false),
            wake: Mutex::new(None),
            told: std::sync::Mutex::new(false),
            telling: Condvar::new(),
            searches: Queue::new(SEARCHES_MAX),
            notify: Notify::new(),
            closing: AtomicBool::new(false),
        }
    }

    // ---- the game's side

    pub(crate) fn command(&self, command: Command) -> Result<RequestId, CommandError> {
        if self.closing.load(Ordering::SeqCst) {
            return Err(Code::Cancelled.into());
        }
        if self.pending.fetch_add(1, Ordering::SeqCst) >= PENDING_CALLS_MAX {
            self.pending.fetch_sub(1, Ordering::SeqCst);
            return Err(Code::Busy.into());
        }
        let request = self.next_request.fetch_add(1, Ordering::Relaxed);
        if !self.commands.push((request, command)) {
            self.pending.fetch_sub(1, Ordering::SeqCst);
            return Err(Code::Busy.into());
        }
        // Shut down meanwhile: nobody may be there to take it any more.
        if self.closing.load(Ordering::SeqCst) {
            self.cancel_untaken();
        }
        self.notify.notify_one();
        Ok(request)
    }

    pub(crate) fn tick(&self, max_events: usize, max_time: Duration, mut game: Game<'_>) -> Tick {
        // Before the queues are looked at: what comes in from now on wakes again.
        self.woken.store(false, Ordering::SeqCst);
        self.answered.store(false, Ordering::SeqCst);
        self.release();
        let start = Instant::now();
        // Looking at the clock costs as much as a small event: it is done for the first events and then for every few. How many may
        // come before the next look; 0: it is late.
        let mut look_at = 0;
        let mut run = |eighths: u32, delivered: usize, used: usize| {
            if delivered >= CLOCK_EVERY && used < look_at {
                return look_at - used;
            }
            look_at = used + CLOCK_EVERY;
            match start.elapsed() >= max_time / 8 * eighths {
                true => 0,
                false if delivered < CLOCK_EVERY => 1,
                false => CLOCK_EVERY,
            }
        };
        let queues = [
            &self.completions,
            &self.views,
            &self.notices,
            &self.ephemeral,
        ];
        // Events and what they weigh: a reset counts its rows.
        let (mut delivered, mut used) = (0, 0);
        if let Some(lowest) = queues.iter().rposition(|queue| queue.len() > 0) {
            // The lowest class that has something gets an eighth of events and of time, whatever the others have.
            let credit = self.low_credit.load(Ordering::Relaxed);
            let low_due = lowest > 0 && credit + max_events.min(1 << 20) >= 8;
            let reserve = if low_due {
                ((credit + max_events.min(1 << 20)) / 8)
                    .min(queues[lowest].len())
                    .min(max_events)
            } else {
                0
            };
            for queue in &queues[..lowest] {
                // The first event is always delivered: even a budget of nothing gets on.
                while used < max_events - reserve {
                    let run = run(7, delivered, used).max(usize::from(delivered == 0));
                    let most = run.min(max_events - reserve - used);
                    let Some((count, weight)) = self.deliver(queue, most, &mut game) else {
                        break;
                    };
                    delivered += count;
                    used += weight;
                }
            }
            let mut low = 0;
            while used < max_events {
                let first = delivered == 0 || low_due && low == 0;
                let run = run(8, delivered, used).max(usize::from(first));
                let most = run.min(max_events - used);
                let Some((count, weight)) = self.deliver(queues[lowest], most, &mut game) else {
                    break;
                };
                delivered += count;
                used += weight;
                low += weight;
            }
            let keep = if lowest == 0 {
                0
            } else {
                (credit + used)
                    .saturating_sub(low * 8)
                    .min(8 * EPHEMERAL_MAX)
            };
            self.low_credit.store(keep, Ordering::Relaxed);
        }
        fence(Ordering::SeqCst);
        if delivered > 0 && self.starved.swap(false, Ordering::SeqCst) {
            self.notify.notify_one();
        }
        Tick {
            delivered,
            left: self.waiting(),
        }
    }

    /// Delivers up to `most` events of a queue; how many they were and what they weigh, or `None` if there were none.
    fn deliver(
        &self,
        queue: &Queue<Event>,
        most: usize,
        game: &mut Game<'_>,
    ) -> Option<(usize, usize)> {
        if std::ptr::eq(queue, &self.notices) {
            return self.deliver_notices(most, game);
        }
        if matches!(game, Game::Reads(_)) && lock_awake(&self.kept).len() >= KEPT_EVENTS_MAX {
            return None;
        }
        let event = (most > 0).then(|| queue.pop()).flatten()?;
        let weight = event.weight();
        if event.class() == EventClass::Completion {
            match event {
                Event::Completed { .. } => self.pending.fetch_sub(1, Ordering::SeqCst),
                _ => self.states.fetch_sub(1, Ordering::SeqCst),
            };
        }
        match game {
            Game::Takes(on_event) => on_event(event),
            Game::Reads(on_event) => {
                self.reading.store(true, Ordering::Relaxed);
                on_event(&event);
                lock_awake(&self.kept).push_back(event);
            }
        }
        Some((1, weight))
    }

    /// Of notices there are many in a burst: they are taken over all at once, and none of them takes a lock. Each weighs one.
    fn deliver_notices(&self, most: usize, game: &mut Game<'_>) -> Option<(usize, usize)> {
        if most == 0 || self.notices.len() == 0 {
            return None;
        }
        // Held by a tick within a tick: that one does not overtake it.
        let mut taken = self.taken.try_lock()?;
        let Taken { events, read } = &mut *taken;
        if events.is_empty() {
            self.notices.take_all(events);
        }
        let count = most.min(events.len() - *read);
        self.notices.taken(count);
        match game {
            Game::Takes(on_event) => {
                // Left by a tick that only read.
                events.drain(..std::mem::take(read));
                events.drain(..count).for_each(on_event);
            }
            Game::Reads(on_event) => {
                self.reading.store(true, Ordering::Relaxed);
                let begin = *read;
                *read += count;
                events.range(begin..*read).for_each(on_event);
            }
        }
        (count > 0).then_some((count, count))
    }

    /// Lets go of what the last tick read: the client's thread frees it, or, if that has not yet freed what was before, this one.
    fn release(&self) {
        if !self.reading.swap(false, Ordering::Relaxed) {
            return;
        }
        match self.taken.try_lock() {
            Some(mut taken) if taken.read > 0 && taken.read == taken.events.len() => {
                taken.read = 0;
                if let Some(mut spent) = self.spent.try_lock() {
                    std::mem::swap(&mut *spent, &mut taken.events);
                }
                taken.events.clear();
            }
            Some(_) => {}
            // A tick around this one reads from it: the next one lets go of it.
            None => self.reading.store(true, Ordering::Relaxed),
        }
        let mut kept = lock_awake(&self.kept);
        if let Some(mut spent) = self.spent.try_lock() {
            let room = NOTICES_MAX.saturating_sub(spent.len()).min(kept.len());
            spent.extend(kept.drain(..room));
        }
        kept.clear();
    }

    /// Frees, on the client's thread, what was read. `spare` is empty, and so is what it gets.
    fn free_spent(&self, spare: &mut VecDeque<Event>) {
        std::mem::swap(&mut *self.spent.lock(), spare);
        spare.clear();
    }

    pub(crate) fn waiting(&self) -> usize {
        let queues = [
            &self.completions,
            &self.views,
            &self.notices,
            &self.ephemeral,
        ];
        queues.iter().map(|queue| queue.len()).sum()
    }

    pub(crate) fn pending(&self) -> usize {
        self.pending.load(Ordering::SeqCst)
    }

    pub(crate) fn set_wake(&self, wake: Option<Wake>) {
        *self.wake.lock() = wake;
        self.woken.store(false, Ordering::SeqCst);
        // What waits already is told too.
        self.notify.notify_one();
    }

    /// Waits until there is something to wake for. `false`: nothing came in time.
    pub(crate) fn wait(&self, timeout: Duration) -> bool {
        let deadline = Instant::now() + timeout;
        while !self.has_news() {
            let left = deadline.saturating_duration_since(Instant::now());
            let told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
            let waited = self.telling.wait_timeout_while(told, left, |told| !*told);
            let (mut told, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
            *told = false;
            if timeout.timed_out() {
                return self.has_news();
            }
        }
        true
    }

    pub(crate) fn search(&self, query: SearchQuery) -> Result<(), CommandError> {
        if self.closing.load(Ordering::SeqCst) {
            query.refuse();
            return Err(Code::Cancelled.into());
        }
        if let Err(query) = self.searches.offer(query) {
            query.refuse();
            return Err(Code::Busy.into());
        }
        // Shut down meanwhile: nobody may be there to take it any more.
        if self.closing.load(Ordering::SeqCst) {
            std::iter::from_fn(|| self.searches.pop()).for_each(SearchQuery::refuse);
        }
        self.notify.notify_one();
        Ok(())
    }

    // ---- the client thread's side

    pub(crate) fn take_search(&self) -> Option<SearchQuery> {
        self.searches.pop()
    }

    /// The next command, if there is one; from then on it is outstanding.
    pub(crate) fn take_command(&self) -> Option<(RequestId, Command)> {
        let (request, command) = self.commands.pop()?;
        let mut outstanding = self.outstanding.lock();
        let place = outstanding.partition_point(|before| *before < request);
        outstanding.insert(place, request);
        drop(outstanding);
        Some((request, command))
    }

    /// Completes a call, once: a second completion of it goes nowhere.
    pub(crate) fn complete(&self, request: RequestId, result: Result<Completion, CallError>) {
        let mut outstanding = self.outstanding.lock();
        if let Ok(place) = outstanding.binary_search(&request) {
            outstanding.remove(place);
            drop(outstanding);
            self.push_completion(request, result);
        }
    }

    fn push_completion(&self, request: RequestId, result: Result<Completion, CallError>) {
        let pushed = self.completions.push(Event::Completed { request, result });
        debug_assert!(pushed, "a call without its place in the queue");
    }

    /// Completes everything that is pending as cancelled, and ends the searches. Safe to call from both sides at once.
    pub(crate) fn cancel_all(&self) {
        self.cancel_untaken();
        std::iter::from_fn(|| self.searches.pop()).for_each(drop);
        let left = std::mem::take(&mut *self.outstanding.lock());
        for request in left {
            self.push_completion(request, Err(cancelled()));
        }
        self.wake();
    }

    fn cancel_untaken(&self) {
        while let Some((request, _)) = self.commands.pop() {
            self.push_completion(request, Err(cancelled()));
        }
    }

    /// A search has its answer, or will never have one.
    pub(crate) fn answered(&self) {
        self.answered.store(true, Ordering::SeqCst);
        self.wake();
    }

    /// Something can be ticked, or a search was answered since the last tick.
    fn has_news(&self) -> bool {
        self.answered.load(Ordering::SeqCst) || self.waiting() > 0
    }

    /// Tells the game, if it does not know, that there is something for it.
    pub(crate) fn wake(&self) {
        if !self.has_news() || self.woken.swap(true, Ordering::SeqCst) {
            return;
        }
        *self.told.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.telling.notify_one();
        if let Some(wake) = self.wake.lock().as_ref() {
            wake();
        }
    }
}

fn cancelled() -> CallError {
    CallError {
        code: Code::Cancelled,
        text: Code::Cancelled.text().to_owned(),
        retry_after_ms: 0,
    }
}

/// Moves events from the core into the queues; what finds no room waits here (bounded) or in the core.
pub(crate) struct Outlet {
    /// Empty, with room: takes the place of what the game has read.
    spare: VecDeque<Event>,
    missed: u64,
    ephemeral: VecDeque<(EphemeralKey, Event)>,
}

#[derive(Eq, PartialEq)]
enum EphemeralKey {
    Typing(ConversationId, UserId),
    Presence(UserId),
    Other,
}

impl Default for Outlet {
    fn default() -> Self {
        Self {
            spare: VecDeque::with_capacity(NOTICES_MAX),
            missed: 0,
            ephemeral: VecDeque::new(),
        }
    }
}

impl Outlet {
    /// Moves what there is room for. `poll` gives the core's next event of a class. `true` if anything moved.
    pub(crate) fn pump(
        &mut self,
        queues: &Queues,
        mut poll: impl FnMut(EventClass) -> Option<Event>,
    ) -> bool {
        queues.free_spent(&mut self.spare);
        let mut moved = false;
        loop {
            if queues.states.load(Ordering::SeqCst) >= STATES_MAX {
                self.starve(queues);
                if queues.states.load(Ordering::SeqCst) >= STATES_MAX {
                    break;
                }
            }
            let Some(event) = poll(EventClass::Completion) else {
                break;
            };
            moved = true;
            match event {
                Event::Completed { request, result } => queues.complete(request, result),
                other => {
                    queues.states.fetch_add(1, Ordering::SeqCst);
                    let pushed = queues.completions.push(other);
                    debug_assert!(pushed, "a state without its place in the queue");
                }
            }
        }
        while self.room(queues, &queues.views) {
            let Some(event) = poll(EventClass::View) else {
                break;
            };
            moved = true;
            queues.views.push(event);
        }
        if self.missed > 0 && self.room(queues, &queues.notices) {
            moved = true;
            let count = std::mem::take(&mut self.missed);
            queues.notices.push(Event::Missed { count });
        }
        while let Some(event) = poll(EventClass::Notice) {
            moved = true;
            if self.missed > 0 || !self.room(queues, &queues.notices) {
                self.missed += match event {
                    Event::Missed { count } => count,
                    _ => 1,
                };
            } else {
                queues.notices.push(event);
            }
        }
        while let Some(event) = poll(EventClass::Ephemeral) {
            moved = true;
            self.keep_newest(event);
        }
        while !self.ephemeral.is_empty() && self.room(queues, &queues.ephemeral) {
            if let Some((_, event)) = self.ephemeral.pop_front() {
                queues.ephemeral.push(event);
            }
        }
        moved
    }

    fn keep_newest(&mut self, event: Event) {
        let key = match &event {
            Event::Typing {
                conversation, user, ..
            } => EphemeralKey::Typing(*conversation, user.clone()),
            Event::Presence(of) => EphemeralKey::Presence(of.user.clone()),
            _ => EphemeralKey::Other,
        };
        if let Some(slot) = self.ephemeral.iter_mut().find(|(other, _)| *other == key) {
            slot.1 = event;
            return;
        }
        if self.ephemeral.len() == EPHEMERAL_KEYS_MAX {
            self.ephemeral.pop_front();
        }
        self.ephemeral.push_back((key, event));
    }

    fn room(&self, queues: &Queues, queue: &Queue<Event>) -> bool {
        if !queue.is_full() {
            return true;
        }
        self.starve(queues);
        // Looked at again: a tick may have made room before it could see the mark.
        !queue.is_full()
    }

    fn starve(&self, queues: &Queues) {
        queues.starved.store(true, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests;
