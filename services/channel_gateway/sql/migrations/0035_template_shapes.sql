-- What a template takes besides the body's parameters: header and buttons. NULL: not known, since WhatsApp was not asked.
ALTER TABLE template ADD COLUMN shape jsonb;
