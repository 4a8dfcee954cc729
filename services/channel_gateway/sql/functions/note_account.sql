-- Tells other services which channel accounts there are, and of which channel. With the owner's rights: the gateway itself may not write there.
CREATE OR REPLACE FUNCTION note_account() RETURNS trigger
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF NEW.deleted THEN
        DELETE FROM platform.channel_account AS c WHERE c.team_id = NEW.team_id AND c.account_id = NEW.account_id;
    ELSE
        INSERT INTO platform.channel_account (team_id, account_id, channel) VALUES (NEW.team_id, NEW.account_id, NEW.channel)
            ON CONFLICT (team_id, account_id) DO UPDATE SET channel = EXCLUDED.channel;
    END IF;
    RETURN NULL;
END
$$;
