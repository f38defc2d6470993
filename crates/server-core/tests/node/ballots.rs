//! Votes in anonymous polls: what others are told of them, and what the voter is.

use fireside_protocol::{
    Code, Content, ConversationId, DeviceId, Entry, EntryKind, FacetKind, Header, MessageKind,
    ServerFrame,
    content::{Ballots, PollContent, Votes},
    decode,
    frames::{ClosePoll, Send, UserRecord, UserRecordKind, Vote},
};

use crate::world::{World, user};

/// Ann (1) asks bob (2 and, on another device, 4) and cyd (3).
fn world() -> (World, ConversationId, u64) {
    let mut world = World::new();
    for (name, key) in [("ann", 1), ("bob", 2), ("cyd", 3)] {
        world.enter(name, key);
    }
    let mut login = world.login("bob", 4);
    login.device = DeviceId([4; 16]);
    world.connect(4, login);
    let guild = world.group(&[("ann", 1), ("bob", 2), ("cyd", 3)]);
    let poll = Content::Poll(PollContent {
        question: "Who leads?".to_owned(),
        options: ["ann", "bob", "cyd"].map(str::to_owned).into(),
        choices_max: 2,
        ends: 0,
        anonymous: true,
    });
    let header = Header {
        kind: MessageKind::Poll,
        ..Header::text()
    };
    let send = Send {
        header,
        content: poll.encode(),
        ..world.message(guild, "?")
    };
    let number = world.acked(1, send).sequence;
    for key in 1..=4 {
        world.live(key);
    }
    (world, guild, number)
}

fn vote(world: &mut World, id: ConversationId, target: u64, choices: &[u32]) -> Vote {
    Vote {
        nonce: world.nonce(),
        after: None,
        conversation: id,
        target,
        target_nonce: None,
        choices: choices.to_vec(),
    }
}

fn told(world: &mut World, key: u64) -> (Vec<Entry>, Vec<UserRecord>) {
    let (mut entries, mut records) = (Vec::new(), Vec::new());
    for frame in world.live(key) {
        match frame {
            ServerFrame::Entry(entry) => entries.push(entry),
            ServerFrame::UserRecord(record) => records.push(record),
            _ => {}
        }
    }
    (entries, records)
}

fn counts(entry: &Entry) -> Vec<(u32, u64)> {
    let votes: Votes = entry.facet(FacetKind::Votes).unwrap();
    assert!(votes.options.iter().all(|one| one.users.is_empty()));
    let options = votes.options.iter();
    options.map(|one| (one.option, one.count)).collect()
}

#[test]
fn nobody_is_told_who_chose_what() {
    let (mut world, id, poll) = world();
    let frame = vote(&mut world, id, poll, &[2, 0]);
    let first = world.acked(2, frame.clone());
    assert_eq!(
        world.acked(2, frame).sequence,
        first.sequence,
        "the same answer"
    );
    for key in [1, 3] {
        let (entries, records) = told(&mut world, key);
        let [entry] = &entries[..] else {
            panic!("{entries:?}");
        };
        assert_eq!((entry.kind, entry.target), (EntryKind::Vote, poll));
        assert_eq!((&entry.sender, entry.nonce), (&user("ann"), None));
        assert_eq!(counts(entry), [(0, 1), (2, 1)]);
        assert!(records.is_empty(), "{records:?}");
    }
    // Nor does what the server keeps of it for readers.
    let stored = world.database.entries(id);
    let votes = stored
        .iter()
        .filter(|(entry, _)| entry.kind == EntryKind::Vote);
    for (entry, meta) in votes {
        assert_eq!((&entry.sender, &meta.sender), (&user("ann"), &user("ann")));
    }
    // The voter's devices know it, both.
    for key in [2, 4] {
        let (entries, records) = told(&mut world, key);
        assert_eq!(counts(&entries[0]), [(0, 1), (2, 1)]);
        let [record] = &records[..] else {
            panic!("{records:?}");
        };
        assert_eq!(
            (record.kind, record.conversation),
            (UserRecordKind::Ballots, Some(id))
        );
        let ballots: Ballots = decode(&record.body).unwrap();
        assert_eq!(ballots.choices(poll), [0, 2]);
    }
}

#[test]
fn a_vote_takes_the_place_of_the_one_before() {
    let (mut world, id, poll) = world();
    for (key, choices) in [(2, &[0][..]), (3, &[0, 1]), (1, &[2]), (4, &[1]), (3, &[])] {
        let frame = vote(&mut world, id, poll, choices);
        assert!(world.acked(key, frame).sequence > 0);
    }
    let (entries, _) = told(&mut world, 1);
    assert_eq!(counts(entries.last().unwrap()), [(1, 1), (2, 1)]);
    let frame = vote(&mut world, id, poll, &[1]);
    assert_eq!(world.acked(2, frame).sequence, 0, "it was so already");
    for choices in [&[3][..], &[0, 0], &[0, 1, 2]] {
        let frame = vote(&mut world, id, poll, choices);
        assert_eq!(world.refused(2, frame).code(), Code::ArgumentInvalid);
    }
    let close = ClosePoll {
        nonce: world.nonce(),
        after: None,
        conversation: id,
        target: poll,
        target_nonce: None,
    };
    world.acked(1, close);
    let frame = vote(&mut world, id, poll, &[0]);
    assert_eq!(world.refused(2, frame).code(), Code::PollClosed);
}
