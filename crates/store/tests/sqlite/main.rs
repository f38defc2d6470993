//! SQLite: the conformance suite, and what only SQLite does.
#![expect(clippy::unwrap_used, reason = "tests")]

mod appends;

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use appends::{command, direct, message, messages};
use fireside_protocol::{
    Entry, EntryKind, UserId, decode,
    frames::{HeadsRequest, MembersRequest, PageRequest},
};
use fireside_server_core::storage::{
    Append, Appended, Effect, NewEntry, Op, Outcome, Reply, StoreError, Target,
};
use fireside_store::{
    SqliteConfig, SqliteStore, Store,
    conformance::{Harness, StoreHarness, run_all},
};

fn harness(path: &Path, change: impl Fn(&mut SqliteConfig) + 'static) -> StoreHarness {
    let mut config = SqliteConfig::new(path);
    change(&mut config);
    StoreHarness::new(move |sink| Box::new(SqliteStore::open(config.clone(), sink).unwrap()))
}

fn is_done(result: &Result<Reply, StoreError>) -> bool {
    matches!(result, Ok(Reply::Appended(Appended::Done(_))))
}

fn sequence(result: &Result<Reply, StoreError>) -> u64 {
    match result {
        Ok(Reply::Appended(Appended::Done(done))) => done.entries[0].meta.sequence,
        other => panic!("not done: {other:?}"),
    }
}

fn open_error(path: &Path) -> String {
    let error = SqliteStore::open(SqliteConfig::new(path), Arc::new(|_| ())).unwrap_err();
    error.to_string()
}

#[test]
fn conforms() {
    let folder = tempfile::tempdir().unwrap();
    let mut made = 0;
    let checks = run_all(&mut || {
        made += 1;
        Box::new(harness(&folder.path().join(format!("{made}.db")), |_| ()))
    });
    println!("{checks} checks");
    assert_eq!(checks, made);
}

#[test]
fn a_full_disk_refuses_the_batch_and_then_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("full.db");
    let (sender, answers) = crossbeam_channel::unbounded();
    let sink: fireside_store::Sink = Arc::new(move |batch: Vec<_>| {
        for answer in batch {
            let _ = sender.send(answer);
        }
    });
    let store = SqliteStore::open(SqliteConfig::new(&path), sink).unwrap();
    let run = |op: Op| {
        store.submit(1, op);
        answers.recv().unwrap().1
    };
    let text = "x".repeat(16_000);
    assert!(is_done(&run(message(1, None, &text))));
    store.set_file_bytes_max(400 * 1024);
    let mut written = 1;
    let refused = loop {
        let n = written + 1;
        match run(message(n, Some(1), &text)) {
            Ok(reply) => assert!(is_done(&Ok(reply))),
            Err(error) => break error,
        }
        written = n;
        assert!(written < 100, "it never got full");
    };
    assert_eq!(refused, StoreError::Full);
    assert!(written > 10, "full after {written}");
    // A batch in which only some would fit is refused as a whole, and reads go on.
    store.set_file_bytes_max(600 * 1024);
    for n in 0..50 {
        store.submit(n, message(1_000 + n, Some(1), &text));
    }
    let refused = (0..50)
        .filter(|_| answers.recv().unwrap().1 == Err(StoreError::Full))
        .count();
    assert!(refused > 30, "{refused} of 50 refused");
    let load = Op::LoadConversation {
        conversation: direct(),
        peers: None,
    };
    store.submit(2, load);
    let Ok(Reply::Conversation(loaded)) = answers.recv().unwrap().1 else {
        panic!("reads work")
    };
    let last = loaded.row.unwrap().last;
    assert_eq!(
        last,
        written + 50 - refused as u64,
        "what was refused left nothing"
    );
    // Room again: the same commands are done.
    store.set_file_bytes_max(0);
    store.submit(3, message(written + 1, Some(1), &text));
    assert_eq!(sequence(&answers.recv().unwrap().1), last + 1);
    store.close();
    let conn = rusqlite::Connection::open(&path).unwrap();
    let check: String = conn
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .unwrap();
    assert_eq!(check, "ok");
}

/// The same with a real file system: `mount -t tmpfs -o size=4m none DIR`, then `SMALL_DISK=DIR` and `-- --ignored small_disk`.
#[test]
#[ignore = "needs a small disk"]
fn a_small_disk_that_fills_loses_nothing() {
    let folder = std::path::PathBuf::from(std::env::var("SMALL_DISK").unwrap());
    let path = folder.join("small.db");
    let mut store = harness(&path, |_| ());
    let text = "x".repeat(4_000);
    assert!(is_done(&store.run(vec![message(1, None, &text)])[0]));
    let ballast = folder.join("ballast");
    std::fs::write(&ballast, vec![0; 2 << 20]).unwrap();
    let (mut last, mut next, mut full) = (1, 2, 0);
    for round in 0..4 {
        loop {
            let ops = (next..next + 40).map(|n| message(n, Some(1), &text));
            let results = store.run(ops.collect());
            next += 40;
            for result in results
                .iter()
                .filter(|result| **result != Err(StoreError::Full))
            {
                assert_eq!(sequence(result), last + 1, "dense");
                last += 1;
            }
            let refused = results.iter().filter(|result| result.is_err()).count();
            full += refused;
            if refused > 0 {
                break;
            }
        }
        println!("round {round}: full at {last}, {full} refused so far");
        store.reopen();
        let again = store.run(vec![message(1, None, &text)]);
        assert!(
            matches!(again[0], Ok(Reply::Appended(Appended::Known(_)))),
            "{again:?}"
        );
        let _ = std::fs::remove_file(&ballast);
    }
    assert!(full > 0);
    drop(store);
    let conn = rusqlite::Connection::open(&path).unwrap();
    let check: String = conn
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .unwrap();
    assert_eq!(check, "ok");
    let count: u64 = conn
        .query_row("SELECT count(*) FROM entries", [], |row| {
            row.get::<_, i64>(0)
        })
        .unwrap()
        .cast_unsigned();
    assert_eq!(count, last);
}

#[test]
fn a_second_server_on_the_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("one.db");
    let first = SqliteStore::open(SqliteConfig::new(&path), Arc::new(|_| ())).unwrap();
    let text = open_error(&path);
    assert!(
        text.contains("another server") && text.contains("stop that one"),
        "{text}"
    );
    first.close();
    SqliteStore::open(SqliteConfig::new(&path), Arc::new(|_| ())).unwrap();
}

#[test]
fn files_that_can_not_be_used_say_why() {
    let folder = tempfile::tempdir().unwrap();
    let garbage = folder.path().join("garbage.db");
    std::fs::write(
        &garbage,
        "this is no database at all, though it is long enough to be one".repeat(100),
    )
    .unwrap();
    let text = open_error(&garbage);
    assert!(
        text.contains("is not a database") && text.contains("restore a backup"),
        "{text}"
    );

    let foreign = folder.path().join("foreign.db");
    let conn = rusqlite::Connection::open(&foreign).unwrap();
    conn.execute_batch("CREATE TABLE theirs (x)").unwrap();
    drop(conn);
    let text = open_error(&foreign);
    assert!(
        text.contains("another program") && text.contains("choose another"),
        "{text}"
    );

    let newer = folder.path().join("newer.db");
    drop(harness(&newer, |_| ()));
    let conn = rusqlite::Connection::open(&newer).unwrap();
    conn.execute_batch("PRAGMA user_version = 99").unwrap();
    drop(conn);
    let text = open_error(&newer);
    assert!(
        text.contains("schema 99") && text.contains("update the server"),
        "{text}"
    );

    let damaged = folder.path().join("damaged.db");
    drop(harness(&damaged, |_| ()));
    let mut bytes = std::fs::read(&damaged).unwrap();
    bytes[100..4_000].fill(0xa5);
    std::fs::write(&damaged, bytes).unwrap();
    let text = open_error(&damaged);
    assert!(
        text.contains("damaged") && text.contains("restore a backup"),
        "{text}"
    );

    let nowhere = folder.path().join("no/such/folder.db");
    let text = open_error(&nowhere);
    assert!(text.contains("check that the folder exists"), "{text}");
}

/// Whether `needle` stands anywhere in the store's files.
fn is_in_files(folder: &Path, needle: &[u8]) -> bool {
    std::fs::read_dir(folder).unwrap().any(|file| {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        bytes.windows(needle.len()).any(|part| part == needle)
    })
}

/// A change of a message.
fn change(n: u64, kind: EntryKind, target: u64, rev: u64, text: &str) -> Op {
    let Op::Append(append) = message(n, Some(1), text) else {
        unreachable!()
    };
    let Effect::Entries { entries, .. } = append.effect.clone() else {
        unreachable!()
    };
    let entry = NewEntry {
        kind,
        header: None,
        target: Some((target, rev)),
        ..entries[0].clone()
    };
    Op::Append(Box::new(Append {
        effect: Effect::Entries {
            entries: vec![entry],
            bumps_version: false,
            members: Vec::new(),
            records: Vec::new(),
        },
        ..*append
    }))
}

#[test]
fn recalled_text_leaves_the_log_of_a_store_that_runs_on() {
    let folder = tempfile::tempdir().unwrap();
    let mut harness = harness(&folder.path().join("wipe.db"), |_| ());
    let said = vec![message(1, None, "first"), message(2, Some(1), "marzipan")];
    assert!(harness.run(said).iter().all(is_done));
    assert!(is_in_files(folder.path(), b"marzipan"));
    let recall = change(3, EntryKind::Recall, 2, 2, "");
    assert!(harness.run(vec![recall]).iter().all(is_done));
    let begun = Instant::now();
    while is_in_files(folder.path(), b"marzipan") {
        assert!(begun.elapsed() < Duration::from_secs(20), "it stays");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(is_in_files(folder.path(), b"first"));
}

#[test]
fn recalled_text_is_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let mut harness = harness(&folder.path().join("recall.db"), |_| ());
    // Small ones on shared pages that split, large ones on pages of their own, edited ones.
    let long = "marzipan-".repeat(1_500);
    let mut ops = vec![message(1, None, "first")];
    for n in 2..=400 {
        let text = match n % 4 {
            0 => format!("marzipan-{n}"),
            1 if n % 5 == 0 => long.clone(),
            _ => format!("harmless {n} {}", "y".repeat(n as usize)),
        };
        ops.push(message(n, Some(1), &text));
    }
    assert!(harness.run(ops).iter().all(is_done));
    let edited = harness.run(vec![change(401, EntryKind::Edit, 3, 3, "marzipan, edited")]);
    let Ok(Reply::Appended(Appended::Done(done))) = &edited[0] else {
        panic!("{edited:?}")
    };
    let live: Entry = decode(&done.entries[0].body).unwrap();
    assert_eq!(&live.content[..], b"marzipan, edited");
    harness.reopen();
    assert!(
        is_in_files(folder.path(), b"marzipan"),
        "the test looks in the right place"
    );
    let mut recalls = vec![change(402, EntryKind::Recall, 3, 401, "")];
    for n in (2..=400).filter(|n| n % 4 == 0 || (n % 4 == 1 && n % 5 == 0)) {
        recalls.push(change(1_000 + n, EntryKind::Recall, n, n, ""));
    }
    assert!(harness.run(recalls).iter().all(is_done));
    drop(harness);
    assert!(
        !is_in_files(folder.path(), b"marzipan"),
        "recalled text is left in a file"
    );
    assert!(is_in_files(folder.path(), b"harmless"));
}

#[test]
fn a_damaged_row_fails_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("row.db");
    let mut store = harness(&path, |_| ());
    assert!(
        store
            .run(vec![message(1, None, "one"), message(2, Some(1), "two")])
            .iter()
            .all(is_done)
    );
    drop(store);
    let conn = rusqlite::Connection::open(&path).unwrap();
    conn.execute("UPDATE entries SET body = x'c1c1' WHERE seq = 1", [])
        .unwrap();
    drop(conn);
    let mut store = harness(&path, |_| ());
    let Op::Append(edit) = message(3, Some(1), "edit") else {
        unreachable!()
    };
    let Effect::Entries { mut entries, .. } = edit.effect.clone() else {
        unreachable!()
    };
    entries[0].kind = EntryKind::Edit;
    entries[0].target = Some((1, 1));
    let edit = Op::Append(Box::new(Append {
        effect: Effect::Entries {
            entries,
            bumps_version: false,
            members: Vec::new(),
            records: Vec::new(),
        },
        ..*edit
    }));
    let results = store.run(vec![
        message(4, Some(1), "a"),
        edit.clone(),
        message(5, Some(1), "b"),
        edit,
    ]);
    assert_eq!((sequence(&results[0]), sequence(&results[2])), (3, 4));
    for result in [&results[1], &results[3]] {
        assert!(
            matches!(result, Err(StoreError::Unavailable(text)) if text.contains("damaged")),
            "{result:?}"
        );
    }
}

#[test]
fn over_its_limits_it_is_busy_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = harness(&folder.path().join("busy.db"), |config| {
        config.writes_queued_max = 16;
        config.reads_queued_max = 4;
    });
    assert!(is_done(&store.run(vec![message(1, None, "x")])[0]));
    let results = store.run(messages(2..=5_000).collect());
    let busy = results
        .iter()
        .filter(|result| **result == Err(StoreError::Busy))
        .count();
    assert!(busy > 0, "the queue never filled");
    let done: Vec<u64> = results
        .iter()
        .filter(|result| **result != Err(StoreError::Busy))
        .map(sequence)
        .collect();
    let expected: Vec<u64> = (2..2 + done.len() as u64).collect();
    assert_eq!(done, expected);
    let load = Op::LoadItem {
        conversation: direct(),
        target: Target::Number(1),
    };
    let results = store.run(vec![load; 5_000]);
    assert!(results.contains(&Err(StoreError::Busy)));
    assert!(results.iter().any(Result::is_ok));
    println!("{busy} of 4,999 writes found no room");
}

#[test]
fn the_write_ahead_log_stays_bounded_beside_readers() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = harness(&folder.path().join("wal.db"), |_| ());
    let text = "x".repeat(8_000);
    assert!(is_done(&store.run(vec![message(1, None, &text)])[0]));
    let page = Op::Page {
        user: command(0).user,
        request: PageRequest {
            conversation: direct(),
            anchor: 0,
            number: 0,
            to: 0,
            limit: 50,
            since: 0,
            held: Vec::new(),
        },
    };
    let mut largest = 0;
    for round in 0..40 {
        let from = 2 + round * 300;
        let ops = (from..from + 300).flat_map(|n| [message(n, Some(1), &text), page.clone()]);
        assert!(store.run(ops.collect()).iter().all(Result::is_ok));
        let wal = std::fs::metadata(folder.path().join("wal.db-wal"))
            .unwrap()
            .len();
        largest = largest.max(wal);
    }
    println!("96 MB written, the log was at most {} MiB", largest >> 20);
    assert!(largest < 80 << 20);
    drop(store);
    assert!(!folder.path().join("wal.db-wal").exists(), "closed clean");
}

#[test]
fn forgetting_nonces_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("forget.db");
    let mut store = harness(&path, |_| ());
    assert!(
        store
            .run(vec![message(1, None, "x"), message(2, Some(1), "y")])
            .iter()
            .all(is_done)
    );
    drop(store);
    let mut store = harness(&path, |config| config.forget_nonces = true);
    assert_eq!(
        sequence(&store.run(vec![message(2, Some(1), "y")])[0]),
        3,
        "the fault doubles it"
    );
}

#[test]
fn closing_carries_out_what_was_submitted() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("close.db");
    let (sender, answers) = crossbeam_channel::unbounded();
    let sink: fireside_store::Sink = Arc::new(move |batch: Vec<_>| sender.send(batch).unwrap());
    let store = SqliteStore::open(SqliteConfig::new(&path), sink).unwrap();
    store.submit(0, message(1, None, "x"));
    for (ticket, op) in messages(2..=500).enumerate() {
        store.submit(ticket as u64 + 1, op);
    }
    store.close();
    store.submit(9_999, message(501, Some(1), "late"));
    let results: Vec<_> = answers.try_iter().flatten().collect();
    assert_eq!(results.len(), 501);
    assert!(results[..500].iter().all(|(_, result)| is_done(result)));
    let (ticket, late) = &results[500];
    assert_eq!(*ticket, 9_999);
    assert!(matches!(late, Err(StoreError::Unavailable(_))));
    let mut store = harness(&path, |_| ());
    let again = store.run(vec![message(500, Some(1), "x")]);
    assert!(
        matches!(
            &again[0],
            Ok(Reply::Appended(Appended::Known(Outcome::Done {
                sequence: 500,
                ..
            })))
        ),
        "{again:?}"
    );
}

fn by_bob(n: u64) -> Append {
    let Op::Append(append) = message(n, Some(1), "x") else {
        unreachable!()
    };
    let bob = UserId::new("bob").unwrap();
    let mut append = *append;
    append.command.user = bob.clone();
    if let Effect::Entries { entries, .. } = &mut append.effect {
        entries[0].sender = bob;
    }
    append
}

/// A folder of the first schema is brought forward: what unread is counted from is made of the log.
#[test]
fn a_file_of_the_first_schema_counts_unread_as_before() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("old.db");
    let heads = |harness: &mut StoreHarness| {
        let answers = harness.run(
            ["ann", "bob"]
                .map(|user| Op::Heads {
                    user: UserId::new(user).unwrap(),
                    request: HeadsRequest {
                        since: 0,
                        before_at: 0,
                        before: None,
                        limit: 0,
                        only: Vec::new(),
                    },
                    only: Vec::new(),
                })
                .into(),
        );
        let unread = |answer: Result<Reply, StoreError>| match answer {
            Ok(Reply::Heads(page)) => page.heads[0].unread,
            other => panic!("no heads: {other:?}"),
        };
        answers.into_iter().map(unread).collect::<Vec<_>>()
    };
    let mut store = harness(&path, |_| ());
    let first = message(1, None, "x");
    assert!(store.run(vec![first]).iter().all(is_done));
    assert!(store.run(messages(2..=30).collect()).iter().all(is_done));
    let answer = Op::Append(Box::new(by_bob(31)));
    assert!(store.run(vec![answer]).iter().all(is_done));
    assert!(store.run(messages(32..=70).collect()).iter().all(is_done));
    assert_eq!(heads(&mut store), [0, 39]);
    drop(store);
    let conn = rusqlite::Connection::open(&path).unwrap();
    conn.execute_batch(
        "DROP TABLE senders; DROP TABLE copies; DROP INDEX entries_expiring; ALTER TABLE entries DROP COLUMN expires; \
         ALTER TABLE nonces DROP COLUMN expires; DROP INDEX user_log_drafts; DROP TABLE reports; DROP INDEX blocks_by_blocked; \
         ALTER TABLE users DROP COLUMN receipts_off; DROP INDEX entries_apart; DROP INDEX entries_pinned; DROP INDEX conversations_meetings; \
         DROP INDEX members_banned; DROP TABLE member_names; DROP TABLE links; \
         DROP INDEX conversations_children; \
         ALTER TABLE conversations DROP COLUMN parent; ALTER TABLE conversations DROP COLUMN root; \
         ALTER TABLE conversations DROP COLUMN by_default; \
         ALTER TABLE conversations DROP COLUMN settings; ALTER TABLE conversations DROP COLUMN dissolved; \
         ALTER TABLE members DROP COLUMN asked; ALTER TABLE members DROP COLUMN muted_until; \
         ALTER TABLE members DROP COLUMN banned_by; ALTER TABLE members DROP COLUMN banned_until; \
         ALTER TABLE members DROP COLUMN name_here; ALTER TABLE members DROP COLUMN attributes; \
         ALTER TABLE members DROP COLUMN deleted; ALTER TABLE entries DROP COLUMN audience; DROP TABLE revisions; PRAGMA user_version = 1",
    )
    .unwrap();
    drop(conn);
    let mut store = harness(&path, |_| ());
    assert_eq!(heads(&mut store), [0, 39]);
    // Whoever was a member before there was an index of names is found in it.
    let ask = Op::Members {
        user: UserId::new("ann").unwrap(),
        request: MembersRequest {
            conversation: by_bob(0).conversation,
            after: None,
            limit: 0,
            asked: false,
            prefix: "BO".into(),
        },
    };
    match store.run(vec![ask]).remove(0) {
        Ok(Reply::Members(page)) => assert_eq!(page.members[0].user.as_str(), "bob"),
        other => panic!("no members: {other:?}"),
    }
}
