//! What one may not know to be there: unknown, foreign and withheld conversations, asked for by strangers.

use anyhow::{Result, ensure};
use fireside_protocol::{
    ClientFrame, Code, ConversationId, ConversationKind, LinkCode, Nonce, ServerFrame, Settings,
    frames::{
        BansRequest, ClosePoll, CreateLink, Delivered, Dissolve, Forward, Leave, LinksRequest,
        MembersRequest, OpenThread, PinsRequest, Read, RemoveMember, RevisionsRequest, RevokeLink,
        SetLive,
    },
    personal::{ReadersRequest, SetDraft},
};

use super::{
    odd::make::{
        answer, answer_request, at, ban, delete, invite, join, mute, personal, pin, plain_edit,
        plain_member, react, recall, remove, report, role, set, user, vote,
    },
    pages::{children, page_request},
    sizes::{custom, text},
    stage::{Stage, send},
    transient::transient,
};

/// Every request about a conversation, by somebody who is not in it.
type Ask = (&'static str, fn(Nonce, ConversationId) -> ClientFrame);

/// Unknown, foreign and withheld conversations are answered with the same bytes.
pub(super) async fn run(stage: &mut Stage) -> Result<usize> {
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
    ("SendTransient", |_, id| transient(id, &text("gg")).into()),
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
    ("Forward", |nonce, id| {
        Forward {
            nonce,
            conversation: id,
            peer: None,
            from: id,
            numbers: vec![2],
            merged: false,
            title: String::new(),
        }
        .into()
    }),
    ("OpenThread", |nonce, id| {
        OpenThread {
            nonce,
            conversation: id,
            target: 2,
            name: String::new(),
        }
        .into()
    }),
    ("ChildrenRequest", |_, id| children(id, 0).into()),
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
