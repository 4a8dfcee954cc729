-- Who may call, and which teams there are: kept once for the installation, and read by every service into its memory.

-- The teams' ids and nothing else of them: each service answers NOT_FOUND for one that is not here. Segment, which owns teams,
-- adds a row in the transaction that creates one (a trigger of its table).
CREATE TABLE platform.team (
    team_id uuid PRIMARY KEY
);

-- One row a client. No row-level security: a service must know every client to refuse it, and what is kept of a token is its
-- SHA-256. Times are real time.
CREATE TABLE platform.api_client (
    api_client_id       uuid PRIMARY KEY,
    -- Null: a client of the installation, which names the team in each request.
    team_id             uuid REFERENCES platform.team (team_id),
    name                text NOT NULL CHECK (length(name) BETWEEN 1 AND 100),
    -- NFKC and casefold: names that look the same are the same.
    name_folded         text NOT NULL,
    -- Numbers of common.v1.Scope.
    scopes              smallint[] NOT NULL CHECK (cardinality(scopes) BETWEEN 1 AND 5),
    token_sha256        bytea NOT NULL UNIQUE CHECK (octet_length(token_sha256) = 32),
    -- The token before the last rotation, which works until old_token_expire_at.
    old_token_sha256    bytea CHECK (octet_length(old_token_sha256) = 32),
    old_token_expire_at timestamptz,
    expire_at           timestamptz,
    revoked_at          timestamptz,
    created_at          timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- To the hour.
    last_used           timestamptz,
    -- Given by the owner's step from configuration (the first token, our own services): no RPC changes it.
    configured          boolean NOT NULL DEFAULT false,
    -- Of the whole table: each change of any client has the next one, in the order of the commits.
    version             bigint NOT NULL,
    CHECK ((old_token_sha256 IS NULL) = (old_token_expire_at IS NULL)),
    CONSTRAINT api_client_times_finite
        CHECK (isfinite(old_token_expire_at) AND isfinite(expire_at) AND isfinite(revoked_at) AND isfinite(created_at)
               AND isfinite(last_used))
);

CREATE UNIQUE INDEX api_client_version ON platform.api_client (version);
CREATE INDEX api_client_by_team ON platform.api_client (team_id, api_client_id);
-- A revoked client gives its name free; those of configuration have names of their own.
CREATE UNIQUE INDEX api_client_name ON platform.api_client (team_id, name_folded) NULLS NOT DISTINCT
    WHERE revoked_at IS NULL AND NOT configured;

-- Gives each change the next version and tells whoever listens. The lock is held until the commit, so that versions become
-- visible in their order: who has read one misses none before it.
CREATE FUNCTION platform.number_api_client() RETURNS trigger
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

-- Not on last_used, which nobody waits for.
CREATE TRIGGER numbered BEFORE INSERT OR UPDATE OF name, scopes, token_sha256, old_token_sha256, old_token_expire_at, expire_at,
    revoked_at ON platform.api_client
    FOR EACH ROW EXECUTE FUNCTION platform.number_api_client();
