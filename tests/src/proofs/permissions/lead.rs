//! What those who lead a conversation try: muting, banning, naming, links, its end.

use fireside_protocol::{
    ClientFrame, ConversationId, LinkCode, Nonce, UserId,
    frames::{
        Ban, BansRequest, CreateLink, Dissolve, Join, LinksRequest, MembersRequest, Mute,
        RevokeLink, SetMember,
    },
};

use super::scene::Whose;

/// What is tried, by the page's words for it.
pub(super) const ACTIONS: &[(&str, Lead)] = &[
    ("mute a member", Lead::Mute(Whose::Member)),
    ("mute another admin", Lead::Mute(Whose::Admin)),
    ("mute the owner", Lead::Mute(Whose::Owner)),
    ("mute themselves", Lead::Mute(Whose::Own)),
    ("mute a stranger", Lead::Mute(Whose::Nobody)),
    ("ban a member", Lead::Ban(Whose::Member)),
    ("ban another admin", Lead::Ban(Whose::Admin)),
    ("ban the owner", Lead::Ban(Whose::Owner)),
    ("ban themselves", Lead::Ban(Whose::Own)),
    ("ban a stranger", Lead::Ban(Whose::Nobody)),
    ("end a ban", Lead::Unban(Whose::Banned)),
    ("see who is banned", Lead::Bans),
    ("name themselves", Lead::Name(None)),
    ("name a member", Lead::Name(Some(Whose::Member))),
    ("name another admin", Lead::Name(Some(Whose::Admin))),
    ("find members by name", Lead::Find),
    ("make a link", Lead::MakeLink),
    ("end a link", Lead::EndLink),
    ("see the links", Lead::Links),
    ("join by a link", Lead::JoinByLink),
    ("join by a wrong link", Lead::JoinByWrongLink),
    ("end it for all", Lead::Dissolve),
];

/// Something to try.
#[derive(Clone, Copy, Debug)]
pub(super) enum Lead {
    Mute(Whose),
    Ban(Whose),
    Unban(Whose),
    Bans,
    Name(Option<Whose>),
    Find,
    MakeLink,
    EndLink,
    Links,
    JoinByLink,
    JoinByWrongLink,
    Dissolve,
}

impl Lead {
    /// On whom, if on somebody.
    pub(super) const fn whom(self) -> Option<Whose> {
        match self {
            Self::Mute(whose) | Self::Ban(whose) | Self::Unban(whose) => Some(whose),
            Self::Name(whose) => whose,
            _ => None,
        }
    }

    /// The request.
    pub(super) fn frame(
        self,
        nonce: Nonce,
        conversation: ConversationId,
        user: Option<UserId>,
        link: LinkCode,
    ) -> ClientFrame {
        match (self, user) {
            (Self::Mute(_), Some(user)) => mute(nonce, conversation, user),
            (Self::Ban(_), Some(user)) => ban(nonce, conversation, user, true),
            (Self::Unban(_), Some(user)) => ban(nonce, conversation, user, false),
            (Self::Name(_), user) => SetMember {
                nonce,
                conversation,
                user,
                name: Some("Conan".into()),
                attributes: None,
            }
            .into(),
            (Self::Bans, _) => BansRequest {
                conversation,
                after: None,
                limit: 0,
            }
            .into(),
            (Self::Find, _) => MembersRequest {
                conversation,
                after: None,
                limit: 0,
                asked: false,
                prefix: "OTHER".into(),
            }
            .into(),
            (Self::MakeLink, _) => CreateLink {
                nonce,
                conversation,
                expires: 0,
                uses: 0,
            }
            .into(),
            (Self::EndLink, _) => RevokeLink {
                nonce,
                conversation,
                code: link,
            }
            .into(),
            (Self::Links, _) => LinksRequest { conversation }.into(),
            (Self::JoinByLink, _) => join(nonce, conversation, link),
            (Self::JoinByWrongLink, _) => join(nonce, conversation, LinkCode([9; 16])),
            (Self::Dissolve | Self::Mute(_) | Self::Ban(_) | Self::Unban(_), _) => Dissolve {
                nonce,
                conversation,
            }
            .into(),
        }
    }
}

/// Longer than the proof takes, from a time that has not come: in ms since 1970.
const UNTIL: u64 = 4_000_000_000_000;

pub(super) fn mute(nonce: Nonce, conversation: ConversationId, user: UserId) -> ClientFrame {
    Mute {
        nonce,
        conversation,
        user,
        until: UNTIL,
    }
    .into()
}

pub(super) fn ban(
    nonce: Nonce,
    conversation: ConversationId,
    user: UserId,
    on: bool,
) -> ClientFrame {
    Ban {
        nonce,
        conversation,
        user,
        on,
        until: 0,
    }
    .into()
}

fn join(nonce: Nonce, conversation: ConversationId, code: LinkCode) -> ClientFrame {
    Join {
        nonce,
        conversation,
        link: Some(code),
    }
    .into()
}
