"""Audiences, shared by segment, which stores customers, and journey, which branches by them.

`expressions` are the values, `evaluation` the one evaluator, `faults` what is wrong with an expression, `reading` takes
them from the contract.
"""
