-- Who else sees an entry that is private (an answer to a card: the card's author).
ALTER TABLE entries ADD COLUMN audience TEXT;

-- What a member deleted for themselves: 8-byte numbers, little-endian: everything up to the first, then runs of first and last.
ALTER TABLE members ADD COLUMN deleted BLOB NOT NULL DEFAULT x'';

-- What items said before they were edited or recalled. `rev`: the number of the entry that had made it so.
CREATE TABLE revisions (
    conversation INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    rev INTEGER NOT NULL,
    at INTEGER NOT NULL,
    content BLOB NOT NULL,
    PRIMARY KEY (conversation, seq, rev)
) WITHOUT ROWID;
