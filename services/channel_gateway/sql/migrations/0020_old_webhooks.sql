-- Old webhooks go with what was refused of them; that they do is looked up by this.
CREATE INDEX inbox_refusal_by_webhook ON inbox_refusal (sequence);
