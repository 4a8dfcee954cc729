-- What a trigger of the API came with, for the variables of messages: null where that is nothing, an empty object once it is not kept any more.
ALTER TABLE mail ADD COLUMN data jsonb;
-- Of those that have some: who has none is in no index.
CREATE INDEX mail_with_data ON mail (occurred_at) WHERE data IS NOT NULL AND data <> '{}';
