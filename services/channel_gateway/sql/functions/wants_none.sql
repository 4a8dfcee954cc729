-- Whether a customer wants no messages on a channel (a consent of channel 0 is one of every channel), where they are known by `external_id`: what was said last decides, of the channel or of
-- all, by the person or through the API; of what was said at one time, that they want none.
CREATE OR REPLACE FUNCTION wants_none(team uuid, customer uuid, on_channel smallint, person text) RETURNS boolean
LANGUAGE sql STABLE
SET search_path FROM CURRENT SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off
AS $$
    SELECT COALESCE((
        SELECT s.withdrawn FROM (
            SELECT o.withdrawn, o.changed_at FROM opt_out AS o
             WHERE o.team_id = team AND o.channel = on_channel AND o.external_id = person
             UNION ALL
            SELECT c.withdrawn, c.changed_at FROM consent AS c
             WHERE c.team_id = team AND c.customer_id = customer AND c.channel IN (on_channel, 0)
        ) AS s ORDER BY s.changed_at DESC, s.withdrawn DESC LIMIT 1), false)
$$;
