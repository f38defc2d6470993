//! Scenes of those who lead a conversation: muting, banning, names, links, its end.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use fireside_client_core::{Command, event::Completion, view::Body};
use fireside_protocol::{
    Attribute, ConversationId, JoinPolicy, MemberProfile, Role as Rank, UserId, frames::Member,
};

use super::{
    Scene,
    places::{body, created, line, members},
    stage::{Place, Role, Stage},
};

/// Longer than the proof takes, from a time that has not come: in ms since 1970.
const UNTIL: u64 = 4_000_000_000_000;
/// When a meeting ends after it was made: late enough that all have come by then.
const MEETING: Duration = Duration::from_millis(900);

pub(super) const SCENES: &[Scene] = &[
    Scene {
        name: "mute",
        act: |stage, place| {
            let mute = Command::Mute {
                conversation: place.group,
                user: Stage::user(Role::Cyd)?,
                until: UNTIL,
            };
            stage.call(Role::Ann, mute)?;
            Ok(())
        },
        shows: |stage, role, place| {
            let group = place.group;
            let shown = body(
                stage,
                role,
                place,
                &Body::Muted(Stage::user(Role::Cyd)?, UNTIL),
            )?;
            Ok(shown && stage.say(Role::Cyd, group, "mmm").is_err())
        },
    },
    Scene {
        name: "mute, ended",
        act: |stage, place| {
            for until in [UNTIL, 0] {
                let mute = Command::Mute {
                    conversation: place.group,
                    user: Stage::user(Role::Cyd)?,
                    until,
                };
                stage.call(Role::Ann, mute)?;
            }
            place.note = stage.say(Role::Cyd, place.group, "again")?;
            Ok(())
        },
        shows: |stage, role, place| {
            let (group, said) = (place.group, place.note);
            let ended = body(stage, role, place, &Body::Muted(Stage::user(Role::Cyd)?, 0))?;
            Ok(ended && stage.device(role)?.message(group, said).is_some())
        },
    },
    Scene {
        name: "ban",
        act: |stage, place| {
            stage.call(Role::Ann, ban(place.group, true)?)?;
            Ok(())
        },
        shows: |stage, role, place| {
            let (group, cyd) = (place.group, Stage::user(Role::Cyd)?);
            let out = !is_member(stage, role, group, &cyd)?;
            let ask = Command::Bans {
                conversation: group,
                after: None,
            };
            let Some(Completion::Bans { bans, .. }) = stage.device(role)?.asks(&ask) else {
                return Ok(false);
            };
            let listed = bans.iter().any(|ban| ban.user == cyd && ban.until == 0);
            Ok(out && listed && body(stage, role, place, &Body::Banned(cyd, 0))?)
        },
    },
    Scene {
        name: "ban, ended",
        act: |stage, place| {
            for on in [true, false] {
                stage.call(Role::Ann, ban(place.group, on)?)?;
            }
            let invite = Command::Invite {
                conversation: place.group,
                users: vec![Stage::user(Role::Cyd)?],
            };
            stage.call(Role::Ann, invite)?;
            let conversation = place.group;
            stage.call(Role::Cyd, Command::Join { conversation })?;
            Ok(())
        },
        shows: |stage, role, place| {
            let cyd = Stage::user(Role::Cyd)?;
            Ok(is_member(stage, role, place.group, &cyd)?
                && body(stage, role, place, &Body::Joined(cyd))?)
        },
    },
    Scene {
        name: "a name in a conversation",
        act: |stage, place| {
            let set = Command::SetMember {
                conversation: place.group,
                user: None,
                profile: Box::new(conan()),
            };
            stage.call(Role::Bob, set)?;
            Ok(())
        },
        shows: |stage, role, place| {
            let bob = Stage::user(Role::Bob)?;
            let there = members(stage, role, place.group)?;
            let named = |it: &Member| {
                it.user == bob
                    && it.name_here == "Conan"
                    && Some(&it.attributes) == conan().attributes.as_ref()
            };
            Ok(there.iter().any(named)
                && body(stage, role, place, &Body::MemberSet(bob, conan().into()))?)
        },
    },
    Scene {
        name: "find members",
        act: |stage, place| {
            let set = Command::SetMember {
                conversation: place.group,
                user: None,
                profile: Box::new(conan()),
            };
            stage.call(Role::Bob, set)?;
            Ok(())
        },
        shows: |stage, role, place| {
            // By a name here, by a token's name, by nobody's; in any case and accent.
            for (prefix, wanted) in [
                ("CÓN", vec!["bob"]),
                ("cyd's", vec!["cyd"]),
                ("xyz", vec![]),
            ] {
                let ask = Command::FindMembers {
                    conversation: place.group,
                    prefix: prefix.to_owned(),
                    after: None,
                };
                let Some(Completion::Members { members, .. }) = stage.device(role)?.asks(&ask)
                else {
                    return Ok(false);
                };
                let found: Vec<_> = members.iter().map(|it| it.user.as_str()).collect();
                if found != wanted {
                    return Ok(false);
                }
            }
            Ok(true)
        },
    },
    Scene {
        name: "dissolve",
        act: |stage, place| {
            let conversation = joined(
                stage,
                Command::CreateGroup {
                    name: "guild".to_owned(),
                    invite: vec![Stage::user(Role::Ann)?],
                    history_for_joiners: 0,
                },
            )?;
            stage.call(Role::Bob, Command::Dissolve { conversation })?;
            place.ended = Some(conversation);
            Ok(())
        },
        shows: ended,
    },
    Scene {
        name: "meeting",
        act: |stage, place| {
            let conversation = joined(
                stage,
                Command::CreateMeeting {
                    name: "the match".to_owned(),
                    invite: vec![Stage::user(Role::Ann)?],
                    join: JoinPolicy::Invite,
                    ends: UNTIL,
                },
            )?;
            place.other = Some(conversation);
            Ok(())
        },
        shows: |stage, role, place| {
            line(stage, role, place.other, |row| {
                row.kind == fireside_protocol::ConversationKind::Meeting
                    && row.role == Some(Rank::Member)
            })
        },
    },
    Scene {
        name: "a meeting ends",
        act: |stage, place| {
            let now = SystemTime::now().duration_since(UNIX_EPOCH)? + MEETING;
            let conversation = joined(
                stage,
                Command::CreateMeeting {
                    name: "the match".to_owned(),
                    invite: vec![Stage::user(Role::Ann)?],
                    join: JoinPolicy::Invite,
                    ends: u64::try_from(now.as_millis())?,
                },
            )?;
            place.ended = Some(conversation);
            Ok(())
        },
        shows: ended,
    },
    Scene {
        name: "invite link",
        act: |stage, place| {
            let (conversation, code) = linked(stage)?;
            stage.call(Role::Ann, Command::JoinByLink { conversation, code })?;
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
        name: "invite link, ended",
        act: |stage, place| {
            let (conversation, code) = linked(stage)?;
            stage.call(Role::Bob, Command::RevokeLink { conversation, code })?;
            // It is refused, whatever the client makes of it.
            let _ = stage
                .device(Role::Ann)?
                .asks(&Command::JoinByLink { conversation, code });
            place.ended = Some(conversation);
            Ok(())
        },
        shows: |stage, role, place| {
            let conversation = place.ended.context("the scene made one")?;
            let Some(Completion::Links(links)) = stage
                .device(Role::Bob)?
                .asks(&Command::Links { conversation })
            else {
                return Ok(false);
            };
            Ok(links.is_empty() && !line(stage, role, place.ended, |row| row.role.is_some())?)
        },
    },
];

fn ban(conversation: ConversationId, on: bool) -> Result<Command> {
    Ok(Command::Ban {
        conversation,
        user: Stage::user(Role::Cyd)?,
        on,
        until: 0,
    })
}

fn conan() -> MemberProfile {
    MemberProfile {
        name: Some("Conan".to_owned()),
        attributes: Some(vec![Attribute {
            key: "class".to_owned(),
            value: "barbarian".to_owned(),
        }]),
    }
}

fn is_member(
    stage: &mut Stage,
    role: Role,
    conversation: ConversationId,
    user: &UserId,
) -> Result<bool> {
    let there = members(stage, role, conversation)?;
    Ok(there.iter().any(|member| member.user == *user))
}

/// Bob makes it, ann comes.
fn joined(stage: &mut Stage, make: Command) -> Result<ConversationId> {
    let conversation = created(&stage.call(Role::Bob, make)?)?;
    stage.call(Role::Ann, Command::Join { conversation })?;
    let device = stage.device(Role::Ann)?;
    device.until("being a member", |it| {
        it.row(conversation).is_some_and(|row| row.role.is_some())
    })?;
    Ok(conversation)
}

/// Bob's group, and a link into it.
fn linked(stage: &mut Stage) -> Result<(ConversationId, fireside_protocol::LinkCode)> {
    let make = Command::CreateGroup {
        name: "guild".to_owned(),
        invite: Vec::new(),
        history_for_joiners: 0,
    };
    let conversation = created(&stage.call(Role::Bob, make)?)?;
    let link = Command::CreateLink {
        conversation,
        expires: 0,
        uses: 1,
    };
    match stage.call(Role::Bob, link)? {
        Completion::Link { code } => Ok((conversation, code)),
        other => bail!("no link was made: {other:?}"),
    }
}

/// It is over for bob and for both of ann's devices: the one that was there knows it, the other may never have heard of it.
fn ended(stage: &mut Stage, role: Role, place: &Place) -> Result<bool> {
    for who in [role, Role::Bob] {
        let device = stage.device(who)?;
        device.pump();
        let row = place.ended.and_then(|id| device.row(id));
        let over = match row {
            Some(row) => row.role.is_none(),
            None => who == Role::Away,
        };
        if !over {
            return Ok(false);
        }
    }
    Ok(true)
}
