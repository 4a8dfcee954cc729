"""The contract's messages ⇄ values of the domain; pure."""
