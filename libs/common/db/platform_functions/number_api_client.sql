-- Gives each change the next version and tells whoever listens. The lock is held until the commit, so that versions become
-- visible in their order: who has read one misses none before it.
CREATE OR REPLACE FUNCTION platform.number_api_client() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(8029185401432404323);
    SELECT COALESCE(max(c.version), 0) + 1 INTO STRICT NEW.version FROM platform.api_client AS c;
    PERFORM pg_notify('omnijourney_clients', NEW.version::text);
    RETURN NEW;
END
$$;
