//! A conversation with somebody in every role, and what they try in it.

use std::{
    collections::BTreeMap,
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result, bail};
use fireside_protocol::{
    ClientFrame, ConversationId, ConversationKind, JoinPolicy, LinkCode, Nonce, Permission, Role,
    ServerFrame, Settings, TextContent, UserId, encode,
    frames::{
        AnswerRequest, Block, CreateGroup, CreateLink, Dissolve, Edit, Invite, Join, Leave,
        MembersRequest, PageRequest, Pin, PinsRequest, React, Read, Recall, RemoveMember,
        SetConversation, SetRole,
    },
};
use fireside_server::{Claims, TokenKeys};

use super::{
    below::{self, Below},
    lead::{self, Lead},
    page::Cell,
    talk::{self, Said, Talk},
};
use crate::{
    chance::Chance,
    process::{Server, ServerPlan},
    wire::{Dialer, Target, Wire, device, nonce, text_in},
};

/// What is tried, by the page's words for it.
pub(super) const ACTIONS: &[(&str, Action)] = &[
    ("send a message", Action::Send),
    ("mention all", Action::MentionAll),
    ("edit their own message", Action::Edit(Whose::Own)),
    ("edit another's message", Action::Edit(Whose::Member)),
    ("recall their own message", Action::Recall(Whose::Own)),
    (
        "recall another member's message",
        Action::Recall(Whose::Member),
    ),
    (
        "recall another admin's message",
        Action::Recall(Whose::Admin),
    ),
    ("react to another's message", Action::React(Whose::Member)),
    ("pin a message", Action::Pin(Whose::Member)),
    ("see pinned messages", Action::Pins),
    ("read history", Action::Page),
    ("see members", Action::Members),
    ("move their read marker", Action::Read),
    ("invite somebody", Action::Invite(&[Whose::Nobody])),
    ("invite a member", Action::Invite(&[Whose::Member])),
    ("invite nobody", Action::Invite(&[])),
    ("take an invitation back", Action::Remove(Whose::Invited)),
    ("join", Action::Join),
    ("leave", Action::Leave),
    ("remove a member", Action::Remove(Whose::Member)),
    ("remove another admin", Action::Remove(Whose::Admin)),
    ("remove the owner", Action::Remove(Whose::Owner)),
    ("remove themselves", Action::Remove(Whose::Own)),
    ("remove a stranger", Action::Remove(Whose::Nobody)),
    (
        "make a member admin",
        Action::SetRole(Whose::Member, Role::Admin),
    ),
    (
        "make an admin member",
        Action::SetRole(Whose::Admin, Role::Member),
    ),
    (
        "hand the conversation over",
        Action::SetRole(Whose::Member, Role::Owner),
    ),
    (
        "change their own role",
        Action::SetRole(Whose::Own, Role::Admin),
    ),
    (
        "give a stranger a role",
        Action::SetRole(Whose::Nobody, Role::Admin),
    ),
    ("change name or profile", Action::Set(Change::Profile)),
    ("change the rules", Action::Set(Change::Rules)),
    ("freeze or thaw", Action::Set(Change::Frozen)),
    ("change what roles may do", Action::Set(Change::Permissions)),
    ("change nothing", Action::Set(Change::Nothing)),
    ("open it to everybody", Action::Set(Change::Open)),
    ("set when it ends", Action::Set(Change::Ends)),
    ("invite who is banned", Action::Invite(&[Whose::Banned])),
    ("see who asks to come in", Action::Asking),
    ("let in who asks", Action::Answer(Whose::Asking, true)),
    ("turn away who asks", Action::Answer(Whose::Asking, false)),
    (
        "let in who does not ask",
        Action::Answer(Whose::Nobody, true),
    ),
];

/// Something to try.
#[derive(Clone, Copy, Debug)]
pub(super) enum Action {
    Send,
    MentionAll,
    Edit(Whose),
    Recall(Whose),
    React(Whose),
    Pin(Whose),
    Pins,
    Page,
    Members,
    Read,
    Invite(&'static [Whose]),
    Join,
    Leave,
    Remove(Whose),
    SetRole(Whose, Role),
    Set(Change),
    Asking,
    Answer(Whose, bool),
    Lead(Lead),
    Below(Below),
    Talk(Talk),
}

/// What is changed of a conversation.
#[derive(Clone, Copy, Debug)]
pub(super) enum Change {
    Profile,
    Rules,
    Frozen,
    Permissions,
    Open,
    Ends,
    Nothing,
}

impl Change {
    fn settings(self) -> Settings {
        let same = Settings::default();
        match self {
            Self::Profile => Settings {
                name: Some("another name".into()),
                description: Some("what it is about".into()),
                ..same
            },
            Self::Rules => Settings {
                slow_mode_ms: Some(SLOW_MS),
                ..same
            },
            Self::Frozen => Settings {
                frozen: Some(true),
                ..same
            },
            Self::Permissions => Settings {
                member_permissions: Some(Permission::Send.bit()),
                ..same
            },
            Self::Open => Settings {
                join: Some(JoinPolicy::Open),
                ..same
            },
            Self::Ends => Settings {
                ends: Some(4_000_000_000_000),
                ..same
            },
            Self::Nothing => same,
        }
    }
}

/// Longer than the proof takes.
const SLOW_MS: u32 = 3_600_000;

/// On whom.
#[derive(Clone, Copy, Debug)]
pub(super) enum Whose {
    /// Who tries it.
    Own,
    /// Another member than who tries it.
    Member,
    /// Another admin than who tries it.
    Admin,
    Owner,
    Invited,
    /// Who asks to come in, if anybody does.
    Asking,
    /// Who was a member and was banned, if anybody was.
    Banned,
    /// Who has nothing to do with the conversation.
    Nobody,
}

/// Those who come in.
pub(super) const JOIN: [&str; 5] = ["admin", "member", "other admin", "other member", "former"];

/// The server, and everybody's session with it.
pub(super) struct Stage {
    dialer: Dialer,
    keys: TokenKeys,
    wires: BTreeMap<String, Wire>,
    chance: Chance,
    /// Cells so far.
    round: usize,
    /// What those in the scene that is set write.
    pub(super) said: Said,
}

/// A conversation made for one cell.
pub(super) struct Scene {
    pub(super) conversation: ConversationId,
    /// By role: who plays it.
    pub(super) cast: BTreeMap<&'static str, String>,
    /// By role: the number of what they wrote.
    pub(super) wrote: BTreeMap<&'static str, u64>,
    /// What lets others in.
    pub(super) link: LinkCode,
}

impl Stage {
    pub(super) async fn new(plan: &ServerPlan, server: &Server, chance: Chance) -> Result<Self> {
        let target = Target {
            address: server.address(),
            fingerprint: server.fingerprint(),
        };
        Ok(Self {
            dialer: Dialer::new(target)?,
            keys: TokenKeys::load(&plan.data.join("token-keys.toml"))?,
            wires: BTreeMap::new(),
            chance,
            round: 0,
            said: Said::Text,
        })
    }

    /// What a cell tries.
    pub(super) fn action(cell: &Cell) -> Result<Action> {
        let wanted = |name: &&str| *name == cell.action;
        let plain = ACTIONS.iter().map(|(name, action)| (name, *action));
        let leads = lead::ACTIONS.iter();
        let leads = leads.map(|(name, lead)| (name, Action::Lead(*lead)));
        let belows = below::ACTIONS.iter();
        let belows = belows.map(|(name, below)| (name, Action::Below(*below)));
        let talks = talk::ACTIONS.iter();
        let talks = talks.map(|(name, talk)| (name, Action::Talk(*talk)));
        let mut all = plain.chain(leads).chain(belows).chain(talks);
        let found = all.find(|(name, _)| wanted(name));
        let (_, action) = found.context("the proof does not know the action")?;
        Ok(action)
    }

    /// Makes the conversation of a cell.
    pub(super) async fn set(&mut self, cell: &Cell) -> Result<Scene> {
        self.said = match Self::action(cell)? {
            Action::Talk(talk) => talk.said(),
            _ => Said::Text,
        };
        self.round += 1;
        Ok(match &*cell.table {
            "group" => self.group(None, None).await?,
            "meeting" => self.group(Some(ConversationKind::Meeting), None).await?,
            "community" => self.community().await?,
            "channel" => self.channel().await?,
            "thread" => self.thread().await?,
            "public, open" => self.public(JoinPolicy::Open).await?,
            "public, on request" => self.public(JoinPolicy::Request).await?,
            "public, by invitation" => self.public(JoinPolicy::Invite).await?,
            "public, open, banned" => {
                let scene = self.public(JoinPolicy::Open).await?;
                self.banned(scene).await?
            }
            "group, banned" => {
                let scene = self.group(None, None).await?;
                self.banned(scene).await?
            }
            "group, muted" => self.group_muted().await?,
            "group, dissolved" => self.group_dissolved().await?,
            "group, frozen" => self.group_set(Change::Frozen).await?,
            "group, slow mode" => self.group_set(Change::Rules).await?,
            "direct" => self.direct(&cell.role).await?,
            _ => bail!("the proof does not know the table"),
        })
    }

    /// Tries what a cell says: `ok` or the code's key.
    pub(super) async fn play(&mut self, cell: &Cell, scene: &Scene) -> Result<String> {
        let cast = scene.cast.get(&*cell.role);
        let me = cast.context("the proof does not know the role")?.clone();
        match Self::action(cell)? {
            Action::Talk(talk) => self.talk(scene, &cell.role, &me, talk).await,
            action => self.act(scene, &cell.role, &me, action).await,
        }
    }

    /// A user's session, made at their first appearance.
    async fn wire(&mut self, user: &str) -> Result<&Wire> {
        if !self.wires.contains_key(user) {
            let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
            let claims = Claims {
                sub: user.to_owned(),
                iat: now,
                exp: now + 3_600,
                ..Claims::default()
            };
            let token = self.keys.sign(None, &claims)?;
            let (wire, _) = Wire::log_in(&self.dialer, &token, device(&mut self.chance)).await?;
            self.wires.insert(user.to_owned(), wire);
        }
        self.wires.get(user).context("it was just made")
    }

    pub(super) fn nonce(&mut self) -> Nonce {
        nonce(&mut self.chance)
    }

    /// Asks as a user.
    pub(super) async fn answer(&mut self, user: &str, frame: ClientFrame) -> Result<ServerFrame> {
        let is_page = matches!(
            frame,
            ClientFrame::PageRequest(_)
                | ClientFrame::MembersRequest(_)
                | ClientFrame::PinsRequest(_)
                | ClientFrame::BansRequest(_)
                | ClientFrame::LinksRequest(_)
                | ClientFrame::ChildrenRequest(_)
                | ClientFrame::RevisionsRequest(_)
                | ClientFrame::ReadersRequest(_)
        );
        let wire = self.wire(user).await?;
        if is_page {
            wire.ask_page(frame).await
        } else {
            wire.ask(frame).await
        }
    }

    /// `ok` or the code's key, and the number of what it made.
    pub(super) fn outcome(answer: &ServerFrame) -> Result<(String, u64)> {
        Ok(match answer {
            ServerFrame::Ack(ack) => ("ok".to_owned(), ack.sequence),
            ServerFrame::Done(_)
            | ServerFrame::Page(_)
            | ServerFrame::MembersPage(_)
            | ServerFrame::PinsPage(_)
            | ServerFrame::BansPage(_)
            | ServerFrame::ChildrenPage(_)
            | ServerFrame::ReadersPage(_)
            | ServerFrame::LinksPage(_) => ("ok".to_owned(), 0),
            ServerFrame::Refused(refused) => (refused.code().key().to_owned(), 0),
            other => bail!("answered with {other:?}"),
        })
    }

    async fn ask(&mut self, user: &str, frame: impl Into<ClientFrame>) -> Result<(String, u64)> {
        let answer = self.answer(user, frame.into()).await?;
        Self::outcome(&answer)
    }

    /// What must work for the scene to be set.
    pub(super) async fn must(&mut self, user: &str, frame: impl Into<ClientFrame>) -> Result<u64> {
        let frame = frame.into();
        let what = format!("{user}: {frame:?}");
        let (outcome, number) = self.ask(user, frame).await?;
        anyhow::ensure!(outcome == "ok", "{what}: {outcome}");
        Ok(number)
    }

    async fn public(&mut self, join: JoinPolicy) -> Result<Scene> {
        self.group(Some(ConversationKind::Public), Some(join)).await
    }

    async fn community(&mut self) -> Result<Scene> {
        let kind = Some(ConversationKind::Community);
        self.group(kind, Some(JoinPolicy::Open)).await
    }

    /// Everybody in a new conversation of such a kind and policy, with a message of each.
    pub(super) async fn group(
        &mut self,
        kind: Option<ConversationKind>,
        join: Option<JoinPolicy>,
    ) -> Result<Scene> {
        let name = self.nonce();
        let mut invite = vec![UserId::new("invited")?];
        for user in JOIN {
            invite.push(UserId::new(user)?);
        }
        let create = CreateGroup {
            nonce: name,
            name: "the group".into(),
            invite,
            history_for_joiners: 0,
            kind,
            join,
            ends: 0,
            parent: None,
            by_default: false,
        };
        self.must("owner", create).await?;
        let conversation = ConversationId::made(&UserId::new("owner")?, name);
        for user in JOIN {
            let nonce = self.nonce();
            self.must(
                user,
                Join {
                    nonce,
                    conversation,
                    link: None,
                },
            )
            .await?;
        }
        for user in ["admin", "other admin"] {
            let give = SetRole {
                nonce: self.nonce(),
                conversation,
                user: UserId::new(user)?,
                role: Role::Admin,
            };
            self.must("owner", give).await?;
        }
        let mut wrote = BTreeMap::new();
        let writing = kind != Some(ConversationKind::Community);
        for user in ["owner"].into_iter().chain(JOIN).filter(|_| writing) {
            let leads = ["owner", "admin", "other admin"].contains(&user);
            let number = self.say(user, conversation, None, leads).await?;
            wrote.insert(user, number);
        }
        let nonce = self.nonce();
        self.must(
            "former",
            Leave {
                nonce,
                conversation,
            },
        )
        .await?;
        if join == Some(JoinPolicy::Request) {
            let nonce = self.nonce();
            self.must(
                "asking",
                Join {
                    nonce,
                    conversation,
                    link: None,
                },
            )
            .await?;
        }
        let make = CreateLink {
            nonce: self.nonce(),
            conversation,
            expires: 0,
            uses: 0,
        };
        let link = match self.wire("owner").await?.ask(make).await? {
            ServerFrame::Ack(ack) => ack.link.context("a link has a code")?,
            other => bail!("a link was answered with {other:?}"),
        };
        let others = ["owner", "invited", "asking", "stranger"];
        let cast = others.into_iter().chain(JOIN);
        Ok(Scene {
            conversation,
            cast: cast.map(|role| (role, role.to_owned())).collect(),
            wrote,
            link,
        })
    }

    /// Two are banned: one who was a member, and one who never was.
    async fn banned(&mut self, mut scene: Scene) -> Result<Scene> {
        for (role, user) in [("banned", "other member"), ("banned stranger", "stranger")] {
            let nonce = self.nonce();
            let ban = lead::ban(nonce, scene.conversation, UserId::new(user)?, true);
            self.must("owner", ban).await?;
            scene.cast.insert(role, user.to_owned());
        }
        Ok(scene)
    }

    async fn group_muted(&mut self) -> Result<Scene> {
        let scene = self.group(None, None).await?;
        for user in ["admin", "member"] {
            let nonce = self.nonce();
            let mute = lead::mute(nonce, scene.conversation, UserId::new(user)?);
            self.must("owner", mute).await?;
        }
        Ok(scene)
    }

    async fn group_dissolved(&mut self) -> Result<Scene> {
        let scene = self.group(None, None).await?;
        let dissolve = Dissolve {
            nonce: self.nonce(),
            conversation: scene.conversation,
        };
        self.must("owner", dissolve).await?;
        Ok(scene)
    }

    /// A group that its owner has set so.
    async fn group_set(&mut self, change: Change) -> Result<Scene> {
        let scene = self.group(None, None).await?;
        let set = SetConversation {
            nonce: self.nonce(),
            conversation: scene.conversation,
            change: change.settings().into(),
        };
        self.must("owner", set).await?;
        Ok(scene)
    }

    /// Two users who never met, and a third; a block if the role is of one.
    async fn direct(&mut self, role: &str) -> Result<Scene> {
        let round = self.round;
        let [me, other, stranger] = ["me", "you", "else"].map(|who| format!("{who}-{round}"));
        let (mine, yours) = (UserId::new(&me)?, UserId::new(&other)?);
        let conversation = ConversationId::direct(&mine, &yours);
        let mut wrote = BTreeMap::new();
        for (user, peer, key) in [(&me, &yours, "me"), (&other, &mine, "other member")] {
            let peer = Some(peer.clone());
            let number = self.say(user, conversation, peer, true).await?;
            wrote.insert(key, number);
        }
        for (blocks, by, of) in [("blocked", &other, &mine), ("blocker", &me, &yours)] {
            if role == blocks {
                let block = Block {
                    nonce: self.nonce(),
                    user: of.clone(),
                    on: true,
                };
                self.must(by, block).await?;
            }
        }
        if let Some(number) = wrote.remove("me") {
            for role in ["member", "blocked", "blocker"] {
                wrote.insert(role, number);
            }
        }
        let mut cast = BTreeMap::from([("stranger", stranger), ("other member", other)]);
        for role in ["member", "blocked", "blocker"] {
            cast.insert(role, me.clone());
        }
        Ok(Scene {
            conversation,
            cast,
            wrote,
            link: LinkCode::default(),
        })
    }

    async fn act(&mut self, scene: &Scene, role: &str, me: &str, action: Action) -> Result<String> {
        let (nonce, conversation) = (self.nonce(), scene.conversation);
        let frame: ClientFrame = match action {
            Action::Send => text_in(conversation, "may I?", nonce).into(),
            Action::MentionAll => {
                let mut send = text_in(conversation, "all!", nonce);
                send.header.mention_all = true;
                send.into()
            }
            Action::Edit(whose) => Edit {
                nonce,
                after: None,
                conversation,
                target: scene.wrote(role, whose)?,
                target_nonce: None,
                seen_rev: 0,
                content: encode(&TextContent::plain("edited")).into(),
            }
            .into(),
            Action::Recall(whose) => Recall {
                nonce,
                after: None,
                conversation,
                target: scene.wrote(role, whose)?,
                target_nonce: None,
            }
            .into(),
            Action::React(whose) => React {
                nonce,
                after: None,
                conversation,
                target: scene.wrote(role, whose)?,
                target_nonce: None,
                key: "👍".into(),
                on: true,
            }
            .into(),
            Action::Pin(whose) => Pin {
                nonce,
                after: None,
                conversation,
                target: scene.wrote(role, whose)?,
                target_nonce: None,
                on: true,
            }
            .into(),
            Action::Pins => PinsRequest {
                conversation,
                before: 0,
            }
            .into(),
            Action::Page => PageRequest {
                conversation,
                anchor: 0,
                number: 0,
                to: 0,
                limit: 0,
                since: 0,
                held: Vec::new(),
            }
            .into(),
            Action::Members => MembersRequest {
                conversation,
                after: None,
                limit: 0,
                asked: false,
                prefix: String::new(),
            }
            .into(),
            Action::Read => Read {
                conversation,
                upto: 1,
                nonce,
            }
            .into(),
            Action::Invite(whom) => Invite {
                nonce,
                conversation,
                users: whom
                    .iter()
                    .map(|whom| scene.user(role, *whom))
                    .collect::<Result<_>>()?,
            }
            .into(),
            Action::Join => Join {
                nonce,
                conversation,
                link: None,
            }
            .into(),
            Action::Leave => Leave {
                nonce,
                conversation,
            }
            .into(),
            Action::Remove(whom) => RemoveMember {
                nonce,
                conversation,
                user: scene.user(role, whom)?,
            }
            .into(),
            Action::Asking => MembersRequest {
                conversation,
                after: None,
                limit: 0,
                asked: true,
                prefix: String::new(),
            }
            .into(),
            Action::Answer(whom, accept) => AnswerRequest {
                nonce,
                conversation,
                user: scene.user(role, whom)?,
                accept,
            }
            .into(),
            Action::Lead(lead) => {
                let whom = lead.whom().map(|whose| scene.user(role, whose));
                lead.frame(nonce, conversation, whom.transpose()?, scene.link)
            }
            Action::Below(below) => {
                let whom = below.whom();
                let number = whom.and_then(|whose| scene.wrote(role, whose).ok());
                let user = whom.map(|whose| scene.user(role, whose)).transpose()?;
                // Where nobody wrote there is no such message.
                below.frame(nonce, conversation, user, number.unwrap_or(1))
            }
            Action::Set(change) => SetConversation {
                nonce,
                conversation,
                change: change.settings().into(),
            }
            .into(),
            Action::Talk(_) => bail!("it is tried elsewhere"),
            Action::SetRole(whom, given) => SetRole {
                nonce,
                conversation,
                user: scene.user(role, whom)?,
                role: given,
            }
            .into(),
        };
        Ok(self.ask(me, frame).await?.0)
    }
}

impl Scene {
    /// The role that is meant, seen from another.
    fn role(role: &str, whose: Whose) -> &str {
        match whose {
            Whose::Own => role,
            Whose::Member => "other member",
            Whose::Admin => "other admin",
            Whose::Owner => "owner",
            Whose::Invited => "invited",
            Whose::Asking => "asking",
            Whose::Banned => "banned",
            Whose::Nobody => "nobody",
        }
    }

    fn user(&self, role: &str, whose: Whose) -> Result<UserId> {
        let role = Self::role(role, whose);
        Ok(UserId::new(
            self.cast.get(role).map_or(role, String::as_str),
        )?)
    }

    pub(super) fn wrote(&self, role: &str, whose: Whose) -> Result<u64> {
        let found = self.wrote.get(Self::role(role, whose));
        found.copied().context("nobody wrote that")
    }
}
