-- Pinned messages: bit 16 of `flags`. Few rows of a conversation are in it.
CREATE INDEX entries_pinned ON entries (conversation, seq) WHERE flags & 16;
