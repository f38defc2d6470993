#![expect(clippy::unwrap_used, reason = "tests")]

use fireside_client_core::{
    NewMessage,
    command::{MessageRef, Recipient},
    view::{Diff, ReactionRow, ReadBy},
};
use fireside_protocol::{Content, Role};
use ratatui::{Terminal, backend::TestBackend};
use unicode_width::UnicodeWidthStr;

use super::*;
use crate::chat::{clock::LocalClock, draw, words::Line};

const NOW: u64 = 1_795_415_825_000;

fn id(name: &str) -> UserId {
    UserId::new(name).unwrap()
}

fn app() -> App {
    App::new(id("me"), Instant::now())
}

fn listed(peer: &str, unread: u32) -> ConversationRow {
    ConversationRow {
        parent: None,
        root: 0,
        conversation: ConversationId::direct(&id("me"), &id(peer)),
        kind: ConversationKind::Direct,
        name: peer.into(),
        peer: Some(id(peer)),
        role: Some(Role::Member),
        unread,
        mentions: 0,
        last_sender: Some(id(peer)),
        preview: "公会战今晚八点".into(),
        at: NOW,
        last: 20,
        capabilities: 0,
        frozen: false,
        slow_mode_ms: 0,
        muted_until: 0,
        picture: "".into(),
        personal: Default::default(),
        draft: None,
    }
}

fn message(row: u64, sender: &str, text: &str, state: MessageState) -> TimelineRow {
    let sequence = (state != MessageState::Sending).then_some(row);
    TimelineRow {
        row,
        sequence,
        nonce: None,
        sender: id(sender),
        at: NOW + row * 1_000,
        body: Body::Text(text.into()),
        state,
        edited: false,
        read_by: ReadBy::default(),
        pinned: false,
        reactions: None,
        details: None,
    }
}

fn list(app: &mut App, rows: &[ConversationRow]) {
    app.event(Event::Conversations {
        generation: 1,
        diffs: vec![Diff::Reset { rows: rows.into() }],
    });
}

fn timeline(app: &mut App, rows: &[TimelineRow]) {
    let conversation = app.selected.unwrap();
    app.event(Event::Timeline {
        conversation,
        generation: 1,
        diffs: vec![Diff::Reset { rows: rows.into() }],
    });
}

fn screen(app: &mut App, width: u16, height: u16) -> Vec<String> {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal
        .draw(|frame| draw::draw(frame, app, &LocalClock::default()))
        .unwrap();
    let buffer = terminal.backend().buffer().clone();
    (0..height)
        .map(|y| {
            let mut line = String::new();
            let mut x = 0;
            while x < width {
                let symbol = buffer[(x, y)].symbol();
                line.push_str(symbol);
                x += symbol.width().max(1) as u16;
            }
            line
        })
        .collect()
}

fn type_line(app: &mut App, text: &str) -> Vec<Command> {
    app.input.insert(text);
    app.submit();
    app.take_commands()
        .into_iter()
        .map(|(command, _)| command)
        .collect()
}

fn busy(app: &mut App) {
    let mut group = listed("raid", 1_000);
    group.conversation = ConversationId([9; 16]);
    group.kind = ConversationKind::Group;
    group.name = "公会 👨‍👩‍👧 raid group with a very long name".into();
    list(app, &[listed("bob", 0), group, listed("e\u{301}va", 3)]);
    let mut rows = vec![
        message(1, "bob", "short", MessageState::Received),
        message(
            2,
            "bob",
            "公会战今晚八点开始,大家准时到,不要迟到 👍🏽 e\u{301}e\u{301}",
            MessageState::Received,
        ),
        message(
            3,
            "me",
            &"a long line of words ".repeat(12),
            MessageState::Read,
        ),
        message(4, "me", "delivered", MessageState::Delivered),
        message(5, "me", "\u{1b}[31mhostile\u{202e}", MessageState::Sent),
        message(6, "me", "no", MessageState::Failed(Code::Rejected)),
        message(7, "me", "waits", MessageState::Sending),
    ];
    rows[1].edited = true;
    rows[1].pinned = true;
    let reaction = |key: &str, mine, users: &[&str]| ReactionRow {
        key: key.into(),
        mine,
        users: users.iter().map(|name| id(name)).collect(),
    };
    rows[1].reactions = Some(std::sync::Arc::new([
        reaction("👍", true, &["anna", "bob", "cleo"]),
        reaction("gg", false, &["bob"]),
    ]));
    rows.insert(
        2,
        TimelineRow {
            body: Body::Hole,
            ..message(8, "bob", "", MessageState::Received)
        },
    );
    rows.insert(
        0,
        TimelineRow {
            body: Body::Joined(id("bob")),
            ..message(9, "bob", "", MessageState::Received)
        },
    );
    timeline(app, &rows);
    app.event(Event::Typing {
        conversation: app.selected.unwrap(),
        user: id("bob"),
        on: true,
    });
    app.event(Event::State(ConnectionState::Reconnecting {
        attempt: 3,
        next_in_ms: 4_000,
    }));
}

#[test]
fn draws_at_every_size() {
    for (width, height) in [
        (40, 12),
        (80, 24),
        (200, 60),
        (10, 4),
        (1, 1),
        (64, 10),
        (65, 5),
        (30, 100),
    ] {
        let mut app = app();
        screen(&mut app, width, height);
        busy(&mut app);
        for popup in [false, true] {
            if popup {
                app.run(Line::Help);
            }
            for show_list in [false, true] {
                app.show_list = show_list;
                for line in screen(&mut app, width, height) {
                    assert_eq!(
                        line.width(),
                        usize::from(width),
                        "{width}x{height}: {line:?}"
                    );
                }
            }
        }
    }
}

#[test]
fn a_small_screen_shows_what_matters() {
    let mut app = app();
    busy(&mut app);
    let shown = screen(&mut app, 40, 12).join("\n");
    for expected in [
        "bob",
        "no",
        "not sent",
        "waits",
        "…",
        "✗",
        "try 3 in",
        "›",
        "is typing",
        "unread (Ctrl-L)",
    ] {
        assert!(shown.contains(expected), "{expected} is not in\n{shown}");
    }
    app.show_list = true;
    let shown = screen(&mut app, 40, 12).join("\n");
    for expected in ["Conversations", "公会", "999+", " 3 "] {
        assert!(shown.contains(expected), "{expected} is not in\n{shown}");
    }
}

#[test]
fn what_can_not_be_sent_stays_in_the_input_line() {
    let mut app = app();
    list(&mut app, &[listed("bob", 0)]);
    app.take_commands();
    for (text, code) in [
        ("x".repeat(4_001), Code::TextTooLong),
        (format!("/w bob {}", "x".repeat(4_001)), Code::TextTooLong),
        (format!("/group {} bob", "x".repeat(65)), Code::NameInvalid),
    ] {
        assert!(type_line(&mut app, &text).is_empty());
        assert_eq!(app.input.text(), text);
        assert_eq!(app.notice().map(|notice| notice.0), Some(code.text()));
        app.input.submit();
    }
}

#[test]
fn what_to_do_stands_in_the_status_line_whatever_the_names_are() {
    let mut app = app();
    app.event(Event::State(ConnectionState::Connected));
    app.event(Event::Invited {
        conversation: ConversationId::default(),
        by: id(&"很长的名字".repeat(4)),
        name: "The long guild of dragons & knights of the north".into(),
    });
    let status = screen(&mut app, 80, 24).pop().unwrap();
    assert!(status.contains("invites you: /join The long"), "{status}");
    // The longest words of a refusal are read to their end.
    let longest = Code::ALL
        .iter()
        .map(|code| code.text())
        .max_by_key(|text| text.len());
    app.say(longest.unwrap().to_owned(), Tone::Bad);
    let status = screen(&mut app, 110, 24).pop().unwrap();
    assert!(status.contains(longest.unwrap()), "{status}");
}

#[test]
fn a_large_screen_shows_both() {
    let mut app = app();
    busy(&mut app);
    let shown = screen(&mut app, 200, 60).join("\n");
    for expected in [
        "Conversations",
        "999+",
        "公会战今晚八点开始",
        "✓✓",
        "(edited, pinned)",
        "👍 3",
        "gg 1",
        "bob joined",
        "being loaded",
        "[31mhostile",
        "Today",
    ] {
        // The test's clock is UTC of another day.
        assert!(
            shown.contains(expected) || expected == "Today",
            "{expected} is not in\n{shown}"
        );
    }
    assert!(!shown.contains('\u{202e}') && !shown.contains('\u{1b}'));
}

#[test]
fn empty_states_say_what_to_do() {
    let mut app = app();
    let shown = screen(&mut app, 80, 24).join("\n");
    assert!(
        shown.contains("/w name hello") && shown.contains("offline"),
        "{shown}"
    );
    list(&mut app, &[listed("bob", 0)]);
    assert!(screen(&mut app, 80, 24).join("\n").contains("Loading"));
    timeline(&mut app, &[]);
    assert!(screen(&mut app, 80, 24).join("\n").contains("Say hello"));
}

#[test]
fn whispering_opens_and_sends() {
    let mut app = app();
    let direct = ConversationId::direct(&id("me"), &id("bob"));
    let commands = type_line(&mut app, "/w bob hi");
    assert_eq!(
        commands,
        [
            Command::SendText {
                to: Recipient::User(id("bob")),
                text: "hi".to_owned()
            },
            Command::Open {
                conversation: direct
            },
        ]
    );
    // Not in the list yet: still to the user.
    assert_eq!(
        type_line(&mut app, "more"),
        [Command::Send {
            to: Recipient::User(id("bob")),
            message: Box::new(NewMessage::new(Content::Text(TextContent::plain("more")))),
        }]
    );
    assert!(type_line(&mut app, "/w me hi").is_empty());
    assert!(type_line(&mut app, "/nonsense").is_empty());
    assert_eq!(
        app.input.text(),
        "/nonsense",
        "a line that is not understood can be corrected"
    );
}

#[test]
fn scrolling_loads_older_and_stays_where_it_is() {
    let mut app = app();
    list(&mut app, &[listed("bob", 0)]);
    let rows: Vec<TimelineRow> = (1..=50)
        .map(|n| {
            message(
                n,
                if n % 2 == 0 { "bob" } else { "cy" },
                &format!("line {n}"),
                MessageState::Received,
            )
        })
        .collect();
    timeline(&mut app, &rows);
    app.take_commands();
    assert!(screen(&mut app, 80, 24).join("\n").contains("line 50"));
    for _ in 0..30 {
        app.scroll(Move::PageUp);
        screen(&mut app, 80, 24);
    }
    let older: Vec<Command> = app
        .take_commands()
        .into_iter()
        .map(|(command, _)| command)
        .collect();
    let conversation = app.selected.unwrap();
    assert_eq!(
        older,
        [Command::LoadOlder {
            conversation,
            count: OLDER_COUNT
        }],
        "asked for once"
    );
    let top = screen(&mut app, 80, 24);
    assert!(top.join("\n").contains("line 1 "));
    let mut more: Vec<TimelineRow> = (0..30)
        .map(|n| TimelineRow {
            row: 100 + n,
            ..message(1, "bob", &format!("older {n}"), MessageState::Received)
        })
        .collect();
    more.extend(rows.clone());
    more.push(message(51, "bob", "newest", MessageState::Received));
    timeline(&mut app, &more);
    assert!(
        app.take_commands().is_empty(),
        "not read while it is not in sight"
    );
    let after = screen(&mut app, 80, 24).join("\n");
    assert!(
        after.contains("line 2") && !after.contains("newest"),
        "{after}"
    );
    app.escape();
    assert!(screen(&mut app, 80, 24).join("\n").contains("newest"));
    assert!(
        app.take_commands()
            .iter()
            .any(|(command, _)| matches!(command, Command::MarkRead { upto: 51, .. }))
    );
}

#[test]
fn tab_goes_round() {
    let mut app = app();
    list(&mut app, &[listed("bob", 0), listed("bo", 0)]);
    app.input.insert("/w b");
    for expected in ["/w bo ", "/w bob ", "/w bo "] {
        app.complete();
        assert_eq!(app.input.text(), expected);
    }
    app.input.submit();
    app.edited();
    app.input.insert("/gro");
    app.complete();
    assert_eq!(app.input.text(), "/group ");
}

#[test]
fn invitations_and_errors_are_said() {
    let mut app = app();
    let conversation = ConversationId([5; 16]);
    app.event(Event::Invited {
        conversation,
        by: id("bob"),
        name: "Night raid".to_owned(),
    });
    assert!(
        screen(&mut app, 80, 24)
            .join("\n")
            .contains("bob → Night raid")
    );
    assert_eq!(
        type_line(&mut app, "/join Night raid")[0],
        Command::Join { conversation }
    );
    app.sent(7, Why::Quiet);
    app.event(Event::Completed {
        request: 7,
        result: Err(CallError {
            code: Code::Forbidden,
            text: String::new(),
            retry_after_ms: 0,
        }),
    });
    assert_eq!(app.notice(), Some((Code::Forbidden.text(), Tone::Bad)));
    app.time(Instant::now() + NOTICE_TIME * 2);
    assert_eq!(app.notice(), None);
}

#[test]
fn edits_and_recalls_the_last_own_message() {
    let mut app = app();
    list(&mut app, &[listed("bob", 0)]);
    let conversation = app.selected.unwrap();
    timeline(
        &mut app,
        &[
            message(1, "me", "mine", MessageState::Sent),
            message(2, "bob", "his", MessageState::Received),
        ],
    );
    app.take_commands();
    let message_1 = MessageRef::Sequence(1);
    assert_eq!(
        type_line(&mut app, "/edit better"),
        [Command::EditText {
            conversation,
            message: message_1,
            text: "better".to_owned()
        }]
    );
    assert_eq!(
        type_line(&mut app, "/recall"),
        [Command::Recall {
            conversation,
            message: message_1
        }]
    );
}
