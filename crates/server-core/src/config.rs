//! Settings of a node and what it counts.

use crate::Breaks;

/// Several devices of one user at once.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum DevicePolicy {
    /// All.
    #[default]
    All,
    /// One per platform; the newest wins.
    OnePerPlatform,
    /// One; the newest wins.
    One,
}

/// Settings of a node. A rate of 0 has no limit.
#[derive(Clone, Debug)]
pub struct NodeConfig {
    /// Direct messages per second and user.
    pub rate_direct_per_s: u32,
    /// Group messages per second and user.
    pub rate_group_per_s: u32,
    /// Entries per second and conversation.
    pub rate_conversation_per_s: u32,
    /// Other requests per second and user.
    pub rate_requests_per_s: u32,
    /// Members of a group.
    pub group_members_max: usize,
    /// Members of a public conversation.
    pub public_members_max: usize,
    /// Members of a meeting.
    pub meeting_members_max: usize,
    /// Members above which a member's new name or attributes make no entry.
    pub member_entries_max: usize,
    /// Several devices at once.
    pub device_policy: DevicePolicy,
    /// Age to which a message may be edited by its author, in ms.
    pub edit_window_ms: u64,
    /// Age to which a message may be recalled by its author, in ms.
    pub recall_window_ms: u64,
    /// Moderators may see what a message said before it was edited or recalled. Without it that is gone from the disk at once.
    pub keep_revisions: bool,
    /// Messages with a link ask for its page ([`Node::poll_preview`](crate::Node::poll_preview)).
    pub previews: bool,
    /// Conversations kept in memory.
    pub conversations_max: usize,
    /// Operations submitted and not answered; above it requests are refused as overloaded.
    pub store_pending_max: usize,
    /// Sessions of this node.
    pub sessions_max: usize,
    /// Built-in faults, for the simulator.
    pub breaks: Breaks,
}

impl Default for NodeConfig {
    fn default() -> Self {
        use fireside_protocol::limits;
        Self {
            rate_direct_per_s: limits::RATE_DIRECT_PER_S,
            rate_group_per_s: limits::RATE_GROUP_PER_S,
            rate_conversation_per_s: limits::RATE_CONVERSATION_PER_S,
            rate_requests_per_s: limits::RATE_REQUESTS_PER_S,
            group_members_max: limits::GROUP_MEMBERS_MAX,
            public_members_max: limits::PUBLIC_MEMBERS_MAX,
            meeting_members_max: limits::MEETING_MEMBERS_MAX,
            member_entries_max: limits::MEMBER_ENTRIES_MAX,
            device_policy: DevicePolicy::All,
            edit_window_ms: 15 * 60_000,
            recall_window_ms: 15 * 60_000,
            keep_revisions: true,
            previews: false,
            conversations_max: 100_000,
            store_pending_max: 16_384,
            sessions_max: 50_000,
            breaks: Breaks::default(),
        }
    }
}

/// What a node counted since it started; for metrics, the simulator and the proofs.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[expect(missing_docs, reason = "named after what they count")]
pub struct Counters {
    pub appended: u64,
    pub known_nonces: u64,
    pub stale: u64,
    pub out_of_order: u64,
    pub refused_for_good: u64,
    pub entries_sent: u64,
    pub skips: u64,
    pub behind: u64,
    pub heads_sent: u64,
    pub receipts_sent: u64,
    pub typing_sent: u64,
    pub transients_sent: u64,
    /// No room, or fallen behind.
    pub transients_lost: u64,
    /// Pages asked for.
    pub previews_wanted: u64,
    /// Entries that add what a page says.
    pub previews_added: u64,
    pub rate_limited: u64,
    pub overloaded: u64,
    pub store_errors: u64,
    pub loads: u64,
    pub evictions: u64,
    pub logins: u64,
    pub logins_refused: u64,
    /// Sessions ended by the node.
    pub kicked: u64,
    /// Now, not since the start.
    pub sessions: u64,
    /// Now: users with a session.
    pub users: u64,
    /// Now: conversations in memory.
    pub conversations: u64,
    /// Now: conversations this node knows anything of: in memory, with members online, or with something going on.
    pub conversations_known: u64,
    /// Now: conversations in which something is going on.
    pub conversations_busy: u64,
    /// Now: operations submitted and not answered.
    pub store_pending: u64,
}
