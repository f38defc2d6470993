#![expect(clippy::unwrap_used, reason = "tests")]

use std::{path::PathBuf, sync::Weak};

use bytes::Bytes;
use fireside_client_core::storage::{
    ConversationRecord, ItemRecord, ItemsQuery, Loaded, OutboxRecord, Profile, Transaction,
};
use fireside_protocol::{
    ConversationId, ConversationKind, DeviceId, Entry, EntryKind, Nonce, TextContent, UserId,
    encode,
    frames::{Head, Range},
};

use super::*;
use crate::{cache::memory::MemoryCache, channel::channel, search::Reply};

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
        content: encode(&TextContent::plain(text)).into(),
        edited: false,
        tombstone: None,
        member: None,
        body_rev: 0,
        facets: Vec::new(),
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
        capabilities: 0,
        frozen: false,
        slow_mode_ms: 0,
        picture: String::new(),
        forget_on_leave: false,
        muted_until: 0,
        settings: None,
        parent: None,
        root: 0,
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
            got: 9,
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

type Asked = Receiver<Answer>;

/// FTS5 compares the index with the items under the watermark, word by word.
fn assert_index_is_right(disk: &Disk) {
    disk.connection
        .execute_batch("INSERT INTO item_text (item_text, rank) VALUES ('integrity-check', 1)")
        .unwrap();
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

fn query(text: &str, conversation: Option<ConversationId>) -> (SearchQuery, Asked) {
    let (reply, answer) = Reply::new(Weak::new());
    let query = SearchQuery {
        text: text.to_owned(),
        conversation,
        limit: 50,
        reply,
    };
    (query, answer)
}

/// Lets the index follow to the end, looks whether it is what the items say, and searches.
fn search(disk: &mut Disk, text: &str, conversation: Option<ConversationId>) -> Vec<u64> {
    while index::advance(&mut disk.connection).unwrap().is_behind() {}
    assert_index_is_right(disk);
    disk.search(&query(text, conversation).0)
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
    let (jobs, queue) = channel();
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

#[test]
fn recalled_words_leave_the_log_while_the_cache_runs_on() {
    let folder = tempfile::tempdir().unwrap();
    let put = |text: &str, rev| {
        StoreOp::Apply(Box::new(Transaction {
            items: vec![item(HERE, 500, rev, text)],
            ..Transaction::default()
        }))
    };
    let is_left = || {
        fs::read_dir(file_of(folder.path()).parent().unwrap())
            .unwrap()
            .any(|file| {
                let bytes = fs::read(file.unwrap().path()).unwrap_or_default();
                bytes.windows(10).any(|window| window == b"xyzzyplugh")
            })
    };
    let (jobs, queue) = channel();
    let (results, mut stored) = mpsc::unbounded_channel();
    std::thread::scope(|scope| {
        // Goes with this closure, also when it fails: the thread then ends.
        let jobs = jobs;
        let path = folder.path();
        scope.spawn(move || run(path, &queue, &results));
        jobs.send(Job::Op(1, put("xyzzyplugh", 500))).unwrap();
        stored.blocking_recv().unwrap().result.unwrap();
        assert!(is_left());
        jobs.send(Job::Op(2, put("", 600))).unwrap();
        let begun = std::time::Instant::now();
        while is_left() {
            assert!(begun.elapsed() < Duration::from_secs(20), "it stays");
            std::thread::sleep(Duration::from_millis(10));
        }
    });
}

fn items_with(words: &str, numbers: std::ops::RangeInclusive<u64>) -> Transaction {
    Transaction {
        items: numbers
            .map(|n| item(HERE, n, n, &format!("{words} number{n:04}")))
            .collect(),
        ..Transaction::default()
    }
}

/// The cache's thread, given these jobs at once; what the searches among them find.
fn ask(folder: &Path, given: Vec<Job>, answers: &[&Asked]) -> Vec<Vec<u64>> {
    let (jobs, queue) = channel();
    let (results, _stored) = mpsc::unbounded_channel();
    std::thread::scope(|scope| {
        // Goes with this closure, also when it fails: the thread then ends.
        let jobs = jobs;
        scope.spawn(move || run(folder, &queue, &results));
        for job in given {
            jobs.send(job).unwrap();
        }
        let sequences = |answer: &&Asked| {
            let found = answer.recv_timeout(Duration::from_secs(60)).unwrap();
            let found = found.unwrap().into_iter();
            found.map(|hit| hit.sequence).collect()
        };
        answers.iter().map(sequences).collect()
    })
}

fn ask_one(folder: &Path, text: &str) -> Vec<u64> {
    let (asked, answer) = query(text, None);
    ask(folder, vec![Job::Search(asked)], &[&answer]).remove(0)
}

const SLICE: u64 = index::SLICE_ITEMS as u64;

#[test]
fn writing_does_not_wait_for_words_and_searching_does() {
    let folder = tempfile::tempdir().unwrap();
    let mut disk = Disk::open(folder.path()).unwrap();
    put(&mut disk, items_with("raid", 1..=3 * SLICE));
    let standing = index::standing(&disk.connection).unwrap();
    assert!(
        standing.is_behind() && standing.upto == 0,
        "{standing:?}: written with the items"
    );
    drop(disk);
    // The search was asked before the last item was written, and after all the others.
    let (first, newest) = query(&format!("number{:04}", 3 * SLICE), None);
    let (second, later) = query("number9999", None);
    let late = StoreOp::Apply(Box::new(items_with("raid", 9_999..=9_999)));
    let found = ask(
        folder.path(),
        vec![Job::Search(first), Job::Op(1, late), Job::Search(second)],
        &[&newest, &later],
    );
    assert_eq!(found, [vec![3 * SLICE], vec![9_999]]);
}

#[test]
fn a_crash_between_items_and_words_leaves_only_work() {
    let folder = tempfile::tempdir().unwrap();
    let mut disk = Disk::open(folder.path()).unwrap();
    put(&mut disk, items_with("raid", 1..=2 * SLICE));
    let standing = index::advance(&mut disk.connection).unwrap();
    assert_eq!(standing.upto, SLICE as i64);
    // A crash in the middle of a slice: its words were written and not committed.
    let transaction = disk.connection.transaction().unwrap();
    transaction
        .execute(
            "INSERT INTO item_text (rowid, words) VALUES (?1, 'halfway')",
            [SLICE as i64 + 1],
        )
        .unwrap();
    drop(transaction);
    drop(disk);
    let disk = Disk::open(folder.path()).unwrap();
    assert_eq!(index::standing(&disk.connection).unwrap(), standing);
    assert_index_is_right(&disk);
    drop(disk);
    // The next start goes on by itself, and finds what is in the index and what was not.
    for number in [1, SLICE, SLICE + 1, 2 * SLICE] {
        assert_eq!(
            ask_one(folder.path(), &format!("number{number:04}")),
            [number]
        );
    }
    assert_eq!(ask_one(folder.path(), "halfway"), [0; 0]);
}

#[test]
fn the_index_follows_in_a_quiet_moment() {
    let folder = tempfile::tempdir().unwrap();
    let mut disk = Disk::open(folder.path()).unwrap();
    put(&mut disk, items_with("raid", 1..=2 * SLICE));
    let (jobs, queue) = channel();
    let (results, _stored) = mpsc::unbounded_channel();
    let mut worker = Worker {
        folder: folder.path(),
        results: &results,
        disk: Ok(disk),
        index: Index::Rests,
        searches: VecDeque::new(),
    };
    worker.look();
    assert_eq!(worker.index, Index::Waits);
    // Nothing comes: each turn is a slice, until there is nothing left to do.
    for upto in [SLICE, 2 * SLICE] {
        assert!(worker.turn(&queue));
        let disk = worker.disk.as_ref().unwrap();
        let standing = index::standing(&disk.connection).unwrap();
        assert_eq!(standing.upto, upto as i64);
    }
    assert_eq!(worker.index, Index::Rests);
    // Far behind it does not wait for one: a slice with every batch.
    let many = items_with("more", 2 * SLICE + 1..=2 * SLICE + 1 + BEHIND_ITEMS_MAX);
    let op = |transaction| Job::Op(1, StoreOp::Apply(Box::new(transaction)));
    jobs.send(op(many)).unwrap();
    assert!(worker.turn(&queue));
    let upto = |worker: &Worker<'_>| {
        let disk = worker.disk.as_ref().unwrap();
        index::standing(&disk.connection).unwrap().upto
    };
    assert_eq!(upto(&worker), 3 * SLICE as i64);
    // Near again, it does.
    jobs.send(op(items_with("last", 20_000..=20_000))).unwrap();
    assert!(worker.turn(&queue));
    assert_eq!(worker.index, Index::Waits);
    assert_eq!(upto(&worker), 3 * SLICE as i64);
    drop(jobs);
    assert!(!worker.turn(&queue));
}

#[test]
fn changes_on_both_sides_of_the_watermark_leave_no_word() {
    let folder = tempfile::tempdir().unwrap();
    let mut disk = Disk::open(folder.path()).unwrap();
    put(&mut disk, items_with("raid", 1..=SLICE + 10));
    for number in [10, SLICE + 5] {
        put(
            &mut disk,
            Transaction {
                items: vec![
                    item(HERE, number, number + 1_000, "xyzzyplugh 公会战"),
                    item(HERE, number + 1, number + 1_001, "xyzzyplugh"),
                ],
                ..Transaction::default()
            },
        );
    }
    index::advance(&mut disk.connection).unwrap();
    assert_index_is_right(&disk);
    let standing = index::standing(&disk.connection).unwrap();
    assert!(standing.is_behind());
    // One that the index has and one that it has not: each is edited, the next one recalled.
    for number in [10, SLICE + 5] {
        put(
            &mut disk,
            Transaction {
                items: vec![
                    item(HERE, number, number + 2_000, "edited 副本"),
                    item(HERE, number + 1, number + 2_001, ""),
                ],
                ..Transaction::default()
            },
        );
        assert_index_is_right(&disk);
    }
    assert_eq!(index::standing(&disk.connection).unwrap(), standing);
    assert_eq!(search(&mut disk, "副本", None), [SLICE + 5, 10]);
    assert_eq!(search(&mut disk, "xyzzyplugh", None), [0; 0]);
    assert_eq!(search(&mut disk, "公会", None), [0; 0]);
    disk.connection
        .execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")
        .unwrap();
    drop(disk);
    let bytes = fs::read(file_of(folder.path())).unwrap();
    let found = bytes.windows(10).any(|window| window == b"xyzzyplugh");
    assert!(!found, "the recalled word is still in the file");
}

#[test]
fn an_id_that_is_given_again_is_indexed_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut disk = Disk::open(folder.path()).unwrap();
    put(
        &mut disk,
        Transaction {
            items: vec![item(THERE, 1, 1, "elsewhere")],
            ..Transaction::default()
        },
    );
    put(&mut disk, items_with("old", 1..=20));
    assert_eq!(search(&mut disk, "old", None).len(), 20);
    let anew = Transaction {
        drop_items: vec![HERE],
        ..items_with("new", 1..=20)
    };
    put(&mut disk, anew);
    let standing = index::standing(&disk.connection).unwrap();
    assert_eq!((standing.upto, standing.newest), (1, 21));
    assert_index_is_right(&disk);
    assert_eq!(search(&mut disk, "old", None), [0; 0]);
    assert_eq!(search(&mut disk, "new", None).len(), 20);
    assert_eq!(search(&mut disk, "elsewhere", None), [1]);
}

#[test]
fn a_cache_of_the_first_version_opens_and_is_searched() {
    let folder = tempfile::tempdir().unwrap();
    let old = Connection::open(file_of(folder.path())).unwrap();
    old.execute_batch(PRAGMAS).unwrap();
    old.execute_batch(MIGRATIONS[0]).unwrap();
    old.pragma_update(None, "user_version", 1).unwrap();
    for (number, text) in [(1, "raid tonight"), (2, "公会战今晚八点"), (3, "")] {
        // As that version wrote them.
        let record = item(HERE, number, number, text);
        let words = text::segment(text);
        old.execute(
            "INSERT INTO item (conversation, sequence, row, rev, body, text, words) VALUES (?1, ?2, ?2, ?2, ?3, ?4, ?5)",
            params![HERE.0, number as i64, &record.body[..], text, words],
        )
        .unwrap();
        if !words.is_empty() {
            old.execute(
                "INSERT INTO item_text (rowid, words) VALUES (?1, ?2)",
                params![old.last_insert_rowid(), words],
            )
            .unwrap();
        }
    }
    drop(old);
    // Found by the first search after the start, and a recall of an old item leaves no word.
    assert_eq!(ask_one(folder.path(), "会战"), [2]);
    let mut disk = Disk::open(folder.path()).unwrap();
    assert_eq!(read_items(&mut disk, HERE, u64::MAX, 9).len(), 3);
    assert_eq!(search(&mut disk, "tonight", None), [1]);
    put(
        &mut disk,
        Transaction {
            items: vec![item(HERE, 1, 9, ""), item(HERE, 2, 10, "")],
            ..Transaction::default()
        },
    );
    assert_index_is_right(&disk);
    assert_eq!(search(&mut disk, "tonight", None), [0; 0]);
    assert_eq!(search(&mut disk, "战", None), [0; 0]);
}
