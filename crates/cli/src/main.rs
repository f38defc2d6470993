//! The program `fireside`: server, demo, terminal client and tools. Without a subcommand it runs the demo.

mod bench;
mod chat;
mod demo;
mod doctor;
mod problem;
mod serve;
mod target;
mod token;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// A message is a dozen small allocations that other threads free: what the system's allocator locks for. The baseline has the same.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Chat for games: server, terminal client and tools.
#[derive(Debug, Parser)]
#[command(
    name = "fireside",
    version,
    about,
    args_conflicts_with_subcommands = true
)]
struct Args {
    #[command(flatten)]
    demo: demo::DemoArgs,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs a server and players who chat, in this terminal. Also what happens without a command.
    Demo(demo::DemoArgs),
    /// Runs a server; all its state is in one folder.
    Serve(serve::ServeArgs),
    /// Chats, in this terminal.
    Chat(chat::ChatArgs),
    /// Makes a login token with the signing key in a server's data folder.
    Token(token::TokenArgs),
    /// Says whether this machine and network can run it, and what to do if not.
    Doctor(doctor::DoctorArgs),
    /// Measures this machine against raw quinn and raw SQLite.
    Bench(bench::BenchArgs),
}

fn main() -> ExitCode {
    let args = Args::parse();
    let outcome = match args.command {
        None => demo::run(&args.demo),
        Some(Command::Demo(args)) => demo::run(&args),
        Some(Command::Serve(args)) => serve::run(args),
        Some(Command::Chat(args)) => chat::run(&args),
        Some(Command::Token(args)) => token::run(&args),
        Some(Command::Doctor(args)) => doctor::run(&args),
        Some(Command::Bench(args)) => bench::run(&args).map(|()| ExitCode::SUCCESS),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}
