//! `fireside chat`: a terminal client on the real client core.

mod app;
mod clock;
mod draw;
mod editor;
mod lead;
mod own_words;
mod terminal;
mod words;
mod wrap;

use std::{
    path::PathBuf,
    process::ExitCode,
    sync::mpsc::TryRecvError,
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use anyhow::Context;
use clap::Args;
use crossbeam_channel::{Receiver, Sender, bounded};
use crossterm::event::{
    self, Event as TerminalEvent, KeyCode, KeyEvent, KeyEventKind, KeyModifiers, MouseEventKind,
};
use fireside_client::{Client, Found, StoreError};

use crate::{problem::Problem, target::TargetArgs};
use app::{App, Move, Why};
use clock::LocalClock;
use terminal::Screen;

/// The screen is looked at again at least so often: clocks go on.
const REFRESH: Duration = Duration::from_millis(500);
/// What one look at the client may take.
const EVENTS_PER_TICK: usize = 256;
const TIME_PER_TICK: Duration = Duration::from_millis(20);
/// Keys that wait.
const SIGNALS_MAX: usize = 256;

/// Arguments of `fireside chat`.
#[derive(Clone, Debug, Args)]
pub(crate) struct ChatArgs {
    #[command(flatten)]
    target: TargetArgs,
    /// Where this device keeps messages and what is unsent [default: ~/.local/share/fireside].
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
    /// Keeps nothing on disk: what is unsent at the end is lost.
    #[arg(long, conflicts_with = "folder")]
    memory: bool,
    /// No sound when something comes that is not on screen.
    #[arg(long)]
    quiet: bool,
}

enum Signal {
    Terminal(TerminalEvent),
    /// The client has something.
    Wake,
    /// The terminal is gone.
    Gone,
}

type SearchAnswer = (
    String,
    fireside_client::Receiver<Result<Vec<Found>, StoreError>>,
);

/// Runs the terminal client until the user leaves.
pub(crate) fn run(args: &ChatArgs) -> anyhow::Result<ExitCode> {
    let (mut config, me) = args.target.config()?;
    if !args.memory {
        config.folder = Some(folder(args)?);
    }
    if !terminal::is_there() {
        return Err(Problem::error(
            "standard input and output are not a terminal",
            "a terminal to draw in",
            "run it in a terminal window, tmux or over ssh -t",
        ));
    }
    let client = Client::start(config)?;
    let (signals, incoming) = bounded(SIGNALS_MAX);
    let wakes = signals.clone();
    // If it does not fit there are keys to be looked at, and then the client is looked at too.
    client.set_wake(move || drop(wakes.try_send(Signal::Wake)));
    let mut screen = Screen::open().context("the terminal can not be set up")?;
    read_terminal(signals);
    client.connect()?;
    client.set_visible(true)?;
    let outcome = live(
        args,
        &client,
        App::new(me, Instant::now()),
        &mut screen,
        &incoming,
    );
    drop(screen);
    // What is still unsent is in the outbox and goes out next time.
    client.shutdown(Duration::from_millis(250));
    outcome.map(|()| ExitCode::SUCCESS)
}

fn folder(args: &ChatArgs) -> anyhow::Result<PathBuf> {
    if let Some(folder) = &args.folder {
        return Ok(folder.clone());
    }
    let from = |name: &str| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    from("XDG_DATA_HOME")
        .or_else(|| from("HOME").map(|home| home.join(".local/share")))
        .map(|data| data.join("fireside"))
        .ok_or_else(|| {
            Problem::error(
                "there is no home folder",
                "a place to keep messages",
                "name one with --folder, or use --memory",
            )
        })
}

/// Keys come from a thread of their own, which ends with the process.
fn read_terminal(signals: Sender<Signal>) {
    thread::spawn(move || {
        loop {
            let signal = event::read().map_or(Signal::Gone, Signal::Terminal);
            let gone = matches!(signal, Signal::Gone);
            if signals.send(signal).is_err() || gone {
                return;
            }
        }
    });
}

fn live(
    args: &ChatArgs,
    client: &Client,
    mut app: App,
    screen: &mut Screen,
    incoming: &Receiver<Signal>,
) -> anyhow::Result<()> {
    let mut clock = LocalClock::read(wall_ms());
    let mut searches: Vec<SearchAnswer> = Vec::new();
    let mut dirty = true;
    loop {
        if dirty {
            screen.draw(|frame| draw::draw(frame, &mut app, &clock))?;
        }
        dirty = false;
        let first = incoming.recv_timeout(REFRESH).ok();
        dirty |= app.time(Instant::now());
        for signal in first.into_iter().chain(incoming.try_iter()) {
            match signal {
                Signal::Terminal(event) => dirty |= on_terminal(&mut app, event),
                Signal::Wake => {}
                Signal::Gone => app.quit = true,
            }
        }
        // Until nothing is left, or the screen should be drawn between.
        for _ in 0..4 {
            let tick = client.tick(EVENTS_PER_TICK, TIME_PER_TICK, &mut |event| {
                app.event(event);
            });
            dirty |= tick.delivered > 0;
            if tick.left == 0 {
                break;
            }
        }
        searches.retain(|(words, answer)| match answer.try_recv() {
            Ok(found) => {
                app.found(words, found.map_err(|error| error.reason));
                dirty = true;
                false
            }
            Err(error) => error == TryRecvError::Empty,
        });
        for (words, scope) in std::mem::take(&mut app.searches) {
            match client.search(&words, scope, 50) {
                Ok(answer) => searches.push((words, answer)),
                Err(error) => app.not_taken(error.code),
            }
        }
        for (command, why) in app.take_commands() {
            match client.command(command) {
                Ok(request) => app.sent(request, why),
                Err(error) if why == Why::Silent => tracing::debug!(%error, "not taken"),
                Err(error) => app.not_taken(error.code),
            }
        }
        if std::mem::take(&mut app.token_wanted)
            && let Some(token) = args.target.new_token(&app.me)
        {
            client.set_token(token)?;
        }
        let rtt_ms = Some(client.stats().rtt_us.div_ceil(1_000)).filter(|ms| *ms > 0);
        if app.rtt_ms.unwrap_or(0).abs_diff(rtt_ms.unwrap_or(0)) > 2 {
            app.rtt_ms = rtt_ms;
            dirty = true;
        }
        clock.set_now(wall_ms());
        if std::mem::take(&mut app.bell) && !args.quiet {
            screen.bell()?;
        }
        if app.quit {
            return Ok(());
        }
    }
}

fn wall_ms() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_millis() as u64
}

/// `true`: the screen changes.
fn on_terminal(app: &mut App, event: TerminalEvent) -> bool {
    match event {
        TerminalEvent::Key(key) if key.kind != KeyEventKind::Release => on_key(app, key),
        TerminalEvent::Paste(text) => {
            app.input.insert(&text);
            app.edited();
        }
        TerminalEvent::Mouse(mouse) => match mouse.kind {
            MouseEventKind::ScrollUp => app.scroll(Move::Up(3)),
            MouseEventKind::ScrollDown => app.scroll(Move::Down(3)),
            _ => return false,
        },
        TerminalEvent::Resize(..) => {}
        _ => return false,
    }
    true
}

fn on_key(app: &mut App, key: KeyEvent) {
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    let alt = key.modifiers.contains(KeyModifiers::ALT);
    let browsing = app.show_list || app.popup.is_some();
    match (key.code, control, alt) {
        (KeyCode::Char('c' | 'd'), true, _) if app.input.is_empty() => app.quit = true,
        (KeyCode::Char('c'), true, _) => {
            app.input.submit();
            app.edited();
        }
        (KeyCode::Char('q'), true, _) => app.quit = true,
        (KeyCode::Esc, ..) => app.escape(),
        (KeyCode::PageUp, ..) => app.scroll(Move::PageUp),
        (KeyCode::PageDown, ..) => app.scroll(Move::PageDown),
        (KeyCode::Home, true, _) => app.scroll(Move::Start),
        (KeyCode::End, true, _) => app.scroll(Move::End),
        (KeyCode::Up, _, _) if app.popup.is_some() => app.scroll(Move::Up(1)),
        (KeyCode::Down, _, _) if app.popup.is_some() => app.scroll(Move::Down(1)),
        (KeyCode::Up, true, _) | (KeyCode::Up, _, true) | (KeyCode::Char('p'), true, _) => {
            app.select_next(false);
        }
        (KeyCode::Down, true, _) | (KeyCode::Down, _, true) | (KeyCode::Char('n'), true, _) => {
            app.select_next(true);
        }
        (KeyCode::Up, ..) if app.show_list => app.select_next(false),
        (KeyCode::Down, ..) if app.show_list => app.select_next(true),
        (KeyCode::Char('g'), true, _) => app.select_unread(),
        (KeyCode::Char('l'), true, _) => app.show_list = !app.show_list,
        (KeyCode::Enter, _, true) => {
            app.input.insert("\n");
            app.edited();
        }
        (KeyCode::Enter, ..) if browsing && app.input.is_empty() => app.escape(),
        (KeyCode::Enter, ..) => app.submit(),
        (KeyCode::Tab, ..) => app.complete(),
        (KeyCode::Up, ..) => app.input.older(),
        (KeyCode::Down, ..) => app.input.newer(),
        (code, ..) => {
            edit(app, code, control, alt);
            app.edited();
        }
    }
}

fn edit(app: &mut App, code: KeyCode, control: bool, alt: bool) {
    let input = &mut app.input;
    match code {
        KeyCode::Char('a') if control => input.home(),
        KeyCode::Char('e') if control => input.end(),
        KeyCode::Char('u') if control => input.delete_to_start(),
        KeyCode::Char('k') if control => input.delete_to_end(),
        KeyCode::Char('w') if control => input.delete_word(),
        KeyCode::Char('b') if alt => input.word_left(),
        KeyCode::Char('f') if alt => input.word_right(),
        KeyCode::Char(c) if !control && !alt => input.insert(c.encode_utf8(&mut [0; 4])),
        KeyCode::Backspace if control || alt => input.delete_word(),
        KeyCode::Backspace => input.backspace(),
        KeyCode::Delete => input.delete(),
        KeyCode::Left if control || alt => input.word_left(),
        KeyCode::Left => input.left(),
        KeyCode::Right if control || alt => input.word_right(),
        KeyCode::Right => input.right(),
        KeyCode::Home => input.home(),
        KeyCode::End => input.end(),
        _ => {}
    }
}
