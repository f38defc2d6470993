//! `fireside demo`: a server in this process and players who chat over it, each with a real client core and a real connection.

mod stage;

use std::{process::ExitCode, time::Duration};

use clap::Args;

use stage::{Over, Stage};

/// The pause between two lines of the play: long enough to read along.
const BEAT: Duration = Duration::from_millis(280);
/// A finger's time between two keys.
const TYPING: Duration = Duration::from_millis(450);

/// Arguments of the demo.
#[derive(Clone, Debug, Args)]
pub(crate) struct DemoArgs {
    /// Ends by itself after so long; without it, runs until Ctrl-C.
    #[arg(long, value_name = "N")]
    seconds: Option<u64>,
}

/// Plays until the time is over or somebody presses Ctrl-C. Status 0 if every player shows the same in the end.
pub(crate) fn run(args: &DemoArgs) -> anyhow::Result<ExitCode> {
    let mut stage = Stage::set(args.seconds.map(Duration::from_secs))?;
    match play(&mut stage) {
        Ok(()) | Err(Stop::Over) => {}
        Err(Stop::Failed(error)) => return Err(error),
    }
    stage.end()
}

/// Why the play ends early.
enum Stop {
    /// Time is over, or Ctrl-C.
    Over,
    Failed(anyhow::Error),
}

impl From<Over> for Stop {
    fn from(Over: Over) -> Self {
        Self::Over
    }
}

impl From<anyhow::Error> for Stop {
    fn from(error: anyhow::Error) -> Self {
        Self::Failed(error)
    }
}

fn play(stage: &mut Stage) -> Result<(), Stop> {
    stage.heading("Four players log in");
    let ada = stage.enter("ada")?;
    let bo = stage.enter("bo")?;
    let ming = stage.enter("小明")?;
    let eva = stage.enter("eva")?;
    stage.wait_connected()?;

    stage.heading("A whisper: sent is on the server's disk, ✓✓ is on the other's device");
    for (from, to, text) in [
        (ada, bo, "hey! raid tonight at eight?"),
        (bo, ada, "yes, but I have no potions left"),
        (ada, bo, "I'll bring some 🧪"),
    ] {
        stage.type_to(from, to, TYPING)?;
        stage.whisper(from, to, text)?;
        stage.rest(BEAT)?;
    }

    stage.heading("A group: invited, joined, in step");
    let raid = stage.make_group(ada, "Night raid", &[bo, ming, eva])?;
    for player in [bo, ming, eva] {
        stage.join(player, raid)?;
    }
    for (from, text) in [
        (ada, "everybody here?"),
        (ming, "来了!副本几点开始?"),
        (eva, "¡Hola! I'm on healing duty"),
        (bo, "tank redy"),
    ] {
        stage.say(from, raid, text)?;
        stage.rest(BEAT)?;
    }
    stage.edit_last(bo, raid, "tank ready")?;
    stage.rest(BEAT)?;
    stage.say(eva, raid, "password is hunter2")?;
    stage.recall_last(eva, raid)?;
    stage.rest(BEAT)?;

    stage.heading("bo loses the network, the others go on, bo writes into the void");
    stage.cut_off(bo)?;
    for (from, text) in [
        (ada, "pull in ten seconds"),
        (ming, "准备好了"),
        (eva, "bo?"),
    ] {
        stage.say(from, raid, text)?;
    }
    stage.say_unheard(bo, raid, "I'm still here!")?;
    stage.say_unheard(bo, raid, "hello?")?;
    stage.rest(BEAT * 2)?;
    stage.come_back(bo, raid)?;
    stage.say(ada, raid, "there you are")?;

    stage.heading("And so on");
    let small_talk = [
        (ming, "小心火焰!"),
        (eva, "healing bo"),
        (bo, "thanks 💚"),
        (ada, "loot time"),
        (eva, "who needs the bow?"),
        (ming, "给我吧,谢谢"),
        (bo, "gg everybody"),
        (ada, "same time tomorrow?"),
    ];
    for round in 0_usize.. {
        for (from, text) in small_talk {
            stage.say(from, raid, text)?;
            stage.rest(if round == 0 { BEAT } else { BEAT * 4 })?;
        }
    }
    Ok(())
}
