//! Where what the game reads lives: texts in blocks, one behind the other, and a user once. A burst is then read from few pieces of
//! memory. They are kept here a little longer than the game needs them, so that they are freed by the thread that allocated them.

use std::{collections::VecDeque, sync::Arc};

use bytes::{Bytes, BytesMut};
use bytestring::ByteString;
use fireside_protocol::UserId;

use crate::{
    sorted::Map,
    view::{Body, TimelineRow},
};

/// Bytes of a block. A notice that is kept keeps its whole block.
const BLOCK_BYTES: usize = 8 * 1024;
/// Users known at once; then they are learned anew.
const USERS_MAX: usize = 256;
/// Bytes kept until the game is done with them: three screens and a burst of a thousand messages, twice. Beyond it the oldest are let
/// go, and whoever is done with them last frees them.
const KEPT_BYTES_MAX: usize = 512 * 1024;

/// Lends memory to events.
#[derive(Debug, Default)]
pub(crate) struct Lent {
    block: BytesMut,
    users: Map<UserId, ()>,
    kept: VecDeque<(usize, Kept)>,
    kept_bytes: usize,
}

#[derive(Debug)]
enum Kept {
    Block(Bytes),
    Rows(Arc<[TimelineRow]>),
}

impl Kept {
    /// Nobody else has it any more.
    fn is_over(&self) -> bool {
        match self {
            Self::Block(block) => block.is_unique(),
            Self::Rows(rows) => Arc::strong_count(rows) == 1,
        }
    }
}

impl Lent {
    /// A notice's text in the newest block.
    pub(crate) fn text(&mut self, text: &str) -> Option<ByteString> {
        if self.block.capacity() < text.len() {
            self.block = BytesMut::with_capacity(BLOCK_BYTES.max(text.len()));
            // Nothing of it, but it keeps the block.
            let bytes = self.block.capacity();
            let block = self.block.split().freeze();
            self.keep(bytes, Kept::Block(block));
        }
        self.block.extend_from_slice(text.as_bytes());
        ByteString::try_from(self.block.split().freeze()).ok()
    }

    fn keep(&mut self, bytes: usize, kept: Kept) {
        self.kept.retain(|(bytes, kept)| {
            let over = kept.is_over();
            if over {
                self.kept_bytes -= bytes;
            }
            !over
        });
        self.kept.push_back((bytes, kept));
        self.kept_bytes += bytes;
        while self.kept_bytes > KEPT_BYTES_MAX
            && let Some((bytes, _)) = self.kept.pop_front()
        {
            self.kept_bytes -= bytes;
        }
    }

    /// The same user, in the memory that they had first.
    pub(crate) fn user(&mut self, user: &UserId) -> UserId {
        if let Some(known) = self.users.key(user) {
            return known.clone();
        }
        if self.users.len() >= USERS_MAX {
            self.users.clear();
        }
        self.users.insert(user.clone(), ());
        user.clone()
    }

    /// The rows of a reset, with their texts in a block of their own: as the items hold them, each text and each user of a row is a
    /// piece of memory somewhere, and the game's thread would wait for every one of them.
    pub(crate) fn rows(&mut self, rows: &[TimelineRow]) -> Arc<[TimelineRow]> {
        let texts = || rows.iter().filter_map(text_of);
        let mut block = String::with_capacity(texts().map(|text| text.len()).sum());
        block.extend(texts().map(|text| &**text));
        let bytes = block.len() + size_of_val(rows);
        let (block, mut from) = (ByteString::from(block), 0);
        let rows: Arc<[TimelineRow]> = rows
            .iter()
            .map(|row| {
                let sender = self.user(&row.sender);
                let lent = text_of(row).and_then(|text| {
                    let end = from + text.len();
                    let lent = block.get(from..end).map(|text| block.slice_ref(text));
                    from = end;
                    lent
                });
                TimelineRow {
                    sender,
                    body: lent.map_or_else(|| row.body.clone(), Body::Text),
                    state: row.state.clone(),
                    reactions: row.reactions.clone(),
                    details: row.details.clone(),
                    ..*row
                }
            })
            .collect();
        self.keep(bytes, Kept::Rows(rows.clone()));
        rows
    }
}

fn text_of(row: &TimelineRow) -> Option<&ByteString> {
    match &row.body {
        Body::Text(text) => Some(text),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::view::{MessageState, ReadBy};

    #[test]
    fn texts_lie_behind_each_other_and_stay_as_they_were() {
        let mut lent = Lent::default();
        let texts: Vec<String> = (0..500).map(|n| format!("message {n} \u{1f525}")).collect();
        let kept: Vec<_> = texts.iter().map(|text| lent.text(text).unwrap()).collect();
        assert!(kept.iter().zip(&texts).all(|(kept, text)| **kept == **text));
        let (first, second) = (kept[0].as_bytes().as_ptr_range(), kept[1].as_ptr());
        assert_eq!(first.end, second, "one block");
        let long = "x".repeat(3 * BLOCK_BYTES);
        assert_eq!(*lent.text(&long).unwrap(), *long);
    }

    #[test]
    fn users_are_bounded() {
        let mut lent = Lent::default();
        for n in 0..10 * USERS_MAX {
            let user = UserId::new(&format!("user-{n}")).unwrap();
            assert_eq!(lent.user(&user), user);
            assert!(lent.users.len() <= USERS_MAX);
        }
    }

    #[test]
    fn rows_are_as_they_were_and_their_texts_lie_behind_each_other() {
        let row = |n: u64, body| TimelineRow {
            row: n,
            sequence: Some(n),
            nonce: None,
            sender: UserId::new("a").unwrap(),
            at: n,
            body,
            state: MessageState::Received,
            edited: n.is_multiple_of(2),
            read_by: ReadBy::default(),
            pinned: n == 3,
            reactions: None,
            details: None,
        };
        let rows = [
            row(1, Body::Text("one".into())),
            row(2, Body::Created("a name".into())),
            row(3, Body::Text("".into())),
            row(4, Body::Text("\u{1f525} four".into())),
            row(5, Body::Hole),
        ];
        let lent = Lent::default().rows(&rows);
        assert_eq!(*lent, rows);
        let (one, four) = (text_of(&lent[0]).unwrap(), text_of(&lent[3]).unwrap());
        assert_eq!(one.as_bytes().as_ptr_range().end, four.as_ptr());
        assert!(Lent::default().rows(&[]).is_empty());
    }

    #[test]
    fn what_the_game_is_done_with_is_freed_and_the_rest_is_bounded() {
        let mut lent = Lent::default();
        let text = "x".repeat(BLOCK_BYTES);
        let mut game: Vec<_> = (0..4).map(|_| lent.text(&text).unwrap()).collect();
        game.push(lent.text(&text).unwrap());
        assert_eq!(lent.kept.len(), 5);
        game.truncate(1);
        let rows = lent.rows(&[]);
        assert_eq!(
            lent.kept.len(),
            2 + 1,
            "the game's, the newest and the rows"
        );
        drop(rows);
        for _ in 0..2 * KEPT_BYTES_MAX / BLOCK_BYTES {
            game.push(lent.text(&text).unwrap());
            let bytes: usize = lent.kept.iter().map(|(bytes, _)| bytes).sum();
            assert_eq!(bytes, lent.kept_bytes);
            assert!(bytes <= KEPT_BYTES_MAX);
        }
        assert!(game.iter().all(|kept| **kept == *text));
    }
}
