-- Functions stand in files of their own and are applied when their text has changed; see `libs/common/db/migrate.py`.
-- `service` as in `platform.migration`. `version` grows with every release that changes the function, so that a process of an
-- older one knows that what it finds is newer than its own.
CREATE TABLE platform.function (
    service    text NOT NULL,
    name       text NOT NULL,
    version    integer NOT NULL CHECK (version > 0),
    sha256     text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (service, name)
);
