-- Up to where customers were looked at for texts that a release before spelled otherwise than they are spelled now. One row, until the last
-- pass has ended: the second one finds what a process of the release before wrote during the first.
CREATE TABLE spelling_search (
    only_row            boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    reached_team_id     uuid NOT NULL,
    reached_customer_id uuid NOT NULL,
    passes_left         smallint NOT NULL CHECK (passes_left > 0),
    due_at              timestamptz NOT NULL
        CONSTRAINT spelling_search_time_readable CHECK (due_at >= '0001-01-02Z' AND due_at < '9999-12-31Z')
);
INSERT INTO spelling_search (reached_team_id, reached_customer_id, passes_left, due_at)
VALUES ('00000000-0000-0000-0000-000000000000', '00000000-0000-0000-0000-000000000000', 2, clock_timestamp());
