-- Who wants messages and who wants none, by customers and by people on channels.

-- name: find_statements
-- What was said of a customer, and by the people that they are; channel 0: of all.
SELECT channel, withdrawn, source, changed_at, true AS by_customer FROM consent WHERE team_id = :team_id AND customer_id = :customer_id
 UNION ALL
SELECT o.channel, o.withdrawn, o.source, o.changed_at, false
  FROM unnest(:channels::smallint[], :external_ids::text[]) AS p (channel, external_id)
 CROSS JOIN LATERAL (
    SELECT r.channel, r.withdrawn, r.source, r.changed_at FROM opt_out AS r
     WHERE (r.team_id, r.channel, r.external_id) = (:team_id, p.channel, p.external_id) LIMIT 1
 ) AS o

-- name: hold_customer
-- One at a time of a customer's consents.
SELECT pg_advisory_xact_lock(hashtextextended('gateway consent ' || :customer_id::uuid, 0))

-- name: keep_consent
INSERT INTO consent (team_id, customer_id, channel, withdrawn, source, changed_at)
VALUES (:team_id, :customer_id, :channel, :withdrawn, :source, :at)
ON CONFLICT (team_id, customer_id, channel) DO UPDATE
   SET withdrawn = EXCLUDED.withdrawn, source = EXCLUDED.source, changed_at = EXCLUDED.changed_at

-- name: tell_consent
INSERT INTO consent_change (team_id, change_id, customer_id, channel, withdrawn, before_state, source, note, actor, changed_at)
VALUES (:team_id, :change_id, :customer_id, :channel, :withdrawn, :before_state, :source, :note, :actor, :at)

-- name: list_consent_changes
-- Newest first, before a change; of the customer and those who were merged into them, and of the people that they are.
SELECT change_id, channel, withdrawn, before_state, source, note, actor, changed_at FROM (
    (SELECT * FROM consent_change AS c
      WHERE c.team_id = :team_id
        AND c.customer_id = ANY (ARRAY(
            SELECT :customer_id::uuid UNION ALL
            SELECT m.customer_id FROM merged_customer AS m WHERE m.team_id = :team_id AND m.survivor_id = :customer_id))
        AND (:before_at::timestamptz IS NULL OR (c.changed_at, c.change_id) < (:before_at, :before_id::uuid))
      ORDER BY c.changed_at DESC, c.change_id DESC LIMIT :most)
     UNION ALL
    (SELECT r.*
       FROM unnest(:channels::smallint[], :external_ids::text[]) AS p (channel, external_id)
      CROSS JOIN LATERAL (
        SELECT * FROM consent_change AS c
         WHERE c.team_id = :team_id AND c.channel = p.channel AND c.external_id = p.external_id
           AND (:before_at::timestamptz IS NULL OR (c.changed_at, c.change_id) < (:before_at, :before_id::uuid))
         ORDER BY c.changed_at DESC, c.change_id DESC LIMIT :most
      ) AS r)
) AS found
 ORDER BY changed_at DESC, change_id DESC LIMIT :most
