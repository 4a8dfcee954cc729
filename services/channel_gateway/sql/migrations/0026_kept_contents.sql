-- Until when the contents of deliveries were removed, by the time of their acceptance: what is older has none. One row.
CREATE TABLE content_pruning (
    only_row     boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    pruned_until timestamptz NOT NULL,
    CONSTRAINT content_pruning_time_readable CHECK (pruned_until >= '0001-01-02 00:00+00' AND pruned_until < '9999-12-31 00:00+00')
);
INSERT INTO content_pruning (pruned_until) VALUES ('0001-01-02 00:00+00');
