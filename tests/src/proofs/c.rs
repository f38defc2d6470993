//! The C interface as C and C++ see it: the suite and the example, built by two compilers in both languages with every warning an
//! error, run against a real server, under AddressSanitizer and under Valgrind.

use std::{
    ffi::OsString,
    fs,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Output, Stdio},
    sync::mpsc::{self, Receiver},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};

use super::Scale;
use crate::process::{Server, ServerPlan, program};

/// A compiler and the language it is told to take the files for.
#[derive(Clone, Copy, Debug)]
struct Compiler {
    command: &'static str,
    language: &'static [&'static str],
}

const GCC: Compiler = Compiler {
    command: "gcc",
    language: &["-std=c11"],
};
const CLANG: Compiler = Compiler {
    command: "clang",
    language: &["-std=c11"],
};
const GXX: Compiler = Compiler {
    command: "g++",
    language: &["-x", "c++", "-std=c++17"],
};
const CLANGXX: Compiler = Compiler {
    command: "clang++",
    language: &["-x", "c++", "-std=c++17"],
};
const STRICT: &[&str] = &["-Wall", "-Wextra", "-Wpedantic", "-Werror", "-O1", "-g"];
/// What a static library needs beside it on Linux (`rustc --print native-static-libs`); Unreal's build file lists the same.
const STATIC_LIBS: &[&str] = &[
    "-lgcc_s",
    "-lutil",
    "-lrt",
    "-lpthread",
    "-lm",
    "-ldl",
    "-lc",
];
/// The suite: file and whether it talks to a server.
const SUITE: &[(&str, Needs)] = &[
    ("abi", Needs::Nothing),
    ("misuse", Needs::Nothing),
    ("panic", Needs::Hooks),
    ("talk", Needs::Server),
];
/// A program of the suite ends within this, Valgrind's slowness included.
const RUN_MAX: Duration = Duration::from_secs(240);
/// For what a person at the example would wait.
const SOON: Duration = Duration::from_secs(60);
/// Valgrind's status when it found something.
const FOUND: &str = "99";

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Needs {
    Nothing,
    /// The library with the function that panics.
    Hooks,
    Server,
}

/// How a program is run.
#[derive(Clone, Copy, Debug)]
enum Under {
    Nothing,
    Valgrind,
}

/// What was done, for the last line.
#[derive(Debug, Default)]
struct Done {
    builds: usize,
    runs: usize,
    checks: u64,
}

/// Builds and runs everything (slice: one compiler a language, Valgrind on the misuse alone).
///
/// # Errors
/// What does not compile, fails, leaks or hangs.
pub fn run(scale: Scale) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut plan = ServerPlan::new(folder.path());
    let mut server = plan.start()?;
    let mut bench = Bench::new(folder.path())?;
    let compilers = scale.pick(vec![GCC, CLANGXX], vec![GCC, CLANG, GXX, CLANGXX]);
    for compiler in compilers {
        bench.suite(compiler, &[], "", &[Under::Nothing], &plan, &server)?;
        bench.example(compiler, Under::Nothing, &plan, &server)?;
        bench.front_page(compiler)?;
        bench.compile_frame(compiler)?;
    }
    bench.suite(
        GCC,
        &["-fsanitize=address", "-fno-omit-frame-pointer"],
        "-asan",
        &[Under::Nothing],
        &plan,
        &server,
    )?;
    if scale.full {
        bench.suite(GCC, &[], "", &[Under::Valgrind], &plan, &server)?;
        bench.example(GCC, Under::Valgrind, &plan, &server)?;
        bench.statically(&plan, &server)?;
    } else {
        let misuse = bench.build(GCC, &[], "misuse", "", Needs::Nothing)?;
        bench.run(&misuse, &[], Under::Valgrind)?;
    }
    server.check()?;
    let done = bench.done;
    println!(
        "c: {} builds without a warning, {} runs, {} checks; AddressSanitizer with leak checks, Valgrind {}",
        done.builds,
        done.runs,
        done.checks,
        scale.pick("on the misuse", "on all")
    );
    Ok(())
}

#[derive(Debug)]
struct Bench {
    sources: PathBuf,
    /// Where the library is, and the one with hooks.
    library: PathBuf,
    hooks: PathBuf,
    out: PathBuf,
    /// Pairs of users so far: each run has its own.
    pairs: usize,
    done: Done,
}

impl Bench {
    fn new(folder: &Path) -> Result<Self> {
        let beside = program("fireside")?;
        let library = beside.parent().context("no folder")?.to_owned();
        let hooks = library.join("hooks");
        for path in [
            library.join("libfireside.so"),
            library.join("libfireside.a"),
            hooks.join("libfireside.so"),
        ] {
            ensure!(
                path.is_file(),
                "{} is missing; `./test c` builds it",
                path.display()
            );
        }
        let out = folder.join("c");
        fs::create_dir_all(&out)?;
        Ok(Self {
            sources: Path::new(env!("CARGO_MANIFEST_DIR")).join(".."),
            library,
            hooks,
            out,
            pairs: 0,
            done: Done::default(),
        })
    }

    /// Builds the suite and runs it in each way.
    fn suite(
        &mut self,
        compiler: Compiler,
        more: &[&str],
        suffix: &str,
        ways: &[Under],
        plan: &ServerPlan,
        server: &Server,
    ) -> Result<()> {
        for (name, needs) in SUITE {
            let built = self.build(compiler, more, name, suffix, *needs)?;
            for under in ways {
                let arguments = if *needs == Needs::Server {
                    self.two_users(plan, server)?
                } else {
                    Vec::new()
                };
                self.run(&built, &arguments, *under)?;
            }
        }
        println!(
            "c: suite by {} {} {} {ways:?}: holds",
            compiler.command,
            compiler.language.join(" "),
            more.join(" ")
        );
        Ok(())
    }

    fn build(
        &mut self,
        compiler: Compiler,
        more: &[&str],
        name: &str,
        suffix: &str,
        needs: Needs,
    ) -> Result<PathBuf> {
        let source = self.sources.join(format!("ffi/tests/c/{name}.c"));
        let library = if needs == Needs::Hooks {
            &self.hooks
        } else {
            &self.library
        };
        let link = [
            "-L".into(),
            library.into(),
            "-lfireside".into(),
            rpath(library),
        ];
        let out = self
            .out
            .join(format!("{name}-{}{suffix}", compiler.command));
        self.compile(compiler, more, &source, &out, &link)?;
        Ok(out)
    }

    fn compile(
        &mut self,
        compiler: Compiler,
        more: &[&str],
        source: &Path,
        out: &Path,
        link: &[OsString],
    ) -> Result<()> {
        let mut command = Command::new(compiler.command);
        command
            .args(STRICT)
            .args(more)
            .args(compiler.language)
            .arg("-I")
            .arg(self.sources.join("ffi/include"))
            .arg(source);
        // What follows is no source of that language any more.
        command.args(["-x", "none"]).args(link).arg("-o").arg(out);
        let output = command
            .output()
            .with_context(|| format!("{} can not be run", compiler.command))?;
        ensure!(
            output.status.success(),
            "{command:?}: {}\n{}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
        self.done.builds += 1;
        Ok(())
    }

    fn run(&mut self, program: &Path, arguments: &[String], under: Under) -> Result<()> {
        let mut command = self.command(program, under);
        command.args(arguments).stdin(Stdio::null());
        let output = finish(&mut command)?;
        let said = String::from_utf8_lossy(&output.stdout);
        ensure!(
            output.status.success(),
            "{} {under:?}: {}\n{said}{}",
            program.display(),
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
        let checks: Option<u64> = said.lines().find_map(|line| {
            let line = line.strip_suffix(" checks")?;
            line.rsplit(' ').next()?.parse().ok()
        });
        self.done.checks += checks
            .with_context(|| format!("{} does not say its checks: {said}", program.display()))?;
        self.done.runs += 1;
        Ok(())
    }

    fn command(&self, program: &Path, under: Under) -> Command {
        let mut command = match under {
            Under::Nothing => Command::new(program),
            Under::Valgrind => {
                let mut command = Command::new("valgrind");
                let known = self.sources.join("ffi/tests/c/valgrind.supp");
                // "Possibly lost" is what Rust keeps by a pointer into its middle: the main thread's own record.
                command
                    .args([
                        "-q",
                        "--leak-check=full",
                        "--show-leak-kinds=definite,indirect",
                    ])
                    .arg("--errors-for-leak-kinds=definite,indirect")
                    .arg(format!("--error-exitcode={FOUND}"))
                    .arg(format!("--suppressions={}", known.display()))
                    .arg(program);
                command
            }
        };
        command.env("ASAN_OPTIONS", "detect_leaks=1:abort_on_error=0");
        command
    }

    fn users(&mut self) -> (String, String) {
        self.pairs += 1;
        (format!("ann-{}", self.pairs), format!("bob-{}", self.pairs))
    }

    fn two_users(&mut self, plan: &ServerPlan, server: &Server) -> Result<Vec<String>> {
        let (ann, bob) = self.users();
        let tokens = (plan.token(&ann)?, plan.token(&bob)?);
        Ok(vec![
            server.address().to_string(),
            fingerprint(server),
            ann,
            tokens.0,
            bob,
            tokens.1,
        ])
    }

    /// Two people at the example: what one types the other reads, edited and taken back too.
    fn example(
        &mut self,
        compiler: Compiler,
        under: Under,
        plan: &ServerPlan,
        server: &Server,
    ) -> Result<()> {
        let source = self.sources.join("examples/c-chat/chat.c");
        let out = self.out.join(format!("chat-{}", compiler.command));
        let link = [
            "-L".into(),
            self.library.clone().into(),
            "-lfireside".into(),
            rpath(&self.library),
        ];
        self.compile(compiler, &[], &source, &out, &link)?;
        let (ann, bob) = self.users();
        let open = |name: &str, peer: &str| -> Result<Chatter> {
            let mut command = self.command(&out, under);
            command
                .arg(server.address().to_string())
                .args([&fingerprint(server), name, peer])
                .env("FIRESIDE_TOKEN", plan.token(name)?);
            Chatter::start(command)
        };
        let mut at_ann = open(&ann, &bob)?;
        let mut at_bob = open(&bob, &ann)?;
        at_ann.sees("* connected")?;
        at_bob.sees("* connected")?;
        at_ann.types("hello from C")?;
        at_ann.sees(&format!("<{ann}> hello from C ✓"))?;
        at_bob.sees(&format!("<{ann}> hello from C"))?;
        at_bob.types("副本集合 🎉")?;
        at_ann.sees(&format!("<{bob}> 副本集合 🎉"))?;
        at_ann.types("/last hello again")?;
        at_bob.sees(&format!("<{ann}> hello again (edited)"))?;
        at_ann.types("/undo")?;
        at_bob.sees(&format!("<{ann}> (taken back)"))?;
        at_ann.types("/quit")?;
        at_bob.types("/quit")?;
        at_ann.ends()?;
        at_bob.ends()?;
        self.done.runs += 2;
        println!(
            "c: example by {} {under:?}: two people talked",
            compiler.command
        );
        Ok(())
    }

    /// The program on the front page, as it stands there.
    fn front_page(&mut self, compiler: Compiler) -> Result<()> {
        let page = fs::read_to_string(self.sources.join("ffi/README.md"))?;
        let (_, rest) = page.split_once("```c\n").context("no C on the page")?;
        let (text, _) = rest.split_once("```").context("it does not end")?;
        let source = self.out.join("front-page.c");
        fs::write(&source, text)?;
        let out = self.out.join(format!("front-page-{}", compiler.command));
        let link = [
            "-L".into(),
            self.library.clone().into(),
            "-lfireside".into(),
        ];
        self.compile(compiler, &[], &source, &out, &link)
    }

    /// What `fireside bench frame` runs.
    fn compile_frame(&mut self, compiler: Compiler) -> Result<()> {
        self.build(compiler, &[], "frame", "", Needs::Server)
            .map(drop)
    }

    /// The static library, with the system's libraries that are documented and no others.
    fn statically(&mut self, plan: &ServerPlan, server: &Server) -> Result<()> {
        let source = self.sources.join("ffi/tests/c/talk.c");
        let out = self.out.join("talk-static");
        let mut link: Vec<OsString> = vec![self.library.join("libfireside.a").into()];
        link.extend(STATIC_LIBS.iter().map(OsString::from));
        self.compile(GCC, &[], &source, &out, &link)?;
        let arguments = self.two_users(plan, server)?;
        self.run(&out, &arguments, Under::Nothing)?;
        println!(
            "c: suite on the static library with {}: holds",
            STATIC_LIBS.join(" ")
        );
        Ok(())
    }
}

fn rpath(library: &Path) -> OsString {
    let mut word = OsString::from("-Wl,-rpath,");
    word.push(library);
    word
}

fn fingerprint(server: &Server) -> String {
    let bytes = server.fingerprint();
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Runs to the end, or kills it when it takes too long.
fn finish(command: &mut Command) -> Result<Output> {
    let child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("{command:?}"))?;
    let pid = child.id();
    let (ended, result) = mpsc::channel();
    thread::spawn(move || drop(ended.send(child.wait_with_output())));
    match result.recv_timeout(RUN_MAX) {
        Ok(output) => Ok(output?),
        Err(_) => {
            Command::new("sh")
                .args(["-c", &format!("kill -9 {pid}")])
                .status()?;
            bail!("{command:?} does not end within {RUN_MAX:?}")
        }
    }
}

/// A person at the example.
#[derive(Debug)]
struct Chatter {
    child: Child,
    keyboard: Option<ChildStdin>,
    lines: Receiver<String>,
    seen: Vec<String>,
}

impl Chatter {
    fn start(mut command: Command) -> Result<Self> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("{command:?}"))?;
        let output = child.stdout.take().context("no output")?;
        let keyboard = child.stdin.take();
        let (line, lines) = mpsc::channel();
        thread::spawn(move || {
            for text in BufReader::new(output).lines().map_while(Result::ok) {
                drop(line.send(text));
            }
        });
        Ok(Self {
            child,
            keyboard,
            lines,
            seen: Vec::new(),
        })
    }

    fn types(&mut self, text: &str) -> Result<()> {
        let keyboard = self.keyboard.as_mut().context("no keyboard")?;
        writeln!(keyboard, "{text}")?;
        Ok(keyboard.flush()?)
    }

    /// Waits for a line that begins so.
    fn sees(&mut self, text: &str) -> Result<()> {
        let deadline = Instant::now() + SOON;
        while !self.seen.iter().any(|line| line.starts_with(text)) {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) => self.seen.push(line),
                Err(_) => bail!("{text:?} is not seen; seen was:\n{}", self.seen.join("\n")),
            }
        }
        Ok(())
    }

    fn ends(&mut self) -> Result<()> {
        self.keyboard = None;
        let deadline = Instant::now() + SOON;
        loop {
            if let Some(status) = self.child.try_wait()? {
                ensure!(status.success(), "the example: {status}");
                return Ok(());
            }
            ensure!(Instant::now() < deadline, "the example does not end");
            thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Chatter {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
