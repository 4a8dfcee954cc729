-- Imports of point changes. What a row changed stands in the ledger, under a key made of import and line; the row holds
-- what was asked and the outcome, written in the transaction that posts it.

CREATE TABLE import (
    team_id           uuid NOT NULL,
    import_id         uuid NOT NULL,
    file_name         text NOT NULL,
    file_sha256       bytea NOT NULL,
    deduct_cumulative boolean NOT NULL,
    repeat            boolean NOT NULL,
    actor             text NOT NULL,
    state             smallint NOT NULL CHECK (state BETWEEN 1 AND 6),
    created_at        timestamptz NOT NULL,
    ended_at          timestamptz,
    PRIMARY KEY (team_id, import_id)
);

-- The same file a second time is refused, unless that was asked for, or the first time came to nothing.
CREATE UNIQUE INDEX import_file ON import (team_id, file_sha256) WHERE NOT repeat AND state <= 4;
CREATE INDEX import_by_time ON import (team_id, created_at DESC, import_id DESC);
-- Those that a worker has to go on with: RUNNING and UNDOING.
CREATE INDEX import_unfinished ON import (created_at) WHERE state IN (2, 4);

CREATE TABLE import_row (
    team_id          uuid NOT NULL,
    import_id        uuid NOT NULL,
    row_number       bigint NOT NULL CHECK (row_number > 0),
    member_id        text NOT NULL,
    email            text NOT NULL,
    phone            text NOT NULL,
    points_text      text NOT NULL,
    customer_id      uuid,
    points           bigint NOT NULL,
    status           smallint NOT NULL CHECK (status BETWEEN 0 AND 6),
    fault            text NOT NULL,
    delta_balance    bigint NOT NULL DEFAULT 0,
    delta_cumulative bigint NOT NULL DEFAULT 0,
    cumulative_cut   bigint NOT NULL DEFAULT 0,
    balance          bigint NOT NULL DEFAULT 0,
    sequence         bigint NOT NULL DEFAULT 0,
    undo_sequence    bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (team_id, import_id, row_number),
    FOREIGN KEY (team_id, import_id) REFERENCES import,
    CHECK (status NOT IN (0, 1, 4, 5, 6) OR customer_id IS NOT NULL)
) WITH (fillfactor = 80);

CREATE INDEX import_row_by_status ON import_row (team_id, import_id, status, row_number);
CREATE INDEX import_row_by_customer ON import_row (team_id, import_id, customer_id);

SELECT platform.hold_teams_apart(name) FROM unnest(ARRAY['import', 'import_row']::regclass[]) AS name;

-- Imports of all teams that a worker has to go on with. It runs with its owner's rights, because a worker serves all teams
-- and must know which before it may read them; it tells ids and nothing else.
CREATE FUNCTION unfinished_imports() RETURNS TABLE (team_id uuid, import_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path FROM CURRENT
AS $$
    SELECT i.team_id, i.import_id FROM import AS i WHERE i.state IN (2, 4) ORDER BY i.created_at
$$;
