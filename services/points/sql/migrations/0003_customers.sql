-- What the history report calls customers and finds them by: a copy of segment's basic data, kept up to date from its
-- history. Nothing of the ledger depends on it, and an erased customer is erased here by erasing one row.
CREATE TABLE customer (
    team_id     uuid NOT NULL,
    customer_id uuid NOT NULL,
    name        text NOT NULL,
    member_id   text NOT NULL,
    email       text NOT NULL,
    phone       text NOT NULL,
    -- All four in the form in which text is compared, with U+001F between them, which no keyword may hold.
    folded      text NOT NULL,
    PRIMARY KEY (team_id, customer_id)
) WITH (fillfactor = 80);

SELECT platform.hold_teams_apart('customer');

-- How far segment's history is taken, a row a partition.
CREATE TABLE customer_cursor (
    partition smallint PRIMARY KEY,
    position  bigint NOT NULL CHECK (position >= 0)
);
INSERT INTO customer_cursor (partition, position) SELECT p, 0 FROM generate_series(0, 63) AS p;

-- Parts of names are found by trigrams where the server has them, else by reading the team's customers: the same answers,
-- only later. The extension may already live in any schema.
DO $$
DECLARE
    trigrams name;
BEGIN
    BEGIN
        CREATE EXTENSION IF NOT EXISTS pg_trgm WITH SCHEMA platform;
    EXCEPTION WHEN feature_not_supported OR undefined_file OR insufficient_privilege THEN
        RAISE NOTICE 'pg_trgm cannot be had: keywords are looked up without an index';
    END;
    SELECT n.nspname INTO trigrams
      FROM pg_extension AS e JOIN pg_namespace AS n ON n.oid = e.extnamespace WHERE e.extname = 'pg_trgm';
    IF trigrams IS NOT NULL THEN
        EXECUTE format(
            'CREATE INDEX customer_folded ON customer USING gin (folded %I.gin_trgm_ops) WITH (fastupdate = off)',
            trigrams);
    END IF;
END
$$;

-- Customers of a team whose text is LIKE a pattern, at most so many. It runs with its owner's rights because no index may
-- serve LIKE under row-level security (the operator could tell of rows that the policy hides); it answers for the teams
-- of the running transaction only.
CREATE FUNCTION find_customers(team uuid, pattern text, row_max integer) RETURNS SETOF uuid
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path FROM CURRENT
AS $$
BEGIN
    IF platform.teams() @> ARRAY[team] THEN
        -- Planned with the pattern known: a rare one goes by the index, a common one need not.
        RETURN QUERY EXECUTE
            'SELECT c.customer_id FROM customer AS c WHERE c.team_id = $1 AND c.folded LIKE $2 LIMIT $3'
            USING team, pattern, row_max;
    END IF;
END
$$;
