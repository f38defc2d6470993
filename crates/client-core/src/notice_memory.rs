//! Where the texts of notices live: in blocks, one behind the other. A burst of messages is then read from few pieces of memory and
//! freed with as few calls, by a thread (the game's) that did not allocate them.

use std::collections::BTreeSet;

use bytes::BytesMut;
use bytestring::ByteString;
use fireside_protocol::UserId;

/// Bytes of a block. A notice that is kept keeps its whole block.
const BLOCK_BYTES: usize = 8 * 1024;
/// Senders known at once; then they are learned anew.
const SENDERS_MAX: usize = 256;

/// Lends memory to notices.
#[derive(Debug, Default)]
pub(crate) struct NoticeMemory {
    block: BytesMut,
    senders: BTreeSet<UserId>,
}

impl NoticeMemory {
    /// A text in the newest block.
    pub(crate) fn text(&mut self, text: &str) -> Option<ByteString> {
        if self.block.capacity() < text.len() {
            self.block = BytesMut::with_capacity(BLOCK_BYTES.max(text.len()));
        }
        self.block.extend_from_slice(text.as_bytes());
        ByteString::try_from(self.block.split().freeze()).ok()
    }

    /// The same user, in the memory of the first notice of them.
    pub(crate) fn sender(&mut self, user: &UserId) -> UserId {
        if let Some(known) = self.senders.get(user) {
            return known.clone();
        }
        if self.senders.len() >= SENDERS_MAX {
            self.senders.clear();
        }
        self.senders.insert(user.clone());
        user.clone()
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn texts_lie_behind_each_other_and_stay_as_they_were() {
        let mut memory = NoticeMemory::default();
        let texts: Vec<String> = (0..500).map(|n| format!("message {n} \u{1f525}")).collect();
        let kept: Vec<_> = texts
            .iter()
            .map(|text| memory.text(text).unwrap())
            .collect();
        assert!(kept.iter().zip(&texts).all(|(kept, text)| **kept == **text));
        let (first, second) = (kept[0].as_bytes().as_ptr_range(), kept[1].as_ptr());
        assert_eq!(first.end, second, "one block");
        let long = "x".repeat(3 * BLOCK_BYTES);
        assert_eq!(*memory.text(&long).unwrap(), *long);
    }

    #[test]
    fn senders_are_bounded() {
        let mut memory = NoticeMemory::default();
        for n in 0..10 * SENDERS_MAX {
            let user = UserId::new(&format!("user-{n}")).unwrap();
            assert_eq!(memory.sender(&user), user);
            assert!(memory.senders.len() <= SENDERS_MAX);
        }
    }
}
