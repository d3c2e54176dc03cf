"""The figures of the report: from the runs to a picture, its text and its numbers.

In: the report's data. Out: :class:`poseemo_lib.report.figures.drawn.Drawn`, a figure, a text for those who cannot see
it, and the drawn tables. Without the runs that it needs a figure is a sentence that names the study that makes them.
Start with :data:`CATALOGUE`, which names the function of every figure; charts that notebooks call too are in
:mod:`poseemo_lib.plots`, and the notes under the figures in `report/templates/figure_notes.md.j2`.
"""

from poseemo_lib.report.figures import (
    architecture_comparison,
    best_model,
    data_distribution,
    detail_table,
    error_analysis,
    factors,
    feature_importance,
    radar,
    summary,
    timeline,
    training_curves,
    variations,
)

# Folder below `figures/` -> name of the figure -> function of the report's data that returns a `Drawn`.
CATALOGUE = {
    "report_figures": {
        "01_data_distribution": data_distribution.draw,
        "02_architecture_comparison": architecture_comparison.draw,
        "03_best_model_analysis": best_model.draw,
        "04_ablation_study": factors.draw_ablation,
        "05_radar_comparison": radar.draw,
        "06_training_curves": training_curves.draw,
        "07_feature_importance": feature_importance.draw,
        "08_error_analysis": error_analysis.draw,
        "09_summary_infographic": summary.draw,
        "10_improvement_timeline": timeline.draw,
    },
    "comparison_plots": {
        "architecture_comparison": architecture_comparison.draw_differences,
        "architecture_detailed_comparison": detail_table.draw,
        "deep_residual_detailed_analysis": variations.draw_default,
        "deep_residual_variations": variations.draw_bars,
        "deep_residual_variations_detailed": variations.draw_details,
        "neutral_fix_comparison": factors.draw_corrections,
    },
    "more_figures": {"leakage_comparison": factors.draw_leak},
}
