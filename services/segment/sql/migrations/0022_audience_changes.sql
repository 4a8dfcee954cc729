-- Changes of everyone in an audience, done step by step (`worker/audience_changes.py`). One may convert the values of one attribute of
-- everyone instead (`convert_key`; empty: none), from a type to another.
CREATE TABLE audience_change (
    team_id       uuid NOT NULL,
    change_id     uuid NOT NULL,
    audience      bytea NOT NULL,
    add_tags      text[] NOT NULL,
    remove_tags   text[] NOT NULL,
    keys          text[] NOT NULL,
    texts         text[] NOT NULL,
    triggers      boolean NOT NULL,
    of_tag        boolean NOT NULL,
    state         smallint NOT NULL DEFAULT 1 CHECK (state BETWEEN 1 AND 5),
    ended         boolean NOT NULL DEFAULT false,
    reached       uuid,
    done_count    bigint NOT NULL DEFAULT 0,
    refused_count bigint NOT NULL DEFAULT 0,
    total_count   bigint NOT NULL,
    reason        text NOT NULL DEFAULT '',
    message       text NOT NULL DEFAULT '',
    created_at    timestamptz NOT NULL,
    updated_at    timestamptz NOT NULL,
    convert_key   text NOT NULL DEFAULT '',
    convert_from  smallint NOT NULL DEFAULT 0,
    convert_to    smallint NOT NULL DEFAULT 0,
    PRIMARY KEY (team_id, change_id)
);
CREATE INDEX audience_change_newest ON audience_change (team_id, created_at DESC, change_id DESC);
CREATE INDEX audience_change_unfinished ON audience_change (created_at) WHERE NOT ended;
SELECT platform.hold_teams_apart('audience_change');
