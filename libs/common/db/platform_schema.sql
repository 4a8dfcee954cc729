-- The schema platform as all migrations leave it. Written by `make schema`, never by hand.
-- Functions stand in files of their own.

-- One row a client. No row-level security: a service must know every client to refuse it, and what is kept of a token is its
-- SHA-256. Times are real time.
CREATE TABLE api_client (
    api_client_id       uuid NOT NULL,
    team_id             uuid,
    name                text NOT NULL,
    name_folded         text NOT NULL,
    scopes              smallint[] NOT NULL,
    token_sha256        bytea NOT NULL,
    old_token_sha256    bytea,
    old_token_expire_at timestamp with time zone,
    expire_at           timestamp with time zone,
    revoked_at          timestamp with time zone,
    created_at          timestamp with time zone NOT NULL DEFAULT clock_timestamp(),
    last_used           timestamp with time zone,
    configured          boolean NOT NULL DEFAULT false,
    version             bigint NOT NULL,
    CONSTRAINT api_client_pkey PRIMARY KEY (api_client_id),
    CONSTRAINT api_client_token_sha256_key UNIQUE (token_sha256),
    CONSTRAINT api_client_check CHECK (((old_token_sha256 IS NULL) = (old_token_expire_at IS NULL))),
    CONSTRAINT api_client_name_check CHECK (((length(name) >= 1) AND (length(name) <= 100))),
    CONSTRAINT api_client_old_token_sha256_check CHECK ((octet_length(old_token_sha256) = 32)),
    CONSTRAINT api_client_scopes_check CHECK (((cardinality(scopes) >= 1) AND (cardinality(scopes) <= 5))),
    CONSTRAINT api_client_times_readable CHECK (((old_token_expire_at >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (old_token_expire_at < '9999-12-31 00:00:00+00'::timestamp with time zone) AND (expire_at >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (expire_at < '9999-12-31 00:00:00+00'::timestamp with time zone) AND (revoked_at >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (revoked_at < '9999-12-31 00:00:00+00'::timestamp with time zone) AND (created_at >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (created_at < '9999-12-31 00:00:00+00'::timestamp with time zone) AND (last_used >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (last_used < '9999-12-31 00:00:00+00'::timestamp with time zone))) NOT VALID,
    CONSTRAINT api_client_token_sha256_check CHECK ((octet_length(token_sha256) = 32)),
    CONSTRAINT api_client_team_id_fkey FOREIGN KEY (team_id) REFERENCES team(team_id)
);
CREATE INDEX api_client_by_team ON platform.api_client USING btree (team_id, api_client_id);
-- A revoked client gives its name free; those of configuration have names of their own.
CREATE UNIQUE INDEX api_client_name ON platform.api_client USING btree (team_id, name_folded) NULLS NOT DISTINCT WHERE ((revoked_at IS NULL) AND (NOT configured));
CREATE UNIQUE INDEX api_client_version ON platform.api_client USING btree (version);
CREATE TRIGGER numbered BEFORE INSERT OR UPDATE OF name, scopes, token_sha256, old_token_sha256, old_token_expire_at, expire_at, revoked_at ON platform.api_client FOR EACH ROW EXECUTE FUNCTION number_api_client();

-- Who changed what, in all services: added to in the transaction of the change, and never changed. Services' roles may insert, and
-- segment, which shows it, read; nobody but the owner can take anything out. Times are real time.
CREATE TABLE audit_entry (
    team_id        uuid NOT NULL,
    audit_entry_id uuid NOT NULL,
    changed_at     timestamp with time zone NOT NULL DEFAULT clock_timestamp(),
    actor          text NOT NULL,
    client_id      uuid NOT NULL,
    method         text NOT NULL,
    request_id     text NOT NULL,
    resource_type  text NOT NULL,
    resource_id    text NOT NULL,
    fields         text[] NOT NULL,
    before         text NOT NULL,
    after          text NOT NULL,
    cut            boolean NOT NULL,
    CONSTRAINT audit_entry_pkey PRIMARY KEY (team_id, audit_entry_id),
    CONSTRAINT audit_entry_after_check CHECK ((octet_length(after) <= 16384)),
    CONSTRAINT audit_entry_before_check CHECK ((octet_length(before) <= 16384)),
    CONSTRAINT audit_entry_time_readable CHECK (((changed_at >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (changed_at < '9999-12-31 00:00:00+00'::timestamp with time zone))) NOT VALID
);
CREATE INDEX audit_entry_by_actor ON platform.audit_entry USING btree (team_id, actor, audit_entry_id);
CREATE INDEX audit_entry_by_resource ON platform.audit_entry USING btree (team_id, resource_type, resource_id, audit_entry_id);
-- Entries of the audit log are removed by their time, of all teams (`forget_audit_entries`).
CREATE INDEX audit_entry_by_time ON platform.audit_entry USING btree (changed_at);
ALTER TABLE audit_entry ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_teams ON audit_entry USING ((( SELECT teams() AS teams) @> ARRAY[team_id]));

-- The ids of teams' channel accounts, without what was deleted: what names an account that the team has not is refused where it
-- comes in. The gateway, which owns accounts, keeps it in the transaction of each change (a trigger of its table); segment reads it.
CREATE TABLE channel_account (
    team_id    uuid NOT NULL,
    account_id uuid NOT NULL,
    channel    smallint,
    CONSTRAINT channel_account_pkey PRIMARY KEY (team_id, account_id)
);
ALTER TABLE channel_account ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_teams ON channel_account USING ((( SELECT teams() AS teams) @> ARRAY[team_id]));

-- Domain time = domain_anchor + (real time - real_anchor) * rate. One row.
CREATE TABLE clock (
    only_row      boolean NOT NULL DEFAULT true,
    real_anchor   timestamp with time zone NOT NULL,
    domain_anchor timestamp with time zone NOT NULL,
    rate          double precision NOT NULL,
    version       bigint NOT NULL,
    CONSTRAINT clock_pkey PRIMARY KEY (only_row),
    CONSTRAINT clock_only_row_check CHECK (only_row),
    CONSTRAINT clock_rate_check CHECK (((rate >= (0)::double precision) AND (rate <= (1000000)::double precision))),
    CONSTRAINT clock_version_check CHECK ((version > 0))
);

-- Functions stand in files of their own and are applied when their text has changed; see `libs/common/db/migrate.py`.
-- `service` as in `platform.migration`. `version` grows with every release that changes the function, so that a process of an
-- older one knows that what it finds is newer than its own.
CREATE TABLE function (
    service    text NOT NULL,
    name       text NOT NULL,
    version    integer NOT NULL,
    sha256     text NOT NULL,
    applied_at timestamp with time zone NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT function_pkey PRIMARY KEY (service, name),
    CONSTRAINT function_version_check CHECK ((version > 0))
);

CREATE TABLE migration (
    service    text NOT NULL,
    number     integer NOT NULL,
    name       text NOT NULL,
    sha256     text NOT NULL,
    applied_at timestamp with time zone NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT migration_pkey PRIMARY KEY (service, number)
);

-- The teams' ids and nothing else of them: each service answers NOT_FOUND for one that is not here. Segment, which owns teams,
-- adds a row in the transaction that creates one (a trigger of its table).
CREATE TABLE team (
    team_id uuid NOT NULL,
    CONSTRAINT team_pkey PRIMARY KEY (team_id)
);
