"""The `poseemo` command: each module reads arguments, calls the library and prints.

In: the command line. Out: text on the terminal and an exit code. Read `__main__` first.
"""
