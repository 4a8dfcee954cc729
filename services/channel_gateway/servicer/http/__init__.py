"""The HTTP edge. One file a step, in the order of a request: `listener` and `connections` (how many, how long),
`router` (path, method, last catch), `head` (what is checked before the body), `bodies` (read within bounds),
`shop_events` (what it says), `answers`.
"""
