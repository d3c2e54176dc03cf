"""Runs to a page: figures, findings in sentences, cards, and one HTML file.

In: run folders. Out: `report.html`, the figures, a model card and a dataset card. Read `report` first, which executes
`07_report.ipynb`: its cells draw `figures/` and print `findings`, whose sentences stand in `templates/`. The sentence
under the report's title is the first of `templates/opening.md.j2`.
"""
