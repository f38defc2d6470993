#![expect(clippy::unwrap_used, reason = "tests")]
// What was pushed into a batch is kept by the test as the client keeps it until the next tick.

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

/// What the C side reads.
fn text(lent: &fireside_str) -> &str {
    if lent.len == 0 {
        assert!(lent.data.is_null());
        return "";
    }
    // SAFETY: what was pushed into the batch is still there, as after a tick.
    let bytes = unsafe { std::slice::from_raw_parts(lent.data.cast(), lent.len) };
    str::from_utf8(bytes).unwrap()
}

#[test]
fn each_change_is_an_event_with_its_rows() {
    let mut batch = Batch::default();
    let event = Event::Timeline {
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
    };
    batch.push(&event);
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
        .map(|row| text(&row.text))
        .collect();
    assert_eq!(texts, ["one", "two", "three", ""]);
    let last = batch.timeline_rows[3];
    assert_eq!(text(&last.subject), "bob");
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
    let (hello, again) = (message("hello"), message("again"));
    let typing = Event::Typing {
        conversation: ConversationId([1; 16]),
        user: user("ann"),
        on: true,
    };
    for _ in 0..100 {
        batch.push(&hello);
        batch.push(&typing);
    }
    let room = (batch.events.capacity(), batch.messages.capacity());
    batch.clear();
    assert_eq!((batch.len(), batch.messages.len()), (0, 0));
    for _ in 0..100 {
        batch.push(&again);
        batch.push(&typing);
    }
    assert_eq!(
        (batch.events.capacity(), batch.messages.capacity()),
        room,
        "nothing is allocated again"
    );
    assert_eq!(text(&batch.messages[99].text), "again");
    for _ in 0..10_000 {
        batch.push(&hello);
        batch.push(&typing);
    }
    batch.clear();
    assert!(batch.events.capacity() <= KEPT_ELEMENTS_MAX);
    assert!(batch.messages.capacity() <= KEPT_ELEMENTS_MAX);
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
    let event = Event::Completed {
        request: 3,
        result: Ok(Completion::Pins { rows, more: true }),
    };
    batch.push(&event);
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
            let names: Vec<_> = users.iter().map(|span| text(span)).collect();
            format!("{} {} {}", text(&one.key), names.join("+"), one.mine)
        })
        .collect();
    assert_eq!(shown, ["👍 ann+bob 1", "gg bob 0", "🎉 cyd 0"]);
    batch.clear();
    assert!(batch.reactions.is_empty() && batch.reaction_users.is_empty());
}

#[test]
fn messages_that_follow_each_other_are_one_event_and_their_texts_stay_where_they_are() {
    let message = |n: u64, text: Option<&str>| Event::MessageReceived {
        conversation: ConversationId([n as u8; 16]),
        sequence: n,
        sender: user(&format!("user-{n}")),
        text: text.map(Into::into),
        at: 10 * n,
    };
    let events = [
        message(1, Some("one")),
        message(2, None),
        Event::Missed { count: 3 },
        message(6, Some("six")),
    ];
    let mut batch = Batch::default();
    events.iter().for_each(|event| batch.push(event));
    let told: Vec<_> = (batch.events.iter())
        .map(|event| (event.kind, event.first, event.count))
        .collect();
    let received = c::FIRESIDE_EVENT_MESSAGE_RECEIVED;
    let missed = c::FIRESIDE_EVENT_MISSED;
    assert_eq!(told, [(received, 0, 2), (missed, 0, 3), (received, 2, 1)]);
    let shown: Vec<_> = (batch.messages.iter())
        .map(|row| (row.sequence, row.at_ms, text(&row.sender), text(&row.text)))
        .collect();
    assert_eq!(
        shown,
        [
            (1, 10, "user-1", "one"),
            (2, 20, "user-2", ""),
            (6, 60, "user-6", "six")
        ]
    );
    let Event::MessageReceived { text, .. } = &events[0] else {
        unreachable!()
    };
    let original = text.as_ref().unwrap().as_ptr();
    assert_eq!(batch.messages[0].text.data.cast(), original, "not copied");
    assert_eq!(batch.messages[2].conversation.bytes, [6; 16]);
    let view = batch.view();
    assert_eq!(view.message_count, 3);
    assert_eq!(view.messages, batch.messages.as_ptr());
}

#[test]
fn what_the_batch_alone_has_stays_until_it_is_cleared() {
    let mut batch = Batch::default();
    let found = |n: u64| Found {
        conversation: ConversationId([1; 16]),
        sequence: n,
        sender: user("ann"),
        text: format!("found {n}").into(),
        at: n,
    };
    for n in 0..100 {
        batch.found(n, vec![found(2 * n), found(2 * n + 1)]);
        batch.search_failed(n, 5, format!("failed {n}"));
    }
    for (n, row) in batch.found.iter().enumerate() {
        assert_eq!(text(&row.text), format!("found {n}"));
        assert_eq!(text(&row.sender), "ann");
    }
    for (n, event) in batch.events.iter().enumerate() {
        let (begin, rest) = (n / 2, n % 2);
        if rest == 0 {
            assert_eq!((event.first, event.count), (2 * begin as u32, 2));
        } else {
            assert_eq!(text(&event.text), format!("failed {begin}"));
        }
    }
    batch.clear();
    assert!(batch.answers.is_empty() && batch.made.is_empty() && batch.found.is_empty());
}
