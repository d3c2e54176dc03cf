"""From runs to tables: scores with intervals, tests between configs, and what a network's predictions depend on.

In: run folders. Out: tables and numbers; nothing is drawn or worded here. Read `results` first, then `statistics`.
"""
