//! How many there may be of those whom nobody can bring to a proof: they are written into the server's file.

use anyhow::{Context, Result, ensure};
use fireside_protocol::{
    Code, ConversationId, ConversationKind, ServerFrame, Settings, UserId,
    frames::{AnswerRequest, Delete, Invite, SetConversation, SetMember},
    limits,
    personal::ReadersRequest,
};

use super::{
    sizes::text,
    stage::{Stage, join},
};

/// Members, and who waits to be one: with so many as nobody can bring to a proof, written into the file.
pub(super) async fn run(stage: &mut Stage) -> Result<usize> {
    let mut sql = String::new();
    let mut rooms = Vec::new();
    for (limit, kind, at) in [
        ("GROUP_MEMBERS_MAX", None, limits::GROUP_MEMBERS_MAX),
        (
            "MEETING_MEMBERS_MAX",
            Some(ConversationKind::Meeting),
            limits::MEETING_MEMBERS_MAX,
        ),
        (
            "PUBLIC_MEMBERS_MAX",
            Some(ConversationKind::Public),
            limits::PUBLIC_MEMBERS_MAX,
        ),
    ] {
        let room = stage.made("ann", &[], kind).await?;
        // Ann is there, two more come.
        sql.push_str(&many(room, at - 3, false));
        rooms.push((limit, room));
    }
    let entries = stage
        .made("ann", &["bob"], Some(ConversationKind::Public))
        .await?;
    sql.push_str(&many(entries, limits::MEMBER_ENTRIES_MAX - 3, false));
    let receipts = stage.group("ann", &["bob"]).await?;
    sql.push_str(&many(receipts, limits::RECEIPT_MEMBERS_MAX - 3, false));
    let asking = stage
        .made("ann", &[], Some(ConversationKind::Public))
        .await?;
    let policy = SetConversation {
        nonce: stage.nonce(),
        conversation: asking,
        change: Settings {
            join: Some(fireside_protocol::JoinPolicy::Request),
            ..Settings::default()
        }
        .into(),
    };
    stage.acked("ann", policy).await?;
    sql.push_str(&many(asking, limits::JOIN_REQUESTS_MAX - 2, true));
    stage.prefill(&sql)?;
    for (limit, room) in rooms {
        for user in ["three", "one", "two"] {
            let invite = Invite {
                nonce: stage.nonce(),
                conversation: room,
                users: vec![UserId::new(user)?],
            };
            stage.acked("ann", invite).await.context(limit)?;
        }
        for user in ["one", "two"] {
            stage.joins(user, room).await.context(limit)?;
        }
        let nonce = stage.nonce();
        stage
            .refused("three", join(nonce, room), Code::TooManyMembers)
            .await
            .context(limit)?;
        let invite = Invite {
            nonce: stage.nonce(),
            conversation: room,
            users: vec![UserId::new("four")?],
        };
        let refused = stage.refused("ann", invite, Code::TooManyMembers).await;
        refused.context(limit)?;
        stage.tried(limit);
    }
    member_entries(stage, entries).await?;
    receipt_members(stage, receipts).await?;
    // Those who ask.
    for user in ["one", "two"] {
        stage
            .joins(user, asking)
            .await
            .context("JOIN_REQUESTS_MAX")?;
    }
    let nonce = stage.nonce();
    stage
        .refused("three", join(nonce, asking), Code::TooManyMembers)
        .await
        .context("JOIN_REQUESTS_MAX")?;
    let answer = AnswerRequest {
        nonce: stage.nonce(),
        conversation: asking,
        user: UserId::new("one")?,
        accept: false,
    };
    stage.acked("ann", answer).await?;
    stage.joins("three", asking).await?;
    stage.tried("JOIN_REQUESTS_MAX");
    Ok(6)
}

/// Members in the file: they are there from the first number on.
pub(in crate::proofs) fn many(conversation: ConversationId, count: usize, asking: bool) -> String {
    let id: String = conversation
        .0
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let (role, intervals, asked) = if asking {
        ("NULL", "x''", 1)
    } else {
        ("1", "x'01000000000000000000000000000000'", 0)
    };
    format!(
        "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < {count}) \
         INSERT INTO members (conversation, user, role, intervals, read, delivered, rights, asked) \
         SELECT x'{id}', printf('m%05d', n), {role}, {intervals}, 0, 0, 0, {asked} FROM n;"
    )
}

/// A member's new name makes an entry up to so many members.
async fn member_entries(stage: &mut Stage, room: ConversationId) -> Result<()> {
    const LIMIT: &str = "MEMBER_ENTRIES_MAX";
    for (comes, makes) in [(None, true), (Some("one"), true), (Some("two"), false)] {
        if let Some(user) = comes {
            stage.joins(user, room).await.context(LIMIT)?;
        }
        let name = SetMember {
            nonce: stage.nonce(),
            conversation: room,
            user: None,
            name: Some(format!("Conan {makes} {comes:?}")),
            attributes: None,
        };
        let ack = stage.acked("bob", name).await.context(LIMIT)?;
        ensure!(
            (ack.sequence > 0) == makes,
            "{LIMIT}: after {comes:?} came a name got the number {}",
            ack.sequence
        );
    }
    stage.tried(LIMIT);
    Ok(())
}

/// Who has read is told up to so many members.
async fn receipt_members(stage: &mut Stage, room: ConversationId) -> Result<()> {
    const LIMIT: &str = "RECEIPT_MEMBERS_MAX";
    for (comes, of) in [
        (None, limits::RECEIPT_MEMBERS_MAX - 2),
        (Some("one"), limits::RECEIPT_MEMBERS_MAX - 1),
        (Some("two"), 0),
    ] {
        if let Some(user) = comes {
            let invite = Invite {
                nonce: stage.nonce(),
                conversation: room,
                users: vec![UserId::new(user)?],
            };
            stage.acked("ann", invite).await?;
            stage.joins(user, room).await.context(LIMIT)?;
        }
        let number = stage.says("bob", room, &text("gg")).await?;
        let ask = ReadersRequest {
            conversation: room,
            sequence: number,
        };
        let ServerFrame::ReadersPage(page) = stage.taken("ann", ask).await? else {
            anyhow::bail!("no readers");
        };
        ensure!(
            page.of as usize == of,
            "{LIMIT}: after {comes:?} came a message is read by … of {}",
            page.of
        );
    }
    stage.tried(LIMIT);
    Ok(())
}

/// Runs of messages deleted for oneself, in a log of many messages.
pub(super) async fn deleted_runs(stage: &mut Stage, log: ConversationId) -> Result<usize> {
    let mut left: Vec<u64> = (0..limits::DELETED_RUNS_MAX as u64 - 1)
        .map(|n| 10 + 2 * n)
        .collect();
    let delete = |nonce, numbers: Vec<u64>| Delete {
        nonce,
        conversation: log,
        upto: 0,
        numbers,
    };
    while !left.is_empty() {
        let rest = left.split_off(left.len().min(limits::DELETES_PER_REQUEST_MAX));
        let nonce = stage.nonce();
        stage.acked("bob", delete(nonce, left)).await?;
        left = rest;
    }
    let next = |n: u64| vec![10 + 2 * (limits::DELETED_RUNS_MAX as u64 - 1 + n)];
    let nonce = stage.nonce();
    stage.acked("bob", delete(nonce, next(0))).await?;
    let nonce = stage.nonce();
    stage
        .refused("bob", delete(nonce, next(1)), Code::LimitReached)
        .await
        .context("DELETED_RUNS_MAX")?;
    // Two runs that grow together make room.
    let nonce = stage.nonce();
    stage.acked("bob", delete(nonce, vec![11])).await?;
    let nonce = stage.nonce();
    stage.acked("bob", delete(nonce, next(1))).await?;
    stage.tried("DELETED_RUNS_MAX");
    Ok(1)
}
