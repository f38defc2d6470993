//! Messages of one direct conversation, named by number.

use bytes::Bytes;
use fireside_protocol::{ConversationId, ConversationKind, EntryKind, Header, Nonce, Role, UserId};
use fireside_server_core::storage::{Append, Command, Effect, NewConversation, NewEntry, Op};

fn users() -> (UserId, UserId) {
    (UserId::new("ann").unwrap(), UserId::new("bob").unwrap())
}

/// The conversation.
pub(crate) fn direct() -> ConversationId {
    let (ann, bob) = users();
    ConversationId::direct(&ann, &bob)
}

/// Ann's command `n`.
pub(crate) fn command(n: u64) -> Command {
    Command {
        user: users().0,
        nonce: Nonce::new(n, [7; 10]),
        after: None,
        now: n,
    }
}

/// Ann's message `n`; without a version it makes the conversation.
pub(crate) fn message(n: u64, version: Option<u64>, text: &str) -> Op {
    let (ann, bob) = users();
    let command = command(n);
    Op::Append(Box::new(Append {
        conversation: direct(),
        expected_version: version,
        shape: None,
        child: None,
        create: version.is_none().then(|| NewConversation {
            kind: ConversationKind::Direct,
            parent: None,
            name: String::new(),
            creator: ann.clone(),
            history_for_joiners: 0,
            members: vec![(ann.clone(), Role::Member), (bob, Role::Member)],
        }),
        effect: Effect::Entries {
            entries: vec![NewEntry {
                kind: EntryKind::Message,
                sender: ann,
                at: n,
                nonce: Some(command.nonce),
                header: Some(Header::text()),
                content: Bytes::copy_from_slice(text.as_bytes()),
                private: false,
                audience: None,
                target: None,
                facet: None,
                keeps_revision: false,
                tombstone: None,
                member: None,
                sources: Vec::new(),
                withdraws: Vec::new(),
            }],
            bumps_version: false,
            members: Vec::new(),
            records: Vec::new(),
        },
        command,
        links: Vec::new(),
    }))
}

/// Short messages in version 1.
pub(crate) fn messages(numbers: std::ops::RangeInclusive<u64>) -> impl Iterator<Item = Op> {
    numbers.map(|n| message(n, Some(1), "x"))
}
