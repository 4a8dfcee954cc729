-- A batch of turns is loaded by one statement and committed by one, each a transaction of its own.
--
-- What a customer's live enrolments rest for is told in the actor's row, which every turn writes anyway: the earliest timer, and
-- since when a send is awaited. So no index of `enrolment` holds a column that changes, and its updates stay in place.

ALTER TABLE actor ADD COLUMN wake_at timestamptz, ADD COLUMN sending_since timestamptz,
    ALTER COLUMN taken_segment TYPE integer, ALTER COLUMN taken_gateway TYPE integer, ALTER COLUMN taken_journey TYPE integer;

UPDATE actor AS a SET wake_at = live.wake_at, sending_since = live.sending_since
  FROM (
    SELECT partition, team_id, customer_id, min(wake_at) AS wake_at, min(updated_at) FILTER (WHERE rest = 2) AS sending_since
      FROM enrolment WHERE state = 1 GROUP BY partition, team_id, customer_id
  ) AS live
 WHERE (a.partition, a.team_id, a.customer_id) = (live.partition, live.team_id, live.customer_id);

DROP INDEX enrolment_due, enrolment_orphaned, enrolment_at_send;
DROP FUNCTION due_customers(smallint[], timestamptz, integer), next_timer(smallint[], timestamptz), look_ahead(timestamptz),
              resting_sends(smallint[], smallint, uuid, timestamptz, integer), restless(smallint[], integer);
-- A live enrolment always rests for something: what was an index of exceptions is a rule now.
ALTER TABLE enrolment ADD CHECK (state <> 1 OR rest <> 0);

-- A sleeper is one row of each: they are packed for a million of them. Updates that stay in place need little room on a page,
-- since what they leave behind is cleared by the next one that comes there.
ALTER TABLE actor SET (fillfactor = 85);
ALTER TABLE enrolment SET (fillfactor = 85);
DROP INDEX enrolment_by_journey, enrolment_by_id;
-- Without the id, which would be told apart for each: those of one moment share an entry.
CREATE INDEX enrolment_by_journey ON enrolment (team_id, journey_id, created_at DESC);
CREATE INDEX enrolment_by_id ON enrolment (enrolment_id);

CREATE INDEX actor_due ON actor (partition, wake_at) WHERE wake_at IS NOT NULL;
CREATE INDEX actor_sending ON actor (partition, sending_since) WHERE sending_since IS NOT NULL;

SELECT platform.open_pages('history'), platform.open_pages('mail');

-- State of customers, who are named in parallel; `place` is a customer's index among them, from 1. A customer in several
-- journeys has a row for each, one who is in none has one without an enrolment, and one who is parked only tells that. Rows of
-- place 0 tell the versions of the teams' journeys that customers can be in.
CREATE FUNCTION load_turns(teams uuid[], partitions smallint[], team_ids uuid[], customers uuid[])
RETURNS TABLE (place bigint, parked boolean, taken_segment bigint, taken_gateway bigint, taken_journey bigint, entries bytea,
               enrolment_id uuid, journey_id uuid, trigger_event_id uuid, created_at timestamptz, wake_at timestamptz,
               depth smallint, rest smallint, visit smallint, node_id text, version bigint)
LANGUAGE plpgsql STABLE SET search_path FROM CURRENT
AS $$
#variable_conflict use_column
BEGIN
    PERFORM platform.bind(teams);
    RETURN QUERY
        SELECT 0::bigint, NULL::boolean, NULL::bigint, NULL::bigint, NULL::bigint, NULL::bytea,
               NULL::uuid, j.journey_id, NULL::uuid, NULL::timestamptz, NULL::timestamptz,
               NULL::smallint, NULL::smallint, NULL::smallint, NULL::text, j.version
          FROM journey AS j WHERE j.team_id = ANY (teams) AND j.status > 1 AND j.deleted_at IS NULL;
    RETURN QUERY
        SELECT k.place,
               EXISTS (SELECT FROM parked_customer AS p
                        WHERE p.partition = k.partition AND p.team_id = k.team_id AND p.customer_id = k.customer_id),
               a.taken_segment::bigint, a.taken_gateway::bigint, a.taken_journey::bigint, a.entries,
               e.enrolment_id, e.journey_id, e.trigger_event_id, e.created_at, e.wake_at, e.depth, e.rest, e.visit,
               e.node_id, NULL::bigint
          FROM unnest(partitions, team_ids, customers) WITH ORDINALITY AS k (partition, team_id, customer_id, place)
          LEFT JOIN LATERAL (
            SELECT r.* FROM actor AS r
             WHERE r.partition = k.partition AND r.team_id = k.team_id AND r.customer_id = k.customer_id OFFSET 0
          ) AS a ON true
          LEFT JOIN LATERAL (
            SELECT r.* FROM enrolment AS r
             WHERE r.partition = k.partition AND r.team_id = k.team_id AND r.customer_id = k.customer_id AND r.state = 1
            OFFSET 0
          ) AS e ON true
         ORDER BY k.place, e.created_at, e.enrolment_id;
END
$$;

-- Makes sure that these leases hold until the transaction ends: a new owner waits for it. Locks in the order of partitions, as
-- everybody does. OJ010: some have another epoch by now; the message names them.
CREATE FUNCTION hold_leases(partitions smallint[], epochs bigint[]) RETURNS void
LANGUAGE plpgsql SET search_path FROM CURRENT
AS $$
DECLARE
    held smallint[];
    lost text;
BEGIN
    held := ARRAY(
        SELECT l.partition FROM partition_lease AS l JOIN unnest(partitions, epochs) AS k (partition, epoch)
            ON l.partition = k.partition AND l.epoch = k.epoch
         ORDER BY l.partition FOR SHARE OF l);
    IF cardinality(held) < cardinality(partitions) THEN
        SELECT string_agg(p.partition::text, ',' ORDER BY p.partition) INTO lost
          FROM unnest(partitions) AS p (partition) WHERE p.partition <> ALL (held);
        RAISE EXCEPTION '%', lost USING ERRCODE = 'OJ010';
    END IF;
END
$$;

-- Holds journeys as they are until the transaction ends, in the order of their ids, as everybody locks them. OJ011: one has
-- another version by now.
CREATE FUNCTION hold_journeys(journeys uuid[], versions bigint[], change boolean) RETURNS void
LANGUAGE plpgsql SET search_path FROM CURRENT
AS $$
BEGIN
    IF change THEN
        PERFORM FROM journey AS j WHERE j.journey_id = ANY (journeys) ORDER BY j.journey_id FOR NO KEY UPDATE;
    ELSE
        PERFORM FROM journey AS j WHERE j.journey_id = ANY (journeys) ORDER BY j.journey_id FOR SHARE;
    END IF;
    -- Looked at after the lock: whoever held it before may have changed the row.
    PERFORM FROM unnest(journeys, versions) AS k (journey_id, version)
       JOIN journey AS j ON j.journey_id = k.journey_id WHERE j.version <> k.version;
    IF FOUND THEN
        RAISE EXCEPTION 'a journey was changed' USING ERRCODE = 'OJ011';
    END IF;
END
$$;

-- Writes what the turns of a batch decided: the commit of a batch, or the last part of one that stops journeys as well.
-- a_…: a row an actor. e_…: a row an enrolment, which names its actor by its index among the actors, from 1. v_…: verdicts that
-- are not needed any more; without a key all of an enrolment. f_…: a row of history.
CREATE FUNCTION write_turns(
    now timestamptz,
    a_partition smallint[], a_team uuid[], a_customer uuid[], a_segment bigint[], a_gateway bigint[], a_journey bigint[],
    a_entries bytea[], a_wake timestamptz[], a_sending boolean[],
    e_actor integer[], e_id uuid[], e_journey uuid[], e_event uuid[], e_created timestamptz[], e_wake timestamptz[],
    e_depth smallint[], e_state smallint[], e_rest smallint[], e_visit smallint[], e_node text[], v_team uuid[], v_enrolment uuid[], v_key uuid[],
    f_partition smallint[], f_team uuid[], f_journey uuid[], f_customer uuid[], f_enrolment uuid[], f_at timestamptz[],
    f_kind smallint[], f_body bytea[]
) RETURNS void
LANGUAGE plpgsql SET search_path FROM CURRENT
AS $$
BEGIN
    INSERT INTO actor AS a (partition, team_id, customer_id, taken_segment, taken_gateway, taken_journey, entries, wake_at,
                            sending_since)
    SELECT n.partition, n.team_id, n.customer_id, n.segment, n.gateway, n.journey, n.entries, n.wake_at,
           CASE WHEN n.sending THEN now END
      FROM unnest(a_partition, a_team, a_customer, a_segment, a_gateway, a_journey, a_entries, a_wake, a_sending)
           AS n (partition, team_id, customer_id, segment, gateway, journey, entries, wake_at, sending)
    ON CONFLICT (partition, team_id, customer_id) DO UPDATE
       SET taken_segment = excluded.taken_segment, taken_gateway = excluded.taken_gateway,
           taken_journey = excluded.taken_journey, entries = excluded.entries, wake_at = excluded.wake_at,
           sending_since = CASE WHEN excluded.sending_since IS NOT NULL
                                THEN COALESCE(a.sending_since, excluded.sending_since) END;
    IF cardinality(e_actor) > 0 THEN
        INSERT INTO enrolment (partition, team_id, customer_id, enrolment_id, journey_id, trigger_event_id, created_at,
                               updated_at, wake_at, depth, state, rest, visit, node_id)
        SELECT a_partition[n.actor], a_team[n.actor], a_customer[n.actor], n.id, n.journey_id, n.event_id, n.created_at, now,
               n.wake_at, n.depth, n.state, n.rest, n.visit, n.node_id
          FROM unnest(e_actor, e_id, e_journey, e_event, e_created, e_wake, e_depth, e_state, e_rest, e_visit, e_node)
               AS n (actor, id, journey_id, event_id, created_at, wake_at, depth, state, rest, visit, node_id)
        ON CONFLICT (partition, team_id, customer_id, enrolment_id) DO UPDATE
           SET updated_at = excluded.updated_at, wake_at = excluded.wake_at, state = excluded.state, rest = excluded.rest,
               visit = excluded.visit, node_id = excluded.node_id;
    END IF;
    IF cardinality(v_team) > 0 THEN
        DELETE FROM verdict AS v USING unnest(v_team, v_enrolment, v_key) AS n (team_id, enrolment_id, key)
         WHERE v.team_id = n.team_id AND v.enrolment_id = n.enrolment_id AND (n.key IS NULL OR v.key = n.key);
    END IF;
    IF cardinality(f_partition) > 0 THEN
        INSERT INTO history (partition, position, team_id, journey_id, customer_id, enrolment_id, at, kind, body)
        SELECT * FROM unnest(f_partition, allocate_positions(f_partition), f_team, f_journey, f_customer, f_enrolment, f_at,
                             f_kind, f_body);
    END IF;
END
$$;

-- A batch of turns as one statement: leases, journeys, then everything that was decided. For the rest of the arguments see
-- `write_turns`. OJ010 and OJ011 as above.
CREATE FUNCTION commit_turns(
    teams uuid[], partitions smallint[], epochs bigint[], journeys uuid[], versions bigint[],
    now timestamptz,
    a_partition smallint[], a_team uuid[], a_customer uuid[], a_segment bigint[], a_gateway bigint[], a_journey bigint[],
    a_entries bytea[], a_wake timestamptz[], a_sending boolean[],
    e_actor integer[], e_id uuid[], e_journey uuid[], e_event uuid[], e_created timestamptz[], e_wake timestamptz[],
    e_depth smallint[], e_state smallint[], e_rest smallint[], e_visit smallint[], e_node text[], v_team uuid[], v_enrolment uuid[], v_key uuid[],
    f_partition smallint[], f_team uuid[], f_journey uuid[], f_customer uuid[], f_enrolment uuid[], f_at timestamptz[],
    f_kind smallint[], f_body bytea[]
) RETURNS void
LANGUAGE plpgsql SET search_path FROM CURRENT
AS $$
BEGIN
    PERFORM platform.bind(teams);
    PERFORM hold_leases(partitions, epochs);
    IF cardinality(journeys) > 0 THEN
        PERFORM hold_journeys(journeys, versions, false);
    END IF;
    PERFORM write_turns(now, a_partition, a_team, a_customer, a_segment, a_gateway, a_journey, a_entries, a_wake, a_sending,
                        e_actor, e_id, e_journey, e_event, e_created, e_wake, e_depth, e_state, e_rest, e_visit, e_node,
                        v_team, v_enrolment, v_key, f_partition, f_team, f_journey, f_customer, f_enrolment, f_at, f_kind, f_body);
END
$$;

-- Keeps what conditions came to, before anything is done because of it; returns the first verdict of each key. Not waited for:
-- what is done because of it is committed later in the same log, so after it.
CREATE FUNCTION keep_verdicts(teams uuid[], partitions smallint[], epochs bigint[],
                              team_ids uuid[], enrolments uuid[], keys uuid[], belong boolean[], reasons text[])
RETURNS TABLE (key uuid, belongs boolean, reason text)
LANGUAGE plpgsql SET search_path FROM CURRENT
AS $$
#variable_conflict use_column
BEGIN
    PERFORM set_config('synchronous_commit', 'off', true);
    PERFORM platform.bind(teams);
    PERFORM hold_leases(partitions, epochs);
    RETURN QUERY
        INSERT INTO verdict AS v (team_id, enrolment_id, key, belongs, reason)
        SELECT * FROM unnest(team_ids, enrolments, keys, belong, reasons)
        ON CONFLICT (team_id, enrolment_id, key) DO UPDATE SET belongs = v.belongs
        RETURNING v.key, v.belongs, v.reason;
END
$$;

-- The functions below run with their owner's rights, since the worker has to find work of all teams before it can bind a
-- transaction to the teams concerned. They return ids and times, nothing of what customers did.

-- Customers of these partitions whose timer is due, earliest first: at most `row_max`, and `each_max` of a partition, so that
-- the cost is that of what is returned however many are due. A last row without a customer tells the first timer after `until`.
CREATE FUNCTION look_at_timers(partitions smallint[], until timestamptz, row_max integer, each_max integer)
RETURNS TABLE (partition smallint, team_id uuid, customer_id uuid, wake_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT
AS $$
    (SELECT page.* FROM unnest(partitions) AS p (partition)
      CROSS JOIN LATERAL (
        SELECT a.partition, a.team_id, a.customer_id, a.wake_at
          FROM actor AS a
         WHERE a.partition = p.partition AND a.wake_at <= until
           AND NOT EXISTS (
                SELECT FROM parked_customer AS k
                 WHERE k.partition = a.partition AND k.team_id = a.team_id AND k.customer_id = a.customer_id)
         ORDER BY a.wake_at LIMIT each_max
      ) AS page
      ORDER BY page.wake_at LIMIT row_max)
    UNION ALL
    SELECT NULL, NULL, NULL, (
        SELECT min(page.wake_at)
          FROM unnest(partitions) AS p (partition)
         CROSS JOIN LATERAL (
            SELECT a.wake_at FROM actor AS a
             WHERE a.partition = p.partition AND a.wake_at > until
             ORDER BY a.wake_at LIMIT 1
         ) AS page)
$$;

-- What is due at a domain time, of all partitions and teams, and when the next thing will be: timers of customers who are
-- not parked, and changes of journeys.
CREATE FUNCTION look_ahead(now_domain timestamptz) RETURNS TABLE (due bigint, following timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT
AS $$
    WITH timers AS (
        SELECT page.due, page.following
          FROM generate_series(0, 63) AS p (partition)
         CROSS JOIN LATERAL (
            SELECT (SELECT count(*) FROM actor AS a
                     WHERE a.partition = p.partition::smallint AND a.wake_at <= now_domain
                       AND NOT EXISTS (
                            SELECT FROM parked_customer AS k
                             WHERE k.partition = a.partition AND k.team_id = a.team_id
                               AND k.customer_id = a.customer_id)) AS due,
                   (SELECT a.wake_at FROM actor AS a
                     WHERE a.partition = p.partition::smallint AND a.wake_at > now_domain
                     ORDER BY a.wake_at LIMIT 1) AS following
         ) AS page
    ), changes AS (
        SELECT least(CASE WHEN status = 2 AND starts_at > now_domain THEN starts_at END,
                     CASE WHEN ends_at > now_domain THEN ends_at END) AS following
          FROM journey WHERE status IN (2, 3, 4) AND deleted_at IS NULL
    )
    SELECT (SELECT COALESCE(sum(timers.due), 0)::bigint FROM timers)
           + (SELECT count(*) FROM changing_journeys(now_domain)),
           least((SELECT min(timers.following) FROM timers), (SELECT min(changes.following) FROM changes))
$$;

-- Sends in flight of these partitions whose customers have awaited one since before a domain time, after (partition, since,
-- customer) in this order. Parked customers have a reason to rest.
CREATE FUNCTION resting_sends(
    partitions smallint[], after_partition smallint, after_since timestamptz, after_customer uuid, until timestamptz,
    row_max integer
)
RETURNS TABLE (partition smallint, team_id uuid, customer_id uuid, enrolment_id uuid, since timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT
AS $$
    SELECT a.partition, a.team_id, a.customer_id, e.enrolment_id, a.sending_since
      FROM (
        SELECT r.partition, r.team_id, r.customer_id, r.sending_since FROM actor AS r
         WHERE r.sending_since < until AND r.partition = ANY (partitions)
           AND (r.partition, r.sending_since, r.customer_id) > (after_partition, after_since, after_customer)
           AND NOT EXISTS (
                SELECT FROM parked_customer AS k
                 WHERE k.partition = r.partition AND k.team_id = r.team_id AND k.customer_id = r.customer_id)
         ORDER BY r.partition, r.sending_since, r.customer_id LIMIT row_max
      ) AS a
      JOIN enrolment AS e
        ON e.partition = a.partition AND e.team_id = a.team_id AND e.customer_id = a.customer_id AND e.rest = 2
     ORDER BY a.partition, a.sending_since, a.customer_id
$$;

-- Live enrolments, of all teams, whose lost sends were found.
CREATE OR REPLACE FUNCTION count_orphans() RETURNS bigint
LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT
AS $$ SELECT count(*) FROM orphan $$;
