-- Writes what the turns of a batch decided: the commit of a batch, or the last part of one that stops journeys as well. The enrolments
-- that `records` tell of have `commit_key` in their actors or rows. OJ012: an actor was written by somebody else since its turn began,
-- since its version is not the one before.
CREATE OR REPLACE FUNCTION write_turns_v3(
    actors packed_actor_row[], enrolments listed_enrolment_row[], commit_key bigint, records record_row[]
) RETURNS void
LANGUAGE plpgsql SET search_path FROM CURRENT
AS $$
DECLARE
    written bigint;
BEGIN
    INSERT INTO actor AS a (partition, team_id, customer_id, taken_segment, taken_gateway, taken_journey, wake_at, sending_since,
                       live_enrolment_id, live_journey_id, live_since, live_wait, state, verdicts, version, live_node,
                       live_wake_at)
    SELECT * FROM unnest(actors)
    ON CONFLICT (partition, team_id, customer_id) DO UPDATE
       SET taken_segment = excluded.taken_segment, taken_gateway = excluded.taken_gateway,
           taken_journey = excluded.taken_journey, wake_at = excluded.wake_at, sending_since = excluded.sending_since,
           live_enrolment_id = excluded.live_enrolment_id, live_journey_id = excluded.live_journey_id,
           live_since = excluded.live_since, live_wait = excluded.live_wait, state = excluded.state,
           verdicts = excluded.verdicts, version = excluded.version, live_node = excluded.live_node,
           live_wake_at = excluded.live_wake_at, entries = NULL
     WHERE a.version = excluded.version - 1;
    GET DIAGNOSTICS written = ROW_COUNT;
    IF written < cardinality(actors) THEN
        RAISE EXCEPTION 'an actor was written by somebody else' USING ERRCODE = 'OJ012';
    END IF;
    IF cardinality(enrolments) > 0 THEN
        INSERT INTO enrolment (partition, team_id, customer_id, enrolment_id, journey_id, trigger_event_id, created_at,
                               updated_at, wake_at, depth, state, rest, visit, node_id, commit_keys)
        SELECT * FROM unnest(enrolments)
        ON CONFLICT (partition, team_id, customer_id, enrolment_id) DO UPDATE
           SET updated_at = excluded.updated_at, wake_at = excluded.wake_at, state = excluded.state, rest = excluded.rest,
               visit = excluded.visit, node_id = excluded.node_id, commit_keys = excluded.commit_keys;
    END IF;
    IF cardinality(records) > 0 THEN
        PERFORM append_records(commit_key, records);
    END IF;
END
$$;
