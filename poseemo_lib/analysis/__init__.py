"""From runs to tables: scores with intervals, tests between configs, and what a network looks at.

In: run folders. Out: tables and numbers; nothing is drawn or worded here. Read `results` first.
"""
