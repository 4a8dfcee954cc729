-- The teams of the running transaction: those given to `SET LOCAL omnijourney.teams`, else none. A setting that was made
-- once in a session is empty afterwards, not absent; both mean no team.
CREATE OR REPLACE FUNCTION platform.teams() RETURNS uuid[]
LANGUAGE sql STABLE PARALLEL SAFE
RETURN COALESCE(NULLIF(current_setting('omnijourney.teams', true), '')::uuid[], '{}'::uuid[]);
