"""All figures of the report by name: ten that it is about, six that compare, and what a leak is worth."""

from poseemo_lib.report.figures import (
    ablation_study,
    architecture_bars,
    architecture_comparison,
    architecture_detailed_comparison,
    best_model_analysis,
    data_distribution,
    deep_residual_detailed_analysis,
    deep_residual_variations,
    deep_residual_variations_detailed,
    error_analysis,
    feature_importance,
    improvement_timeline,
    leakage_comparison,
    neutral_fix_comparison,
    radar_comparison,
    summary_infographic,
    training_curves,
)

REPORT_FIGURES = {
    "01_data_distribution": data_distribution.draw,
    "02_architecture_comparison": architecture_comparison.draw,
    "03_best_model_analysis": best_model_analysis.draw,
    "04_ablation_study": ablation_study.draw,
    "05_radar_comparison": radar_comparison.draw,
    "06_training_curves": training_curves.draw,
    "07_feature_importance": feature_importance.draw,
    "08_error_analysis": error_analysis.draw,
    "09_summary_infographic": summary_infographic.draw,
    "10_improvement_timeline": improvement_timeline.draw,
}
COMPARISON_PLOTS = {
    "architecture_comparison": architecture_bars.draw,
    "architecture_detailed_comparison": architecture_detailed_comparison.draw,
    "deep_residual_detailed_analysis": deep_residual_detailed_analysis.draw,
    "deep_residual_variations": deep_residual_variations.draw,
    "deep_residual_variations_detailed": deep_residual_variations_detailed.draw,
    "neutral_fix_comparison": neutral_fix_comparison.draw,
}
MORE_FIGURES = {"leakage_comparison": leakage_comparison.draw}
# Folder below `figures/` -> name -> draw(material) -> Drawn.
CATALOGUE = {"report_figures": REPORT_FIGURES, "comparison_plots": COMPARISON_PLOTS, "more_figures": MORE_FIGURES}
