//! What is taken back is gone: the words of recalled and edited messages are in no cache of any device, and in none of the server's files, the
//! write-ahead logs included, while all of them run on. What one user deletes or clears is in none of that user's caches. The
//! moderators' history, where the server keeps one, is the exception.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use fireside_client_core::{
    Command, NewMessage,
    command::{MessageRef, Recipient},
    event::Completion,
};
use fireside_protocol::{
    Content, ConversationId, TextContent, UserId,
    content::{Attachment, CustomContent, MediaContent, PollContent},
};
use fireside_server::{Claims, TokenKeys};

use super::{
    Scale,
    features::device::{Device, number_of},
};
use crate::{
    chance::Chance,
    process::{Server, ServerPlan},
    wire::Target,
};

/// A live object changes no sooner than this after it was made; and whatever else is awaited takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(20);
/// Rounds of the full proof, each with words of its own.
const ROUNDS: u64 = 5;

/// The devices of the proof.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Who {
    Ann = 0,
    /// Ann's second device, which is away while words are taken back.
    Away = 1,
    Bob = 2,
}

const USERS: [&str; 3] = ["ann", "ann", "bob"];

/// Where a word must not be any more.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Gone {
    /// Nowhere.
    Everywhere,
    /// Not on ann's devices; the others keep it.
    FromAnn,
}

/// Sends, takes back, and looks through all files.
///
/// # Errors
/// Words that are left, with the files they are in.
pub fn run(scale: Scale) -> Result<()> {
    let begun = Instant::now();
    let mut looked = 0;
    let rounds = scale.pick(1, ROUNDS);
    for round in 0..rounds {
        looked += play(scale.seed.wrapping_add(round), false)?;
    }
    if scale.full {
        looked += play(scale.seed, true)?;
    }
    println!(
        "recall: {rounds} rounds of {} words taken back{}: in none of {looked} files looked through while server and devices ran on ({:.1} s)",
        DEEDS.len(),
        scale.pick("", ", and one with a moderators' history, which has them"),
        begun.elapsed().as_secs_f64()
    );
    Ok(())
}

/// One round on a server that keeps what was said before for moderators, or not.
fn play(seed: u64, keep: bool) -> Result<usize> {
    let mut stage = Stage::set(seed, keep)?;
    let mut words = Vec::new();
    for (n, deed) in DEEDS.iter().enumerate() {
        let word = format!(
            "marzipan{:08x}q{n}q",
            Chance::new(seed ^ 0x5eed).next() as u32
        );
        let said = (deed.say)(&mut stage, &word).with_context(|| deed.what.to_owned())?;
        words.push((deed, word, said));
    }
    let control = stage.text(Who::Bob, "this-stays-where-it-is")?;
    stage.all_have(control)?;
    // All that will be looked for can be found.
    for (deed, word, _) in &words {
        let hidden = stage.files_with(word)?;
        ensure!(
            hidden.iter().any(|path| path.starts_with(stage.data())),
            "{}: the server never had the word",
            deed.what
        );
        ensure!(
            hidden
                .iter()
                .any(|path| path.starts_with(stage.cache(Who::Ann))),
            "{}: ann's cache never had the word",
            deed.what
        );
    }
    stage.device(Who::Away)?.disconnect()?;
    for (deed, word, said) in &words {
        (deed.take_back)(&mut stage, *said, word).with_context(|| deed.what.to_owned())?;
    }
    stage.device(Who::Away)?.connect()?;
    let last = stage.text(Who::Bob, "that is all")?;
    stage.all_have(last)?;
    let mut looked = 0;
    for (deed, word, _) in &words {
        looked += stage.is_gone(deed, word)?;
        if keep && deed.kept {
            let server = stage
                .files_with(word)?
                .iter()
                .any(|path| path.starts_with(stage.data()));
            ensure!(server, "{}: the moderators' history has lost it", deed.what);
        }
    }
    // The rest is where it was.
    for place in [
        stage.data(),
        stage.cache(Who::Ann),
        stage.cache(Who::Away),
        stage.cache(Who::Bob),
    ] {
        let found = stage.files_with("this-stays-where-it-is")?;
        ensure!(
            found.iter().any(|path| path.starts_with(&place)),
            "{} has nothing any more",
            place.display()
        );
    }
    stage.end()?;
    Ok(looked)
}

/// Something that is said, and taken back.
struct Deed {
    what: &'static str,
    gone: Gone,
    /// Whether the moderators' history keeps it.
    kept: bool,
    say: fn(&mut Stage, &str) -> Result<u64>,
    take_back: fn(&mut Stage, u64, &str) -> Result<()>,
}

const DEEDS: &[Deed] = &[
    Deed {
        what: "a text, recalled",
        gone: Gone::Everywhere,
        kept: true,
        say: |stage, word| stage.text(Who::Bob, word),
        take_back: |stage, said, _| stage.recall(Who::Bob, said),
    },
    Deed {
        what: "a text, recalled by an admin",
        gone: Gone::Everywhere,
        kept: true,
        say: |stage, word| stage.text(Who::Bob, word),
        take_back: |stage, said, _| stage.recall(Who::Ann, said),
    },
    Deed {
        what: "a long text, recalled",
        gone: Gone::Everywhere,
        kept: true,
        say: |stage, word| {
            let words = vec![word; 3_900 / (word.len() + 1)].join(" ");
            stage.text(Who::Ann, &words)
        },
        take_back: |stage, said, _| stage.recall(Who::Ann, said),
    },
    Deed {
        what: "a text, edited twice",
        gone: Gone::Everywhere,
        kept: true,
        say: |stage, word| stage.text(Who::Bob, word),
        take_back: |stage, said, _| {
            for text in ["better", "best"] {
                stage.edit(Who::Bob, said, text)?;
            }
            Ok(())
        },
    },
    Deed {
        what: "an edit, recalled",
        gone: Gone::Everywhere,
        kept: true,
        say: |stage, word| {
            let said = stage.text(Who::Ann, "first")?;
            stage.edit(Who::Ann, said, word)?;
            Ok(said)
        },
        take_back: |stage, said, _| stage.recall(Who::Ann, said),
    },
    Deed {
        what: "a quoted text, recalled",
        gone: Gone::Everywhere,
        kept: true,
        say: |stage, word| {
            let said = stage.text(Who::Bob, word)?;
            let reply = NewMessage {
                reply_to: said,
                ..NewMessage::new(plain("yes"))
            };
            stage.send(Who::Ann, reply)?;
            Ok(said)
        },
        take_back: |stage, said, _| stage.recall(Who::Bob, said),
    },
    Deed {
        what: "a caption, recalled",
        gone: Gone::Everywhere,
        kept: true,
        say: |stage, word| stage.send(Who::Bob, NewMessage::new(file(word))),
        take_back: |stage, said, _| stage.recall(Who::Bob, said),
    },
    Deed {
        what: "a poll, recalled",
        gone: Gone::Everywhere,
        kept: true,
        say: |stage, word| {
            let poll = PollContent {
                question: "Where to?".to_owned(),
                options: vec!["home".to_owned(), word.to_owned()],
                choices_max: 1,
                ends: 0,
                anonymous: false,
            };
            let said = stage.send(Who::Bob, NewMessage::new(Content::Poll(poll)))?;
            let vote = Command::Vote {
                conversation: stage.group,
                message: MessageRef::Sequence(said),
                choices: vec![1],
            };
            stage.device(Who::Ann)?.call(&vote)?;
            Ok(said)
        },
        take_back: |stage, said, _| stage.recall(Who::Bob, said),
    },
    Deed {
        what: "a reaction to what is recalled",
        gone: Gone::Everywhere,
        kept: false,
        say: |stage, word| {
            let said = stage.text(Who::Bob, "hm")?;
            stage.react(said, word, true)?;
            Ok(said)
        },
        take_back: |stage, said, _| stage.recall(Who::Bob, said),
    },
    Deed {
        what: "a reaction, taken back",
        gone: Gone::Everywhere,
        kept: false,
        say: |stage, word| {
            let said = stage.text(Who::Bob, "hm")?;
            stage.react(said, word, true)?;
            Ok(said)
        },
        take_back: |stage, said, word| stage.react(said, word, false),
    },
    Deed {
        what: "the state of a live object",
        gone: Gone::Everywhere,
        kept: false,
        say: |stage, word| {
            let said = stage.send(Who::Bob, NewMessage::new(Content::Live(live("0:0"))))?;
            stage.set_live(said, word)?;
            Ok(said)
        },
        take_back: |stage, said, _| stage.set_live(said, "1:0"),
    },
    Deed {
        what: "a text, deleted by ann for herself",
        gone: Gone::FromAnn,
        kept: false,
        say: |stage, word| stage.text(Who::Bob, word),
        take_back: |stage, said, _| stage.delete(0, vec![said]),
    },
    Deed {
        what: "a history, cleared by ann",
        gone: Gone::FromAnn,
        kept: false,
        say: |stage, word| {
            let to = Recipient::User(UserId::new("ann")?);
            let text = word.to_owned();
            number_of(
                &stage
                    .device(Who::Bob)?
                    .call(&Command::SendText { to, text })?,
            )
        },
        take_back: |stage, said, _| {
            let delete = Command::Delete {
                conversation: stage.direct,
                upto: said,
                numbers: Vec::new(),
            };
            stage.device(Who::Ann)?.call(&delete)?;
            Ok(())
        },
    },
    Deed {
        what: "a draft, thrown away",
        gone: Gone::Everywhere,
        kept: false,
        say: |stage, word| {
            stage.draft(word)?;
            let (group, path) = (stage.group, stage.data());
            let begun = Instant::now();
            // It is sent when nobody has written for a while.
            while !files_with(&path, word)?.iter().any(|_| true) {
                ensure!(begun.elapsed() < PATIENCE, "the draft is not sent");
                stage.pump();
            }
            stage.device(Who::Away)?.until("the draft", |it| {
                it.row(group).is_some_and(|row| row.draft.is_some())
            })?;
            Ok(0)
        },
        take_back: |stage, _, _| {
            stage.draft("")?;
            stage.device(Who::Ann)?.pump();
            Ok(())
        },
    },
];

fn plain(text: &str) -> Content {
    Content::Text(TextContent::plain(text))
}

fn live(text: &str) -> CustomContent {
    CustomContent {
        name: "score".to_owned(),
        data: b"".as_slice().into(),
        text: text.to_owned(),
    }
}

fn file(caption: &str) -> Content {
    let attachment = Attachment {
        reference: "https://cdn.example/1".to_owned(),
        media_type: "image/png".to_owned(),
        name: format!("{caption}.png"),
        size: 1,
        width: 1,
        height: 1,
        duration_ms: 0,
        hash: b"".as_slice().into(),
        thumbnail: String::new(),
        blur: b"".as_slice().into(),
        waveform: b"".as_slice().into(),
    };
    Content::File(MediaContent {
        attachments: vec![attachment],
        text: caption.to_owned(),
        spans: Vec::new(),
    })
}

/// A server, three devices, a group and a direct conversation.
struct Stage {
    folder: tempfile::TempDir,
    server: Option<Server>,
    devices: Vec<Device>,
    group: ConversationId,
    direct: ConversationId,
}

impl Stage {
    fn set(seed: u64, keep: bool) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let mut plan = ServerPlan::new(folder.path());
        plan.settings = format!(
            "[limits]\nrate_direct_per_s = 0\nrate_group_per_s = 0\nrate_conversation_per_s = 0\nrate_requests_per_s = 0\nkeep_revisions = {keep}\n"
        );
        let server = plan.start()?;
        let target = Target {
            address: server.address(),
            fingerprint: server.fingerprint(),
        };
        let keys = TokenKeys::load(&plan.data.join("token-keys.toml"))?;
        let mut devices = Vec::new();
        for (n, user) in USERS.iter().enumerate() {
            let claims = Claims {
                sub: (*user).to_owned(),
                iat: 1_700_000_000,
                exp: 4_000_000_000,
                ..Claims::default()
            };
            let token = keys.sign(None, &claims)?;
            let cache = folder.path().join(format!("cache-{n}"));
            let mut device = Device::start(target, user, &token, Some(cache))?;
            device.connect()?;
            devices.push(device);
        }
        let [ann, bob] = [UserId::new("ann")?, UserId::new("bob")?];
        let mut stage = Self {
            folder,
            server: Some(server),
            devices,
            group: ConversationId::default(),
            direct: ConversationId::direct(&ann, &bob),
        };
        let made = stage.device(Who::Ann)?.call(&Command::CreateGroup {
            name: format!("raid {seed}"),
            invite: vec![bob],
            history_for_joiners: 0,
        })?;
        let Completion::Created { conversation } = made else {
            bail!("no group was made: {made:?}");
        };
        stage.group = conversation;
        stage
            .device(Who::Bob)?
            .call(&Command::Join { conversation })?;
        for device in &mut stage.devices {
            device.call(&Command::Open { conversation })?;
        }
        Ok(stage)
    }

    fn device(&mut self, who: Who) -> Result<&mut Device> {
        self.devices
            .get_mut(who as usize)
            .context("everybody is there")
    }

    fn pump(&mut self) {
        for device in &mut self.devices {
            device.pump();
        }
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("server")
    }

    fn cache(&self, who: Who) -> PathBuf {
        self.folder.path().join(format!("cache-{}", who as usize))
    }

    fn send(&mut self, who: Who, message: NewMessage) -> Result<u64> {
        let command = Command::Send {
            to: Recipient::Conversation(self.group),
            message: Box::new(message),
        };
        number_of(&self.device(who)?.call(&command)?)
    }

    fn text(&mut self, who: Who, text: &str) -> Result<u64> {
        self.send(who, NewMessage::new(plain(text)))
    }

    fn recall(&mut self, who: Who, said: u64) -> Result<()> {
        let recall = Command::Recall {
            conversation: self.group,
            message: MessageRef::Sequence(said),
        };
        self.device(who)?.call(&recall)?;
        Ok(())
    }

    fn edit(&mut self, who: Who, said: u64, text: &str) -> Result<()> {
        let edit = Command::EditText {
            conversation: self.group,
            message: MessageRef::Sequence(said),
            text: text.to_owned(),
        };
        self.device(who)?.call(&edit)?;
        Ok(())
    }

    fn react(&mut self, said: u64, key: &str, on: bool) -> Result<()> {
        let react = Command::React {
            conversation: self.group,
            message: MessageRef::Sequence(said),
            key: key.to_owned(),
            on,
        };
        self.device(Who::Ann)?.call(&react)?;
        Ok(())
    }

    fn set_live(&mut self, said: u64, text: &str) -> Result<()> {
        let set = Command::SetLive {
            conversation: self.group,
            message: MessageRef::Sequence(said),
            state: Box::new(live(text)),
        };
        self.device(Who::Bob)?.call(&set)?;
        Ok(())
    }

    fn delete(&mut self, upto: u64, numbers: Vec<u64>) -> Result<()> {
        let delete = Command::Delete {
            conversation: self.group,
            upto,
            numbers,
        };
        self.device(Who::Ann)?.call(&delete)?;
        Ok(())
    }

    fn draft(&mut self, text: &str) -> Result<()> {
        let draft = Command::SetDraft {
            conversation: self.group,
            text: text.to_owned(),
            reply_to: 0,
        };
        self.device(Who::Ann)?.call(&draft)?;
        Ok(())
    }

    /// Waits until all devices show a message, and have caught up.
    fn all_have(&mut self, number: u64) -> Result<()> {
        let group = self.group;
        for device in &mut self.devices {
            device.until("what was said last", |it| {
                it.message(group, number).is_some()
            })?;
        }
        Ok(())
    }

    fn files_with(&self, word: &str) -> Result<Vec<PathBuf>> {
        files_with(self.folder.path(), word)
    }

    /// Waits until a word is where it must not be no more; how many files were looked through.
    fn is_gone(&mut self, deed: &Deed, word: &str) -> Result<usize> {
        let begun = Instant::now();
        loop {
            let mut left = self.files_with(word)?;
            let keeps = self.server_keeps(deed)?;
            left.retain(|path| {
                let is_anns = path.starts_with(self.cache(Who::Ann))
                    || path.starts_with(self.cache(Who::Away));
                match deed.gone {
                    Gone::Everywhere => !(keeps && path.starts_with(self.data())),
                    Gone::FromAnn => is_anns,
                }
            });
            if left.is_empty() {
                break;
            }
            ensure!(
                begun.elapsed() < PATIENCE,
                "{}: the word is left in {left:?}",
                deed.what
            );
            self.pump();
        }
        Ok(files(self.folder.path())?.len())
    }

    /// Whether the server is to keep it for moderators.
    fn server_keeps(&self, deed: &Deed) -> Result<bool> {
        let settings = fs::read_to_string(self.folder.path().join("server.toml"))?;
        Ok(deed.kept && settings.contains("keep_revisions = true"))
    }

    fn end(mut self) -> Result<()> {
        for device in &self.devices {
            device.client.shutdown(PATIENCE);
        }
        if let Some(mut server) = self.server.take() {
            server.check()?;
            server.terminate(PATIENCE)?;
        }
        Ok(())
    }
}

/// All files below a folder.
fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            found.append(&mut files(&entry.path())?);
        } else {
            found.push(entry.path());
        }
    }
    Ok(found)
}

/// Those that have a word somewhere in their bytes. A file that goes meanwhile has nothing.
fn files_with(folder: &Path, word: &str) -> Result<Vec<PathBuf>> {
    let mut found = files(folder)?;
    found.retain(|path| {
        let bytes = fs::read(path).unwrap_or_default();
        bytes
            .windows(word.len())
            .any(|part| part == word.as_bytes())
    });
    Ok(found)
}
