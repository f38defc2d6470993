//! Scenes of what belongs to a person, and of what people are to each other.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use fireside_client_core::{
    Command,
    command::MessageRef,
    event::Completion,
    view::{Body, ConversationRow, MessageState, ReadBy, TimelineRow},
};
use fireside_protocol::{
    FriendAction, FriendState, NotificationLevel, Personal, PresenceState, ReportReason,
    RichPresence,
    presence::{PresenceOf, SetPresence},
};

use super::{
    Scene,
    places::line,
    stage::{Place, Role, Stage},
};

/// For ever, for what is muted.
const FOR_EVER: u64 = u64::MAX;
/// How many messages are more than a screen.
const MANY: usize = 120;

pub(super) const SCENES: &[Scene] = &[
    Scene {
        name: "at the top",
        act: |stage, place| personal(stage, place, |own| own.pinned = Some(true)),
        shows: |stage, role, place| {
            let group = place.group;
            let shown = line(stage, role, Some(group), |row| row.personal.pinned)?;
            let pinned = |row: &&ConversationRow| row.personal.pinned;
            let list = &stage.device(role)?.list;
            // Before all that are not pinned, although something was said elsewhere since.
            Ok(shown
                && list
                    .iter()
                    .take_while(pinned)
                    .any(|row| row.conversation == group))
        },
    },
    Scene {
        name: "muted until",
        act: |stage, place| personal(stage, place, |own| own.muted_until = Some(FOR_EVER)),
        shows: |stage, role, place| {
            line(stage, role, Some(place.group), |row| {
                row.personal.muted && row.personal.muted_until == FOR_EVER
            })
        },
    },
    Scene {
        name: "archived",
        act: |stage, place| personal(stage, place, |own| own.archived = Some(true)),
        shows: |stage, role, place| {
            line(stage, role, Some(place.group), |row| row.personal.archived)
        },
    },
    Scene {
        name: "archived, and back",
        act: |stage, place| {
            personal(stage, place, |own| {
                own.archived = Some(true);
                own.level = Some(NotificationLevel::Nothing);
            })?;
            place.note = stage.say(Role::Bob, place.group, "psst")?;
            Ok(())
        },
        shows: |stage, role, place| {
            line(stage, role, Some(place.group), |row| {
                !row.personal.archived && row.personal.level == NotificationLevel::Nothing
            })
        },
    },
    Scene {
        name: "marked unread",
        act: |stage, place| personal(stage, place, |own| own.marked_unread = Some(true)),
        shows: |stage, role, place| {
            line(stage, role, Some(place.group), |row| {
                row.personal.marked_unread
            })
        },
    },
    Scene {
        name: "notification level",
        act: |stage, place| {
            personal(stage, place, |own| {
                own.level = Some(NotificationLevel::Mentions);
            })
        },
        shows: |stage, role, place| {
            line(stage, role, Some(place.group), |row| {
                row.personal.level == NotificationLevel::Mentions
            })
        },
    },
    Scene {
        name: "read all",
        act: |stage, _| {
            stage.call(Role::Ann, Command::ReadAll)?;
            Ok(())
        },
        shows: |stage, role, place| {
            let read = line(stage, role, Some(place.group), |row| row.unread == 0)?;
            // What was said since is not.
            Ok(read && line(stage, role, Some(place.direct), |row| row.unread == 1)?)
        },
    },
    Scene {
        name: "badge",
        act: |stage, place| {
            stage.call(Role::Ann, Command::ReadAll)?;
            stage.say(Role::Bob, place.group, "one")?;
            stage.say(Role::Cyd, place.group, "two")?;
            personal(stage, place, |own| own.muted_until = Some(FOR_EVER))
        },
        shows: |stage, role, place| {
            // Two in the group, which is muted and does not count; one between ann and bob, said last.
            let muted = line(stage, role, Some(place.group), |row| {
                row.unread == 2 && row.personal.muted
            })?;
            Ok(muted && stage.device(role)?.badge == 1)
        },
    },
    Scene {
        name: "folders",
        act: |stage, place| {
            let make = Command::SetFolder {
                folder: None,
                name: "raids".to_owned(),
                order: 1,
            };
            stage.call(Role::Ann, make)?;
            let ann = stage.device(Role::Ann)?;
            ann.until_or("a folder", LOST_TOO_LONG, |it| !it.folders.is_empty())?;
            let folder = ann.folders.first().context("a folder")?.folder;
            personal(stage, place, |own| own.folder = Some(folder))
        },
        shows: |stage, role, place| {
            let device = stage.device(role)?;
            let folder = device.folders.iter().find(|it| &*it.name == "raids");
            let folder = folder.map(|it| it.folder);
            Ok(folder.is_some()
                && line(stage, role, Some(place.group), |row| {
                    row.personal.folder == folder
                })?)
        },
    },
    Scene {
        name: "draft",
        act: |stage, place| {
            let draft = Command::SetDraft {
                conversation: place.group,
                text: "I think".to_owned(),
                reply_to: place.said[0],
            };
            stage.call(Role::Ann, draft)?;
            Ok(())
        },
        shows: |stage, role, place| {
            let wrote = place.said[0];
            line(stage, role, Some(place.group), |row| {
                let draft = row.draft.as_ref();
                draft.is_some_and(|it| &*it.text == "I think" && it.reply_to == wrote)
            })
        },
    },
    Scene {
        name: "friends",
        act: |stage, _| befriend(stage, Role::Bob),
        shows: |stage, role, _| stands(stage, role, Role::Bob, Some(FriendState::Friend)),
    },
    Scene {
        name: "a friend's request",
        act: |stage, _| {
            let ann = Stage::user(Role::Ann)?;
            friend(
                stage,
                Role::Bob,
                Command::Friend {
                    user: ann,
                    action: FriendAction::Request,
                },
            )
        },
        shows: |stage, role, _| stands(stage, role, Role::Bob, Some(FriendState::Asks)),
    },
    Scene {
        name: "a friend's request, declined",
        act: |stage, _| {
            let [ann, bob] = [Stage::user(Role::Ann)?, Stage::user(Role::Bob)?];
            friend(
                stage,
                Role::Bob,
                Command::Friend {
                    user: ann,
                    action: FriendAction::Request,
                },
            )?;
            stands_within(stage, Role::Ann, Role::Bob, FriendState::Asks)?;
            friend(
                stage,
                Role::Ann,
                Command::Friend {
                    user: bob,
                    action: FriendAction::Decline,
                },
            )
        },
        shows: |stage, role, _| stands(stage, role, Role::Bob, None),
    },
    Scene {
        name: "a friend no more",
        act: |stage, _| {
            befriend(stage, Role::Bob)?;
            let bob = Stage::user(Role::Bob)?;
            friend(
                stage,
                Role::Ann,
                Command::Friend {
                    user: bob,
                    action: FriendAction::Remove,
                },
            )
        },
        shows: |stage, role, _| stands(stage, role, Role::Bob, None),
    },
    Scene {
        name: "presence",
        act: |stage, _| {
            befriend(stage, Role::Bob)?;
            let busy = SetPresence {
                state: PresenceState::DoNotDisturb,
                text: "in a raid".to_owned(),
                emoji: "🔥".to_owned(),
                until: 0,
                rich: Some(Box::new(raid())),
            };
            stage.call(Role::Bob, Command::SetPresence(Box::new(busy)))?;
            Ok(())
        },
        shows: |stage, role, _| {
            let bob = Stage::user(Role::Bob)?;
            let is = |of: &PresenceOf| {
                of.state == PresenceState::DoNotDisturb
                    && of.text == "in a raid"
                    && of.emoji == "🔥"
                    && of.rich.as_deref() == Some(&raid())
            };
            Ok(stage.device(role)?.presence.get(&bob).is_some_and(is))
        },
    },
    Scene {
        name: "last seen",
        act: |stage, _| {
            befriend(stage, Role::Cyd)?;
            stage.device(Role::Cyd)?.disconnect()
        },
        shows: |stage, role, _| {
            let users = vec![Stage::user(Role::Cyd)?];
            let asked = stage.device(role)?.asks(&Command::Presence { users });
            let Some(Completion::Presence(found)) = asked else {
                return Ok(false);
            };
            let away = |it: &PresenceOf| it.state == PresenceState::Offline && it.last_seen > 0;
            Ok(found.first().is_some_and(away))
        },
    },
    Scene {
        name: "typing",
        act: |_, _| Ok(()),
        shows: |stage, role, place| {
            let (conversation, bob) = (place.group, Stage::user(Role::Bob)?);
            stage.call(
                Role::Bob,
                Command::Typing {
                    conversation,
                    on: true,
                },
            )?;
            Ok(stage.device(role)?.typing.contains(&(conversation, bob)))
        },
    },
    Scene {
        name: "delivered",
        act: |stage, place| {
            place.note = stage.say(Role::Ann, place.direct, "are you there?")?;
            Ok(())
        },
        shows: |stage, role, place| {
            stage.device(Role::Bob)?.pump();
            own(
                stage,
                role,
                place,
                |row| row.state == MessageState::Delivered,
                place.direct,
            )
        },
    },
    Scene {
        name: "read by",
        act: |stage, place| {
            place.note = stage.say(Role::Ann, place.group, "who comes?")?;
            read(stage, Role::Bob, place)
        },
        shows: |stage, role, place| {
            let read = ReadBy { readers: 1, of: 2 };
            own(stage, role, place, |row| row.read_by == read, place.group)
        },
    },
    Scene {
        name: "who has read",
        act: |stage, place| {
            place.note = stage.say(Role::Ann, place.group, "who comes?")?;
            read(stage, Role::Bob, place)
        },
        shows: |stage, role, place| {
            let ask = Command::Readers {
                conversation: place.group,
                sequence: place.note,
            };
            let Some(Completion::Readers { users, of }) = stage.device(role)?.asks(&ask) else {
                return Ok(false);
            };
            Ok(users == [Stage::user(Role::Bob)?] && of == 2)
        },
    },
    Scene {
        name: "receipts off",
        act: |stage, place| {
            stage.call(Role::Bob, Command::SetReceipts { on: false })?;
            let bob = stage.device(Role::Bob)?;
            bob.until_or("receipts off", LOST_TOO_LONG, |it| !it.tells)?;
            place.note = stage.say(Role::Ann, place.group, "who comes?")?;
            read(stage, Role::Bob, place)?;
            read(stage, Role::Cyd, place)
        },
        shows: |stage, role, place| {
            // Of bob nothing is told, and bob is told of nobody.
            let read = ReadBy { readers: 1, of: 1 };
            own(stage, role, place, |row| row.read_by == read, place.group)
        },
    },
    Scene {
        name: "report",
        act: |stage, place| {
            place.reports = stage.reports(1)?;
            let report = Command::Report {
                conversation: Some(place.group),
                sequence: place.said[2],
                user: None,
                reason: ReportReason::Harassment,
                text: "not nice".to_owned(),
            };
            stage.call(Role::Ann, report)?;
            // What is taken back stays as evidence.
            let recall = Command::Recall {
                conversation: place.group,
                message: MessageRef::Sequence(place.said[2]),
            };
            stage.call(Role::Cyd, recall)?;
            Ok(())
        },
        shows: |stage, role, place| {
            // Its author and what stood around it: three messages of 40 bytes at least.
            let kept = stage.reports(120)? == place.reports + 1;
            let (group, said) = (place.group, place.said[2]);
            let row = stage.device(role)?.message(group, said);
            Ok(kept && row.is_some_and(|row| row.body == Body::Recalled))
        },
    },
    Scene {
        name: "an edit that comes too late",
        act: |stage, place| {
            let edit = |text: &str| Command::EditText {
                conversation: place.group,
                message: MessageRef::Sequence(place.said[0]),
                text: text.to_owned(),
            };
            // The device that is away edits what it sees, the other edits it meanwhile.
            let away = stage.device(Role::Away)?;
            away.client.command(edit("from the train"))?;
            let (group, number) = (place.group, place.said[0]);
            away.until("its own edit", |it| {
                text_of(it.message(group, number)) == "from the train"
            })?;
            stage.call(Role::Ann, edit("from home"))?;
            Ok(())
        },
        shows: |stage, role, place| {
            let row = stage.device(role)?.message(place.group, place.said[0]);
            Ok(text_of(row) == "from home")
        },
    },
    Scene {
        name: "older messages",
        act: |stage, place| {
            for n in 0..MANY {
                stage.say(Role::Bob, place.group, &n.to_string())?;
            }
            Ok(())
        },
        shows: |stage, role, place| {
            let (group, first) = (place.group, place.said[0]);
            let device = stage.device(role)?;
            if device.message(group, first).is_none() {
                let (conversation, count) = (group, 100);
                let _ = device.asks(&Command::LoadOlder {
                    conversation,
                    count,
                });
            }
            let rows = device.rows(group).iter();
            let texts = rows.filter(|row| matches!(row.body, Body::Text(_))).count();
            Ok(device.message(group, first).is_some() && texts == MANY + 3)
        },
    },
];

/// What is lost does not appear however long one waits.
const LOST_TOO_LONG: Duration = Duration::from_secs(3);

fn personal(stage: &mut Stage, place: &Place, change: impl Fn(&mut Personal)) -> Result<()> {
    let mut own = Personal {
        pinned: None,
        archived: None,
        muted_until: None,
        level: None,
        marked_unread: None,
        folder: None,
        archived_to: 0,
    };
    change(&mut own);
    let set = Command::SetPersonal {
        conversation: place.group,
        change: own,
    };
    stage.call(Role::Ann, set)?;
    Ok(())
}

fn friend(stage: &mut Stage, role: Role, command: Command) -> Result<()> {
    stage.call(role, command)?;
    Ok(())
}

/// They ask, ann says yes.
fn befriend(stage: &mut Stage, other: Role) -> Result<()> {
    let [ann, user] = [Stage::user(Role::Ann)?, Stage::user(other)?];
    let request = Command::Friend {
        user: ann,
        action: FriendAction::Request,
    };
    friend(stage, other, request)?;
    stands_within(stage, Role::Ann, other, FriendState::Asks)?;
    let accept = Command::Friend {
        user,
        action: FriendAction::Accept,
    };
    friend(stage, Role::Ann, accept)?;
    stands_within(stage, other, Role::Ann, FriendState::Friend)
}

fn stands_within(stage: &mut Stage, role: Role, other: Role, wanted: FriendState) -> Result<()> {
    let begun = Instant::now();
    while !stands(stage, role, other, Some(wanted))? {
        ensure!(
            begun.elapsed() < LOST_TOO_LONG,
            "{other:?} does not stand as {wanted:?}"
        );
        stage.device(role)?.pump();
    }
    Ok(())
}

/// How somebody stands with another, as a device shows it.
fn stands(stage: &mut Stage, role: Role, other: Role, wanted: Option<FriendState>) -> Result<bool> {
    let user = Stage::user(other)?;
    let friends = &stage.device(role)?.friends;
    let state = friends.iter().find(|it| it.user == user).map(|it| it.state);
    Ok(state == wanted)
}

fn raid() -> RichPresence {
    RichPresence {
        what: "Molten Core".to_owned(),
        details: "third boss".to_owned(),
        join_secret: b"open sesame".as_slice().into(),
        party_size: 12,
        party_max: 40,
    }
}

/// Somebody reads the group to what ann said.
fn read(stage: &mut Stage, role: Role, place: &Place) -> Result<()> {
    let (group, number) = (place.group, place.note);
    let device = stage.device(role)?;
    device.until("what ann said", |it| it.message(group, number).is_some())?;
    let read = Command::MarkRead {
        conversation: group,
        upto: number,
    };
    stage.call(role, read)?;
    Ok(())
}

/// Ann's own message of the scene.
fn own(
    stage: &mut Stage,
    role: Role,
    place: &Place,
    is: impl Fn(&TimelineRow) -> bool,
    conversation: fireside_protocol::ConversationId,
) -> Result<bool> {
    let device = stage.device(role)?;
    Ok(device.message(conversation, place.note).is_some_and(is))
}

fn text_of(row: Option<&TimelineRow>) -> &str {
    match row.map(|row| &row.body) {
        Some(Body::Text(text)) => text,
        _ => "",
    }
}
