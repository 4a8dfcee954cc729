-- Whether an account's connection, as the release before writes it, holds a secret in clear.
CREATE OR REPLACE FUNCTION holds_clear_secrets(connection jsonb) RETURNS boolean
LANGUAGE sql
IMMUTABLE
SET search_path FROM CURRENT
AS $$
    SELECT COALESCE(connection ->> 'access_token', '') <> ''
        OR COALESCE(connection ->> 'verify_token', '') <> ''
        OR COALESCE(connection -> 'secrets', '[]') <> '[]'
$$;
