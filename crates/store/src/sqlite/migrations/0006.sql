-- Each message asks for its sender's draft, and nearly always there is none: they have an index of their own.
CREATE INDEX user_log_drafts ON user_log (user, conversation) WHERE kind = 18 AND gone = 0;

-- Who blocks a user is asked at each log-in.
CREATE INDEX blocks_by_blocked ON blocks (blocked, blocker);

-- Whether nobody is told how far they have read: as their record of that kind says, at hand where members are read.
ALTER TABLE users ADD COLUMN receipts_off INTEGER NOT NULL DEFAULT 0;
