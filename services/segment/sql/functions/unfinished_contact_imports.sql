-- Imports of all teams that a worker has to go on with: those whose file is there. It runs with its owner's rights, because a worker
-- serves all teams and must know which before it may read them; it tells ids and nothing else.
CREATE OR REPLACE FUNCTION unfinished_contact_imports() RETURNS TABLE (team_id uuid, contact_import_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path FROM CURRENT
AS $$
    SELECT i.team_id, i.contact_import_id FROM contact_import AS i
     WHERE (i.state IN (import_state('PENDING'), import_state('RUNNING')) OR i.waiting_count > 0) AND i.uploaded_bytes = i.file_bytes
     ORDER BY i.created_at
$$;
