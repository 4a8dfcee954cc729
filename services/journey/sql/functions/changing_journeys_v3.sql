-- Journeys that have to change by themselves: a start or an end has come, they are stopping, or the gateway has yet to acknowledge what it
-- is to hold back of them. One index range for each, since a condition with all of them would read every live journey.
-- It runs with its owner's rights, since a worker finds work of all teams before it can bind a transaction to them; it returns
-- ids and times only.
CREATE OR REPLACE FUNCTION changing_journeys_v3(now_domain timestamptz)
RETURNS TABLE (team_id uuid, journey_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT
AS $$
    SELECT j.team_id, j.journey_id FROM journey AS j
     WHERE j.deleted_at IS NULL AND j.status = journey_status('SCHEDULED') AND j.starts_at <= now_domain
    UNION
    SELECT j.team_id, j.journey_id FROM journey AS j
     WHERE j.deleted_at IS NULL AND j.status = journey_status('SCHEDULED') AND j.ends_at <= now_domain
    UNION
    SELECT j.team_id, j.journey_id FROM journey AS j
     WHERE j.deleted_at IS NULL AND j.status = journey_status('ACTIVE') AND j.ends_at <= now_domain
    UNION
    SELECT j.team_id, j.journey_id FROM journey AS j
     WHERE j.deleted_at IS NULL AND j.status = journey_status('TRIGGER_CLOSED') AND j.ends_at <= now_domain
       AND (j.definition #>> '{schedule,expiry}')::integer = expiry_action('STOP')
    UNION
    SELECT j.team_id, j.journey_id FROM journey AS j
     WHERE j.deleted_at IS NULL AND j.status = journey_status('STOPPING')
    UNION
    SELECT j.team_id, j.journey_id FROM journey AS j
     WHERE j.deleted_at IS NULL AND j.stop_epoch > j.braked_epoch AND j.status < journey_status('STOPPED')
$$;
