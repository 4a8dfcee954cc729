-- version: 2
-- Writes what the turns of a batch decided: the commit of a batch, or the last part of one that stops journeys as well.
-- a_…: a row an actor. e_…: a row an enrolment, which names its actor by its index among the actors, from 1. v_…: verdicts that
-- are not needed any more; without a key all of an enrolment. f_…: a row of history.
CREATE OR REPLACE FUNCTION write_turns(
    now timestamptz,
    a_partition smallint[], a_team uuid[], a_customer uuid[], a_segment bigint[], a_gateway bigint[], a_journey bigint[],
    a_entries bytea[], a_wake timestamptz[], a_sending boolean[],
    e_actor integer[], e_id uuid[], e_journey uuid[], e_event uuid[], e_created timestamptz[], e_wake timestamptz[],
    e_depth smallint[], e_state smallint[], e_rest smallint[], e_visit smallint[], e_node text[], v_team uuid[], v_enrolment uuid[], v_key uuid[],
    f_partition smallint[], f_team uuid[], f_journey uuid[], f_customer uuid[], f_enrolment uuid[], f_at timestamptz[],
    f_kind smallint[], f_body bytea[]
) RETURNS void
LANGUAGE plpgsql SET search_path FROM CURRENT
AS $$
BEGIN
    PERFORM refuse_before(a_partition, a_team, a_customer);
    INSERT INTO actor AS a (partition, team_id, customer_id, taken_segment, taken_gateway, taken_journey, entries, wake_at,
                            sending_since)
    SELECT n.partition, n.team_id, n.customer_id, n.segment, n.gateway, n.journey, n.entries, n.wake_at,
           CASE WHEN n.sending THEN now END
      FROM unnest(a_partition, a_team, a_customer, a_segment, a_gateway, a_journey, a_entries, a_wake, a_sending)
           AS n (partition, team_id, customer_id, segment, gateway, journey, entries, wake_at, sending)
    ON CONFLICT (partition, team_id, customer_id) DO UPDATE
       SET taken_segment = excluded.taken_segment, taken_gateway = excluded.taken_gateway,
           taken_journey = excluded.taken_journey, entries = excluded.entries, wake_at = excluded.wake_at,
           sending_since = CASE WHEN excluded.sending_since IS NOT NULL
                                THEN COALESCE(a.sending_since, excluded.sending_since) END;
    IF cardinality(e_actor) > 0 THEN
        INSERT INTO enrolment (partition, team_id, customer_id, enrolment_id, journey_id, trigger_event_id, created_at,
                               updated_at, wake_at, depth, state, rest, visit, node_id)
        SELECT a_partition[n.actor], a_team[n.actor], a_customer[n.actor], n.id, n.journey_id, n.event_id, n.created_at, now,
               n.wake_at, n.depth, n.state, n.rest, n.visit, n.node_id
          FROM unnest(e_actor, e_id, e_journey, e_event, e_created, e_wake, e_depth, e_state, e_rest, e_visit, e_node)
               AS n (actor, id, journey_id, event_id, created_at, wake_at, depth, state, rest, visit, node_id)
        ON CONFLICT (partition, team_id, customer_id, enrolment_id) DO UPDATE
           SET updated_at = excluded.updated_at, wake_at = excluded.wake_at, state = excluded.state, rest = excluded.rest,
               visit = excluded.visit, node_id = excluded.node_id;
    END IF;
    IF cardinality(v_team) > 0 THEN
        DELETE FROM verdict AS v USING unnest(v_team, v_enrolment, v_key) AS n (team_id, enrolment_id, key)
         WHERE v.team_id = n.team_id AND v.enrolment_id = n.enrolment_id AND (n.key IS NULL OR v.key = n.key);
    END IF;
    IF cardinality(f_partition) > 0 THEN
        INSERT INTO history (partition, position, team_id, journey_id, customer_id, enrolment_id, at, kind, body)
        SELECT * FROM unnest(f_partition, allocate_positions(f_partition), f_team, f_journey, f_customer, f_enrolment, f_at,
                             f_kind, f_body);
    END IF;
END
$$;
