-- How many accounts of each channel stand as unusable. It runs with its owner's rights, since it looks at all teams; it returns figures
-- that name none.
CREATE OR REPLACE FUNCTION unusable_accounts(unusable smallint) RETURNS TABLE (channel smallint, accounts bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT
AS $$
    SELECT a.channel, count(*) FROM account AS a WHERE a.state = unusable AND NOT a.deleted GROUP BY a.channel
$$;
