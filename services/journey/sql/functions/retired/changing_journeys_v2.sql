-- Journeys that have to change by themselves: a start or an end has come, or they are stopping.
-- It runs with its owner's rights, since a worker finds work of all teams before it can bind a transaction to them; it returns
-- ids and times only.
CREATE OR REPLACE FUNCTION changing_journeys_v2(now_domain timestamptz)
RETURNS TABLE (team_id uuid, journey_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT
AS $$
    SELECT j.team_id, j.journey_id FROM journey AS j
     WHERE j.deleted_at IS NULL
       AND ((j.status = journey_status('SCHEDULED') AND j.starts_at <= now_domain)
            OR (j.status IN (journey_status('SCHEDULED'), journey_status('ACTIVE')) AND j.ends_at <= now_domain)
            OR (j.status = journey_status('TRIGGER_CLOSED') AND j.ends_at <= now_domain
                AND (j.definition #>> '{schedule,expiry}')::integer = expiry_action('STOP'))
            OR j.status = journey_status('STOPPING'))
$$;
