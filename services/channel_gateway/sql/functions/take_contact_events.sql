-- Moves the cursors of segment's history, and makes a webhook of each event for each subscription of its team that asks for it. All or
-- nothing. The id of a webhook follows from subscription and event. Subscriptions are held: whoever deletes one finds what was made for it.
-- OJ003: the cursors are not where they were.
CREATE OR REPLACE FUNCTION take_contact_events(
    steps contact_step[], events contact_event_row[], active_hours integer, paused_hours integer
) RETURNS bigint
LANGUAGE plpgsql
SET search_path FROM CURRENT
AS $$
DECLARE
    moved bigint;
BEGIN
    PERFORM platform.bind(ARRAY(SELECT DISTINCT e.team_id FROM unnest(events) AS e));
    WITH held AS (
        SELECT c.partition, s.after
          FROM contact_cursor AS c JOIN unnest(steps) AS s ON s.partition = c.partition AND s.before = c.position
         ORDER BY c.partition FOR UPDATE OF c
    )
    UPDATE contact_cursor AS c SET position = held.after FROM held WHERE c.partition = held.partition;
    GET DIAGNOSTICS moved = ROW_COUNT;
    IF moved <> cardinality(steps) THEN
        RAISE EXCEPTION 'the cursors of contact events have moved' USING ERRCODE = 'OJ003';
    END IF;
    INSERT INTO outgoing_webhook (team_id, subscription_id, webhook_id, event_type, body, occurred_at, next_at, give_up_at)
    SELECT s.team_id, s.subscription_id, md5(s.subscription_id::text || e.event_id::text || e.event_type)::uuid, e.event_type,
           e.body, e.occurred_at, clock_timestamp(),
           clock_timestamp() + make_interval(hours => CASE WHEN s.state = subscription_state('ACTIVE') THEN active_hours ELSE paused_hours END)
      FROM unnest(events) AS e JOIN webhook_subscription AS s ON s.team_id = e.team_id AND e.event_type = ANY (s.event_types)
       FOR KEY SHARE OF s
    ON CONFLICT DO NOTHING;
    GET DIAGNOSTICS moved = ROW_COUNT;
    RETURN moved;
END
$$;
