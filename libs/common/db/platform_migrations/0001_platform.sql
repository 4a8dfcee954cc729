-- What belongs to the whole installation: its clock, and the helpers by which each service's migrations keep teams apart.

-- Domain time = domain_anchor + (real time - real_anchor) * rate. One row.
CREATE TABLE platform.clock (
    only_row      boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    real_anchor   timestamptz NOT NULL,
    domain_anchor timestamptz NOT NULL,
    rate          double precision NOT NULL CHECK (rate BETWEEN 0 AND 1000000),
    version       bigint NOT NULL CHECK (version > 0)
);

INSERT INTO platform.clock (real_anchor, domain_anchor, rate, version)
SELECT t, t, 1, 1 FROM clock_timestamp() AS t;

-- Changes the clock and returns its new version. It runs with its owner's rights: services may change the clock through
-- it, and the row in no other way. Whether an installation allows that is checked by the service that is asked.
-- OJ001: the version is another one. OJ002: the rate or the time is not allowed.
CREATE FUNCTION platform.set_clock(new_rate double precision, new_time timestamptz, expected_version bigint)
RETURNS bigint
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    present platform.clock%ROWTYPE;
    real_now timestamptz;
    domain_now timestamptz;
BEGIN
    SELECT * INTO STRICT present FROM platform.clock FOR UPDATE;
    -- Read after the lock was granted, so that two changes have the order in which they were made.
    real_now := clock_timestamp();
    -- The bound keeps the product inside the range of intervals; domain time ends there anyway.
    domain_now := LEAST(
        timestamptz '9999-12-31 00:00:00+00',
        present.domain_anchor + make_interval(secs => LEAST(
            3e11, GREATEST(0, extract(epoch FROM real_now - present.real_anchor)::double precision) * present.rate))
    );
    IF expected_version <> 0 AND expected_version <> present.version THEN
        RAISE EXCEPTION 'the clock has version %, not %', present.version, expected_version USING ERRCODE = 'OJ001';
    END IF;
    IF new_rate IS NULL OR NOT new_rate BETWEEN 0 AND 1000000 THEN
        RAISE EXCEPTION 'the rate must be 0 to 1000000' USING ERRCODE = 'OJ002';
    END IF;
    IF new_time < domain_now OR new_time > timestamptz '9999-12-31 00:00:00+00' THEN
        RAISE EXCEPTION 'the time must lie between the present domain time % and the year 9999', domain_now
            USING ERRCODE = 'OJ002';
    END IF;
    UPDATE platform.clock
       SET real_anchor = real_now,
           domain_anchor = COALESCE(new_time, domain_now),
           rate = new_rate,
           version = present.version + 1;
    PERFORM pg_notify('omnijourney_clock', (present.version + 1)::text);
    RETURN present.version + 1;
END
$$;

REVOKE ALL ON FUNCTION platform.set_clock(double precision, timestamptz, bigint) FROM PUBLIC;

-- The teams of the running transaction: those given to `SET LOCAL omnijourney.teams`, else none. A setting that was made
-- once in a session is empty afterwards, not absent; both mean no team.
CREATE FUNCTION platform.teams() RETURNS uuid[]
LANGUAGE sql STABLE PARALLEL SAFE
RETURN COALESCE(NULLIF(current_setting('omnijourney.teams', true), '')::uuid[], '{}'::uuid[]);

-- Puts a table with a column `team_id uuid` under row-level security: a transaction sees and writes rows of its own teams
-- only. To be called in the migration that creates the table. The inner SELECT makes PostgreSQL ask once a statement, not
-- once a row.
CREATE FUNCTION platform.hold_teams_apart(tenant_table regclass) RETURNS void
LANGUAGE plpgsql
AS $$
BEGIN
    EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', tenant_table);
    EXECUTE format(
        'CREATE POLICY own_teams ON %s USING (team_id = ANY ((SELECT platform.teams())::uuid[]))', tenant_table);
END
$$;

REVOKE ALL ON FUNCTION platform.hold_teams_apart(regclass) FROM PUBLIC;

-- Makes `<table>_teams(partitions, after, row_max)` beside a history table with the columns `team_id`, `partition` and
-- `position` (unique together, in that order): the teams of the rows that a feed would serve next, and nothing else of
-- them. It runs with its owner's rights, because a feed serves all teams and must know which before it may read them.
CREATE FUNCTION platform.open_history(history_table regclass) RETURNS void
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
