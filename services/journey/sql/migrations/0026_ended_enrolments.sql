-- Mail that ends one enrolment: its id, and why in the words of who asks. Null in system triggers. Such mail names no journey, but the nil
-- UUID, by which a process of the release before starts nothing.
ALTER TABLE mail ADD COLUMN ends_enrolment_id uuid, ADD COLUMN note text;
