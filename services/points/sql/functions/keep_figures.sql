-- Trigger of entries: of one that is updated, the note may go, and the hash be another one.
CREATE OR REPLACE FUNCTION keep_figures() RETURNS trigger
LANGUAGE plpgsql
SET search_path FROM CURRENT
AS $$
BEGIN
    IF NEW.note NOT IN ('', OLD.note) OR to_jsonb(NEW) - 'note' - 'hash' <> to_jsonb(OLD) - 'note' - 'hash' THEN
        RAISE EXCEPTION 'figures of entries never change' USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END
$$;
