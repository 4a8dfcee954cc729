-- version: 3
-- Whether anybody whom accepted sends of teams go to wants no messages on their channel (a consent of channel 0 is one of every channel), or may be
-- one to whom the channel delivers no marketing for now. Most teams have nobody, which three probes tell.
CREATE OR REPLACE FUNCTION is_opted_out(bound uuid[], groups send_group_row[]) RETURNS boolean
LANGUAGE plpgsql STABLE
SET search_path FROM CURRENT SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off
AS $$
DECLARE
    team uuid;
    has_words boolean;
    has_consents boolean;
    has_limits boolean;
BEGIN
    FOREACH team IN ARRAY bound LOOP
        PERFORM FROM opt_out AS o WHERE o.team_id = team LIMIT 1;
        has_words := FOUND;
        PERFORM FROM consent AS c WHERE c.team_id = team LIMIT 1;
        has_consents := FOUND;
        PERFORM FROM limited_person AS l WHERE l.team_id = team LIMIT 1;
        has_limits := FOUND;
        IF has_limits AND EXISTS (
            SELECT FROM unnest(groups) AS g
             CROSS JOIN LATERAL unnest(g.sends) AS s
             WHERE g.team_id = team AND g.state >= send_state('ACCEPTED') AND g.template_id IS NOT NULL
               AND EXISTS (
                    SELECT FROM limited_person AS l
                     WHERE l.team_id = team AND l.channel = g.channel AND l.external_id = s.recipient OFFSET 0))
        THEN
            RETURN true;
        END IF;
        CONTINUE WHEN NOT (has_words OR has_consents);
        IF EXISTS (
            SELECT FROM unnest(groups) AS g
             CROSS JOIN LATERAL unnest(g.sends) AS s
             WHERE g.team_id = team AND g.state >= send_state('ACCEPTED')
               AND CASE WHEN (has_words AND EXISTS (
                                SELECT FROM opt_out AS o
                                 WHERE o.team_id = team AND o.channel = g.channel AND o.external_id = s.recipient AND o.withdrawn OFFSET 0))
                          OR (has_consents AND EXISTS (
                                SELECT FROM consent AS c
                                 WHERE c.team_id = team AND c.customer_id = s.customer_id AND c.channel IN (g.channel, 0)
                                   AND c.withdrawn OFFSET 0))
                        THEN wants_none(team, s.customer_id, g.channel, s.recipient) ELSE false END)
        THEN
            RETURN true;
        END IF;
    END LOOP;
    RETURN false;
END
$$;
