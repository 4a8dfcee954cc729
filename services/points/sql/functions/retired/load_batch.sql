-- version: 2
-- What is known of a batch: rows of kind 1 are accounts (id, figures, last time and hash), of kind 2 outcomes (id is the key,
-- then customer, figures, time and fingerprint; others: source, status, reason, requested balance, both changes, shortfall),
-- of kind 3 orders (id is the order's key, then customer; others: posted, earning, amount, refunded, earned, clawed, taken),
-- of kind 4 formulas (others: amount, points). `teams` null: the transaction is bound already.
-- STABLE: all of it is seen as of one moment.
-- Arrays are columns that are filled up: of one that says the same in every row one element is enough, and an array of
-- nothing, or of nulls, may be null itself. Rows are looked up one by one, in the order given: a plan is kept for long, and may
-- have been made while the tables were empty.
CREATE OR REPLACE FUNCTION load_batch(
    teams uuid[], account_teams uuid[], customers uuid[], key_teams uuid[], keys uuid[], order_teams uuid[],
    order_keys uuid[], formula_teams uuid[]
)
RETURNS TABLE (kind smallint, team_id uuid, id uuid, customer_id uuid, balance bigint, cumulative bigint, sequence bigint,
               at timestamptz, bytes bytea, others bigint[])
LANGUAGE plpgsql STABLE
SET search_path FROM CURRENT SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
#variable_conflict use_column
BEGIN
    IF teams IS NOT NULL THEN
        PERFORM platform.bind(teams);
    END IF;
    RETURN QUERY
        SELECT 1::smallint, a.team_id, a.customer_id, NULL::uuid, a.balance, a.cumulative, a.sequence, a.last_at, a.last_hash,
               NULL::bigint[]
          FROM unnest(account_teams, customers) AS wanted (team_id, customer_id)
         CROSS JOIN LATERAL (
            SELECT * FROM account AS r
             WHERE r.team_id = coalesce(wanted.team_id, account_teams[1]) AND r.customer_id = wanted.customer_id LIMIT 1
         ) AS a;
    RETURN QUERY
        SELECT 2::smallint, o.team_id, o.key, o.customer_id, o.balance, o.cumulative, o.sequence, o.recorded_at, o.fingerprint,
               ARRAY[o.source, o.status, o.reason, o.requested_balance, o.delta_balance, o.delta_cumulative, o.shortfall]
          FROM unnest(key_teams, keys) AS wanted (team_id, key)
         CROSS JOIN LATERAL (
            SELECT * FROM outcome AS r
             WHERE r.team_id = coalesce(wanted.team_id, key_teams[1]) AND r.key = wanted.key LIMIT 1
         ) AS o;
    RETURN QUERY
        SELECT 2::smallint, o.team_id, o.key, o.customer_id, o.balance, o.cumulative, o.sequence, o.recorded_at, o.fingerprint,
               ARRAY[o.source, o.status, o.reason, o.requested_balance, o.delta_balance, o.delta_cumulative, o.shortfall]
          FROM unnest(key_teams, keys) AS wanted (team_id, key)
         CROSS JOIN LATERAL (
            SELECT r FROM entry AS r
             WHERE r.team_id = coalesce(wanted.team_id, key_teams[1]) AND r.key = wanted.key AND r.fingerprint IS NOT NULL LIMIT 1
         ) AS found (row)
         CROSS JOIN LATERAL posted_outcome(found.row) AS o;
    IF order_keys IS NOT NULL THEN
        RETURN QUERY
            SELECT 3::smallint, o.team_id, o.order_key, o.customer_id, 0::bigint, 0::bigint, 0::bigint, NULL::timestamptz,
                   NULL::bytea,
                   ARRAY[o.posted::int, o.earning::int, o.amount_micros, o.refunded_micros, o.earned, o.clawed, o.taken]
              FROM unnest(order_teams, order_keys) AS wanted (team_id, order_key)
             CROSS JOIN LATERAL (
                SELECT * FROM shop_order AS r
                 WHERE r.team_id = coalesce(wanted.team_id, order_teams[1]) AND r.order_key = wanted.order_key LIMIT 1
             ) AS o;
    END IF;
    IF formula_teams IS NOT NULL THEN
        RETURN QUERY
            SELECT 4::smallint, f.team_id, NULL::uuid, NULL::uuid, 0::bigint, 0::bigint, 0::bigint, NULL::timestamptz,
                   NULL::bytea, ARRAY[f.amount_micros, f.points_micros]
              FROM formula AS f
             WHERE f.team_id = ANY (formula_teams);
    END IF;
END
$$;
