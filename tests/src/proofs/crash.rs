//! Kills of server and clients (`kill -9`) at random moments under load. Nothing acknowledged is lost, nothing is doubled, the order
//! is equal on all devices, and what waits in a killed client's outbox arrives.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};
use fireside_protocol::{
    ConversationId, Nonce, UserId,
    frames::{CreateGroup, Join},
};

use super::Scale;
use crate::{
    agent::{Agent, AgentPlan, Report},
    book::{Book, Fate, Promise},
    chance::Chance,
    disk::{cache_is_log, integrity_check},
    process::{Server, ServerPlan},
    wire::{self, Dialer, Target, WholeLog, Wire},
};

const USERS: [&str; 3] = ["anna", "bob", "cleo"];
const DEVICES_EACH: usize = 2;
/// The load is not to be slowed by the rates of a person.
const RATES: &str = "[limits]\nrate_direct_per_s = 10000\nrate_group_per_s = 10000\n\
                     rate_conversation_per_s = 10000\nrate_requests_per_s = 10000\n";
/// The debug switch that makes the store forget the names of commands at each start.
const FORGETFUL: &str = "[store]\nforget_nonces = true\n";
/// Messages that all devices write together before half of the server's kills.
const BURST: u32 = 60;
/// About how long the server takes for them, in ms.
const BURST_TAKES_MS: u64 = 12;
/// Kills within which such a server must have been found out.
const KILLS_TO_FIND: u32 = 120;
/// What must be said of it; another error is no proof.
const FOUND_OUT: &[&str] = &["LOST", "is there twice", "was acked as", ", then "];
/// Until everything written has arrived, after everybody is up again.
const SETTLE: Duration = Duration::from_secs(60);
/// Kills between two looks at everything.
const KILLS_BETWEEN_CHECKS: u32 = 50;

/// 200 kills (a slice: 24) under load. Then a server that forgets the names of commands, which must double something.
///
/// # Errors
/// The first broken promise, or a server that cheats and is not found out.
pub fn run(scale: Scale) -> anyhow::Result<()> {
    let kills = scale.pick(24, 200);
    let mut chance = Chance::new(scale.seed);
    let stage = survive(RATES, kills, KILLS_BETWEEN_CHECKS, &mut chance)?;
    println!("crash: {stage}");
    ensure!(
        stage.kills_of_server > 0 && stage.kills_of_clients > 0,
        "one side was never killed"
    );
    ensure!(
        stage.saved > 0,
        "no killed client had anything in its outbox: nothing was proved"
    );

    let settings = format!("{RATES}{FORGETFUL}");
    match survive(&settings, KILLS_TO_FIND, 4, &mut chance) {
        Ok(_) => bail!("a server that forgets names was not found out in {KILLS_TO_FIND} kills"),
        Err(error) => {
            let text = format!("{error:#}");
            ensure!(
                FOUND_OUT.iter().any(|word| text.contains(word)),
                "forgetful: {text}"
            );
            let last = text.rsplit(": ").next().unwrap_or_default();
            let after = text.split("after kill ").nth(1).unwrap_or_default();
            let after = after.split(':').next().unwrap_or_default();
            println!("crash: a server that forgets names was found out after kill {after}: {last}");
        }
    }
    Ok(())
}

fn survive(settings: &str, kills: u32, every: u32, chance: &mut Chance) -> anyhow::Result<Stage> {
    let folder = tempfile::tempdir()?;
    let mut plan = ServerPlan::new(folder.path());
    settings.clone_into(&mut plan.settings);
    let mut stage = Stage::open(plan, folder.path(), chance.fork())?;
    let outcome = stage.all(kills, every);
    outcome.with_context(|| stage.plan.log_tail())?;
    Ok(stage)
}

/// A user's device: an agent with a folder, restarted after each kill.
struct Device {
    name: String,
    user: usize,
    plan: AgentPlan,
    agent: Option<Agent>,
    /// Shown, not yet sent.
    waiting: HashSet<Nonce>,
    /// It said that its disk did not answer in time and that it goes on in memory: until its next start it promises nothing
    /// about its outbox.
    in_memory: bool,
}

struct Stage {
    plan: ServerPlan,
    server: Option<Server>,
    devices: Vec<Device>,
    users: Vec<UserId>,
    tokens: Vec<String>,
    /// Conversations and who is in them.
    rooms: Vec<(ConversationId, Vec<usize>)>,
    book: Book,
    chance: Chance,
    scratch: PathBuf,
    written: u64,
    kills_of_server: u32,
    kills_of_clients: u32,
    both: u32,
    /// Messages that waited in a killed client's outbox and arrived.
    saved: u64,
    at_risk: HashSet<Nonce>,
    checks: u32,
    messages: u64,
    memory_modes: u32,
}

impl std::fmt::Display for Stage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (_, acked, heard) = self.book.counts();
        write!(
            f,
            "{} kills of the server, {} of clients ({} of both at once); {} messages written on {} devices, {acked} acknowledged, \
             {heard} heard live by others, {} in the logs; {} waited in the outbox of a killed client and arrived; \
             logs and all caches compared {} times; {} times a disk was too slow for a client",
            self.kills_of_server,
            self.kills_of_clients,
            self.both,
            self.written,
            self.devices.len(),
            self.messages,
            self.saved,
            self.checks,
            self.memory_modes
        )
    }
}

impl Stage {
    fn open(mut plan: ServerPlan, folder: &Path, mut chance: Chance) -> anyhow::Result<Self> {
        let server = plan.start()?;
        let target = Target {
            address: server.address(),
            fingerprint: server.fingerprint(),
        };
        let users: Vec<_> = USERS
            .iter()
            .map(|user| UserId::new(user))
            .collect::<Result<_, _>>()?;
        let tokens: Vec<_> = USERS
            .iter()
            .map(|user| plan.token(user))
            .collect::<Result<_, _>>()?;
        let group = make_group(target, &users, &tokens, &mut chance)?;
        let direct =
            |a: usize, b: usize| (ConversationId::direct(&users[a], &users[b]), vec![a, b]);
        let rooms = vec![
            direct(0, 1),
            direct(0, 2),
            direct(1, 2),
            (group, vec![0, 1, 2]),
        ];
        let mut devices = Vec::new();
        for (user, id) in users.iter().enumerate() {
            for n in 1..=DEVICES_EACH {
                let name = format!("{id}-{n}");
                let (folder, log) = (folder.join(&name), folder.join(format!("{name}.log")));
                let token = tokens[user].clone();
                let plan = AgentPlan {
                    target,
                    user: id.clone(),
                    token,
                    folder,
                    log,
                };
                devices.push(Device {
                    name,
                    user,
                    plan,
                    agent: None,
                    waiting: HashSet::new(),
                    in_memory: false,
                });
            }
        }
        let mut stage = Self {
            plan,
            server: Some(server),
            devices,
            users,
            tokens,
            rooms,
            book: Book::default(),
            chance,
            scratch: folder.join("copy"),
            written: 0,
            kills_of_server: 0,
            kills_of_clients: 0,
            both: 0,
            saved: 0,
            at_risk: HashSet::new(),
            checks: 0,
            messages: 0,
            memory_modes: 0,
        };
        for n in 0..stage.devices.len() {
            stage.start_agent(n)?;
        }
        Ok(stage)
    }

    fn all(&mut self, kills: u32, every: u32) -> anyhow::Result<()> {
        for kill in 1..=kills {
            let moment = Instant::now() + Duration::from_millis(self.chance.between(30, 700));
            while Instant::now() < moment {
                self.write_something()?;
                thread::sleep(Duration::from_millis(self.chance.below(12)));
                self.read_reports()?;
            }
            self.kill_something()
                .with_context(|| format!("kill {kill}"))?;
            if kill % every == 0 || kill == kills {
                self.settle()
                    .with_context(|| format!("after kill {kill}"))?;
                self.restart_in_memory()?;
                self.check().with_context(|| format!("after kill {kill}"))?;
            }
        }
        Ok(())
    }

    fn write_something(&mut self) -> anyhow::Result<()> {
        let n = self.chance.below(self.devices.len() as u64) as usize;
        let device = &mut self.devices[n];
        let rooms: Vec<_> = self
            .rooms
            .iter()
            .filter(|(_, in_it)| in_it.contains(&device.user))
            .collect();
        let Some((conversation, members)) = self.chance.pick(&rooms) else {
            return Ok(());
        };
        let conversation = *conversation;
        let Some(agent) = device.agent.as_mut() else {
            return Ok(());
        };
        self.written += 1;
        let text = format!("{} writes {} in {conversation}", device.name, self.written);
        let promise = Promise {
            conversation,
            sender: device.name.clone(),
            text: text.clone(),
            counter: self.written,
            fate: Fate::Doubt,
        };
        self.book.promise(wire::nonce(&mut self.chance), promise);
        match members.as_slice() {
            // A direct conversation is made by its first message, whichever that is.
            [a, b] => {
                let peer = if *a == device.user { *b } else { *a };
                agent.send_to(&self.users[peer], &text)
            }
            _ => agent.send(conversation, &text),
        }
    }

    fn kill_something(&mut self) -> anyhow::Result<()> {
        let both = self.chance.happens(0.1);
        let server = both || self.chance.happens(0.4);
        if server {
            self.kills_of_server += 1;
            if self.chance.happens(0.5) {
                self.burst()?;
            }
            if let Some(mut server) = self.server.take() {
                server.check()?;
                server.kill()?;
            }
        }
        if both || !server {
            let n = self.chance.below(self.devices.len() as u64) as usize;
            self.kills_of_clients += 1;
            if let Some(agent) = self.devices[n].agent.take() {
                for report in agent.kill()? {
                    self.note(n, report)?;
                }
                self.at_risk.extend(self.devices[n].waiting.iter().copied());
            }
            self.start_agent(n)?;
        }
        self.both += u32::from(both);
        if server {
            // Sometimes people write on for a while before it is back.
            let back = Instant::now() + Duration::from_millis(self.chance.below(300));
            while Instant::now() < back {
                self.write_something()?;
                thread::sleep(Duration::from_millis(self.chance.below(12)));
            }
            self.server = Some(self.plan.start()?);
        }
        Ok(())
    }

    /// Much at once, so that the kill falls between a commit and its acknowledgement.
    fn burst(&mut self) -> anyhow::Result<()> {
        for _ in 0..BURST {
            self.write_something()?;
        }
        thread::sleep(Duration::from_millis(self.chance.below(BURST_TAKES_MS)));
        Ok(())
    }

    fn start_agent(&mut self, n: usize) -> anyhow::Result<()> {
        self.devices[n].in_memory = false;
        let mut agent = self.devices[n].plan.start()?;
        for (conversation, members) in &self.rooms {
            if members.contains(&self.devices[n].user) {
                agent.open(*conversation)?;
            }
        }
        self.devices[n].agent = Some(agent);
        Ok(())
    }

    fn read_reports(&mut self) -> anyhow::Result<()> {
        for n in 0..self.devices.len() {
            let reports = self.devices[n]
                .agent
                .as_ref()
                .map(Agent::reports)
                .unwrap_or_default();
            for report in reports {
                self.note(n, report)?;
            }
        }
        Ok(())
    }

    fn note(&mut self, n: usize, report: Report) -> anyhow::Result<()> {
        let device = &mut self.devices[n];
        let own = |text: &str| {
            self.book
                .name_of(text)
                .with_context(|| format!("{text}: whose?"))
        };
        match report {
            Report::Echo(text) => {
                let name = own(&text)?;
                if device.in_memory {
                    return Ok(());
                }
                self.book.shown(name);
                if self.book.fate(name) == Some(Fate::Doubt) {
                    device.waiting.insert(name);
                }
            }
            Report::Sent(text, sequence) => {
                let name = own(&text)?;
                self.book.acked(name, sequence)?;
                device.waiting.remove(&name);
                self.saved += u64::from(self.at_risk.remove(&name));
            }
            Report::Heard {
                conversation,
                sequence,
                text,
            } => {
                let name = own(&text)?;
                self.book.heard_as(name, conversation, sequence)?;
            }
            Report::Failed(text, code) => bail!("{text}: refused for good with {code:?}"),
            Report::Memory(reason) => {
                println!("crash: {}: {reason}; restarted", device.name);
                device.in_memory = true;
                self.memory_modes += 1;
            }
            Report::State(state) if state == "refused" => bail!("{}: log-in refused", device.name),
            Report::Ready | Report::State(_) | Report::Unsent(_) => {}
        }
        Ok(())
    }

    /// Waits until nothing is unsent on any device.
    fn settle(&mut self) -> anyhow::Result<()> {
        let deadline = Instant::now() + SETTLE;
        for n in 0..self.devices.len() {
            loop {
                let left = self.unsent(n)?;
                if left == 0 {
                    break;
                }
                let name = &self.devices[n].name;
                ensure!(
                    Instant::now() < deadline,
                    "{name}: still {left} unsent after {SETTLE:?}"
                );
                thread::sleep(Duration::from_millis(20));
            }
        }
        self.read_reports()
    }

    /// Who went on in memory gets its disk back; all it had written is sent by now.
    fn restart_in_memory(&mut self) -> anyhow::Result<()> {
        for n in 0..self.devices.len() {
            if self.devices[n].in_memory {
                if let Some(agent) = self.devices[n].agent.take() {
                    agent.kill()?;
                }
                self.start_agent(n)?;
            }
        }
        Ok(())
    }

    fn unsent(&mut self, n: usize) -> anyhow::Result<u64> {
        self.devices[n]
            .agent
            .as_mut()
            .context("no agent")?
            .ask_unsent()?;
        loop {
            let agent = self.devices[n].agent.as_ref().context("no agent")?;
            match agent
                .wait(Duration::from_secs(10))
                .context("an agent is silent")?
            {
                Report::Unsent(left) => return Ok(left),
                other => self.note(n, other)?,
            }
        }
    }

    /// Holds the logs against the book, and every device's cache against the logs.
    fn check(&mut self) -> anyhow::Result<()> {
        let logs = self.logs()?;
        let mut logged = HashSet::new();
        self.messages = 0;
        for (conversation, log) in &logs {
            self.messages += self.book.check(*conversation, log)?.messages;
            logged.extend(self.book.names(log)?);
        }
        self.book.check_shown(&logged)?;
        let deadline = Instant::now() + SETTLE;
        for device in &self.devices {
            for (conversation, log) in &logs {
                let is_member = self
                    .rooms
                    .iter()
                    .any(|(room, members)| room == conversation && members.contains(&device.user));
                if !is_member {
                    continue;
                }
                while let Err(error) =
                    cache_is_log(&device.plan.folder, &self.scratch, *conversation, log)
                {
                    ensure!(Instant::now() < deadline, "{}: {error:#}", device.name);
                    thread::sleep(Duration::from_millis(50));
                }
            }
        }
        integrity_check(&self.plan.data, &self.scratch)?;
        self.checks += 1;
        Ok(())
    }

    fn logs(&mut self) -> anyhow::Result<Vec<(ConversationId, WholeLog)>> {
        let server = self.server.as_ref().context("no server")?;
        let target = Target {
            address: server.address(),
            fingerprint: server.fingerprint(),
        };
        let rooms = self.rooms.clone();
        let tokens = self.tokens.clone();
        let device = wire::device(&mut self.chance);
        runtime()?.block_on(async {
            let mut logs = Vec::new();
            for (conversation, members) in rooms {
                let dialer = Dialer::new(target)?;
                let (wire, _) = Wire::log_in(&dialer, &tokens[members[0]], device).await?;
                logs.push((conversation, wire.whole_log(conversation).await?));
                wire.close();
            }
            Ok(logs)
        })
    }
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?)
}

fn make_group(
    target: Target,
    users: &[UserId],
    tokens: &[String],
    chance: &mut Chance,
) -> anyhow::Result<ConversationId> {
    runtime()?.block_on(async {
        let mut wires = Vec::new();
        for token in tokens {
            let (wire, _) =
                Wire::log_in(&Dialer::new(target)?, token, wire::device(chance)).await?;
            wires.push(Arc::new(wire));
        }
        let name = wire::nonce(chance);
        let create = CreateGroup {
            nonce: name,
            name: "all".into(),
            invite: users[1..].to_vec(),
            history_for_joiners: u64::MAX,
            kind: None,
            join: None,
            ends: 0,
            parent: None,
            by_default: false,
        };
        wires[0].command(create).await?.ack()?;
        let group = ConversationId::made(&users[0], name);
        for wire in &wires[1..] {
            let join = Join {
                nonce: wire::nonce(chance),
                conversation: group,
                link: None,
            };
            wire.command(join).await?.ack()?;
        }
        Ok(group)
    })
}
