-- Live enrolments that rest for no reason: how they are found and counted.

-- The sends in flight, which the search for orphans goes through page by page.
CREATE INDEX enrolment_at_send ON enrolment (partition, enrolment_id) WHERE rest = 2;

-- Orphans that were found and are not healed yet; empty, unless something was lost. `rest` and `rested_at` are the
-- enrolment's when it was found: as soon as they differ, a turn has healed it.
CREATE TABLE orphan (
    partition    smallint NOT NULL,
    team_id      uuid NOT NULL,
    customer_id  uuid NOT NULL,
    enrolment_id uuid NOT NULL,
    rest         smallint NOT NULL,
    rested_at    timestamptz NOT NULL,
    PRIMARY KEY (partition, team_id, customer_id, enrolment_id)
);

SELECT platform.hold_teams_apart('orphan');

-- Sends in flight of these partitions after (partition, enrolment), in this order, that have rested since before a domain
-- time. Parked customers have a reason to rest.
CREATE FUNCTION resting_sends(
    partitions smallint[], after_partition smallint, after_enrolment uuid, until timestamptz, row_max integer
)
RETURNS TABLE (partition smallint, team_id uuid, customer_id uuid, enrolment_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT
AS $$
    SELECT e.partition, e.team_id, e.customer_id, e.enrolment_id FROM enrolment AS e
     WHERE e.rest = 2 AND (e.partition, e.enrolment_id) > (after_partition, after_enrolment)
       AND e.partition = ANY (partitions) AND e.updated_at < until
       AND NOT EXISTS (
            SELECT FROM parked_customer AS k
             WHERE k.partition = e.partition AND k.team_id = e.team_id AND k.customer_id = e.customer_id)
     ORDER BY e.partition, e.enrolment_id LIMIT row_max
$$;

-- Live enrolments of these partitions that rest for no reason at all: no commit of a turn leaves one.
CREATE FUNCTION restless(partitions smallint[], row_max integer)
RETURNS TABLE (partition smallint, team_id uuid, customer_id uuid, enrolment_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT
AS $$
    SELECT e.partition, e.team_id, e.customer_id, e.enrolment_id FROM enrolment AS e
     WHERE e.state = 1 AND e.rest = 0 AND e.partition = ANY (partitions)
       AND NOT EXISTS (
            SELECT FROM parked_customer AS k
             WHERE k.partition = e.partition AND k.team_id = e.team_id AND k.customer_id = e.customer_id)
     LIMIT row_max
$$;

-- The orphans that were found in these partitions and are not healed, but for those of parked customers.
CREATE FUNCTION known_orphans(partitions smallint[], row_max integer)
RETURNS TABLE (partition smallint, team_id uuid, customer_id uuid, enrolment_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT
AS $$
    SELECT o.partition, o.team_id, o.customer_id, o.enrolment_id FROM orphan AS o
     WHERE o.partition = ANY (partitions)
       AND NOT EXISTS (
            SELECT FROM parked_customer AS k
             WHERE k.partition = o.partition AND k.team_id = o.team_id AND k.customer_id = o.customer_id)
     LIMIT row_max
$$;

-- Live enrolments, of all teams, that rest for no reason: those that show it, and those whose lost sends were found.
CREATE OR REPLACE FUNCTION count_orphans() RETURNS bigint
LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT
AS $$
    SELECT (SELECT count(*) FROM enrolment WHERE state = 1 AND rest = 0) + (SELECT count(*) FROM orphan WHERE rest <> 0)
$$;
