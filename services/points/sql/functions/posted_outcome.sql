-- The outcome that an entry tells: what was asked for and not done is its shortfall.
CREATE OR REPLACE FUNCTION posted_outcome(posted entry) RETURNS outcome
LANGUAGE sql STABLE
SET search_path FROM CURRENT
AS $$
    SELECT posted.team_id, posted.key, posted.fingerprint, posted.customer_id, posted.source, outcome_status('POSTED')::smallint,
           (CASE WHEN cut.points > 0 THEN posting_reason('CUT') ELSE posting_reason('NONE') END)::smallint,
           posted.requested_balance, posted.delta_balance, posted.delta_cumulative, cut.points, posted.balance, posted.cumulative,
           posted.sequence, posted.posted_at
      FROM (SELECT posted.delta_balance - posted.requested_balance + posted.delta_cumulative - posted.requested_cumulative)
           AS cut (points)
$$;
