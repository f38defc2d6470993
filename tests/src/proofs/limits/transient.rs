//! Transient messages: taken or refused, they leave no trace in the database.

use anyhow::{Result, ensure};
use fireside_protocol::{
    Code, Content, ConversationId, Header, ServerFrame, UserId, content::Forwarded,
    transient::SendTransient,
};

use super::{
    sizes::{custom, line_card, poll, text},
    stage::Stage,
};

/// How many are told one after another.
const TOLD: usize = 20;

/// What a transient message may not be.
type Odd = (&'static str, Code, fn(&mut SendTransient));

const ODD: &[Odd] = &[
    ("a poll", Code::KindUnsupported, |it| {
        becomes(it, &Content::Poll(poll(2, 1)));
    }),
    ("a card", Code::KindUnsupported, |it| {
        becomes(it, &line_card());
    }),
    ("a live object", Code::KindUnsupported, |it| {
        becomes(it, &Content::Live(custom(1, 1)));
    }),
    ("an answer", Code::ArgumentInvalid, |it| {
        it.header.reply_to = 1;
    }),
    ("what ends", Code::ArgumentInvalid, |it| {
        it.header.expires = u64::MAX;
    }),
    ("what was forwarded", Code::ArgumentInvalid, |it| {
        it.header.forwarded = UserId::new("bob").ok().map(|user| {
            Box::new(Forwarded {
                user,
                name: String::new(),
                at: 1,
            })
        });
    }),
    ("an unknown priority", Code::ArgumentInvalid, |it| {
        it.header.priority = 3;
    }),
    ("a text of nothing", Code::TextEmpty, |it| {
        becomes(it, &text(" \n "));
    }),
    ("bytes that are no content", Code::ContentInvalid, |it| {
        it.content = b"\x93\x01\x02".as_slice().into();
    }),
    ("an unknown kind", Code::KindUnsupported, |it| {
        it.header.kind = fireside_protocol::MessageKind::from_number(99);
    }),
];

/// Tries all of them; how many.
pub(super) async fn run(stage: &mut Stage) -> Result<usize> {
    let group = stage.group("ann", &["bob"]).await?;
    stage.wire("bob").await?;
    for (what, code, change) in ODD {
        let mut frame = transient(group, &text("gg"));
        change(&mut frame);
        let refused = stage.refused("ann", frame, *code).await;
        refused.map_err(|error| error.context(format!("{what}, said to who is there")))?;
    }
    let before = stage.ledger.dump()?;
    for _ in 0..TOLD {
        let answer = stage.taken("ann", transient(group, &text("gg"))).await?;
        ensure!(matches!(answer, ServerFrame::Done(_)), "{answer:?}");
    }
    let after = stage.ledger.dump()?;
    ensure!(before == after, "{TOLD} transient messages left something");
    Ok(ODD.len() + TOLD)
}

/// A message for who is there.
pub(super) fn transient(conversation: ConversationId, content: &Content) -> SendTransient {
    let mut frame = SendTransient {
        conversation,
        header: Header::text(),
        content: content.encode(),
    };
    becomes(&mut frame, content);
    frame
}

fn becomes(frame: &mut SendTransient, content: &Content) {
    frame.header.kind = content.kind();
    frame.content = content.encode();
}
