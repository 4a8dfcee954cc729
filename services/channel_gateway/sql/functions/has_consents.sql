-- Whether anybody of some teams ever said whether they want messages.
CREATE OR REPLACE FUNCTION has_consents(bound uuid[]) RETURNS boolean
LANGUAGE plpgsql STABLE
SET search_path FROM CURRENT
AS $$
DECLARE
    team uuid;
BEGIN
    FOREACH team IN ARRAY bound LOOP
        PERFORM FROM opt_out AS o WHERE o.team_id = team LIMIT 1;
        IF FOUND THEN
            RETURN true;
        END IF;
        PERFORM FROM consent AS c WHERE c.team_id = team LIMIT 1;
        IF FOUND THEN
            RETURN true;
        END IF;
    END LOOP;
    RETURN false;
END
$$;
