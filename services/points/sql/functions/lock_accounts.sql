-- Makes the accounts that are missing and locks them all, one after the other in one order. The condition is never true: a row
-- that is there is locked and stays as it is.
CREATE OR REPLACE FUNCTION lock_accounts(account_teams uuid[], customers uuid[]) RETURNS void
LANGUAGE sql
SET search_path FROM CURRENT
AS $$
    INSERT INTO account (team_id, customer_id)
    SELECT coalesce(wanted.team_id, account_teams[1]), wanted.customer_id
      FROM unnest(account_teams, customers) AS wanted (team_id, customer_id)
     ORDER BY 1, 2
    ON CONFLICT (team_id, customer_id) DO UPDATE SET sequence = account.sequence WHERE false
$$;
