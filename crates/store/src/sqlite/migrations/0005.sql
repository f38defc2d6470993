-- It has ended: its last entry says so.
ALTER TABLE conversations ADD COLUMN dissolved INTEGER NOT NULL DEFAULT 0;
-- Meetings (kind 4) that are not over: a node reads them when it starts. When they end stands in `settings`.
CREATE INDEX conversations_meetings ON conversations (id) WHERE kind = 4 AND dissolved = 0;

-- Until when they may not write; 0: they may.
ALTER TABLE members ADD COLUMN muted_until INTEGER NOT NULL DEFAULT 0;
-- Who banned them, and until when (0: for ever).
ALTER TABLE members ADD COLUMN banned_by TEXT;
ALTER TABLE members ADD COLUMN banned_until INTEGER NOT NULL DEFAULT 0;
CREATE INDEX members_banned ON members (conversation, user) WHERE banned_by IS NOT NULL;
-- Their name in this conversation, and what the game notes about them there: an encoded list of protocol `Attribute`s.
ALTER TABLE members ADD COLUMN name_here TEXT NOT NULL DEFAULT '';
ALTER TABLE members ADD COLUMN attributes BLOB NOT NULL DEFAULT x'90';

-- What present members are looked up by, folded: user id, name, name here.
CREATE TABLE member_names (
    conversation BLOB NOT NULL,
    folded TEXT NOT NULL,
    user TEXT NOT NULL,
    PRIMARY KEY (conversation, folded, user)
) WITHOUT ROWID;
CREATE INDEX member_names_by_user ON member_names (user, conversation);

-- Invite links, in the order they were made.
CREATE TABLE links (
    number INTEGER NOT NULL PRIMARY KEY,
    conversation BLOB NOT NULL,
    code BLOB NOT NULL,
    made_by TEXT NOT NULL,
    at INTEGER NOT NULL,
    expires INTEGER NOT NULL,
    uses INTEGER NOT NULL,
    used INTEGER NOT NULL,
    UNIQUE (conversation, code)
);
