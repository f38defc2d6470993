//! A person's client in a process of its own, so that it can be killed. It is the product's client (`fireside-client`) with its
//! cache and outbox in a folder; commands come as JSON lines on standard input, what happens goes out as JSON lines.
//!
//! | in | |
//! |---|---|
//! | `{"do":"send","conversation":HEX,"text":T}` or `{"do":"send","user":U,"text":T}` | a text message |
//! | `{"do":"open","conversation":HEX}` | puts the timeline on screen; without it there are no echoes |
//! | `{"do":"unsent"}` | answered with `{"is":"unsent","count":N}`: rows of open timelines that wait in the outbox |
//! | `{"do":"quit"}` | a clean end |
//!
//! | out | |
//! |---|---|
//! | `{"is":"ready"}` | the process runs |
//! | `{"is":"state","state":"connected"}` | also `offline`, `connecting`, `reconnecting`, `refused` |
//! | `{"is":"echo","text":T}` | an own message is shown, so it must never be lost |
//! | `{"is":"sent","text":T,"sequence":N}` | an own message is acknowledged |
//! | `{"is":"failed","text":T,"code":N}` | an own message is refused for good |
//! | `{"is":"heard","conversation":HEX,"sequence":N,"text":T,"sender":U}` | a message of somebody else came |
//! | `{"is":"memory","reason":T}` | the cache could not be used |

use std::{
    collections::{HashMap, HashSet},
    fs::File,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command as Process, Stdio},
    sync::mpsc::{self, Receiver, RecvTimeoutError},
    thread,
    time::Duration,
};

use anyhow::{Context, bail, ensure};
use fireside_client::{Client, ClientConfig, Trust};
use fireside_client_core::{
    Command, ConnectionState, Event, RequestId,
    command::Recipient,
    event::Completion,
    view::{Body, MessageState, TimelineRow},
};
use fireside_protocol::{Code, ConversationId, UserId};
use serde_json::{Value, json};

use crate::{
    process::{memory_bytes, program},
    wire::Target,
};

/// An agent looks at its input and its client at least this often.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Largest delay before a reconnect, in ms: a proof does not wait half a minute for each restart of the server.
const RECONNECT_MS_MAX: u64 = 500;

/// How to start an agent.
#[derive(Clone, Debug)]
pub struct AgentPlan {
    /// Where the server is.
    pub target: Target,
    /// Who.
    pub user: UserId,
    /// Their token.
    pub token: String,
    /// Where cache and outbox are.
    pub folder: PathBuf,
    /// Standard error goes here, appended.
    pub log: PathBuf,
}

/// A running agent. Dropping it kills it.
#[derive(Debug)]
pub struct Agent {
    child: Child,
    input: ChildStdin,
    reports: Receiver<Report>,
}

/// What an agent reported.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Report {
    /// The process runs.
    Ready,
    /// The connection's state.
    State(String),
    /// An own message is shown.
    Echo(String),
    /// An own message has a number.
    Sent(String, u64),
    /// An own message is refused for good.
    Failed(String, Code),
    /// Somebody's message came.
    Heard {
        /// Where.
        conversation: ConversationId,
        /// Its number.
        sequence: u64,
        /// What.
        text: String,
    },
    /// Rows that wait in the outbox.
    Unsent(u64),
    /// The cache could not be used.
    Memory(String),
}

impl AgentPlan {
    /// Starts it and waits until it runs.
    ///
    /// # Errors
    /// When it does not.
    pub fn start(&self) -> anyhow::Result<Agent> {
        let log = File::options().create(true).append(true).open(&self.log)?;
        let fingerprint: String = self
            .target
            .fingerprint
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let mut child = Process::new(program("fireside-agent")?)
            .arg(self.target.address.to_string())
            .arg(fingerprint)
            .arg(self.user.as_str())
            .arg(&self.token)
            .arg(&self.folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()?;
        let input = child.stdin.take().context("no standard input")?;
        let output = child.stdout.take().context("no standard output")?;
        let (sender, reports) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                // A line cut by a kill is no report.
                if let Ok(json) = serde_json::from_str::<Value>(&line)
                    && let Some(report) = Report::from_json(&json)
                {
                    drop(sender.send(report));
                }
            }
        });
        let agent = Agent {
            child,
            input,
            reports,
        };
        let first = agent.reports.recv_timeout(Duration::from_secs(20));
        ensure!(
            first == Ok(Report::Ready),
            "{}: the agent does not start: {first:?}",
            self.user
        );
        Ok(agent)
    }
}

impl Agent {
    /// Sends a text.
    ///
    /// # Errors
    /// When the agent is gone.
    pub fn send(&mut self, conversation: ConversationId, text: &str) -> anyhow::Result<()> {
        let conversation = conversation.to_string();
        self.order(&json!({"do": "send", "conversation": conversation, "text": text}))
    }

    /// Sends a text to a user: also makes the direct conversation.
    ///
    /// # Errors
    /// When the agent is gone.
    pub fn send_to(&mut self, user: &UserId, text: &str) -> anyhow::Result<()> {
        self.order(&json!({"do": "send", "user": user.as_str(), "text": text}))
    }

    /// Puts a conversation on screen.
    ///
    /// # Errors
    /// When the agent is gone.
    pub fn open(&mut self, conversation: ConversationId) -> anyhow::Result<()> {
        self.order(&json!({"do": "open", "conversation": conversation.to_string()}))
    }

    /// Asks how many rows wait in the outbox; answered with [`Report::Unsent`].
    ///
    /// # Errors
    /// When the agent is gone.
    pub fn ask_unsent(&mut self) -> anyhow::Result<()> {
        self.order(&json!({"do": "unsent"}))
    }

    /// What it has reported and nobody has taken yet.
    #[must_use]
    pub fn reports(&self) -> Vec<Report> {
        self.reports.try_iter().collect()
    }

    /// Waits for a report.
    #[must_use]
    pub fn wait(&self, timeout: Duration) -> Option<Report> {
        self.reports.recv_timeout(timeout).ok()
    }

    /// Resident memory in bytes.
    ///
    /// # Errors
    /// When it is gone.
    pub fn memory_bytes(&self) -> anyhow::Result<u64> {
        memory_bytes(self.child.id())
    }

    /// `kill -9`, then everything it had reported.
    ///
    /// # Errors
    /// When it had ended by itself.
    pub fn kill(mut self) -> anyhow::Result<Vec<Report>> {
        if let Some(status) = self.child.try_wait()? {
            bail!("the agent had ended by itself: {status}");
        }
        self.child.kill()?;
        self.child.wait()?;
        // The reader ends with the pipe; then everything is here.
        let mut reports = Vec::new();
        while let Ok(report) = self.reports.recv_timeout(Duration::from_secs(5)) {
            reports.push(report);
        }
        Ok(reports)
    }

    fn order(&mut self, order: &Value) -> anyhow::Result<()> {
        writeln!(self.input, "{order}").context("the agent is gone")
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Report {
    fn from_json(json: &Value) -> Option<Self> {
        let text = |key: &str| json.get(key).and_then(Value::as_str).map(str::to_owned);
        let number = |key: &str| json.get(key).and_then(Value::as_u64);
        Some(match json.get("is")?.as_str()? {
            "ready" => Self::Ready,
            "state" => Self::State(text("state")?),
            "echo" => Self::Echo(text("text")?),
            "sent" => Self::Sent(text("text")?, number("sequence")?),
            "failed" => Self::Failed(
                text("text")?,
                Code::from_number(u16::try_from(number("code")?).ok()?),
            ),
            "heard" => Self::Heard {
                conversation: text("conversation")?.parse().ok()?,
                sequence: number("sequence")?,
                text: text("text")?,
            },
            "unsent" => Self::Unsent(number("count")?),
            "memory" => Self::Memory(text("reason")?),
            _ => return None,
        })
    }
}

// --- the process -----------------------------------------------------------------------------------------------------------------

enum Turn {
    Line(String),
    Wake,
    End,
}

/// The agent's process: `fireside-agent ADDRESS FINGERPRINT USER TOKEN FOLDER`.
///
/// # Errors
/// When the arguments make no sense, or the client can not start.
pub fn child(arguments: &[String]) -> anyhow::Result<()> {
    let [address, fingerprint, user, token, folder] = arguments else {
        bail!("usage: fireside-agent ADDRESS FINGERPRINT USER TOKEN FOLDER");
    };
    let line = format!("certificate sha256 {fingerprint}");
    let trust = Trust::Pinned(crate::process::fingerprint_on(&line)?);
    let mut config = ClientConfig::new(address, trust, token);
    config.user = Some(UserId::new(user)?);
    config.folder = Some(Path::new(folder).to_owned());
    config.reconnect_delay_ms_max = RECONNECT_MS_MAX;
    let client = Client::start(config)?;
    let (turns, turns_in) = mpsc::channel();
    let waker = turns.clone();
    client.set_wake(move || drop(waker.send(Turn::Wake)));
    thread::spawn(move || {
        for line in std::io::stdin().lines().map_while(Result::ok) {
            drop(turns.send(Turn::Line(line)));
        }
        drop(turns.send(Turn::End));
    });
    let mut desk = Desk::new(client, UserId::new(user)?);
    desk.say(&json!({"is": "ready"}));
    desk.client.set_background_fill(true)?;
    desk.client.set_visible(true)?;
    desk.client.connect()?;
    loop {
        match turns_in.recv_timeout(LOOK_EVERY) {
            Ok(Turn::Line(line)) => {
                if !desk.obey(&serde_json::from_str(&line)?)? {
                    break;
                }
            }
            Ok(Turn::Wake) | Err(RecvTimeoutError::Timeout) => {}
            Ok(Turn::End) | Err(RecvTimeoutError::Disconnected) => break,
        }
        desk.tick();
    }
    desk.client.shutdown(Duration::from_millis(250));
    desk.tick();
    Ok(())
}

struct Desk {
    client: Client,
    user: UserId,
    calls: HashMap<RequestId, String>,
    timelines: HashMap<ConversationId, Vec<TimelineRow>>,
    echoed: HashSet<String>,
    sent: HashSet<String>,
}

impl Desk {
    fn new(client: Client, user: UserId) -> Self {
        Self {
            client,
            user,
            calls: HashMap::new(),
            timelines: HashMap::new(),
            echoed: HashSet::new(),
            sent: HashSet::new(),
        }
    }

    fn say(&self, report: &Value) {
        // Nobody listens any more: the input's end will end us.
        drop(writeln!(std::io::stdout().lock(), "{report}"));
    }

    /// `false`: quit.
    fn obey(&mut self, order: &Value) -> anyhow::Result<bool> {
        let text = |key: &str| order.get(key).and_then(Value::as_str);
        let conversation = text("conversation")
            .map(str::parse::<ConversationId>)
            .transpose()?;
        match text("do") {
            Some("send") => {
                let to = match (text("user"), conversation) {
                    (Some(user), _) => Recipient::User(UserId::new(user)?),
                    (None, Some(conversation)) => Recipient::Conversation(conversation),
                    _ => bail!("send to whom?"),
                };
                let text = text("text").context("no text")?.to_owned();
                let send = Command::SendText {
                    to,
                    text: text.clone(),
                };
                match self.client.command(send) {
                    Ok(request) => drop(self.calls.insert(request, text)),
                    // Not taken: nothing was shown, nothing is promised.
                    Err(error) => eprintln!("{text}: not taken: {error}"),
                }
            }
            Some("open") => {
                let conversation = conversation.context("open what?")?;
                self.client.open(conversation)?;
            }
            Some("unsent") => {
                let rows = self.timelines.values().flatten();
                let count = rows
                    .filter(|row| row.state == MessageState::Sending)
                    .count();
                self.say(&json!({"is": "unsent", "count": count + self.calls.len()}));
            }
            Some("quit") => return Ok(false),
            other => bail!("do what? {other:?}"),
        }
        Ok(true)
    }

    fn tick(&mut self) {
        let mut events = Vec::new();
        loop {
            let tick = self
                .client
                .tick(256, Duration::from_millis(50), &mut |e| events.push(e));
            if tick.left == 0 {
                break;
            }
        }
        for event in events {
            self.take(event);
        }
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::State(state) => {
                let state = match state {
                    ConnectionState::Offline => "offline",
                    ConnectionState::Connecting => "connecting",
                    ConnectionState::Connected => "connected",
                    ConnectionState::Reconnecting { .. } => "reconnecting",
                    ConnectionState::Refused { .. } => "refused",
                };
                self.say(&json!({"is": "state", "state": state}));
            }
            Event::Completed { request, result } => {
                let Some(text) = self.calls.remove(&request) else {
                    return;
                };
                match result {
                    Ok(Completion::Sent { sequence, .. }) => self.tell_sent(&text, sequence),
                    Ok(_) => {}
                    Err(error) if error.code == Code::Cancelled => {}
                    Err(error) => {
                        let code = error.code.number();
                        self.say(&json!({"is": "failed", "text": text, "code": code}));
                    }
                }
            }
            Event::Timeline {
                conversation,
                diffs,
                ..
            } => {
                let mut rows = self.timelines.remove(&conversation).unwrap_or_default();
                for diff in &diffs {
                    if !diff.apply(&mut rows) {
                        eprintln!("a diff does not fit the view of {conversation}: {diff:?}");
                    }
                }
                for row in &rows {
                    self.look_at(row);
                }
                self.timelines.insert(conversation, rows);
            }
            Event::MessageReceived {
                conversation,
                sequence,
                sender,
                text: Some(text),
                ..
            } if sender != self.user => {
                let conversation = conversation.to_string();
                let (text, sender) = (&*text, sender.as_str());
                self.say(&json!({"is": "heard", "conversation": conversation, "sequence": sequence, "text": text, "sender": sender}));
            }
            Event::MemoryMode { reason } => self.say(&json!({"is": "memory", "reason": reason})),
            _ => {}
        }
    }

    fn look_at(&mut self, row: &TimelineRow) {
        let Body::Text(text) = &row.body else { return };
        if row.sender != self.user {
            return;
        }
        match (&row.state, row.sequence) {
            (MessageState::Sending, _) if self.echoed.insert(text.to_string()) => {
                self.say(&json!({"is": "echo", "text": **text}));
            }
            (MessageState::Sending, _) => {}
            (MessageState::Failed(code), _) => {
                let code = code.number();
                self.say(&json!({"is": "failed", "text": **text, "code": code}));
            }
            (_, Some(sequence)) => self.tell_sent(text, sequence),
            _ => {}
        }
    }

    fn tell_sent(&mut self, text: &str, sequence: u64) {
        if self.sent.insert(text.to_owned()) {
            self.say(&json!({"is": "sent", "text": text, "sequence": sequence}));
        }
    }
}
