-- How much of an account's rate each process of the gateway may use, until when. Processes renew their shares while they use the account;
-- what a process that died had is free again when its time is over. Nothing of it is worth keeping through a crash of the server: the
-- processes lose their connections with it, and ask again.
CREATE UNLOGGED TABLE account_share (
    team_id    uuid NOT NULL,
    account_id uuid NOT NULL,
    sender     uuid NOT NULL,
    share      double precision NOT NULL CHECK (share >= 0),
    weight     smallint NOT NULL CHECK (weight > 0),
    -- Real time, of the server.
    until_time timestamptz NOT NULL CHECK (until_time >= '0001-01-02 00:00:00+00' AND until_time < '9999-12-31 00:00:00+00'),
    PRIMARY KEY (team_id, account_id, sender)
);
SELECT platform.hold_teams_apart('account_share');
