-- Moves what is unsettled of sparse stints into `target`, a stint of `own`, so that they can end: those of which at most one send in
-- 20 is. Whoever looks for unsettled sends reads whole stints, and one send may wait for hours. With the owner's rights, since the sends
-- are of all teams; rows are locked in the order of their keys, as everywhere.
CREATE OR REPLACE FUNCTION gather_stints(stints uuid[], target uuid, own uuid) RETURNS void
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path FROM CURRENT
AS $$
DECLARE
    sparse uuid[];
BEGIN
    SELECT array_agg(s.stint_id) INTO sparse
      FROM (
        SELECT d.stint_id, count(*) AS sends, count(*) FILTER (WHERE d.state >= send_state('ACCEPTED')) AS unsettled
          FROM delivery AS d WHERE d.stint_id = ANY (stints) GROUP BY d.stint_id
      ) AS s
     WHERE s.unsettled > 0 AND s.unsettled * 20 <= s.sends;
    IF sparse IS NULL THEN
        RETURN;
    END IF;
    PERFORM hold_stint(target, own);
    UPDATE delivery AS d SET stint_id = target
      FROM (
        SELECT r.team_id, r.effect_key FROM delivery AS r
         WHERE r.stint_id = ANY (sparse) AND r.state >= send_state('ACCEPTED')
         ORDER BY r.team_id, r.effect_key
           FOR UPDATE
      ) AS held
     WHERE d.team_id = held.team_id AND d.effect_key = held.effect_key;
END
$$;
