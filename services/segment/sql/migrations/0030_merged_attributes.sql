-- The attribute that the values of `convert_key` become values of; empty: none. `convert_to` is -1 then: a process that knows nothing of
-- merges takes that for a type that the attribute has no more, and ends the work as failed, instead of deleting the values.
ALTER TABLE audience_change ADD COLUMN merge_into text NOT NULL DEFAULT '';
