//! What belongs to a person: own settings, all read, folders, drafts, friends.

use bytes::Bytes;
use fireside_protocol::{
    Attribute, Code, ConversationId, Entry, EntryKind, FolderId, FriendAction, Personal,
    ReportReason, Sequence, Settings, Tombstone, UserId, UserProfile, decode,
    frames::{UserRecord, UserRecordKind},
    limits::{ATTRIBUTES_MAX, DRAFTS_MAX, FOLDERS_MAX, FRIENDS_MAX, REPORTS_PER_DAY_MAX},
    personal::{Draft, ReadersRequest},
};
use fireside_server_core::{
    own::{OwnChange, OwnSet, SetOwn},
    reports::NewReport,
    storage::{NewEntry, Op, Outcome, Reply},
};

use super::{
    Check,
    world::{World, conversation, item, message, user},
};

pub(super) const CHECKS: &[Check] = &[
    ("own settings are changed field by field", personal),
    ("own settings are done once", once),
    ("own settings are for members", strangers),
    ("a moved read marker takes the mark unread away", reading),
    ("all is read in one step", read_all),
    ("folders come, change and go, and are bounded", folders),
    ("a message takes the draft before it away", drafts),
    ("drafts are bounded", drafts_bounded),
    ("a friendship has a record with both", friends),
    ("a block closes friendships in silence", friends_blocked),
    (
        "friends are bounded, in silence for who is asked",
        friends_bounded,
    ),
    ("receipts are off or not", receipts),
    ("what users say of themselves is read by all", profiles),
    ("who has read a message is said to who may know", readers),
    (
        "a report keeps what was seen, whatever becomes of it",
        reports,
    ),
    ("who a user knows is loaded with them", known),
    ("when users were seen last", last_seen),
    ("long drafts stay within a page of a reload", long_drafts),
];

fn profiles(w: &mut World) {
    let (ann, bob) = (user("ann"), user("bob"));
    let set = |description: Option<&str>, key: &str| OwnChange::Profile {
        change: Box::new(Settings {
            description: description.map(str::to_owned),
            attributes: vec![Attribute {
                key: key.to_owned(),
                value: "4".to_owned(),
            }],
            ..Settings::default()
        }),
    };
    w.put_device(&ann, 1, "Ann");
    w.put_device(&bob, 1, "Bob");
    let made = w.own(&ann, set(Some("a bard"), "level"));
    assert_eq!(made.records[0].1.kind, UserRecordKind::Profile);
    w.own(&ann, set(None, "guild"));
    w.reopen();
    assert_eq!(
        w.own(&ann, set(None, "guild")).records,
        [],
        "it is so already"
    );
    let users = vec![bob.clone(), user("nobody"), ann.clone()];
    let Reply::Profiles(page) = w.one(Op::Profiles(users)) else {
        panic!("profiles are answered with profiles");
    };
    let keys = |profile: &UserProfile| {
        profile
            .attributes
            .iter()
            .map(|it| it.key.clone())
            .collect::<Vec<_>>()
    };
    let shown: Vec<_> = page
        .profiles
        .iter()
        .map(|it| {
            (
                it.user.clone(),
                it.name.as_str(),
                it.description.as_str(),
                keys(it),
            )
        })
        .collect();
    let both = vec!["guild".to_owned(), "level".to_owned()];
    assert_eq!(
        shown,
        [
            (bob, "Bob", "", Vec::new()),
            (ann.clone(), "Ann", "a bard", both)
        ]
    );
    assert_eq!(w.held(&ann, UserRecordKind::Profile).len(), 1);
    for n in 0..ATTRIBUTES_MAX - 2 {
        w.own(&ann, set(None, &format!("more{n}")));
    }
    let full = w.own(&ann, set(None, "one too many"));
    assert_eq!(full.outcome, Outcome::Refused(Code::ArgumentInvalid));
}

impl World {
    fn own(&mut self, who: &UserId, change: OwnChange) -> OwnSet {
        let command = self.command(who);
        self.own_again(SetOwn { command, change })
    }

    fn own_again(&mut self, set: SetOwn) -> OwnSet {
        match self.one(Op::SetOwn(Box::new(set))) {
            Reply::OwnSet(set) => set,
            other => panic!("an own change was answered with {other:?}"),
        }
    }

    fn set_personal(&mut self, who: &UserId, id: ConversationId, change: Personal) -> OwnSet {
        let change = OwnChange::Personal {
            conversation: id,
            change,
        };
        self.own(who, change)
    }

    fn draft(&mut self, who: &UserId, id: ConversationId, text: &str) -> OwnSet {
        let change = OwnChange::Draft {
            conversation: id,
            content: Bytes::copy_from_slice(text.as_bytes()),
            reply_to: 0,
        };
        self.own(who, change)
    }

    fn befriend(&mut self, who: &UserId, other: &UserId, action: FriendAction) -> OwnSet {
        let other = other.clone();
        self.own(who, OwnChange::Friend { other, action })
    }

    /// Live records of a kind, as a device that has nothing gets them.
    pub(super) fn held(&mut self, who: &UserId, kind: UserRecordKind) -> Vec<UserRecord> {
        let (mut held, mut cursor) = (Vec::new(), 0);
        loop {
            let page = self.user_log(who, cursor);
            held.extend(page.records);
            cursor = page.cursor;
            if !page.more {
                break;
            }
        }
        held.retain(|record| record.kind == kind && !record.gone);
        held
    }
}

fn done(at: u64, conversation: Option<ConversationId>) -> Outcome {
    Outcome::Done {
        conversation,
        sequence: 0,
        ordinal: 0,
        at,
        expires: 0,
    }
}

fn of(record: &UserRecord) -> Personal {
    decode(&record.body).expect("an encoded `Personal`")
}

fn pinned(on: bool) -> Personal {
    Personal {
        pinned: Some(on),
        ..Personal::NOTHING
    }
}

fn personal(w: &mut World) {
    let (ann, bob) = (user("ann"), user("bob"));
    let id = w.group(1, &ann, &[&bob]);
    let set = w.set_personal(&bob, id, pinned(true));
    assert_eq!(set.outcome, done(w.now, Some(id)));
    let [(who, record)] = set.records.as_slice() else {
        panic!("one record: {set:?}");
    };
    assert_eq!((who, record.conversation), (&bob, Some(id)));
    assert_eq!(of(record), pinned(true));
    let last = w.load(id).row.expect("it exists").last;
    let archive = Personal {
        archived: Some(true),
        muted_until: Some(u64::MAX),
        ..Personal::NOTHING
    };
    let set = w.set_personal(&bob, id, archive.clone());
    let expected = Personal {
        pinned: Some(true),
        archived_to: last,
        ..archive
    };
    assert_eq!(of(&set.records[0].1), expected, "up to its end");
    let set = w.set_personal(&bob, id, pinned(true));
    assert!(set.records.is_empty(), "nothing changed: {set:?}");
    w.reopen();
    let held = w.held(&bob, UserRecordKind::Personal);
    assert_eq!(held.len(), 1);
    assert_eq!(of(&held[0]), expected);
    assert!(w.held(&ann, UserRecordKind::Personal).is_empty());
    let back = Personal {
        pinned: Some(false),
        archived: Some(false),
        muted_until: Some(0),
        ..Personal::NOTHING
    };
    let set = w.set_personal(&bob, id, back);
    assert!(set.records[0].1.gone, "what is as if never set is gone");
    assert!(w.held(&bob, UserRecordKind::Personal).is_empty());
}

fn once(w: &mut World) {
    let ann = user("ann");
    let id = w.group(1, &ann, &[]);
    let set = SetOwn {
        command: w.command(&ann),
        change: OwnChange::Personal {
            conversation: id,
            change: pinned(true),
        },
    };
    let first = w.own_again(set.clone());
    w.set_personal(&ann, id, pinned(false));
    w.reopen();
    let again = w.own_again(set);
    assert_eq!(again, OwnSet::only(first.outcome));
    assert!(w.held(&ann, UserRecordKind::Personal).is_empty());
}

fn strangers(w: &mut World) {
    let (ann, bob) = (user("ann"), user("bob"));
    let id = w.group(1, &ann, &[&bob]);
    w.leave(id, &bob);
    let refused = OwnSet::only(Outcome::Refused(Code::NotFound));
    for who in [&bob, &user("cyd")] {
        assert_eq!(w.set_personal(who, id, pinned(true)), refused);
        assert_eq!(w.draft(who, id, "well"), refused);
    }
    let filed = Personal {
        folder: Some(FolderId([7; 16])),
        ..Personal::NOTHING
    };
    assert_eq!(w.set_personal(&ann, id, filed), refused, "no such folder");
    assert_eq!(w.set_personal(&ann, conversation(9), pinned(true)), refused);
}

fn marked(on: bool) -> Personal {
    Personal {
        marked_unread: Some(on),
        ..Personal::NOTHING
    }
}

fn reading(w: &mut World) {
    let (ann, bob) = (user("ann"), user("bob"));
    let id = w.group(1, &ann, &[&bob]);
    w.send(id, &ann, "one");
    w.set_personal(&bob, id, marked(true));
    w.set_personal(&bob, id, pinned(true));
    w.read_to(id, &bob, 1);
    assert_eq!(of(&w.held(&bob, UserRecordKind::Personal)[0]), pinned(true));
    w.set_personal(&bob, id, marked(true));
    w.read_to(id, &bob, 1);
    let held = of(&w.held(&bob, UserRecordKind::Personal)[0]);
    assert_eq!(held.marked_unread, Some(true), "it did not move");
}

fn read_all(w: &mut World) {
    let (ann, bob) = (user("ann"), user("bob"));
    let ids = [1, 2, 3].map(|n| w.group(n, &ann, &[&bob]));
    let ends: Vec<Sequence> = (ids.iter())
        .map(|id| {
            w.send(*id, &ann, "hi");
            w.last(*id)
        })
        .collect();
    w.read_to(ids[0], &bob, ends[0]);
    w.set_personal(&bob, ids[0], marked(true));
    let left = w.group(4, &ann, &[&bob]);
    w.leave(left, &bob);
    let set = w.own(&bob, OwnChange::ReadAll);
    assert_eq!(set.outcome, done(w.now, None));
    let mut moved: Vec<_> = (set.marks.iter())
        .map(|mark| (mark.conversation, mark.read))
        .collect();
    moved.sort();
    assert_eq!(moved, [(ids[1], ends[1]), (ids[2], ends[2])]);
    let mut kinds: Vec<_> = set.records.iter().map(|(_, it)| it.kind).collect();
    kinds.sort();
    use UserRecordKind::{Personal as Own, ReadMarker};
    assert_eq!(kinds, [ReadMarker, ReadMarker, Own]);
    assert_eq!(w.member(ids[1], &bob).read, ends[1]);
    assert_eq!(w.member(ids[1], &ann).read, 0, "of nobody else");
    assert!(w.held(&bob, Own).is_empty(), "nothing is marked unread");
    let again = w.own(&bob, OwnChange::ReadAll);
    assert!(again.records.is_empty() && again.marks.is_empty());
}

fn folder(n: u8, name: &str) -> OwnChange {
    OwnChange::Folder {
        folder: FolderId([n; 16]),
        name: name.to_owned(),
        order: n.into(),
    }
}

fn folders(w: &mut World) {
    let ann = user("ann");
    let id = w.group(1, &ann, &[]);
    for n in 1..=FOLDERS_MAX as u8 {
        assert_eq!(w.own(&ann, folder(n, "guilds")).records.len(), 1);
    }
    let full = w.own(&ann, folder(200, "more"));
    assert_eq!(full, OwnSet::only(Outcome::Refused(Code::LimitReached)));
    w.own(&ann, folder(1, "friends"));
    w.own(&ann, folder(2, ""));
    w.reopen();
    let held = w.held(&ann, UserRecordKind::Folder);
    assert_eq!(held.len(), FOLDERS_MAX - 1);
    let renamed = held.iter().find(|it| it.name == "friends");
    let renamed = renamed.map(|it| (it.folder, it.value));
    assert_eq!(renamed, Some((Some(FolderId([1; 16])), 1)));
    let filed = Personal {
        folder: Some(FolderId([1; 16])),
        ..Personal::NOTHING
    };
    assert_eq!(w.set_personal(&ann, id, filed.clone()).records.len(), 1);
    assert_eq!(of(&w.held(&ann, UserRecordKind::Personal)[0]), filed);
    assert_eq!(
        w.own(&ann, folder(200, "more")).records.len(),
        1,
        "room again"
    );
}

fn drafts(w: &mut World) {
    let (ann, bob) = (user("ann"), user("bob"));
    let id = w.group(1, &ann, &[&bob]);
    let other = w.group(2, &ann, &[&bob]);
    w.draft(&ann, other, "elsewhere");
    let set = w.draft(&ann, id, "so far");
    let draft: Draft = decode(&set.records[0].1.body).expect("a `Draft`");
    assert_eq!(draft.content, Bytes::from_static(b"so far"));
    w.draft(&bob, id, "bob's");
    let version = w.version(id);
    let append = w.add(id, version, &ann, vec![message(&ann, "so far and done")]);
    let nonce = append.command.nonce;
    assert!(draft.nonce < nonce, "made later");
    let sent = w.done(with_nonce(append));
    let gone: Vec<_> = (sent.records.iter())
        .map(|(who, it)| (who.clone(), it.kind, it.conversation, it.gone))
        .collect();
    assert_eq!(gone, [(ann.clone(), UserRecordKind::Draft, Some(id), true)]);
    w.reopen();
    assert_eq!(w.held(&ann, UserRecordKind::Draft).len(), 1, "elsewhere");
    assert_eq!(w.held(&bob, UserRecordKind::Draft).len(), 1, "another's");
    // A message that was made before the draft and comes later.
    let late = with_nonce(w.add(id, version, &ann, vec![message(&ann, "late")]));
    w.draft(&ann, id, "newer");
    assert!(w.done(late).records.is_empty());
    assert_eq!(w.held(&ann, UserRecordKind::Draft).len(), 2);
    assert!(w.draft(&ann, id, "").records[0].1.gone, "thrown away");
    assert!(w.draft(&ann, id, "").records.is_empty(), "once");
}

/// The entries carry the command's name, as messages do.
fn with_nonce(
    mut append: fireside_server_core::storage::Append,
) -> fireside_server_core::storage::Append {
    let nonce = append.command.nonce;
    if let fireside_server_core::storage::Effect::Entries { entries, .. } = &mut append.effect {
        for entry in entries {
            entry.nonce = Some(nonce);
        }
    }
    append
}

fn drafts_bounded(w: &mut World) {
    let ann = user("ann");
    let ids: Vec<_> = (0..=DRAFTS_MAX)
        .map(|n| w.group(n as u8, &ann, &[]))
        .collect();
    for id in &ids[1..] {
        assert_eq!(w.draft(&ann, *id, "x").records.len(), 1);
    }
    let full = OwnSet::only(Outcome::Refused(Code::LimitReached));
    assert_eq!(w.draft(&ann, ids[0], "x"), full);
    assert_eq!(w.draft(&ann, ids[1], "y").records.len(), 1, "another text");
    w.draft(&ann, ids[1], "");
    assert_eq!(w.draft(&ann, ids[0], "x").records.len(), 1, "room again");
}

/// How two users stand to each other.
fn between(w: &mut World, one: &UserId, other: &UserId) -> [u64; 2] {
    [(one, other), (other, one)].map(|(who, with)| {
        let held = w.held(who, UserRecordKind::Friend);
        let mut with = held.iter().filter(|it| it.user.as_ref() == Some(with));
        with.next().map_or(0, |it| it.value)
    })
}

fn friends(w: &mut World) {
    use FriendAction::{Accept, Decline, Remove, Request};
    let (ann, bob, cyd) = (user("ann"), user("bob"), user("cyd"));
    let set = w.befriend(&ann, &bob, Request);
    assert_eq!(set.outcome, done(w.now, None));
    let owners: Vec<_> = set.records.iter().map(|(who, _)| who.clone()).collect();
    assert_eq!(owners, [ann.clone(), bob.clone()]);
    assert_eq!(between(w, &ann, &bob), [1, 2]);
    w.befriend(&cyd, &bob, Request);
    w.befriend(&bob, &ann, Accept);
    w.befriend(&bob, &cyd, Decline);
    w.reopen();
    assert_eq!(between(w, &ann, &bob), [3, 3]);
    assert_eq!(between(w, &cyd, &bob), [0, 0]);
    let none = w.befriend(&bob, &cyd, Accept);
    assert_eq!(none, OwnSet::only(Outcome::Refused(Code::NoFriendRequest)));
    w.befriend(&ann, &bob, Remove);
    assert_eq!(between(w, &ann, &bob), [0, 0]);
    // Both at once.
    let ops = [(&ann, &bob), (&bob, &ann)].map(|(who, other)| {
        let command = w.command(who);
        let change = OwnChange::Friend {
            other: other.clone(),
            action: Request,
        };
        Op::SetOwn(Box::new(SetOwn { command, change }))
    });
    for reply in w.try_run(ops.to_vec()) {
        assert!(matches!(reply, Ok(Reply::OwnSet(_))));
    }
    assert_eq!(between(w, &ann, &bob), [3, 3]);
}

fn friends_blocked(w: &mut World) {
    use FriendAction::Request;
    let (ann, bob) = (user("ann"), user("bob"));
    w.block(&bob, &ann, true);
    let set = w.befriend(&ann, &bob, Request);
    assert_eq!(set.outcome, done(w.now, None), "as if nothing were");
    assert_eq!(between(w, &ann, &bob), [1, 0]);
    w.block(&bob, &ann, false);
    assert_eq!(between(w, &ann, &bob), [1, 0], "also not after an unblock");
    w.befriend(&bob, &ann, Request);
    assert_eq!(between(w, &ann, &bob), [3, 3], "both asked");
}

fn friends_bounded(w: &mut World) {
    use FriendAction::Request;
    let (ann, bob) = (user("ann"), user("bob"));
    for n in 0..FRIENDS_MAX {
        w.befriend(&ann, &user(&format!("u{n}")), Request);
    }
    let full = w.befriend(&ann, &bob, Request);
    assert_eq!(full, OwnSet::only(Outcome::Refused(Code::LimitReached)));
    w.befriend(&bob, &ann, Request);
    assert_eq!(between(w, &bob, &ann), [1, 0], "who is full hears nothing");
    w.befriend(&ann, &user("u0"), FriendAction::Remove);
    w.befriend(&ann, &bob, Request);
    assert_eq!(between(w, &bob, &ann), [3, 3]);
}

fn receipts(w: &mut World) {
    let ann = user("ann");
    assert!(
        w.own(&ann, OwnChange::Receipts { on: true })
            .records
            .is_empty()
    );
    let off = w.own(&ann, OwnChange::Receipts { on: false });
    assert_eq!((off.records[0].1.value, off.records[0].1.gone), (1, false));
    w.reopen();
    assert_eq!(w.held(&ann, UserRecordKind::Receipts).len(), 1);
    let on = w.own(&ann, OwnChange::Receipts { on: true });
    assert!(on.records[0].1.gone);
}

/// Who has read a message, and of how many; `None`: not found.
fn read_by(
    w: &mut World,
    who: &UserId,
    id: ConversationId,
    sequence: Sequence,
) -> Option<(Vec<UserId>, u32)> {
    let request = ReadersRequest {
        conversation: id,
        sequence,
    };
    let user = who.clone();
    match w.one(Op::Readers { user, request }) {
        Reply::Readers(page) => Some((page.users, page.of)),
        Reply::NotFound => None,
        other => panic!("a request for readers was answered with {other:?}"),
    }
}

fn readers(w: &mut World) {
    let (ann, bob, cyd, dan) = (user("ann"), user("bob"), user("cyd"), user("dan"));
    let id = w.group(1, &ann, &[&bob, &cyd]);
    w.send(id, &ann, "one");
    let first = w.last(id);
    w.join(id, &dan, 0);
    w.send(id, &ann, "two");
    let second = w.last(id);
    w.read_to(id, &bob, second);
    w.read_to(id, &dan, second);
    let who = |users: &[&UserId]| users.iter().map(|user| (*user).clone()).collect::<Vec<_>>();
    assert_eq!(read_by(w, &ann, id, first), Some((who(&[&bob]), 2)));
    let both = Some((who(&[&bob, &dan]), 3));
    assert_eq!(read_by(w, &ann, id, second), both);
    assert_eq!(
        read_by(w, &cyd, id, second),
        both,
        "whoever sees it may know"
    );
    assert_eq!(read_by(w, &dan, id, first), None, "not theirs to see");
    assert_eq!(read_by(w, &user("eve"), id, first), None);
    assert_eq!(read_by(w, &ann, id, second - 1), None, "not a message");
    assert_eq!(read_by(w, &ann, id, second + 1), None);
    w.leave(id, &dan);
    assert_eq!(read_by(w, &ann, id, second), Some((who(&[&bob]), 2)));
    // Who tells nothing is in no count and is told nothing, after a restart too.
    w.own(&bob, OwnChange::Receipts { on: false });
    w.reopen();
    assert_eq!(read_by(w, &ann, id, second), Some((Vec::new(), 1)));
    assert_eq!(read_by(w, &bob, id, second), Some((Vec::new(), 0)));
    let off = |w: &mut World, id, user| w.member(id, user).receipts_off;
    assert!(off(w, id, &bob) && !off(w, id, &ann));
    let later = w.group(2, &ann, &[&bob]);
    assert!(off(w, later, &bob), "in what they join later too");
    let direct = w.direct(&ann, &bob);
    w.read_to(direct, &bob, 1);
    let head = |w: &mut World, who: &UserId| w.head(who, direct).peer_read;
    assert_eq!(head(w, &ann), 0);
    w.own(&bob, OwnChange::Receipts { on: true });
    assert_eq!(head(w, &ann), 1);
    assert_eq!(read_by(w, &ann, direct, 1), Some((who(&[&bob]), 1)));
}

fn reports(w: &mut World) {
    let (ann, bob, cyd) = (user("ann"), user("bob"), user("cyd"));
    let id = w.group(1, &ann, &[&bob]);
    let report = |w: &mut World, who: &UserId, sequence: Sequence| {
        let report = NewReport {
            command: w.command(who),
            conversation: Some(id),
            sequence,
            user: (sequence == 0).then(|| user("ann")),
            reason: ReportReason::Harassment,
            text: "look".to_owned(),
        };
        match w.one(Op::Report(Box::new(report))) {
            Reply::Reported(outcome) => outcome,
            other => panic!("a report was answered with {other:?}"),
        }
    };
    for n in 0..30 {
        w.send(id, &ann, &format!("line {n}"));
    }
    let last = w.last(id);
    let (bad, at) = (last - 5, w.now);
    w.change(id, &ann, EntryKind::Edit, bad, "worse");
    assert!(matches!(report(w, &bob, bad), Outcome::Done { .. }));
    let not_found = Outcome::Refused(Code::NotFound);
    assert_eq!(report(w, &cyd, bad), not_found);
    assert_eq!(report(w, &bob, last + 2), not_found);
    assert_eq!(report(w, &bob, 1), not_found, "not a message");
    let last = last + 1;
    // Its author takes it back: too late.
    let version = w.version(id);
    let recall = NewEntry {
        target: Some((bad, last)),
        tombstone: Some(Tombstone::Recalled),
        ..item(EntryKind::Recall, &ann)
    };
    let recall = w.add(id, version, &ann, vec![recall]);
    w.done(recall);
    w.reopen();
    assert!(matches!(report(w, &bob, 0), Outcome::Done { .. }), "a user");
    let Reply::Reports(all) = w.one(Op::Reports(0, 10)) else {
        panic!("no reports");
    };
    let [first, second] = all.as_slice() else {
        panic!("two reports: {all:?}");
    };
    assert!(first.at > at && first.number < second.number);
    assert_eq!((&first.reporter, &first.accused), (&bob, &ann));
    assert_eq!((first.sequence, first.text.as_str()), (bad, "look"));
    let entries: Vec<Entry> = (first.evidence.iter())
        .map(|raw| decode(&raw.0).expect("an entry"))
        .collect();
    let numbers: Vec<Sequence> = entries.iter().map(|entry| entry.sequence).collect();
    assert_eq!(numbers, (bad - 10..last).collect::<Vec<_>>());
    let said: Vec<_> = first
        .revisions
        .iter()
        .map(|it| it.content.clone())
        .collect();
    assert_eq!(
        said,
        [Bytes::from_static(b"line 24")],
        "what it said before"
    );
    let kept = entries.iter().find(|entry| entry.sequence == bad);
    let kept = kept.expect("the message itself");
    assert_eq!(kept.tombstone, None, "as it was when it was reported");
    assert!(!kept.content.is_empty());
    assert_eq!(
        (second.evidence.len(), second.accused.as_str()),
        (20, "ann")
    );
    for _ in 2..REPORTS_PER_DAY_MAX {
        assert!(matches!(report(w, &bob, bad + 1), Outcome::Done { .. }));
    }
    let full = Outcome::Refused(Code::TooManyReports);
    assert_eq!(report(w, &bob, bad + 1), full);
    assert!(
        matches!(report(w, &ann, bad + 1), Outcome::Done { .. }),
        "of each user"
    );
    w.now += 24 * 3_600_000;
    assert!(
        matches!(report(w, &bob, bad + 1), Outcome::Done { .. }),
        "the next day"
    );
}

fn known(w: &mut World) {
    use FriendAction::Request;
    let (ann, bob, cyd, dan) = (user("ann"), user("bob"), user("cyd"), user("dan"));
    for (one, other) in [(&ann, &bob), (&bob, &ann), (&ann, &cyd)] {
        w.befriend(one, other, Request);
    }
    w.block(&ann, &dan, true);
    w.block(&cyd, &ann, true);
    w.reopen();
    let loaded = w.load_user(&ann);
    assert_eq!(
        loaded.friends,
        std::slice::from_ref(&bob),
        "not who was only asked"
    );
    assert_eq!(
        (loaded.blocks, loaded.blocked_by),
        (vec![dan.clone()], vec![cyd.clone()])
    );
    w.befriend(&bob, &ann, FriendAction::Remove);
    w.block(&cyd, &ann, false);
    let loaded = w.load_user(&ann);
    assert!(loaded.friends.is_empty() && loaded.blocked_by.is_empty());
    assert_eq!(w.load_user(&dan).blocked_by, [ann]);
}

fn last_seen(w: &mut World) {
    let (ann, bob) = (user("ann"), user("bob"));
    w.put_device(&ann, 1, "Ann");
    w.put_device(&ann, 2, "Ann");
    let users = vec![bob, ann.clone()];
    assert_eq!(
        w.one(Op::LastSeen(users)),
        Reply::LastSeen(vec![(ann, w.now)])
    );
}

fn long_drafts(w: &mut World) {
    let ann = user("ann");
    let ids: Vec<_> = (0..DRAFTS_MAX)
        .map(|n| w.group(n as u8, &ann, &[]))
        .collect();
    let long = "x".repeat(16 * 1024);
    for id in &ids {
        w.draft(&ann, *id, &long);
    }
    let last = ids.len() - 1;
    w.set_personal(&ann, ids[last], pinned(true));
    w.set_personal(&ann, ids[last], pinned(false));
    w.now += 2 * fireside_protocol::limits::USER_TOMBSTONE_MS;
    // A cursor that stands below the tombstone.
    assert_eq!(w.held(&ann, UserRecordKind::Draft).len(), DRAFTS_MAX);
    let page = w.user_log(&ann, 1);
    let bytes: usize = page.records.iter().map(|it| it.body.len()).sum();
    let max = fireside_protocol::limits::PAGE_FRAME_BYTES_MAX;
    assert!(bytes < max, "{bytes} bytes in a page");
}
