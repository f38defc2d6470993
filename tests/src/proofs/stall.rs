//! Network, disk and server stand still, one after the other and all at once, while a game makes every call a frame can make. The game's
//! thread must not wait: by what it asks of the system (traced), by its processor time (measured), by what it allocates.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use anyhow::{Context, bail, ensure};
use serde_json::Value;

use super::Scale;
use crate::{
    game::{BEGIN, END},
    powercut::compile,
    process::{Server, ServerPlan, program},
    proxy::{Proxy, Weather},
};

/// Thread processor time of a call, 99.99 of 100, in µs, over what as many pieces of work that touch nothing take on this machine at
/// that time.
const CALL_US_MAX: f64 = 50.0;
/// The one call that may wait, in ms; and what a busy machine may add before it wakes.
const DESTROY_MS_MAX: f64 = 250.0;
const DESTROY_SLACK_MS: f64 = 60.0;
/// Ticks that must not allocate.
const IDLE_TICKS: u32 = 20_000;

/// What stands still.
#[derive(Clone, Copy, Debug, Default)]
struct Stall {
    network: bool,
    server: bool,
    disk: bool,
}

impl Stall {
    const fn is_any(self) -> bool {
        self.network || self.server || self.disk
    }
}

const STALLS: [(&str, Stall); 5] = [
    (
        "nothing",
        Stall {
            network: false,
            server: false,
            disk: false,
        },
    ),
    (
        "network",
        Stall {
            network: true,
            server: false,
            disk: false,
        },
    ),
    (
        "server",
        Stall {
            network: false,
            server: true,
            disk: false,
        },
    ),
    (
        "disk",
        Stall {
            network: false,
            server: false,
            disk: true,
        },
    ),
    (
        "all",
        Stall {
            network: true,
            server: true,
            disk: true,
        },
    ),
];

/// Each stall traced and measured.
///
/// # Errors
/// What the game's thread waited for, or a number over its limit.
pub fn run(scale: Scale) -> anyhow::Result<()> {
    let (measured_s, traced_s) = scale.pick((4.0, 1.5), (20.0, 5.0));
    let folder = tempfile::tempdir()?;
    let library = compile(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("stall/stall.c"),
        &folder.path().join("stall.so"),
        &["-shared", "-fPIC"],
    )?;
    for (name, stall) in STALLS {
        for traced in [false, true] {
            let scratch = folder.path().join(format!("{name}-{traced}"));
            fs::create_dir_all(scratch.join("cache"))?;
            let seconds = if traced { traced_s } else { measured_s };
            one(&scratch, &library, scale, stall, traced, seconds)
                .with_context(|| {
                    format!(
                        "{name} stands still, {}",
                        if traced { "traced" } else { "measured" }
                    )
                })
                .map(|told| println!("{name} stands still: {told}"))?;
        }
    }
    Ok(())
}

fn one(
    scratch: &Path,
    library: &Path,
    scale: Scale,
    stall: Stall,
    traced: bool,
    seconds: f64,
) -> anyhow::Result<String> {
    let mut plan = ServerPlan::new(scratch);
    let server = plan.start()?;
    let proxy = Proxy::start(server.address(), scale.seed)?;
    let stop_disk = scratch.join("stop-disk");
    let trace = traced.then(|| scratch.join("trace"));
    let mut game = Game::start(
        scratch,
        library,
        &stop_disk,
        trace.as_deref(),
        &plan,
        &server,
        &proxy,
    )?;
    game.ask("connect")?;
    let mut told = Vec::new();
    if !stall.is_any() && !traced {
        let idle = game.ask(&format!("idle {IDLE_TICKS}"))?;
        ensure!(idle["allocations"] == 0, "idle ticks allocate: {idle}");
        told.push(format!("{} idle ticks, 0 allocations", idle["ticks"]));
    }
    if stall.network {
        proxy.set(Weather {
            silent: true,
            ..Weather::default()
        });
    }
    if stall.server {
        server.freeze()?;
    }
    if stall.disk {
        fs::write(&stop_disk, "")?;
    }
    let played = game.ask(&format!("play {seconds}"))?;
    if stall.disk {
        ensure!(
            played["memory_mode"] == true,
            "the disk stood still and nobody noticed: {played}"
        );
    }
    let destroyed = game.ask("destroy")?;
    let ms = destroyed["ms"].as_f64().context("no time")?;
    ensure!(
        ms <= DESTROY_MS_MAX + DESTROY_SLACK_MS,
        "destroy took {ms:.0} ms; expected at most {DESTROY_MS_MAX}"
    );
    // The disk goes on, so that the process can end.
    if stall.disk {
        fs::remove_file(&stop_disk)?;
    }
    if stall.server {
        server.thaw()?;
    }
    game.end()?;
    let of = |key: &str| played[key].as_f64().unwrap_or(f64::NAN);
    if let Some(trace) = trace {
        let calls = Trace::read(&trace)?;
        calls.check()?;
        told.push(calls.told());
    } else {
        // A slice has too few calls for the rarest: it looks at 99.9 of 100.
        let rare = of(scale.pick("p999_us", "p9999_us"));
        let floor = of(scale.pick("floor_p999_us", "floor_p9999_us"));
        ensure!(
            rare - floor <= CALL_US_MAX,
            "{} of 100 calls took up to {rare} µs of the thread's processor time, work that touches nothing {floor} µs; expected a \
             difference of {CALL_US_MAX}: {played}",
            scale.pick("99.9", "99.99")
        );
        told.push(format!(
            "{} calls ({} taken, {} refused), processor time p50 {:.1} p99 {:.1} p99.9 {:.1} p99.99 {:.1} µs (machine p99.9 {:.1} p99.99 {:.1} µs), wall at most {:.0} µs",
            of("calls"), of("taken"), of("refused"), of("p50_us"), of("p99_us"), of("p999_us"), of("p9999_us"), of("floor_p999_us"), of("floor_p9999_us"), of("wall_max_us")
        ));
    }
    told.push(format!("destroy {ms:.0} ms"));
    Ok(told.join("; "))
}

/// The game's process.
struct Game {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Game {
    fn start(
        scratch: &Path,
        library: &Path,
        stop_disk: &Path,
        trace: Option<&Path>,
        plan: &ServerPlan,
        server: &Server,
        proxy: &Proxy,
    ) -> anyhow::Result<Self> {
        let game = program("fireside-game")?;
        let mut command = match trace {
            Some(trace) => {
                let mut strace = Command::new("strace");
                strace
                    .args(["-f", "-y", "-qq", "-s", "16", "-o"])
                    .arg(trace);
                strace
                    .arg("-E")
                    .arg(format!("LD_PRELOAD={}", library.display()));
                strace.arg(game);
                strace
            }
            None => {
                let mut command = Command::new(game);
                command.env("LD_PRELOAD", library);
                command
            }
        };
        let hex: String = server
            .fingerprint()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        command
            .env("STALL_DIR", scratch.join("cache"))
            .env("STALL_WHILE", stop_disk)
            .args([proxy.address().to_string(), hex, plan.token("ada")?])
            .args(["ada", "bo"])
            .arg(scratch.join("cache"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = command
            .spawn()
            .context("the game does not start; is strace there?")?;
        let (input, output) = (child.stdin.take(), child.stdout.take());
        Ok(Self {
            input: input.context("no input")?,
            output: BufReader::new(output.context("no output")?),
            child,
        })
    }

    fn ask(&mut self, command: &str) -> anyhow::Result<Value> {
        writeln!(self.input, "{command}")?;
        self.input.flush()?;
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        ensure!(
            !line.is_empty(),
            "the game ended at `{command}`: {:?}",
            self.child.try_wait()?
        );
        serde_json::from_str(&line).with_context(|| format!("the game said {line:?}"))
    }

    fn end(self) -> anyhow::Result<()> {
        let Self {
            mut child,
            input,
            output,
        } = self;
        drop((input, output));
        let status = child.wait()?;
        ensure!(status.success(), "the game ended with {status}");
        Ok(())
    }
}

/// glibc keeps an arena's lock in the first bytes of a heap that is aligned to its size (malloc/arena.c, `HEAP_MAX_SIZE`: 64 MiB).
fn is_allocator_lock(call: &str) -> bool {
    const HEAP_BYTES: u64 = 64 * 1024 * 1024;
    const HEADER_BYTES: u64 = 0x80;
    let address = call.split("0x").nth(1).and_then(|rest| {
        let digits = rest.split(|c: char| !c.is_ascii_hexdigit()).next()?;
        u64::from_str_radix(digits, 16).ok()
    });
    address.is_some_and(|address| address % HEAP_BYTES < HEADER_BYTES)
}

/// What the game's thread asked of the system between the marks.
#[derive(Debug, Default)]
struct Trace {
    harmless: BTreeMap<String, u64>,
    breaches: Vec<String>,
}

impl Trace {
    fn read(path: &PathBuf) -> anyhow::Result<Self> {
        let text = String::from_utf8_lossy(&fs::read(path)?).into_owned();
        // The first line is the first thread's: the game's.
        let first = text
            .split_whitespace()
            .next()
            .context("the trace is empty")?;
        let mut trace = Self::default();
        let (mut inside, mut marks) = (false, 0);
        for line in text.lines() {
            let Some((thread, call)) = line.split_once(char::is_whitespace) else {
                continue;
            };
            if thread != first {
                continue;
            }
            let call = call.trim_start();
            if call.contains(BEGIN) || call.contains(END) {
                inside = call.contains(BEGIN);
                marks += 1;
            } else if inside {
                trace.note(call);
            }
        }
        ensure!(
            marks == 2,
            "{marks} marks in the trace; expected a begin and an end"
        );
        Ok(trace)
    }

    fn note(&mut self, call: &str) {
        // The end of a call that was interrupted in the trace, and signals.
        if call.starts_with("<...") || call.starts_with("---") || call.starts_with("+++") {
            return;
        }
        let name = call.split('(').next().unwrap_or_default();
        let kind = match name {
            // The game's own pause between frames, and its clock.
            "clock_nanosleep" | "nanosleep" | "clock_gettime" => "sleep and clocks of the game",
            // The allocator's.
            "mmap" | "munmap" | "brk" | "madvise" | "mprotect" | "mremap" => "memory",
            // Waking the client's thread, which waits for its sockets: a counter in the kernel, which can not block.
            // A queue's other end is in the middle of its step: a spin gives way and waits for nobody to wake it.
            "sched_yield" => "spins that gave way",
            "write" if call.contains("[eventfd]") => "wake by eventfd",
            "futex" if call.contains("FUTEX_WAKE") => "wake by futex",
            // Freeing what another thread allocated: glibc's own lock, which a game with another allocator does not have.
            "futex" if is_allocator_lock(call) => "glibc's allocator, not ours",
            _ => {
                self.breaches.push(call.to_owned());
                return;
            }
        };
        *self.harmless.entry(kind.to_owned()).or_default() += 1;
    }

    fn check(&self) -> anyhow::Result<()> {
        if self.breaches.is_empty() {
            return Ok(());
        }
        let shown: Vec<_> = self.breaches.iter().take(10).map(String::as_str).collect();
        bail!(
            "the game's thread asked for {} things that can wait, for example:\n{}",
            self.breaches.len(),
            shown.join("\n")
        );
    }

    fn told(&self) -> String {
        let kinds: Vec<_> = self
            .harmless
            .iter()
            .map(|(kind, count)| format!("{kind} {count}"))
            .collect();
        format!(
            "traced: no file, socket or futex wait ({})",
            kinds.join(", ")
        )
    }
}
