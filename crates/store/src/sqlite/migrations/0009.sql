-- When a message ends, while there is something left of it; NULL: never. A node asks for what is over, the first to end first.
ALTER TABLE entries ADD COLUMN expires INTEGER;
CREATE INDEX entries_expiring ON entries (expires, conversation, seq) WHERE expires IS NOT NULL;
-- What does not count alike for everybody, or does not count any more: bit 32 of `flags`, its time was over.
DROP INDEX entries_apart;
CREATE INDEX entries_apart ON entries (conversation, seq) WHERE (flags & 42 OR mentions IS NOT NULL);

-- When the message that a command sent ends; 0: never, or it sent none. A repeat gets the same answer.
ALTER TABLE nonces ADD COLUMN expires INTEGER NOT NULL DEFAULT 0;

-- What parts of forwarded messages are copied from. `source` is a conversation's id, for it is looked up by what is recalled there.
-- `due`: an admin took the original back, and the copy is to go.
CREATE TABLE copies (
    source BLOB NOT NULL,
    source_seq INTEGER NOT NULL,
    conversation INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    place INTEGER NOT NULL,
    due INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (source, source_seq, conversation, seq, place)
) WITHOUT ROWID;
CREATE INDEX copies_by_message ON copies (conversation, seq);
CREATE INDEX copies_due ON copies (conversation, seq, place) WHERE due = 1;
