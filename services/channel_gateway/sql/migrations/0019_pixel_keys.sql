-- Keys that stand in a shop's pages. They are no secrets: they name a shop, and the pages that may report to it. One that is ended is
-- kept, so that lists show it; a shop has 100 at most.
CREATE TABLE pixel_key (
    team_id    uuid NOT NULL,
    key_id     uuid NOT NULL,
    shop_id    text NOT NULL,
    origins    text[] NOT NULL CHECK (cardinality(origins) BETWEEN 1 AND 20),
    created_at timestamptz NOT NULL,
    revoked_at timestamptz,
    PRIMARY KEY (team_id, key_id),
    FOREIGN KEY (team_id, shop_id) REFERENCES shop (team_id, shop_id),
    CONSTRAINT pixel_key_time_readable CHECK (
        created_at >= '0001-01-02 00:00+00' AND created_at < '9999-12-31 00:00+00'
        AND revoked_at >= '0001-01-02 00:00+00' AND revoked_at < '9999-12-31 00:00+00'
    )
);
SELECT platform.hold_teams_apart('pixel_key');
CREATE INDEX pixel_key_by_shop ON pixel_key (team_id, shop_id, created_at, key_id);
