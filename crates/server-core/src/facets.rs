//! What others add to a message without touching its body: reactions and pins. Pure, and the same for every store: who reacts at
//! the same time never waits for the other, because the store carries the wish out on what it has then.

use bytes::Bytes;
use fireside_protocol::{
    Child, Entry, Facet, FacetKind, Pinned, Reaction, Reactions, UserId, WallMs,
    content::{CustomContent, LinkPreview, LiveState, Votes},
    encode,
    limits::{REACTION_KEYS_MAX, REACTIONS_BYTES_MAX, REACTIONS_MAX, VOTES_BYTES_MAX, VOTES_MAX},
};

/// A wish for a facet of an item.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum FacetOp {
    /// Reacts, or takes it back.
    React {
        /// With what.
        key: String,
        /// React or not.
        on: bool,
    },
    /// Pins or unpins.
    Pin {
        /// Pin or not.
        on: bool,
    },
    /// Votes in a poll, in the place of the vote before.
    Vote {
        /// Which options; none: no vote.
        choices: Vec<u32>,
    },
    /// Votes in an anonymous poll.
    Ballot {
        /// Who, for their own record.
        voter: UserId,
        /// Which options, ascending; none: no vote.
        choices: Vec<u32>,
        /// What they chose before: the store fills it in ([`ballots::cast`](crate::ballots::cast)).
        before: Vec<u32>,
    },
    /// Closes a poll.
    ClosePoll,
    /// Opens a thread.
    Thread {
        /// Which, and who does.
        child: Child,
    },
    /// Changes the state of a live object.
    Live {
        /// What it is now.
        state: Box<CustomContent>,
    },
    /// Adds what the page behind the message's link says.
    Preview {
        /// What it says.
        preview: Box<LinkPreview>,
    },
}

/// Whether a wish can still be carried out on an item as it is now. One that can not was decided on what the item had before: it is stale, and the
/// decision that is made again says why.
#[must_use]
pub fn is_possible(item: &Entry, op: &FacetOp, by: &UserId) -> bool {
    match op {
        FacetOp::React { key, on } => {
            let state = reactions(&item.facets);
            reacts(&state, key, by) == *on || allows(&state, key, by, *on)
        }
        FacetOp::Vote { choices } => {
            let state = votes(&item.facets);
            !state.closed && allows_vote(&state, choices, by)
        }
        // Its author and its time close a poll once, and whoever comes second makes no entry.
        FacetOp::Ballot { .. } | FacetOp::ClosePoll => !votes(&item.facets).closed,
        FacetOp::Thread { .. } => !(item.facets.iter()).any(|it| it.kind == FacetKind::Thread),
        FacetOp::Pin { .. } | FacetOp::Live { .. } | FacetOp::Preview { .. } => true,
    }
}

/// The facet of `item` as `by` wants it at `at`; one that is not [possible](is_possible) gives what is there.
#[must_use]
pub fn carry_out(item: &Entry, op: &FacetOp, by: &UserId, at: WallMs) -> Facet {
    let (kind, content) = match op {
        FacetOp::React { key, on } => {
            let mut state = reactions(&item.facets);
            if allows(&state, key, by, *on) {
                react(&mut state, key, by, *on);
            }
            let content = if state.keys.is_empty() {
                Bytes::new()
            } else {
                encode(&state).into()
            };
            (FacetKind::Reactions, content)
        }
        FacetOp::Pin { on: true } => {
            let by = by.clone();
            let held = item.facet::<Pinned>(FacetKind::Pin);
            let pinned = held.unwrap_or(Pinned { by, at });
            (FacetKind::Pin, encode(&pinned).into())
        }
        FacetOp::Pin { on: false } => (FacetKind::Pin, Bytes::new()),
        FacetOp::Vote { choices } => {
            let mut state = votes(&item.facets);
            if !state.closed && allows_vote(&state, choices, by) {
                state.vote(choices, by);
            }
            (FacetKind::Votes, encode(&state).into())
        }
        FacetOp::Ballot {
            choices, before, ..
        } => {
            let mut state = votes(&item.facets);
            if !state.closed {
                state.vote_unnamed(before, choices);
            }
            (FacetKind::Votes, encode(&state).into())
        }
        FacetOp::ClosePoll => {
            let mut state = votes(&item.facets);
            state.closed = true;
            (FacetKind::Votes, encode(&state).into())
        }
        FacetOp::Thread { child } => (FacetKind::Thread, encode(child).into()),
        FacetOp::Live { state } => {
            let state = state.clone();
            (FacetKind::Live, encode(&LiveState { at, state }).into())
        }
        FacetOp::Preview { preview } => (FacetKind::Preview, encode(&**preview).into()),
    };
    Facet {
        kind,
        rev: 0,
        content,
    }
}

/// The reactions among facets.
#[must_use]
pub fn reactions(facets: &[Facet]) -> Reactions {
    let facet = facets.iter().find(|it| it.kind == FacetKind::Reactions);
    let state = facet.and_then(|it| fireside_protocol::decode(&it.content).ok());
    state.unwrap_or(Reactions { keys: Vec::new() })
}

/// The votes among facets.
#[must_use]
pub fn votes(facets: &[Facet]) -> Votes {
    let facet = facets.iter().find(|it| it.kind == FacetKind::Votes);
    let state = facet.and_then(|it| fireside_protocol::decode(&it.content).ok());
    state.unwrap_or_else(Votes::none)
}

/// Whether a vote stays within the limits; taking one back always does.
pub(crate) fn allows_vote(state: &Votes, choices: &[u32], user: &UserId) -> bool {
    let all: usize = state.options.iter().map(|one| one.users.len()).sum();
    // A new option has, besides its users, a map of two fields and their names.
    let more = choices.len() * (user.as_str().len() + 2 + 16);
    choices.is_empty()
        || (all + choices.len() <= VOTES_MAX && encode(state).len() + more <= VOTES_BYTES_MAX)
}

/// Whether an item with these facets is pinned.
#[must_use]
pub fn is_pinned(facets: &[Facet]) -> bool {
    (facets.iter()).any(|facet| facet.kind == FacetKind::Pin && !facet.content.is_empty())
}

/// Whether a user reacts with a key.
pub(crate) fn reacts(state: &Reactions, key: &str, user: &UserId) -> bool {
    let one = state.keys.iter().find(|one| one.key == key);
    one.is_some_and(|one| one.users.contains(user))
}

/// Whether one reaction more stays within the limits; taking one back always does.
pub(crate) fn allows(state: &Reactions, key: &str, user: &UserId, on: bool) -> bool {
    if !on {
        return true;
    }
    let known = state.keys.iter().any(|one| one.key == key);
    let all: usize = state.keys.iter().map(|one| one.users.len()).sum();
    // A new key has, besides itself, a map of two fields and their names.
    let more = user.as_str().len() + 3 + if known { 0 } else { key.len() + 16 };
    all < REACTIONS_MAX
        && (known || state.keys.len() < REACTION_KEYS_MAX)
        && encode(state).len() + more <= REACTIONS_BYTES_MAX
}

fn react(state: &mut Reactions, key: &str, user: &UserId, on: bool) {
    if on {
        let place = state.keys.iter().position(|one| one.key == key);
        let place = place.unwrap_or_else(|| {
            state.keys.push(Reaction {
                key: key.to_owned(),
                users: Vec::new(),
            });
            state.keys.len() - 1
        });
        if let Some(one) = state.keys.get_mut(place)
            && !one.users.contains(user)
        {
            one.users.push(user.clone());
        }
    } else {
        for one in state.keys.iter_mut().filter(|one| one.key == key) {
            one.users.retain(|other| other != user);
        }
        state.keys.retain(|one| !one.users.is_empty());
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn user(n: usize) -> UserId {
        UserId::new(&format!("user{n}")).unwrap()
    }

    fn state(users: impl IntoIterator<Item = (usize, String)>) -> Reactions {
        let mut state = Reactions { keys: Vec::new() };
        for (n, key) in users {
            react(&mut state, &key, &user(n), true);
        }
        state
    }

    #[test]
    fn a_key_goes_with_its_last_user() {
        let mut state = state([(1, "👍".to_owned()), (2, "👍".to_owned())]);
        react(&mut state, "👍", &user(2), true);
        assert_eq!(state.keys[0].users, [user(1), user(2)]);
        react(&mut state, "👍", &user(1), false);
        assert!(reacts(&state, "👍", &user(2)) && !reacts(&state, "👍", &user(1)));
        react(&mut state, "👍", &user(2), false);
        assert_eq!(state.keys, []);
    }

    #[test]
    fn limits() {
        let full = state((0..REACTIONS_MAX).map(|n| (n, "👍".to_owned())));
        let new = user(REACTIONS_MAX);
        assert!(!allows(&full, "👍", &new, true) && allows(&full, "👍", &new, false));
        let many = state((0..REACTION_KEYS_MAX).map(|n| (n, format!("key{n}"))));
        assert!(allows(&many, "key3", &new, true) && !allows(&many, "one-more", &new, true));
        let mut long = Reactions { keys: Vec::new() };
        let name = |n: usize| UserId::new(&format!("{n:064}")).unwrap();
        let mut count = 0;
        while allows(&long, "👍", &name(count), true) {
            react(&mut long, "👍", &name(count), true);
            count += 1;
        }
        assert!((100..110).contains(&count), "{count}");
        assert!(encode(&long).len() <= REACTIONS_BYTES_MAX);
    }
}
