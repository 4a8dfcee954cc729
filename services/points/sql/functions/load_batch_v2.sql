-- What a batch of postings is decided on, as of one moment (STABLE) and locked by nobody: every row holds one of the four. An
-- outcome is a row of `outcome`, or what the entry under the key tells.
-- Columns of keys are filled up: one team is enough where all are of it, and an array of nothing may be null.
-- `teams` null: the transaction is bound already. It looks rows up one by one: a plan is kept for long, and may have been
-- made while the tables were empty.
CREATE OR REPLACE FUNCTION load_batch_v2(
    teams uuid[], account_teams uuid[], customers uuid[], key_teams uuid[], keys uuid[], order_teams uuid[],
    order_keys uuid[], formula_teams uuid[]
)
RETURNS TABLE (account account, outcome outcome, shop_order shop_order, formula formula)
LANGUAGE plpgsql STABLE
SET search_path FROM CURRENT SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
#variable_conflict use_column
BEGIN
    IF teams IS NOT NULL THEN
        PERFORM platform.bind(teams);
    END IF;
    RETURN QUERY
        SELECT found.row, NULL::outcome, NULL::shop_order, NULL::formula
          FROM unnest(account_teams, customers) AS wanted (team_id, customer_id)
         CROSS JOIN LATERAL (
            SELECT r FROM account AS r
             WHERE r.team_id = coalesce(wanted.team_id, account_teams[1]) AND r.customer_id = wanted.customer_id LIMIT 1
         ) AS found (row);
    RETURN QUERY
        SELECT NULL::account, found.row, NULL::shop_order, NULL::formula
          FROM unnest(key_teams, keys) AS wanted (team_id, key)
         CROSS JOIN LATERAL (
            SELECT r FROM outcome AS r
             WHERE r.team_id = coalesce(wanted.team_id, key_teams[1]) AND r.key = wanted.key LIMIT 1
         ) AS found (row);
    RETURN QUERY
        SELECT NULL::account, posted_outcome(found.row), NULL::shop_order, NULL::formula
          FROM unnest(key_teams, keys) AS wanted (team_id, key)
         CROSS JOIN LATERAL (
            SELECT r FROM entry AS r
             WHERE r.team_id = coalesce(wanted.team_id, key_teams[1]) AND r.key = wanted.key AND r.fingerprint IS NOT NULL LIMIT 1
         ) AS found (row);
    IF order_keys IS NOT NULL THEN
        RETURN QUERY
            SELECT NULL::account, NULL::outcome, found.row, NULL::formula
              FROM unnest(order_teams, order_keys) AS wanted (team_id, order_key)
             CROSS JOIN LATERAL (
                SELECT r FROM shop_order AS r
                 WHERE r.team_id = coalesce(wanted.team_id, order_teams[1]) AND r.order_key = wanted.order_key LIMIT 1
             ) AS found (row);
    END IF;
    IF formula_teams IS NOT NULL THEN
        RETURN QUERY
            SELECT NULL::account, NULL::outcome, NULL::shop_order, f FROM formula AS f WHERE f.team_id = ANY (formula_teams);
    END IF;
END
$$;
