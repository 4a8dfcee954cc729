-- name: find_capped_teams
SELECT team_id FROM frequency_cap WHERE team_id = ANY (:teams) AND rules <> '[]'

-- name: get_frequency_cap
SELECT rules, version FROM frequency_cap WHERE team_id = :team_id

-- name: make_frequency_cap
-- Version 0, as one that was never set is shown.
INSERT INTO frequency_cap (team_id, rules, version, updated_at) VALUES (:team_id, '[]', 0, :now) ON CONFLICT (team_id) DO NOTHING

-- name: hold_frequency_cap
SELECT rules, version FROM frequency_cap WHERE team_id = :team_id FOR UPDATE

-- name: set_frequency_cap
UPDATE frequency_cap SET rules = :rules::jsonb, updated_at = :now, version = version + 1 WHERE team_id = :team_id
RETURNING rules, version

-- name: outdate_catalogue
-- What processes keep of the team's accounts is out of date from this commit on: they read it again, and the cap with it.
UPDATE account SET version = version + 1
 WHERE team_id = :team_id AND account_id = (SELECT account_id FROM account WHERE team_id = :team_id ORDER BY account_id LIMIT 1)

-- name: drop_frequency_uses
DELETE FROM frequency_use WHERE team_id = :team_id

-- name: hold_frequency_caps
-- One batch of a team after the other.
SELECT team_id, rules FROM frequency_cap WHERE team_id = ANY (:teams) AND rules <> '[]' ORDER BY team_id FOR UPDATE

-- name: find_frequency_uses
-- What customers got, as far as it left or may leave; no time: it is under way.
SELECT s.*
  FROM unnest(:teams::uuid[], :customer_ids::uuid[]) AS w (team_id, customer_id)
 CROSS JOIN LATERAL (
    SELECT u.team_id, u.customer_id, d.channel, d.settled_at,
           CASE WHEN d.state >= send_state('ACCEPTED') OR d.state IN (send_state('SENT'), send_state('UNKNOWN'))
                THEN d.messages ELSE d.parts_sent END AS messages
      FROM frequency_use AS u JOIN delivery AS d ON d.team_id = u.team_id AND d.effect_key = u.effect_key
     WHERE u.team_id = w.team_id AND u.customer_id = w.customer_id AND u.noted_at > :since
 ) AS s
 WHERE s.messages > 0

-- name: note_frequency_uses
INSERT INTO frequency_use (team_id, customer_id, effect_key, noted_at)
SELECT w.team_id, w.customer_id, w.effect_key, :now
  FROM unnest(:teams::uuid[], :customer_ids::uuid[], :effect_keys::uuid[]) AS w (team_id, customer_id, effect_key)
 ORDER BY 1, 2, 3
ON CONFLICT (team_id, customer_id, effect_key) DO UPDATE SET noted_at = EXCLUDED.noted_at

-- name: drop_old_frequency_uses
DELETE FROM frequency_use AS u
 USING (SELECT team_id, customer_id, effect_key FROM frequency_use
         WHERE team_id = ANY (:teams) AND noted_at <= :until ORDER BY team_id, noted_at LIMIT :most) AS o
 WHERE u.team_id = o.team_id AND u.customer_id = o.customer_id AND u.effect_key = o.effect_key
