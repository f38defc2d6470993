//! Communities, channels and threads: with somebody in every role, and with who is in what they belong to and not in them.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use fireside_protocol::{
    ClientFrame, ConversationId, ConversationKind, JoinPolicy, LinkCode, Nonce, OwnRole,
    Permission, Role, Settings, UserId,
    frames::{ChildrenRequest, CreateGroup, Join, Leave, OpenThread, SetConversation, SetRole},
};

use super::scene::{JOIN, Scene, Stage, Whose};
use crate::wire::text_in;

/// What is tried, by the page's words for it.
pub(super) const ACTIONS: &[(&str, Below)] = &[
    ("make a channel", Below::Channel),
    ("see what belongs to it", Below::Children),
    ("open a thread", Below::Thread(Whose::Member)),
    ("let whoever comes in come in here", Below::Default),
    ("make a role", Below::MakeRole),
    ("give a role that is none", Below::GiveRole(Whose::Member)),
    ("name a role", Below::NameRole),
];

/// Something to try.
#[derive(Clone, Copy, Debug)]
pub(super) enum Below {
    Channel,
    Children,
    Thread(Whose),
    Default,
    MakeRole,
    GiveRole(Whose),
    NameRole,
}

impl Below {
    /// On whom, if on somebody.
    pub(super) const fn whom(self) -> Option<Whose> {
        match self {
            Self::GiveRole(whose) | Self::Thread(whose) => Some(whose),
            _ => None,
        }
    }

    /// The request. `wrote`: the number of what the one it is about wrote.
    pub(super) fn frame(
        self,
        nonce: Nonce,
        conversation: ConversationId,
        user: Option<UserId>,
        wrote: u64,
    ) -> ClientFrame {
        let set = |change: Settings| {
            ClientFrame::from(SetConversation {
                nonce,
                conversation,
                change: change.into(),
            })
        };
        match (self, user) {
            (Self::Channel, _) => channel(nonce, conversation).into(),
            (Self::Children, _) => ChildrenRequest {
                conversation,
                before_root: 0,
                after: None,
                limit: 0,
            }
            .into(),
            (Self::Thread(_), _) => open(nonce, conversation, wrote).into(),
            (Self::GiveRole(_), Some(user)) => SetRole {
                nonce,
                conversation,
                user,
                role: Role::Unknown(33),
            }
            .into(),
            (Self::NameRole, _) => {
                let mut send = text_in(conversation, "admins!", nonce);
                send.header.mention_roles = vec![Role::Admin];
                send.into()
            }
            (Self::Default, _) => set(Settings {
                by_default: Some(true),
                ..Settings::default()
            }),
            (Self::MakeRole | Self::GiveRole(_), _) => set(Settings {
                roles: vec![OwnRole {
                    number: 20,
                    name: "Scout".into(),
                    permissions: Permission::Send.bit(),
                    colour: 0,
                }],
                ..Settings::default()
            }),
        }
    }
}

fn channel(nonce: Nonce, community: ConversationId) -> CreateGroup {
    CreateGroup {
        nonce,
        name: "the hall".into(),
        invite: Vec::new(),
        history_for_joiners: 0,
        kind: Some(ConversationKind::Channel),
        join: Some(JoinPolicy::Open),
        ends: 0,
        parent: Some(community),
        by_default: false,
    }
}

const fn open(nonce: Nonce, conversation: ConversationId, target: u64) -> OpenThread {
    OpenThread {
        nonce,
        conversation,
        target,
        name: String::new(),
    }
}

impl Stage {
    /// A channel of a community. Nobody is invited into it.
    pub(super) async fn channel(&mut self) -> Result<Scene> {
        let kind = Some(ConversationKind::Community);
        let community = self.group(kind, Some(JoinPolicy::Open)).await?;
        let nonce = self.nonce();
        self.must("owner", channel(nonce, community.conversation))
            .await?;
        let id = ConversationId::made(&UserId::new("owner")?, nonce);
        self.below(community, id).await
    }

    /// The thread under a message in a group.
    pub(super) async fn thread(&mut self) -> Result<Scene> {
        let group = self.group(None, None).await?;
        // Whoever comes in later sees the message.
        let show = SetConversation {
            nonce: self.nonce(),
            conversation: group.conversation,
            change: Box::new(Settings {
                history_for_joiners: Some(u64::MAX),
                ..Settings::default()
            }),
        };
        self.must("owner", show).await?;
        let root = *group.wrote.get("owner").context("the owner wrote")?;
        let nonce = self.nonce();
        self.must("owner", open(nonce, group.conversation, root))
            .await?;
        let id = ConversationId::thread(group.conversation, root);
        self.below(group, id).await
    }

    /// The cast of a conversation in one that belongs to it, with a message of each.
    async fn below(&mut self, above: Scene, id: ConversationId) -> Result<Scene> {
        let mut wrote = BTreeMap::new();
        // Who left the parent comes into nothing: here it is they who leave the child.
        let here = JOIN.into_iter().filter(|user| *user != "former");
        for user in ["owner"].into_iter().chain(here) {
            if user != "owner" {
                let (nonce, conversation) = (self.nonce(), id);
                let join = Join {
                    nonce,
                    conversation,
                    link: None,
                };
                self.must(user, join).await?;
            }
            let leads = ["owner", "admin", "other admin"].contains(&user);
            let number = self.say(user, id, None, leads).await?;
            wrote.insert(user, number);
        }
        // `invited` is in the parent and not here, `asking` was here and is not any more.
        for user in ["invited", "asking"] {
            let (nonce, conversation) = (self.nonce(), above.conversation);
            if user == "asking" {
                let invite = fireside_protocol::frames::Invite {
                    nonce: self.nonce(),
                    conversation,
                    users: vec![UserId::new(user)?],
                };
                self.must("owner", invite).await?;
            }
            let join = Join {
                nonce,
                conversation,
                link: None,
            };
            self.must(user, join).await?;
        }
        let (nonce, conversation) = (self.nonce(), id);
        let join = Join {
            nonce,
            conversation,
            link: None,
        };
        self.must("asking", join).await?;
        let number = self.say("asking", id, None, false).await?;
        wrote.insert("former", number);
        let nonce = self.nonce();
        let leave = Leave {
            nonce,
            conversation,
        };
        self.must("asking", leave).await?;
        let mut cast: BTreeMap<_, _> = above.cast;
        cast.insert("outside", "invited".to_owned());
        cast.insert("former", "asking".to_owned());
        cast.insert("out of both", "former".to_owned());
        Ok(Scene {
            conversation: id,
            cast,
            wrote,
            link: LinkCode::default(),
        })
    }
}
