//! The arena as a player meets it: a window on a desktop without a screen, real keys, and what comes of them; and the arena where
//! there is no window to be had.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, ensure};

use super::Scale;
use crate::{
    desktop::{Desktop, Told},
    process::program,
};

/// Software rendering on a busy machine is slow; nothing here depends on how slow.
const SOON: Duration = Duration::from_secs(60);
/// A server that was away is found again within the client's longest pause between two tries, and a margin.
const BACK: Duration = Duration::from_secs(90);
const TITLE: &str = "Fireside Arena";

/// No display, missing libraries, then the window: walk, chat, whisper, lose the server and get it back. In full also scrolling
/// through a long evening, a refused message, and other scripts.
///
/// # Errors
/// What a player would complain about, with the last facts.
pub fn run(scale: Scale) -> anyhow::Result<()> {
    let pictures = pictures()?;
    without_window(scale)?;
    let desktop = Desktop::start(1280, 720)?;
    without_renderer(&desktop)?;
    evening(&desktop, &pictures, scale)?;
    if scale.full {
        long_evening(&desktop, &pictures)?;
        ends_by_itself(&desktop)?;
    }
    println!("arena: pictures in {}", pictures.display());
    Ok(())
}

/// Where pictures go: `FIRESIDE_PICTURES`, or a folder beside the build.
fn pictures() -> anyhow::Result<PathBuf> {
    let folder = match std::env::var_os("FIRESIDE_PICTURES") {
        Some(folder) => PathBuf::from(folder),
        None => std::env::current_exe()?
            .ancestors()
            .nth(2)
            .context("no folder for pictures")?
            .join("arena-pictures"),
    };
    fs::create_dir_all(&folder)?;
    Ok(folder)
}

/// Lines of `trace frame`, each four frames, before a picture is taken.
const FRAMES_BEFORE_PICTURE: usize = 3;

fn arena() -> anyhow::Result<Command> {
    let mut command = Command::new(program("arena")?);
    command.env_remove("WAYLAND_DISPLAY").env_remove("RUST_LOG");
    Ok(command)
}

// ---- without a window

fn without_window(scale: Scale) -> anyhow::Result<()> {
    let seconds = scale.pick("9", "30");
    let (status, lines) =
        Told::start(arena()?.args(["--seconds", seconds]).env_remove("DISPLAY"))?.end(SOON)?;
    let told = lines.join("\n");
    ensure!(status.success(), "without a display: {status}\n{told}");
    ensure!(
        told.contains("DISPLAY is not set"),
        "it does not say why there is no window:\n{told}"
    );
    for wanted in ["wren: Hello everybody!   [sent]", "ash: Evening, wren"] {
        ensure!(told.contains(wanted), "no {wanted:?} in:\n{told}");
    }
    let others = ["ash: ", "brook: ", "cedar: "];
    let after = told.split("Hello everybody!").nth(1).unwrap_or_default();
    ensure!(
        others.iter().any(|other| after.contains(other)),
        "nobody answers:\n{told}"
    );
    if scale.full {
        for wanted in [
            "(whispers to ash)",
            "ash (whispers): ",
            "reconnecting",
            "sending…",
            "[sent: The fire is so quiet",
        ] {
            ensure!(told.contains(wanted), "no {wanted:?} in:\n{told}");
        }
    }
    println!(
        "arena: without a display it says so, plays the scene and ends with status 0; {} lines",
        lines.len()
    );

    let (status, lines) =
        Told::start(arena()?.args(["--seconds", "1"]).env("DISPLAY", ":32123"))?.end(SOON)?;
    let told = lines.join("\n");
    ensure!(
        status.success() && told.contains("display :32123 does not answer"),
        "a display that does not answer: {status}\n{told}"
    );
    println!("arena: a display that does not answer is told, and the scene played");
    Ok(())
}

/// Hides a library from one process, and sees it named.
fn without_library(desktop: &Desktop, library: &str, package: &str) -> anyhow::Result<bool> {
    let found = Command::new("sh")
        .arg("-c")
        .arg(format!(
            "ldconfig -p | awk '$1 == \"{library}\" {{ print $NF; exit }}'"
        ))
        .output()?;
    let path = String::from_utf8(found.stdout)?;
    let path = fs::canonicalize(path.trim()).with_context(|| format!("{library} is not here"))?;
    let arena = program("arena")?;
    let script = format!(
        "mount --bind /dev/null {} && exec {} --seconds 1",
        path.display(),
        arena.display()
    );
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", &script]);
    command.env("DISPLAY", desktop.display());
    let (status, lines) = Told::start(&mut command)?.end(SOON)?;
    let told = lines.join("\n");
    if told.is_empty() {
        return Ok(false);
    }
    ensure!(
        status.success() && told.contains(library) && told.contains(package),
        "without {library}: {status}\n{told}"
    );
    Ok(true)
}

/// Of the environment: its name and what it holds.
type Variable = (&'static str, &'static str);

/// The renderer refuses: when it is asked for, when it is made, when it has a window to draw on.
fn without_renderer(desktop: &Desktop) -> anyhow::Result<()> {
    let palette = Desktop::with_depth(1280, 720, 8)?;
    let no_driver = [
        ("VK_DRIVER_FILES", "/dev/null"),
        ("VK_ICD_FILENAMES", "/dev/null"),
        ("__EGL_VENDOR_LIBRARY_FILENAMES", "/dev/null"),
    ];
    let cases: [(_, _, &[Variable], _); 3] = [
        ("no driver", desktop, &no_driver, "mesa-vulkan-drivers"),
        // Of another system: nobody answers to it here.
        (
            "no renderer",
            desktop,
            &[("WGPU_BACKEND", "dx12")],
            "It says: Unable to find a GPU",
        ),
        ("no picture", &palette, &[], "It says: "),
    ];
    for (what, desktop, variables, wanted) in cases {
        let mut command = arena()?;
        command
            .args(["--seconds", "1"])
            .envs(variables.iter().copied())
            .env("DISPLAY", desktop.display());
        let (status, lines) = Told::start(&mut command)?.end(SOON)?;
        let told = lines.join("\n");
        ensure!(
            status.success()
                && told.contains("No window: ")
                && told.contains(wanted)
                && told.contains("A script plays wren"),
            "{what}: {status}\n{told}"
        );
    }
    println!("arena: a renderer that does not start is told, and the scene played");
    Ok(())
}

// ---- the window

/// The game on the desktop.
struct Game<'a> {
    desktop: &'a Desktop,
    told: Told,
}

impl<'a> Game<'a> {
    fn open(desktop: &'a Desktop, arguments: &[&str]) -> anyhow::Result<Self> {
        let mut command = arena()?;
        command
            .arg("--trace")
            .args(arguments)
            .env("DISPLAY", desktop.display());
        let game = Self {
            desktop,
            told: Told::start(&mut command)?,
        };
        game.wait("the window", 0, |line| {
            line.starts_with("trace window 1280x720")
        })?;
        desktop.focus(TITLE)?;
        game.wait("the camp", 0, |line| line.contains("tabs *Camp"))?;
        game.wait("the connection", 0, |line| {
            line == "trace connection Online"
        })?;
        Ok(game)
    }

    fn wait(
        &self,
        what: &str,
        from: usize,
        wanted: impl Fn(&str) -> bool,
    ) -> anyhow::Result<usize> {
        Ok(self.told.wait(what, from, SOON, wanted)?.0)
    }

    /// Waits for a fact that begins so.
    fn fact(&self, from: usize, begins: &str) -> anyhow::Result<usize> {
        let begins = format!("trace {begins}");
        self.wait(&begins, from, |line| line.starts_with(&begins))
    }

    /// A fact is told a frame or two before it is drawn, and a row of the log is measured before it is shown.
    fn picture(&self, pictures: &Path, name: &str) -> anyhow::Result<()> {
        let mut at = self.told.now();
        for _ in 0..FRAMES_BEFORE_PICTURE {
            at = self.fact(at, "frame ")?;
        }
        self.desktop
            .picture(&pictures.join(format!("arena-{name}.png")))
    }

    /// Opens the chat and writes a line; does not send it.
    fn write(&self, line: &str) -> anyhow::Result<usize> {
        let from = self.told.now();
        self.desktop.text(line)?;
        let wanted = format!("trace written {line:?}");
        self.wait("what was typed", from, |told| told == wanted)
    }

    /// Back to the game. What is pressed next is for it only when it says so: on a slow machine two keys come in one frame.
    fn leave_chat(&self) -> anyhow::Result<()> {
        let at = self.told.now();
        self.desktop.key("Escape")?;
        self.fact(at, "focus game")?;
        Ok(())
    }

    /// Writes a line and sends it.
    fn say(&self, line: &str) -> anyhow::Result<usize> {
        let at = self.write(line)?;
        self.desktop.key("Return")?;
        Ok(at)
    }
}

fn evening(desktop: &Desktop, pictures: &Path, scale: Scale) -> anyhow::Result<()> {
    let mut named = 0;
    for (library, package) in [
        ("libXcursor.so.1", "libxcursor1"),
        ("libxkbcommon-x11.so.0", "libxkbcommon-x11-0"),
    ] {
        named += u32::from(without_library(desktop, library, package)?);
    }
    println!(
        "arena: {named} of 2 hidden libraries were named (0: this machine lets nobody hide them)"
    );

    let game = Game::open(desktop, &["--seconds", "600"])?;
    walk(&game)?;
    talk(&game, pictures)?;
    whisper(&game, pictures)?;
    keys(&game, pictures)?;
    lose_the_server(&game, pictures)?;
    if scale.full {
        be_refused(&game, pictures)?;
        other_scripts(&game, pictures)?;
    }
    Ok(())
}

fn walk(game: &Game) -> anyhow::Result<()> {
    let from = game.told.now();
    game.desktop.hold("d", true)?;
    let walked = game.wait("walking", from, |line| {
        place(line).is_some_and(|(x, _)| x > 40)
    });
    game.desktop.hold("d", false)?;
    let at = walked?;
    game.fact(at, "stands")?;
    println!("arena: d walks");
    Ok(())
}

fn place(line: &str) -> Option<(i32, i32)> {
    let mut numbers = line.strip_prefix("trace place ")?.split(' ');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

fn talk(game: &Game, pictures: &Path) -> anyhow::Result<()> {
    let from = game.told.now();
    game.desktop.key("Return")?;
    game.fact(from, "focus chat")?;
    let line = "Hello ash! wasd is just a word in here";
    let at = game.say(line)?;
    game.fact(at, &format!("bubble wren {line:?}"))?;
    game.fact(at, &format!("own \"Camp\" Sent {line:?}"))?;
    let answer = game.fact(at, "received \"Camp\" ash")?;
    game.fact(answer, "bubble ash")?;
    game.picture(pictures, "talk")?;
    let steps = game.told.since(from);
    ensure!(
        !steps.iter().any(|line| place(line).is_some()),
        "the player walked while writing:\n{}",
        steps.join("\n")
    );
    println!("arena: \"wasd\" is written and walks nobody; sent, answered, in bubbles");
    Ok(())
}

fn whisper(game: &Game, pictures: &Path) -> anyhow::Result<()> {
    let line = "can you keep a secret?";
    let at = game.say(&format!("/w ash {line}"))?;
    game.fact(at, "tabs Camp *ash")?;
    game.fact(at, &format!("own \"ash\" Read {line:?}"))?;
    game.fact(at, "received \"ash\" ash")?;
    let said = game.told.since(at);
    ensure!(
        !said
            .iter()
            .any(|line| line.starts_with("trace bubble wren")),
        "a whisper is no bubble:\n{}",
        said.join("\n")
    );
    let at = game.say("/r just between us")?;
    game.fact(at, "received \"ash\" ash")?;
    game.picture(pictures, "whisper")?;
    println!("arena: /w and /r whisper; read, answered by a whisper, in no bubble");
    Ok(())
}

fn keys(game: &Game, pictures: &Path) -> anyhow::Result<()> {
    let desktop = game.desktop;
    let from = game.told.now();
    desktop.key("Tab")?;
    game.fact(from, "tabs *Camp ash")?;
    desktop.key("Up")?;
    let at = game.fact(from, "written \"/r just between us\"")?;
    desktop.key("Down")?;
    game.fact(at, "written \"\"")?;
    let at = game.say("/dance")?;
    let at = game.wait("the hint", at, |line| {
        line.starts_with("trace hint") && line.contains("/dance is no command")
    })?;
    for _ in "/dance".chars() {
        desktop.key("BackSpace")?;
    }
    game.fact(at, "written \"\"")?;
    let at = game.say("/help")?;
    game.wait("the help", at, |line| {
        line.starts_with("trace hint") && line.contains("/w name text")
    })?;
    game.picture(pictures, "help")?;
    desktop.key("Escape")?;
    let at = game.fact(at, "focus game")?;
    desktop.hold("a", true)?;
    let walked = game.wait("walking again", at, |line| place(line).is_some());
    desktop.hold("a", false)?;
    game.fact(walked?, "stands")?;
    println!("arena: Tab, Arrow Up, an unknown command, /help, Escape");
    Ok(())
}

fn lose_the_server(game: &Game, pictures: &Path) -> anyhow::Result<()> {
    let desktop = game.desktop;
    let from = game.told.now();
    desktop.key("F5")?;
    game.fact(from, "server Stopped")?;
    game.fact(from, "connection Reconnecting")?;
    desktop.key("Return")?;
    game.fact(from, "focus chat")?;
    let line = "Is it me, or did it get quiet?";
    let at = game.say(line)?;
    game.fact(at, &format!("own \"Camp\" Sending {line:?}"))?;
    game.fact(at, &format!("bubble wren {line:?}"))?;
    game.picture(pictures, "lost")?;
    let waiting = game.told.since(at);
    ensure!(
        !waiting.iter().any(|told| told.contains("Sent")),
        "sent without a server:\n{}",
        waiting.join("\n")
    );
    desktop.key("F5")?;
    let sent = format!("trace own \"Camp\" Sent {line:?}");
    game.told
        .wait("the message after the server came back", at, BACK, |told| {
            told == sent
        })?;
    game.told
        .wait("an answer after the server came back", at, BACK, |told| {
            told.starts_with("trace received \"Camp\"")
        })?;
    game.picture(pictures, "back")?;
    game.leave_chat()?;
    println!("arena: without a server the message waits, with it it is sent and answered");
    Ok(())
}

/// Who asks to be sent away is; what he says then is refused, he sees why, comes back and tries again.
fn be_refused(game: &Game, pictures: &Path) -> anyhow::Result<()> {
    let desktop = game.desktop;
    let from = game.told.now();
    desktop.key("Return")?;
    game.fact(from, "focus chat")?;
    let at = game.say("ash, kick me please")?;
    game.fact(at, "received \"ash\" ash \"As you wish")?;
    let line = "Can anybody still hear me?";
    let at = game.say(line)?;
    game.wait("the refusal", at, |told| {
        told.starts_with("trace own \"Camp\" Failed") && told.contains(line)
    })?;
    game.picture(pictures, "refused")?;
    let at = game.say("/w ash invite me")?;
    game.fact(at, "received \"ash\" ash \"Come back")?;
    let at = game.told.now();
    desktop.key("Tab")?;
    game.fact(at, "tabs *Camp")?;
    let sent = format!("trace own \"Camp\" Sent {line:?}");
    let at = game.say("/retry")?;
    game.wait("the second try", at, |told| told == sent)?;
    game.leave_chat()?;
    println!("arena: a refused message says why and is sent in a second try");
    Ok(())
}

/// The cast talks in other scripts now and then.
fn other_scripts(game: &Game, pictures: &Path) -> anyhow::Result<()> {
    let at = game.wait("Arabic", 0, |line| {
        line.starts_with("trace bubble brook") && line.contains("مساء")
    })?;
    let _ = at;
    game.picture(pictures, "scripts")?;
    println!("arena: Chinese, Arabic and emoji");
    Ok(())
}

/// Scrolling back loads what is older and stays where it is; new messages are counted; the way back ends at the newest.
fn long_evening(desktop: &Desktop, pictures: &Path) -> anyhow::Result<()> {
    let game = Game::open(desktop, &["--seconds", "600", "--history", "120"])?;
    game.wait("the long evening", 0, |line| {
        line.contains("received \"Camp\"") && line.contains("(0)")
    })?;
    let rows = |line: &str| -> Option<(usize, bool)> {
        let mut words = line.strip_prefix("trace log ")?.split(' ');
        Some((words.next()?.parse().ok()?, line.ends_with("end")))
    };
    let mut from = game.told.now();
    let mut most = 0;
    for _ in 0..40 {
        desktop.key("Prior")?;
        let (at, line) = game.told.wait("scrolling", from, SOON, |line| {
            rows(line).is_some_and(|(_, end)| !end)
        })?;
        from = at;
        most = most.max(rows(&line).map_or(0, |(rows, _)| rows));
        if most > 110 {
            break;
        }
    }
    ensure!(most > 110, "older messages were not loaded: {most} rows");
    game.picture(pictures, "history")?;
    for _ in 0..60 {
        desktop.key("Next")?;
    }
    game.wait("the newest", from, |line| {
        rows(line).is_some_and(|(_, end)| end)
    })?;
    println!(
        "arena: Page Up loads older messages ({most} rows), Page Down comes back to the newest"
    );
    Ok(())
}

fn ends_by_itself(desktop: &Desktop) -> anyhow::Result<()> {
    let mut command = arena()?;
    command
        .args(["--seconds", "5"])
        .env("DISPLAY", desktop.display());
    let (status, lines) = Told::start(&mut command)?.end(SOON)?;
    ensure!(
        status.success(),
        "--seconds 5 in a window: {status}\n{}",
        lines.join("\n")
    );
    println!("arena: --seconds ends the window with status 0");
    Ok(())
}
