-- The schema platform as all migrations leave it. Written by `make schema`, never by hand.
-- Functions stand in files of their own.

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
