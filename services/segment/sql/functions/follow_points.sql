-- Adds what the history of the ledger says, and moves the cursors with it, a transaction of its own. OJ003: the cursors are not where
-- they were; nothing is added then. Accounts are locked in the one order of their keys.
CREATE OR REPLACE FUNCTION follow_points(teams uuid[], steps cursor_row[], changes points_change[]) RETURNS void
LANGUAGE plpgsql
SET search_path FROM CURRENT
AS $$
BEGIN
    PERFORM platform.bind(teams);
    PERFORM move_points_cursors(steps);
    INSERT INTO customer_points AS p (team_id, customer_id, balance, cumulative, known)
    SELECT n.team_id, n.customer_id, n.balance, n.cumulative,
           EXISTS (SELECT FROM customer AS c WHERE c.team_id = n.team_id AND c.customer_id = n.customer_id)
      FROM unnest(changes) AS n ORDER BY n.team_id, n.customer_id
    ON CONFLICT (team_id, customer_id) DO UPDATE
       SET balance = p.balance + excluded.balance, cumulative = p.cumulative + excluded.cumulative;
END
$$;
