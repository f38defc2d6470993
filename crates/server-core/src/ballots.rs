//! Votes in anonymous polls. What others see of one is a count. What the voter chose stands in a record of their own user log, and the
//! store looks it up there when it carries the next vote out, for nothing else says whose place it takes. Pure, and the same for every store.

use fireside_protocol::{
    ConversationId, RecordKey, Sequence, UserId, WallMs,
    content::{Ballot, Ballots},
    decode, encode,
    frames::{UserRecord, UserRecordKind},
    limits::BALLOTS_MAX,
};

use crate::{
    facets::FacetOp,
    own::OwnReader,
    storage::{NewEntry, NewUserRecord},
};

/// What comes of a vote in an anonymous poll.
#[derive(Debug)]
pub enum Cast {
    /// The user chose that before: nothing is written but the outcome.
    Same,
    /// The poll is older than those for which it is kept what the user chose, so nobody knows whether they voted: `limit_reached`.
    Old,
    /// It counts.
    Counts {
        /// Instead of those of the append: with what the user chose before.
        entries: Vec<NewEntry>,
        /// The voter's own record of it.
        record: (UserId, NewUserRecord),
    },
}

/// Looks up what a vote takes the place of. `None`: no entry is one in an anonymous poll.
///
/// # Errors
/// The reader's.
pub fn cast<R: OwnReader>(
    reader: &mut R,
    conversation: ConversationId,
    entries: &[NewEntry],
    now: WallMs,
) -> Result<Option<Cast>, R::Error> {
    let vote = entries.iter().find_map(|entry| match &entry.facet {
        Some(FacetOp::Ballot { voter, choices, .. }) => Some((entry.target?.0, voter, choices)),
        _ => None,
    });
    let Some((poll, voter, choices)) = vote else {
        return Ok(None);
    };
    let key = RecordKey::of_conversation(UserRecordKind::Ballots, conversation);
    let held = reader.record(voter, &key)?;
    let mut ballots = ballots_of(held.as_ref());
    let before = ballots.choices(poll).to_vec();
    if before == *choices {
        return Ok(Some(Cast::Same));
    }
    if !put(&mut ballots, poll, choices) {
        return Ok(Some(Cast::Old));
    }
    let record = UserRecord {
        conversation: Some(conversation),
        body: encode(&ballots).into(),
        ..UserRecord::new(UserRecordKind::Ballots, now)
    };
    let mut entries = entries.to_vec();
    for entry in &mut entries {
        if let Some(FacetOp::Ballot { before: place, .. }) = &mut entry.facet {
            place.clone_from(&before);
        }
    }
    Ok(Some(Cast::Counts {
        entries,
        record: (voter.clone(), NewUserRecord { record }),
    }))
}

/// What a record says.
#[must_use]
pub fn ballots_of(record: Option<&UserRecord>) -> Ballots {
    let record = record.filter(|record| !record.gone);
    let ballots = record.and_then(|record| decode(&record.body).ok());
    ballots.unwrap_or(Ballots {
        ballots: Vec::new(),
    })
}

/// `false`: there is no room, and the poll is older than all that are kept. What was taken back is kept too, or its poll could be forgotten
/// and counted twice.
fn put(held: &mut Ballots, poll: Sequence, choices: &[u32]) -> bool {
    let all = &mut held.ballots;
    match all.binary_search_by_key(&poll, |one| one.poll) {
        Ok(place) => {
            if let Some(one) = all.get_mut(place) {
                one.choices = choices.to_vec();
            }
        }
        Err(0) if all.len() >= BALLOTS_MAX => return false,
        Err(place) => {
            let choices = choices.to_vec();
            all.insert(place, Ballot { poll, choices });
            if all.len() > BALLOTS_MAX {
                all.remove(0);
            }
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_polls_are_kept() {
        let mut held = ballots_of(None);
        let most = BALLOTS_MAX as Sequence;
        for poll in (1..=most).rev() {
            assert!(put(&mut held, poll * 2, &[1]), "{poll}");
        }
        assert!(!put(&mut held, 1, &[0]), "older than all");
        assert!(put(&mut held, 2, &[]), "kept, though taken back");
        assert_eq!(held.choices(2), [0u32; 0]);
        assert!(put(&mut held, 5, &[0, 2]));
        assert_eq!(held.ballots.len(), BALLOTS_MAX);
        assert!(
            !put(&mut held, 2, &[0]),
            "forgotten, and so closed to this user"
        );
        assert_eq!((held.choices(5), held.choices(6)), (&[0, 2][..], &[1][..]));
        assert!(encode(&held).len() < 8 * 1024);
    }
}
