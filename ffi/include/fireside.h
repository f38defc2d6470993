/*
 * Fireside: chat for games. The C interface of the client.
 *
 * Generated from ffi/src by ffi/tests/header.rs (UPDATE_HEADER=1 cargo test -p fireside-ffi); do not edit.
 *
 * Pointers are NULL where their function allows it, or point to what their type says. Texts are UTF-8 and carry
 * their length. Structs that begin with struct_size are set to zero and told their size before use; they only
 * grow at their end. A call that answers anything but FIRESIDE_STATUS_OK did nothing and wrote nothing. No call
 * waits, except fireside_client_destroy: at most 250 ms. ffi/README.md has the model.
 */

#ifndef FIRESIDE_H
#define FIRESIDE_H

#include <stddef.h>
#include <stdint.h>

/**
 * The version of this header. fireside_abi_version must answer the same: a wrapper refuses another library.
 */
#define FIRESIDE_ABI_VERSION 1

/**
 * The server has a certificate for its name by an authority of the web.
 */
#define FIRESIDE_TRUST_ROOTS 0

/**
 * The server has the certificate whose SHA-256 is fireside_config.fingerprint. Its name and dates are not looked at.
 */
#define FIRESIDE_TRUST_PINNED 1

/**
 * Resumed connections send no reads with their first packet.
 */
#define FIRESIDE_CONFIG_NO_EARLY_DATA 1

/**
 * A call is done; each call gets exactly one. Fields: request, status, detail (FIRESIDE_RESULT_*), text and delay_ms if it failed.
 */
#define FIRESIDE_EVENT_COMPLETED 1

/**
 * The connection's state. Fields: detail (FIRESIDE_STATE_*), and what its constant says.
 */
#define FIRESIDE_EVENT_STATE 2

/**
 * The token ends soon: give a new one. Fields: delay_ms.
 */
#define FIRESIDE_EVENT_TOKEN_EXPIRING 3

/**
 * The cache on disk can not be used; the client goes on in memory. Fields: text (why).
 */
#define FIRESIDE_EVENT_MEMORY_MODE 4

/**
 * A change of the conversation list. Fields: generation, detail (FIRESIDE_CHANGE_*), index, to, first and count (conversation_rows).
 */
#define FIRESIDE_EVENT_CONVERSATIONS 5

/**
 * A change of an open timeline. Fields: conversation, generation, detail (FIRESIDE_CHANGE_*), index, to, first and count
 * (timeline_rows).
 */
#define FIRESIDE_EVENT_TIMELINE 6

/**
 * Messages of others arrived live, in their order. A notice: views are the truth. Fields: first and count (messages).
 */
#define FIRESIDE_EVENT_MESSAGE_RECEIVED 7

/**
 * So many messages found no room among those of MESSAGE_RECEIVED. Fields: count.
 */
#define FIRESIDE_EVENT_MISSED 8

/**
 * Somebody invites the user. Fields: conversation, user (by whom), text (the conversation's name).
 */
#define FIRESIDE_EVENT_INVITED 9

/**
 * Somebody types or stopped. Fields: conversation, user, flag.
 */
#define FIRESIDE_EVENT_TYPING 10

/**
 * How near the device is to what the server has; comes behind the changes that it speaks of. Fields: detail (FIRESIDE_SYNC_*).
 */
#define FIRESIDE_EVENT_SYNC 11

/**
 * Not connected, or what was missed is still on its way.
 */
#define FIRESIDE_SYNC_BEHIND 0

/**
 * The list and its unread counts are the server's, and the newest page of every direct conversation, and of every other one with
 * something unread, is held. Stays while the connection lasts.
 */
#define FIRESIDE_SYNC_NEWEST 1

/**
 * With fireside_client_set_background_fill: all there is to read is in the cache.
 */
#define FIRESIDE_SYNC_COMPLETE 2

/**
 * Done, or failed (see status).
 */
#define FIRESIDE_RESULT_DONE 0

/**
 * A message is on the server's disk. Fields: conversation, nonce, sequence, at_ms.
 */
#define FIRESIDE_RESULT_SENT 1

/**
 * A conversation was made. Fields: conversation.
 */
#define FIRESIDE_RESULT_CREATED 2

/**
 * Older messages are in the view. Fields: count, flag (nothing is older).
 */
#define FIRESIDE_RESULT_LOADED 3

/**
 * Members. Fields: first and count (members), flag (there are more).
 */
#define FIRESIDE_RESULT_MEMBERS 4

/**
 * Devices. Fields: first and count (devices).
 */
#define FIRESIDE_RESULT_DEVICES 5

/**
 * Messages that a search found. Fields: first and count (found).
 */
#define FIRESIDE_RESULT_FOUND 6

/**
 * Pinned messages, newest first. Fields: first and count (timeline rows), flag (there are more: ask before the last one's number).
 */
#define FIRESIDE_RESULT_PINS 7

/**
 * Not asked to connect.
 */
#define FIRESIDE_STATE_OFFLINE 0

/**
 * First try.
 */
#define FIRESIDE_STATE_CONNECTING 1

/**
 * Logged in.
 */
#define FIRESIDE_STATE_CONNECTED 2

/**
 * The connection was lost. Fields: count (which try), delay_ms (until it; 0 under way).
 */
#define FIRESIDE_STATE_RECONNECTING 3

/**
 * The server said no; nothing is tried until there is a new token or another connect. Fields: status, text, at_ms (until).
 */
#define FIRESIDE_STATE_REFUSED 4

/**
 * A row comes in at index.
 */
#define FIRESIDE_CHANGE_INSERT 1

/**
 * The row at index is this now.
 */
#define FIRESIDE_CHANGE_SET 2

/**
 * The row at index goes. No rows.
 */
#define FIRESIDE_CHANGE_REMOVE 3

/**
 * The row at index is taken out and put in at to. No rows.
 */
#define FIRESIDE_CHANGE_MOVE 4

/**
 * Everything anew: the rows are the whole view.
 */
#define FIRESIDE_CHANGE_RESET 5

/**
 * A kind that this library does not know.
 */
#define FIRESIDE_BODY_UNKNOWN 0

/**
 * A text.
 */
#define FIRESIDE_BODY_TEXT 1

/**
 * Taken back.
 */
#define FIRESIDE_BODY_RECALLED 2

/**
 * The conversation was made.
 */
#define FIRESIDE_BODY_CREATED 3

/**
 * A user came.
 */
#define FIRESIDE_BODY_JOINED 4

/**
 * A user went.
 */
#define FIRESIDE_BODY_LEFT 5

/**
 * A user was removed by the sender.
 */
#define FIRESIDE_BODY_REMOVED 6

/**
 * A user got a role.
 */
#define FIRESIDE_BODY_ROLE 7

/**
 * Messages between two rows are not loaded yet.
 */
#define FIRESIDE_BODY_HOLE 8

/**
 * Its time is over: nothing is left of it.
 */
#define FIRESIDE_BODY_EXPIRED 9

/**
 * In the outbox.
 */
#define FIRESIDE_MESSAGE_SENDING 1

/**
 * On the server's disk.
 */
#define FIRESIDE_MESSAGE_SENT 2

/**
 * On a device of the peer (direct).
 */
#define FIRESIDE_MESSAGE_DELIVERED 3

/**
 * Read by the peer (direct).
 */
#define FIRESIDE_MESSAGE_READ 4

/**
 * Refused for good; fireside_message_retry or fireside_message_discard.
 */
#define FIRESIDE_MESSAGE_FAILED 5

/**
 * Waits for a moderator.
 */
#define FIRESIDE_MESSAGE_HELD 6

/**
 * Somebody else's.
 */
#define FIRESIDE_MESSAGE_RECEIVED 7

/**
 * Two users; made by the first message.
 */
#define FIRESIDE_KIND_DIRECT 1

/**
 * By invitation only.
 */
#define FIRESIDE_KIND_GROUP 2

/**
 * Open or on request.
 */
#define FIRESIDE_KIND_PUBLIC 3

/**
 * Temporary.
 */
#define FIRESIDE_KIND_MEETING 4

/**
 * Broadcast.
 */
#define FIRESIDE_KIND_LIVE 5

/**
 * A space of channels.
 */
#define FIRESIDE_KIND_COMMUNITY 6

/**
 * Whoever is near.
 */
#define FIRESIDE_KIND_PROXIMITY 7

/**
 * Of a community.
 */
#define FIRESIDE_KIND_CHANNEL 8

/**
 * Under a message.
 */
#define FIRESIDE_KIND_THREAD 9

/**
 * May write.
 */
#define FIRESIDE_ROLE_MEMBER 1

/**
 * May invite, remove members and recall their messages.
 */
#define FIRESIDE_ROLE_ADMIN 2

/**
 * Made the conversation or got it.
 */
#define FIRESIDE_ROLE_OWNER 3

/**
 * What joiners of a group see of what was said before: everything.
 */
#define FIRESIDE_HISTORY_ALL UINT64_MAX

/**
 * How a call went: 0 is FIRESIDE_STATUS_OK, anything else says what was wrong. The numbers are those of the wire, of the server's
 * log and of every other language; a number that is not in this header comes from a newer server.
 */
typedef int32_t fireside_status;

/**
 * UTF-8 text of somebody else: an argument is the caller's for the length of the call, what a tick delivered is the library's and
 * lives as long as its batch. Not NUL-terminated. {NULL, 0} is empty, and how the library says that there is none.
 */
typedef struct fireside_str {
  /**
   * The first byte.
   */
  const char *data;
  /**
   * Bytes.
   */
  size_t len;
} fireside_str;

/**
 * Names a conversation, a device or (as a nonce) a message. All zero: none.
 */
typedef struct fireside_id {
  /**
   * The name.
   */
  uint8_t bytes[16];
} fireside_id;

/**
 * What a client is started with. All zero but struct_size and server is a valid default.
 */
typedef struct fireside_config {
  /**
   * sizeof(fireside_config) as the caller was compiled.
   */
  uint32_t struct_size;
  /**
   * FIRESIDE_TRUST_ROOTS or FIRESIDE_TRUST_PINNED.
   */
  uint32_t trust;
  /**
   * host:port. The one field that must be given.
   */
  struct fireside_str server;
  /**
   * The name in the server's certificate; empty: the host of server.
   */
  struct fireside_str server_name;
  /**
   * With FIRESIDE_TRUST_PINNED: SHA-256 of the certificate, as `fireside serve --dev` prints it.
   */
  uint8_t fingerprint[32];
  /**
   * The log-in token that the game's backend signed; empty: given later with fireside_client_set_token.
   */
  struct fireside_str token;
  /**
   * Whose token it is (its "sub"). Needed with folder: a cache belongs to one user.
   */
  struct fireside_str user;
  /**
   * Where caches and outboxes are kept, UTF-8. Empty: in memory, and unsent messages end with the process.
   */
  struct fireside_str folder;
  /**
   * Name and version of the game, for the server's logs.
   */
  struct fireside_str agent;
  /**
   * For example "windows" or "ps5"; empty: the operating system.
   */
  struct fireside_str platform;
  /**
   * This device; zero: what the cache has, else a new one.
   */
  struct fireside_id device;
  /**
   * First delay before a reconnect, in ms; 0: 250. Doubles with jitter.
   */
  uint32_t reconnect_delay_ms_min;
  /**
   * Largest delay before a reconnect, in ms; 0: 30,000.
   */
  uint32_t reconnect_delay_ms_max;
  /**
   * FIRESIDE_CONFIG_* bits.
   */
  uint32_t flags;
  /**
   * 0.
   */
  uint32_t reserved;
} fireside_config;

/**
 * A client. Not a pointer: a stale, foreign or destroyed handle is answered with FIRESIDE_STATUS_INVALID_HANDLE. 0 is never one.
 */
typedef uint64_t fireside_client;

/**
 * A frame's share of chat work. All zero but struct_size is the default.
 */
typedef struct fireside_budget {
  /**
   * sizeof(fireside_budget) as the caller was compiled.
   */
  uint32_t struct_size;
  /**
   * Events at most; a reset counts its rows. 0: 1,024.
   */
  uint32_t events_max;
  /**
   * Time at most, in microseconds; the event under way is finished. 0: 500.
   */
  uint32_t time_us_max;
  /**
   * 0.
   */
  uint32_t reserved;
} fireside_budget;

/**
 * Something happened. `kind` says what; each kind uses the fields its constant names, and the others are zero.
 */
typedef struct fireside_event {
  /**
   * FIRESIDE_EVENT_*. Skip kinds you do not know: a newer library has more.
   */
  uint32_t kind;
  /**
   * COMPLETED: how the call went. STATE: why it was refused.
   */
  fireside_status status;
  /**
   * COMPLETED: which call.
   */
  uint64_t request;
  /**
   * Where it happened.
   */
  struct fireside_id conversation;
  /**
   * COMPLETED with SENT: the message's nonce.
   */
  struct fireside_id nonce;
  /**
   * A message's number.
   */
  uint64_t sequence;
  /**
   * When, in ms since 1970 by the server's clock. STATE refused: until when, 0 not said.
   */
  uint64_t at_ms;
  /**
   * Views: grows with every reset.
   */
  uint64_t generation;
  /**
   * COMPLETED that failed: try again after this. STATE reconnecting: until the next try. TOKEN_EXPIRING: until then. In ms.
   */
  uint64_t delay_ms;
  /**
   * Who.
   */
  struct fireside_str user;
  /**
   * What, for people.
   */
  struct fireside_str text;
  /**
   * COMPLETED: FIRESIDE_RESULT_*. STATE: FIRESIDE_STATE_*. SYNC: FIRESIDE_SYNC_*. Views: FIRESIDE_CHANGE_*.
   */
  uint32_t detail;
  /**
   * 1: yes. LOADED: nothing is older. MEMBERS, PINS: there are more. TYPING: types (else stopped).
   */
  uint32_t flag;
  /**
   * Views: where (INSERT, SET, REMOVE), from where (MOVE).
   */
  uint32_t index;
  /**
   * Views: to where (MOVE), after the row was taken out.
   */
  uint32_t to;
  /**
   * Lists: the first of this event's rows in the batch's array.
   */
  uint32_t first;
  /**
   * Lists: how many rows. LOADED, MESSAGE_RECEIVED, MISSED: how many messages. STATE reconnecting: which try, from 1.
   */
  uint32_t count;
  /**
   * 0.
   */
  uint64_t reserved;
} fireside_event;

/**
 * A message of somebody else that arrived live.
 */
typedef struct fireside_message {
  /**
   * Where.
   */
  struct fireside_id conversation;
  /**
   * Its number.
   */
  uint64_t sequence;
  /**
   * When, in ms since 1970 by the server's clock.
   */
  uint64_t at_ms;
  /**
   * Who.
   */
  struct fireside_str sender;
  /**
   * What it says; empty: it is no text.
   */
  struct fireside_str text;
  /**
   * 0.
   */
  uint64_t reserved;
} fireside_message;

/**
 * A line of a timeline; oldest first, own unsent messages last.
 */
typedef struct fireside_timeline_row {
  /**
   * Stable from the echo to the sent message and over every later change.
   */
  uint64_t row;
  /**
   * Its number; 0 while it is unsent.
   */
  uint64_t sequence;
  /**
   * In ms since 1970: by the server's clock, or by this device's while unsent.
   */
  uint64_t at_ms;
  /**
   * The sender's name for it; zero: none.
   */
  struct fireside_id nonce;
  /**
   * Who.
   */
  struct fireside_str sender;
  /**
   * TEXT: what it says. CREATED: the conversation's name.
   */
  struct fireside_str text;
  /**
   * JOINED, LEFT, REMOVED, ROLE: whom it is about.
   */
  struct fireside_str subject;
  /**
   * FIRESIDE_BODY_*.
   */
  uint32_t body;
  /**
   * FIRESIDE_MESSAGE_*.
   */
  uint32_t state;
  /**
   * FAILED: why.
   */
  fireside_status status;
  /**
   * ROLE: FIRESIDE_ROLE_*.
   */
  uint32_t role;
  /**
   * 1: its author changed it.
   */
  uint32_t edited;
  /**
   * 1: it is pinned for everybody.
   */
  uint32_t pinned;
  /**
   * Its reactions: the first in fireside_events.reactions.
   */
  uint32_t reaction_first;
  /**
   * How many different ones; 0: nobody reacted.
   */
  uint32_t reaction_count;
} fireside_timeline_row;

/**
 * A line of the conversation list; newest activity first.
 */
typedef struct fireside_conversation_row {
  /**
   * Which.
   */
  struct fireside_id conversation;
  /**
   * FIRESIDE_KIND_*.
   */
  uint32_t kind;
  /**
   * Own role, FIRESIDE_ROLE_*; 0: no longer a member.
   */
  uint32_t role;
  /**
   * Unread messages; 1000 stands for "999+".
   */
  uint32_t unread;
  /**
   * Mentions among them.
   */
  uint32_t mentions;
  /**
   * When something happened last, in ms since 1970.
   */
  uint64_t at_ms;
  /**
   * Largest number known.
   */
  uint64_t last;
  /**
   * Its name; of a direct conversation the peer.
   */
  struct fireside_str name;
  /**
   * The other user of a direct conversation.
   */
  struct fireside_str peer;
  /**
   * Who wrote the last message.
   */
  struct fireside_str last_sender;
  /**
   * What the last message says, shortened.
   */
  struct fireside_str preview;
  /**
   * 0.
   */
  uint64_t reserved[2];
} fireside_conversation_row;

/**
 * A member of a conversation.
 */
typedef struct fireside_member {
  /**
   * Who.
   */
  struct fireside_str user;
  /**
   * The name in their token.
   */
  struct fireside_str name;
  /**
   * The number of the entry that let them in.
   */
  uint64_t joined;
  /**
   * Read up to.
   */
  uint64_t read;
  /**
   * FIRESIDE_ROLE_*.
   */
  uint32_t role;
  /**
   * 0.
   */
  uint32_t reserved[3];
} fireside_member;

/**
 * A device of the user.
 */
typedef struct fireside_device {
  /**
   * Which.
   */
  struct fireside_id device;
  /**
   * As it said at its log-in.
   */
  struct fireside_str platform;
  /**
   * As it said at its log-in.
   */
  struct fireside_str agent;
  /**
   * Last log-in, in ms since 1970.
   */
  uint64_t seen_ms;
  /**
   * 1: connected now.
   */
  uint32_t online;
  /**
   * 0.
   */
  uint32_t reserved[3];
} fireside_device;

/**
 * A message that a search found.
 */
typedef struct fireside_found {
  /**
   * Where.
   */
  struct fireside_id conversation;
  /**
   * Its number.
   */
  uint64_t sequence;
  /**
   * When, in ms since 1970.
   */
  uint64_t at_ms;
  /**
   * Who wrote it.
   */
  struct fireside_str sender;
  /**
   * What it says.
   */
  struct fireside_str text;
  /**
   * 0.
   */
  uint64_t reserved[2];
} fireside_found;

/**
 * All who reacted to a message with one key.
 */
typedef struct fireside_reaction {
  /**
   * An emoji, or an id that the game made.
   */
  struct fireside_str key;
  /**
   * They, in the order they reacted: the first in fireside_events.reaction_users.
   */
  uint32_t user_first;
  /**
   * How many they are.
   */
  uint32_t user_count;
  /**
   * 1: this user is one of them.
   */
  uint32_t mine;
  /**
   * 0.
   */
  uint32_t reserved;
} fireside_reaction;

/**
 * What a tick delivered. Everything that it points to belongs to the library and lives until that client's next tick or its end.
 */
typedef struct fireside_events {
  /**
   * sizeof(fireside_events) as the caller was compiled.
   */
  uint32_t struct_size;
  /**
   * 0.
   */
  uint32_t reserved;
  /**
   * In the order to handle them.
   */
  const struct fireside_event *events;
  /**
   * Of events.
   */
  size_t event_count;
  /**
   * Of MESSAGE_RECEIVED events.
   */
  const struct fireside_message *messages;
  /**
   * Of messages.
   */
  size_t message_count;
  /**
   * Rows of TIMELINE events.
   */
  const struct fireside_timeline_row *timeline_rows;
  /**
   * Of timeline rows.
   */
  size_t timeline_row_count;
  /**
   * Rows of CONVERSATIONS events.
   */
  const struct fireside_conversation_row *conversation_rows;
  /**
   * Of conversation rows.
   */
  size_t conversation_row_count;
  /**
   * Of COMPLETED events with MEMBERS.
   */
  const struct fireside_member *members;
  /**
   * Of members.
   */
  size_t member_count;
  /**
   * Of COMPLETED events with DEVICES.
   */
  const struct fireside_device *devices;
  /**
   * Of devices.
   */
  size_t device_count;
  /**
   * Of COMPLETED events with FOUND.
   */
  const struct fireside_found *found;
  /**
   * Of found messages.
   */
  size_t found_count;
  /**
   * Of timeline rows.
   */
  const struct fireside_reaction *reactions;
  /**
   * Of reactions.
   */
  size_t reaction_count;
  /**
   * Of reactions: who.
   */
  const struct fireside_str *reaction_users;
  /**
   * Of those users.
   */
  size_t reaction_user_count;
} fireside_events;

/**
 * Called when something can be ticked: from a thread of the library, or from within fireside_client_close and
 * fireside_client_destroy. It may set a flag or post to an event loop; it must not block and must not call this library.
 */
typedef void (*fireside_wake)(void *user_data);

/**
 * What a client does, in numbers; for an overlay.
 */
typedef struct fireside_stats {
  /**
   * sizeof(fireside_stats) as the caller was compiled.
   */
  uint32_t struct_size;
  /**
   * 0.
   */
  uint32_t reserved;
  /**
   * Smoothed round trip in microseconds; 0 without a connection.
   */
  uint64_t rtt_us;
  /**
   * UDP bytes of the newest connection.
   */
  uint64_t bytes_sent;
  /**
   * UDP bytes of the newest connection.
   */
  uint64_t bytes_received;
  /**
   * Calls without a delivered completion; at most 1,024.
   */
  uint64_t pending_calls;
  /**
   * Events that wait for a tick.
   */
  uint64_t waiting_events;
  /**
   * Operations that wait for the disk.
   */
  uint64_t waiting_store;
  /**
   * Full handshakes; a resumed connection has none.
   */
  uint64_t certificates_checked;
  /**
   * Entries taken in.
   */
  uint64_t entries;
  /**
   * Skips taken in.
   */
  uint64_t skips;
  /**
   * Heads taken in.
   */
  uint64_t heads;
  /**
   * Holes that were repaired.
   */
  uint64_t holes_repaired;
  /**
   * Resets by the server.
   */
  uint64_t resets;
  /**
   * Entries that came live and in a page.
   */
  uint64_t page_live_overlaps;
  /**
   * Commands sent again.
   */
  uint64_t resends;
  /**
   * Connections after the first.
   */
  uint64_t reconnects;
  /**
   * Tokens given while logged in.
   */
  uint64_t tokens_renewed;
  /**
   * Sends that had to be sent again in order.
   */
  uint64_t retry_in_order;
  /**
   * Frames of the server that could not be read.
   */
  uint64_t frames_bad;
} fireside_stats;

/**
 * A message: by its number, or, while it has none (sequence 0), by its nonce. Both can be copied from its row.
 */
typedef struct fireside_message_ref {
  /**
   * Its number; 0: look at the nonce.
   */
  uint64_t sequence;
  /**
   * Its nonce.
   */
  struct fireside_id nonce;
} fireside_message_ref;

/**
 * Done.
 */
#define FIRESIDE_STATUS_OK 0

/**
 * The handle is not (or no longer) a client of this library; create one and use it until you destroy it.
 */
#define FIRESIDE_STATUS_INVALID_HANDLE 1

/**
 * A pointer is null or not aligned, a length is over its limit, a struct_size is wrong, or a text is not UTF-8.
 */
#define FIRESIDE_STATUS_INVALID_ARGUMENT 2

/**
 * An earlier call on this client panicked inside; destroy it and create another.
 */
#define FIRESIDE_STATUS_POISONED 3

/**
 * Tick or events of this client runs on another thread; call them from one.
 */
#define FIRESIDE_STATUS_IN_USE 4

/**
 * The wake callback called the library; let it set a flag only.
 */
#define FIRESIDE_STATUS_IN_WAKE 5

/**
 * The server is not an address; expected host:port, for example 127.0.0.1:7777.
 */
#define FIRESIDE_STATUS_SERVER_INVALID 6

/**
 * The server name is neither a host name nor an IP address.
 */
#define FIRESIDE_STATUS_SERVER_NAME_INVALID 7

/**
 * A cache folder was given without a user; set user to the token's sub.
 */
#define FIRESIDE_STATUS_USER_NEEDED 8

/**
 * TLS could not be set up.
 */
#define FIRESIDE_STATUS_TLS_UNAVAILABLE 9

/**
 * The machine gives no thread or no random numbers.
 */
#define FIRESIDE_STATUS_THREAD_UNAVAILABLE 10

/**
 * The process has 1,024 clients; destroy some.
 */
#define FIRESIDE_STATUS_TOO_MANY_CLIENTS 11

/**
 * A fault inside the library was caught; the client is poisoned: destroy it, and report this.
 */
#define FIRESIDE_STATUS_PANIC 127

/**
 * The bytes are not a frame of this protocol; the connection ends.
 */
#define FIRESIDE_STATUS_BAD_FRAME 100

/**
 * The frame is over the limit of its stream; send less at once.
 */
#define FIRESIDE_STATUS_FRAME_TOO_LARGE 101

/**
 * The body does not fit its kind; a field is missing, doubled or of the wrong type.
 */
#define FIRESIDE_STATUS_BAD_BODY 102

/**
 * This server does not know the request; update the server or do without.
 */
#define FIRESIDE_STATUS_UNKNOWN_REQUEST 103

/**
 * No common protocol version; update the older side.
 */
#define FIRESIDE_STATUS_VERSION_UNSUPPORTED 104

/**
 * The first frame must be hello or resume.
 */
#define FIRESIDE_STATUS_NOT_LOGGED_IN 105

/**
 * Only resume and reads may be early data; send it again after the handshake. Retryable.
 */
#define FIRESIDE_STATUS_NOT_IN_EARLY_DATA 106

/**
 * Too many requests wait for an answer; wait for some. Retryable.
 */
#define FIRESIDE_STATUS_TOO_MANY_REQUESTS 107

/**
 * The token is malformed or its signature does not fit any key; ask the game's backend for another.
 */
#define FIRESIDE_STATUS_TOKEN_INVALID 200

/**
 * The token has expired; ask the game's backend for another.
 */
#define FIRESIDE_STATUS_TOKEN_EXPIRED 201

/**
 * The token is not valid yet; check the clocks. Retryable.
 */
#define FIRESIDE_STATUS_TOKEN_NOT_YET_VALID 202

/**
 * The token was issued before the user's tokens were revoked; log in again.
 */
#define FIRESIDE_STATUS_TOKEN_REVOKED 203

/**
 * The new token belongs to another user; log out first.
 */
#define FIRESIDE_STATUS_TOKEN_OTHER_USER 204

/**
 * The user is banned from this server until the given time.
 */
#define FIRESIDE_STATUS_BANNED 205

/**
 * Another device of the user took this one's place.
 */
#define FIRESIDE_STATUS_DEVICE_REPLACED 206

/**
 * The server does not know this resume secret; log in with the token. Retryable.
 */
#define FIRESIDE_STATUS_RESUME_UNKNOWN 207

/**
 * This device was signed out.
 */
#define FIRESIDE_STATUS_SESSION_REVOKED 208

/**
 * No such conversation or message, or you may not see it.
 */
#define FIRESIDE_STATUS_NOT_FOUND 300

/**
 * Your role does not allow this.
 */
#define FIRESIDE_STATUS_FORBIDDEN 301

/**
 * The message was changed meanwhile; look at it again.
 */
#define FIRESIDE_STATUS_CONFLICT 302

/**
 * Too late to edit or recall this message.
 */
#define FIRESIDE_STATUS_WINDOW_CLOSED 303

/**
 * The named user is not a member.
 */
#define FIRESIDE_STATUS_NOT_MEMBER 304

/**
 * The user is a member already.
 */
#define FIRESIDE_STATUS_ALREADY_MEMBER 305

/**
 * This conversation is joined by invitation only.
 */
#define FIRESIDE_STATUS_NOT_INVITED 306

/**
 * It exists already.
 */
#define FIRESIDE_STATUS_ALREADY_EXISTS 307

/**
 * The owner must hand over the conversation first.
 */
#define FIRESIDE_STATUS_OWNER_MUST_TRANSFER 308

/**
 * Only admins and the owner write here now.
 */
#define FIRESIDE_STATUS_FROZEN 309

/**
 * The named user does not ask to come in (any more).
 */
#define FIRESIDE_STATUS_NOT_ASKED 310

/**
 * You may not write here until the given time.
 */
#define FIRESIDE_STATUS_MUTED 311

/**
 * The user is banned from this conversation until the given time.
 */
#define FIRESIDE_STATUS_BARRED 312

/**
 * There is no such link (any more).
 */
#define FIRESIDE_STATUS_LINK_INVALID 313

/**
 * The named user does not ask to be your friend (any more).
 */
#define FIRESIDE_STATUS_NO_FRIEND_REQUEST 320

/**
 * Too many reports in a day; those that came are looked at.
 */
#define FIRESIDE_STATUS_TOO_MANY_REPORTS 321

/**
 * The poll is closed; no vote counts any more.
 */
#define FIRESIDE_STATUS_POLL_CLOSED 330

/**
 * The time at which the message was to end had passed when it came; nothing was sent.
 */
#define FIRESIDE_STATUS_MESSAGE_OVER 331

/**
 * A message ends within 366 days; what a conversation's messages live is 5 s to 366 days, or 0.
 */
#define FIRESIDE_STATUS_LIFETIME_INVALID 332

/**
 * This can not be forwarded: it is gone, it ends, or it only means something where it was said.
 */
#define FIRESIDE_STATUS_NOT_FORWARDABLE 333

/**
 * The text is empty.
 */
#define FIRESIDE_STATUS_TEXT_EMPTY 400

/**
 * The text is over 4,000 characters or 16 KiB.
 */
#define FIRESIDE_STATUS_TEXT_TOO_LONG 401

/**
 * The name is empty, over 64 characters, or has control characters.
 */
#define FIRESIDE_STATUS_NAME_INVALID 402

/**
 * The content is over 20 KiB.
 */
#define FIRESIDE_STATUS_CONTENT_TOO_LARGE 403

/**
 * The content does not fit its kind.
 */
#define FIRESIDE_STATUS_CONTENT_INVALID 404

/**
 * This server does not take this kind of message.
 */
#define FIRESIDE_STATUS_KIND_UNSUPPORTED 405

/**
 * A user id is 1 to 64 bytes without control characters.
 */
#define FIRESIDE_STATUS_USER_INVALID 406

/**
 * The conversation is full.
 */
#define FIRESIDE_STATUS_TOO_MANY_MEMBERS 407

/**
 * Too many users are named in one request.
 */
#define FIRESIDE_STATUS_TOO_MANY_NAMED 408

/**
 * Moderation did not let the message pass.
 */
#define FIRESIDE_STATUS_REJECTED 409

/**
 * An argument is outside its range.
 */
#define FIRESIDE_STATUS_ARGUMENT_INVALID 410

/**
 * A limit of this account is reached; remove something first.
 */
#define FIRESIDE_STATUS_LIMIT_REACHED 411

/**
 * Too fast; try again after the given time. Retryable.
 */
#define FIRESIDE_STATUS_RATE_LIMITED 500

/**
 * The server has too much to do; try again after the given time. Retryable.
 */
#define FIRESIDE_STATUS_OVERLOADED 501

/**
 * The server's disk is full; nothing was stored. Retryable.
 */
#define FIRESIDE_STATUS_STORAGE_FULL 502

/**
 * The server's store does not answer; nothing was stored. Retryable.
 */
#define FIRESIDE_STATUS_STORAGE_UNAVAILABLE 503

/**
 * The message before this one has no outcome yet; send both again in order. Retryable.
 */
#define FIRESIDE_STATUS_RETRY_IN_ORDER 504

/**
 * The server is going down; connect again. Retryable.
 */
#define FIRESIDE_STATUS_DRAINING 505

/**
 * The message waits for a moderator. Retryable.
 */
#define FIRESIDE_STATUS_HELD 506

/**
 * Members of this conversation write at intervals; try again after the given time. Retryable.
 */
#define FIRESIDE_STATUS_SLOW_MODE 507

/**
 * There is no connection and this can not wait for one. Retryable.
 */
#define FIRESIDE_STATUS_OFFLINE 600

/**
 * Too many calls are pending; try again when some are done. Retryable.
 */
#define FIRESIDE_STATUS_BUSY 601

/**
 * The outbox is full; wait until some messages are sent. Retryable.
 */
#define FIRESIDE_STATUS_OUTBOX_FULL 602

/**
 * The message could not be sent for 7 days.
 */
#define FIRESIDE_STATUS_EXPIRED 603

/**
 * The client was shut down or the call was taken back.
 */
#define FIRESIDE_STATUS_CANCELLED 604

/**
 * The server did not answer in time. Retryable.
 */
#define FIRESIDE_STATUS_TIMED_OUT 605

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * The stable name of a status, such as "outbox_full"; "unknown" for a number that this library does not know.
 *
 * Threads: any. Ownership: static text, NUL-terminated. Errors: none.
 */
const char *fireside_status_name(fireside_status status);

/**
 * What was wrong and what to do, in one sentence.
 *
 * Threads: any. Ownership: static text, NUL-terminated. Errors: none.
 */
const char *fireside_status_text(fireside_status status);

/**
 * 1: the same call may succeed later without being changed; 0: it will not.
 *
 * Threads: any. Errors: none.
 */
uint32_t fireside_status_retryable(fireside_status status);

/**
 * The library's FIRESIDE_ABI_VERSION. Compare it with the header's before anything else; within one version, functions, constants and
 * fields are only added.
 *
 * Threads: any. Errors: none.
 */
uint32_t fireside_abi_version(void);

/**
 * The library's version for people, such as "0.1.0".
 *
 * Threads: any. Ownership: static text, NUL-terminated. Errors: none.
 */
const char *fireside_version_string(void);

/**
 * The direct conversation of two users, the same whichever comes first. It needs no server: a client that knows the peer's id can
 * open the conversation before the first message.
 *
 * Threads: any. Ownership: the texts are read during the call; conversation is the caller's.
 * Errors: INVALID_ARGUMENT, USER_INVALID.
 */
fireside_status fireside_conversation_direct(struct fireside_str one,
                                             struct fireside_str other,
                                             struct fireside_id *conversation);

/**
 * Starts a client with a thread of its own. It shows what its cache has, and connects on fireside_client_connect.
 *
 * Threads: any. Ownership: config and its texts are read during the call; the client is the caller's until fireside_client_destroy.
 * Errors: INVALID_ARGUMENT, SERVER_INVALID, SERVER_NAME_INVALID, USER_INVALID, USER_NEEDED, TLS_UNAVAILABLE, THREAD_UNAVAILABLE,
 * TOO_MANY_CLIENTS.
 */
fireside_status fireside_client_create(const struct fireside_config *config,
                                       fireside_client *client);

/**
 * Ends the client and takes its handle back; the outbox in its folder is kept. The one call that may wait: at most 250 ms, for the
 * client's thread. After it no wake callback runs, and every pointer of its last tick is dead.
 *
 * A call whose completion was not ticked counts as CANCELLED. Who wants these events calls fireside_client_close first and ticks
 * until nothing is left.
 *
 * Threads: any, but not from the wake callback. Errors: INVALID_HANDLE (the second time too), IN_WAKE.
 */
fireside_status fireside_client_destroy(fireside_client client);

/**
 * Begins the end without waiting: from now on calls are refused with CANCELLED, and every call that is pending completes, most with
 * CANCELLED, in the next ticks. The handle stays until fireside_client_destroy.
 *
 * Threads: any. Errors: INVALID_HANDLE, POISONED, IN_WAKE.
 */
fireside_status fireside_client_close(fireside_client client);

/**
 * Logs in and stays connected, with retries, until fireside_client_disconnect. Completes with DONE.
 *
 * Threads: any. Ownership: request (may be NULL) is the caller's. Errors: INVALID_HANDLE, INVALID_ARGUMENT, BUSY (1,024 calls are
 * pending), CANCELLED (the client was closed), POISONED. All calls that give a request number have these.
 */
fireside_status fireside_client_connect(fireside_client client,
                                        uint64_t *request);

/**
 * Goes offline; the outbox is kept. Completes with DONE.
 *
 * Threads: any. Errors: as fireside_client_connect.
 */
fireside_status fireside_client_disconnect(fireside_client client, uint64_t *request);

/**
 * Gives a (new) token, without a reconnect. Also ends a refusal for an expired one. Completes with DONE.
 *
 * Threads: any. Ownership: token is read during the call. Errors: as fireside_client_connect.
 */
fireside_status fireside_client_set_token(fireside_client client,
                                          struct fireside_str token,
                                          uint64_t *request);

/**
 * Whether chat is on screen (1) or not (0): decides how soon a dead server is noticed. Completes with DONE.
 *
 * Threads: any. Errors: as fireside_client_connect.
 */
fireside_status fireside_client_set_visible(fireside_client client,
                                            uint32_t visible,
                                            uint64_t *request);

/**
 * Loads everything missed into the cache in the background (1), not just what is looked at (0). Completes with DONE.
 *
 * Threads: any. Errors: as fireside_client_connect.
 */
fireside_status fireside_client_set_background_fill(fireside_client client,
                                                    uint32_t on,
                                                    uint64_t *request);

/**
 * Flushes and stops keep-alives: the console or phone suspends. Completes with DONE.
 *
 * Threads: any. Errors: as fireside_client_connect.
 */
fireside_status fireside_client_suspend(fireside_client client, uint64_t *request);

/**
 * Probes the connection at once, after a suspend. Completes with DONE.
 *
 * Threads: any. Errors: as fireside_client_connect.
 */
fireside_status fireside_client_resume(fireside_client client, uint64_t *request);

/**
 * Takes in what happened, most important first, within a budget (NULL: 1,024 events and 500 microseconds); fireside_client_events
 * then shows it. Call it once a frame. Never blocks; allocates nothing when nothing happened.
 *
 * The budget counts events of the client: each row of a reset and each other change of a view counts as one. The event that
 * crosses it is delivered whole, so that a tick always gets on. left (may be NULL) gets how many wait for the next tick.
 *
 * Threads: one at a time per client, the same as fireside_client_events. Ownership: ends the life of everything that the previous
 * tick gave. Errors: INVALID_HANDLE, INVALID_ARGUMENT, IN_USE, POISONED.
 */
fireside_status fireside_client_tick(fireside_client client,
                                     const struct fireside_budget *budget,
                                     size_t *left);

/**
 * Shows what the last tick delivered. events.struct_size must be set; count (may be NULL) gets events.event_count.
 *
 * Threads: the one that ticks. Ownership: the struct is the caller's; what it points to is the library's and lives until this
 * client's next tick, or its destroy. Errors: INVALID_HANDLE, INVALID_ARGUMENT, IN_USE, POISONED.
 */
fireside_status fireside_client_events(fireside_client client,
                                       struct fireside_events *events,
                                       size_t *count);

/**
 * Calls wake with user_data when something can be ticked: once, until the next tick. NULL: no more calls. For programs that sleep
 * between frames; a game that ticks each frame needs none.
 *
 * The callback comes from a thread of the library, or from within fireside_client_close and fireside_client_destroy. It must not
 * block, and any call of this library from it is refused with IN_WAKE.
 *
 * Threads: any. Ownership: user_data is the caller's, must be usable from any thread, and must live until it is replaced or the
 * client is destroyed; both wait for a callback under way. Errors: INVALID_HANDLE, POISONED, IN_WAKE.
 */
fireside_status fireside_client_set_wake(fireside_client client,
                                         fireside_wake wake,
                                         void *user_data);

/**
 * Numbers for an overlay. stats.struct_size must be set.
 *
 * Threads: any. Ownership: stats is the caller's. Errors: INVALID_HANDLE, INVALID_ARGUMENT, POISONED.
 */
fireside_status fireside_client_stats(fireside_client client,
                                      struct fireside_stats *stats);

/**
 * Sends a text (1 to 4,000 characters) to a conversation. It is shown at once, kept in the outbox and sent when there is a connection.
 * Completes with SENT when it is on the server's disk.
 *
 * Threads: any. Ownership: conversation and text are read during the call. Errors: as fireside_client_connect.
 */
fireside_status fireside_message_send(fireside_client client,
                                      const struct fireside_id *conversation,
                                      struct fireside_str text,
                                      uint64_t *request);

/**
 * Sends a text to a user, in the direct conversation that the first message makes. As fireside_message_send.
 *
 * Threads: any. Ownership: user and text are read during the call. Errors: as fireside_client_connect; USER_INVALID.
 */
fireside_status fireside_message_send_to_user(fireside_client client,
                                              struct fireside_str user,
                                              struct fireside_str text,
                                              uint64_t *request);

/**
 * Gives an own message a new text. Kept in the outbox. Completes with SENT.
 *
 * Threads: any. Ownership: conversation, message and text are read during the call. Errors: as fireside_client_connect.
 */
fireside_status fireside_message_edit(fireside_client client,
                                      const struct fireside_id *conversation,
                                      const struct fireside_message_ref *message,
                                      struct fireside_str text,
                                      uint64_t *request);

/**
 * Takes an own message (as an admin, any) back for all. Kept in the outbox; a message that was never tried just goes.
 *
 * Threads: any. Ownership: conversation and message are read during the call. Errors: as fireside_client_connect.
 */
fireside_status fireside_message_recall(fireside_client client,
                                        const struct fireside_id *conversation,
                                        const struct fireside_message_ref *message,
                                        uint64_t *request);

/**
 * Reacts to a message with a key (an emoji, or an id that the game made: 1 to 64 bytes without white space, control and direction
 * characters), or takes the reaction back. It is shown at once and kept in the outbox. Completes with DONE; another key with
 * ARGUMENT_INVALID.
 *
 * Threads: any. Ownership: conversation, message and key are read during the call. Errors: as fireside_client_connect.
 */
fireside_status fireside_message_react(fireside_client client,
                                       const struct fireside_id *conversation,
                                       const struct fireside_message_ref *message,
                                       struct fireside_str key,
                                       uint32_t on,
                                       uint64_t *request);

/**
 * Pins a message for everybody, or unpins it: both users of a direct conversation may, in a group admins and owners. It is shown at
 * once and kept in the outbox. Completes with DONE.
 *
 * Threads: any. Ownership: conversation and message are read during the call. Errors: as fireside_client_connect.
 */
fireside_status fireside_message_pin(fireside_client client,
                                     const struct fireside_id *conversation,
                                     const struct fireside_message_ref *message,
                                     uint32_t on,
                                     uint64_t *request);

/**
 * Asks for the pinned messages of a conversation, newest first. before: only those with a smaller number; 0: all. Completes with PINS.
 *
 * Threads: any. Ownership: conversation is read during the call. Errors: as fireside_client_connect.
 */
fireside_status fireside_message_pins(fireside_client client,
                                      const struct fireside_id *conversation,
                                      uint64_t before,
                                      uint64_t *request);

/**
 * Tries a failed message again, as a new one at the end of the outbox. Completes as fireside_message_send.
 *
 * Threads: any. Ownership: nonce (of the failed row) is read during the call. Errors: as fireside_client_connect.
 */
fireside_status fireside_message_retry(fireside_client client,
                                       const struct fireside_id *nonce,
                                       uint64_t *request);

/**
 * Drops a failed message. Completes with DONE.
 *
 * Threads: any. Ownership: nonce (of the failed row) is read during the call. Errors: as fireside_client_connect.
 */
fireside_status fireside_message_discard(fireside_client client,
                                         const struct fireside_id *nonce,
                                         uint64_t *request);

/**
 * Searches the texts that this device holds, newest first: every word (as its beginning) must be in the message. conversation may be
 * NULL: everywhere. limit: at most 200. Completes with FOUND; at most 16 searches at once.
 *
 * Threads: any. Ownership: text and conversation are read during the call. Errors: as fireside_client_connect.
 */
fireside_status fireside_message_search(fireside_client client,
                                        struct fireside_str text,
                                        const struct fireside_id *conversation,
                                        uint32_t limit,
                                        uint64_t *request);

/**
 * Puts a conversation on screen, at most 16 at once: its timeline comes as a reset, then as changes. Completes with DONE.
 *
 * Threads: any. Ownership: conversation is read during the call. Errors: as fireside_client_connect.
 */
fireside_status fireside_conversation_open(fireside_client client,
                                           const struct fireside_id *conversation,
                                           uint64_t *request);

/**
 * Takes a conversation off the screen. Completes with DONE.
 *
 * Threads: any. Ownership: conversation is read during the call. Errors: as fireside_client_connect.
 */
fireside_status fireside_conversation_close(fireside_client client,
                                            const struct fireside_id *conversation,
                                            uint64_t *request);

/**
 * Loads older messages (at most 200) into an open timeline. Completes with LOADED.
 *
 * Threads: any. Ownership: conversation is read during the call. Errors: as fireside_client_connect.
 */
fireside_status fireside_conversation_load_older(fireside_client client,
                                                 const struct fireside_id *conversation,
                                                 uint32_t count,
                                                 uint64_t *request);

/**
 * Read up to a number; 0: to the end of what is known. Kept in the outbox. Completes with DONE.
 *
 * Threads: any. Ownership: conversation is read during the call. Errors: as fireside_client_connect.
 */
fireside_status fireside_conversation_mark_read(fireside_client client,
                                                const struct fireside_id *conversation,
                                                uint64_t upto,
                                                uint64_t *request);

/**
 * The user types (1; call it at each key, it is debounced) or stopped (0). Completes with DONE.
 *
 * Threads: any. Ownership: conversation is read during the call. Errors: as fireside_client_connect.
 */
fireside_status fireside_conversation_set_typing(fireside_client client,
                                                 const struct fireside_id *conversation,
                                                 uint32_t on,
                                                 uint64_t *request);

/**
 * Makes a group and invites users (at most 100) to it. history_for_joiners: how many of the messages before them joiners see; 0 none,
 * FIRESIDE_HISTORY_ALL all. Completes with CREATED.
 *
 * Threads: any. Ownership: name and users are read during the call. Errors: as fireside_client_connect; USER_INVALID, TOO_MANY_NAMED.
 */
fireside_status fireside_conversation_create_group(fireside_client client,
                                                   struct fireside_str name,
                                                   const struct fireside_str *users,
                                                   size_t user_count,
                                                   uint64_t history_for_joiners,
                                                   uint64_t *request);

/**
 * Invites users, at most 100. Completes with DONE.
 *
 * Threads: any. Ownership: conversation and users are read during the call. Errors: as fireside_client_connect; USER_INVALID, TOO_MANY_NAMED.
 */
fireside_status fireside_conversation_invite(fireside_client client,
                                             const struct fireside_id *conversation,
                                             const struct fireside_str *users,
                                             size_t user_count,
                                             uint64_t *request);

/**
 * Accepts an invitation. Completes with DONE.
 *
 * Threads: any. Ownership: conversation is read during the call. Errors: as fireside_client_connect.
 */
fireside_status fireside_conversation_join(fireside_client client,
                                           const struct fireside_id *conversation,
                                           uint64_t *request);

/**
 * Leaves a conversation, or declines an invitation. Completes with DONE.
 *
 * Threads: any. Ownership: conversation is read during the call. Errors: as fireside_client_connect.
 */
fireside_status fireside_conversation_leave(fireside_client client,
                                            const struct fireside_id *conversation,
                                            uint64_t *request);

/**
 * Members in pages of at most 200, by user id, after this one (empty: from the first). Completes with MEMBERS.
 *
 * Threads: any. Ownership: conversation and after are read during the call. Errors: as fireside_client_connect; USER_INVALID.
 */
fireside_status fireside_conversation_members(fireside_client client,
                                              const struct fireside_id *conversation,
                                              struct fireside_str after,
                                              uint64_t *request);

/**
 * Removes a member of lower role. Completes with DONE.
 *
 * Threads: any. Ownership: conversation and user are read during the call. Errors: as fireside_client_connect; USER_INVALID.
 */
fireside_status fireside_conversation_remove_member(fireside_client client,
                                                    const struct fireside_id *conversation,
                                                    struct fireside_str user,
                                                    uint64_t *request);

/**
 * Gives a member a role, FIRESIDE_ROLE_*. An owner who makes another the owner becomes admin. Completes with DONE.
 *
 * Threads: any. Ownership: conversation and user are read during the call. Errors: as fireside_client_connect; USER_INVALID.
 */
fireside_status fireside_conversation_set_role(fireside_client client,
                                               const struct fireside_id *conversation,
                                               struct fireside_str user,
                                               uint32_t role,
                                               uint64_t *request);

/**
 * Blocks (1) or unblocks (0) a user. Completes with DONE.
 *
 * Threads: any. Ownership: user is read during the call. Errors: as fireside_client_connect; USER_INVALID.
 */
fireside_status fireside_user_set_blocked(fireside_client client,
                                          struct fireside_str user,
                                          uint32_t blocked,
                                          uint64_t *request);

/**
 * Lists the user's devices. Completes with DEVICES.
 *
 * Threads: any. Errors: as fireside_client_connect.
 */
fireside_status fireside_client_devices(fireside_client client, uint64_t *request);

/**
 * Signs a device of the user out. Completes with DONE.
 *
 * Threads: any. Ownership: device is read during the call. Errors: as fireside_client_connect.
 */
fireside_status fireside_device_revoke(fireside_client client,
                                       const struct fireside_id *device,
                                       uint64_t *request);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* FIRESIDE_H */
