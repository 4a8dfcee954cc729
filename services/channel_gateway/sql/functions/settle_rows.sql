-- version: 5
-- Settles sends that are unsettled and `own`; how many. Rows are found one by one in the order of their keys, which is the order in
-- which all lock them. Request bodies stay as what was sent, and as what is
-- still to be sent of what was put off half way; what may have left of that is noted (`put_off_send`). Whom a channel names as somebody who wants no messages is kept as such.
CREATE OR REPLACE FUNCTION settle_rows(own uuid, domain_now timestamptz, outcomes outcome_row[]) RETURNS bigint
LANGUAGE plpgsql
SET search_path FROM CURRENT SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off
AS $$
DECLARE
    settled bigint;
BEGIN
    IF EXISTS (SELECT FROM unnest(outcomes) AS o WHERE o.reason = 'OPTED_OUT') THEN
        PERFORM note_opt_outs(domain_now, outcomes);
    END IF;
    UPDATE delivery AS d
       SET state = w.state, reason = w.reason, messages = w.messages, parts_sent = w.parts_sent,
           message_ids = string_to_array(w.message_ids, E'\n'), settled_at = domain_now, next_attempt_at = NULL
      FROM (
        SELECT o.team_id, s.effect_key, o.state, o.reason, o.messages, o.parts_sent, s.message_ids
          FROM unnest(outcomes) AS o
         CROSS JOIN LATERAL unnest(o.effect_keys, o.message_ids) AS s (effect_key, message_ids)
         ORDER BY 1, 2
      ) AS w
     WHERE d.team_id = w.team_id AND d.effect_key = w.effect_key AND d.sender = own AND d.state >= send_state('ACCEPTED');
    GET DIAGNOSTICS settled = ROW_COUNT;
    IF EXISTS (SELECT FROM unnest(outcomes) AS o WHERE o.state = send_state('DEFERRED') AND o.messages > o.parts_sent) THEN
        INSERT INTO put_off_send (team_id, effect_key, first_attempt_at)
        SELECT o.team_id, s.effect_key, COALESCE(d.first_attempt_at, clock_timestamp())
          FROM unnest(outcomes) AS o
         CROSS JOIN LATERAL unnest(o.effect_keys) AS s (effect_key)
          JOIN delivery AS d ON d.team_id = o.team_id AND d.effect_key = s.effect_key
         WHERE o.state = send_state('DEFERRED') AND o.messages > o.parts_sent
         ORDER BY 1, 2
            ON CONFLICT (team_id, effect_key) DO NOTHING;
    END IF;
    RETURN settled;
END
$$;
