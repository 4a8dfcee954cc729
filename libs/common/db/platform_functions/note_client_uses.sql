-- Notes when clients were used last, by hours that only grow. It runs with its owner's rights: a service may change this of a
-- client and nothing else.
CREATE OR REPLACE FUNCTION platform.note_client_uses(client_ids uuid[], hours timestamptz[]) RETURNS void
LANGUAGE sql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
    WITH used AS (
        SELECT c.api_client_id, u.hour
          FROM unnest(client_ids, hours) AS u (api_client_id, hour)
          JOIN platform.api_client AS c USING (api_client_id)
         WHERE (c.last_used IS NULL OR c.last_used < u.hour) AND u.hour <= clock_timestamp() + interval '1 hour'
         ORDER BY c.api_client_id
           FOR UPDATE OF c
    )
    UPDATE platform.api_client AS c SET last_used = used.hour FROM used WHERE c.api_client_id = used.api_client_id
$$;

REVOKE ALL ON FUNCTION platform.note_client_uses(uuid[], timestamptz[]) FROM PUBLIC;
