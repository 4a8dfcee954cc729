-- Ends uploads that nobody has gone on with since `stale`, and forgets what ended before `old`, of all teams: at most `row_max` rows of
-- each table, how many it were. It runs with its owner's rights, because rows of every team are forgotten alike.
CREATE OR REPLACE FUNCTION forget_contact_imports(stale timestamptz, old timestamptz, ended timestamptz, row_max integer)
RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER
SET search_path FROM CURRENT
AS $$
DECLARE
    gone bigint;
    total bigint := 0;
BEGIN
    UPDATE contact_import SET state = import_state('FAILED'), ended_at = ended, message = 'nobody went on with the upload'
     WHERE state = import_state('PENDING') AND uploaded_bytes < file_bytes AND touched_at < stale;
    DELETE FROM contact_import_part AS p WHERE p.ctid = ANY (ARRAY(
        SELECT q.ctid FROM contact_import AS i
          JOIN contact_import_part AS q ON q.team_id = i.team_id AND q.contact_import_id = i.contact_import_id
         WHERE i.state > import_state('RUNNING') LIMIT row_max));
    GET DIAGNOSTICS gone = ROW_COUNT;
    total := total + gone;
    DELETE FROM contact_import_row AS r WHERE r.ctid = ANY (ARRAY(
        SELECT q.ctid FROM contact_import AS i
          JOIN contact_import_row AS q ON q.team_id = i.team_id AND q.contact_import_id = i.contact_import_id
         WHERE i.state > import_state('RUNNING') AND i.waiting_count = 0 AND i.touched_at < old LIMIT row_max));
    GET DIAGNOSTICS gone = ROW_COUNT;
    total := total + gone;
    IF gone = 0 THEN
        DELETE FROM contact_import AS i WHERE i.ctid = ANY (ARRAY(
            SELECT q.ctid FROM contact_import AS q
             WHERE q.state > import_state('RUNNING') AND q.waiting_count = 0 AND q.touched_at < old LIMIT row_max));
    END IF;
    RETURN total;
END
$$;
