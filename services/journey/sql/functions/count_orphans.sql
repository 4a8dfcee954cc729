-- Live enrolments, of all teams, whose lost sends were found.
-- It runs with its owner's rights, since a worker finds work of all teams before it can bind a transaction to them; it returns
-- ids and times only.
CREATE OR REPLACE FUNCTION count_orphans() RETURNS bigint
LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT
AS $$ SELECT count(*) FROM orphan $$;
