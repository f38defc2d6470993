//! The same scene without a window: a script plays the player, and the conversation is printed.

use std::time::Duration;

use bevy::{
    app::ScheduleRunnerPlugin, app::TerminalCtrlCHandlerPlugin, log::LogPlugin, prelude::*,
};
use bevy_fireside::{
    ConnectionStatus, MessageReceived, Peer, Timeline, Title, TypingChanged,
    prelude::{Body, MessageState},
};

use crate::{
    args::Args,
    chat::{
        pill::describe,
        row::state,
        say::{Outcome, Say},
    },
    clock, figures,
    host::{self, Host, ServerState},
    out::say,
    people::CAMP,
    stage::{self, Me},
    trace, walk,
};

/// Between two frames.
const FRAME: Duration = Duration::from_millis(16);
/// The script gives up waiting for an answer after so many seconds: the evening goes on.
const PATIENCE: f32 = 12.0;

/// The whole scene.
pub(crate) fn app(args: &Args) -> App {
    let mut app = App::new();
    app.add_plugins((
        MinimalPlugins.set(ScheduleRunnerPlugin::run_loop(FRAME)),
        TerminalCtrlCHandlerPlugin,
        LogPlugin {
            filter: "warn".to_owned(),
            ..default()
        },
        figures::plugin,
        walk::plugin,
    ))
    .init_resource::<Script>()
    .add_systems(Startup, introduce)
    .add_systems(
        Update,
        (
            print_received,
            print_own,
            print_typing,
            print_connection,
            play,
        )
            .chain(),
    );
    stage::plugin(&mut app, args);
    if args.trace {
        app.add_plugins(trace::plugin);
    }
    app
}

fn introduce(me: Res<Me>) {
    say!("A script plays {}; Ctrl-C ends it.\n", me.user);
}

/// What the player does, one after the other.
const SCRIPT: &[Act] = &[
    Act::Wait(For::Camp),
    Act::Say("Hello everybody!"),
    Act::Wait(For::Answer),
    Act::Rest(1.2),
    Act::Say("Brook, is there anything to eat?"),
    Act::Wait(For::Answer),
    Act::Rest(1.2),
    Act::Say("/w ash can you keep a secret?"),
    Act::Wait(For::Answer),
    Act::Rest(1.5),
    Act::Server,
    Act::Wait(For::Lost),
    Act::Say("The fire is so quiet now. Can you hear me?"),
    Act::Rest(2.0),
    Act::Server,
    Act::Wait(For::Answer),
    Act::Rest(4.0),
    Act::Say("Tell us a story, Cedar."),
    Act::Wait(For::Answer),
    Act::Rest(5.0),
    Act::Say("Thanks for the evening."),
    Act::Wait(For::Answer),
];

/// A step of the script.
#[derive(Clone, Copy, Debug)]
enum Act {
    Say(&'static str),
    /// Stops the server, or starts it again.
    Server,
    Rest(f32),
    Wait(For),
}

/// What is waited for.
#[derive(Clone, Copy, Debug)]
enum For {
    /// Being in the camp.
    Camp,
    /// Words of somebody else, after one's own.
    Answer,
    /// The connection's end.
    Lost,
}

/// Where the script is.
#[derive(Debug, Default, Resource)]
struct Script {
    at: usize,
    for_s: f32,
    answered: bool,
}

fn play(
    time: Res<Time>,
    me: Res<Me>,
    host: Res<Host>,
    status: Query<&ConnectionStatus>,
    mut received: MessageReader<MessageReceived>,
    mut server: ResMut<ServerState>,
    mut script: ResMut<Script>,
    mut say: Say,
) {
    script.answered |= received.read().count() > 0;
    script.for_s += time.delta_secs();
    // After the first evening it goes on with small talk.
    let at = if script.at < SCRIPT.len() {
        script.at
    } else {
        LOOP + (script.at - SCRIPT.len()) % (SCRIPT.len() - LOOP)
    };
    let online = status.get(me.client).is_ok_and(ConnectionStatus::is_online);
    let done = match SCRIPT[at] {
        Act::Rest(seconds) => script.for_s >= seconds,
        Act::Wait(For::Camp) => online && say.camp().is_some(),
        Act::Wait(For::Lost) => !online && *server == ServerState::Stopped,
        Act::Wait(For::Answer) => script.answered || script.for_s > PATIENCE,
        Act::Server => {
            host::toggle(&host, &mut server);
            true
        }
        Act::Say(line) => {
            if !line.starts_with('/') {
                say.look_at_camp();
            }
            match say.line(line) {
                Outcome::Done => {}
                Outcome::Told(words) | Outcome::Refused(words) => say!("       {words}"),
            }
            script.answered = false;
            true
        }
    };
    if done {
        script.at += 1;
        script.for_s = 0.0;
    }
}

/// From here the script begins again.
const LOOP: usize = 16;

fn print_received(mut received: MessageReader<MessageReceived>, peers: Query<&Peer>) {
    for message in received.read() {
        let text = message.text.as_deref().unwrap_or("(not a text)");
        let whispers = if peers.contains(message.conversation) {
            " (whispers)"
        } else {
            ""
        };
        say!(
            "{}  {}{whispers}: {text}",
            clock::time(message.at),
            message.sender
        );
    }
}

/// Own messages, once they are sent, and those that wait for longer than a moment.
fn print_own(
    time: Res<Time>,
    me: Res<Me>,
    timelines: Query<(&Timeline, &Title)>,
    mut known: Local<std::collections::HashMap<u64, (f32, Option<MessageState>)>>,
) {
    let now = time.elapsed_secs();
    for (timeline, title) in &timelines {
        for row in timeline.rows().iter().filter(|row| row.sender == me.user) {
            let Body::Text(text) = &row.body else {
                continue;
            };
            let (since, told) = known.entry(row.row).or_insert((now, None));
            let waits = row.state == MessageState::Sending && now - *since < MOMENT;
            if waits || told.as_ref() == Some(&row.state) {
                continue;
            }
            let words = state(&row.state).map_or("", |(words, _)| words);
            let to = if title.0 == CAMP {
                String::new()
            } else {
                format!(" (whispers to {})", title.0)
            };
            if told.is_none() {
                say!(
                    "{}  {}{to}: {text}   [{words}]",
                    clock::time(row.at),
                    me.user
                );
            } else {
                say!("       [{words}: {text}]");
            }
            *told = Some(row.state.clone());
        }
    }
}

/// A message that is sent within this time says nothing of sending.
const MOMENT: f32 = 0.6;

fn print_typing(mut changed: MessageReader<TypingChanged>) {
    for change in changed.read().filter(|change| change.on) {
        say!("       [{} is typing…]", change.user);
    }
}

fn print_connection(me: Res<Me>, status: Query<&ConnectionStatus, Changed<ConnectionStatus>>) {
    if let Ok(status) = status.get(me.client)
        && *status != ConnectionStatus::Offline
    {
        say!("       [{}]", describe(status, 0.0).1);
    }
}
