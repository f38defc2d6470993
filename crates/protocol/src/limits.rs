//! Every bound of the wire in one table, each with its reason.

/// Largest frame on the session and crowd streams, header included, in bytes: a 16 KiB text with its header and room to grow.
pub const FRAME_BYTES_MAX: usize = 64 * 1024;
/// Largest frame on a page stream, header included, in bytes: 500 items of 2 KiB.
pub const PAGE_FRAME_BYTES_MAX: usize = 1024 * 1024;
/// Largest datagram payload in bytes: fits the smallest path QUIC allows (1,200) with its own headers.
pub const DATAGRAM_BYTES_MAX: usize = 1_000;
/// Bytes before a body: length (4), kind (2), request id (4).
pub const FRAME_HEADER_BYTES: usize = 10;
/// Nesting of maps and arrays in a body.
pub const DEPTH_MAX: u8 = 16;
/// Fields in one map, unknown ones included.
pub const FIELDS_MAX: u32 = 64;
/// Elements in one array: a page of 500 items and 500 changes stays far below.
pub const LIST_ITEMS_MAX: u32 = 4_096;
/// Bytes of a map key.
pub const KEY_BYTES_MAX: usize = 32;

/// Bytes of a user id (the token's `sub`).
pub const USER_ID_BYTES_MAX: usize = 64;
/// Bytes of a log-in token: an EdDSA JWT with generous claims is under 2 KiB.
pub const TOKEN_BYTES_MAX: usize = 8 * 1024;
/// Bytes of a message's content as stored.
pub const CONTENT_BYTES_MAX: usize = 20 * 1024;
/// Bytes of a message's text (UTF-8).
pub const TEXT_BYTES_MAX: usize = 16 * 1024;
/// Grapheme clusters of a message's text.
pub const TEXT_GRAPHEMES_MAX: usize = 4_000;
/// Bytes of a name (user, conversation) in UTF-8.
pub const NAME_BYTES_MAX: usize = 256;
/// Grapheme clusters of a name.
pub const NAME_GRAPHEMES_MAX: usize = 64;
/// Bytes of an id that a game made (a sticker, an item, an element of a card), of a media type or a rarity.
pub const ID_BYTES_MAX: usize = 128;
/// Bytes of a reference to a file, or of an address in a message.
pub const REFERENCE_BYTES_MAX: usize = 1_024;
/// Bytes of a label, a file's name, a poll's question or one of its options in UTF-8.
pub const LABEL_BYTES_MAX: usize = 400;
/// Grapheme clusters of the same.
pub const LABEL_GRAPHEMES_MAX: usize = 100;
/// Spans of a text: one for every 40 characters of the longest.
pub const SPANS_MAX: usize = 100;
/// Pictures in one message.
pub const ATTACHMENTS_MAX: usize = 10;
/// Bytes of a file's hash: SHA-256, or SHA-512.
pub const HASH_BYTES_MAX: usize = 64;
/// Bytes of a very small picture: a blurhash has under 40.
pub const BLUR_BYTES_MAX: usize = 128;
/// Bytes of a waveform: as wide as a voice message is shown.
pub const WAVEFORM_BYTES_MAX: usize = 256;
/// Bytes of an item's tooltip, and of its signature.
pub const ITEM_DATA_BYTES_MAX: usize = 1_024;
/// Bytes of the data and of the text of a live object, each: it is kept twice, as it began and as it is.
pub const LIVE_DATA_BYTES_MAX: usize = 2 * 1024;
/// A live object makes an entry at most once in this, in ms: the log must not be flooded.
pub const LIVE_INTERVAL_MS: u64 = 5_000;
/// Messages forwarded together; in bytes a merged message is bounded as any.
pub const FORWARD_COPIES_MAX: usize = 100;
/// Messages that a forwarded one goes back to, those of what was forwarded before included: each is a row.
pub const FORWARD_SOURCES_MAX: usize = 200;
/// What a poll offers at least.
pub const POLL_OPTIONS_MIN: usize = 2;
/// What a poll offers at most.
pub const POLL_OPTIONS_MAX: usize = 20;
/// Votes in a poll, of all options.
pub const VOTES_MAX: usize = 500;
/// Bytes of a poll's votes as they are encoded.
pub const VOTES_BYTES_MAX: usize = 7 * 1024;
/// Anonymous polls of a conversation, the newest, for which it is kept what a user chose.
pub const BALLOTS_MAX: usize = 128;
/// Pages of a card.
pub const CARD_PAGES_MAX: usize = 10;
/// Elements of a card, of all its pages.
pub const CARD_ELEMENTS_MAX: usize = 25;
/// Options of an element of a card.
pub const CARD_OPTIONS_MAX: usize = 25;
/// Bytes of one value of an answer to a card in UTF-8.
pub const ANSWER_BYTES_MAX: usize = 1_024;
/// Messages deleted for oneself by one request.
pub const DELETES_PER_REQUEST_MAX: usize = 100;
/// Runs of messages deleted for oneself, per conversation and user: whoever deletes more clears the history.
pub const DELETED_RUNS_MAX: usize = 256;
/// Earlier revisions kept of a message; the oldest makes room, but never the first.
pub const REVISIONS_MAX: usize = 50;
/// Named mentions in a message: each is a row.
pub const MENTIONS_MAX: usize = 50;

/// Roles named in a message.
pub const MENTION_ROLES_MAX: usize = 10;

/// Bytes of a reaction's key (an emoji with its modifiers is under 40).
pub const REACTION_KEY_BYTES_MAX: usize = 64;
/// Keys that a message's reactions have at most.
pub const REACTION_KEYS_MAX: usize = 20;
/// Reactions to a message, of all keys.
pub const REACTIONS_MAX: usize = 500;
/// Bytes of a message's reactions as they are encoded: 500 of users whose ids have 10 bytes, 100 of those with 64. With the largest
/// content and header the message still fits half a page.
pub const REACTIONS_BYTES_MAX: usize = 7 * 1024;
const _: () = assert!(
    CONTENT_BYTES_MAX + MENTIONS_MAX * (USER_ID_BYTES_MAX + 2) + REACTIONS_BYTES_MAX + 512
        <= PAGE_CONTENT_BYTES_MAX / 2
);
// The same of a poll and of a live object, whose contents are smaller.
const _: () = assert!(
    (POLL_OPTIONS_MAX + 1) * (LABEL_BYTES_MAX + 3)
        + MENTIONS_MAX * (USER_ID_BYTES_MAX + 2)
        + VOTES_BYTES_MAX
        + REACTIONS_BYTES_MAX
        + 512
        <= PAGE_CONTENT_BYTES_MAX / 2
);
const _: () = assert!(
    4 * LIVE_DATA_BYTES_MAX
        + MENTIONS_MAX * (USER_ID_BYTES_MAX + 2)
        + REACTIONS_BYTES_MAX
        + 4 * ID_BYTES_MAX
        + 512
        <= PAGE_CONTENT_BYTES_MAX / 2
);
/// Bytes of the title of a link's preview in UTF-8.
pub const PREVIEW_TITLE_BYTES_MAX: usize = 400;
/// Grapheme clusters of the same: more is no title.
pub const PREVIEW_TITLE_GRAPHEMES_MAX: usize = 120;
/// Bytes of what a link's preview says in UTF-8.
pub const PREVIEW_DESCRIPTION_BYTES_MAX: usize = 1_200;
/// Grapheme clusters of the same: three lines of a chat box.
pub const PREVIEW_DESCRIPTION_GRAPHEMES_MAX: usize = 300;
/// Bytes of a content that may have a preview: with all else that a message may have it still fits half a page.
pub const PREVIEW_CONTENT_BYTES_MAX: usize = 16 * 1024;
const _: () = assert!(
    PREVIEW_CONTENT_BYTES_MAX
        + MENTIONS_MAX * (USER_ID_BYTES_MAX + 2)
        + REACTIONS_BYTES_MAX
        + 2 * REFERENCE_BYTES_MAX
        + PREVIEW_TITLE_BYTES_MAX
        + PREVIEW_DESCRIPTION_BYTES_MAX
        + NAME_BYTES_MAX
        + 512
        <= PAGE_CONTENT_BYTES_MAX / 2
);
/// Pinned messages of a conversation: all fit one page.
pub const PINS_MAX: usize = 50;

/// Bytes of a conversation's description in UTF-8.
pub const DESCRIPTION_BYTES_MAX: usize = 2_000;
/// Grapheme clusters of a conversation's description.
pub const DESCRIPTION_GRAPHEMES_MAX: usize = 500;
/// Bytes of a reference to a picture: an address, or a name of the game's own.
pub const PICTURE_BYTES_MAX: usize = 256;
/// Attributes of a conversation: the game's own notes, not its data.
pub const ATTRIBUTES_MAX: usize = 16;
/// Bytes of an attribute's key.
pub const ATTRIBUTE_KEY_BYTES_MAX: usize = 32;
/// Bytes of an attribute's value.
pub const ATTRIBUTE_VALUE_BYTES_MAX: usize = 256;
/// Roles of a conversation's own: a list that somebody can still read.
pub const OWN_ROLES_MAX: usize = 16;
/// Channels of a community that whoever comes into it comes into too: each is an entry.
pub const DEFAULT_CHANNELS_MAX: usize = 20;
/// Channels or threads in a page.
pub const CHILDREN_PAGE_MAX: u32 = 100;
/// Longest slow mode, in ms: 6 h.
pub const SLOW_MODE_MS_MAX: u32 = 6 * 3600 * 1000;
/// What a conversation's messages live at least where it is limited, in ms: somebody must have had the time to read them.
pub const LIFETIME_MS_MIN: u64 = 5_000;
/// How far ahead a message may end, and what a conversation's messages live at most where it is limited, in ms: 366 days.
pub const LIFETIME_MS_MAX: u64 = 366 * 24 * 3600 * 1000;
/// Members of a group unless the server's settings say otherwise.
pub const GROUP_MEMBERS_MAX: usize = 200;
/// Members of a public conversation unless the server's settings say otherwise.
pub const PUBLIC_MEMBERS_MAX: usize = 10_000;
/// Members of a meeting unless the server's settings say otherwise.
pub const MEETING_MEMBERS_MAX: usize = 300;
/// A meeting none of whose members has a session ends after this, in ms: 10 min. Time in which the server is down does not count.
pub const MEETING_IDLE_MS: u64 = 10 * 60_000;
/// Members above which a member's new name or attributes make no entry: the log is for what is said.
pub const MEMBER_ENTRIES_MAX: usize = 1_000;
/// Bytes of a prefix that members are looked up by.
pub const MEMBER_PREFIX_BYTES_MAX: usize = 64;
/// Users banned from one conversation.
pub const BANS_MAX: usize = 1_000;
/// Invite links of one conversation that somebody may come in by.
pub const LINKS_MAX: usize = 50;
/// Users who wait in one conversation to be let in: somebody must read the list.
pub const JOIN_REQUESTS_MAX: usize = 1_000;
/// Users named in one invite or group creation.
pub const INVITES_PER_REQUEST_MAX: usize = 100;
/// Blocked users per user.
pub const BLOCKS_MAX: usize = 1_000;
/// Folders of a user: a list to choose from, not a tree.
pub const FOLDERS_MAX: usize = 32;
/// Drafts of a user, of all conversations: with texts of 16 KiB each a device can still load them all.
pub const DRAFTS_MAX: usize = 100;
/// Friends of a user, with those who ask and those who were asked.
pub const FRIENDS_MAX: usize = 1_000;
/// Users whose presence one request asks for.
pub const PRESENCE_USERS_MAX: usize = 100;
/// Users whose profiles one request asks for.
pub const PROFILES_MAX: usize = 100;
/// Users whose presence a session is told of: what fits no screen need not be known.
pub const WATCHED_USERS_MAX: usize = 1_000;
/// A session is told of presence at most once in this, in ms: what changes meanwhile is told together.
pub const PRESENCE_INTERVAL_MS: u64 = 1_000;
/// A session that says nothing of its presence for this long after its log-in is online, in ms: time to say otherwise first.
pub const PRESENCE_GRACE_MS: u64 = 3_000;
/// Bytes of what a game needs to join a player.
pub const JOIN_SECRET_BYTES_MAX: usize = 128;
/// Bytes of what a report says.
pub const REPORT_TEXT_BYTES_MAX: usize = 4 * 1024;
/// Grapheme clusters of what a report says.
pub const REPORT_TEXT_GRAPHEMES_MAX: usize = 1_000;
/// Messages kept with a report on each side of what it is about.
pub const REPORT_CONTEXT: usize = 10;
/// Reports of a user in 24 h: somebody must read them.
pub const REPORTS_PER_DAY_MAX: usize = 20;
/// Time a report is kept with its evidence, in ms: 180 days.
pub const REPORT_RETENTION_MS: u64 = 180 * 24 * 3600 * 1000;
/// A draft is sent at most once in this, in ms: nobody reads it while it is being written.
pub const DRAFT_INTERVAL_MS: u64 = 2_000;
/// Devices kept per user; the one unused longest makes room.
pub const DEVICES_PER_USER_MAX: usize = 16;

/// Conversations a session may have open (on screen) at once.
pub const OPEN_CONVERSATIONS_MAX: usize = 16;
/// Bytes of entries, changes or heads in one answer: with its skips it fits a session's queue. A page ends earlier if it must.
pub const PAGE_CONTENT_BYTES_MAX: usize = 64 * 1024;
/// Bytes of records in a page of the user log: with a page of heads behind it, as a log-in brings it, it fits a session's queue.
pub const USER_LOG_PAGE_BYTES_MAX: usize = 40 * 1024;
/// Largest request on a page stream, header included, in bytes: one that names all held ranges has under 2 KiB. Of all streams that a
/// client may have open together they fit a session's queue.
pub const PAGE_REQUEST_BYTES_MAX: usize = 4 * 1024;
/// Items in a page.
pub const PAGE_ITEMS_MAX: u32 = 500;
/// Items in a page when the request names no number.
pub const PAGE_ITEMS_DEFAULT: u32 = 50;
/// Changes of held items in a page; more answers `reset`.
pub const PAGE_CHANGES_MAX: u32 = 500;
/// Ranges a device names as held, and holes it keeps, per conversation.
pub const HELD_RANGES_MAX: usize = 65;
/// Heads in a page.
pub const HEADS_MAX: u32 = 500;
/// Conversations that one request for heads names: all of them fit a request on a page stream.
pub const HEADS_ONLY_MAX: usize = 200;
const _: () = assert!(HEADS_ONLY_MAX * 18 + 128 <= PAGE_REQUEST_BYTES_MAX);
/// Records in a page of the user log.
pub const USER_RECORDS_MAX: u32 = 500;
/// Members in a page of a member list.
pub const MEMBERS_PAGE_MAX: u32 = 200;
/// Unread is counted to here; more shows as "999+".
pub const UNREAD_COUNT_MAX: u32 = 999;

/// Sends in flight per conversation and device.
pub const SENDS_IN_FLIGHT_MAX: usize = 8;
/// Requests of one session that wait for their answer.
pub const REQUESTS_IN_FLIGHT_MAX: usize = 256;
/// Unsent commands a device keeps.
pub const OUTBOX_ENTRIES_MAX: usize = 1_000;
/// Age at which an unsent command fails with `expired`, in ms: 7 days.
pub const OUTBOX_AGE_MS_MAX: u64 = 7 * 24 * 3600 * 1000;
/// Time the server keeps a nonce's outcome, in ms: 30 days, well above the outbox's age.
pub const NONCE_RETENTION_MS: u64 = 30 * 24 * 3600 * 1000;
/// Time tombstones of the user log stay, in ms: 90 days.
pub const USER_TOMBSTONE_MS: u64 = 90 * 24 * 3600 * 1000;
/// Heads are asked for from the last stamp minus this, in ms: commit order is not clock order.
pub const HEADS_OVERLAP_MS: u64 = 60_000;

/// Bytes that one session may make the server hold, whatever it does: its queue, the transport's windows and buffers both ways, and
/// what a connection takes anyway.
pub const SESSION_BYTES_MAX: usize = 256 * 1024;
/// Bytes queued to one session and not yet taken by its transport, and parts of frames that came from it: a whole page and a second
/// of a busy raid.
pub const SESSION_QUEUE_BYTES_MAX: usize = 112 * 1024;
/// Frames queued to one session before it is marked behind: 4 s of a busy raid.
pub const SESSION_QUEUE_FRAMES_MAX: usize = 512;
/// A hole seen live is asked for after this, in ms: most are only reordering.
pub const HOLE_REPAIR_DELAY_MS: u64 = 250;

/// Direct messages a user may send per second, sustained.
pub const RATE_DIRECT_PER_S: u32 = 10;
/// Group messages a user may send per second, sustained.
pub const RATE_GROUP_PER_S: u32 = 5;
/// Entries a conversation takes per second, from all its members.
pub const RATE_CONVERSATION_PER_S: u32 = 40;
/// Other requests (pages, invites, settings) of a user per second.
pub const RATE_REQUESTS_PER_S: u32 = 50;

/// QUIC keep-alive interval in ms: NATs forget UDP after about 30 s.
pub const KEEP_ALIVE_MS: u64 = 15_000;
/// QUIC idle timeout in ms.
pub const IDLE_TIMEOUT_MS: u64 = 45_000;
/// Silence after which a client with a call pending pings, in ms.
pub const PING_CALL_PENDING_MS: u64 = 2_000;
/// Silence after which a client with chat on screen pings, in ms.
pub const PING_VISIBLE_MS: u64 = 5_000;
/// A ping unanswered for this long makes the client race a second connection, in ms.
pub const PING_TIMEOUT_MS: u64 = 2_000;
/// Accepted clock difference between token issuer and server, in ms.
pub const TOKEN_LEEWAY_MS: u64 = 60_000;
/// The game is told this long before its token ends, in ms.
pub const TOKEN_EXPIRING_MS: u64 = 5 * 60_000;
/// A typing mark ends by itself after this, in ms.
pub const TYPING_TIMEOUT_MS: u64 = 6_000;
/// Members of a group that has receipts: in larger ones nobody looks at who has read what.
pub const RECEIPT_MEMBERS_MAX: usize = 100;
/// Receipts of a conversation are sent to a session at most once in this, in ms.
pub const RECEIPT_INTERVAL_MS: u64 = 500;
