//! How large one request may be in each of its parts: one below the limit and at it is taken, one above is refused.

mod make;
mod messages;
mod profiles;

use anyhow::{Context, Result, ensure};
use fireside_protocol::{
    ClientFrame, Code, Content, ConversationId, Nonce, frames::SetLive, limits,
};

pub(super) use self::make::{attributes, custom, line_card, poll, text};
use super::stage::Stage;

/// A limit of something in a request.
pub(super) struct Bound {
    /// Its name in `limits.rs`.
    pub(super) limit: &'static str,
    /// What has it.
    what: &'static str,
    /// The limit.
    at: usize,
    /// Whether it is the least that is taken, not the most.
    least: bool,
    /// What is on the other side of it.
    code: Code,
    /// Who asks.
    by: &'static str,
    /// The request, with so much of it.
    make: fn(&Place, usize) -> ClientFrame,
}

/// Where it is tried: a group of ann and bob, and what was said in it.
pub(super) struct Place {
    nonce: Nonce,
    group: ConversationId,
    /// Bob's first text: there are as many behind it as a request may name.
    first: u64,
    /// Ann's text.
    said: u64,
    /// Ann's card with a line of text.
    card: u64,
    /// Grows with each try, for what must be new each time.
    turn: usize,
}

/// Tries all of them.
pub(super) async fn run(stage: &mut Stage) -> Result<usize> {
    let group = stage.group("ann", &["bob"]).await?;
    // What is deleted must be there: more than a request may name.
    let mut first = 0;
    for n in 0..limits::DELETES_PER_REQUEST_MAX.max(limits::FORWARD_COPIES_MAX) + 1 {
        let number = stage.says("bob", group, &text("gg")).await?;
        first = if n == 0 { number } else { first };
    }
    let mut place = Place {
        nonce: stage.nonce(),
        group,
        first,
        said: stage.says("ann", group, &text("gg")).await?,
        card: stage.says("ann", group, &line_card()).await?,
        turn: 0,
    };
    let live = stage
        .says("ann", group, &Content::Live(custom(1, 1)))
        .await?;
    live_state(stage, group, live).await?;
    let mut wrong = Vec::new();
    let bounds = || messages::BOUNDS.iter().chain(profiles::BOUNDS);
    for bound in bounds() {
        stage.tried(bound.limit);
        let beyond = match bound.least {
            true => bound.at.checked_sub(1).context("a least of nothing")?,
            false => bound.at + 1,
        };
        let within = match bound.least {
            true => bound.at + 1,
            false => bound.at.saturating_sub(1),
        };
        let name = |count| format!("{} ({}): {count}", bound.limit, bound.what);
        for count in [within, bound.at] {
            place.nonce = stage.nonce();
            place.turn += 1;
            let frame = (bound.make)(&place, count);
            if let Err(error) = stage.taken(bound.by, frame).await {
                wrong.push(format!("{}: {error:#}", name(count)));
            }
        }
        place.nonce = stage.nonce();
        place.turn += 1;
        let frame = (bound.make)(&place, beyond);
        if let Err(error) = stage.refused(bound.by, frame, bound.code).await {
            wrong.push(format!("{}: {error:#}", name(beyond)));
        }
    }
    ensure!(
        wrong.is_empty(),
        "{} sizes:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    Ok(bounds().count())
}

const fn most(
    limit: &'static str,
    what: &'static str,
    at: usize,
    code: Code,
    make: fn(&Place, usize) -> ClientFrame,
) -> Bound {
    Bound {
        limit,
        what,
        at,
        least: false,
        code,
        by: "ann",
        make,
    }
}

/// A live object's state that is too large: it waits for no interval to be refused.
async fn live_state(stage: &mut Stage, group: ConversationId, live: u64) -> Result<()> {
    let set = SetLive {
        nonce: stage.nonce(),
        after: None,
        conversation: group,
        target: live,
        target_nonce: None,
        state: Box::new(custom(limits::LIVE_DATA_BYTES_MAX + 1, 1)),
    };
    stage.refused("ann", set, Code::ContentInvalid).await?;
    Ok(())
}
