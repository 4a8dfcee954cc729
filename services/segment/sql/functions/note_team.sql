-- Tells every service that there is a team. With the owner's rights: segment itself may not write there.
CREATE OR REPLACE FUNCTION note_team() RETURNS trigger
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    INSERT INTO platform.team (team_id) VALUES (NEW.team_id) ON CONFLICT DO NOTHING;
    RETURN NULL;
END
$$;
