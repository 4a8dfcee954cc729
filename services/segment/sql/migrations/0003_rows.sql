-- Rows as functions take them: what a batch names (`input_…`), and what is to be written, in groups, so that no function
-- has more than a dozen parameters.

CREATE TYPE input_customer AS (team_id uuid, customer_id uuid);
-- `unsure`: nobody is named by id, so whoever is not found by the hint may have to be created.
CREATE TYPE input_text AS (team_id uuid, text text, unsure boolean);
CREATE TYPE input_identity AS (team_id uuid, channel smallint, account_id uuid, external_id text, unsure boolean);
CREATE TYPE input_report AS (team_id uuid, shop_id text, report_id text);
CREATE TYPE input_key AS (team_id uuid, key text);
CREATE TYPE input_trait AS (team_id uuid, customer_id uuid, key text);
CREATE TYPE input_effect AS (team_id uuid, effect_key uuid);
-- A line of a list: folded member id, folded e-mail address, phone; null is not looked for.
CREATE TYPE input_line AS (item integer, member_id text, email text, phone text);
CREATE TYPE cursor_position AS (partition smallint, "position" bigint);

CREATE TYPE customer_writes AS (created new_customer[], changed timed_customer[], renamed named_customer[]);
CREATE TYPE contact_writes AS (bound found_identity[], switched found_identity[], learned found_text[]);
CREATE TYPE report_writes AS (
    new_orders report[], changed_orders changed_report[], new_refunds report[], changed_refunds changed_report[]);
CREATE TYPE trait_writes AS (
    gone_tags input_trait[], new_tags held_tag[], gone_values input_trait[], new_values new_value[]);
