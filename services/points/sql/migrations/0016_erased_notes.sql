-- What people noted about a person who is erased goes from their entries (`erase_notes`); whatever else an entry says never changes. The
-- function stands here as well, since functions are made after the migrations: it is the one of functions/keep_figures.sql.
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
CREATE TRIGGER figures_stay BEFORE UPDATE ON entry FOR EACH ROW EXECUTE FUNCTION keep_figures();
