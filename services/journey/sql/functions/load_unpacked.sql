-- Live enrolments of customers whose actor is in the form of the release before; `place` is a customer's index, from 1.
CREATE OR REPLACE FUNCTION load_unpacked(teams uuid[], partitions smallint[], team_ids uuid[], customers uuid[])
RETURNS TABLE (place bigint, enrolment_id uuid, journey_id uuid, trigger_event_id uuid, created_at timestamptz,
               updated_at timestamptz, wake_at timestamptz, depth smallint, rest smallint, visit smallint, node_id text)
LANGUAGE plpgsql STABLE SET search_path FROM CURRENT
AS $$
#variable_conflict use_column
BEGIN
    PERFORM platform.bind(teams);
    RETURN QUERY
        SELECT k.place, e.enrolment_id, e.journey_id, e.trigger_event_id, e.created_at, e.updated_at, e.wake_at, e.depth, e.rest,
               e.visit, e.node_id
          FROM unnest(partitions, team_ids, customers) WITH ORDINALITY AS k (partition, team_id, customer_id, place)
         CROSS JOIN LATERAL (
            SELECT r.* FROM enrolment AS r
             WHERE r.partition = k.partition AND r.team_id = k.team_id AND r.customer_id = k.customer_id
               AND r.state = enrolment_state('LIVE')
            OFFSET 0
          ) AS e
         ORDER BY k.place, e.created_at, e.enrolment_id;
END
$$;
