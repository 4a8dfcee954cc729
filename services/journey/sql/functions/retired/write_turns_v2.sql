-- version: 2
-- Writes what the turns of a batch decided: the commit of a batch, or the last part of one that stops journeys as well.
-- `verdicts` are those that are not needed any more.
CREATE OR REPLACE FUNCTION write_turns_v2(
    now timestamptz, actors actor_row[], enrolments enrolment_row[], verdicts verdict_key[], facts history_row[]
) RETURNS void
LANGUAGE plpgsql SET search_path FROM CURRENT
AS $$
BEGIN
    PERFORM refuse_before(array_agg(n.partition), array_agg(n.team_id), array_agg(n.customer_id)) FROM unnest(actors) AS n;
    INSERT INTO actor AS a (partition, team_id, customer_id, taken_segment, taken_gateway, taken_journey, entries, wake_at,
                            sending_since)
    SELECT n.partition, n.team_id, n.customer_id, n.taken_segment, n.taken_gateway, n.taken_journey, n.entries, n.wake_at,
           CASE WHEN n.sending THEN now END
      FROM unnest(actors) AS n
    ON CONFLICT (partition, team_id, customer_id) DO UPDATE
       SET taken_segment = excluded.taken_segment, taken_gateway = excluded.taken_gateway,
           taken_journey = excluded.taken_journey, entries = excluded.entries, wake_at = excluded.wake_at,
           sending_since = CASE WHEN excluded.sending_since IS NOT NULL
                                THEN COALESCE(a.sending_since, excluded.sending_since) END;
    IF cardinality(enrolments) > 0 THEN
        INSERT INTO enrolment (partition, team_id, customer_id, enrolment_id, journey_id, trigger_event_id, created_at,
                               updated_at, wake_at, depth, state, rest, visit, node_id)
        SELECT a.partition, a.team_id, a.customer_id, n.enrolment_id, n.journey_id, n.trigger_event_id, n.created_at, now,
               n.wake_at, n.depth, n.state, n.rest, n.visit, n.node_id
          FROM unnest(enrolments) AS n
          JOIN unnest(actors) WITH ORDINALITY
               AS a (partition, team_id, customer_id, s, g, j, entries, wake_at, sending, place) ON a.place = n.actor
        ON CONFLICT (partition, team_id, customer_id, enrolment_id) DO UPDATE
           SET updated_at = excluded.updated_at, wake_at = excluded.wake_at, state = excluded.state, rest = excluded.rest,
               visit = excluded.visit, node_id = excluded.node_id;
    END IF;
    IF cardinality(verdicts) > 0 THEN
        DELETE FROM verdict AS v USING unnest(verdicts) AS n
         WHERE v.team_id = n.team_id AND v.enrolment_id = n.enrolment_id AND (n.key IS NULL OR v.key = n.key);
    END IF;
    IF cardinality(facts) > 0 THEN
        PERFORM append_history(facts);
    END IF;
END
$$;
