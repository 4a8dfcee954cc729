-- The policy that holds teams apart, in a form that no index can serve. As `team_id = ANY (…)` it was an index condition of
-- its own, and while tables were young the planner preferred it to the statement's own conditions: a feed's page and a
-- lookup of 100 keys each read every row of the team. Containment is only ever a filter on what a statement finds anyway.
CREATE OR REPLACE FUNCTION platform.hold_teams_apart(tenant_table regclass) RETURNS void
LANGUAGE plpgsql
AS $$
BEGIN
    EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', tenant_table);
    EXECUTE format('CREATE POLICY own_teams ON %s USING ((SELECT platform.teams()) @> ARRAY[team_id])', tenant_table);
END
$$;

REVOKE ALL ON FUNCTION platform.hold_teams_apart(regclass) FROM PUBLIC;
