-- Removes what a rebuild that came to nothing has counted and where it stood, of all its teams.
CREATE OR REPLACE FUNCTION drop_shadows(rebuild uuid) RETURNS void
LANGUAGE plpgsql SET search_path FROM CURRENT
AS $$
DECLARE
    shadows CONSTANT uuid[] := ARRAY(SELECT s.shadow_id FROM rebuild_shadow AS s WHERE s.rebuild_id = rebuild);
BEGIN
    PERFORM platform.bind(shadows);
    -- Nobody moves counters to days meanwhile.
    PERFORM pg_advisory_xact_lock(hashtextextended('stats.days', 0));
    DELETE FROM counter WHERE team_id = ANY (shadows);
    DELETE FROM counter_day WHERE team_id = ANY (shadows);
    DELETE FROM counter_month WHERE team_id = ANY (shadows);
    DELETE FROM total WHERE team_id = ANY (shadows);
    DELETE FROM first_time WHERE team_id = ANY (shadows);
    DELETE FROM journey_click WHERE team_id = ANY (shadows);
    DELETE FROM shop_order WHERE team_id = ANY (shadows);
    DELETE FROM split_member WHERE team_id = ANY (shadows);
    DELETE FROM rebuild_cursor WHERE rebuild_id = rebuild;
    DELETE FROM rebuild_shadow WHERE rebuild_id = rebuild;
END
$$;
