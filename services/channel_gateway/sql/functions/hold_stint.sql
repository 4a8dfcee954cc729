-- Keeps a stint where it stands until the commit, and writes it where it does not stand.
CREATE OR REPLACE FUNCTION hold_stint(stint uuid, own uuid) RETURNS void
LANGUAGE plpgsql
SET search_path FROM CURRENT
AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(hashtextextended(stint::text, 7316));
    IF NOT EXISTS (SELECT FROM sender_stint AS s WHERE s.stint_id = stint) THEN
        INSERT INTO sender_stint (stint_id, sender) VALUES (stint, own) ON CONFLICT DO NOTHING;
    END IF;
END
$$;
