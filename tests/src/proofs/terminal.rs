//! People in real terminals: a server and two chats in tmux. The server stops, both keep writing, it starts again: everything
//! arrives once and in order, on both screens and in the log.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use fireside_protocol::{ConversationId, EntryKind, UserId};

use super::Scale;
use crate::{
    chance::Chance,
    process::{ServerPlan, program},
    tmux::{Terminal, Tmux},
    wire::{Dialer, Target, Wire, device, text_of},
};

/// For what a person would wait.
const SOON: Duration = Duration::from_secs(10);
/// From the start of the server to everything said while it was down.
const AFTER_RESTART: Duration = Duration::from_secs(40);

/// Two people, one server, one stop (in full: five), and a look at wide characters and a resize.
///
/// # Errors
/// What a person would complain about, with the screen.
pub fn run(scale: Scale) -> anyhow::Result<()> {
    let stops = scale.pick(1, 5);
    let folder = tempfile::tempdir()?;
    let tmux = Tmux::new(folder.path());
    let mut plan = ServerPlan::new(folder.path());
    let mut stage = Stage::open(&tmux, &mut plan, folder.path())?;
    println!(
        "terminal: server at {}, anna and bob in terminals of 110x45",
        plan.listen
    );

    stage.say("anna", "/w bob ")?;
    stage.say("bob", "/w anna ")?;
    stage
        .anna
        .wait("bob's first line", SOON, |screen| screen.contains("bob-01"))?;
    stage.bob.wait("anna's first line", SOON, |screen| {
        screen.contains("anna-01")
    })?;
    for _ in 0..2 {
        stage.say("anna", "")?;
        stage.say("bob", "")?;
    }
    stage.all_there(SOON)?;
    for stop in 1..=stops {
        stage
            .stop_and_go(&mut plan)
            .with_context(|| format!("stop {stop}"))?;
    }
    stage.wide_and_resized()?;
    stage.check_log(&plan, scale.seed)?;
    println!(
        "terminal: {stops} stops of the server; {} lines by anna, {} by bob, each once and in order on both screens and in the log; \
         slowest arrival after a restart {:.1} s",
        stage.said[0].len(),
        stage.said[1].len(),
        stage.slowest.as_secs_f64()
    );
    Ok(())
}

struct Stage<'a> {
    server: Option<Terminal<'a>>,
    tmux: &'a Tmux,
    anna: Terminal<'a>,
    bob: Terminal<'a>,
    /// What anna and bob said so far.
    said: [Vec<String>; 2],
    slowest: Duration,
    lives: u32,
}

impl<'a> Stage<'a> {
    fn open(tmux: &'a Tmux, plan: &mut ServerPlan, folder: &Path) -> anyhow::Result<Self> {
        let server = serve(tmux, plan, 1)?;
        let chat = |user: &str| -> anyhow::Result<Terminal<'a>> {
            let words = [
                program("fireside")?.display().to_string(),
                "chat".into(),
                "--dev-data".into(),
                plan.data.display().to_string(),
                "--user".into(),
                user.into(),
                "--folder".into(),
                folder.join(user).display().to_string(),
            ];
            tmux.open(user, 110, 45, &words)
        };
        let (anna, bob) = (chat("anna")?, chat("bob")?);
        for terminal in [&anna, &bob] {
            terminal.wait("connected", SOON, |screen| {
                screen.to_lowercase().contains("connected")
            })?;
        }
        let said = [Vec::new(), Vec::new()];
        Ok(Self {
            server: Some(server),
            tmux,
            anna,
            bob,
            said,
            slowest: Duration::ZERO,
            lives: 1,
        })
    }

    /// The next line of anna or bob.
    fn say(&mut self, who: &str, before: &str) -> anyhow::Result<()> {
        let (said, terminal) = match who {
            "anna" => (&mut self.said[0], &self.anna),
            _ => (&mut self.said[1], &self.bob),
        };
        let text = format!("{who}-{:02}", said.len() + 1);
        terminal.line(&format!("{before}{text}"))?;
        said.push(text);
        Ok(())
    }

    /// Waits until both screens show the newest lines of both, and each line that is shown once, in order, with none missing between.
    /// A screen may be seen half drawn: it has to become so, and what is wrong with the last one is told.
    fn all_there(&self, within: Duration) -> anyhow::Result<()> {
        for terminal in [&self.anna, &self.bob] {
            terminal.wait("all lines, once and in order", within, |screen| {
                self.said.iter().all(|said| is_whole(screen, said))
            })?;
        }
        Ok(())
    }

    fn stop_and_go(&mut self, plan: &mut ServerPlan) -> anyhow::Result<()> {
        if let Some(server) = self.server.take() {
            server.key("C-c")?;
            server.wait("the server's end", SOON, |screen| {
                screen.contains("[ended with 0]")
            })?;
        }
        for terminal in [&self.anna, &self.bob] {
            terminal.wait("that the connection is gone", SOON, |screen| {
                let screen = screen.to_lowercase();
                screen.contains("reconnecting") || screen.contains("offline")
            })?;
        }
        for _ in 0..3 {
            self.say("anna", "")?;
            self.say("bob", "")?;
        }
        // Each sees the own lines at once, and nothing of the other's.
        for (terminal, own) in [(&self.anna, &self.said[0]), (&self.bob, &self.said[1])] {
            let newest = own.last().cloned().unwrap_or_default();
            terminal.wait("the own line", SOON, |screen| screen.contains(&newest))?;
        }
        self.lives += 1;
        self.server = Some(serve(self.tmux, plan, self.lives)?);
        let start = Instant::now();
        self.all_there(AFTER_RESTART)?;
        self.slowest = self.slowest.max(start.elapsed());
        Ok(())
    }

    fn wide_and_resized(&mut self) -> anyhow::Result<()> {
        self.anna.line("副本集合 🎉 ok")?;
        self.bob.wait("wide characters", SOON, |screen| {
            screen.contains("副本集合")
        })?;
        self.bob.resize(60, 20)?;
        self.bob.wait("the line after a resize", SOON, |screen| {
            screen.contains("副本集合") && screen.lines().count() <= 20
        })?;
        // Terminals do not agree how wide these are. In the last row, to its last cell, they must not scroll the screen.
        self.bob.line("/w carl hi")?;
        self.bob.resize(40, 14)?;
        for shift in ["", "x"] {
            self.anna.line(&format!("{shift}{}", "👍🏽".repeat(40)))?;
            let status = format!("anna: {shift}👍");
            self.bob.wait(
                "the first and the last row in their places",
                SOON,
                |screen| {
                    let mut lines = screen.trim_end().lines();
                    lines.next().is_some_and(|line| line.contains("carl"))
                        && lines.last().is_some_and(|line| line.contains(&status))
                },
            )?;
        }
        self.bob.resize(110, 45)?;
        Ok(())
    }

    fn check_log(&self, plan: &ServerPlan, seed: u64) -> anyhow::Result<()> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()?;
        let server = self.server.as_ref().context("no server")?;
        let fingerprint = crate::process::fingerprint_on(&server.screen()?)?;
        let target = Target {
            address: plan.listen,
            fingerprint,
        };
        let (anna, bob) = (UserId::new("anna")?, UserId::new("bob")?);
        let log = runtime.block_on(async {
            let dialer = Dialer::new(target)?;
            let device = device(&mut Chance::new(seed));
            let (wire, _) = Wire::log_in(&dialer, &plan.token("anna")?, device).await?;
            wire.whole_log(ConversationId::direct(&anna, &bob)).await
        })?;
        for (user, said) in [(&anna, &self.said[0]), (&bob, &self.said[1])] {
            let own = log
                .items
                .iter()
                .filter(|e| e.kind == EntryKind::Message && e.sender == *user);
            let mut texts: Vec<_> = own.filter_map(text_of).collect();
            texts.retain(|text| text.starts_with(user.as_str()));
            ensure!(
                texts == *said,
                "{user} said {said:?}, the log has {texts:?}"
            );
        }
        Ok(())
    }
}

fn serve<'a>(tmux: &'a Tmux, plan: &mut ServerPlan, life: u32) -> anyhow::Result<Terminal<'a>> {
    let words = [
        program("fireside")?.display().to_string(),
        "serve".into(),
        "--dev".into(),
        "--data".into(),
        plan.data.display().to_string(),
        "--listen".into(),
        plan.listen.to_string(),
    ];
    let terminal = tmux.open(&format!("server-{life}"), 140, 20, &words)?;
    let screen = terminal.wait("listening", SOON, |screen| {
        screen.contains("listening on ") && screen.contains("certificate sha256 ")
    })?;
    plan.listen = crate::process::address_on(&screen)?;
    Ok(terminal)
}

/// Whether the newest of these lines are on the screen, each once, in order, none missing but those that scrolled off above.
fn is_whole(screen: &str, said: &[String]) -> bool {
    let places: Vec<_> = said.iter().map(|text| places(screen, text)).collect();
    let shown: Vec<_> = places.iter().filter_map(|found| found.first()).collect();
    let first = places.iter().position(|found| !found.is_empty());
    places.iter().all(|found| found.len() <= 1)
        && shown.is_sorted()
        && first.is_some_and(|at| places[at..].iter().all(|found| !found.is_empty()))
}

/// The lines of the timeline that hold the text. Left of it is the list, with a preview of the last line.
fn places(screen: &str, text: &str) -> Vec<usize> {
    let timeline = |line: &str| {
        line.split_once('│')
            .map_or(line, |(_, right)| right)
            .contains(text)
    };
    let lines = screen.lines().enumerate();
    lines
        .filter(|(_, line)| timeline(line))
        .map(|(n, _)| n)
        .collect()
}
