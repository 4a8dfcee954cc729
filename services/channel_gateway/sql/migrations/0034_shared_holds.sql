-- Until when a channel wants nothing of an account, or nothing of it for one person (`recipient` not empty): whichever process was told
-- so, the others hear of it when they renew their shares of the account's rate. Like these, worth nothing after a crash of the server.
CREATE UNLOGGED TABLE account_hold (
    team_id    uuid NOT NULL,
    account_id uuid NOT NULL,
    recipient  text NOT NULL,
    -- Real time, of the server.
    until_time timestamptz NOT NULL CHECK (until_time >= '0001-01-02 00:00:00+00' AND until_time < '9999-12-31 00:00:00+00'),
    PRIMARY KEY (team_id, account_id, recipient)
);
SELECT platform.hold_teams_apart('account_hold');
