//! A steady load of bare clients that survives the server's deaths: each pair of users has a lane, one message at a time, named
//! before its first try and repeated under the same name until it has an outcome.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::Context;
use fireside_protocol::{
    ConversationId, DeviceId, Nonce, ServerFrame, UserId,
    frames::{CreateGroup, Join},
};
use tokio::task::JoinSet;

use crate::{
    book::{Book, Checked, Fate, Promise},
    chance::Chance,
    process::{Server, ServerPlan},
    wire::{Dialer, Outcome, Target, Wire, device, nonce, text_in, text_to},
};

/// A pause after a refusal that names none.
const PAUSE: Duration = Duration::from_millis(50);

/// Longest pause between two messages of a lane, in ms: enough messages to be under way at any moment, few enough to read them
/// all after each death of the server.
const PAUSE_MS_MAX: u64 = 30;

#[derive(Clone, Debug)]
enum Room {
    Direct(UserId),
    Group(ConversationId),
}

/// One sender in one conversation.
#[derive(Clone, Debug)]
struct Way {
    user: usize,
    room: Room,
    sent: u64,
    in_doubt: Option<(Nonce, String)>,
}

#[derive(Clone, Debug)]
struct Person {
    id: UserId,
    token: String,
    device: DeviceId,
}

/// The people, their lanes, and the book of what they were promised.
pub struct Load {
    people: Vec<Person>,
    ways: Vec<Arc<Mutex<Way>>>,
    book: Arc<Mutex<Book>>,
    breaches: Arc<Mutex<Vec<String>>>,
    chance: Chance,
    group: Option<ConversationId>,
}

impl Load {
    /// `people` users, each writing to the next `peers` users.
    ///
    /// # Errors
    /// When tokens can not be made.
    pub fn new(plan: &ServerPlan, people: usize, peers: usize, seed: u64) -> anyhow::Result<Self> {
        let mut chance = Chance::new(seed);
        let person = |n: usize, chance: &mut Chance| -> anyhow::Result<Person> {
            let name = format!("user-{n}");
            let token = plan.token(&name)?;
            Ok(Person {
                id: UserId::new(&name)?,
                token,
                device: device(chance),
            })
        };
        let people: Vec<_> = (0..people)
            .map(|n| person(n, &mut chance))
            .collect::<anyhow::Result<_>>()?;
        let mut ways = Vec::new();
        for user in 0..people.len() {
            for step in 1..=peers {
                let peer = people[(user + step) % people.len()].id.clone();
                ways.push(Way {
                    user,
                    room: Room::Direct(peer),
                    sent: 0,
                    in_doubt: None,
                });
            }
        }
        let ways = ways
            .into_iter()
            .map(|way| Arc::new(Mutex::new(way)))
            .collect();
        Ok(Self {
            people,
            ways,
            book: Arc::default(),
            breaches: Arc::default(),
            chance,
            group: None,
        })
    }

    /// Everybody connects.
    ///
    /// # Errors
    /// When one can not.
    pub async fn connect(&self, server: &Server) -> anyhow::Result<Vec<Arc<Wire>>> {
        let target = Target {
            address: server.address(),
            fingerprint: server.fingerprint(),
        };
        let mut wires = Vec::new();
        for person in &self.people {
            // A socket each, as people have.
            let dialer = Dialer::new(target)?;
            let logged_in = Wire::log_in(&dialer, &person.token, person.device).await;
            wires.push(Arc::new(
                logged_in.with_context(|| person.id.to_string())?.0,
            ));
        }
        Ok(wires)
    }

    /// Makes one group of everybody, in which everybody writes too.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn make_group(&mut self, wires: &[Arc<Wire>]) -> anyhow::Result<()> {
        let (Some(owner), Some(first)) = (wires.first(), self.people.first()) else {
            return Ok(());
        };
        let name = nonce(&mut self.chance);
        let invite = self
            .people
            .iter()
            .skip(1)
            .map(|person| person.id.clone())
            .collect();
        let create = CreateGroup {
            nonce: name,
            name: "all".into(),
            invite,
            history_for_joiners: u64::MAX,
            kind: None,
            join: None,
            ends: 0,
            parent: None,
            by_default: false,
        };
        owner.command(create).await?.ack()?;
        let group = ConversationId::made(&first.id, name);
        for wire in &wires[1..] {
            let join = Join {
                nonce: nonce(&mut self.chance),
                conversation: group,
                link: None,
            };
            wire.command(join).await?.ack()?;
        }
        for user in 0..self.people.len() {
            let way = Way {
                user,
                room: Room::Group(group),
                sent: 0,
                in_doubt: None,
            };
            self.ways.push(Arc::new(Mutex::new(way)));
        }
        self.group = Some(group);
        Ok(())
    }

    /// Everybody writes and listens, until the returned set is dropped or the connections end.
    pub fn run(&mut self, wires: &[Arc<Wire>]) -> JoinSet<()> {
        let mut tasks = JoinSet::new();
        for wire in wires {
            tasks.spawn(listen(
                Arc::clone(wire),
                Arc::clone(&self.book),
                Arc::clone(&self.breaches),
            ));
        }
        for way in &self.ways {
            let wire = Arc::clone(&wires[lock(way).user]);
            let writer = Writer {
                way: Arc::clone(way),
                wire,
                book: Arc::clone(&self.book),
                breaches: Arc::clone(&self.breaches),
                chance: self.chance.fork(),
            };
            tasks.spawn(writer.write());
        }
        tasks
    }

    /// Repeats what is in doubt until everything has an outcome.
    ///
    /// # Errors
    /// When a connection ends.
    pub async fn settle(&mut self, wires: &[Arc<Wire>]) -> anyhow::Result<()> {
        for way in &self.ways {
            let mut writer = Writer {
                way: Arc::clone(way),
                wire: Arc::clone(&wires[lock(way).user]),
                book: Arc::clone(&self.book),
                breaches: Arc::clone(&self.breaches),
                chance: self.chance.fork(),
            };
            while lock(way).in_doubt.is_some() {
                anyhow::ensure!(writer.step().await, "the connection ended");
            }
        }
        Ok(())
    }

    /// Reads every conversation, as one of its members or (`thorough`) as each of them, and holds it against the book.
    ///
    /// # Errors
    /// The first broken promise.
    pub async fn check(&self, wires: &[Arc<Wire>], thorough: bool) -> anyhow::Result<Checked> {
        let mut all = Checked::default();
        if let Some(breach) = lock(&self.breaches).first() {
            anyhow::bail!("{breach}");
        }
        let mut rooms: Vec<(ConversationId, usize)> = Vec::new();
        for way in &self.ways {
            let way = lock(way).clone();
            let room = (self.conversation(&way), way.user);
            if !rooms.contains(&room) {
                rooms.push(room);
            }
        }
        let mut first_seen = std::collections::HashMap::new();
        for (conversation, user) in rooms {
            if !thorough && first_seen.contains_key(&conversation) {
                continue;
            }
            let mut log = wires[user].whole_log(conversation).await?;
            let checked = lock(&self.book).check(conversation, &log)?;
            // Only senders need to see the names of their commands.
            log.items.iter_mut().for_each(|item| item.nonce = None);
            match first_seen.get(&conversation) {
                None => {
                    all.messages += checked.messages;
                    all.acked += checked.acked;
                    all.doubtful += checked.doubtful;
                    first_seen.insert(conversation, log);
                }
                Some(other) => anyhow::ensure!(*other == log, "two members see different logs"),
            }
        }
        Ok(all)
    }

    /// Commands, acks, and messages heard so far.
    #[must_use]
    pub fn counts(&self) -> (u64, u64, u64) {
        lock(&self.book).counts()
    }

    fn conversation(&self, way: &Way) -> ConversationId {
        match &way.room {
            Room::Direct(peer) => ConversationId::direct(&self.people[way.user].id, peer),
            Room::Group(group) => *group,
        }
    }
}

struct Writer {
    way: Arc<Mutex<Way>>,
    wire: Arc<Wire>,
    book: Arc<Mutex<Book>>,
    breaches: Arc<Mutex<Vec<String>>>,
    chance: Chance,
}

impl Writer {
    async fn write(mut self) {
        while self.step().await {
            let pause = self.chance.below(PAUSE_MS_MAX);
            tokio::time::sleep(Duration::from_millis(pause)).await;
        }
    }

    /// Sends the message in doubt, or else a new one, once. `false`: the connection has ended.
    async fn step(&mut self) -> bool {
        let user = self.wire.user().clone();
        let (name, text, room) = {
            let mut way = lock(&self.way);
            let (name, text) = match way.in_doubt.clone() {
                Some(doubt) => doubt,
                None => promise(&mut way, &user, &self.book, &mut self.chance),
            };
            (name, text, way.room.clone())
        };
        let frame = match &room {
            Room::Direct(peer) => text_to(&user, peer, &text, name),
            Room::Group(group) => text_in(*group, &text, name),
        };
        let noted = match self.wire.command(frame).await {
            Err(_) => return false,
            Ok(Outcome::Acked(ack)) => lock(&self.book).acked(name, ack.sequence),
            Ok(Outcome::Refused(refused)) if refused.code().retryable() => {
                let pause = Duration::from_millis(refused.retry_after_ms).max(PAUSE);
                tokio::time::sleep(pause).await;
                return true;
            }
            Ok(Outcome::Refused(refused)) => {
                let code = refused.code();
                let noted = lock(&self.book).refused(name, code);
                noted.and(Err(anyhow::anyhow!(
                    "{text}: refused for good with {code:?}"
                )))
            }
        };
        if let Err(error) = noted {
            lock(&self.breaches).push(error.to_string());
        }
        lock(&self.way).in_doubt = None;
        true
    }
}

/// A new message, in the book before it is sent.
fn promise(
    way: &mut Way,
    user: &UserId,
    book: &Mutex<Book>,
    chance: &mut Chance,
) -> (Nonce, String) {
    way.sent += 1;
    let conversation = match &way.room {
        Room::Direct(peer) => ConversationId::direct(user, peer),
        Room::Group(group) => *group,
    };
    let (name, counter) = (nonce(chance), way.sent);
    let text = format!("{user} says {counter} of many things in {conversation}");
    let promise = Promise {
        conversation,
        sender: user.to_string(),
        text: text.clone(),
        counter,
        fate: Fate::Doubt,
    };
    lock(book).promise(name, promise);
    way.in_doubt = Some((name, text.clone()));
    (name, text)
}

async fn listen(wire: Arc<Wire>, book: Arc<Mutex<Book>>, breaches: Arc<Mutex<Vec<String>>>) {
    while let Some(event) = wire.next_event().await {
        if let ServerFrame::Entry(entry) = event
            && let Err(error) = lock(&book).heard(&entry)
        {
            lock(&breaches).push(error.to_string());
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
