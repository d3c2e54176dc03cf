"""Runs to a page: figures, findings in sentences, cards, and one HTML file.

In: run folders. Out: `report.html`, the figures, a model card and a dataset card. Read `report` first.
"""
