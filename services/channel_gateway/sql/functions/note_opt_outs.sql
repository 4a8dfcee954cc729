-- Keeps who wants no messages, as a channel said it of sends (source 4: the channel's own signal), in the order of keys.
CREATE OR REPLACE FUNCTION note_opt_outs(domain_now timestamptz, outcomes outcome_row[]) RETURNS void
LANGUAGE sql
SET search_path FROM CURRENT SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off
AS $$
    INSERT INTO opt_out AS known (team_id, channel, external_id, withdrawn, source, changed_at)
    SELECT DISTINCT d.team_id, d.channel, d.recipient, true, 4, domain_now
      FROM unnest(outcomes) AS o
     CROSS JOIN LATERAL unnest(o.effect_keys) AS s (effect_key)
     CROSS JOIN LATERAL (
        SELECT team_id, channel, recipient FROM delivery
         WHERE delivery.team_id = o.team_id AND delivery.effect_key = s.effect_key LIMIT 1
     ) AS d
     WHERE o.reason = 'OPTED_OUT'
     ORDER BY 1, 2, 3
    ON CONFLICT (team_id, channel, external_id) DO UPDATE
       SET withdrawn = true, source = EXCLUDED.source, changed_at = EXCLUDED.changed_at
     WHERE known.changed_at <= EXCLUDED.changed_at
$$;
