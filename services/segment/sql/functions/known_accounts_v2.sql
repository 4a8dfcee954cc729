-- Which of these channel accounts there are, team by team, and of which channel (null: not said yet); a transaction of its own,
-- bound to those teams.
CREATE OR REPLACE FUNCTION known_accounts_v2(
    team_ids uuid[], account_ids uuid[], OUT team_id uuid, OUT account_id uuid, OUT channel smallint)
RETURNS SETOF record
LANGUAGE plpgsql
SET search_path FROM CURRENT
AS $$
BEGIN
    PERFORM platform.bind(team_ids);
    RETURN QUERY
        SELECT a.team_id, a.account_id, a.channel
          FROM unnest(team_ids, account_ids) AS n (team_id, account_id)
          JOIN platform.channel_account AS a ON a.team_id = n.team_id AND a.account_id = n.account_id;
END
$$;
