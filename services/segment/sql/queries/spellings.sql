-- Texts that a release before spelled otherwise, see domain/spellings.py.

-- name: load_spelling_search
SELECT reached_team_id, reached_customer_id FROM spelling_search WHERE due_at <= clock_timestamp()

-- name: next_team
SELECT team_ids(:after, 1)

-- name: move_spelling_search
-- Where another process went on meanwhile, it stays where that one is.
UPDATE spelling_search SET reached_team_id = :team_id, reached_customer_id = :customer_id
 WHERE (reached_team_id, reached_customer_id) = (:from_team_id, :from_customer_id) AND due_at <= clock_timestamp()

-- name: end_spelling_pass
-- The last one leaves nothing to search for. Of several processes that come to the end one ends the pass.
WITH ended AS (
    DELETE FROM spelling_search
     WHERE passes_left = 1 AND (reached_team_id, reached_customer_id) = (:from_team_id, :from_customer_id) AND due_at <= clock_timestamp()
    RETURNING 1
)
UPDATE spelling_search
   SET reached_team_id = '00000000-0000-0000-0000-000000000000', reached_customer_id = '00000000-0000-0000-0000-000000000000',
       passes_left = passes_left - 1, due_at = clock_timestamp() + interval '1 day'
 WHERE passes_left > 1 AND (reached_team_id, reached_customer_id) = (:from_team_id, :from_customer_id) AND due_at <= clock_timestamp()
   AND NOT EXISTS (SELECT FROM ended)

-- name: read_spellings
-- Of identities those on a channel, and what led to those who were merged, each in one order.
SELECT c.customer_id, c.member_id, c.phone, c.email,
       ARRAY(SELECT i.account_id FROM identity AS i
              WHERE i.team_id = :team_id AND i.customer_id = c.customer_id AND i.channel = :channel
              ORDER BY i.account_id, i.external_id) AS account_ids,
       ARRAY(SELECT i.external_id FROM identity AS i
              WHERE i.team_id = :team_id AND i.customer_id = c.customer_id AND i.channel = :channel
              ORDER BY i.account_id, i.external_id) AS external_ids,
       ARRAY(SELECT a.kind FROM customer_alias AS a
              WHERE a.team_id = :team_id AND a.customer_id = c.customer_id ORDER BY a.kind, a.text) AS alias_kinds,
       ARRAY(SELECT a.text FROM customer_alias AS a
              WHERE a.team_id = :team_id AND a.customer_id = c.customer_id ORDER BY a.kind, a.text) AS alias_texts
  FROM customer AS c
 WHERE c.team_id = :team_id AND c.customer_id > :after
 ORDER BY c.customer_id LIMIT :row_max

-- name: respell_alias
-- Where the new text leads to the customer already, the old one goes.
WITH gone AS (
    DELETE FROM customer_alias
     WHERE team_id = :team_id AND kind = :kind::smallint AND text = :before AND customer_id = :customer_id RETURNING 1
)
INSERT INTO customer_alias (team_id, kind, text, customer_id)
SELECT :team_id, :kind::smallint, :after, :customer_id FROM gone ON CONFLICT DO NOTHING
