-- Erasures of persons: one for each customer who was erased, or is being erased. The row is what is left of the customer. `known` is what
-- other services find their rows by; it is gone with the last step. `step` is an ErasureStep, `cursor` how far it is. Who works on one
-- holds a claim until a real time.
CREATE TABLE erasure (
    team_id       uuid NOT NULL,
    erasure_id    uuid NOT NULL,
    customer_id   uuid NOT NULL,
    step          smallint NOT NULL DEFAULT 1 CHECK (step BETWEEN 1 AND 11),
    cursor        text NOT NULL DEFAULT '',
    known         bytea,
    mail_number   bigint NOT NULL DEFAULT 0 CHECK (mail_number >= 0),
    tries         integer NOT NULL DEFAULT 0,
    claim         uuid,
    claimed_until timestamptz,
    created_at    timestamptz NOT NULL,
    updated_at    timestamptz NOT NULL,
    PRIMARY KEY (team_id, erasure_id),
    CONSTRAINT erasure_of_customer UNIQUE (team_id, customer_id),
    CONSTRAINT erasure_times_readable CHECK (
        created_at >= '0001-01-02 00:00+00' AND created_at < '9999-12-31 00:00+00'
        AND updated_at >= '0001-01-02 00:00+00' AND updated_at < '9999-12-31 00:00+00'),
    CHECK (step < 11 OR known IS NULL)
);
SELECT platform.hold_teams_apart('erasure');
CREATE INDEX erasure_by_time ON erasure (team_id, created_at DESC, erasure_id DESC);
-- Those that somebody has to work on.
CREATE INDEX erasure_unfinished ON erasure (created_at) WHERE step < 11;

-- Browsers of one customer. Each is learnt once.
CREATE INDEX browser_customer ON browser (team_id, customer_id);
