-- Unread is told from ordinals: two numbers, instead of a look at every message between them.

-- Whose last message is where: what is before it counts as read by them. Written once per sender and commit.
CREATE TABLE senders (
    conversation INTEGER NOT NULL,
    user TEXT NOT NULL,
    seq INTEGER NOT NULL,
    PRIMARY KEY (conversation, user)
) WITHOUT ROWID;
INSERT INTO senders SELECT conversation, sender, max(seq) FROM entries WHERE kind = 1 GROUP BY conversation, sender;

-- What does not count alike for everybody: private to the sender, or naming somebody.
CREATE INDEX entries_apart ON entries (conversation, seq) WHERE (flags & 10 OR mentions IS NOT NULL);
