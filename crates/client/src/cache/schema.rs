//! The cache's tables and how older ones become newer ones.

/// Each brings the tables from its index to the next version (`user_version`). Only ever add to the end.
pub(super) const MIGRATIONS: &[&str] = &["
CREATE TABLE profile (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    user TEXT,
    device BLOB NOT NULL,
    user_cursor INTEGER NOT NULL,
    heads_since INTEGER NOT NULL,
    blocked BLOB NOT NULL,
    invitations BLOB NOT NULL,
    row_counter INTEGER NOT NULL
);
CREATE TABLE conversation (
    conversation BLOB PRIMARY KEY,
    head BLOB NOT NULL,
    covered BLOB NOT NULL,
    changes_to INTEGER NOT NULL,
    last_known INTEGER NOT NULL,
    rights INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE item (
    id INTEGER PRIMARY KEY,
    conversation BLOB NOT NULL,
    sequence INTEGER NOT NULL,
    row INTEGER NOT NULL,
    rev INTEGER NOT NULL,
    body BLOB NOT NULL,
    -- As it was given; `words` is what the index has of it.
    text TEXT NOT NULL,
    words TEXT NOT NULL,
    UNIQUE (conversation, sequence)
);
CREATE TABLE outbox (
    nonce BLOB PRIMARY KEY,
    conversation BLOB NOT NULL,
    position INTEGER NOT NULL,
    row INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    tried INTEGER NOT NULL,
    failed INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    body BLOB NOT NULL
) WITHOUT ROWID;
CREATE VIRTUAL TABLE item_text USING fts5 (
    words, content = 'item', content_rowid = 'id', tokenize = 'unicode61 remove_diacritics 2'
);
-- A recalled word must be gone from the index at once, not at the next merge.
INSERT INTO item_text (item_text, rank) VALUES ('secure-delete', 1);
", "
-- The index follows the items: it has those with an `id` up to `upto` and no others. It is made anew and begins at 0; the items that
-- are here are brought in like new ones.
DROP TABLE item_text;
CREATE TABLE indexed (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    upto INTEGER NOT NULL
);
INSERT INTO indexed VALUES (1, 0);
-- From here on `item.words` is empty where the index has the text as it is.
CREATE VIEW item_words AS
    SELECT id, CASE words WHEN '' THEN text ELSE words END AS words FROM item
    WHERE id <= (SELECT upto FROM indexed) AND text <> '';
CREATE VIRTUAL TABLE item_text USING fts5 (
    words, content = 'item_words', content_rowid = 'id', tokenize = 'unicode61 remove_diacritics 2'
);
INSERT INTO item_text (item_text, rank) VALUES ('secure-delete', 1);
", "
ALTER TABLE conversation ADD COLUMN got INTEGER NOT NULL DEFAULT 0;
", "
-- Records of the user log that are kept as they came. `place` is the conversation or folder of a key, `about` its user, each empty if
-- there is none.
CREATE TABLE record (
    kind INTEGER NOT NULL,
    place BLOB NOT NULL,
    about TEXT NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (kind, place, about)
) WITHOUT ROWID;
-- The versions before passed over such records: all are read once more.
UPDATE profile SET user_cursor = 0;
"];

/// For every connection. A crash of the process loses nothing; a power cut may lose the last moments, which the server still has,
/// and unsent messages of these moments.
pub(super) const PRAGMAS: &str = "
PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL;
PRAGMA secure_delete = ON;
PRAGMA temp_store = MEMORY;
PRAGMA cache_size = -2000;
PRAGMA journal_size_limit = 4194304;
";
