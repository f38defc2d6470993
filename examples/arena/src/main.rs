//! Fireside Arena: a small game in which players chat. The server runs inside this process, three scripted players sit at the fire,
//! and you are the fourth.
//!
//! Everything that has to do with chat goes through `bevy_fireside`: `chat/` is how a game uses it, `stage.rs` how it starts it.

#![expect(
    clippy::too_many_arguments,
    clippy::type_complexity,
    reason = "a system's parameters are what it touches"
)]

mod args;
mod bubbles;
mod camera;
mod cast;
mod chance;
mod chat;
mod clock;
mod display;
mod figures;
mod fonts;
mod headless;
mod host;
mod keys;
mod out;
mod people;
mod rescue;
mod speech;
mod stage;
mod theme;
mod trace;
mod walk;
mod window;
mod world;

use bevy::app::AppExit;
use clap::Parser;

use args::Args;

fn main() -> AppExit {
    let args = Args::parse();
    if args.headless {
        return headless::app(&args).run();
    }
    match display::check() {
        Ok(()) => {
            rescue::arm();
            window::app(&args).run()
        }
        Err(obstacle) => {
            out::say!("No window: {obstacle}");
            out::say!("The same scene goes on without one.\n");
            headless::app(&args).run()
        }
    }
}
