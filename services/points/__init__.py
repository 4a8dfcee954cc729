"""The points ledger: formula, postings, balances, history, checker."""
