-- `version` counts the commits that have written an actor. A turn that begins with what its worker remembers of the row writes it only
-- if nobody else has since (ADR 30).
ALTER TABLE actor ADD COLUMN version integer NOT NULL DEFAULT 0;
SELECT platform.sample_lightly('actor');
ALTER TYPE packed_actor_row ADD ATTRIBUTE version integer;
ALTER TYPE verdicts_row ADD ATTRIBUTE version integer;
