-- Why a channel refused a template, by its own name for it; empty where it did not, or says nothing.
ALTER TABLE template ADD COLUMN rejected_reason text NOT NULL DEFAULT '';
