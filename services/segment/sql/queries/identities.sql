-- Identities on channels.

-- name: find_identities
SELECT i.team_id, i.channel, i.account_id, i.external_id, i.customer_id, i.blocked
  FROM unnest(:keys::input_identity[]) AS named
 CROSS JOIN LATERAL (
    SELECT * FROM identity AS r
     WHERE r.team_id = named.team_id AND r.channel = named.channel
       AND r.account_id = named.account_id AND r.external_id = named.external_id LIMIT 1
 ) AS i

-- name: delete_identity
DELETE FROM identity
 WHERE team_id = :team_id AND channel = :channel AND account_id = :account_id AND external_id = :external_id
   AND customer_id = :customer_id

-- name: find_moves
SELECT m.team_id, m.channel, m.account_id, m.external_id, m.moved_at, m.moved_to
  FROM unnest(:keys::input_identity[]) AS named
 CROSS JOIN LATERAL (
    SELECT * FROM moved_identity AS r
     WHERE r.team_id = named.team_id AND r.channel = named.channel
       AND r.account_id = named.account_id AND r.external_id = named.external_id OFFSET 0
 ) AS m

-- name: insert_move
WITH forgotten AS (
    DELETE FROM moved_identity WHERE team_id = :team_id AND moved_at < :forgotten_before
)
INSERT INTO moved_identity (team_id, channel, account_id, external_id, moved_at, moved_to)
SELECT :team_id, :channel, :account_id, :external_id, :moved_at, :moved_to WHERE :moved_at >= :forgotten_before
ON CONFLICT DO NOTHING
