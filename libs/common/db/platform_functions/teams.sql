-- version: 2
-- The teams of the running transaction: those given to `SET LOCAL omnijourney.teams`, else none. Where it runs for a client of
-- one team (`SET LOCAL omnijourney.caller_team`), no other is among them, whoever asked for it. A setting that was made once in a
-- session is empty afterwards, not absent; both mean no team, and no such client.
CREATE OR REPLACE FUNCTION platform.teams() RETURNS uuid[]
LANGUAGE sql STABLE PARALLEL SAFE
RETURN CASE
    WHEN COALESCE(current_setting('omnijourney.caller_team', true), '') = ''
    THEN COALESCE(NULLIF(current_setting('omnijourney.teams', true), '')::uuid[], '{}'::uuid[])
    WHEN current_setting('omnijourney.caller_team', true)::uuid
         = ANY (NULLIF(current_setting('omnijourney.teams', true), '')::uuid[])
    THEN ARRAY[current_setting('omnijourney.caller_team', true)::uuid]
    ELSE '{}'::uuid[]
END;
