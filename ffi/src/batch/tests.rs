#![expect(clippy::unwrap_used, reason = "tests")]

use ::fireside_client::core::view::{Body, MessageState, ReadBy};
use fireside_protocol::{Code, ConversationId, Nonce, Role};

use super::*;

fn user(name: &str) -> UserId {
    UserId::new(name).unwrap()
}

fn row(text: &str) -> TimelineRow {
    TimelineRow {
        row: 7,
        sequence: Some(3),
        nonce: Some(Nonce([5; 16])),
        sender: user("ann"),
        at: 11,
        body: Body::Text(text.into()),
        state: MessageState::Received,
        edited: true,
        read_by: ReadBy::default(),
        pinned: false,
        reactions: None,
        details: None,
    }
}

fn text(batch: &Batch, span: fireside_span) -> &str {
    let from = span.offset as usize;
    str::from_utf8(&batch.text[from..from + span.len as usize]).unwrap()
}

#[test]
fn each_change_is_an_event_with_its_rows() {
    let mut batch = Batch::default();
    batch.push(&Event::Timeline {
        conversation: ConversationId([9; 16]),
        generation: 4,
        diffs: vec![
            Diff::Reset {
                rows: vec![row("one"), row("two")].into(),
            },
            Diff::Insert {
                index: 2,
                row: row("three"),
            },
            Diff::Move { from: 2, to: 0 },
            Diff::Remove { index: 1 },
            Diff::Set {
                index: 0,
                row: TimelineRow {
                    body: Body::Role(user("bob"), Role::Admin),
                    state: MessageState::Failed(Code::Forbidden),
                    ..row("")
                },
            },
        ],
    });
    let told: Vec<_> = batch
        .events
        .iter()
        .map(|e| (e.detail, e.index, e.to, e.first, e.count))
        .collect();
    assert_eq!(
        told,
        [
            (c::FIRESIDE_CHANGE_RESET, 0, 0, 0, 2),
            (c::FIRESIDE_CHANGE_INSERT, 2, 0, 2, 1),
            (c::FIRESIDE_CHANGE_MOVE, 2, 0, 3, 0),
            (c::FIRESIDE_CHANGE_REMOVE, 1, 0, 3, 0),
            (c::FIRESIDE_CHANGE_SET, 0, 0, 3, 1),
        ]
    );
    for event in &batch.events {
        assert_eq!(event.kind, c::FIRESIDE_EVENT_TIMELINE);
        assert_eq!((event.conversation.bytes, event.generation), ([9; 16], 4));
    }
    let texts: Vec<_> = batch
        .timeline_rows
        .iter()
        .map(|row| text(&batch, row.text))
        .collect();
    assert_eq!(texts, ["one", "two", "three", ""]);
    let last = batch.timeline_rows[3];
    assert_eq!(text(&batch, last.subject), "bob");
    assert_eq!(
        (last.body, last.role),
        (c::FIRESIDE_BODY_ROLE, c::FIRESIDE_ROLE_ADMIN)
    );
    assert_eq!(
        (last.state, last.status),
        (
            c::FIRESIDE_MESSAGE_FAILED,
            status::FIRESIDE_STATUS_FORBIDDEN
        )
    );
    assert_eq!((last.row, last.sequence, last.edited), (7, 3, 1));
}

#[test]
fn a_batch_is_used_again_and_a_burst_is_given_back() {
    let mut batch = Batch::default();
    let message = |text: &str| Event::MessageReceived {
        conversation: ConversationId([1; 16]),
        sequence: 1,
        sender: user("ann"),
        text: Some(text.into()),
        at: 2,
    };
    for _ in 0..100 {
        batch.push(&message("hello"));
    }
    let (events, bytes) = (batch.events.capacity(), batch.text.capacity());
    batch.clear();
    assert_eq!(batch.len(), 0);
    for _ in 0..100 {
        batch.push(&message("again"));
    }
    assert_eq!(
        (batch.events.capacity(), batch.text.capacity()),
        (events, bytes)
    );
    assert_eq!(text(&batch, batch.events[99].text), "again");
    for _ in 0..10_000 {
        batch.push(&message(&"x".repeat(200)));
    }
    batch.clear();
    assert!(batch.events.capacity() <= KEPT_ELEMENTS_MAX);
    assert!(batch.text.capacity() <= KEPT_TEXT_BYTES_MAX);
}

#[test]
fn codes_that_only_this_library_may_say_are_not_taken_from_a_server() {
    let mut batch = Batch::default();
    for number in [0, 1, 127] {
        let code = Code::Unknown(number);
        batch.push(&Event::Completed {
            request: 1,
            result: Err(CallError {
                code,
                text: String::new(),
                retry_after_ms: 0,
            }),
        });
    }
    for event in &batch.events {
        assert_eq!(event.status, status::FIRESIDE_STATUS_BAD_BODY);
    }
    // A newer server's code keeps its number.
    batch.push(&Event::Completed {
        request: 1,
        result: Err(CallError {
            code: Code::Unknown(999),
            text: "new".to_owned(),
            retry_after_ms: 5,
        }),
    });
    let last = batch.events.last().unwrap();
    assert_eq!((last.status, last.delay_ms), (999, 5));
}

#[test]
fn reactions_of_rows_lie_in_arrays_of_their_own() {
    let reaction = |key: &str, mine, users: &[&str]| ReactionRow {
        key: key.into(),
        mine,
        users: users.iter().map(|name| user(name)).collect(),
    };
    let marked = |all: Vec<ReactionRow>| TimelineRow {
        pinned: true,
        reactions: Some(all.into()),
        ..row("gg")
    };
    let rows = vec![
        marked(vec![
            reaction("👍", true, &["ann", "bob"]),
            reaction("gg", false, &["bob"]),
        ]),
        row("plain"),
        marked(vec![reaction("🎉", false, &["cyd"])]),
    ];
    let mut batch = Batch::default();
    batch.push(&Event::Completed {
        request: 3,
        result: Ok(Completion::Pins { rows, more: true }),
    });
    let event = &batch.events[0];
    assert_eq!(
        (event.detail, event.first, event.count, event.flag),
        (c::FIRESIDE_RESULT_PINS, 0, 3, 1)
    );
    let told: Vec<_> = (batch.timeline_rows.iter())
        .map(|row| (row.pinned, row.reaction_first, row.reaction_count))
        .collect();
    assert_eq!(told, [(1, 0, 2), (0, 0, 0), (1, 2, 1)]);
    let shown: Vec<_> = (batch.reactions.iter())
        .map(|one| {
            let users = one.user_first as usize..(one.user_first + one.user_count) as usize;
            let users = &batch.reaction_users[users];
            let names: Vec<_> = users.iter().map(|span| text(&batch, *span)).collect();
            format!("{} {} {}", text(&batch, one.key), names.join("+"), one.mine)
        })
        .collect();
    assert_eq!(shown, ["👍 ann+bob 1", "gg bob 0", "🎉 cyd 0"]);
    batch.clear();
    assert!(batch.reactions.is_empty() && batch.reaction_users.is_empty());
}

#[test]
fn who_writes_in_a_burst_is_laid_out_once() {
    let mut batch = Batch::default();
    let people: Vec<UserId> = (0..3 * USERS_KNOWN_MAX)
        .map(|n| user(&format!("user-{n}")))
        .collect();
    let message = |sender: &UserId| Event::MessageReceived {
        conversation: ConversationId([9; 16]),
        sequence: 1,
        sender: sender.clone(),
        text: None,
        at: 0,
    };
    for _ in 0..2 {
        for _ in 0..50 {
            batch.push(&message(&people[0]));
            batch.push(&message(&people[1]));
        }
        assert_eq!(batch.text, b"user-0user-1");
        // Another one of the same name in another place is somebody who was not laid out yet, and more than are known are right too.
        batch.push(&message(&user("user-0")));
        people
            .iter()
            .for_each(|sender| batch.push(&message(sender)));
        people
            .iter()
            .for_each(|sender| batch.push(&message(sender)));
        let names: Vec<&str> = batch
            .events
            .iter()
            .map(|event| text(&batch, event.user))
            .collect();
        let (burst, rest) = names.split_at(100);
        assert!(burst.chunks(2).all(|pair| pair == ["user-0", "user-1"]));
        assert_eq!(rest[0], "user-0");
        let expected: Vec<&str> = people.iter().chain(&people).map(UserId::as_str).collect();
        assert_eq!(rest[1..], expected);
        batch.clear();
        assert!(batch.users.is_empty());
    }
}
