-- What a conversation was set to: an encoded protocol `Settings`; an empty map is what its kind has.
ALTER TABLE conversations ADD COLUMN settings BLOB NOT NULL DEFAULT x'80';

-- Whether they ask to come in.
ALTER TABLE members ADD COLUMN asked INTEGER NOT NULL DEFAULT 0;
