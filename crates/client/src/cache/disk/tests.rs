#![expect(clippy::unwrap_used, reason = "tests")]

use std::path::PathBuf;

use crossbeam_channel::bounded;
use fireside_protocol::{ConversationKind, EntryKind, TextContent};

use super::*;
use crate::cache::memory::MemoryCache;

const HERE: ConversationId = ConversationId([7; 16]);
const THERE: ConversationId = ConversationId([8; 16]);

fn file_of(folder: &Path) -> PathBuf {
    folder.join(FILE)
}

fn user(name: &str) -> UserId {
    UserId::new(name).unwrap()
}

fn item(conversation: ConversationId, sequence: u64, rev: u64, text: &str) -> ItemRecord {
    let entry = Entry {
        conversation,
        sequence,
        kind: EntryKind::Message,
        sender: user("ada"),
        at: 1_000 + sequence,
        ordinal: sequence,
        rev,
        nonce: None,
        target: 0,
        header: None,
        content: encode(&TextContent {
            text: text.to_owned(),
        })
        .into(),
        edited: false,
        tombstone: None,
        member: None,
    };
    ItemRecord {
        conversation,
        sequence,
        row: sequence,
        rev,
        body: encode(&entry).into(),
        text: text.into(),
    }
}

fn head(conversation: ConversationId) -> Head {
    Head {
        conversation,
        kind: ConversationKind::Group,
        last: 9,
        first: 1,
        visible_from: 1,
        ordinal: 9,
        unread: 3,
        mentions: 1,
        at: 77,
        preview: None,
        read: 6,
        peer_delivered: 0,
        peer_read: 0,
        version: 2,
        rights: 4,
        name: "公会".to_owned(),
        peer: None,
        members: 12,
        role: None,
    }
}

fn outbox(position: u64) -> OutboxRecord {
    OutboxRecord {
        nonce: Nonce([position as u8; 16]),
        conversation: HERE,
        position,
        row: 90 + position,
        created_at: 5,
        tried: position.is_multiple_of(2),
        failed: 0,
        kind: 16,
        body: Bytes::from_static(b"send"),
    }
}

fn full() -> Transaction {
    Transaction {
        conversations: vec![ConversationRecord {
            head: head(HERE),
            covered: vec![Range { first: 1, last: 4 }, Range { first: 6, last: 9 }],
            changes_to: 4,
            last_known: 11,
            rights: 4,
        }],
        items: (1..=9)
            .map(|n| item(HERE, n, n, &format!("message {n}")))
            .collect(),
        outbox: vec![outbox(2), outbox(1)],
        profile: Some(Profile {
            user: Some(user("ada")),
            device: DeviceId([3; 16]),
            user_cursor: 44,
            heads_since: 55,
            blocked: vec![user("mallory"), user("trudy")],
            invitations: vec![(THERE, user("bo"), "raid".to_owned())],
            row_counter: 99,
        }),
        ..Transaction::default()
    }
}

fn run_one(disk: &mut Disk, op: StoreOp) -> Result<Rows, Failure> {
    disk.run_batch(&[(1, op)]).remove(0)
}

fn put(disk: &mut Disk, transaction: Transaction) {
    assert!(run_one(disk, StoreOp::Apply(Box::new(transaction))).is_ok());
}

fn read_all(disk: &mut Disk) -> (Loaded, Vec<ItemRecord>) {
    let Ok(Rows::Loaded(loaded)) = run_one(disk, StoreOp::Load) else {
        panic!("not loaded")
    };
    (*loaded, read_items(disk, HERE, u64::MAX, 100))
}

fn read_items(
    disk: &mut Disk,
    conversation: ConversationId,
    below: u64,
    limit: u32,
) -> Vec<ItemRecord> {
    let Ok(Rows::Items(items)) = run_one(
        disk,
        StoreOp::Items(ItemsQuery {
            conversation,
            below,
            limit,
        }),
    ) else {
        panic!("no items")
    };
    items
}

fn search(disk: &mut Disk, text: &str, conversation: Option<ConversationId>) -> Vec<u64> {
    let query = SearchQuery {
        text: text.to_owned(),
        conversation,
        limit: 50,
        reply: bounded(1).0,
    };
    disk.search(&query)
        .unwrap()
        .into_iter()
        .map(|hit| hit.sequence)
        .collect()
}

#[test]
fn everything_is_there_after_a_reopen_and_memory_agrees() {
    let folder = tempfile::tempdir().unwrap();
    let mut disk = Disk::open(folder.path()).unwrap();
    put(&mut disk, full());
    let before = read_all(&mut disk);
    drop(disk);
    let mut disk = Disk::open(folder.path()).unwrap();
    let after = read_all(&mut disk);
    assert_eq!(before, after);
    assert_eq!(after.0.profile, full().profile.unwrap());
    assert_eq!(after.0.conversations, full().conversations);
    assert_eq!(after.0.outbox, [outbox(1), outbox(2)], "by position");
    assert_eq!(after.1, full().items);
    let page: Vec<u64> = read_items(&mut disk, HERE, 5, 3)
        .iter()
        .map(|item| item.sequence)
        .collect();
    assert_eq!(page, [2, 3, 4]);

    let mut memory = MemoryCache::default();
    memory.run(StoreOp::Apply(Box::new(full()))).unwrap();
    assert_eq!(
        memory.run(StoreOp::Load).unwrap(),
        Rows::Loaded(Box::new(after.0))
    );
    let query = ItemsQuery {
        conversation: HERE,
        below: 5,
        limit: 3,
    };
    assert_eq!(
        memory.run(StoreOp::Items(query)).unwrap(),
        Rows::Items(read_items(&mut disk, HERE, 5, 3))
    );
}

#[test]
fn the_larger_rev_wins_in_any_order() {
    let folder = tempfile::tempdir().unwrap();
    let mut disk = Disk::open(folder.path()).unwrap();
    let mut memory = MemoryCache::default();
    for (rev, text) in [(1, "old"), (5, "newest"), (3, "between"), (5, "newest")] {
        let transaction = Transaction {
            items: vec![item(HERE, 1, rev, text)],
            ..Transaction::default()
        };
        memory
            .run(StoreOp::Apply(Box::new(transaction.clone())))
            .unwrap();
        put(&mut disk, transaction);
    }
    let held = read_items(&mut disk, HERE, u64::MAX, 10);
    assert_eq!(held, [item(HERE, 1, 5, "newest")]);
    let query = ItemsQuery {
        conversation: HERE,
        below: u64::MAX,
        limit: 10,
    };
    assert_eq!(
        memory.run(StoreOp::Items(query)).unwrap(),
        Rows::Items(held)
    );
    assert_eq!(search(&mut disk, "newest", None), [1]);
    assert!(
        search(&mut disk, "between", None).is_empty() && search(&mut disk, "old", None).is_empty()
    );
}

#[test]
fn forget_and_drop_leave_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut disk = Disk::open(folder.path()).unwrap();
    put(&mut disk, full());
    put(
        &mut disk,
        Transaction {
            drop_items: vec![HERE],
            outbox_remove: vec![outbox(1).nonce],
            items: vec![item(HERE, 20, 20, "kept")],
            ..Transaction::default()
        },
    );
    let (loaded, items) = read_all(&mut disk);
    assert_eq!(
        items,
        [item(HERE, 20, 20, "kept")],
        "items of the same transaction come after the drop"
    );
    assert_eq!((loaded.conversations.len(), loaded.outbox.len()), (1, 1));
    assert!(search(&mut disk, "message", None).is_empty());
    put(
        &mut disk,
        Transaction {
            forget: vec![HERE],
            ..Transaction::default()
        },
    );
    let (loaded, items) = read_all(&mut disk);
    assert!(loaded.conversations.is_empty() && items.is_empty());
}

#[test]
fn a_full_disk_changes_nothing_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let mut disk = Disk::open(folder.path()).unwrap();
    put(&mut disk, full());
    let before = read_all(&mut disk);
    let pages: u32 = disk
        .connection
        .pragma_query_value(None, "page_count", |row| row.get(0))
        .unwrap();
    disk.connection
        .pragma_update(None, "max_page_count", pages + 2)
        .unwrap();
    let big = "word ".repeat(3_000);
    let mut transaction = full();
    transaction.profile = None;
    transaction.items = (100..130).map(|n| item(HERE, n, n, &big)).collect();
    transaction.outbox_remove = vec![outbox(1).nonce];
    let small = Transaction {
        outbox: vec![outbox(3)],
        ..Transaction::default()
    };
    let batch = [
        (1, StoreOp::Apply(Box::new(transaction))),
        (2, StoreOp::Apply(Box::new(small))),
    ];
    let mut answers = disk.run_batch(&batch);
    assert!(
        answers.pop().unwrap().is_ok(),
        "the small one beside it is kept"
    );
    let Some(Err(Failure::Other(reason))) = answers.pop() else {
        panic!("a full disk took it")
    };
    assert!(reason.contains("full"), "{reason}");
    let mut after = read_all(&mut disk);
    assert_eq!(after.0.outbox.pop().unwrap(), outbox(3));
    assert_eq!(before, after);
}

#[test]
fn one_process_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let first = Disk::open(folder.path()).unwrap();
    let reason = Disk::open(folder.path()).err().unwrap();
    assert!(reason.contains("another program"), "{reason}");
    drop(first);
    assert!(Disk::open(folder.path()).is_ok());
}

#[test]
fn damage_is_set_aside_by_name() {
    for spot in [0_usize, 8_192, 20_000] {
        let folder = tempfile::tempdir().unwrap();
        let mut disk = Disk::open(folder.path()).unwrap();
        put(&mut disk, full());
        drop(disk);
        let file = file_of(folder.path());
        let mut bytes = fs::read(&file).unwrap();
        let end = (spot + 4_000).min(bytes.len());
        bytes[spot..end].fill(0x5a);
        fs::write(&file, &bytes).unwrap();
        let reason = Disk::open(folder.path()).err().unwrap();
        let aside = fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .find(|path| {
                path.file_name()
                    .unwrap()
                    .to_str()
                    .unwrap()
                    .starts_with("cache.damaged")
            });
        let aside = aside.unwrap();
        assert!(
            reason.contains(aside.to_str().unwrap()),
            "spot {spot}: {reason}"
        );
        assert_eq!(fs::read(aside).unwrap(), bytes, "nothing is deleted");
        let mut disk = Disk::open(folder.path()).unwrap();
        assert_eq!(read_all(&mut disk), (Loaded::default(), Vec::new()));
    }
}

#[test]
fn damage_found_late_is_answered_and_set_aside() {
    let folder = tempfile::tempdir().unwrap();
    let mut disk = Disk::open(folder.path()).unwrap();
    put(&mut disk, full());
    disk.connection
        .execute("UPDATE conversation SET head = x'c1'", [])
        .unwrap();
    drop(disk);
    let (jobs, queue) = crossbeam_channel::unbounded();
    let (results, mut stored) = mpsc::unbounded_channel();
    jobs.send(Job::Op(5, StoreOp::Load)).unwrap();
    jobs.send(Job::Op(6, StoreOp::Load)).unwrap();
    jobs.send(Job::Stop).unwrap();
    run(folder.path(), &queue, &results);
    for ticket in [5, 6] {
        let answer = stored.try_recv().unwrap();
        assert_eq!(answer.ticket, ticket);
        assert!(answer.result.unwrap_err().reason.contains("cache.damaged-"));
    }
}

#[test]
fn a_newer_cache_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let disk = Disk::open(folder.path()).unwrap();
    disk.connection
        .pragma_update(None, "user_version", 99)
        .unwrap();
    drop(disk);
    let reason = Disk::open(folder.path()).err().unwrap();
    assert!(reason.contains("newer version"), "{reason}");
    assert!(file_of(folder.path()).exists());
}

#[test]
fn search_finds_words_beginnings_and_cjk() {
    let folder = tempfile::tempdir().unwrap();
    let mut disk = Disk::open(folder.path()).unwrap();
    let texts = [
        "去打副本吗 itgc",
        "Déjà vu, Raid tonight",
        "公会战今晚八点",
        "레이드 갈 사람",
        "raid \"at\" dawn",
    ];
    let mut items: Vec<ItemRecord> = texts
        .iter()
        .enumerate()
        .map(|(i, text)| item(HERE, i as u64 + 1, i as u64 + 1, text))
        .collect();
    items.push(item(THERE, 9, 9, "raid elsewhere"));
    put(
        &mut disk,
        Transaction {
            items: items.clone(),
            ..Transaction::default()
        },
    );
    let finds: [(&str, &[u64]); 10] = [
        ("副本", &[1]),
        ("本", &[1]),
        ("会战", &[3]),
        ("战会", &[]),
        ("deja", &[2]),
        ("itg", &[1]),
        ("레이드", &[4]),
        ("raid tonight", &[2]),
        ("\"at", &[5]),
        ("' OR *", &[]),
    ];
    for (text, expected) in finds {
        assert_eq!(search(&mut disk, text, Some(HERE)), expected, "{text}");
    }
    assert_eq!(search(&mut disk, "raid", None), [9, 5, 2]);
    assert!(search(&mut disk, " ", None).is_empty());
}

#[test]
fn recalled_words_leave_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let mut disk = Disk::open(folder.path()).unwrap();
    let mut items: Vec<ItemRecord> = (1..200)
        .map(|n| item(HERE, n, n, "ordinary words here"))
        .collect();
    items.push(item(HERE, 500, 500, "xyzzyplugh"));
    put(
        &mut disk,
        Transaction {
            items,
            ..Transaction::default()
        },
    );
    assert_eq!(search(&mut disk, "xyzzyplugh", None), [500]);
    put(
        &mut disk,
        Transaction {
            items: vec![item(HERE, 500, 600, "")],
            ..Transaction::default()
        },
    );
    assert!(search(&mut disk, "xyzzyplugh", None).is_empty());
    disk.connection
        .execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")
        .unwrap();
    drop(disk);
    let bytes = fs::read(file_of(folder.path())).unwrap();
    let found = bytes.windows(10).any(|window| window == b"xyzzyplugh");
    assert!(!found, "the recalled word is still in the file");
}
