//! More than a server can take, from a process of its own: `fireside-proof flood PLAN` writes messages at a rate, whatever comes back
//! (open), or as fast as they are answered (closed), and tries log-ins beside it. What was acknowledged goes into a file.
//!
//! It is a process of its own so that it can be made `nice`: on a small machine the flood must not starve the server that it floods.

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    io::{BufWriter, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use fireside_protocol::{
    ClientFrame, Code, ConversationId, DeviceId, FrameBuffer, Nonce, ServerFrame,
    limits::FRAME_BYTES_MAX,
};
use quinn::{RecvStream, SendStream};
use serde_json::{Value, json};
use tokio::{sync::Notify, task::JoinSet, time::timeout};

use crate::{
    chance::Chance,
    process::program,
    wire::{Dialer, Target, Wire, device, hello, nonce, text_in},
};

/// How often an open flood writes.
const BURST_EVERY: Duration = Duration::from_millis(10);
/// Messages written at once at most; what is due and not written in time is written later, or never.
const BURST_MAX: u64 = 256;
/// Requests of one session that wait for an answer: the protocol allows 256. An open flood goes on writing beyond it.
const OUTSTANDING_CLOSED: usize = 8;
/// Log-ins tried at the same time in a storm.
const LOGINS_AT_ONCE: usize = 64;
/// Answers are waited for this long after the last write.
const LAST_ANSWERS: Duration = Duration::from_secs(5);

/// Somebody who floods.
#[derive(Clone, Debug)]
pub struct Flooder {
    /// Their token.
    pub token: String,
    /// Their device.
    pub device: DeviceId,
    /// Where they write to.
    pub conversation: ConversationId,
}

/// A flood.
#[derive(Clone, Debug)]
pub struct FloodPlan {
    /// Where the server is.
    pub target: Target,
    /// Who.
    pub flooders: Vec<Flooder>,
    /// Messages per second, of all together; 0: as fast as they are answered.
    pub rate: u64,
    /// How long.
    pub seconds: u64,
    /// Tokens for the log-in storm; empty: none.
    pub storm: Vec<String>,
    /// Chance.
    pub seed: u64,
}

/// What a flood met.
#[derive(Clone, Debug, Default)]
pub struct FloodReport {
    /// Messages written.
    pub written: u64,
    /// Acknowledged, per second of the flood.
    pub acked_in_second: Vec<u64>,
    /// Refused, by code.
    pub refused: BTreeMap<u16, u64>,
    /// Refusals that are not retryable or do not say when.
    pub refused_badly: u64,
    /// Log-ins that were welcome.
    pub logins: u64,
    /// Log-ins that were refused as they should (retryable, with a time), or by the transport.
    pub logins_refused: u64,
    /// Log-ins that were refused otherwise.
    pub logins_refused_badly: u64,
    /// Connections lost.
    pub lost: u64,
    /// Every ack: name, conversation, number.
    pub acked: Vec<(Nonce, ConversationId, u64)>,
}

impl FloodReport {
    /// All acks.
    #[must_use]
    pub fn acks(&self) -> u64 {
        self.acked_in_second.iter().sum()
    }

    /// Acks per second from second `from` on.
    #[must_use]
    pub fn acks_per_s(&self, from: usize, seconds: u64) -> f64 {
        let tail: u64 = self.acked_in_second.iter().skip(from).sum();
        tail as f64 / seconds.saturating_sub(from as u64).max(1) as f64
    }

    /// All refusals.
    #[must_use]
    pub fn refusals(&self) -> u64 {
        self.refused.values().sum()
    }
}

/// A flood under way in another process.
#[derive(Debug)]
pub struct Flooding {
    child: Child,
    plan: PathBuf,
}

impl FloodPlan {
    /// Starts it. Files go into `folder`, named `name`.
    ///
    /// # Errors
    /// When the process can not be started.
    pub fn start(&self, folder: &Path, name: &str) -> anyhow::Result<Flooding> {
        let plan = folder.join(format!("{name}.json"));
        fs::write(&plan, self.to_json().to_string())?;
        let mut command = Command::new("nice");
        command
            .arg("-n")
            .arg("10")
            .arg(program("fireside-proof")?)
            .arg("flood")
            .arg(&plan);
        let child = command.stdin(Stdio::null()).spawn().context("the flood")?;
        Ok(Flooding { child, plan })
    }

    fn to_json(&self) -> Value {
        let flooders: Vec<_> = self
            .flooders
            .iter()
            .map(|f| json!([f.token, f.device.to_string(), f.conversation.to_string()]))
            .collect();
        json!({
            "address": self.target.address.to_string(),
            "fingerprint": self.target.fingerprint.to_vec(),
            "flooders": flooders,
            "rate": self.rate,
            "seconds": self.seconds,
            "storm": self.storm,
            "seed": self.seed,
        })
    }

    fn from_json(json: &Value) -> anyhow::Result<Self> {
        let text = |value: &Value| value.as_str().map(str::to_owned).context("not a text");
        let list = |value: &Value| value.as_array().cloned().context("not a list");
        let number = |value: &Value| value.as_u64().context("not a number");
        let mut fingerprint = [0; 32];
        for (to, from) in fingerprint.iter_mut().zip(list(&json["fingerprint"])?) {
            *to = number(&from)? as u8;
        }
        let flooder = |value: &Value| -> anyhow::Result<Flooder> {
            Ok(Flooder {
                token: text(&value[0])?,
                device: text(&value[1])?.parse()?,
                conversation: text(&value[2])?.parse()?,
            })
        };
        Ok(Self {
            target: Target {
                address: text(&json["address"])?.parse()?,
                fingerprint,
            },
            flooders: list(&json["flooders"])?
                .iter()
                .map(flooder)
                .collect::<Result<_, _>>()?,
            rate: number(&json["rate"])?,
            seconds: number(&json["seconds"])?,
            storm: list(&json["storm"])?
                .iter()
                .map(text)
                .collect::<Result<_, _>>()?,
            seed: number(&json["seed"])?,
        })
    }
}

impl Flooding {
    /// Waits for its end.
    ///
    /// # Errors
    /// When it failed.
    pub fn join(mut self) -> anyhow::Result<FloodReport> {
        let status = self.child.wait()?;
        ensure!(status.success(), "the flood failed: {status}");
        let json: Value = serde_json::from_slice(&fs::read(self.plan.with_extension("report"))?)?;
        let number = |key: &str| json[key].as_u64().unwrap_or_default();
        let mut report = FloodReport {
            written: number("written"),
            refused_badly: number("refused_badly"),
            logins: number("logins"),
            logins_refused: number("logins_refused"),
            logins_refused_badly: number("logins_refused_badly"),
            lost: number("lost"),
            ..FloodReport::default()
        };
        let seconds = json["acked_in_second"].as_array().into_iter().flatten();
        report.acked_in_second = seconds.filter_map(Value::as_u64).collect();
        for (code, count) in json["refused"].as_object().into_iter().flatten() {
            report
                .refused
                .insert(code.parse()?, count.as_u64().unwrap_or_default());
        }
        for line in fs::read_to_string(self.plan.with_extension("acked"))?.lines() {
            let mut words = line.split(' ');
            let mut word = || words.next().context("a cut line");
            report
                .acked
                .push((word()?.parse()?, word()?.parse()?, word()?.parse()?));
        }
        Ok(report)
    }
}

impl Drop for Flooding {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The flooding process.
///
/// # Errors
/// When the plan can not be read, or nobody can log in.
pub fn child(path: &Path) -> anyhow::Result<()> {
    let plan = FloodPlan::from_json(&serde_json::from_slice(&fs::read(path)?)?)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let acked = runtime.block_on(run(&plan))?;
    let state = acked.state();
    let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    let refused: HashMap<_, _> = state
        .refused
        .iter()
        .map(|(k, v)| (k.to_string(), v))
        .collect();
    let report = json!({
        "written": get(&acked.written),
        "acked_in_second": state.acked_in_second,
        "refused": refused,
        "refused_badly": get(&acked.refused_badly),
        "logins": get(&acked.logins),
        "logins_refused": get(&acked.logins_refused),
        "logins_refused_badly": get(&acked.logins_refused_badly),
        "lost": get(&acked.lost),
    });
    fs::write(path.with_extension("report"), report.to_string())?;
    let mut file = BufWriter::new(fs::File::create(path.with_extension("acked"))?);
    for (name, conversation, number) in &state.acked {
        writeln!(file, "{name} {conversation} {number}")?;
    }
    file.flush()?;
    Ok(())
}

#[derive(Default)]
struct State {
    acked_in_second: Vec<u64>,
    refused: BTreeMap<u16, u64>,
    acked: Vec<(Nonce, ConversationId, u64)>,
}

#[derive(Default)]
struct Counts {
    written: AtomicU64,
    refused_badly: AtomicU64,
    logins: AtomicU64,
    logins_refused: AtomicU64,
    logins_refused_badly: AtomicU64,
    lost: AtomicU64,
    state: Mutex<State>,
}

impl Counts {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

async fn run(plan: &FloodPlan) -> anyhow::Result<Arc<Counts>> {
    let counts = Arc::new(Counts::default());
    let mut chance = Chance::new(plan.seed);
    let mut streams = Vec::new();
    for flooder in &plan.flooders {
        let dialer = Dialer::new(plan.target)?;
        let session = open(&dialer, flooder).await.context("a flooder's log-in")?;
        streams.push((session, flooder.conversation));
    }
    let begin = Instant::now();
    let end = begin + Duration::from_secs(plan.seconds);
    let mut tasks = JoinSet::new();
    let rate = plan.rate.div_ceil(plan.flooders.len().max(1) as u64);
    for ((out, input), conversation) in streams {
        let room = Arc::new(Room {
            outstanding: Mutex::default(),
            freed: Notify::new(),
        });
        let closed = plan.rate == 0;
        tasks.spawn(answers(
            input,
            Arc::clone(&room),
            conversation,
            Arc::clone(&counts),
            begin,
            end,
        ));
        let writer = Writer {
            out,
            conversation,
            rate,
            closed,
            room,
            counts: Arc::clone(&counts),
            end,
        };
        tasks.spawn(writer.write(chance.fork()));
    }
    let storm = Arc::new(plan.storm.clone());
    for n in 0..LOGINS_AT_ONCE.min(plan.storm.len()) {
        let (storm, counts, chance) = (Arc::clone(&storm), Arc::clone(&counts), chance.fork());
        tasks.spawn(log_ins(plan.target, storm, n, counts, chance, end));
    }
    tasks.join_all().await;
    Ok(counts)
}

async fn open(dialer: &Dialer, flooder: &Flooder) -> anyhow::Result<(SendStream, RecvStream)> {
    let connection = dialer.connect().await?;
    let (mut out, mut input) = connection.open_bi().await?;
    let mut first = vec![1_u8];
    let hello = ClientFrame::from(hello(&flooder.token, flooder.device));
    first.extend_from_slice(&hello.encode(1));
    out.write_all(&first).await?;
    let mut frames = FrameBuffer::new(FRAME_BYTES_MAX);
    let welcome = crate::wire::next_frame(&mut input, &mut frames).await?;
    ensure!(
        matches!(welcome, Some(ServerFrame::Welcome(_))),
        "no welcome but {welcome:?}"
    );
    ensure!(frames.held() == 0, "more than a welcome");
    Ok((out, input))
}

/// What one session waits for.
struct Room {
    outstanding: Mutex<HashMap<u32, Nonce>>,
    freed: Notify,
}

impl Room {
    fn lock(&self) -> MutexGuard<'_, HashMap<u32, Nonce>> {
        self.outstanding
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

struct Writer {
    out: SendStream,
    conversation: ConversationId,
    rate: u64,
    closed: bool,
    room: Arc<Room>,
    counts: Arc<Counts>,
    end: Instant,
}

impl Writer {
    async fn write(mut self, mut chance: Chance) {
        let begin = Instant::now();
        let (mut request, mut written) = (1_u32, 0_u64);
        let mut ticks = tokio::time::interval(BURST_EVERY);
        while Instant::now() < self.end {
            let burst = if self.closed {
                let free = OUTSTANDING_CLOSED.saturating_sub(self.room.lock().len());
                if free == 0 {
                    drop(timeout(Duration::from_millis(100), self.room.freed.notified()).await);
                    continue;
                }
                free as u64
            } else {
                ticks.tick().await;
                let due = (begin.elapsed().as_secs_f64() * self.rate as f64) as u64;
                due.saturating_sub(written).min(BURST_MAX)
            };
            let mut bytes = Vec::new();
            for _ in 0..burst {
                request += 1;
                let name = nonce(&mut chance);
                let text = format!("flood {request} with some forty bytes of text");
                let frame = ClientFrame::from(text_in(self.conversation, &text, name));
                bytes.extend_from_slice(&frame.encode(request));
                self.room.lock().insert(request, name);
            }
            // The server may push back; then less than planned is offered, and that is the server's good right.
            let left = self.end.saturating_duration_since(Instant::now());
            self.counts.written.fetch_add(burst, Ordering::Relaxed);
            match timeout(left, self.out.write_all(&bytes)).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return Counts::count(&self.counts.lost),
                Err(_) => break,
            }
            written += burst;
        }
        // Answers still come; the stream stays open for them.
        let last = Instant::now() + LAST_ANSWERS;
        while !self.room.lock().is_empty() && Instant::now() < last {
            drop(timeout(Duration::from_millis(100), self.room.freed.notified()).await);
        }
    }
}

async fn answers(
    mut input: RecvStream,
    room: Arc<Room>,
    conversation: ConversationId,
    counts: Arc<Counts>,
    begin: Instant,
    end: Instant,
) {
    let mut frames = FrameBuffer::new(FRAME_BYTES_MAX);
    loop {
        let left = (end + LAST_ANSWERS).saturating_duration_since(Instant::now());
        let done = Instant::now() >= end && room.lock().is_empty();
        if done || left.is_zero() {
            return;
        }
        let patience = left.min(Duration::from_millis(200));
        let chunk = match timeout(patience, input.read_chunk(64 * 1024, true)).await {
            Ok(Ok(Some(chunk))) => chunk,
            Err(_) => continue,
            Ok(_) => return Counts::count(&counts.lost),
        };
        frames.extend(&chunk.bytes);
        while let Ok(Some(raw)) = frames.next_frame() {
            let Some(name) = (raw.request != 0)
                .then(|| room.lock().remove(&raw.request))
                .flatten()
            else {
                continue;
            };
            room.freed.notify_one();
            match raw.server() {
                Ok(ServerFrame::Ack(ack)) => {
                    let second = begin.elapsed().as_secs() as usize;
                    let mut state = counts.state();
                    if state.acked_in_second.len() <= second {
                        state.acked_in_second.resize(second + 1, 0);
                    }
                    state.acked_in_second[second] += 1;
                    state.acked.push((name, conversation, ack.sequence));
                }
                Ok(ServerFrame::Refused(refused)) => {
                    let code = refused.code();
                    if !code.retryable() || refused.retry_after_ms == 0 {
                        Counts::count(&counts.refused_badly);
                    }
                    *counts.state().refused.entry(code.number()).or_default() += 1;
                }
                _ => Counts::count(&counts.refused_badly),
            }
        }
    }
}

/// Logs in and goes away, again and again.
async fn log_ins(
    target: Target,
    tokens: Arc<Vec<String>>,
    first: usize,
    counts: Arc<Counts>,
    mut chance: Chance,
    end: Instant,
) {
    let mut n = first;
    while Instant::now() < end {
        let Some(token) = tokens.get(n % tokens.len()) else {
            return;
        };
        n += LOGINS_AT_ONCE;
        let Ok(dialer) = Dialer::new(target) else {
            return;
        };
        let login = Wire::log_in(&dialer, token, device(&mut chance));
        match timeout(Duration::from_secs(10), login).await {
            Ok(Ok((wire, _))) => {
                Counts::count(&counts.logins);
                wire.close();
            }
            Ok(Err(error)) if refused_well(&error) => Counts::count(&counts.logins_refused),
            Ok(Err(_)) => Counts::count(&counts.logins_refused_badly),
            Err(_) => Counts::count(&counts.logins_refused),
        }
    }
}

/// Whether a log-in failed in a way that a client tries again later.
fn refused_well(error: &anyhow::Error) -> bool {
    match error.downcast_ref::<crate::wire::LoginRefused>() {
        Some(refused) => refused.code.retryable() && refused.retry_after_ms > 0,
        // The transport refused the connection, or it timed out: it is tried again too.
        None => error.chain().any(|cause| {
            cause
                .downcast_ref::<quinn::ConnectionError>()
                .is_some_and(|cause| match cause {
                    quinn::ConnectionError::ApplicationClosed(close) => {
                        let code = u64::from(close.error_code);
                        u16::try_from(code).is_ok_and(|code| Code::from_number(code).retryable())
                    }
                    quinn::ConnectionError::ConnectionClosed(close) => {
                        close.error_code == quinn::TransportErrorCode::CONNECTION_REFUSED
                    }
                    quinn::ConnectionError::TimedOut => true,
                    _ => false,
                })
        }),
    }
}
