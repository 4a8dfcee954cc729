-- Makes `<table>_teams(partitions, after, row_max)` beside a history table with the columns `team_id`, `partition` and
-- `position` (unique together, in that order): the teams of the rows that a feed would serve next, and nothing else of
-- them. It runs with its owner's rights, because a feed serves all teams and must know which before it may read them.
CREATE OR REPLACE FUNCTION platform.open_history(history_table regclass) RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    table_name name;
    schema_name name;
BEGIN
    SELECT c.relname, n.nspname INTO STRICT table_name, schema_name
      FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE c.oid = history_table;
    EXECUTE format($definition$
        CREATE FUNCTION %1$I.%2$I(partitions smallint[], after bigint[], row_max integer) RETURNS SETOF uuid
        LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
        AS $body$
            SELECT DISTINCT page.team_id
              FROM unnest(partitions, after) AS cursor (partition, position)
             CROSS JOIN LATERAL (
                SELECT h.team_id FROM %1$I.%3$I AS h
                 WHERE h.partition = cursor.partition AND h.position > cursor.position
                 ORDER BY h.position LIMIT row_max
             ) AS page
        $body$
    $definition$, schema_name, table_name || '_teams', table_name);
END
$$;

REVOKE ALL ON FUNCTION platform.open_history(regclass) FROM PUBLIC;
