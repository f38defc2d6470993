//! Numbers that fields and arguments take. Never used again once given; a newer library may send more of them.

/// The version of this header. fireside_abi_version must answer the same: a wrapper refuses another library.
pub const FIRESIDE_ABI_VERSION: u32 = 1;

/// The server has a certificate for its name by an authority of the web.
pub const FIRESIDE_TRUST_ROOTS: u32 = 0;
/// The server has the certificate whose SHA-256 is fireside_config.fingerprint. Its name and dates are not looked at.
pub const FIRESIDE_TRUST_PINNED: u32 = 1;

/// Resumed connections send no reads with their first packet.
pub const FIRESIDE_CONFIG_NO_EARLY_DATA: u32 = 1;

/// A call is done; each call gets exactly one. Fields: request, status, detail (FIRESIDE_RESULT_*), text and delay_ms if it failed.
pub const FIRESIDE_EVENT_COMPLETED: u32 = 1;
/// The connection's state. Fields: detail (FIRESIDE_STATE_*), and what its constant says.
pub const FIRESIDE_EVENT_STATE: u32 = 2;
/// The token ends soon: give a new one. Fields: delay_ms.
pub const FIRESIDE_EVENT_TOKEN_EXPIRING: u32 = 3;
/// The cache on disk can not be used; the client goes on in memory. Fields: text (why).
pub const FIRESIDE_EVENT_MEMORY_MODE: u32 = 4;
/// A change of the conversation list. Fields: generation, detail (FIRESIDE_CHANGE_*), index, to, first and count (conversation_rows).
pub const FIRESIDE_EVENT_CONVERSATIONS: u32 = 5;
/// A change of an open timeline. Fields: conversation, generation, detail (FIRESIDE_CHANGE_*), index, to, first and count
/// (timeline_rows).
pub const FIRESIDE_EVENT_TIMELINE: u32 = 6;
/// Messages of others arrived live, in their order. A notice: views are the truth. Fields: first and count (messages).
pub const FIRESIDE_EVENT_MESSAGE_RECEIVED: u32 = 7;
/// So many messages found no room among those of MESSAGE_RECEIVED. Fields: count.
pub const FIRESIDE_EVENT_MISSED: u32 = 8;
/// Somebody invites the user. Fields: conversation, user (by whom), text (the conversation's name).
pub const FIRESIDE_EVENT_INVITED: u32 = 9;
/// Somebody types or stopped. Fields: conversation, user, flag.
pub const FIRESIDE_EVENT_TYPING: u32 = 10;
/// How near the device is to what the server has; comes behind the changes that it speaks of. Fields: detail (FIRESIDE_SYNC_*).
pub const FIRESIDE_EVENT_SYNC: u32 = 11;

/// Not connected, or what was missed is still on its way.
pub const FIRESIDE_SYNC_BEHIND: u32 = 0;
/// The list and its unread counts are the server's, and the newest page of every direct conversation, and of every other one with
/// something unread, is held. Stays while the connection lasts.
pub const FIRESIDE_SYNC_NEWEST: u32 = 1;
/// With fireside_client_set_background_fill: all there is to read is in the cache.
pub const FIRESIDE_SYNC_COMPLETE: u32 = 2;

/// Done, or failed (see status).
pub const FIRESIDE_RESULT_DONE: u32 = 0;
/// A message is on the server's disk. Fields: conversation, nonce, sequence, at_ms.
pub const FIRESIDE_RESULT_SENT: u32 = 1;
/// A conversation was made. Fields: conversation.
pub const FIRESIDE_RESULT_CREATED: u32 = 2;
/// Older messages are in the view. Fields: count, flag (nothing is older).
pub const FIRESIDE_RESULT_LOADED: u32 = 3;
/// Members. Fields: first and count (members), flag (there are more).
pub const FIRESIDE_RESULT_MEMBERS: u32 = 4;
/// Devices. Fields: first and count (devices).
pub const FIRESIDE_RESULT_DEVICES: u32 = 5;
/// Messages that a search found. Fields: first and count (found).
pub const FIRESIDE_RESULT_FOUND: u32 = 6;
/// Pinned messages, newest first. Fields: first and count (timeline rows), flag (there are more: ask before the last one's number).
pub const FIRESIDE_RESULT_PINS: u32 = 7;

/// Not asked to connect.
pub const FIRESIDE_STATE_OFFLINE: u32 = 0;
/// First try.
pub const FIRESIDE_STATE_CONNECTING: u32 = 1;
/// Logged in.
pub const FIRESIDE_STATE_CONNECTED: u32 = 2;
/// The connection was lost. Fields: count (which try), delay_ms (until it; 0 under way).
pub const FIRESIDE_STATE_RECONNECTING: u32 = 3;
/// The server said no; nothing is tried until there is a new token or another connect. Fields: status, text, at_ms (until).
pub const FIRESIDE_STATE_REFUSED: u32 = 4;

/// A row comes in at index.
pub const FIRESIDE_CHANGE_INSERT: u32 = 1;
/// The row at index is this now.
pub const FIRESIDE_CHANGE_SET: u32 = 2;
/// The row at index goes. No rows.
pub const FIRESIDE_CHANGE_REMOVE: u32 = 3;
/// The row at index is taken out and put in at to. No rows.
pub const FIRESIDE_CHANGE_MOVE: u32 = 4;
/// Everything anew: the rows are the whole view.
pub const FIRESIDE_CHANGE_RESET: u32 = 5;

/// A kind that this library does not know.
pub const FIRESIDE_BODY_UNKNOWN: u32 = 0;
/// A text.
pub const FIRESIDE_BODY_TEXT: u32 = 1;
/// Taken back.
pub const FIRESIDE_BODY_RECALLED: u32 = 2;
/// The conversation was made.
pub const FIRESIDE_BODY_CREATED: u32 = 3;
/// A user came.
pub const FIRESIDE_BODY_JOINED: u32 = 4;
/// A user went.
pub const FIRESIDE_BODY_LEFT: u32 = 5;
/// A user was removed by the sender.
pub const FIRESIDE_BODY_REMOVED: u32 = 6;
/// A user got a role.
pub const FIRESIDE_BODY_ROLE: u32 = 7;
/// Messages between two rows are not loaded yet.
pub const FIRESIDE_BODY_HOLE: u32 = 8;
/// Its time is over: nothing is left of it.
pub const FIRESIDE_BODY_EXPIRED: u32 = 9;

/// In the outbox.
pub const FIRESIDE_MESSAGE_SENDING: u32 = 1;
/// On the server's disk.
pub const FIRESIDE_MESSAGE_SENT: u32 = 2;
/// On a device of the peer (direct).
pub const FIRESIDE_MESSAGE_DELIVERED: u32 = 3;
/// Read by the peer (direct).
pub const FIRESIDE_MESSAGE_READ: u32 = 4;
/// Refused for good; fireside_message_retry or fireside_message_discard.
pub const FIRESIDE_MESSAGE_FAILED: u32 = 5;
/// Waits for a moderator.
pub const FIRESIDE_MESSAGE_HELD: u32 = 6;
/// Somebody else's.
pub const FIRESIDE_MESSAGE_RECEIVED: u32 = 7;

/// Two users; made by the first message.
pub const FIRESIDE_KIND_DIRECT: u32 = 1;
/// By invitation only.
pub const FIRESIDE_KIND_GROUP: u32 = 2;
/// Open or on request.
pub const FIRESIDE_KIND_PUBLIC: u32 = 3;
/// Temporary.
pub const FIRESIDE_KIND_MEETING: u32 = 4;
/// Broadcast.
pub const FIRESIDE_KIND_LIVE: u32 = 5;
/// A space of channels.
pub const FIRESIDE_KIND_COMMUNITY: u32 = 6;
/// Whoever is near.
pub const FIRESIDE_KIND_PROXIMITY: u32 = 7;
/// Of a community.
pub const FIRESIDE_KIND_CHANNEL: u32 = 8;
/// Under a message.
pub const FIRESIDE_KIND_THREAD: u32 = 9;

/// May write.
pub const FIRESIDE_ROLE_MEMBER: u32 = 1;
/// May invite, remove members and recall their messages.
pub const FIRESIDE_ROLE_ADMIN: u32 = 2;
/// Made the conversation or got it.
pub const FIRESIDE_ROLE_OWNER: u32 = 3;

/// What joiners of a group see of what was said before: everything.
pub const FIRESIDE_HISTORY_ALL: u64 = u64::MAX;
