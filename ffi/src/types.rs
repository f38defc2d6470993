//! What crosses the line: plain data of fixed size.
//!
//! Structs that a caller fills or offers begin with `struct_size` and only ever grow at their end. Elements of arrays never grow
//! within an ABI version; they have room that is reserved.

use std::ffi::{c_char, c_void};

/// A client. Not a pointer: a stale, foreign or destroyed handle is answered with FIRESIDE_STATUS_INVALID_HANDLE. 0 is never one.
pub type fireside_client = u64;

/// How a call went: 0 is FIRESIDE_STATUS_OK, anything else says what was wrong. The numbers are those of the wire, of the server's
/// log and of every other language; a number that is not in this header comes from a newer server.
pub type fireside_status = i32;

/// Called when something can be ticked: from a thread of the library, or from within fireside_client_close and
/// fireside_client_destroy. It may set a flag or post to an event loop; it must not block and must not call this library.
pub type fireside_wake = Option<unsafe extern "C" fn(user_data: *mut c_void)>;

/// UTF-8 text of somebody else: an argument is the caller's for the length of the call, what a tick delivered is the library's and
/// lives as long as its batch. Not NUL-terminated. {NULL, 0} is empty, and how the library says that there is none.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct fireside_str {
    /// The first byte.
    pub data: *const c_char,
    /// Bytes.
    pub len: usize,
}

impl Default for fireside_str {
    fn default() -> Self {
        Self {
            data: std::ptr::null(),
            len: 0,
        }
    }
}

/// Names a conversation, a device or (as a nonce) a message. All zero: none.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[repr(C)]
pub struct fireside_id {
    /// The name.
    pub bytes: [u8; 16],
}

/// A message: by its number, or, while it has none (sequence 0), by its nonce. Both can be copied from its row.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct fireside_message_ref {
    /// Its number; 0: look at the nonce.
    pub sequence: u64,
    /// Its nonce.
    pub nonce: fireside_id,
}

/// What a client is started with. All zero but struct_size and server is a valid default.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct fireside_config {
    /// sizeof(fireside_config) as the caller was compiled.
    pub struct_size: u32,
    /// FIRESIDE_TRUST_ROOTS or FIRESIDE_TRUST_PINNED.
    pub trust: u32,
    /// host:port. The one field that must be given.
    pub server: fireside_str,
    /// The name in the server's certificate; empty: the host of server.
    pub server_name: fireside_str,
    /// With FIRESIDE_TRUST_PINNED: SHA-256 of the certificate, as `fireside serve --dev` prints it.
    pub fingerprint: [u8; 32],
    /// The log-in token that the game's backend signed; empty: given later with fireside_client_set_token.
    pub token: fireside_str,
    /// Whose token it is (its "sub"). Needed with folder: a cache belongs to one user.
    pub user: fireside_str,
    /// Where caches and outboxes are kept, UTF-8. Empty: in memory, and unsent messages end with the process.
    pub folder: fireside_str,
    /// Name and version of the game, for the server's logs.
    pub agent: fireside_str,
    /// For example "windows" or "ps5"; empty: the operating system.
    pub platform: fireside_str,
    /// This device; zero: what the cache has, else a new one.
    pub device: fireside_id,
    /// First delay before a reconnect, in ms; 0: 250. Doubles with jitter.
    pub reconnect_delay_ms_min: u32,
    /// Largest delay before a reconnect, in ms; 0: 30,000.
    pub reconnect_delay_ms_max: u32,
    /// FIRESIDE_CONFIG_* bits.
    pub flags: u32,
    /// 0.
    pub reserved: u32,
}

/// A frame's share of chat work. All zero but struct_size is the default.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct fireside_budget {
    /// sizeof(fireside_budget) as the caller was compiled.
    pub struct_size: u32,
    /// Events at most; a reset counts its rows. 0: 1,024.
    pub events_max: u32,
    /// Time at most, in microseconds; the event under way is finished. 0: 500.
    pub time_us_max: u32,
    /// 0.
    pub reserved: u32,
}

/// Something happened. `kind` says what; each kind uses the fields its constant names, and the others are zero.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct fireside_event {
    /// FIRESIDE_EVENT_*. Skip kinds you do not know: a newer library has more.
    pub kind: u32,
    /// COMPLETED: how the call went. STATE: why it was refused.
    pub status: fireside_status,
    /// COMPLETED: which call.
    pub request: u64,
    /// Where it happened.
    pub conversation: fireside_id,
    /// COMPLETED with SENT: the message's nonce.
    pub nonce: fireside_id,
    /// A message's number.
    pub sequence: u64,
    /// When, in ms since 1970 by the server's clock. STATE refused: until when, 0 not said.
    pub at_ms: u64,
    /// Views: grows with every reset.
    pub generation: u64,
    /// COMPLETED that failed: try again after this. STATE reconnecting: until the next try. TOKEN_EXPIRING: until then. In ms.
    pub delay_ms: u64,
    /// Who.
    pub user: fireside_str,
    /// What, for people.
    pub text: fireside_str,
    /// COMPLETED: FIRESIDE_RESULT_*. STATE: FIRESIDE_STATE_*. SYNC: FIRESIDE_SYNC_*. Views: FIRESIDE_CHANGE_*.
    pub detail: u32,
    /// 1: yes. LOADED: nothing is older. MEMBERS, PINS: there are more. TYPING: types (else stopped).
    pub flag: u32,
    /// Views: where (INSERT, SET, REMOVE), from where (MOVE).
    pub index: u32,
    /// Views: to where (MOVE), after the row was taken out.
    pub to: u32,
    /// Lists: the first of this event's rows in the batch's array.
    pub first: u32,
    /// Lists: how many rows. LOADED, MESSAGE_RECEIVED, MISSED: how many messages. STATE reconnecting: which try, from 1.
    pub count: u32,
    /// 0.
    pub reserved: u64,
}

/// A message of somebody else that arrived live.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct fireside_message {
    /// Where.
    pub conversation: fireside_id,
    /// Its number.
    pub sequence: u64,
    /// When, in ms since 1970 by the server's clock.
    pub at_ms: u64,
    /// Who.
    pub sender: fireside_str,
    /// What it says; empty: it is no text.
    pub text: fireside_str,
    /// 0.
    pub reserved: u64,
}

/// A line of a timeline; oldest first, own unsent messages last.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct fireside_timeline_row {
    /// Stable from the echo to the sent message and over every later change.
    pub row: u64,
    /// Its number; 0 while it is unsent.
    pub sequence: u64,
    /// In ms since 1970: by the server's clock, or by this device's while unsent.
    pub at_ms: u64,
    /// The sender's name for it; zero: none.
    pub nonce: fireside_id,
    /// Who.
    pub sender: fireside_str,
    /// TEXT: what it says. CREATED: the conversation's name.
    pub text: fireside_str,
    /// JOINED, LEFT, REMOVED, ROLE: whom it is about.
    pub subject: fireside_str,
    /// FIRESIDE_BODY_*.
    pub body: u32,
    /// FIRESIDE_MESSAGE_*.
    pub state: u32,
    /// FAILED: why.
    pub status: fireside_status,
    /// ROLE: FIRESIDE_ROLE_*.
    pub role: u32,
    /// 1: its author changed it.
    pub edited: u32,
    /// 1: it is pinned for everybody.
    pub pinned: u32,
    /// Its reactions: the first in fireside_events.reactions.
    pub reaction_first: u32,
    /// How many different ones; 0: nobody reacted.
    pub reaction_count: u32,
}

/// All who reacted to a message with one key.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct fireside_reaction {
    /// An emoji, or an id that the game made.
    pub key: fireside_str,
    /// They, in the order they reacted: the first in fireside_events.reaction_users.
    pub user_first: u32,
    /// How many they are.
    pub user_count: u32,
    /// 1: this user is one of them.
    pub mine: u32,
    /// 0.
    pub reserved: u32,
}

/// A line of the conversation list; newest activity first.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct fireside_conversation_row {
    /// Which.
    pub conversation: fireside_id,
    /// FIRESIDE_KIND_*.
    pub kind: u32,
    /// Own role, FIRESIDE_ROLE_*; 0: no longer a member.
    pub role: u32,
    /// Unread messages; 1000 stands for "999+".
    pub unread: u32,
    /// Mentions among them.
    pub mentions: u32,
    /// When something happened last, in ms since 1970.
    pub at_ms: u64,
    /// Largest number known.
    pub last: u64,
    /// Its name; of a direct conversation the peer.
    pub name: fireside_str,
    /// The other user of a direct conversation.
    pub peer: fireside_str,
    /// Who wrote the last message.
    pub last_sender: fireside_str,
    /// What the last message says, shortened.
    pub preview: fireside_str,
    /// 0.
    pub reserved: [u64; 2],
}

/// A member of a conversation.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct fireside_member {
    /// Who.
    pub user: fireside_str,
    /// The name in their token.
    pub name: fireside_str,
    /// The number of the entry that let them in.
    pub joined: u64,
    /// Read up to.
    pub read: u64,
    /// FIRESIDE_ROLE_*.
    pub role: u32,
    /// 0.
    pub reserved: [u32; 3],
}

/// A device of the user.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct fireside_device {
    /// Which.
    pub device: fireside_id,
    /// As it said at its log-in.
    pub platform: fireside_str,
    /// As it said at its log-in.
    pub agent: fireside_str,
    /// Last log-in, in ms since 1970.
    pub seen_ms: u64,
    /// 1: connected now.
    pub online: u32,
    /// 0.
    pub reserved: [u32; 3],
}

/// A message that a search found.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct fireside_found {
    /// Where.
    pub conversation: fireside_id,
    /// Its number.
    pub sequence: u64,
    /// When, in ms since 1970.
    pub at_ms: u64,
    /// Who wrote it.
    pub sender: fireside_str,
    /// What it says.
    pub text: fireside_str,
    /// 0.
    pub reserved: [u64; 2],
}

/// What a tick delivered. Everything that it points to belongs to the library and lives until that client's next tick or its end.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct fireside_events {
    /// sizeof(fireside_events) as the caller was compiled.
    pub struct_size: u32,
    /// 0.
    pub reserved: u32,
    /// In the order to handle them.
    pub events: *const fireside_event,
    /// Of events.
    pub event_count: usize,
    /// Of MESSAGE_RECEIVED events.
    pub messages: *const fireside_message,
    /// Of messages.
    pub message_count: usize,
    /// Rows of TIMELINE events.
    pub timeline_rows: *const fireside_timeline_row,
    /// Of timeline rows.
    pub timeline_row_count: usize,
    /// Rows of CONVERSATIONS events.
    pub conversation_rows: *const fireside_conversation_row,
    /// Of conversation rows.
    pub conversation_row_count: usize,
    /// Of COMPLETED events with MEMBERS.
    pub members: *const fireside_member,
    /// Of members.
    pub member_count: usize,
    /// Of COMPLETED events with DEVICES.
    pub devices: *const fireside_device,
    /// Of devices.
    pub device_count: usize,
    /// Of COMPLETED events with FOUND.
    pub found: *const fireside_found,
    /// Of found messages.
    pub found_count: usize,
    /// Of timeline rows.
    pub reactions: *const fireside_reaction,
    /// Of reactions.
    pub reaction_count: usize,
    /// Of reactions: who.
    pub reaction_users: *const fireside_str,
    /// Of those users.
    pub reaction_user_count: usize,
}

/// What a client does, in numbers; for an overlay.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct fireside_stats {
    /// sizeof(fireside_stats) as the caller was compiled.
    pub struct_size: u32,
    /// 0.
    pub reserved: u32,
    /// Smoothed round trip in microseconds; 0 without a connection.
    pub rtt_us: u64,
    /// UDP bytes of the newest connection.
    pub bytes_sent: u64,
    /// UDP bytes of the newest connection.
    pub bytes_received: u64,
    /// Calls without a delivered completion; at most 1,024.
    pub pending_calls: u64,
    /// Events that wait for a tick.
    pub waiting_events: u64,
    /// Operations that wait for the disk.
    pub waiting_store: u64,
    /// Full handshakes; a resumed connection has none.
    pub certificates_checked: u64,
    /// Entries taken in.
    pub entries: u64,
    /// Skips taken in.
    pub skips: u64,
    /// Heads taken in.
    pub heads: u64,
    /// Holes that were repaired.
    pub holes_repaired: u64,
    /// Resets by the server.
    pub resets: u64,
    /// Entries that came live and in a page.
    pub page_live_overlaps: u64,
    /// Commands sent again.
    pub resends: u64,
    /// Connections after the first.
    pub reconnects: u64,
    /// Tokens given while logged in.
    pub tokens_renewed: u64,
    /// Sends that had to be sent again in order.
    pub retry_in_order: u64,
    /// Frames of the server that could not be read.
    pub frames_bad: u64,
}

// Also asserted by tests/c/abi.c. A line that changes here is a new ABI version.
#[cfg(target_pointer_width = "64")]
const _: () = {
    use std::mem::offset_of;
    assert!(size_of::<fireside_str>() == 16);
    assert!(size_of::<fireside_id>() == 16);
    assert!(size_of::<fireside_message_ref>() == 24);
    assert!(size_of::<fireside_config>() == 184);
    assert!(offset_of!(fireside_config, server) == 8);
    assert!(offset_of!(fireside_config, fingerprint) == 40);
    assert!(offset_of!(fireside_config, token) == 72);
    assert!(offset_of!(fireside_config, device) == 152);
    assert!(offset_of!(fireside_config, flags) == 176);
    assert!(size_of::<fireside_budget>() == 16);
    assert!(size_of::<fireside_event>() == 144);
    assert!(offset_of!(fireside_event, request) == 8);
    assert!(offset_of!(fireside_event, conversation) == 16);
    assert!(offset_of!(fireside_event, sequence) == 48);
    assert!(offset_of!(fireside_event, user) == 80);
    assert!(offset_of!(fireside_event, detail) == 112);
    assert!(offset_of!(fireside_event, count) == 132);
    assert!(size_of::<fireside_timeline_row>() == 120);
    assert!(offset_of!(fireside_timeline_row, sender) == 40);
    assert!(offset_of!(fireside_timeline_row, body) == 88);
    assert!(size_of::<fireside_conversation_row>() == 128);
    assert!(offset_of!(fireside_conversation_row, name) == 48);
    assert!(size_of::<fireside_member>() == 64);
    assert!(size_of::<fireside_device>() == 72);
    assert!(size_of::<fireside_found>() == 80);
    assert!(size_of::<fireside_message>() == 72);
    assert!(offset_of!(fireside_message, text) == 48);
    assert!(size_of::<fireside_events>() == 152);
    assert!(offset_of!(fireside_events, messages) == 24);
    assert!(size_of::<fireside_reaction>() == 32);
    assert!(size_of::<fireside_stats>() == 152);
};
