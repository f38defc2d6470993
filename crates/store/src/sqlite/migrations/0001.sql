-- The first schema. `docs/model.md` says what the numbers are; unsigned 64-bit numbers are kept as the signed ones with the same bits.

-- `number` stands for the id in the log, in 1 to 4 bytes.
CREATE TABLE conversations (
    number INTEGER NOT NULL PRIMARY KEY,
    id BLOB NOT NULL UNIQUE,
    kind INTEGER NOT NULL,
    version INTEGER NOT NULL,
    name TEXT NOT NULL,
    history INTEGER NOT NULL,
    creator TEXT NOT NULL,
    first INTEGER NOT NULL
);

-- Rows stand in the order they came, of all conversations alike: appending fills the last page, where a tree ordered by conversation
-- splits pages all over (measured: 2 to 4 times the pages written). The narrow index finds them.
-- `conversation` is a number. `body` is an encoded protocol entry: an item with its state, a change without its content.
-- `flags`: 1 countable, 2 private to the sender, 4 the target is private, 8 everybody is mentioned.
CREATE TABLE entries (
    conversation INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    sender TEXT NOT NULL,
    at INTEGER NOT NULL,
    ordinal INTEGER NOT NULL,
    rev INTEGER NOT NULL,
    flags INTEGER NOT NULL,
    target INTEGER NOT NULL,
    target_sender TEXT,
    mentions BLOB,
    body BLOB NOT NULL
);
CREATE UNIQUE INDEX entries_place ON entries (conversation, seq);

-- Only changed items are in it: appending a message touches one tree.
CREATE INDEX entries_changed ON entries (conversation, rev) WHERE rev > seq;

-- `intervals`: 16 bytes each, from and until (0: it lasts), little-endian.
CREATE TABLE members (
    conversation BLOB NOT NULL,
    user TEXT NOT NULL,
    role INTEGER,
    intervals BLOB NOT NULL,
    invited_by TEXT,
    read INTEGER NOT NULL,
    delivered INTEGER NOT NULL,
    rights INTEGER NOT NULL,
    PRIMARY KEY (conversation, user)
) WITHOUT ROWID;
CREATE INDEX members_by_user ON members (user);

CREATE TABLE users (
    id TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL DEFAULT '',
    log_last INTEGER NOT NULL DEFAULT 0,
    log_pruned INTEGER NOT NULL DEFAULT 0,
    valid_after INTEGER NOT NULL DEFAULT 0,
    banned_until INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;

CREATE TABLE devices (
    user TEXT NOT NULL,
    device BLOB NOT NULL,
    platform TEXT NOT NULL,
    agent TEXT NOT NULL,
    seen INTEGER NOT NULL,
    PRIMARY KEY (user, device)
) WITHOUT ROWID;

CREATE TABLE blocks (
    blocker TEXT NOT NULL,
    blocked TEXT NOT NULL,
    PRIMARY KEY (blocker, blocked)
) WITHOUT ROWID;

-- One row per key (kind, conversation, key_user): the newest. `body` is an encoded protocol user record.
CREATE TABLE user_log (
    user TEXT NOT NULL,
    seq INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    conversation BLOB NOT NULL,
    key_user TEXT NOT NULL,
    gone INTEGER NOT NULL,
    at INTEGER NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (user, seq)
) WITHOUT ROWID;
CREATE UNIQUE INDEX user_log_key ON user_log (user, kind, conversation, key_user);
CREATE INDEX user_log_gone ON user_log (at) WHERE gone = 1;
CREATE INDEX user_log_tombstones ON user_log (user, seq, at) WHERE gone = 1;

-- Nonces begin with the time they were made: in this order inserts stay at the right end of the tree.
-- `code`: 0 done, otherwise the refusal.
CREATE TABLE nonces (
    nonce BLOB NOT NULL,
    user TEXT NOT NULL,
    code INTEGER NOT NULL,
    conversation BLOB,
    seq INTEGER NOT NULL,
    ordinal INTEGER NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (nonce, user)
) WITHOUT ROWID;
