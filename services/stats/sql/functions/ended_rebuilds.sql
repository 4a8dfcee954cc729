-- Rebuilds that have ended, or are forgotten, and have left something behind. It runs with its owner's rights, since what has to be removed is
-- of all teams; it returns ids only.
CREATE OR REPLACE FUNCTION ended_rebuilds() RETURNS SETOF uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT
AS $$
    SELECT DISTINCT c.rebuild_id FROM rebuild_cursor AS c
     WHERE NOT EXISTS (SELECT FROM rebuild AS r WHERE r.rebuild_id = c.rebuild_id AND r.state IN (operation_state('PENDING'), operation_state('RUNNING')))
$$;
