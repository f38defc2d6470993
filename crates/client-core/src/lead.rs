//! Commands of those who lead a conversation, and of who comes in by a link, as frames.

use fireside_protocol::{
    ClientFrame, Code, ConversationKind, Nonce,
    frames::{
        Ban, BansRequest, CreateGroup, CreateLink, Dissolve, Join, LinksRequest, MembersRequest,
        Mute, RevokeLink, SetMember,
    },
    limits::{INVITES_PER_REQUEST_MAX, MEMBER_PREFIX_BYTES_MAX},
    text::normalise_name,
};

use crate::Command;

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
                name: normalise_name(&name).map_err(|error| error.code())?,
                invite,
                history_for_joiners: 0,
                kind: Some(ConversationKind::Meeting),
                join: Some(join),
                ends,
            })
        }
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
            let profile = profile.normalised()?;
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
