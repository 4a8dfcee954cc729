-- A batch that is one statement costs one round trip instead of one for each of its parts. The function that does it binds the
-- transaction to its teams first.
CREATE OR REPLACE FUNCTION platform.bind(teams uuid[]) RETURNS void
LANGUAGE sql
AS $$ SELECT set_config('omnijourney.teams', teams::text, true) $$;
