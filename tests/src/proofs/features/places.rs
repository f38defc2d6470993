//! Scenes of conversations: who is in them, what they are set to, how they stand in the list.

use anyhow::{Result, bail};
use fireside_client_core::{
    Command,
    command::Recipient,
    event::Completion,
    view::{Body, ConversationRow},
};
use fireside_protocol::{
    Attribute, ConversationId, JoinPolicy, Permission, Role as Rank, Settings, UserId,
    frames::Member,
};

use super::{
    Scene,
    stage::{Place, Role, Stage},
};

pub(super) const SCENES: &[Scene] = &[
    Scene {
        name: "direct",
        act: |stage, place| {
            // With cyd ann never spoke before this scene was first played.
            let to = Recipient::User(Stage::user(Role::Ann)?);
            let text = "a word".to_owned();
            stage.call(Role::Cyd, Command::SendText { to, text })?;
            let both = [Stage::user(Role::Ann)?, Stage::user(Role::Cyd)?];
            place.other = Some(ConversationId::direct(&both[0], &both[1]));
            Ok(())
        },
        shows: |stage, role, place| {
            let cyd = Stage::user(Role::Cyd)?;
            line(stage, role, place.other, |row| {
                row.peer.as_ref() == Some(&cyd) && &*row.preview == "a word"
            })
        },
    },
    Scene {
        name: "group",
        act: |stage, place| {
            let made = stage.call(
                Role::Bob,
                Command::CreateGroup {
                    name: "guild".to_owned(),
                    invite: vec![Stage::user(Role::Ann)?],
                    history_for_joiners: 0,
                },
            )?;
            let conversation = created(&made)?;
            stage.call(Role::Ann, Command::Join { conversation })?;
            place.other = Some(conversation);
            Ok(())
        },
        shows: |stage, role, place| {
            line(stage, role, place.other, |row| {
                &*row.name == "guild" && row.role == Some(Rank::Member)
            })
        },
    },
    Scene {
        name: "invitation declined",
        act: |stage, place| {
            let made = stage.call(
                Role::Bob,
                Command::CreateGroup {
                    name: "guild".to_owned(),
                    invite: vec![Stage::user(Role::Ann)?, Stage::user(Role::Cyd)?],
                    history_for_joiners: 0,
                },
            )?;
            let conversation = created(&made)?;
            stage.call(Role::Cyd, Command::Leave { conversation })?;
            stage.call(Role::Ann, Command::Join { conversation })?;
            place.other = Some(conversation);
            Ok(())
        },
        shows: |stage, role, place| {
            let Some(conversation) = place.other else {
                return Ok(false);
            };
            // Who declined has no invitation to accept any more.
            let join = Command::Join { conversation };
            let closed = stage.device(Role::Cyd)?.asks(&join).is_none();
            Ok(closed && members(stage, role, conversation)?.len() == 2)
        },
    },
    Scene {
        name: "leave",
        act: |stage, place| {
            let conversation = place.group;
            stage.call(Role::Cyd, Command::Leave { conversation })?;
            Ok(())
        },
        shows: |stage, role, place| {
            let cyd = Stage::user(Role::Cyd)?;
            body(stage, role, place, &Body::Left(cyd))
        },
    },
    Scene {
        name: "remove",
        act: |stage, place| {
            let remove = Command::RemoveMember {
                conversation: place.group,
                user: Stage::user(Role::Cyd)?,
            };
            stage.call(Role::Ann, remove)?;
            Ok(())
        },
        shows: |stage, role, place| {
            let cyd = Stage::user(Role::Cyd)?;
            let there = members(stage, role, place.group)?;
            let out = !there.iter().any(|member| member.user == cyd);
            Ok(out && body(stage, role, place, &Body::Removed(cyd))?)
        },
    },
    Scene {
        name: "roles",
        act: |stage, place| {
            let give = Command::SetRole {
                conversation: place.group,
                user: Stage::user(Role::Bob)?,
                role: Rank::Admin,
            };
            stage.call(Role::Ann, give)?;
            Ok(())
        },
        shows: |stage, role, place| {
            let bob = Stage::user(Role::Bob)?;
            let there = members(stage, role, place.group)?;
            let admin = there
                .iter()
                .any(|it| it.user == bob && it.role == Rank::Admin);
            Ok(admin && body(stage, role, place, &Body::Role(bob, Rank::Admin))?)
        },
    },
    Scene {
        name: "handing over",
        act: |stage, place| {
            let give = Command::SetRole {
                conversation: place.group,
                user: Stage::user(Role::Bob)?,
                role: Rank::Owner,
            };
            stage.call(Role::Ann, give)?;
            Ok(())
        },
        shows: |stage, role, place| {
            line(stage, role, Some(place.group), |row| {
                row.role == Some(Rank::Admin)
            })
        },
    },
    Scene {
        name: "public, open",
        act: |stage, place| {
            let made = stage.call(Role::Bob, public(JoinPolicy::Open))?;
            let conversation = created(&made)?;
            stage.call(Role::Ann, Command::Join { conversation })?;
            place.other = Some(conversation);
            Ok(())
        },
        shows: |stage, role, place| {
            line(stage, role, place.other, |row| {
                row.role == Some(Rank::Member) && &*row.name == "the faction"
            })
        },
    },
    Scene {
        name: "public, on request",
        act: |stage, place| {
            let made = stage.call(Role::Bob, public(JoinPolicy::Request))?;
            let conversation = created(&made)?;
            stage.call(Role::Ann, Command::Join { conversation })?;
            let answer = Command::AnswerRequest {
                conversation,
                user: Stage::user(Role::Ann)?,
                accept: true,
            };
            stage.call(Role::Bob, answer)?;
            place.other = Some(conversation);
            Ok(())
        },
        shows: |stage, role, place| {
            line(stage, role, place.other, |row| {
                row.role == Some(Rank::Member)
            })
        },
    },
    Scene {
        name: "what joiners see",
        act: |stage, place| {
            let made = stage.call(
                Role::Bob,
                Command::CreateGroup {
                    name: "guild".to_owned(),
                    invite: vec![Stage::user(Role::Ann)?],
                    history_for_joiners: u64::MAX,
                },
            )?;
            let conversation = created(&made)?;
            place.note = stage.say(Role::Bob, conversation, "before you came")?;
            stage.call(Role::Ann, Command::Join { conversation })?;
            place.other = Some(conversation);
            Ok(())
        },
        shows: |stage, role, place| {
            let Some(conversation) = place.other else {
                return Ok(false);
            };
            let device = stage.device(role)?;
            Ok(device.message(conversation, place.note).is_some())
        },
    },
    Scene {
        name: "profile",
        act: |stage, place| {
            set(
                stage,
                place,
                Settings {
                    name: Some("the Friday raid".to_owned()),
                    description: Some("Bring torches.".to_owned()),
                    picture: Some("badge/7".to_owned()),
                    attributes: vec![Attribute {
                        key: "level".to_owned(),
                        value: "40".to_owned(),
                    }],
                    ..Settings::default()
                },
            )
        },
        shows: |stage, role, place| {
            let conversation = place.group;
            let ask = Command::Settings { conversation };
            let Some(Completion::Settings(all)) = stage.device(role)?.asks(&ask) else {
                return Ok(false);
            };
            let set = all.description.as_deref() == Some("Bring torches.")
                && all.attributes.iter().any(|it| it.value == "40");
            Ok(set
                && line(stage, role, Some(conversation), |row| {
                    &*row.name == "the Friday raid" && &*row.picture == "badge/7"
                })?)
        },
    },
    Scene {
        name: "freeze",
        act: |stage, place| {
            let frozen = Some(true);
            set(
                stage,
                place,
                Settings {
                    frozen,
                    ..Settings::default()
                },
            )
        },
        shows: |stage, role, place| {
            let group = place.group;
            let mine = line(stage, role, Some(group), |row| row.frozen)?;
            Ok(mine && stage.say(Role::Cyd, group, "hm").is_err())
        },
    },
    Scene {
        name: "slow mode",
        act: |stage, place| {
            let slow_mode_ms = Some(60_000);
            set(
                stage,
                place,
                Settings {
                    slow_mode_ms,
                    ..Settings::default()
                },
            )
        },
        shows: |stage, role, place| {
            line(stage, role, Some(place.group), |row| {
                row.slow_mode_ms == 60_000
            })
        },
    },
    Scene {
        name: "permissions and capabilities",
        act: |stage, place| {
            set(
                stage,
                place,
                Settings {
                    member_permissions: Some(Permission::Send.bit() | Permission::Pin.bit()),
                    ..Settings::default()
                },
            )
        },
        shows: |stage, role, place| {
            let (group, pin) = (place.group, Permission::Pin.bit());
            let theirs = stage.device(Role::Cyd)?;
            theirs.pump();
            let given = theirs
                .row(group)
                .is_some_and(|row| row.capabilities & pin != 0);
            // The owner may everything, always.
            Ok(
                given && line(stage, role, Some(group), |row| row.capabilities & pin != 0)? && {
                    let rows = stage.device(role)?.rows(group);
                    rows.iter().any(|row| matches!(row.body, Body::Settings(_)))
                },
            )
        },
    },
    Scene {
        name: "block",
        act: |stage, place| {
            let user = Stage::user(Role::Cyd)?;
            let block = |user: &UserId, on| Command::Block {
                user: user.clone(),
                on,
            };
            stage.call(Role::Ann, block(&user, true))?;
            place.note = stage.say(Role::Cyd, place.group, "do you hear me?")?;
            Ok(())
        },
        shows: |stage, role, place| {
            let (group, said) = (place.group, place.note);
            let device = stage.device(role)?;
            let hidden = device.message(group, said).is_none()
                && device.message(group, place.said[2]).is_none();
            // The others hear them, and once the block ends ann does again.
            let others = stage.device(Role::Bob)?;
            others.until("what cyd said", |it| it.message(group, said).is_some())?;
            Ok(hidden)
        },
    },
    Scene {
        name: "unread",
        act: |stage, place| {
            stage.say(Role::Bob, place.group, "one")?;
            stage.say(Role::Cyd, place.group, "two")?;
            Ok(())
        },
        shows: |stage, role, place| {
            line(stage, role, Some(place.group), |row| {
                row.unread == 4 && &*row.preview == "two"
            })
        },
    },
    Scene {
        name: "member list",
        act: |_, _| Ok(()),
        shows: |stage, role, place| {
            let there = members(stage, role, place.group)?;
            let names: Vec<_> = there.iter().map(|it| it.name.as_str()).collect();
            Ok(names == ["ann's name", "bob's name", "cyd's name"])
        },
    },
];

pub(super) fn created(completion: &Completion) -> Result<ConversationId> {
    match completion {
        Completion::Created { conversation } => Ok(*conversation),
        other => bail!("nothing was made: {other:?}"),
    }
}

fn public(join: JoinPolicy) -> Command {
    Command::CreatePublic {
        name: "the faction".to_owned(),
        invite: Vec::new(),
        join,
    }
}

fn set(stage: &mut Stage, place: &Place, change: Settings) -> Result<()> {
    let set = Command::SetConversation {
        conversation: place.group,
        change: Box::new(change),
    };
    stage.call(Role::Ann, set)?;
    Ok(())
}

pub(super) fn line(
    stage: &mut Stage,
    role: Role,
    id: Option<ConversationId>,
    is: impl Fn(&ConversationRow) -> bool,
) -> Result<bool> {
    let device = stage.device(role)?;
    Ok(id.and_then(|id| device.row(id)).is_some_and(is))
}

pub(super) fn body(stage: &mut Stage, role: Role, place: &Place, body: &Body) -> Result<bool> {
    let rows = stage.device(role)?.rows(place.group);
    Ok(rows.iter().any(|row| row.body == *body))
}

pub(super) fn members(
    stage: &mut Stage,
    role: Role,
    conversation: ConversationId,
) -> Result<Vec<Member>> {
    let ask = Command::Members {
        conversation,
        after: None,
    };
    match stage.device(role)?.asks(&ask) {
        Some(Completion::Members { members, .. }) => Ok(members),
        _ => Ok(Vec::new()),
    }
}
