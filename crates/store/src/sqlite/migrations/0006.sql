-- Each message asks for its sender's draft, and nearly always there is none: they have an index of their own.
CREATE INDEX user_log_drafts ON user_log (user, conversation) WHERE kind = 18 AND gone = 0;
