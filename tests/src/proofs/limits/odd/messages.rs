//! Numbers and kinds that there are not.

use fireside_protocol::{
    Code, Content, MessageKind, UserId,
    content::TextContent,
    frames::{ClosePoll, CreateGroup, Edit, Forward, RevisionsRequest, SetLive},
    personal::ReadersRequest,
};

use super::{
    Odd,
    make::{
        answer, create, delete, edit, friend, kind, pin, plain_create, plain_edit, presence, react,
        recall, report, says, vote,
    },
};
use crate::proofs::limits::{
    sizes::{custom, line_card, poll, text},
    stage::send,
};

pub(super) const ODD: &[Odd] = &[
    // --- numbers
    (
        "an edit of a number that is not there",
        "ann",
        Code::NotFound,
        |it| edit(it, 999),
    ),
    (
        "an edit of an entry that is no message",
        "ann",
        Code::NotFound,
        |it| edit(it, it.entry),
    ),
    (
        "an edit of the largest number",
        "ann",
        Code::NotFound,
        |it| edit(it, u64::MAX),
    ),
    ("an edit of nothing", "ann", Code::ArgumentInvalid, |it| {
        edit(it, 0)
    }),
    ("an edit by another", "bob", Code::Forbidden, |it| {
        edit(it, it.said)
    }),
    ("an edit of a poll", "ann", Code::ContentInvalid, |it| {
        edit(it, it.poll)
    }),
    ("an edit without text", "ann", Code::TextEmpty, |it| {
        Edit {
            content: text(" \n ").encode(),
            ..plain_edit(it, it.said)
        }
        .into()
    }),
    (
        "a recall of a number that is not there",
        "ann",
        Code::NotFound,
        |it| recall(it, 999),
    ),
    (
        "a recall of another's message",
        "bob",
        Code::Forbidden,
        |it| recall(it, it.said),
    ),
    (
        "a reaction to an entry that is no message",
        "ann",
        Code::NotFound,
        |it| react(it, it.entry, "gg"),
    ),
    (
        "a reaction with nothing",
        "ann",
        Code::ArgumentInvalid,
        |it| react(it, it.said, ""),
    ),
    (
        "a reaction with white space",
        "ann",
        Code::ArgumentInvalid,
        |it| react(it, it.said, "g g"),
    ),
    (
        "a reaction that turns the text around",
        "ann",
        Code::ArgumentInvalid,
        |it| react(it, it.said, "\u{202e}gg"),
    ),
    (
        "a pin of a number that is not there",
        "ann",
        Code::NotFound,
        |it| pin(it, 999),
    ),
    ("a pin by who may not", "bob", Code::Forbidden, |it| {
        pin(it, it.said)
    }),
    (
        "a vote in what is no poll",
        "ann",
        Code::KindUnsupported,
        |it| vote(it, it.said, &[0]),
    ),
    (
        "a vote for an option that is not there",
        "ann",
        Code::ArgumentInvalid,
        |it| vote(it, it.poll, &[3]),
    ),
    (
        "a vote for the largest option",
        "ann",
        Code::ArgumentInvalid,
        |it| vote(it, it.poll, &[u32::MAX]),
    ),
    (
        "a vote for one option twice",
        "ann",
        Code::ArgumentInvalid,
        |it| vote(it, it.poll, &[1, 1]),
    ),
    (
        "a vote for too many options",
        "ann",
        Code::ArgumentInvalid,
        |it| vote(it, it.poll, &[0, 1, 2]),
    ),
    (
        "the end of a poll by who did not ask",
        "bob",
        Code::Forbidden,
        |it| {
            ClosePoll {
                nonce: it.nonce,
                after: None,
                conversation: it.group,
                target: it.poll,
                target_nonce: None,
            }
            .into()
        },
    ),
    (
        "a state of what is no live object",
        "ann",
        Code::KindUnsupported,
        |it| {
            SetLive {
                nonce: it.nonce,
                after: None,
                conversation: it.group,
                target: it.said,
                target_nonce: None,
                state: Box::new(custom(1, 1)),
            }
            .into()
        },
    ),
    (
        "an answer to what is no card",
        "bob",
        Code::KindUnsupported,
        |it| answer(it, it.said, "line"),
    ),
    (
        "an answer with an element that is not there",
        "bob",
        Code::ContentInvalid,
        |it| answer(it, it.card, "name"),
    ),
    (
        "a deletion of a number that is not there",
        "ann",
        Code::ArgumentInvalid,
        |it| delete(it, 0, vec![999]),
    ),
    (
        "a deletion of number 0",
        "ann",
        Code::ArgumentInvalid,
        |it| delete(it, 0, vec![0]),
    ),
    (
        "a deletion of nothing",
        "ann",
        Code::ArgumentInvalid,
        |it| delete(it, 0, Vec::new()),
    ),
    (
        "a report of a number that is not there",
        "bob",
        Code::NotFound,
        |it| report(it, Some(it.group), 999, None, 1),
    ),
    ("a report of nothing", "bob", Code::ArgumentInvalid, |it| {
        report(it, Some(it.group), 0, None, 1)
    }),
    (
        "a report for an unknown reason",
        "bob",
        Code::ArgumentInvalid,
        |it| report(it, Some(it.group), it.said, None, 99),
    ),
    (
        "revisions for who may not see them",
        "bob",
        Code::Forbidden,
        |it| {
            RevisionsRequest {
                conversation: it.group,
                target: it.said,
                after: 0,
            }
            .into()
        },
    ),
    (
        "readers of a number that is not there",
        "ann",
        Code::NotFound,
        |it| {
            ReadersRequest {
                conversation: it.group,
                sequence: 999,
            }
            .into()
        },
    ),
    (
        "a poll that is forwarded",
        "ann",
        Code::NotForwardable,
        |it| {
            Forward {
                nonce: it.nonce,
                conversation: it.group,
                peer: None,
                from: it.group,
                numbers: vec![it.poll],
                merged: false,
                title: String::new(),
            }
            .into()
        },
    ),
    ("a message that is over", "ann", Code::MessageOver, |it| {
        let mut send = send(it.nonce, it.group, &text("gg"));
        send.header.expires = 1;
        send.into()
    }),
    // --- kinds
    (
        "a message of an unknown kind",
        "ann",
        Code::KindUnsupported,
        |it| kind(it, 99),
    ),
    ("an encrypted message", "ann", Code::KindUnsupported, |it| {
        kind(it, 900)
    }),
    (
        "a message of the game's",
        "ann",
        Code::KindUnsupported,
        |it| kind(it, 10),
    ),
    ("a text that is a poll", "ann", Code::ContentInvalid, |it| {
        let mut send = send(it.nonce, it.group, &Content::Poll(poll(2, 1)));
        send.header.kind = MessageKind::Text;
        send.into()
    }),
    ("a text of nothing", "ann", Code::TextEmpty, |it| {
        says(it, &text(""))
    }),
    ("a text of white space", "ann", Code::TextEmpty, |it| {
        says(it, &text("\u{3000}\n\t "))
    }),
    ("a text with a bell", "ann", Code::ContentInvalid, |it| {
        says(it, &text("ding\u{7}"))
    }),
    (
        "bytes that are no content",
        "ann",
        Code::ContentInvalid,
        |it| {
            let mut send = send(it.nonce, it.group, &text("gg"));
            send.content = b"\x93\x01\x02".as_slice().into();
            send.into()
        },
    ),
    (
        "bytes behind the content",
        "ann",
        Code::ContentInvalid,
        |it| {
            let mut send = send(it.nonce, it.group, &text("gg"));
            send.content = [&*send.content, b"\xc0"].concat().into();
            send.into()
        },
    ),
    ("an unknown priority", "ann", Code::ArgumentInvalid, |it| {
        let mut send = send(it.nonce, it.group, &text("gg"));
        send.header.priority = 3;
        send.into()
    }),
    (
        "a poll with one option twice",
        "ann",
        Code::ContentInvalid,
        |it| {
            let mut poll = poll(2, 1);
            poll.options = vec!["yes".to_owned(), "yes".to_owned()];
            says(it, &Content::Poll(poll))
        },
    ),
    (
        "a mention that the header does not name",
        "ann",
        Code::ContentInvalid,
        |it| {
            says(
                it,
                &Content::Text(TextContent {
                    text: "@bob".to_owned(),
                    spans: vec![fireside_protocol::content::Span {
                        kind: fireside_protocol::content::SpanKind::Mention,
                        start: 0,
                        length: 4,
                        user: UserId::new("bob").ok(),
                        value: String::new(),
                        item: None,
                    }],
                }),
            )
        },
    ),
    (
        "a card by who may not send one",
        "bob",
        Code::Forbidden,
        |it| says(it, &line_card()),
    ),
    (
        "a conversation of an unknown kind",
        "ann",
        Code::ArgumentInvalid,
        |it| create(it, Some(99), None, 0),
    ),
    (
        "a direct conversation that is made",
        "ann",
        Code::ArgumentInvalid,
        |it| create(it, Some(1), None, 0),
    ),
    (
        "a live conversation, which this server does not have",
        "ann",
        Code::ArgumentInvalid,
        |it| create(it, Some(5), None, 0),
    ),
    ("an unknown way in", "ann", Code::ArgumentInvalid, |it| {
        create(it, Some(3), Some(99), 0)
    }),
    ("a group that is open", "ann", Code::ArgumentInvalid, |it| {
        create(it, Some(2), Some(3), 0)
    }),
    ("a group that ends", "ann", Code::ArgumentInvalid, |it| {
        create(it, None, None, u64::MAX)
    }),
    (
        "a meeting that is over",
        "ann",
        Code::ArgumentInvalid,
        |it| create(it, Some(4), None, 1),
    ),
    ("a group without a name", "ann", Code::NameInvalid, |it| {
        CreateGroup {
            nonce: it.nonce,
            name: " ".into(),
            ..plain_create(it)
        }
        .into()
    }),
    (
        "a group whose name turns around",
        "ann",
        Code::NameInvalid,
        |it| {
            CreateGroup {
                nonce: it.nonce,
                name: "\u{202e}raid".into(),
                ..plain_create(it)
            }
            .into()
        },
    ),
    (
        "an unknown state of presence",
        "ann",
        Code::ArgumentInvalid,
        |_| presence(99),
    ),
    (
        "presence that is offline",
        "ann",
        Code::ArgumentInvalid,
        |_| presence(5),
    ),
    (
        "a friend by an unknown action",
        "ann",
        Code::ArgumentInvalid,
        |it| friend(it, "bob", 99),
    ),
];
