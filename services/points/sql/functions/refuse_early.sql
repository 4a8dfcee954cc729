-- Trigger of `outcome`: refuses to delete one before it is 13 months old in domain time.
CREATE OR REPLACE FUNCTION refuse_early() RETURNS trigger
LANGUAGE plpgsql
SET search_path FROM CURRENT
AS $$
DECLARE
    domain_now timestamptz;
BEGIN
    SELECT domain_anchor + make_interval(
               secs => LEAST(3e11, GREATEST(0, extract(epoch FROM now() - real_anchor)::double precision) * rate))
      INTO STRICT domain_now FROM platform.clock;
    IF OLD.recorded_at >= domain_now - interval '13 months' THEN
        RAISE EXCEPTION 'an outcome is kept for 13 months' USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN OLD;
END
$$;
