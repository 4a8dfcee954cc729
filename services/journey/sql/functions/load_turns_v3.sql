-- State of customers, who are named in parallel; `place` is a customer's index among them, from 1. Rows of place 0 have the versions
-- of the journeys of `teams` that customers can be in.
CREATE OR REPLACE FUNCTION load_turns_v3(teams uuid[], partitions smallint[], team_ids uuid[], customers uuid[])
RETURNS TABLE (place bigint, parked boolean, taken_segment integer, taken_gateway integer, taken_journey integer,
               enrolment_id uuid, journey_id uuid, created_at timestamptz, entries bytea, state bytea, verdicts bytea,
               actor_version integer, version bigint)
LANGUAGE plpgsql STABLE SET search_path FROM CURRENT
AS $$
#variable_conflict use_column
BEGIN
    PERFORM platform.bind(teams);
    RETURN QUERY
        SELECT 0::bigint, NULL::boolean, NULL::integer, NULL::integer, NULL::integer, NULL::uuid, j.journey_id,
               NULL::timestamptz, NULL::bytea, NULL::bytea, NULL::bytea, NULL::integer, j.version
          FROM journey AS j
         WHERE j.team_id = ANY (teams) AND j.deleted_at IS NULL
           AND j.status IN (journey_status('SCHEDULED'), journey_status('ACTIVE'), journey_status('TRIGGER_CLOSED'),
                            journey_status('STOPPING'));
    RETURN QUERY
        SELECT k.place,
               EXISTS (SELECT FROM parked_customer AS p
                        WHERE p.partition = k.partition AND p.team_id = k.team_id AND p.customer_id = k.customer_id),
               a.taken_segment, a.taken_gateway, a.taken_journey, a.live_enrolment_id, a.live_journey_id, a.live_since,
               a.entries, a.state, a.verdicts, a.version, NULL::bigint
          FROM unnest(partitions, team_ids, customers) WITH ORDINALITY AS k (partition, team_id, customer_id, place)
          LEFT JOIN LATERAL (
            SELECT r.* FROM actor AS r
             WHERE r.partition = k.partition AND r.team_id = k.team_id AND r.customer_id = k.customer_id OFFSET 0
          ) AS a ON true;
END
$$;
