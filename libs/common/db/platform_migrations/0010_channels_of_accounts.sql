-- Of which channel an account is, so that no identity is of another one than its account; the gateway's next migration fills it in.
-- Null: of one that a process of the release before made.
ALTER TABLE platform.channel_account ADD COLUMN channel smallint;
