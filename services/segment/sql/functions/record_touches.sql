-- Records events that leave nothing but a time of a customer who is named by id, a transaction of its own: each customer and each key is
-- named once, and customers come in the order in which they are locked everywhere. Of customers who are there, by keys that are new, the
-- times are moved on and the keys kept: their places are returned. Of the others nothing is written.
-- A key that a fact carries is seen by the last look at `fact` alone, since it was an event of another kind: then nothing is written. It
-- looks at all keys: to look at those alone that are kept would cost more than that.
-- Who uses the same key at the same time is held up by its index, or seen by that look: one of the two does it again.
CREATE OR REPLACE FUNCTION record_touches(
    teams uuid[], recorded timestamptz, keys used_key[], customer_interact_times timestamptz[], team_interact_times timestamptz[])
RETURNS integer[]
LANGUAGE plpgsql
SET search_path FROM CURRENT SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off
AS $$
DECLARE
    places integer[];
BEGIN
    PERFORM platform.bind(teams);
    WITH changed AS (
        UPDATE customer AS c
           SET customer_interact_time = GREATEST(c.customer_interact_time, n.customer_interact_time),
               team_interact_time = GREATEST(c.team_interact_time, n.team_interact_time),
               revision = c.revision + 1, update_time = recorded
          FROM ROWS FROM (unnest(keys), unnest(customer_interact_times), unnest(team_interact_times)) WITH ORDINALITY
            AS n (team_id, event_key, digest, customer_id, customer_interact_time, team_interact_time, place)
         WHERE c.team_id = n.team_id AND c.customer_id = n.customer_id
           AND NOT EXISTS (SELECT FROM event_key AS k WHERE k.team_id = n.team_id AND k.event_key = n.event_key OFFSET 0)
        RETURNING n.place, n.team_id, n.event_key, n.digest, n.customer_id
    ), kept AS (
        INSERT INTO event_key (team_id, event_key, digest, customer_id)
        SELECT w.team_id, w.event_key, w.digest, w.customer_id FROM changed AS w
    )
    SELECT array_agg(w.place) INTO places FROM changed AS w;
    IF EXISTS (SELECT FROM unnest(keys) AS n
                CROSS JOIN LATERAL (
                  SELECT FROM fact AS f WHERE f.team_id = n.team_id AND f.event_key = n.event_key LIMIT 1) AS used) THEN
        RAISE EXCEPTION 'keys were used while they were decided on' USING ERRCODE = 'serialization_failure';
    END IF;
    RETURN places;
END
$$;
