-- Tells other services which channel accounts there are. With the owner's rights, and by a trigger: a process of the release before
-- creates accounts as well.
CREATE FUNCTION note_account() RETURNS trigger
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF NEW.deleted THEN
        DELETE FROM platform.channel_account AS c WHERE c.team_id = NEW.team_id AND c.account_id = NEW.account_id;
    ELSE
        INSERT INTO platform.channel_account (team_id, account_id) VALUES (NEW.team_id, NEW.account_id) ON CONFLICT DO NOTHING;
    END IF;
    RETURN NULL;
END
$$;

CREATE TRIGGER known AFTER INSERT OR UPDATE OF deleted ON account FOR EACH ROW EXECUTE FUNCTION note_account();

-- After the trigger, which waits for running transactions: none is missed.
INSERT INTO platform.channel_account (team_id, account_id)
SELECT team_id, account_id FROM account WHERE NOT deleted ON CONFLICT DO NOTHING;
