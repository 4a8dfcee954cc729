-- How many templates their channel has paused. It runs with its owner's rights, since it looks at all teams; it returns a figure that names none.
CREATE OR REPLACE FUNCTION paused_templates(paused smallint) RETURNS bigint
LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT
AS $$
    SELECT count(*) FROM template AS t WHERE t.state = paused AND NOT t.deleted
$$;
