//! Scenes of what belongs to another conversation: channels of a community, threads under messages. And of a conversation's own roles.

use anyhow::{Result, bail};
use fireside_client_core::{Command, NewMessage, event::Completion, view::ConversationRow};
use fireside_protocol::{
    Attribute, Content, ConversationId, ConversationKind, JoinPolicy, NotificationLevel, OwnRole,
    Permission, Personal, Role as Rank, Settings, TextContent,
};

use super::{
    Scene,
    stage::{Place, Role, Stage},
};

pub(super) const SCENES: &[Scene] = &[
    Scene {
        name: "community and channel",
        act: |stage, place| {
            let (community, channel) = community(stage, false)?;
            for conversation in [community, channel] {
                stage.call(Role::Ann, Command::Join { conversation })?;
            }
            place.note = stage.say(Role::Bob, channel, "welcome to the hall")?;
            place.other = Some(channel);
            Ok(())
        },
        shows: |stage, role, place| {
            let Some(channel) = place.other else {
                return Ok(false);
            };
            let said = stage.device(role)?.message(channel, place.note).is_some();
            Ok(said
                && line(stage, role, Some(channel), |row| {
                    let rank = row.role == Some(Rank::Member);
                    row.kind == ConversationKind::Channel && row.parent.is_some() && rank
                })?)
        },
    },
    Scene {
        name: "default channels",
        act: |stage, place| {
            let (conversation, channel) = community(stage, true)?;
            stage.call(Role::Ann, Command::Join { conversation })?;
            place.other = Some(channel);
            Ok(())
        },
        shows: |stage, role, place| line(stage, role, place.other, |row| row.role.is_some()),
    },
    Scene {
        name: "channel list",
        act: |stage, place| {
            let (conversation, _) = community(stage, false)?;
            stage.call(Role::Ann, Command::Join { conversation })?;
            place.other = Some(conversation);
            Ok(())
        },
        shows: |stage, role, place| {
            let Some(conversation) = place.other else {
                return Ok(false);
            };
            let ask = Command::Children {
                conversation,
                after: None,
            };
            Ok(match stage.device(role)?.asks(&ask) {
                Some(Completion::Children { children, .. }) => {
                    let mut children = children.iter();
                    children.any(|child| child.name == "the hall" && child.role.is_none())
                }
                _ => false,
            })
        },
    },
    Scene {
        name: "thread",
        act: |stage, place| {
            let thread = thread(stage, place)?;
            place.note = stage.say(Role::Bob, thread, "about that")?;
            Ok(())
        },
        shows: |stage, role, place| {
            let (group, root) = (place.group, place.said[0]);
            let device = stage.device(role)?;
            let row = device.message(group, root);
            let marked = row.and_then(|row| row.details.as_ref()?.thread);
            let said = place.other.and_then(|it| device.message(it, place.note));
            let there = marked.is_some() && marked == place.other && said.is_some();
            Ok(there
                && line(stage, role, place.other, |row| {
                    row.parent == Some(group) && row.root == root && row.unread == 1
                })?)
        },
    },
    Scene {
        name: "a thread's level",
        act: |stage, place| {
            let conversation = thread(stage, place)?;
            let change = Personal {
                level: Some(NotificationLevel::Mentions),
                ..Personal::NOTHING
            };
            let set = Command::SetPersonal {
                conversation,
                change,
            };
            stage.call(Role::Ann, set)?;
            Ok(())
        },
        shows: |stage, role, place| {
            line(stage, role, place.other, |row| {
                row.personal.level == NotificationLevel::Mentions
            })
        },
    },
    Scene {
        name: "out of all that belongs to it",
        act: |stage, place| {
            thread(stage, place)?;
            let remove = Command::SetRole {
                conversation: place.group,
                user: Stage::user(Role::Bob)?,
                role: Rank::Owner,
            };
            stage.call(Role::Ann, remove)?;
            let conversation = place.group;
            stage.call(Role::Ann, Command::Leave { conversation })?;
            // The device that was away never knew of it.
            place.other = None;
            Ok(())
        },
        shows: |stage, role, place| {
            let out = |row: &ConversationRow| row.role.is_none();
            let thread = ConversationId::thread(place.group, place.said[0]);
            let shut = stage.say(role, thread, "am I in?").is_err();
            Ok(shut && line(stage, role, Some(place.group), out)?)
        },
    },
    Scene {
        name: "own roles",
        act: |stage, place| {
            let scout = OwnRole {
                number: 20,
                name: "Scout".to_owned(),
                permissions: Permission::Send.bit() | Permission::Pin.bit(),
                colour: 0x00ff_8800,
            };
            let set = Command::SetConversation {
                conversation: place.group,
                change: Box::new(Settings {
                    roles: vec![scout],
                    ..Settings::default()
                }),
            };
            stage.call(Role::Ann, set)?;
            let give = Command::SetRole {
                conversation: place.group,
                user: Stage::user(Role::Bob)?,
                role: Rank::Unknown(20),
            };
            stage.call(Role::Ann, give)?;
            Ok(())
        },
        shows: |stage, role, place| {
            let ask = Command::Members {
                conversation: place.group,
                after: None,
            };
            let bob = Stage::user(Role::Bob)?;
            let scout = match stage.device(role)?.asks(&ask) {
                Some(Completion::Members { members, .. }) => {
                    let mut members = members.iter();
                    members.any(|it| it.user == bob && it.role == Rank::Unknown(20))
                }
                _ => false,
            };
            let theirs = stage.device(Role::Bob)?;
            theirs.pump();
            let may = (theirs.row(place.group))
                .is_some_and(|row| row.capabilities & Permission::Pin.bit() != 0);
            Ok(scout && may)
        },
    },
    Scene {
        name: "user profile",
        act: |stage, _| {
            let set = Command::SetProfile {
                description: Some("a bard".to_owned()),
                picture: Some("lute".to_owned()),
                attributes: vec![Attribute {
                    key: "level".to_owned(),
                    value: "40".to_owned(),
                }],
            };
            stage.call(Role::Bob, set)?;
            Ok(())
        },
        shows: |stage, role, _| {
            let users = vec![Stage::user(Role::Bob)?];
            let found = stage.device(role)?.asks(&Command::Profiles { users });
            Ok(match found {
                Some(Completion::Profiles(all)) => all.iter().any(|it| {
                    let level = it.attributes.iter().any(|it| it.value == "40");
                    it.name == "bob's name" && it.picture == "lute" && level
                }),
                _ => false,
            })
        },
    },
    Scene {
        name: "mention a role",
        act: |stage, place| {
            let content = Content::Text(TextContent::plain("owners!"));
            let message = NewMessage {
                mention_roles: vec![Rank::Owner],
                ..NewMessage::new(content)
            };
            place.note = stage.send(Role::Bob, place.group, message)?;
            Ok(())
        },
        shows: |stage, role, place| {
            let device = stage.device(role)?;
            let row = device.message(place.group, place.note);
            let marked = row.and_then(|row| Some(row.details.as_ref()?.mentioned));
            Ok(marked == Some(true)
                && line(stage, role, Some(place.group), |row| row.mentions == 1)?)
        },
    },
];

/// A community of bob's to which ann is invited, and its channel.
fn community(stage: &mut Stage, by_default: bool) -> Result<(ConversationId, ConversationId)> {
    let make = Command::CreateCommunity {
        name: "the realm".to_owned(),
        invite: vec![Stage::user(Role::Ann)?],
        join: JoinPolicy::Open,
    };
    let community = created(&stage.call(Role::Bob, make)?)?;
    let make = Command::CreateChannel {
        community,
        name: "the hall".to_owned(),
        join: JoinPolicy::Open,
        by_default,
    };
    let channel = created(&stage.call(Role::Bob, make)?)?;
    Ok((community, channel))
}

/// The thread that bob opens under what ann said, and into which she comes.
fn thread(stage: &mut Stage, place: &mut Place) -> Result<ConversationId> {
    let mut thread = None;
    for role in [Role::Bob, Role::Ann] {
        let open = Command::OpenThread {
            conversation: place.group,
            message: place.said[0],
            name: String::new(),
        };
        thread = Some(created(&stage.call(role, open)?)?);
    }
    let Some(thread) = thread else {
        bail!("there is no thread");
    };
    let conversation = thread;
    stage.call(Role::Ann, Command::Open { conversation })?;
    place.other = Some(thread);
    Ok(thread)
}

fn created(completion: &Completion) -> Result<ConversationId> {
    match completion {
        Completion::Created { conversation } => Ok(*conversation),
        other => bail!("nothing was made: {other:?}"),
    }
}

fn line(
    stage: &mut Stage,
    role: Role,
    id: Option<ConversationId>,
    is: impl Fn(&ConversationRow) -> bool,
) -> Result<bool> {
    let device = stage.device(role)?;
    Ok(id.and_then(|id| device.row(id)).is_some_and(is))
}
