//! SQLite: the conformance suite, and what only SQLite does.
#![expect(clippy::unwrap_used, reason = "tests")]

use bytes::Bytes;
use fireside_protocol::{ConversationId, ConversationKind, EntryKind, Header, Nonce, Role, UserId};
use fireside_server_core::storage::{
    Append, Appended, Command, Effect, NewConversation, NewEntry, Op, Outcome, Reply,
};
use fireside_store::{
    SqliteConfig, SqliteStore,
    conformance::{Harness, StoreHarness},
};

fn message(n: u64, expected: Option<u64>, text: &'static str) -> Op {
    let (ann, bob) = (UserId::new("ann").unwrap(), UserId::new("bob").unwrap());
    let nonce = Nonce::new(n, [7; 10]);
    Op::Append(Box::new(Append {
        conversation: ConversationId::direct(&ann, &bob),
        expected_version: expected,
        create: expected.is_none().then(|| NewConversation {
            kind: ConversationKind::Direct,
            name: String::new(),
            creator: ann.clone(),
            history_for_joiners: 0,
            members: vec![(ann.clone(), Role::Member), (bob, Role::Member)],
        }),
        command: Command {
            user: ann.clone(),
            nonce,
            after: None,
            now: n,
        },
        effect: Effect::Entries {
            entries: vec![NewEntry {
                kind: EntryKind::Message,
                sender: ann,
                at: n,
                nonce: Some(nonce),
                header: Some(Header::text()),
                content: Bytes::from_static(text.as_bytes()),
                private: false,
                target: None,
                tombstone: None,
                member: None,
            }],
            bumps_version: false,
            members: Vec::new(),
            records: Vec::new(),
        },
    }))
}

#[test]
fn smoke() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("fireside.db");
    let mut harness = StoreHarness::new(move |sink| {
        Box::new(SqliteStore::open(SqliteConfig::new(&path), sink).unwrap())
    });
    let replies = harness.run(vec![
        message(1, None, "one"),
        message(2, Some(1), "two"),
        message(2, Some(1), "two"),
    ]);
    let Ok(Reply::Appended(Appended::Done(done))) = &replies[1] else {
        panic!("{replies:?}")
    };
    assert!(matches!(
        done.outcome,
        Outcome::Done {
            sequence: 2,
            ordinal: 2,
            at: 2,
            ..
        }
    ));
    assert!(
        matches!(&replies[2], Ok(Reply::Appended(Appended::Known(known))) if *known == done.outcome)
    );
    harness.reopen();
    let replies = harness.run(vec![
        message(2, Some(1), "two"),
        message(3, Some(1), "three"),
    ]);
    assert!(matches!(
        &replies[0],
        Ok(Reply::Appended(Appended::Known(_)))
    ));
    assert!(matches!(
        &replies[1],
        Ok(Reply::Appended(Appended::Done(_)))
    ));
    let ann = UserId::new("ann").unwrap();
    let replies = harness.run(vec![
        Op::LoadConversation {
            conversation: ConversationId::direct(&ann, &UserId::new("bob").unwrap()),
            peers: None,
        },
        Op::LoadUser(ann),
    ]);
    let Ok(Reply::Conversation(loaded)) = &replies[0] else {
        panic!("{replies:?}")
    };
    assert_eq!(loaded.row.as_ref().unwrap().last, 3);
    assert_eq!(loaded.members.len(), 2);
    assert!(matches!(&replies[1], Ok(Reply::User(user)) if user.conversations.len() == 1));
}
