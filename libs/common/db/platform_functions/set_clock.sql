-- Changes the clock and returns its new version. It runs with its owner's rights: services may change the clock through
-- it, and the row in no other way. Whether an installation allows that is checked by the service that is asked.
-- OJ001: the version is another one. OJ002: the rate or the time is not allowed.
CREATE OR REPLACE FUNCTION platform.set_clock(new_rate double precision, new_time timestamptz, expected_version bigint)
RETURNS bigint
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    present platform.clock%ROWTYPE;
    real_now timestamptz;
    domain_now timestamptz;
BEGIN
    SELECT * INTO STRICT present FROM platform.clock FOR UPDATE;
    -- Read after the lock was granted, so that two changes have the order in which they were made.
    real_now := clock_timestamp();
    -- The bound keeps the product inside the range of intervals; domain time ends there anyway.
    domain_now := LEAST(
        timestamptz '9999-12-31 00:00:00+00',
        present.domain_anchor + make_interval(secs => LEAST(
            3e11, GREATEST(0, extract(epoch FROM real_now - present.real_anchor)::double precision) * present.rate))
    );
    IF expected_version <> 0 AND expected_version <> present.version THEN
        RAISE EXCEPTION 'the clock has version %, not %', present.version, expected_version USING ERRCODE = 'OJ001';
    END IF;
    IF new_rate IS NULL OR NOT new_rate BETWEEN 0 AND 1000000 THEN
        RAISE EXCEPTION 'the rate must be 0 to 1000000' USING ERRCODE = 'OJ002';
    END IF;
    IF new_time < domain_now OR new_time > timestamptz '9999-12-31 00:00:00+00' THEN
        RAISE EXCEPTION 'the time must lie between the present domain time % and the year 9999', domain_now
            USING ERRCODE = 'OJ002';
    END IF;
    UPDATE platform.clock
       SET real_anchor = real_now,
           domain_anchor = COALESCE(new_time, domain_now),
           rate = new_rate,
           version = present.version + 1;
    PERFORM pg_notify('omnijourney_clock', (present.version + 1)::text);
    RETURN present.version + 1;
END
$$;

REVOKE ALL ON FUNCTION platform.set_clock(double precision, timestamptz, bigint) FROM PUBLIC;
