-- version: 2
-- Takes up sends in doubt that were put off and not asked for again within `age` of their first attempt: they wait again, are `own` and of the
-- stint, and end as what nobody knows; their keys, at most `row_max`. What became of others is known, and they are forgotten here.
-- It runs with its owner's rights, since a worker finds work of all teams before it can bind a transaction to them; it returns ids only.
CREATE OR REPLACE FUNCTION take_up_put_off(age interval, own uuid, stint uuid, row_max integer)
RETURNS TABLE (team_id uuid, effect_key uuid)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT
AS $$
#variable_conflict use_column
BEGIN
    IF NOT EXISTS (SELECT FROM put_off_send AS p WHERE p.first_attempt_at < clock_timestamp() - age) THEN
        RETURN;
    END IF;
    PERFORM hold_stint(stint, own);
    RETURN QUERY
    WITH found AS (
        SELECT p.team_id, p.effect_key FROM put_off_send AS p
         WHERE p.first_attempt_at < clock_timestamp() - age
         ORDER BY p.team_id, p.effect_key LIMIT row_max FOR UPDATE SKIP LOCKED
    ), due AS (
        DELETE FROM put_off_send AS p USING found AS f
         WHERE p.team_id = f.team_id AND p.effect_key = f.effect_key RETURNING p.team_id, p.effect_key
    ), held AS (
        SELECT d.team_id, d.effect_key
          FROM due AS w JOIN delivery AS d ON d.team_id = w.team_id AND d.effect_key = w.effect_key
         WHERE d.state = send_state('DEFERRED') AND d.doubtful
         ORDER BY d.team_id, d.effect_key FOR UPDATE OF d
    )
    UPDATE delivery AS d
       SET state = send_state('ACCEPTED'), sender = own, stint_id = stint, settled_at = NULL, next_attempt_at = NULL,
           messages_reported = d.parts_sent
      FROM held AS h WHERE d.team_id = h.team_id AND d.effect_key = h.effect_key
    RETURNING d.team_id, d.effect_key;
END
$$;
