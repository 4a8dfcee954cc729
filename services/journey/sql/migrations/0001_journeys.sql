-- Journeys, the customers' runs through them, the actors' memory, and the history that other services read.

CREATE TABLE journey (
    team_id      uuid NOT NULL,
    journey_id   uuid NOT NULL,
    status       smallint NOT NULL CHECK (status BETWEEN 1 AND 6),
    reason       smallint NOT NULL DEFAULT 0,
    revision     bigint NOT NULL CHECK (revision > 0),
    -- Grows with every change of the row: the etag, and what the commit of a turn compares.
    version      bigint NOT NULL CHECK (version > 0),
    -- Grows with each stop; the gateway starts no attempt of an older one.
    stop_epoch   bigint NOT NULL DEFAULT 0,
    name         text NOT NULL,
    name_folded  text NOT NULL,
    trigger_type text NOT NULL DEFAULT '',
    definition   jsonb NOT NULL,
    starts_at    timestamptz,
    ends_at      timestamptz,
    created_at   timestamptz NOT NULL,
    updated_at   timestamptz NOT NULL,
    published_at timestamptz,
    deleted_at   timestamptz,
    PRIMARY KEY (team_id, journey_id)
) WITH (fillfactor = 70);

CREATE INDEX journey_by_creation ON journey (team_id, created_at DESC, journey_id DESC) WHERE deleted_at IS NULL;
-- What the schedule has to look at: journeys that change by time, and those that are stopping.
CREATE INDEX journey_changing ON journey (status, starts_at, ends_at) WHERE status IN (2, 3, 4, 5);

CREATE TABLE journey_revision (
    team_id    uuid NOT NULL,
    journey_id uuid NOT NULL,
    revision   bigint NOT NULL,
    definition jsonb NOT NULL,
    actor      text NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (team_id, journey_id, revision),
    FOREIGN KEY (team_id, journey_id) REFERENCES journey
);

-- What the actor of a customer remembers. Written by the owner of the partition only, in the commit of a turn.
-- `entries` counts enrolments by journey (msgpack map), where a journey limits them.
CREATE TABLE actor (
    partition     smallint NOT NULL CHECK (partition BETWEEN 0 AND 63),
    team_id       uuid NOT NULL,
    customer_id   uuid NOT NULL,
    taken_segment bigint NOT NULL DEFAULT 0,
    taken_gateway bigint NOT NULL DEFAULT 0,
    taken_journey bigint NOT NULL DEFAULT 0,
    entries       bytea,
    PRIMARY KEY (partition, team_id, customer_id)
) WITH (fillfactor = 75, autovacuum_vacuum_scale_factor = 0.02);

-- One row a run. `wake_at` is the durable timer: it is set exactly while the run rests until a time.
CREATE TABLE enrolment (
    partition        smallint NOT NULL CHECK (partition BETWEEN 0 AND 63),
    team_id          uuid NOT NULL,
    customer_id      uuid NOT NULL,
    enrolment_id     uuid NOT NULL,
    journey_id       uuid NOT NULL,
    trigger_event_id uuid NOT NULL,
    created_at       timestamptz NOT NULL,
    updated_at       timestamptz NOT NULL,
    wake_at          timestamptz,
    depth            smallint NOT NULL,
    state            smallint NOT NULL CHECK (state BETWEEN 1 AND 4),
    rest             smallint NOT NULL CHECK (rest BETWEEN 0 AND 3),
    visit            smallint NOT NULL,
    node_id          text NOT NULL,
    PRIMARY KEY (partition, team_id, customer_id, enrolment_id),
    CHECK ((wake_at IS NOT NULL) = (rest IN (1, 3))),
    CHECK (state = 1 OR rest = 0)
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02);

CREATE INDEX enrolment_due ON enrolment (partition, wake_at) WHERE wake_at IS NOT NULL;
CREATE INDEX enrolment_by_journey ON enrolment (team_id, journey_id, created_at DESC, enrolment_id);
CREATE INDEX enrolment_by_id ON enrolment USING hash (enrolment_id);
-- Always empty, unless a fault left somebody without a reason to rest.
CREATE INDEX enrolment_orphaned ON enrolment (partition) WHERE state = 1 AND rest = 0;

-- Append-only: what happened, as other services read it. `body` is msgpack, by `kind`: 1 a burst, 2 a refused trigger,
-- 3 a change of status.
CREATE TABLE history (
    partition    smallint NOT NULL,
    position     bigint NOT NULL,
    team_id      uuid NOT NULL,
    journey_id   uuid NOT NULL,
    customer_id  uuid,
    enrolment_id uuid,
    at           timestamptz NOT NULL,
    kind         smallint NOT NULL CHECK (kind BETWEEN 1 AND 3),
    body         bytea NOT NULL,
    PRIMARY KEY (partition, position)
);

CREATE INDEX history_of_enrolment ON history (enrolment_id, position) WHERE enrolment_id IS NOT NULL;

-- Mail of this service to actors: system triggers. `number` has no gaps within a customer.
CREATE TABLE mail (
    partition   smallint NOT NULL,
    position    bigint NOT NULL,
    team_id     uuid NOT NULL,
    customer_id uuid NOT NULL,
    number      bigint NOT NULL,
    request_key uuid NOT NULL,
    journey_id  uuid NOT NULL,
    occurred_at timestamptz NOT NULL,
    PRIMARY KEY (partition, position),
    UNIQUE (team_id, customer_id, number),
    UNIQUE (team_id, request_key)
);

-- Last mail number given to each customer. Apart from `actor`, which belongs to the partition's owner.
CREATE TABLE mail_number (
    team_id     uuid NOT NULL,
    customer_id uuid NOT NULL,
    number      bigint NOT NULL,
    PRIMARY KEY (team_id, customer_id)
) WITH (fillfactor = 75);

-- Up to which position each source's mail of a partition is taken for sure: where a repair of the mailboxes begins.
CREATE TABLE mail_checkpoint (
    partition smallint NOT NULL,
    source    smallint NOT NULL,
    position  bigint NOT NULL,
    PRIMARY KEY (partition, source)
) WITH (fillfactor = 10);

-- Customers whose turn kept failing. Their mail stays with its sources, after the numbers that the actor has taken.
CREATE TABLE parked_customer (
    partition   smallint NOT NULL,
    team_id     uuid NOT NULL,
    customer_id uuid NOT NULL,
    error       text NOT NULL,
    attempts    integer NOT NULL,
    parked_at   timestamptz NOT NULL,
    PRIMARY KEY (partition, team_id, customer_id)
);

-- Who owns a partition, and since which epoch; see `libs/common/leases.py`. Lease time is real time.
CREATE TABLE partition_lease (
    partition  smallint PRIMARY KEY CHECK (partition BETWEEN 0 AND 63),
    owner      text,
    epoch      bigint NOT NULL DEFAULT 0,
    expires_at timestamptz NOT NULL DEFAULT '-infinity'
) WITH (fillfactor = 10, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);

INSERT INTO partition_lease (partition) SELECT generate_series(0, 63);

CREATE TABLE lease_worker (
    worker_id  text PRIMARY KEY,
    expires_at timestamptz NOT NULL
);

SELECT platform.hold_teams_apart('journey'),
       platform.hold_teams_apart('journey_revision'),
       platform.hold_teams_apart('actor'),
       platform.hold_teams_apart('enrolment'),
       platform.hold_teams_apart('history'),
       platform.hold_teams_apart('mail'),
       platform.hold_teams_apart('mail_number'),
       platform.hold_teams_apart('parked_customer');

SELECT platform.open_history('history'), platform.open_history('mail');

-- The functions below run with their owner's rights, since the worker has to find work of all teams before it can bind a
-- transaction to the teams concerned. They return ids and times, nothing of what customers did.

-- Customers of these partitions with a timer due, earliest first.
CREATE FUNCTION due_customers(partitions smallint[], until timestamptz, row_max integer)
RETURNS TABLE (partition smallint, team_id uuid, customer_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT
AS $$
    SELECT DISTINCT due.partition, due.team_id, due.customer_id
      FROM (
        SELECT page.* FROM unnest(partitions) AS p (partition)
         CROSS JOIN LATERAL (
            SELECT e.partition, e.team_id, e.customer_id, e.wake_at
              FROM enrolment AS e
             WHERE e.partition = p.partition AND e.wake_at <= until
               AND NOT EXISTS (
                    SELECT FROM parked_customer AS k
                     WHERE k.partition = e.partition AND k.team_id = e.team_id AND k.customer_id = e.customer_id)
             ORDER BY e.wake_at LIMIT row_max
         ) AS page
         ORDER BY page.wake_at LIMIT row_max
      ) AS due
$$;

-- The next timer of these partitions, due or not.
CREATE FUNCTION next_timer(partitions smallint[], after timestamptz) RETURNS timestamptz
LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT
AS $$
    SELECT min(page.wake_at)
      FROM unnest(partitions) AS p (partition)
     CROSS JOIN LATERAL (
        SELECT e.wake_at FROM enrolment AS e
         WHERE e.partition = p.partition AND e.wake_at > after
         ORDER BY e.wake_at LIMIT 1
     ) AS page
$$;

-- Live enrolments that rest for no reason, of all teams.
CREATE FUNCTION count_orphans() RETURNS bigint
LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT
AS $$ SELECT count(*) FROM enrolment WHERE state = 1 AND rest = 0 $$;

-- Journeys that have to change by themselves: a start or an end has come, or they are stopping.
CREATE FUNCTION changing_journeys(now_domain timestamptz)
RETURNS TABLE (team_id uuid, journey_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT
AS $$
    SELECT j.team_id, j.journey_id FROM journey AS j
     WHERE j.deleted_at IS NULL
       AND ((j.status = 2 AND j.starts_at <= now_domain)
            OR (j.status IN (2, 3) AND j.ends_at <= now_domain)
            OR (j.status = 4 AND j.ends_at <= now_domain AND (j.definition #>> '{schedule,expiry}') = '2')
            OR j.status = 5)
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
            SELECT (SELECT count(*) FROM enrolment AS e
                     WHERE e.partition = p.partition::smallint AND e.wake_at <= now_domain
                       AND NOT EXISTS (
                            SELECT FROM parked_customer AS k
                             WHERE k.partition = e.partition AND k.team_id = e.team_id
                               AND k.customer_id = e.customer_id)) AS due,
                   (SELECT e.wake_at FROM enrolment AS e
                     WHERE e.partition = p.partition::smallint AND e.wake_at > now_domain
                     ORDER BY e.wake_at LIMIT 1) AS following
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
