-- Customers who were merged into others: what they claimed counts with those, and nobody gives them points any more.
CREATE TABLE merged_customer (
    team_id     uuid NOT NULL,
    customer_id uuid NOT NULL,
    survivor_id uuid NOT NULL,
    merge_id    uuid NOT NULL,
    PRIMARY KEY (team_id, customer_id),
    CHECK (customer_id <> survivor_id)
);
CREATE INDEX merged_customer_of_survivor ON merged_customer (team_id, survivor_id);
SELECT platform.hold_teams_apart('merged_customer');
