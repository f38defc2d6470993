//! The driver's bounds, each with its reason.

/// Calls that have no completion delivered yet; more answer `busy`. Their places in the completion queue are theirs from the start.
pub const PENDING_CALLS_MAX: usize = 1_024;
/// Connection states and the like that wait beside the completions.
pub const STATES_MAX: usize = 64;
/// View events that wait for a tick; the rest stays in the core, where diffs are merged, and comes a frame later: what eight messages a
/// frame change is shown at once, and a burst costs the frame no event for each.
pub const VIEW_EVENTS_MAX: usize = 16;
/// Notices that wait for a tick; more become `missed`.
pub const NOTICES_MAX: usize = 1_024;
/// Ephemeral events that wait for a tick.
pub const EPHEMERAL_MAX: usize = 64;
/// Keys (who types where, whose presence) of ephemeral events that wait for room; the newest event of a key replaces the one before. All whose
/// presence a session is told of have a place: a server says it once.
pub const EPHEMERAL_KEYS_MAX: usize = 256 + fireside_protocol::limits::WATCHED_USERS_MAX;
/// Bytes that wait to be written to one link; a link that takes nothing for so long is dead.
pub const LINK_QUEUE_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Frames read and not yet handled; the network waits beyond.
pub const INBOUND_FRAMES_MAX: usize = 128;
/// Page streams open at once: each may hold a page of 1 MiB.
pub const PAGE_STREAMS_MAX: usize = 16;
/// Page requests that wait for a stream.
pub const PAGE_QUEUE_MAX: usize = 256;
/// One-way streams a server may have open to us at once.
pub const SERVER_STREAMS_MAX: u32 = 8;
/// Operations that wait for the disk.
pub const STORE_OPS_MAX: usize = 1_024;
/// Operations carried out in one disk transaction.
pub const STORE_BATCH_MAX: usize = 64;
/// Writes that nobody waits for wait this long for others, while pages are on their way, in ms: they cost less together, and a game
/// that catches up gets its list sooner. What a crash takes with it is asked for again.
pub const STORE_HOLD_MS: u64 = 100;
/// Items kept in memory when there is no folder.
pub const MEMORY_ITEMS_MAX: usize = 200_000;
/// Time between two looks at the route to the server, in ms.
pub const ROUTE_CHECK_MS: u64 = 2_000;
/// Longest wait of `shutdown`, in ms: the one call a game may wait for.
pub const SHUTDOWN_MS_MAX: u64 = 250;
/// Droppable frames are dropped when this many bytes wait before them.
pub const DROPPABLE_BACKLOG_BYTES_MAX: usize = 16 * 1024;
/// Results of one search.
pub const SEARCH_RESULTS_MAX: u32 = 200;
/// Searches that wait for the client's thread, and as many for the index.
pub const SEARCHES_MAX: usize = 16;
