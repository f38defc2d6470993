//! Commands of those who lead a conversation, and of who comes in by a link, as frames.

use fireside_protocol::{
    ClientFrame, Code, ConversationKind, Nonce,
    frames::{
        Ban, BansRequest, ChildrenRequest, CreateGroup, CreateLink, Dissolve, Join, LinksRequest,
        MembersRequest, Mute, OpenThread, RevokeLink, SetMember,
    },
    limits::{INVITES_PER_REQUEST_MAX, MEMBER_PREFIX_BYTES_MAX},
    text::check_name,
};

use crate::Command;

/// A name as it is sent: the server brings it into NFC.
fn checked_name(name: &str) -> Result<String, Code> {
    match check_name(name) {
        Ok(name) => Ok(name.to_owned()),
        Err(error) => Err(error.code()),
    }
}

/// The frame of such a command; what the server would refuse in any case is refused at once.
pub(crate) fn frame(command: Command, nonce: Nonce) -> Result<ClientFrame, Code> {
    Ok(match command {
        Command::CreateMeeting {
            name,
            invite,
            join,
            ends,
        } => {
            if invite.len() > INVITES_PER_REQUEST_MAX {
                return Err(Code::TooManyNamed);
            }
            ClientFrame::CreateGroup(CreateGroup {
                nonce,
                name: checked_name(&name)?,
                invite,
                history_for_joiners: 0,
                kind: Some(ConversationKind::Meeting),
                join: Some(join),
                ends,
                parent: None,
                by_default: false,
            })
        }
        Command::CreateCommunity { name, invite, join } => {
            if invite.len() > INVITES_PER_REQUEST_MAX {
                return Err(Code::TooManyNamed);
            }
            ClientFrame::CreateGroup(CreateGroup {
                nonce,
                name: checked_name(&name)?,
                invite,
                history_for_joiners: 0,
                kind: Some(ConversationKind::Community),
                join: Some(join),
                ends: 0,
                parent: None,
                by_default: false,
            })
        }
        Command::CreateChannel {
            community,
            name,
            join,
            by_default,
        } => ClientFrame::CreateGroup(CreateGroup {
            nonce,
            name: checked_name(&name)?,
            invite: Vec::new(),
            history_for_joiners: 0,
            kind: Some(ConversationKind::Channel),
            join: Some(join),
            ends: 0,
            parent: Some(community),
            by_default,
        }),
        Command::OpenThread {
            conversation,
            message,
            name,
        } => ClientFrame::OpenThread(OpenThread {
            nonce,
            conversation,
            target: message,
            name: match name.as_str() {
                "" => name,
                name => checked_name(name)?,
            },
        }),
        Command::Children {
            conversation,
            after,
        } => ClientFrame::ChildrenRequest(ChildrenRequest {
            conversation,
            before_root: after.map_or(0, |(root, _)| root),
            after: after.map(|(_, child)| child),
            limit: 0,
        }),
        Command::Dissolve { conversation } => ClientFrame::Dissolve(Dissolve {
            nonce,
            conversation,
        }),
        Command::Mute {
            conversation,
            user,
            until,
        } => ClientFrame::Mute(Mute {
            nonce,
            conversation,
            user,
            until,
        }),
        Command::Ban {
            conversation,
            user,
            on,
            until,
        } => ClientFrame::Ban(Ban {
            nonce,
            conversation,
            user,
            on,
            until,
        }),
        Command::Bans {
            conversation,
            after,
        } => ClientFrame::BansRequest(BansRequest {
            conversation,
            after,
            limit: 0,
        }),
        Command::SetMember {
            conversation,
            user,
            profile,
        } => {
            let profile = profile.checked()?;
            ClientFrame::SetMember(SetMember {
                nonce,
                conversation,
                user,
                name: profile.name,
                attributes: profile.attributes,
            })
        }
        Command::FindMembers {
            conversation,
            prefix,
            after,
        } => {
            if prefix.trim().is_empty() || prefix.len() > MEMBER_PREFIX_BYTES_MAX {
                return Err(Code::ArgumentInvalid);
            }
            ClientFrame::MembersRequest(MembersRequest {
                conversation,
                after,
                limit: 0,
                asked: false,
                prefix,
            })
        }
        Command::CreateLink {
            conversation,
            expires,
            uses,
        } => ClientFrame::CreateLink(CreateLink {
            nonce,
            conversation,
            expires,
            uses,
        }),
        Command::RevokeLink { conversation, code } => ClientFrame::RevokeLink(RevokeLink {
            nonce,
            conversation,
            code,
        }),
        Command::Links { conversation } => ClientFrame::LinksRequest(LinksRequest { conversation }),
        Command::JoinByLink { conversation, code } => ClientFrame::Join(Join {
            nonce,
            conversation,
            link: Some(code),
        }),
        _ => return Err(Code::ArgumentInvalid),
    })
}
