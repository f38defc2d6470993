//! What odd requests are made of.

use fireside_protocol::{
    ClientFrame, Content, ConversationId, ConversationKind, FriendAction, JoinPolicy, LinkCode,
    MessageKind, Nonce, Personal, PresenceState, ReportReason, Role, Settings, UserId,
    content::AnswerValue,
    frames::{
        Answer, AnswerRequest, Ban, CreateGroup, Delete, Edit, Invite, Join, Mute, Pin, React,
        Recall, RemoveMember, SetConversation, SetMember, SetRole, Vote,
    },
    personal::{Friend, SetPersonal},
    presence::SetPresence,
    report::Report,
};

use crate::proofs::limits::{sizes::text, stage, stage::send};

/// What a request is made of.
pub(in crate::proofs::limits) struct Place {
    pub(in crate::proofs::limits) nonce: Nonce,
    pub(in crate::proofs::limits) group: ConversationId,
    pub(in crate::proofs::limits) said: u64,
    /// An entry that is no message.
    pub(in crate::proofs::limits) entry: u64,
    pub(in crate::proofs::limits) poll: u64,
    pub(in crate::proofs::limits) card: u64,
}

pub(in crate::proofs::limits) const fn at(nonce: Nonce, group: ConversationId) -> Place {
    Place {
        nonce,
        group,
        said: 2,
        entry: 1,
        poll: 2,
        card: 2,
    }
}

pub(in crate::proofs::limits) fn user(name: &str) -> UserId {
    UserId::new(name).unwrap_or_else(|_| unreachable!("a short name"))
}

pub(in crate::proofs::limits) fn says(it: &Place, content: &Content) -> ClientFrame {
    send(it.nonce, it.group, content).into()
}

pub(in crate::proofs::limits) fn kind(it: &Place, number: u16) -> ClientFrame {
    let mut send = send(it.nonce, it.group, &text("gg"));
    send.header.kind = MessageKind::from_number(number);
    send.into()
}

pub(in crate::proofs::limits) fn plain_edit(it: &Place, target: u64) -> Edit {
    Edit {
        nonce: it.nonce,
        after: None,
        conversation: it.group,
        target,
        target_nonce: None,
        seen_rev: 0,
        content: text("edited").encode(),
    }
}

pub(in crate::proofs::limits) fn edit(it: &Place, target: u64) -> ClientFrame {
    plain_edit(it, target).into()
}

pub(in crate::proofs::limits) fn recall(it: &Place, target: u64) -> ClientFrame {
    Recall {
        nonce: it.nonce,
        after: None,
        conversation: it.group,
        target,
        target_nonce: None,
    }
    .into()
}

pub(in crate::proofs::limits) fn react(it: &Place, target: u64, key: &str) -> ClientFrame {
    React {
        nonce: it.nonce,
        after: None,
        conversation: it.group,
        target,
        target_nonce: None,
        key: key.to_owned(),
        on: true,
    }
    .into()
}

pub(in crate::proofs::limits) fn pin(it: &Place, target: u64) -> ClientFrame {
    Pin {
        nonce: it.nonce,
        after: None,
        conversation: it.group,
        target,
        target_nonce: None,
        on: true,
    }
    .into()
}

pub(in crate::proofs::limits) fn vote(it: &Place, target: u64, choices: &[u32]) -> ClientFrame {
    Vote {
        nonce: it.nonce,
        after: None,
        conversation: it.group,
        target,
        target_nonce: None,
        choices: choices.to_vec(),
    }
    .into()
}

pub(in crate::proofs::limits) fn answer(it: &Place, target: u64, element: &str) -> ClientFrame {
    Answer {
        nonce: it.nonce,
        after: None,
        conversation: it.group,
        target,
        target_nonce: None,
        values: vec![AnswerValue {
            id: element.to_owned(),
            value: "x".to_owned(),
        }],
    }
    .into()
}

pub(in crate::proofs::limits) fn delete(it: &Place, upto: u64, numbers: Vec<u64>) -> ClientFrame {
    Delete {
        nonce: it.nonce,
        conversation: it.group,
        upto,
        numbers,
    }
    .into()
}

pub(in crate::proofs::limits) fn report(
    it: &Place,
    conversation: Option<ConversationId>,
    sequence: u64,
    user: Option<UserId>,
    reason: u16,
) -> ClientFrame {
    Report {
        nonce: it.nonce,
        conversation,
        sequence,
        user,
        reason: ReportReason::from_number(reason),
        text: String::new(),
    }
    .into()
}

pub(in crate::proofs::limits) fn plain_create(it: &Place) -> CreateGroup {
    stage::create(it.nonce)
}

pub(in crate::proofs::limits) fn create(
    it: &Place,
    kind: Option<u16>,
    join: Option<u16>,
    ends: u64,
) -> ClientFrame {
    CreateGroup {
        kind: kind.map(ConversationKind::from_number),
        join: join.map(JoinPolicy::from_number),
        ends,
        ..plain_create(it)
    }
    .into()
}

pub(in crate::proofs::limits) fn presence(state: u16) -> ClientFrame {
    SetPresence {
        state: PresenceState::from_number(state),
        text: String::new(),
        emoji: String::new(),
        until: 0,
        rich: None,
    }
    .into()
}

pub(in crate::proofs::limits) fn friend(it: &Place, other: &str, action: u16) -> ClientFrame {
    Friend {
        nonce: it.nonce,
        user: user(other),
        action: FriendAction::from_number(action),
    }
    .into()
}

pub(in crate::proofs::limits) fn invite(it: &Place, users: &[&str]) -> ClientFrame {
    Invite {
        nonce: it.nonce,
        conversation: it.group,
        users: users.iter().map(|name| user(name)).collect(),
    }
    .into()
}

pub(in crate::proofs::limits) fn remove(it: &Place, whom: &str) -> ClientFrame {
    RemoveMember {
        nonce: it.nonce,
        conversation: it.group,
        user: user(whom),
    }
    .into()
}

pub(in crate::proofs::limits) fn role(it: &Place, whom: &str, role: u16) -> ClientFrame {
    SetRole {
        nonce: it.nonce,
        conversation: it.group,
        user: user(whom),
        role: Role::from_number(role),
    }
    .into()
}

pub(in crate::proofs::limits) fn mute(it: &Place, whom: &str, until: u64) -> ClientFrame {
    Mute {
        nonce: it.nonce,
        conversation: it.group,
        user: user(whom),
        until,
    }
    .into()
}

pub(in crate::proofs::limits) fn ban(it: &Place, whom: &str, until: u64) -> ClientFrame {
    Ban {
        nonce: it.nonce,
        conversation: it.group,
        user: user(whom),
        on: true,
        until,
    }
    .into()
}

pub(in crate::proofs::limits) fn answer_request(it: &Place, whom: &str) -> ClientFrame {
    AnswerRequest {
        nonce: it.nonce,
        conversation: it.group,
        user: user(whom),
        accept: true,
    }
    .into()
}

pub(in crate::proofs::limits) fn plain_member(it: &Place) -> SetMember {
    SetMember {
        nonce: it.nonce,
        conversation: it.group,
        user: None,
        name: Some("Conan".to_owned()),
        attributes: None,
    }
}

pub(in crate::proofs::limits) const fn join(
    nonce: Nonce,
    conversation: ConversationId,
    link: Option<LinkCode>,
) -> ClientFrame {
    ClientFrame::Join(Join {
        nonce,
        conversation,
        link,
    })
}

pub(in crate::proofs::limits) fn set(it: &Place, change: Settings) -> ClientFrame {
    SetConversation {
        nonce: it.nonce,
        conversation: it.group,
        change: change.into(),
    }
    .into()
}

pub(in crate::proofs::limits) fn personal(
    it: &Place,
    change: impl Fn(&mut Personal),
) -> ClientFrame {
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
    SetPersonal {
        nonce: it.nonce,
        conversation: it.group,
        change: own,
    }
    .into()
}
