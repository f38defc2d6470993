//! Numbers, ordinals and times; what an entry is stored and answered as.

use fireside_protocol::{
    ConversationKind, Entry, EntryKind, Header, MemberChange, Role, codec::decode,
};
use fireside_server_core::storage::{Appended, Op, Outcome, Reply, Target};

use super::{
    Check,
    world::{World, conversation, item, message, numbers_of, user},
};

pub(super) const CHECKS: &[Check] = &[
    ("numbers are dense in each conversation", dense),
    ("ordinals count countable messages", ordinals),
    ("time never goes back", time),
    ("an append of several entries", several),
    ("an entry is answered as it was given", answered),
    ("a new group says its name and owner", created),
    ("numbers go on after a restart", restart),
    ("an item is found by number and by name", found),
];

fn dense(w: &mut World) {
    let (ann, bob) = (user("ann"), user("bob"));
    let one = w.direct(&ann, &bob);
    let other = w.group(1, &ann, &[]);
    let mut appends = Vec::new();
    for n in 0..60 {
        let id = if n % 3 == 0 { other } else { one };
        let append = w.add(id, 1, &ann, vec![message(&ann, "x")]);
        appends.push(Op::Append(Box::new(append)));
    }
    let mut next = [(one, 2), (other, 2)];
    for reply in w.run(appends) {
        let Reply::Appended(Appended::Done(done)) = reply else {
            panic!("not done: {reply:?}");
        };
        let entry: Entry = decode(&done.entries[0].body).unwrap();
        let place = next
            .iter_mut()
            .find(|(id, _)| *id == entry.conversation)
            .unwrap();
        assert_eq!(entry.sequence, place.1);
        assert_eq!(numbers_of(&done.outcome).0, place.1);
        place.1 += 1;
    }
    assert_eq!((w.last(one), w.last(other)), (41, 21));
}

fn ordinals(w: &mut World) {
    let (ann, bob) = (user("ann"), user("bob"));
    let id = w.group(1, &ann, &[&bob]);
    assert_eq!(
        w.load(id).row.unwrap().ordinal,
        0,
        "system items do not count"
    );
    assert_eq!(numbers_of(&w.send(id, &ann, "one").outcome).1, 1);
    let mut silent = message(&ann, "psst");
    silent.header = Some(Header {
        silent: true,
        ..Header::text()
    });
    let version = w.version(id);
    let append = w.add(id, version, &ann, vec![silent]);
    assert_eq!(
        numbers_of(&w.done(append).outcome).1,
        1,
        "silent ones do not count"
    );
    assert_eq!(numbers_of(&w.send(id, &ann, "two").outcome).1, 2);
    let done = w.change(id, &ann, EntryKind::Edit, 3, "one!");
    assert_eq!(numbers_of(&done.outcome).1, 2, "changes do not count");
    w.change(id, &ann, EntryKind::Recall, 3, "");
    let item = w.item(id, Target::Number(3)).unwrap();
    assert!(item.meta.countable, "a recalled message still counts");
    assert_eq!(item.meta.ordinal, 1);
    assert_eq!(numbers_of(&w.send(id, &ann, "three").outcome).1, 3);
    assert_eq!(w.load(id).row.unwrap().ordinal, 3);
}

fn time(w: &mut World) {
    let (ann, bob) = (user("ann"), user("bob"));
    let id = w.direct(&ann, &bob);
    let first = w.now;
    let mut append = w.add(id, 1, &ann, vec![message(&ann, "from the past")]);
    if let fireside_server_core::storage::Effect::Entries { entries, .. } = &mut append.effect {
        entries[0].at = first - 50_000;
    }
    let done = w.done(append);
    assert_eq!(done.entries[0].meta.at, first);
    assert_eq!(numbers_of(&done.outcome).2, first);
    let entry: Entry = decode(&done.entries[0].body).unwrap();
    assert_eq!(entry.at, first);
    w.reopen();
    let mut append = w.add(id, 1, &ann, vec![message(&ann, "still")]);
    if let fireside_server_core::storage::Effect::Entries { entries, .. } = &mut append.effect {
        entries[0].at = first - 1;
    }
    assert_eq!(w.done(append).entries[0].meta.at, first);
    let sent = w.send(id, &ann, "now");
    assert_eq!(sent.entries[0].meta.at, w.now);
    assert_eq!(w.load(id).row.unwrap().last_at, w.now);
}

fn several(w: &mut World) {
    let ann = user("ann");
    let id = w.group(1, &ann, &[]);
    let entries = vec![
        message(&ann, "a"),
        item(EntryKind::Role, &ann),
        message(&ann, "b"),
    ];
    let append = w.add(id, 1, &ann, entries);
    let done = w.done(append);
    let got: Vec<_> = done
        .entries
        .iter()
        .map(|e| (e.meta.sequence, e.meta.ordinal))
        .collect();
    assert_eq!(got, [(2, 1), (3, 1), (4, 2)]);
    assert_eq!(
        numbers_of(&done.outcome).0,
        2,
        "the outcome names the first"
    );
    assert_eq!(w.last(id), 4);
}

fn answered(w: &mut World) {
    let (ann, bob) = (user("ann"), user("bob"));
    let id = w.direct(&ann, &bob);
    let header = Header {
        priority: 1,
        reply_to: 1,
        mentions: vec![bob.clone()],
        mention_all: true,
        expires: 77,
        ..Header::text()
    };
    let mut new = message(&ann, "what I said");
    new.header = Some(header.clone());
    new.private = true;
    let append = w.add(id, 1, &ann, vec![new]);
    let nonce = append.command.nonce;
    let done = w.done(append);
    assert_eq!(
        (done.version, done.records.len(), done.members.len()),
        (1, 0, 0)
    );
    let (sequence, ordinal, at) = (2, 2, w.now);
    let outcome = Outcome::Done {
        conversation: Some(id),
        sequence,
        ordinal,
        at,
        expires: 77,
    };
    assert_eq!(done.outcome, outcome);
    let stored = &done.entries[0];
    let entry: Entry = decode(&stored.body).unwrap();
    let expected = Entry {
        conversation: id,
        sequence,
        kind: EntryKind::Message,
        sender: ann.clone(),
        at,
        ordinal,
        rev: 0,
        nonce: Some(nonce),
        target: 0,
        header: Some(header),
        content: bytes::Bytes::from_static(b"what I said"),
        edited: false,
        tombstone: None,
        member: None,
        body_rev: 0,
        facets: Vec::new(),
    };
    assert_eq!(entry, expected);
    let item = w.item(id, Target::Number(2)).unwrap();
    assert_eq!(item.meta, stored.meta, "what is answered is what is stored");
    assert_eq!(
        (item.meta.rev, item.meta.target, item.entry.tombstone),
        (2, 0, None)
    );
    assert!(item.meta.private && item.meta.mention_all && item.meta.countable);
    assert_eq!(item.meta.mentions, [bob]);
    w.reopen();
    assert_eq!(w.item(id, Target::Number(2)).unwrap().meta, stored.meta);
}

fn created(w: &mut World) {
    let ann = user("ann");
    let id = conversation(9);
    let append = w.new_group(id, &ann, 5);
    let done = w.done(append);
    let entry: Entry = decode(&done.entries[0].body).unwrap();
    let expected = MemberChange {
        user: ann.clone(),
        role: Some(Role::Owner),
        name: "the group".to_owned(),
        until: 0,
    };
    assert_eq!(entry.member, Some(expected));
    assert_eq!(done.members.len(), 1);
    let row = w.load(id).row.unwrap();
    assert_eq!(
        (row.id, row.kind, row.version),
        (id, ConversationKind::Group, done.version)
    );
    assert_eq!(
        (row.name.as_str(), row.history_for_joiners),
        ("the group", 5)
    );
    assert_eq!(
        (row.first, row.last, row.ordinal, row.last_at),
        (1, 1, 0, w.now)
    );
}

fn restart(w: &mut World) {
    let (ann, bob) = (user("ann"), user("bob"));
    let id = w.direct(&ann, &bob);
    for n in 2..20 {
        if n % 5 == 0 {
            w.reopen();
        }
        let append = w.add(id, 1, &bob, vec![message(&bob, "x")]);
        assert_eq!(numbers_of(&w.done(append).outcome), (n, n, w.now));
    }
}

fn found(w: &mut World) {
    let (ann, bob) = (user("ann"), user("bob"));
    let id = w.direct(&ann, &bob);
    let other = w.group(1, &ann, &[]);
    let append = w.add(id, 1, &ann, vec![message(&ann, "x")]);
    let nonce = append.command.nonce;
    w.done(append);
    let by_name = Target::Nonce(ann.clone(), nonce);
    assert_eq!(w.item(id, by_name.clone()).unwrap().meta.sequence, 2);
    assert_eq!(w.item(other, by_name), None, "in its own conversation only");
    assert_eq!(
        w.item(id, Target::Nonce(bob, nonce)),
        None,
        "under its author only"
    );
    for missing in [0, 3, u64::MAX] {
        assert_eq!(w.item(id, Target::Number(missing)), None);
    }
    w.change(id, &ann, EntryKind::Edit, 2, "y");
    assert_eq!(w.item(id, Target::Number(3)), None, "a change is no item");
    assert_eq!(w.item(conversation(77), Target::Number(1)), None);
}
