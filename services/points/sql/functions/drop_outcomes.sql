-- version: 2
-- Drops outcomes of all teams recorded before a time, at most so many; returns how many.
CREATE OR REPLACE FUNCTION drop_outcomes(before timestamptz, row_max integer) RETURNS bigint
LANGUAGE sql SECURITY DEFINER
SET search_path FROM CURRENT
AS $$
    WITH old AS (
        SELECT ctid FROM outcome WHERE recorded_at < before LIMIT row_max FOR UPDATE SKIP LOCKED
    ), gone AS (
        DELETE FROM outcome AS o USING old WHERE o.ctid = old.ctid RETURNING o.team_id, o.source, o.status, o.shortfall
    ), summed AS (
        INSERT INTO dropped_outcome AS d (team_id, refund_shortfall, rejected, skipped)
        SELECT team_id, coalesce(sum(shortfall) FILTER (WHERE source = entry_source('REFUND')), 0),
               count(*) FILTER (WHERE status = outcome_status('REJECTED')),
               count(*) FILTER (WHERE status = outcome_status('SKIPPED'))
          FROM gone GROUP BY team_id ORDER BY team_id
        ON CONFLICT (team_id) DO UPDATE
           SET refund_shortfall = d.refund_shortfall + excluded.refund_shortfall,
               rejected = d.rejected + excluded.rejected, skipped = d.skipped + excluded.skipped
    )
    SELECT count(*) FROM gone
$$;
