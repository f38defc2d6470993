//! Votes, live states, answers for two, what a user deletes for themselves, and what was said before.

use bytes::Bytes;
use fireside_protocol::{
    Code, ConversationId, Entry, EntryKind, FacetKind,
    codec::decode,
    content::{Ballots, CustomContent, LiveState, Votes},
    frames::{Anchor, Revision, RevisionsRequest, UserRecordKind},
    limits::{BALLOTS_MAX, REVISIONS_MAX},
};
use fireside_server_core::{
    facets::FacetOp,
    storage::{
        Append, Appended, Effect, MemberOp, NewEntry, NewUserRecord, Op, Outcome, Reply, Target,
    },
};

use super::{
    Check,
    world::{World, item, page_request, record, user},
};

pub(super) const CHECKS: &[Check] = &[
    ("a vote takes the place of the one before", votes),
    (
        "an anonymous vote is counted, and known to its voter",
        ballots,
    ),
    (
        "of old anonymous polls nothing is counted twice",
        old_ballots,
    ),
    ("of a live object the newest state is kept", live),
    ("what is for two is skipped by the others", for_two),
    ("what a user deleted is gone for them alone", deleted),
    ("a cleared history is not counted", cleared),
    ("what was said before is kept and told in pages", revisions),
    (
        "of many revisions the first and the newest are kept",
        many_revisions,
    ),
];

fn facet(w: &mut World, id: ConversationId, by: &str, op: FacetOp) -> Entry {
    let by = user(by);
    let kind = match op {
        FacetOp::Live { .. } => EntryKind::Live,
        _ => EntryKind::Vote,
    };
    let entry = NewEntry {
        target: Some((1, 1)),
        facet: Some(op),
        ..item(kind, &by)
    };
    let append = w.add(id, 1, &by, vec![entry]);
    let done = w.done(append);
    decode(&done.entries[0].body).unwrap()
}

fn votes(w: &mut World) {
    let (ann, bob) = (user("ann"), user("bob"));
    let id = w.direct(&ann, &bob);
    let vote = |choices: &[u32]| FacetOp::Vote {
        choices: choices.to_vec(),
    };
    facet(w, id, "ann", vote(&[2]));
    facet(w, id, "bob", vote(&[0, 2]));
    let live = facet(w, id, "ann", vote(&[1]));
    assert_eq!((live.kind, live.target), (EntryKind::Vote, 1));
    w.reopen();
    let state = |w: &mut World| -> Votes {
        let seen = w.page(&user("bob"), page_request(id, Anchor::Newest, 0));
        seen.items[0].facet(FacetKind::Votes).unwrap()
    };
    let now = state(w);
    assert_eq!(live.facet(FacetKind::Votes).as_ref(), Some(&now));
    let chosen: Vec<_> = now
        .options
        .iter()
        .map(|it| (it.option, it.users.len()))
        .collect();
    assert_eq!(chosen, [(0, 1), (1, 1), (2, 1)]);
    facet(w, id, "ann", FacetOp::ClosePoll);
    // It was decided before the poll was closed: whoever is told that they voted did.
    let entry = NewEntry {
        target: Some((1, 1)),
        facet: Some(vote(&[])),
        ..item(EntryKind::Vote, &bob)
    };
    let append = w.add(id, 1, &bob, vec![entry]);
    assert_eq!(w.append(append), Appended::Stale);
    // So is a second end of it, of its author or of its time: it closes once.
    let entry = NewEntry {
        target: Some((1, 1)),
        facet: Some(FacetOp::ClosePoll),
        ..item(EntryKind::Vote, &ann)
    };
    let append = w.add(id, 1, &ann, vec![entry]);
    assert_eq!(w.append(append), Appended::Stale);
    let now = state(w);
    assert!(now.closed && now.has(0, &bob), "a closed poll stays");
}

/// The vote of `voter`, as the core decides it: in the name of the poll's author, ann.
fn ballot(w: &mut World, id: ConversationId, poll: u64, voter: &str, choices: &[u32]) -> Append {
    let op = FacetOp::Ballot {
        voter: user(voter),
        choices: choices.to_vec(),
        before: Vec::new(),
    };
    let entry = NewEntry {
        target: Some((poll, poll)),
        facet: Some(op),
        ..item(EntryKind::Vote, &user("ann"))
    };
    let version = w.version(id);
    w.add(id, version, &user(voter), vec![entry])
}

fn counts(entry: &Entry) -> Vec<(u32, u64, usize)> {
    let votes: Votes = entry.facet(FacetKind::Votes).unwrap();
    let options = votes.options.iter();
    (options.map(|it| (it.option, it.count, it.users.len()))).collect()
}

fn ballots(w: &mut World) {
    let (ann, bob) = (user("ann"), user("bob"));
    let id = w.direct(&ann, &bob);
    let cast = |w: &mut World, voter: &str, choices: &[u32]| {
        let append = ballot(w, id, 1, voter, choices);
        w.done(append)
    };
    cast(w, "ann", &[2]);
    let done = cast(w, "bob", &[0, 2]);
    let [(whose, record)] = &done.records[..] else {
        panic!("one record of the voter: {:?}", done.records);
    };
    assert_eq!((whose, record.kind), (&bob, UserRecordKind::Ballots));
    assert_eq!(record.conversation, Some(id));
    w.reopen();
    let done = cast(w, "ann", &[1]);
    let live: Entry = decode(&done.entries[0].body).unwrap();
    assert_eq!(
        counts(&live),
        [(0, 1, 0), (1, 1, 0), (2, 1, 0)],
        "in its place"
    );
    let seen = w.page(&bob, page_request(id, Anchor::Newest, 0));
    assert_eq!(
        seen.items[0].facet::<Votes>(FacetKind::Votes),
        live.facet(FacetKind::Votes)
    );
    let again = cast(w, "ann", &[1]);
    assert!(
        again.entries.is_empty() && again.records.is_empty(),
        "so already"
    );
    let back = cast(w, "bob", &[]);
    let live: Entry = decode(&back.entries[0].body).unwrap();
    assert_eq!(counts(&live), [(1, 1, 0)]);
    let held: Ballots = decode(&w.held(&bob, UserRecordKind::Ballots)[0].body).unwrap();
    assert_eq!(held.choices(1), [0u32; 0]);
    // Named as the first try, it is that: nothing counts twice.
    let append = ballot(w, id, 1, "bob", &[1]);
    let first = w.done(append.clone()).outcome;
    assert_eq!(w.append(append), Appended::Known(first));
    facet(w, id, "ann", FacetOp::ClosePoll);
    let append = ballot(w, id, 1, "bob", &[0]);
    assert_eq!(w.append(append), Appended::Stale, "closed meanwhile");
    let held: Ballots = decode(&w.held(&bob, UserRecordKind::Ballots)[0].body).unwrap();
    assert_eq!(held.choices(1), [1]);
}

fn old_ballots(w: &mut World) {
    let (ann, bob) = (user("ann"), user("bob"));
    let id = w.direct(&ann, &bob);
    let most = BALLOTS_MAX as u64;
    let version = w.version(id);
    for _ in 0..most {
        let append = w.add(id, version, &ann, vec![item(EntryKind::Message, &ann)]);
        w.done(append);
    }
    for poll in 2..=most + 1 {
        let append = ballot(w, id, poll, "bob", &[0]);
        w.done(append);
    }
    let append = ballot(w, id, 1, "bob", &[0]);
    let refused = w.done(append);
    assert_eq!(refused.outcome, Outcome::Refused(Code::LimitReached));
    assert!(refused.entries.is_empty());
    let append = ballot(w, id, 1, "ann", &[0]);
    assert_eq!(w.done(append).entries.len(), 1, "of everybody their own");
    let append = ballot(w, id, 2, "bob", &[1]);
    let done = w.done(append);
    let live: Entry = decode(&done.entries[0].body).unwrap();
    assert_eq!(counts(&live), [(1, 1, 0)], "those that are kept");
}

fn live(w: &mut World) {
    let id = w.direct(&user("ann"), &user("bob"));
    for score in 1..=3 {
        let state = Box::new(CustomContent {
            name: "score".to_owned(),
            data: Bytes::new(),
            text: format!("{score}:0"),
        });
        facet(w, id, "ann", FacetOp::Live { state });
    }
    w.reopen();
    let seen = w.page(&user("bob"), page_request(id, Anchor::Newest, 0));
    let state: LiveState = seen.items[0].facet(FacetKind::Live).unwrap();
    assert_eq!(
        (state.state.text.as_str(), state.at),
        ("3:0", w.now),
        "late readers see the newest only"
    );
    assert_eq!(seen.items[0].facets.len(), 1);
}

fn for_two(w: &mut World) {
    let (ann, bob, cem) = (user("ann"), user("bob"), user("cem"));
    let id = w.group(1, &ann, &[&bob, &cem]);
    let version = w.version(id);
    let answer = NewEntry {
        private: true,
        audience: Some(ann.clone()),
        content: Bytes::from_static(b"yes"),
        ..item(EntryKind::Answer, &bob)
    };
    let append = w.add(id, version, &bob, vec![answer]);
    w.done(append);
    w.send(id, &cem, "hi");
    w.reopen();
    let number = w.last(id) - 1;
    for (who, sees) in [(&ann, true), (&bob, true), (&cem, false)] {
        let seen = w.page(who, page_request(id, Anchor::Newest, 0));
        assert_eq!(seen.numbers().contains(&number), sees, "{who}");
        let skipped = seen.skipped().contains(&(number, number));
        assert_eq!(skipped, !sees, "{who}");
    }
    assert_eq!(w.head(&ann, id).unread, 1, "an answer does not count");
}

/// Deletes, with the record that tells the user's devices; answers the rights version that it says.
fn delete(w: &mut World, id: ConversationId, who: &str, upto: u64, numbers: &[u64]) -> u64 {
    let who = user(who);
    let version = w.version(id);
    let mut append = w.add(id, version, &who, Vec::new());
    if let Effect::Entries {
        members, records, ..
    } = &mut append.effect
    {
        members.push(MemberOp::Delete {
            user: who.clone(),
            upto,
            numbers: numbers.to_vec(),
        });
        let record = record(UserRecordKind::Rights, Some(id));
        records.push((who.clone(), NewUserRecord { record }));
    }
    let done = w.done(append);
    assert_eq!(done.version, version, "nobody else's decision is concerned");
    assert_eq!(done.members[0].user, who);
    done.records[0].1.value
}

fn deleted(w: &mut World) {
    let (ann, bob) = (user("ann"), user("bob"));
    let id = w.direct(&ann, &bob);
    for text in ["two", "three", "four"] {
        w.send(id, &ann, text);
    }
    assert_eq!(delete(w, id, "bob", 0, &[2]), 1);
    assert_eq!(delete(w, id, "bob", 0, &[4]), 2);
    w.reopen();
    let seen = w.page(&bob, page_request(id, Anchor::Newest, 0));
    assert_eq!(seen.numbers(), [1, 3]);
    assert_eq!(seen.skipped(), [(2, 2), (4, 4)]);
    let head = w.head(&bob, id);
    assert_eq!((head.unread, head.rights), (2, 2));
    assert_eq!(head.preview.unwrap().sequence, 3);
    let all = w.page(&ann, page_request(id, Anchor::Newest, 0));
    assert_eq!(all.numbers(), [1, 2, 3, 4]);
    assert_eq!(w.head(&ann, id).rights, 0);
    // What happens to a deleted message is not seen either.
    w.change(id, &ann, EntryKind::Edit, 2, "secret");
    let seen = w.page(&bob, page_request(id, Anchor::Newest, 0));
    assert_eq!(seen.numbers(), [1, 3]);
    let row = w.member(id, &bob);
    assert_eq!(row.deleted.runs, [(2, 2), (4, 4)]);
}

fn cleared(w: &mut World) {
    let (ann, bob) = (user("ann"), user("bob"));
    let id = w.direct(&ann, &bob);
    w.send(id, &ann, "two");
    assert_eq!(delete(w, id, "bob", 2, &[]), 1);
    let head = w.head(&bob, id);
    assert_eq!((head.unread, head.visible_from), (0, 3));
    assert_eq!(head.preview, None);
    w.send(id, &ann, "three");
    let head = w.head(&bob, id);
    assert_eq!((head.unread, head.visible_from), (1, 3));
    assert_eq!(head.preview.unwrap().sequence, 3);
    let seen = w.page(&bob, page_request(id, Anchor::Newest, 0));
    assert_eq!(seen.numbers(), [3]);
}

fn before(w: &mut World, id: ConversationId, who: &str, after: u64) -> Option<Vec<Revision>> {
    let request = RevisionsRequest {
        conversation: id,
        target: 3,
        after,
    };
    let user = user(who);
    match w.one(Op::Revisions { user, request }) {
        Reply::Revisions(page) => Some(page.revisions),
        Reply::Forbidden => None,
        other => panic!("{other:?}"),
    }
}

fn revisions(w: &mut World) {
    let (ann, bob) = (user("ann"), user("bob"));
    let id = w.group(1, &ann, &[&bob]);
    let said = w.send(id, &bob, "one").entries[0].meta.at;
    let edited = w.change(id, &bob, EntryKind::Edit, 3, "two").entries[0]
        .meta
        .at;
    w.change(id, &bob, EntryKind::Recall, 3, "");
    w.reopen();
    let kept = before(w, id, "ann", 0).unwrap();
    let kept: Vec<_> = kept
        .iter()
        .map(|it| (it.rev, it.at, &it.content[..]))
        .collect();
    assert_eq!(
        kept,
        [(3, said, &b"one"[..]), (4, edited, &b"two"[..])],
        "what it said, and since when"
    );
    assert_eq!(before(w, id, "ann", 3).unwrap().len(), 1, "from there on");
    assert_eq!(before(w, id, "bob", 0), None, "members do not look back");
    let item = w.item(id, Target::Number(3)).unwrap();
    assert!(item.entry.content.is_empty());
}

fn many_revisions(w: &mut World) {
    let (ann, bob) = (user("ann"), user("bob"));
    let id = w.group(1, &ann, &[&bob]);
    w.send(id, &bob, "first");
    for n in 0..REVISIONS_MAX + 5 {
        w.change(id, &bob, EntryKind::Edit, 3, &format!("edit {n}"));
    }
    let kept = before(w, id, "ann", 0).unwrap();
    assert_eq!(kept.len(), REVISIONS_MAX);
    assert_eq!(&kept[0].content[..], b"first");
    let last = format!("edit {}", REVISIONS_MAX + 3);
    assert_eq!(kept[REVISIONS_MAX - 1].content, last.as_bytes());
}
