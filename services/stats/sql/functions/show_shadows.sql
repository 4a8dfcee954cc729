-- Puts what a rebuild has counted in the place of its teams' figures. In the transaction that holds all cursors still and ends the rebuild.
CREATE OR REPLACE FUNCTION show_shadows(rebuild uuid) RETURNS void
LANGUAGE plpgsql SET search_path FROM CURRENT
AS $$
DECLARE
    owns CONSTANT uuid[] := ARRAY(SELECT s.own_id FROM rebuild_shadow AS s WHERE s.rebuild_id = rebuild);
BEGIN
    PERFORM platform.bind(owns || ARRAY(SELECT s.shadow_id FROM rebuild_shadow AS s WHERE s.rebuild_id = rebuild));
    -- Nobody moves counters to days meanwhile.
    PERFORM pg_advisory_xact_lock(hashtextextended('stats.days', 0));
    DELETE FROM counter WHERE team_id = ANY (owns);
    UPDATE counter AS t SET team_id = s.own_id FROM rebuild_shadow AS s WHERE s.rebuild_id = rebuild AND t.team_id = s.shadow_id;
    DELETE FROM counter_day WHERE team_id = ANY (owns);
    DELETE FROM counter_month WHERE team_id = ANY (owns);
    UPDATE counter_day AS t SET team_id = s.own_id FROM rebuild_shadow AS s WHERE s.rebuild_id = rebuild AND t.team_id = s.shadow_id;
    UPDATE counter_month AS t SET team_id = s.own_id FROM rebuild_shadow AS s WHERE s.rebuild_id = rebuild AND t.team_id = s.shadow_id;
    DELETE FROM total WHERE team_id = ANY (owns);
    UPDATE total AS t SET team_id = s.own_id FROM rebuild_shadow AS s WHERE s.rebuild_id = rebuild AND t.team_id = s.shadow_id;
    DELETE FROM first_time WHERE team_id = ANY (owns);
    UPDATE first_time AS t SET team_id = s.own_id FROM rebuild_shadow AS s WHERE s.rebuild_id = rebuild AND t.team_id = s.shadow_id;
    DELETE FROM journey_click WHERE team_id = ANY (owns);
    UPDATE journey_click AS t SET team_id = s.own_id FROM rebuild_shadow AS s WHERE s.rebuild_id = rebuild AND t.team_id = s.shadow_id;
    DELETE FROM shop_order WHERE team_id = ANY (owns);
    UPDATE shop_order AS t SET team_id = s.own_id FROM rebuild_shadow AS s WHERE s.rebuild_id = rebuild AND t.team_id = s.shadow_id;
    DELETE FROM split_member WHERE team_id = ANY (owns);
    UPDATE split_member AS t SET team_id = s.own_id FROM rebuild_shadow AS s WHERE s.rebuild_id = rebuild AND t.team_id = s.shadow_id;
    DELETE FROM rebuild_cursor WHERE rebuild_id = rebuild;
    DELETE FROM rebuild_shadow WHERE rebuild_id = rebuild;
END
$$;
