-- Removes those of the stints of which no send is unsettled, if nobody stores sends of them right now. With the owner's rights, since
-- the sends are of all teams.
CREATE OR REPLACE FUNCTION end_stints(stints uuid[]) RETURNS void
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path FROM CURRENT
AS $$
DECLARE
    stint uuid;
BEGIN
    FOREACH stint IN ARRAY stints LOOP
        IF pg_try_advisory_xact_lock(hashtextextended(stint::text, 7316)) THEN
            DELETE FROM sender_stint AS s
             WHERE s.stint_id = stint
               AND NOT EXISTS (SELECT FROM delivery AS d WHERE d.stint_id = stint AND d.state >= send_state('ACCEPTED'));
        END IF;
    END LOOP;
END
$$;
