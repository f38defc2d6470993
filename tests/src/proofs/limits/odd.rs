//! What there is not: unknown users, kinds, roles, numbers.

pub(super) mod make;
mod messages;
mod people;

use anyhow::{Result, ensure};
use fireside_protocol::{ClientFrame, Code, Content, frames::Edit};

use self::make::Place;
use super::{
    sizes::{line_card, poll, text},
    stage::Stage,
};

type Odd = (&'static str, &'static str, Code, fn(&Place) -> ClientFrame);

/// Tries all of them; how many refusals there were.
pub(super) async fn run(stage: &mut Stage) -> Result<usize> {
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
    let all = || messages::ODD.iter().chain(people::ODD);
    for (what, by, code, make) in all() {
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
    Ok(all().count() + 3)
}

/// Somebody whom nobody knows.
const NOBODY: &str = "nobody";
