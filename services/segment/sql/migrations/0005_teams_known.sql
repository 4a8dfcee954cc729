-- Tells every service which teams there are. With the owner's rights, and by a trigger: a process of the release before creates
-- teams as well.
CREATE FUNCTION note_team() RETURNS trigger
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    INSERT INTO platform.team (team_id) VALUES (NEW.team_id) ON CONFLICT DO NOTHING;
    RETURN NULL;
END
$$;

CREATE TRIGGER known AFTER INSERT ON team FOR EACH ROW EXECUTE FUNCTION note_team();

-- After the trigger, which waits for running transactions: none is missed.
INSERT INTO platform.team (team_id) SELECT team_id FROM team ON CONFLICT DO NOTHING;
