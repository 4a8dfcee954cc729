-- Other services know of which channel an account is.
UPDATE platform.channel_account AS known SET channel = a.channel
  FROM account AS a
 WHERE a.team_id = known.team_id AND a.account_id = known.account_id AND known.channel IS NULL;
