-- version: 2
-- State of customers, who are named in parallel; `place` is a customer's index among them, from 1. A customer in several
-- journeys has a row for each, one who is in none has one without an enrolment, and of one who is parked only that is returned. Rows of
-- place 0 have the versions of the teams' journeys that customers can be in.
CREATE OR REPLACE FUNCTION load_turns(teams uuid[], partitions smallint[], team_ids uuid[], customers uuid[])
RETURNS TABLE (place bigint, parked boolean, taken_segment bigint, taken_gateway bigint, taken_journey bigint, entries bytea,
               enrolment_id uuid, journey_id uuid, trigger_event_id uuid, created_at timestamptz, wake_at timestamptz,
               depth smallint, rest smallint, visit smallint, node_id text, version bigint)
LANGUAGE plpgsql STABLE SET search_path FROM CURRENT
AS $$
#variable_conflict use_column
BEGIN
    PERFORM platform.bind(teams);
    PERFORM refuse_before(partitions, team_ids, customers);
    RETURN QUERY
        SELECT 0::bigint, NULL::boolean, NULL::bigint, NULL::bigint, NULL::bigint, NULL::bytea,
               NULL::uuid, j.journey_id, NULL::uuid, NULL::timestamptz, NULL::timestamptz,
               NULL::smallint, NULL::smallint, NULL::smallint, NULL::text, j.version
          FROM journey AS j WHERE j.team_id = ANY (teams) AND j.status <> journey_status('DRAFT') AND j.deleted_at IS NULL;
    RETURN QUERY
        SELECT k.place,
               EXISTS (SELECT FROM parked_customer AS p
                        WHERE p.partition = k.partition AND p.team_id = k.team_id AND p.customer_id = k.customer_id),
               a.taken_segment::bigint, a.taken_gateway::bigint, a.taken_journey::bigint, a.entries,
               e.enrolment_id, e.journey_id, e.trigger_event_id, e.created_at, e.wake_at, e.depth, e.rest, e.visit,
               e.node_id, NULL::bigint
          FROM unnest(partitions, team_ids, customers) WITH ORDINALITY AS k (partition, team_id, customer_id, place)
          LEFT JOIN LATERAL (
            SELECT r.* FROM actor AS r
             WHERE r.partition = k.partition AND r.team_id = k.team_id AND r.customer_id = k.customer_id OFFSET 0
          ) AS a ON true
          LEFT JOIN LATERAL (
            SELECT r.* FROM enrolment AS r
             WHERE r.partition = k.partition AND r.team_id = k.team_id AND r.customer_id = k.customer_id AND r.state = enrolment_state('LIVE')
            OFFSET 0
          ) AS e ON true
         ORDER BY k.place, e.created_at, e.enrolment_id;
END
$$;
