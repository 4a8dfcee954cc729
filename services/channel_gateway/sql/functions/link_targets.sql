-- What links lead to, by their numbers, whosever they are. With its owner's rights, since whoever opens a link names no team. Numbers
-- come out of tokens that were sealed here, never from a client.
CREATE OR REPLACE FUNCTION link_targets(ids bigint[]) RETURNS TABLE (link_id bigint, team_id uuid, url text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT
AS $$
    SELECT t.link_id, t.team_id, t.url FROM link_target AS t WHERE t.link_id = ANY (ids)
$$;
