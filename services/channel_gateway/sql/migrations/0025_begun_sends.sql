-- Messages of a send that an outcome before has reported: one that was put off after some of it had left goes on where it stopped.
ALTER TABLE delivery ADD COLUMN messages_reported integer NOT NULL DEFAULT 0;
