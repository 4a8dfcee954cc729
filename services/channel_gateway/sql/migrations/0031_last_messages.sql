-- Beside when somebody last wrote to an account: the last send to them that the channel told of, and when it was sent. What they write next answers it.
-- Somebody who never wrote has a `last_at` before everything.
ALTER TABLE inbound
    ADD COLUMN sent_key uuid,
    ADD COLUMN sent_at timestamptz CHECK (sent_at >= '0001-01-02 00:00:00+00' AND sent_at < '9999-12-31 00:00:00+00');
SELECT platform.sample_lightly('inbound');
