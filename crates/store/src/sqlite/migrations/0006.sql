-- Each message asks for its sender's draft, and nearly always there is none: they have an index of their own.
CREATE INDEX user_log_drafts ON user_log (user, conversation) WHERE kind = 18 AND gone = 0;

-- Who blocks a user is asked at each log-in.
CREATE INDEX blocks_by_blocked ON blocks (blocked, blocker);

-- Whether nobody is told how far they have read: as their record of that kind says, at hand where members are read.
ALTER TABLE users ADD COLUMN receipts_off INTEGER NOT NULL DEFAULT 0;

-- What moderators are asked to look at. `evidence` is an encoded array of protocol entries, `revisions` one of revisions: copies, which recall and erasure leave until
-- the report's own time is over.
CREATE TABLE reports (
    number INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    reporter TEXT NOT NULL,
    at INTEGER NOT NULL,
    conversation BLOB,
    seq INTEGER NOT NULL,
    accused TEXT NOT NULL,
    reason INTEGER NOT NULL,
    text TEXT NOT NULL,
    evidence BLOB NOT NULL,
    revisions BLOB NOT NULL
);
CREATE INDEX reports_by_reporter ON reports (reporter, at);
CREATE INDEX reports_by_time ON reports (at);
