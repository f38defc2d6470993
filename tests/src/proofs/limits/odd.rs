//! What there is not: unknown users, kinds, roles, numbers, conversations. And what one may not know to be there.

use anyhow::{Result, ensure};
use fireside_protocol::{
    ClientFrame, Code, Content, ConversationId, ConversationKind, FolderId, FriendAction,
    JoinPolicy, LinkCode, MessageKind, Nonce, Permission, Personal, PresenceState, ReportReason,
    Role, ServerFrame, Settings, UserId,
    content::{AnswerValue, TextContent},
    frames::{
        Answer, AnswerRequest, Ban, BansRequest, Block, ClosePoll, CreateGroup, CreateLink, Delete,
        Delivered, Dissolve, Edit, Invite, Join, Leave, LinksRequest, MembersRequest, Mute, Pin,
        PinsRequest, React, Read, Recall, RemoveMember, RevisionsRequest, RevokeLink,
        SetConversation, SetLive, SetMember, SetRole, Vote,
    },
    personal::{Friend, ReadersRequest, SetDraft, SetFolder, SetPersonal},
    presence::SetPresence,
    report::Report,
};

use super::{
    pages::page_request,
    sizes::{custom, line_card, poll, text},
    stage::{Stage, send},
};

/// Tries all of them; how many refusals there were, and how many answers that must be alike.
pub(super) async fn run(stage: &mut Stage) -> Result<(usize, usize)> {
    let refused = refusals(stage).await?;
    let alike = secrets(stage).await?;
    Ok((refused, alike))
}

/// What a request is made of.
struct Place {
    nonce: Nonce,
    group: ConversationId,
    said: u64,
    /// An entry that is no message.
    entry: u64,
    poll: u64,
    card: u64,
}

type Odd = (&'static str, &'static str, Code, fn(&Place) -> ClientFrame);

async fn refusals(stage: &mut Stage) -> Result<usize> {
    let group = stage.group("ann", &["bob", "cyd"]).await?;
    let mut place = Place {
        nonce: stage.nonce(),
        group,
        said: stage.says("ann", group, &text("gg")).await?,
        entry: 1,
        poll: stage.says("ann", group, &Content::Poll(poll(3, 2))).await?,
        card: stage.says("ann", group, &line_card()).await?,
    };
    let mut wrong = Vec::new();
    for (what, by, code, make) in ODD {
        place.nonce = stage.nonce();
        let frame = make(&place);
        if let Err(error) = stage.refused(by, frame, *code).await {
            wrong.push(format!("{what}: {error:#}"));
        }
    }
    ensure!(
        wrong.is_empty(),
        "{} odd requests:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    // Repeated, a refusal for good is the same; and another use of its name is a repeat.
    let nonce = stage.nonce();
    let far = |upto| Edit {
        nonce,
        after: None,
        conversation: group,
        target: upto,
        target_nonce: None,
        seen_rev: 0,
        content: text("?").encode(),
    };
    for number in [999, 999, place.said] {
        stage.refused("ann", far(number), Code::NotFound).await?;
    }
    Ok(ODD.len() + 3)
}

const NOBODY: &str = "nobody";

const ODD: &[Odd] = &[
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
    // --- users and roles
    (
        "an invitation of nobody",
        "ann",
        Code::ArgumentInvalid,
        |it| invite(it, &[]),
    ),
    (
        "an invitation of who is there",
        "ann",
        Code::AlreadyMember,
        |it| invite(it, &["bob", "cyd"]),
    ),
    (
        "an invitation by who may not",
        "bob",
        Code::Forbidden,
        |it| invite(it, &[NOBODY]),
    ),
    ("a removal of nobody", "ann", Code::NotMember, |it| {
        remove(it, NOBODY)
    }),
    ("a removal of oneself", "ann", Code::ArgumentInvalid, |it| {
        remove(it, "ann")
    }),
    ("a removal by who may not", "bob", Code::Forbidden, |it| {
        remove(it, "cyd")
    }),
    ("a role for nobody", "ann", Code::NotMember, |it| {
        role(it, NOBODY, 1)
    }),
    ("an unknown role", "ann", Code::ArgumentInvalid, |it| {
        role(it, "bob", 99)
    }),
    ("no role at all", "ann", Code::ArgumentInvalid, |it| {
        role(it, "bob", 0)
    }),
    ("a role for oneself", "ann", Code::ArgumentInvalid, |it| {
        role(it, "ann", 2)
    }),
    ("a role by who may not", "bob", Code::Forbidden, |it| {
        role(it, "cyd", 2)
    }),
    ("a mute of nobody", "ann", Code::NotMember, |it| {
        mute(it, NOBODY, u64::MAX)
    }),
    ("a mute of oneself", "ann", Code::ArgumentInvalid, |it| {
        mute(it, "ann", u64::MAX)
    }),
    (
        "a mute until a time that has passed",
        "ann",
        Code::ArgumentInvalid,
        |it| mute(it, "bob", 1),
    ),
    ("a ban of oneself", "ann", Code::ArgumentInvalid, |it| {
        ban(it, "ann", 0)
    }),
    (
        "a ban until a time that has passed",
        "ann",
        Code::ArgumentInvalid,
        |it| ban(it, "bob", 1),
    ),
    ("a ban by who may not", "bob", Code::Forbidden, |it| {
        ban(it, NOBODY, 0)
    }),
    ("a block of oneself", "ann", Code::ArgumentInvalid, |it| {
        Block {
            nonce: it.nonce,
            user: user("ann"),
            on: true,
        }
        .into()
    }),
    (
        "a friendship with oneself",
        "ann",
        Code::ArgumentInvalid,
        |it| friend(it, "ann", 1),
    ),
    (
        "a yes to who did not ask",
        "ann",
        Code::NoFriendRequest,
        |it| friend(it, NOBODY, 2),
    ),
    (
        "a no to who did not ask",
        "ann",
        Code::NoFriendRequest,
        |it| friend(it, NOBODY, 3),
    ),
    (
        "a yes to who does not ask to come in",
        "ann",
        Code::NotAsked,
        |it| answer_request(it, NOBODY),
    ),
    ("a yes to a member", "ann", Code::AlreadyMember, |it| {
        answer_request(it, "bob")
    }),
    ("a name for nobody", "ann", Code::NotMember, |it| {
        SetMember {
            user: UserId::new(NOBODY).ok(),
            ..plain_member(it)
        }
        .into()
    }),
    (
        "a change of nothing of a member",
        "ann",
        Code::ArgumentInvalid,
        |it| {
            SetMember {
                name: None,
                ..plain_member(it)
            }
            .into()
        },
    ),
    ("a message to oneself", "ann", Code::ArgumentInvalid, |it| {
        let mut send = send(
            it.nonce,
            ConversationId::direct(&user("ann"), &user("ann")),
            &text("gg"),
        );
        send.peer = UserId::new("ann").ok();
        send.into()
    }),
    (
        "a message to another than its conversation is with",
        "ann",
        Code::NotFound,
        |it| {
            let mut send = send(
                it.nonce,
                ConversationId::direct(&user("ann"), &user("bob")),
                &text("gg"),
            );
            send.peer = UserId::new("cyd").ok();
            send.into()
        },
    ),
    (
        "the owner who leaves the others alone",
        "ann",
        Code::OwnerMustTransfer,
        |it| {
            Leave {
                nonce: it.nonce,
                conversation: it.group,
            }
            .into()
        },
    ),
    ("a member who joins", "bob", Code::AlreadyMember, |it| {
        join(it.nonce, it.group, None)
    }),
    ("a wrong link", "dan", Code::LinkInvalid, |it| {
        join(it.nonce, it.group, Some(LinkCode([9; 16])))
    }),
    (
        "the end of a group by who may not",
        "bob",
        Code::Forbidden,
        |it| {
            Dissolve {
                nonce: it.nonce,
                conversation: it.group,
            }
            .into()
        },
    ),
    // --- settings
    ("a change of nothing", "ann", Code::ArgumentInvalid, |it| {
        set(it, Settings::default())
    }),
    (
        "an unknown permission",
        "ann",
        Code::ArgumentInvalid,
        |it| {
            set(
                it,
                Settings {
                    member_permissions: Some(1 << 31),
                    ..Settings::default()
                },
            )
        },
    ),
    (
        "a permission that is the owner's",
        "ann",
        Code::ArgumentInvalid,
        |it| {
            set(
                it,
                Settings {
                    admin_permissions: Some(Permission::Roles.bit()),
                    ..Settings::default()
                },
            )
        },
    ),
    (
        "a group that is to be open",
        "ann",
        Code::ArgumentInvalid,
        |it| {
            set(
                it,
                Settings {
                    join: Some(JoinPolicy::Open),
                    ..Settings::default()
                },
            )
        },
    ),
    ("settings by who may not", "bob", Code::Forbidden, |it| {
        set(
            it,
            Settings {
                frozen: Some(true),
                ..Settings::default()
            },
        )
    }),
    (
        "an own change of nothing",
        "ann",
        Code::ArgumentInvalid,
        |it| personal(it, |_| {}),
    ),
    ("an unknown folder", "ann", Code::NotFound, |it| {
        personal(it, |own| own.folder = Some(FolderId([77; 16])))
    }),
    (
        "a folder without an id",
        "ann",
        Code::ArgumentInvalid,
        |it| {
            SetFolder {
                nonce: it.nonce,
                folder: FolderId::default(),
                name: "raids".into(),
                order: 0,
            }
            .into()
        },
    ),
    (
        "bytes that are no draft",
        "ann",
        Code::ContentInvalid,
        |it| {
            SetDraft {
                nonce: it.nonce,
                conversation: it.group,
                content: b"\x93\x01\x02".as_slice().into(),
                reply_to: 0,
            }
            .into()
        },
    ),
    ("an unknown link", "ann", Code::LinkInvalid, |it| {
        RevokeLink {
            nonce: it.nonce,
            conversation: it.group,
            code: LinkCode([9; 16]),
        }
        .into()
    }),
    (
        "a request that there is not",
        "ann",
        Code::UnknownRequest,
        |_| ClientFrame::Unknown(63),
    ),
];

// --- what one may not know ------------------------------------------------------------------------------------------

/// Every request about a conversation, by somebody who is not in it.
type Ask = (&'static str, fn(Nonce, ConversationId) -> ClientFrame);

/// Unknown, foreign and withheld conversations are answered with the same bytes.
async fn secrets(stage: &mut Stage) -> Result<usize> {
    let foreign = stage.group("ann", &["bob"]).await?;
    let meeting = stage
        .made("ann", &["bob"], Some(ConversationKind::Meeting))
        .await?;
    let gone = stage.group("ann", &["bob"]).await?;
    for group in [foreign, meeting, gone] {
        stage.says("ann", group, &text("gg")).await?;
    }
    let dissolve = Dissolve {
        nonce: stage.nonce(),
        conversation: gone,
    };
    stage.acked("ann", dissolve).await?;
    let (ann, bob) = (user("ann"), user("bob"));
    let direct = ConversationId::direct(&ann, &bob);
    let mut first = send(stage.nonce(), direct, &text("psst"));
    first.peer = Some(bob);
    stage.acked("ann", first).await?;
    let rooms = [
        ("unknown", ConversationId([0xaa; 16])),
        ("foreign", foreign),
        ("a foreign meeting", meeting),
        ("dissolved", gone),
        ("between two others", direct),
    ];
    let (mut alike, mut wrong) = (0, Vec::new());
    for (what, make) in SECRETS {
        // The same name for all, each of another stranger: all is alike but the conversation.
        let nonce = stage.nonce();
        let mut wanted = None;
        for (n, (room, conversation)) in rooms.iter().enumerate() {
            let stranger = format!("stranger-{n}");
            let frame = make(nonce, *conversation);
            match stage.refused(&stranger, frame, expected(what)).await {
                Ok(refused) => {
                    let bytes = ServerFrame::from(refused).encode(1);
                    if *wanted.get_or_insert_with(|| bytes.clone()) != bytes {
                        wrong.push(format!(
                            "{what}: {room} is answered with other bytes than unknown"
                        ));
                    }
                }
                Err(error) => wrong.push(format!("{what}, {room}: {error:#}")),
            }
            alike += 1;
        }
    }
    // Who once was there, and was removed, is told no more.
    let remove = RemoveMember {
        nonce: stage.nonce(),
        conversation: foreign,
        user: user("bob"),
    };
    stage.acked("ann", remove).await?;
    for (what, make) in SECRETS {
        // They were told that it is there, and that they were removed.
        if *what == "Join" {
            continue;
        }
        let nonce = stage.nonce();
        let frame = make(nonce, foreign);
        if let Err(error) = stage.refused("bob", frame, expected(what)).await {
            wrong.push(format!("{what}, as one who was removed: {error:#}"));
        }
        alike += 1;
    }
    ensure!(
        wrong.is_empty(),
        "{} secrets:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    Ok(alike)
}

/// A wrong link is one wherever it is said to lead.
fn expected(what: &str) -> Code {
    match what {
        "Join by a link" => Code::LinkInvalid,
        _ => Code::NotFound,
    }
}

const SECRETS: &[Ask] = &[
    ("Send", |nonce, id| send(nonce, id, &text("gg")).into()),
    ("Edit", |nonce, id| plain_edit(&at(nonce, id), 2).into()),
    ("Recall", |nonce, id| recall(&at(nonce, id), 2)),
    ("React", |nonce, id| react(&at(nonce, id), 2, "gg")),
    ("Pin", |nonce, id| pin(&at(nonce, id), 2)),
    ("Vote", |nonce, id| vote(&at(nonce, id), 2, &[0])),
    ("ClosePoll", |nonce, id| {
        ClosePoll {
            nonce,
            after: None,
            conversation: id,
            target: 2,
            target_nonce: None,
        }
        .into()
    }),
    ("SetLive", |nonce, id| {
        SetLive {
            nonce,
            after: None,
            conversation: id,
            target: 2,
            target_nonce: None,
            state: Box::new(custom(1, 1)),
        }
        .into()
    }),
    ("Answer", |nonce, id| answer(&at(nonce, id), 2, "line")),
    ("Delete", |nonce, id| delete(&at(nonce, id), 1, Vec::new())),
    ("Read", |nonce, id| {
        Read {
            conversation: id,
            upto: 1,
            nonce,
        }
        .into()
    }),
    ("Delivered", |_, id| {
        Delivered {
            conversation: id,
            upto: 1,
        }
        .into()
    }),
    ("Invite", |nonce, id| invite(&at(nonce, id), &["dan"])),
    ("Join", |nonce, id| join(nonce, id, None)),
    ("Join by a link", |nonce, id| {
        join(nonce, id, Some(LinkCode([9; 16])))
    }),
    ("Leave", |nonce, id| {
        Leave {
            nonce,
            conversation: id,
        }
        .into()
    }),
    ("RemoveMember", |nonce, id| remove(&at(nonce, id), "ann")),
    ("SetRole", |nonce, id| role(&at(nonce, id), "ann", 1)),
    ("SetConversation", |nonce, id| {
        set(
            &at(nonce, id),
            Settings {
                frozen: Some(true),
                ..Settings::default()
            },
        )
    }),
    ("AnswerRequest", |nonce, id| {
        answer_request(&at(nonce, id), "ann")
    }),
    ("Dissolve", |nonce, id| {
        Dissolve {
            nonce,
            conversation: id,
        }
        .into()
    }),
    ("Mute", |nonce, id| mute(&at(nonce, id), "ann", u64::MAX)),
    ("Ban", |nonce, id| ban(&at(nonce, id), "ann", 0)),
    ("SetMember", |nonce, id| plain_member(&at(nonce, id)).into()),
    ("CreateLink", |nonce, id| {
        CreateLink {
            nonce,
            conversation: id,
            expires: 0,
            uses: 0,
        }
        .into()
    }),
    ("RevokeLink", |nonce, id| {
        RevokeLink {
            nonce,
            conversation: id,
            code: LinkCode([9; 16]),
        }
        .into()
    }),
    ("SetPersonal", |nonce, id| {
        personal(&at(nonce, id), |own| own.pinned = Some(true))
    }),
    ("SetDraft", |nonce, id| {
        SetDraft {
            nonce,
            conversation: id,
            content: text("not yet").encode(),
            reply_to: 0,
        }
        .into()
    }),
    ("Report", |nonce, id| {
        report(&at(nonce, id), Some(id), 2, None, 1)
    }),
    ("PageRequest", |_, id| page_request(id, 0).into()),
    ("MembersRequest", |_, id| {
        MembersRequest {
            conversation: id,
            after: None,
            limit: 0,
            asked: false,
            prefix: String::new(),
        }
        .into()
    }),
    ("PinsRequest", |_, id| {
        PinsRequest {
            conversation: id,
            before: 0,
        }
        .into()
    }),
    ("BansRequest", |_, id| {
        BansRequest {
            conversation: id,
            after: None,
            limit: 0,
        }
        .into()
    }),
    ("LinksRequest", |_, id| {
        LinksRequest { conversation: id }.into()
    }),
    ("RevisionsRequest", |_, id| {
        RevisionsRequest {
            conversation: id,
            target: 2,
            after: 0,
        }
        .into()
    }),
    ("ReadersRequest", |_, id| {
        ReadersRequest {
            conversation: id,
            sequence: 2,
        }
        .into()
    }),
];

/// The requests that name a conversation, for the proof to see that none is missing.
pub(super) fn asked() -> impl Iterator<Item = &'static str> {
    SECRETS.iter().map(|(name, _)| *name)
}

const fn at(nonce: Nonce, group: ConversationId) -> Place {
    Place {
        nonce,
        group,
        said: 2,
        entry: 1,
        poll: 2,
        card: 2,
    }
}

fn user(name: &str) -> UserId {
    UserId::new(name).unwrap_or_else(|_| unreachable!("a short name"))
}

fn says(it: &Place, content: &Content) -> ClientFrame {
    send(it.nonce, it.group, content).into()
}

fn kind(it: &Place, number: u16) -> ClientFrame {
    let mut send = send(it.nonce, it.group, &text("gg"));
    send.header.kind = MessageKind::from_number(number);
    send.into()
}

fn plain_edit(it: &Place, target: u64) -> Edit {
    Edit {
        nonce: it.nonce,
        after: None,
        conversation: it.group,
        target,
        target_nonce: None,
        seen_rev: 0,
        content: text("edited").encode(),
    }
}

fn edit(it: &Place, target: u64) -> ClientFrame {
    plain_edit(it, target).into()
}

fn recall(it: &Place, target: u64) -> ClientFrame {
    Recall {
        nonce: it.nonce,
        after: None,
        conversation: it.group,
        target,
        target_nonce: None,
    }
    .into()
}

fn react(it: &Place, target: u64, key: &str) -> ClientFrame {
    React {
        nonce: it.nonce,
        after: None,
        conversation: it.group,
        target,
        target_nonce: None,
        key: key.to_owned(),
        on: true,
    }
    .into()
}

fn pin(it: &Place, target: u64) -> ClientFrame {
    Pin {
        nonce: it.nonce,
        after: None,
        conversation: it.group,
        target,
        target_nonce: None,
        on: true,
    }
    .into()
}

fn vote(it: &Place, target: u64, choices: &[u32]) -> ClientFrame {
    Vote {
        nonce: it.nonce,
        after: None,
        conversation: it.group,
        target,
        target_nonce: None,
        choices: choices.to_vec(),
    }
    .into()
}

fn answer(it: &Place, target: u64, element: &str) -> ClientFrame {
    Answer {
        nonce: it.nonce,
        after: None,
        conversation: it.group,
        target,
        target_nonce: None,
        values: vec![AnswerValue {
            id: element.to_owned(),
            value: "x".to_owned(),
        }],
    }
    .into()
}

fn delete(it: &Place, upto: u64, numbers: Vec<u64>) -> ClientFrame {
    Delete {
        nonce: it.nonce,
        conversation: it.group,
        upto,
        numbers,
    }
    .into()
}

fn report(
    it: &Place,
    conversation: Option<ConversationId>,
    sequence: u64,
    user: Option<UserId>,
    reason: u16,
) -> ClientFrame {
    Report {
        nonce: it.nonce,
        conversation,
        sequence,
        user,
        reason: ReportReason::from_number(reason),
        text: String::new(),
    }
    .into()
}

fn plain_create(it: &Place) -> CreateGroup {
    CreateGroup {
        nonce: it.nonce,
        name: "the raid".to_owned(),
        invite: Vec::new(),
        history_for_joiners: 0,
        kind: None,
        join: None,
        ends: 0,
    }
}

fn create(it: &Place, kind: Option<u16>, join: Option<u16>, ends: u64) -> ClientFrame {
    CreateGroup {
        kind: kind.map(ConversationKind::from_number),
        join: join.map(JoinPolicy::from_number),
        ends,
        ..plain_create(it)
    }
    .into()
}

fn presence(state: u16) -> ClientFrame {
    SetPresence {
        state: PresenceState::from_number(state),
        text: String::new(),
        emoji: String::new(),
        until: 0,
        rich: None,
    }
    .into()
}

fn friend(it: &Place, other: &str, action: u16) -> ClientFrame {
    Friend {
        nonce: it.nonce,
        user: user(other),
        action: FriendAction::from_number(action),
    }
    .into()
}

fn invite(it: &Place, users: &[&str]) -> ClientFrame {
    Invite {
        nonce: it.nonce,
        conversation: it.group,
        users: users.iter().map(|name| user(name)).collect(),
    }
    .into()
}

fn remove(it: &Place, whom: &str) -> ClientFrame {
    RemoveMember {
        nonce: it.nonce,
        conversation: it.group,
        user: user(whom),
    }
    .into()
}

fn role(it: &Place, whom: &str, role: u16) -> ClientFrame {
    SetRole {
        nonce: it.nonce,
        conversation: it.group,
        user: user(whom),
        role: Role::from_number(role),
    }
    .into()
}

fn mute(it: &Place, whom: &str, until: u64) -> ClientFrame {
    Mute {
        nonce: it.nonce,
        conversation: it.group,
        user: user(whom),
        until,
    }
    .into()
}

fn ban(it: &Place, whom: &str, until: u64) -> ClientFrame {
    Ban {
        nonce: it.nonce,
        conversation: it.group,
        user: user(whom),
        on: true,
        until,
    }
    .into()
}

fn answer_request(it: &Place, whom: &str) -> ClientFrame {
    AnswerRequest {
        nonce: it.nonce,
        conversation: it.group,
        user: user(whom),
        accept: true,
    }
    .into()
}

fn plain_member(it: &Place) -> SetMember {
    SetMember {
        nonce: it.nonce,
        conversation: it.group,
        user: None,
        name: Some("Conan".to_owned()),
        attributes: None,
    }
}

const fn join(nonce: Nonce, conversation: ConversationId, link: Option<LinkCode>) -> ClientFrame {
    ClientFrame::Join(Join {
        nonce,
        conversation,
        link,
    })
}

fn set(it: &Place, change: Settings) -> ClientFrame {
    SetConversation {
        nonce: it.nonce,
        conversation: it.group,
        change: change.into(),
    }
    .into()
}

fn personal(it: &Place, change: impl Fn(&mut Personal)) -> ClientFrame {
    let mut own = Personal {
        pinned: None,
        archived: None,
        muted_until: None,
        level: None,
        marked_unread: None,
        folder: None,
        archived_to: 0,
    };
    change(&mut own);
    SetPersonal {
        nonce: it.nonce,
        conversation: it.group,
        change: own,
    }
    .into()
}
