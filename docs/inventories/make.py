"""Write the inventories that conf.py names: what our pages refer to in other projects' pages.

Sphinx would download whole inventories, and the documentation is to build without internet. Add an
entry here and run ``python docs/inventories/make.py``.
"""

import pathlib
import zlib

GENERATED = "modules/generated/$.html#$"
ENTRIES = {
    "sklearn": {
        "py:class": dict.fromkeys(
            [
                "sklearn.calibration.CalibratedClassifierCV",
                "sklearn.compose.ColumnTransformer",
                "sklearn.compose.TransformedTargetRegressor",
                "sklearn.decomposition.PCA",
                "sklearn.inspection.PartialDependenceDisplay",
                "sklearn.linear_model.Perceptron",
                "sklearn.model_selection.GridSearchCV",
                "sklearn.model_selection.RandomizedSearchCV",
                "sklearn.model_selection.TunedThresholdClassifierCV",
                "sklearn.multioutput.MultiOutputRegressor",
                "sklearn.neural_network.MLPClassifier",
                "sklearn.neural_network.MLPRegressor",
                "sklearn.pipeline.Pipeline",
                "sklearn.preprocessing.StandardScaler",
                "sklearn.utils.metadata_routing.MetadataRequest",
            ],
            GENERATED,
        ),
        "py:function": dict.fromkeys(
            [
                "sklearn.inspection.permutation_importance",
                "sklearn.metrics.r2_score",
                "sklearn.model_selection.cross_val_score",
                "sklearn.model_selection.train_test_split",
                "sklearn.pipeline.make_pipeline",
                "sklearn.set_config",
            ],
            GENERATED,
        ),
        "std:label": {
            "accuracy_score": "modules/model_evaluation.html#accuracy-score",
            "df_output_transform": "modules/df_output_transform.html#df-output-transform",
            "metadata_routing": "metadata_routing.html#metadata-routing",
            "r2_score": "modules/model_evaluation.html#r2-score",
            "sphx_glr_auto_examples_miscellaneous_plot_set_output.py": (
                "auto_examples/miscellaneous/plot_set_output.html"
                "#sphx-glr-auto-examples-miscellaneous-plot-set-output-py"
            ),
        },
        "std:term": {"meta-estimator": "glossary.html#term-$"},
    },
    "numpy": {
        "py:class": {
            "numpy.random.RandomState": "reference/random/legacy.html#$",
        },
    },
}


def main():
    """Write each inventory in Sphinx's format 2."""
    for project, kinds in ENTRIES.items():
        head = f"# Sphinx inventory version 2\n# Project: {project}\n# Version: \n"
        head += "# The remainder of this file is compressed using zlib.\n"
        lines = [
            f"{name} {kind} 1 {address.replace('$', name)} -\n"
            for kind, entries in kinds.items()
            for name, address in entries.items()
        ]
        path = pathlib.Path(__file__).with_name(f"{project}.inv")
        path.write_bytes(head.encode() + zlib.compress("".join(lines).encode(), 9))


if __name__ == "__main__":
    main()
