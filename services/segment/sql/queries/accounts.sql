-- Channel accounts, in a table of the platform that the gateway keeps.

-- name: find_accounts
SELECT found.team_id, found.account_id, found.channel
  FROM unnest(:team_ids::uuid[], :account_ids::uuid[]) AS named (team_id, account_id)
 CROSS JOIN LATERAL (
    SELECT a.team_id, a.account_id, a.channel FROM platform.channel_account AS a
     WHERE a.team_id = named.team_id AND a.account_id = named.account_id LIMIT 1
 ) AS found

-- name: known_accounts
-- A transaction of its own.
SELECT team_id, account_id, channel FROM known_accounts_v2(:team_ids, :account_ids)
