-- What a journey is at an instant: `status_at` of services.journey.domain.status, for lists that are filtered by it.
CREATE OR REPLACE FUNCTION journey_status_at(
    stored integer, starts_at timestamptz, ends_at timestamptz, expiry integer, at timestamptz
) RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
    WHEN ends_at IS NULL OR stored NOT IN (journey_status('SCHEDULED'), journey_status('ACTIVE'), journey_status('TRIGGER_CLOSED'))
        THEN stored
    WHEN at >= ends_at THEN CASE expiry WHEN expiry_action('STOP') THEN journey_status('STOPPING') ELSE journey_status('TRIGGER_CLOSED') END
    WHEN stored = journey_status('TRIGGER_CLOSED') THEN stored
    WHEN at < starts_at THEN journey_status('SCHEDULED')
    ELSE journey_status('ACTIVE')
END;
