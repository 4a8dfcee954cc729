-- When the channel last said how a template stands, and of what category it is: what it said before and comes late changes nothing.
ALTER TABLE template
    ADD COLUMN state_told_at timestamptz,
    ADD COLUMN category_told_at timestamptz,
    ADD CONSTRAINT template_times_readable CHECK (
        state_told_at >= '0001-01-02 00:00+00' AND state_told_at < '9999-12-31 00:00+00'
        AND category_told_at >= '0001-01-02 00:00+00' AND category_told_at < '9999-12-31 00:00+00') NOT VALID;
