//! Faults built in on purpose, so that the simulator can prove that it would notice them. All off in production.

/// Which faults are on (server side).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "a set of switches")]
pub struct Breaks {
    /// A repeated nonce makes a second entry.
    pub dedupe: bool,
    /// Known nonces are forgotten by a restart.
    pub dedupe_after_restart: bool,
    /// The ack is sent when the append is submitted, not when it is durable.
    pub ack_before_sync: bool,
    /// Withheld entries are left out instead of skipped.
    pub skip_omitted: bool,
    /// `append` does not compare versions: a removed member's message slips in behind the removal.
    pub removal_race: bool,
    /// A failed commit keeps its overlay.
    pub overlay_kept: bool,
    /// Unread counts drift.
    pub unread_drift: bool,
    /// A reaction behind the block of a direct conversation reaches the peer.
    pub reaction_under_block: bool,
    /// A recalled message keeps its reactions.
    pub recall_keeps_facets: bool,
    /// A message leaves the draft that it was.
    pub draft_stays: bool,
    /// A request for a friendship passes a block.
    pub friend_through_block: bool,
    /// Others are told how far who tells nothing has read.
    pub receipts_off_ignored: bool,
    /// A second vote stands beside the first.
    pub vote_twice: bool,
    /// Everybody sees the answers to a card.
    pub answers_for_all: bool,
    /// What a user deleted for themselves comes back.
    pub deleted_comes_back: bool,
}
