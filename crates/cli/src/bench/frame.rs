//! What a frame costs the game's thread: 1,000 text messages of 120 bytes in 7 conversations, 3 of them on screen, taken in one tick and
//! read to the last byte, in Rust, in Bevy and in C. The limit is not another program but the frame: 200 µs (400 in Bevy).

use std::{
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::{Arc, mpsc},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};
use fireside_client::Trust;
use fireside_protocol::ConversationId;
use serde_json::{Value, json};

use crate::bench::{
    BenchArgs,
    process::{Programs, Server},
    report::{Aim, Case, Report},
    rounds::{Sample, alternate},
    wire::{Clients, SOCKETS, Session, message},
    world::{self, Folder, Nonces},
};

/// Who writes, each in a direct conversation.
const PEERS: usize = 7;
/// Messages of a burst.
const MESSAGES: usize = 1_000;
/// Bytes of a text.
const TEXT_BYTES: usize = 120;
/// Bursts of a round.
const BURSTS: usize = 5;
/// Who reads.
const READER: usize = PEERS;
/// Times that the floor is measured.
const FLOORS: usize = 15;
/// What was handed over lies for so long before it is read, as a burst does.
const FLOOR_QUIET: Duration = Duration::from_millis(150);

/// A language: its name, its aim in µs, and its program.
type Side = (
    &'static str,
    f64,
    fn(&Programs, &Folder) -> anyhow::Result<Command>,
);

const SIDES: [Side; 3] = [
    ("rust", 200.0, |programs, _| {
        Ok(Command::new(programs.beside("fireside-frame")?))
    }),
    ("bevy", 400.0, |programs, _| {
        let mut command = Command::new(programs.beside("fireside-bevy-proof")?);
        command.arg("frame");
        Ok(command)
    }),
    ("c", 200.0, compile),
];

/// Runs it.
pub(super) fn run(
    args: &BenchArgs,
    programs: &Programs,
    report: &mut Report,
) -> anyhow::Result<()> {
    let floor = floor()?;
    report.note(&format!(
        "frame: the aims are times, so this machine counts: {MESSAGES} texts of {TEXT_BYTES} bytes that another thread made, taken from a channel of the standard library and read to the last byte, nothing else: {floor:.0} us"
    ));
    for (name, limit, program) in SIDES {
        let cases = [Case {
            bench: "frame",
            case: name,
            unit: "us",
            aim: Aim::AtMost(1.0),
        }];
        let ours = || {
            let (us, more) = bursts(programs, program)?;
            Ok(Sample {
                values: vec![us],
                more,
            })
        };
        // Time, not another program, is the limit.
        let limit = || {
            Ok(Sample {
                values: vec![limit],
                more: json!({}),
            })
        };
        alternate(args, &cases, report, ours, limit)?;
    }
    Ok(())
}

/// What a burst's texts alone cost here, with no client around them: in µs, the median.
fn floor() -> anyhow::Result<f64> {
    let mut times = Vec::new();
    for _ in 0..FLOORS {
        let (sender, receiver) = mpsc::sync_channel(MESSAGES);
        let maker = thread::spawn(move || {
            (0..MESSAGES).all(|n| sender.send(format!("{n:.<TEXT_BYTES$}")).is_ok())
        });
        ensure!(maker.join().is_ok_and(|all| all), "nobody takes them");
        thread::sleep(FLOOR_QUIET);
        let (begin, mut bytes, mut sum) = (Instant::now(), 0, 0u64);
        while let Ok(text) = receiver.try_recv() {
            bytes += text.len();
            let (words, _) = text.as_bytes().as_chunks::<8>();
            let words = words.iter().map(|word| u64::from_ne_bytes(*word));
            sum = words.fold(sum, u64::wrapping_add);
        }
        std::hint::black_box(sum);
        times.push(begin.elapsed().as_secs_f64() * 1e6);
        ensure!(bytes == MESSAGES * TEXT_BYTES, "{bytes} bytes");
    }
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).copied().context("no floor")
}

/// A round: a server, a reader, bursts; the median of their frames in µs.
fn bursts(
    programs: &Programs,
    program: fn(&Programs, &Folder) -> anyhow::Result<Command>,
) -> anyhow::Result<(f64, Value)> {
    let folder = Folder::new()?;
    let mut server = programs.serve(&folder)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let mut writers = runtime.block_on(Writers::enter(&folder, &server))?;
    // The first message of each makes the conversation.
    runtime.block_on(writers.write(PEERS))?;
    let mut reader = Reader::start(program(programs, &folder)?, &folder, &server)?;
    let mut times = Vec::new();
    let mut last = Value::Null;
    for _ in 0..BURSTS {
        runtime.block_on(writers.write(MESSAGES))?;
        last = reader.ask(&format!("burst {MESSAGES}"))?;
        ensure!(
            last["bytes"] == MESSAGES * TEXT_BYTES,
            "it read {last}; expected {} bytes",
            MESSAGES * TEXT_BYTES
        );
        times.push(last["us"].as_f64().context("no time")?);
    }
    server.check()?;
    times.sort_by(f64::total_cmp);
    let median = times.get(times.len() / 2).copied().context("no bursts")?;
    let idle = reader.end()?;
    Ok((
        median,
        json!({ "us_all": times, "rows": last["rows"], "idle": idle }),
    ))
}

/// The peers' sessions.
struct Writers {
    sessions: Vec<(Session, ConversationId, Nonces)>,
    said: u64,
}

impl Writers {
    async fn enter(folder: &Folder, server: &Server) -> anyhow::Result<Self> {
        let clients = Clients::new(server.address, SOCKETS, &Arc::default())?;
        let reader = world::user(READER)?;
        let mut sessions = Vec::new();
        for peer in 0..PEERS {
            let session = clients.enter(folder, peer).await?;
            let conversation = ConversationId::direct(&world::user(peer)?, &reader);
            sessions.push((session, conversation, Nonces::new()?));
        }
        Ok(Self { sessions, said: 0 })
    }

    /// Round and round, each message acknowledged.
    async fn write(&mut self, count: usize) -> anyhow::Result<()> {
        let reader = world::user(READER)?;
        for n in 0..count {
            let at = n % self.sessions.len();
            let (session, conversation, nonces) = self.sessions.get_mut(at).context("no writer")?;
            self.said += 1;
            let text = format!("message {} of the burst, read to its last byte ", self.said);
            let text = format!("{text:.<TEXT_BYTES$}");
            let frame = message(
                nonces.next(),
                None,
                *conversation,
                Some(reader.clone()),
                text,
            );
            match session.call(&frame).await? {
                fireside_protocol::ServerFrame::Ack(_) => {}
                other => bail!("an answer of kind {}", other.kind()),
            }
        }
        Ok(())
    }
}

/// The measured process.
struct Reader {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Reader {
    fn start(mut command: Command, folder: &Folder, server: &Server) -> anyhow::Result<Self> {
        let Trust::Pinned(pin) = server.trust else {
            bail!("a server without a fingerprint");
        };
        let hex: String = pin.iter().map(|byte| format!("{byte:02x}")).collect();
        let reader = world::user(READER)?;
        command
            .args([
                server.address.to_string(),
                hex,
                folder.token(&reader)?,
                reader.to_string(),
            ])
            .arg(folder.path().join("reader"))
            .args(
                (0..PEERS)
                    .map(|peer| world::user(peer).map(|user| user.to_string()))
                    .collect::<Result<Vec<_>, _>>()?,
            )
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("{command:?}"))?;
        let (input, output) = (child.stdin.take(), child.stdout.take());
        let mut reader = Self {
            child,
            input,
            output: BufReader::new(output.context("no output")?),
        };
        let line = reader.line()?;
        ensure!(line.trim() == "ready", "it said {line:?}");
        Ok(reader)
    }

    fn line(&mut self) -> anyhow::Result<String> {
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        ensure!(
            !line.is_empty(),
            "the reader ended: {:?}",
            self.child.try_wait()?
        );
        Ok(line)
    }

    fn ask(&mut self, command: &str) -> anyhow::Result<Value> {
        let input = self.input.as_mut().context("closed")?;
        writeln!(input, "{command}")?;
        input.flush()?;
        Ok(serde_json::from_str(&self.line()?)?)
    }

    /// Ends it; what it says of idle frames, if it does.
    fn end(&mut self) -> anyhow::Result<Value> {
        self.input = None;
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        let status = self.child.wait()?;
        ensure!(status.success(), "the reader ended with {status}");
        Ok(serde_json::from_str(&line).unwrap_or(Value::Null))
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The C reader, compiled against the header and the shared library beside this program.
fn compile(programs: &Programs, folder: &Folder) -> anyhow::Result<Command> {
    let ffi = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../ffi");
    let library = programs.beside("libfireside.so")?;
    let library: PathBuf = library.parent().context("no folder")?.to_owned();
    let target = folder.path().join("frame-c");
    let output = Command::new(std::env::var_os("CC").unwrap_or_else(|| "cc".into()))
        .args(["-std=c11", "-O2", "-Wall", "-Wextra", "-Werror", "-o"])
        .arg(&target)
        .arg(ffi.join("tests/c/frame.c"))
        .arg("-I")
        .arg(ffi.join("include"))
        .arg("-L")
        .arg(&library)
        .args(["-lfireside", "-Wl,-rpath"])
        .arg(format!("-Wl,{}", library.display()))
        .output()
        .context("no C compiler (cc)")?;
    ensure!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(Command::new(target))
}
