//! Conversations through a proxy that rebinds, loses, delays, reorders and doubles: nothing is lost, doubled or out of order, and
//! a changed address is no reason to reconnect.

use std::{
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use fireside_client_core::RequestId;
use fireside_protocol::{ConversationId, UserId};

use super::{Ground, runtime};
use crate::{
    book::{Book, Fate, Promise},
    chance::Chance,
    disk::cache_is_log,
    person::{Person, PersonPlan},
    proxy::{Proxy, Weather},
    wire::{self, Dialer, Wire},
};

const PATIENCE: Duration = Duration::from_secs(60);
const USERS: [&str; 4] = ["anna", "bob", "cleo", "dan"];

/// Each with a client, all through one proxy, everybody writing to everybody.
struct Company {
    people: Vec<Person>,
    folders: Vec<PathBuf>,
    book: Book,
    chance: Chance,
    calls: Vec<(usize, RequestId, fireside_protocol::Nonce)>,
    written: u64,
}

impl Company {
    fn open(ground: &Ground, proxy: &Proxy, users: &[&str]) -> anyhow::Result<Self> {
        let mut people = Vec::new();
        let mut folders = Vec::new();
        for user in users {
            let token = ground.plan.token(user)?;
            let folder = ground.folder.path().join(user);
            let target = ground.through(proxy);
            let plan = PersonPlan {
                target,
                user,
                token: &token,
                folder: Some(&folder),
                early_data: true,
            };
            let mut person = plan.start()?;
            person.client.set_background_fill(true)?;
            person.connect(PATIENCE)?;
            people.push(person);
            folders.push(folder);
        }
        let chance = Chance::new(ground.scale.seed);
        Ok(Self {
            people,
            folders,
            book: Book::default(),
            chance,
            calls: Vec::new(),
            written: 0,
        })
    }

    fn write_something(&mut self) -> anyhow::Result<()> {
        let from = self.chance.below(self.people.len() as u64) as usize;
        let step = self.chance.between(1, self.people.len() as u64 - 1) as usize;
        let to = (from + step) % self.people.len();
        let (sender, peer) = (self.people[from].user.clone(), self.people[to].user.clone());
        let conversation = ConversationId::direct(&sender, &peer);
        self.written += 1;
        let text = format!("{sender} writes {} in {conversation}", self.written);
        let name = wire::nonce(&mut self.chance);
        let promise = Promise {
            conversation,
            sender: sender.to_string(),
            text: text.clone(),
            counter: self.written,
            fate: Fate::Doubt,
        };
        self.book.promise(name, promise);
        let request = self.people[from].client.send_to_user(peer, text)?;
        self.calls.push((from, request, name));
        Ok(())
    }

    fn note_all(&mut self) {
        self.people.iter_mut().for_each(Person::note_all);
    }

    /// Waits until every message has a number, and holds all of it against the log and the caches.
    fn check(&mut self, ground: &Ground) -> anyhow::Result<u64> {
        for (from, request, name) in std::mem::take(&mut self.calls) {
            let person = &mut self.people[from];
            person.until("a message sent", PATIENCE, |p| {
                p.completions.contains_key(&request)
            })?;
            let number = person.sent(request)?.context("not sent")?;
            self.book.acked(name, number)?;
        }
        for person in &self.people {
            for heard in &person.heard {
                let name = self
                    .book
                    .name_of(&heard.text)
                    .context("a message nobody wrote")?;
                self.book
                    .heard_as(name, heard.conversation, heard.sequence)?;
            }
        }
        let mut messages = 0;
        let scratch = ground.folder.path().join("copy");
        for a in 0..self.people.len() {
            for b in a + 1..self.people.len() {
                let (one, other) = (&self.people[a].user, &self.people[b].user);
                let room = ConversationId::direct(one, other);
                let log = read_log(ground, one, room)?;
                messages += self.book.check(room, &log)?.messages;
                for n in [a, b] {
                    let deadline = Instant::now() + PATIENCE;
                    while let Err(error) = cache_is_log(&self.folders[n], &scratch, room, &log) {
                        ensure!(
                            Instant::now() < deadline,
                            "{}: {error:#}",
                            self.people[n].user
                        );
                        self.people[n].pump(Duration::from_millis(50));
                    }
                }
            }
        }
        ensure!(
            messages == self.written,
            "{} written, {messages} in the logs",
            self.written
        );
        Ok(messages)
    }
}

fn read_log(
    ground: &Ground,
    user: &UserId,
    room: ConversationId,
) -> anyhow::Result<wire::WholeLog> {
    let token = ground.plan.token(user.as_str())?;
    let device = wire::device(&mut Chance::new(ground.scale.seed ^ 1));
    runtime()?.block_on(async {
        let (wire, _) = Wire::log_in(&Dialer::new(ground.target())?, &token, device).await?;
        let log = wire.whole_log(room).await;
        wire.close();
        log
    })
}

/// The address changes again and again while two people talk.
pub(super) fn rebinding(ground: &mut Ground) -> anyhow::Result<()> {
    let rebinds = ground.scale.pick(8, 60);
    let proxy = Proxy::start(ground.plan.listen, ground.scale.seed)?;
    let mut company = Company::open(ground, &proxy, &USERS[..2])?;
    let before: Vec<_> = company.people.iter().map(connects).collect();
    for _ in 0..rebinds {
        let moment = Instant::now() + Duration::from_millis(company.chance.between(150, 500));
        while Instant::now() < moment {
            company.write_something()?;
            thread::sleep(Duration::from_millis(company.chance.below(20)));
            company.note_all();
        }
        proxy.rebind();
    }
    let messages = company.check(ground)?;
    let after: Vec<_> = company.people.iter().map(connects).collect();
    println!(
        "network: rebinding: {} new addresses in mid-conversation, {messages} messages, each once and in order; \
         log-ins before {before:?}, after {after:?}",
        proxy.rebinds()
    );
    ensure!(proxy.rebinds() >= rebinds, "the proxy did not rebind");
    ensure!(before == after, "a rebinding led to a reconnect");
    Ok(())
}

/// How often a person has come to be connected, and the core's own count of reconnects.
fn connects(person: &Person) -> (usize, u64) {
    let is_up = |state: &_| *state == fireside_client_core::ConnectionState::Connected;
    let ups = person
        .states
        .iter()
        .filter(|(_, state)| is_up(state))
        .count();
    (ups, person.client.stats().counters.reconnects)
}

/// 10 % loss, 200 ms there and back, reordering, duplication, a rebinding now and then.
pub(super) fn bad_weather(ground: &mut Ground) -> anyhow::Result<()> {
    let seconds = ground.scale.pick(12, 90);
    let proxy = Proxy::start(ground.plan.listen, ground.scale.seed)?;
    let mut company = Company::open(ground, &proxy, &USERS)?;
    proxy.set(Weather {
        loss: 0.1,
        delay_ms: 100.0,
        reorder: 0.1,
        reorder_ms: 80.0,
        duplicate: 0.05,
        silent: false,
    });
    let end = Instant::now() + Duration::from_secs(seconds);
    while Instant::now() < end {
        company.write_something()?;
        thread::sleep(Duration::from_millis(company.chance.below(40)));
        company.note_all();
        if company.chance.happens(0.005) {
            proxy.rebind();
        }
    }
    // The weather stays until everything has arrived.
    let messages = company.check(ground)?;
    let (up, down) = (proxy.up(), proxy.down());
    let reconnects: u64 = company
        .people
        .iter()
        .map(|p| p.client.stats().counters.reconnects)
        .sum();
    println!(
        "network: bad weather: {seconds} s, {messages} messages of {} people, each once and in order in logs and caches; \
         {} packets, {} lost, {} reordered, {} doubled, {} rebindings, {reconnects} reconnects",
        company.people.len(),
        up.packets + down.packets,
        up.lost + down.lost,
        up.reordered + down.reordered,
        up.duplicated + down.duplicated,
        proxy.rebinds()
    );
    let faults = [
        up.lost,
        down.lost,
        up.reordered,
        down.reordered,
        up.duplicated,
        down.duplicated,
    ];
    ensure!(
        faults.iter().all(|fault| *fault > 0),
        "a fault never happened: {faults:?}"
    );
    Ok(())
}
