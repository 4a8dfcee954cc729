-- Whether anybody whom accepted sends of teams go to wants no messages on their channel. Most teams have nobody, which one probe tells.
CREATE OR REPLACE FUNCTION is_opted_out(bound uuid[], groups send_group_row[]) RETURNS boolean
LANGUAGE plpgsql STABLE
SET search_path FROM CURRENT SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off
AS $$
DECLARE
    team uuid;
    found_one boolean := false;
BEGIN
    FOREACH team IN ARRAY bound LOOP
        PERFORM FROM opt_out AS o WHERE o.team_id = team LIMIT 1;
        CONTINUE WHEN NOT FOUND;
        found_one := found_one OR EXISTS (
            SELECT FROM unnest(groups) AS g
             CROSS JOIN LATERAL unnest(g.sends) AS s
             CROSS JOIN LATERAL (
                SELECT o.withdrawn FROM opt_out AS o
                 WHERE o.team_id = team AND o.channel = g.channel AND o.external_id = s.recipient LIMIT 1
             ) AS o
             WHERE g.team_id = team AND g.state >= send_state('ACCEPTED') AND o.withdrawn);
    END LOOP;
    RETURN found_one;
END
$$;
