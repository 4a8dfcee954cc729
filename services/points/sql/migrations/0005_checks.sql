-- What the checker needs beyond rows of the team, and how long recorded outcomes are kept.

-- Partitions whose positions are not 1, 2, 3 … up to the head. It runs with its owner's rights because positions are shared
-- by all teams; it tells numbers of partitions and counts, and nothing of anybody's entries.
CREATE FUNCTION history_faults() RETURNS TABLE (partition smallint, detail text)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path FROM CURRENT
AS $$
    SELECT h.partition, format('%s entries up to position %s, the head is at %s', e.entries, e.last, h.position)
      FROM history_head AS h
     CROSS JOIN LATERAL (
        SELECT count(*) AS entries, coalesce(max(position), 0) AS last FROM entry WHERE entry.partition = h.partition
     ) AS e
     WHERE e.entries <> h.position OR e.last <> h.position
$$;

-- Up to when incremental checks of a team have found nothing wrong.
CREATE TABLE ledger_check (
    team_id    uuid PRIMARY KEY,
    checked_at timestamptz NOT NULL
);

-- Outcomes are kept for 13 months of domain time, then dropped; what their sums were stays.
CREATE TABLE dropped_outcome (
    team_id          uuid PRIMARY KEY,
    refund_shortfall bigint NOT NULL,
    rejected         bigint NOT NULL,
    skipped          bigint NOT NULL
);

SELECT platform.hold_teams_apart(name) FROM unnest(ARRAY['ledger_check', 'dropped_outcome']::regclass[]) AS name;

CREATE INDEX outcome_by_time ON outcome USING brin (recorded_at);

CREATE FUNCTION refuse_early() RETURNS trigger
LANGUAGE plpgsql
SET search_path FROM CURRENT
AS $$
DECLARE
    domain_now timestamptz;
BEGIN
    SELECT domain_anchor + make_interval(
               secs => LEAST(3e11, GREATEST(0, extract(epoch FROM now() - real_anchor)::double precision) * rate))
      INTO STRICT domain_now FROM platform.clock;
    IF OLD.recorded_at >= domain_now - interval '13 months' THEN
        RAISE EXCEPTION 'an outcome is kept for 13 months' USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN OLD;
END
$$;

DROP TRIGGER append_only ON outcome;
CREATE TRIGGER append_only BEFORE UPDATE OR TRUNCATE ON outcome
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER kept BEFORE DELETE ON outcome
    FOR EACH ROW EXECUTE FUNCTION refuse_early();

-- Drops outcomes of all teams recorded before a time, at most so many; returns how many.
CREATE FUNCTION drop_outcomes(before timestamptz, row_max integer) RETURNS bigint
LANGUAGE sql SECURITY DEFINER
SET search_path FROM CURRENT
AS $$
    WITH old AS (
        SELECT ctid FROM outcome WHERE recorded_at < before LIMIT row_max FOR UPDATE SKIP LOCKED
    ), gone AS (
        DELETE FROM outcome AS o USING old WHERE o.ctid = old.ctid RETURNING o.team_id, o.source, o.status, o.shortfall
    ), summed AS (
        INSERT INTO dropped_outcome AS d (team_id, refund_shortfall, rejected, skipped)
        SELECT team_id, coalesce(sum(shortfall) FILTER (WHERE source = 5), 0), count(*) FILTER (WHERE status = 2),
               count(*) FILTER (WHERE status = 3)
          FROM gone GROUP BY team_id ORDER BY team_id
        ON CONFLICT (team_id) DO UPDATE
           SET refund_shortfall = d.refund_shortfall + excluded.refund_shortfall,
               rejected = d.rejected + excluded.rejected, skipped = d.skipped + excluded.skipped
    )
    SELECT count(*) FROM gone
$$;
