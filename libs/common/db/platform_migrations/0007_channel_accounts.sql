-- The ids of teams' channel accounts, without what was deleted: what names an account that the team has not is refused where it
-- comes in. The gateway, which owns accounts, keeps it in the transaction of each change (a trigger of its table); segment reads it.
CREATE TABLE platform.channel_account (
    team_id    uuid NOT NULL,
    account_id uuid NOT NULL,
    PRIMARY KEY (team_id, account_id)
);

SELECT platform.hold_teams_apart('platform.channel_account');
