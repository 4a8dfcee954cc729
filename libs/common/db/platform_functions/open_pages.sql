-- `<table>_page(partitions, after, row_max)` beside a history table: one page of a feed, rows of all teams in order of partition
-- and position, at most `row_max`. It runs with the caller's rights, bound to the teams of the page. STABLE, so that both of its
-- statements see one moment.
CREATE OR REPLACE FUNCTION platform.open_pages(history_table regclass) RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    table_name name;
    schema_name name;
BEGIN
    SELECT c.relname, n.nspname INTO STRICT table_name, schema_name
      FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE c.oid = history_table;
    EXECUTE format($definition$
        CREATE FUNCTION %1$I.%2$I(partitions smallint[], after bigint[], row_max integer) RETURNS SETOF %1$I.%4$I
        LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
        AS $body$
        BEGIN
            PERFORM platform.bind(ARRAY(SELECT %1$I.%3$I(partitions, after, row_max)));
            RETURN QUERY
                SELECT page.*
                  FROM unnest(partitions, after) AS cursor (partition, position)
                 CROSS JOIN LATERAL (
                    SELECT h.* FROM %1$I.%4$I AS h
                     WHERE h.partition = cursor.partition AND h.position > cursor.position
                     ORDER BY h.position LIMIT row_max
                 ) AS page
                 ORDER BY page.partition, page.position LIMIT row_max;
        END
        $body$
    $definition$, schema_name, table_name || '_page', table_name || '_teams', table_name);
END
$$;

REVOKE ALL ON FUNCTION platform.open_pages(regclass) FROM PUBLIC;
