-- What every service keeps in its own schema. Applied to each before the service's own migrations.

-- Last position given to each partition of the service's history. Rows are locked in the order of partitions by the
-- transaction that writes the history, so the order of positions is the order of commits. The table is small and hot:
-- room on its pages keeps the updates in place.
CREATE TABLE history_head (
    partition smallint PRIMARY KEY CHECK (partition BETWEEN 0 AND 63),
    position  bigint NOT NULL DEFAULT 0 CHECK (position >= 0)
) WITH (fillfactor = 10, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);

INSERT INTO history_head (partition) SELECT generate_series(0, 63);

-- How far the relay has handed this service's mail to the mailboxes.
CREATE TABLE mail_cursor (
    partition smallint PRIMARY KEY CHECK (partition BETWEEN 0 AND 63),
    position  bigint NOT NULL DEFAULT 0 CHECK (position >= 0)
) WITH (fillfactor = 10, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);

INSERT INTO mail_cursor (partition) SELECT generate_series(0, 63);

-- First answers to writes, by request id: the same request gets the same answer again, another one is refused.
-- `answer` is absent only inside the transaction that does the work.
CREATE TABLE request_log (
    team_id    uuid NOT NULL,
    request_id text NOT NULL CHECK (length(request_id) BETWEEN 1 AND 128),
    digest     bytea NOT NULL,
    answer     bytea,
    real_time  timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (team_id, request_id)
);

CREATE INDEX request_log_by_time ON request_log (real_time);

SELECT platform.hold_teams_apart('request_log');

-- Forgets the answers given before a real time, of all teams, at most `row_max` at once; returns how many. With its
-- owner's rights, since no transaction is bound to all teams; it returns nothing of what it removes.
CREATE FUNCTION forget_requests(before timestamptz, row_max integer) RETURNS bigint
LANGUAGE sql
SECURITY DEFINER
SET search_path FROM CURRENT
AS $$
    WITH old AS (
        SELECT ctid FROM request_log WHERE real_time < before ORDER BY real_time LIMIT row_max FOR UPDATE SKIP LOCKED
    ), gone AS (
        DELETE FROM request_log WHERE ctid IN (SELECT ctid FROM old) RETURNING 1
    )
    SELECT count(*) FROM gone
$$;
