-- version: 2
-- Trigger of append-only tables: refuses any change, whatever a role was granted. The one exception is what `erase_notes` does, with its
-- owner's rights, to notes of entries; `keep_figures` looks at each of them.
CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger
LANGUAGE plpgsql
SET search_path FROM CURRENT
AS $$
BEGIN
    IF TG_TABLE_NAME = 'entry' AND TG_OP = 'UPDATE' AND current_setting('omnijourney.erasing_notes', true) = 'on'
       AND current_user = (SELECT pg_get_userbyid(c.relowner) FROM pg_class AS c WHERE c.oid = TG_RELID) THEN
        RETURN NULL;
    END IF;
    RAISE EXCEPTION '% is append-only: % refused', TG_TABLE_NAME, TG_OP USING ERRCODE = 'insufficient_privilege';
END
$$;
