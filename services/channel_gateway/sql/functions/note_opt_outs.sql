-- version: 2
-- Keeps who wants no messages, as a channel said it of sends that were in flight (source 3: the channel's own signal), in the order of keys.
-- To be called while they are.
CREATE OR REPLACE FUNCTION note_opt_outs(domain_now timestamptz, outcomes outcome_row[]) RETURNS void
LANGUAGE sql
SET search_path FROM CURRENT SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off
AS $$
    WITH written AS (
        INSERT INTO opt_out AS known (team_id, channel, external_id, withdrawn, source, changed_at)
        SELECT DISTINCT d.team_id, d.channel, d.recipient, true, 3, domain_now
          FROM unnest(outcomes) AS o
         CROSS JOIN LATERAL unnest(o.effect_keys) AS s (effect_key)
         CROSS JOIN LATERAL (
            SELECT team_id, channel, recipient FROM delivery
             WHERE delivery.team_id = o.team_id AND delivery.effect_key = s.effect_key AND state = send_state('IN_FLIGHT') LIMIT 1
         ) AS d
         WHERE o.reason = 'OPTED_OUT'
         ORDER BY 1, 2, 3
        ON CONFLICT (team_id, channel, external_id) DO UPDATE
           SET withdrawn = true, source = EXCLUDED.source, changed_at = EXCLUDED.changed_at
         WHERE known.changed_at <= EXCLUDED.changed_at
        RETURNING known.team_id, known.channel, known.external_id, known.source, known.changed_at
    )
    INSERT INTO consent_change (team_id, change_id, channel, external_id, withdrawn, before_state, source, note, actor, changed_at)
    SELECT w.team_id, gen_random_uuid(), w.channel, w.external_id, true, CASE WHEN b.withdrawn IS NULL THEN 0 ELSE 1 END, w.source, '',
           'channel_gateway', w.changed_at
      FROM written AS w
      LEFT JOIN LATERAL (
        SELECT o.withdrawn FROM opt_out AS o
         WHERE (o.team_id, o.channel, o.external_id) = (w.team_id, w.channel, w.external_id) LIMIT 1
      ) AS b ON true
     WHERE b.withdrawn IS NOT true
$$;
