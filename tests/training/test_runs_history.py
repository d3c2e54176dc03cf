import made_studies
import pytest

from poseemo_lib.analysis.results import load_results
from poseemo_lib.errors import PoseemoError


@pytest.mark.parametrize("text", ["epoch\n1\n", "", "epoch,train_loss,val_loss,val_macro_f1\n1,0.5,0.5,0.1\n"])
def test_a_damaged_history_is_named(text, tmp_path):
    runs = made_studies.made_study(tmp_path, {"net": {}}, seeds=(0,))
    run = load_results(runs).runs[0]
    assert len(run.history()) == 4
    (runs / "net" / "seed-0" / "history.csv").write_text(text)
    with pytest.raises(PoseemoError, match="history.csv"):
        run.history()
