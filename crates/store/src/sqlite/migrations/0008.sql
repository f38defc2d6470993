-- What a conversation belongs to: of a channel its community, of a thread the conversation and the number of the message it is under.
ALTER TABLE conversations ADD COLUMN parent BLOB;
ALTER TABLE conversations ADD COLUMN root INTEGER NOT NULL DEFAULT 0;
-- Whoever comes into the parent comes into it too. The same stands in `settings`.
ALTER TABLE conversations ADD COLUMN by_default INTEGER NOT NULL DEFAULT 0;
CREATE INDEX conversations_children ON conversations (parent, root DESC, id) WHERE parent IS NOT NULL;
