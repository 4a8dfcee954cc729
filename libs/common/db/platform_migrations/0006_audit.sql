-- Who changed what, in all services: added to in the transaction of the change, and never changed. Services' roles may insert, and
-- segment, which shows it, read; nobody but the owner can take anything out. Times are real time.
CREATE TABLE platform.audit_entry (
    -- The nil UUID: a change of no team, by operators.
    team_id        uuid NOT NULL,
    -- UUIDv7: in order of time.
    audit_entry_id uuid NOT NULL,
    changed_at     timestamptz NOT NULL DEFAULT clock_timestamp() CHECK (isfinite(changed_at)),
    -- The name of the caller's token as it was then, and the client.
    actor          text NOT NULL,
    client_id      uuid NOT NULL,
    -- `package.Service/Method`.
    method         text NOT NULL,
    request_id     text NOT NULL,
    resource_type  text NOT NULL,
    resource_id    text NOT NULL,
    -- Paths of what has changed; secrets by path alone.
    fields         text[] NOT NULL,
    -- The resource as it was and as it became, or what was asked for: JSON without secrets. Cut: no whole JSON any more.
    before         text NOT NULL CHECK (octet_length(before) <= 16384),
    after          text NOT NULL CHECK (octet_length(after) <= 16384),
    cut            boolean NOT NULL,
    PRIMARY KEY (team_id, audit_entry_id)
);

CREATE INDEX audit_entry_by_resource ON platform.audit_entry (team_id, resource_type, resource_id, audit_entry_id);
CREATE INDEX audit_entry_by_actor ON platform.audit_entry (team_id, actor, audit_entry_id);

SELECT platform.hold_teams_apart('platform.audit_entry');
