-- Mail of customers that were set aside which operators dropped: numbers of a source after `after_number`, up to `through_number`.
CREATE TABLE dropped_mail (
    team_id        uuid NOT NULL,
    customer_id    uuid NOT NULL,
    source         smallint NOT NULL,
    through_number integer NOT NULL,
    after_number   integer NOT NULL,
    at             timestamptz NOT NULL CHECK (at >= '0001-01-02 00:00+00' AND at < '9999-12-31 00:00+00'),
    PRIMARY KEY (team_id, customer_id, source, through_number)
);
SELECT platform.hold_teams_apart('dropped_mail');
