-- Imports of contacts: what each was asked, and up to where its file is uploaded and applied. `state` is an OperationState. A field of
-- `fields` is what the column of `headings` at its place fills; '' is a column that is passed over. `encoding` is '' until the file was read through.
CREATE TABLE contact_import (
    team_id           uuid NOT NULL,
    contact_import_id uuid NOT NULL,
    file_name         text NOT NULL,
    file_sha256       bytea NOT NULL,
    file_bytes        bigint NOT NULL CHECK (file_bytes > 0),
    channel           smallint NOT NULL,
    account_id        uuid,
    deduct_cumulative boolean NOT NULL,
    triggers          boolean NOT NULL,
    repeat            boolean NOT NULL,
    actor             text NOT NULL,
    headings          text[] NOT NULL,
    fields            text[] NOT NULL,
    state             smallint NOT NULL DEFAULT 1 CHECK (state BETWEEN 1 AND 5),
    uploaded_bytes    bigint NOT NULL DEFAULT 0 CHECK (uploaded_bytes BETWEEN 0 AND file_bytes),
    encoding          text NOT NULL DEFAULT '',
    separator         text NOT NULL DEFAULT '',
    line_count        bigint NOT NULL DEFAULT 0,
    next_byte         bigint NOT NULL DEFAULT 0,
    next_line         bigint NOT NULL DEFAULT 1,
    waiting_count     bigint NOT NULL DEFAULT 0 CHECK (waiting_count >= 0),
    applied_count     bigint NOT NULL DEFAULT 0,
    unchanged_count   bigint NOT NULL DEFAULT 0,
    failed_count      bigint NOT NULL DEFAULT 0,
    message           text NOT NULL DEFAULT '',
    created_at        timestamptz NOT NULL,
    ended_at          timestamptz,
    touched_at        timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (team_id, contact_import_id),
    CHECK ((account_id IS NULL) = (channel = 0)),
    CHECK (cardinality(headings) = cardinality(fields)),
    CHECK ((state > 2) = (ended_at IS NOT NULL))
) WITH (fillfactor = 50);

-- The same file a second time is refused, unless that was asked for, or the first time was ended early.
CREATE UNIQUE INDEX contact_import_file ON contact_import (team_id, file_sha256) WHERE NOT repeat AND state <= 3;
CREATE INDEX contact_import_by_time ON contact_import (team_id, created_at DESC, contact_import_id DESC);
-- Those that a worker may have to go on with; one that was cancelled still posts the points of the lines that it applied.
CREATE INDEX contact_import_unfinished ON contact_import (created_at) WHERE state IN (1, 2) OR waiting_count > 0;

-- Parts of files, until they are applied.
CREATE TABLE contact_import_part (
    team_id           uuid NOT NULL,
    contact_import_id uuid NOT NULL,
    start_byte        bigint NOT NULL CHECK (start_byte >= 0),
    csv               bytea NOT NULL,
    PRIMARY KEY (team_id, contact_import_id, start_byte),
    FOREIGN KEY (team_id, contact_import_id) REFERENCES contact_import ON DELETE CASCADE
);
-- Slices of a part are read without the rest of it.
ALTER TABLE contact_import_part ALTER COLUMN csv SET STORAGE EXTERNAL;

-- Lines of which there is something to say, and those whose points are to be posted (status 0).
CREATE TABLE contact_import_row (
    team_id           uuid NOT NULL,
    contact_import_id uuid NOT NULL,
    line              bigint NOT NULL CHECK (line > 0),
    status            smallint NOT NULL CHECK (status BETWEEN 0 AND 3),
    reason            text NOT NULL,
    message           text NOT NULL,
    customer_id       uuid,
    points            bigint NOT NULL,
    cells             text[] NOT NULL,
    PRIMARY KEY (team_id, contact_import_id, line),
    FOREIGN KEY (team_id, contact_import_id) REFERENCES contact_import ON DELETE CASCADE,
    CHECK (status <> 0 OR customer_id IS NOT NULL)
);
CREATE INDEX contact_import_row_of_customer ON contact_import_row (team_id, customer_id) WHERE customer_id IS NOT NULL;
CREATE INDEX contact_import_row_waiting ON contact_import_row (team_id, contact_import_id, line) WHERE status = 0;

SELECT platform.hold_teams_apart(name)
  FROM unnest(ARRAY['contact_import', 'contact_import_part', 'contact_import_row']::regclass[]) AS name;

CREATE TYPE asked_contact_import AS (
    team_id uuid, contact_import_id uuid, file_name text, file_sha256 bytea, file_bytes bigint, channel smallint, account_id uuid,
    deduct_cumulative boolean, triggers boolean, repeat boolean, actor text, headings text[], fields text[]);
CREATE TYPE contact_import_stand AS (
    state smallint, uploaded_bytes bigint, encoding text, separator text, line_count bigint, next_byte bigint, next_line bigint,
    waiting_count bigint, applied_count bigint, unchanged_count bigint, failed_count bigint, message text, ended_at timestamptz);
CREATE TYPE contact_row AS (
    line bigint, status smallint, reason text, message text, customer_id uuid, points bigint, cells text[]);
