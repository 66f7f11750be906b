"""Records what scikit-learn's classifiers answer on made-up descriptors: data/classifiers.json.

    pip install scikit-learn numpy; python record_classifiers.py
"""

import json
import pathlib

import numpy
import sklearn
from sklearn.datasets import make_classification
from sklearn.ensemble import RandomForestClassifier
from sklearn.svm import LinearSVC

rows, labels = make_classification(
    n_samples=360, n_features=12, n_informative=6, n_classes=3, class_sep=0.9, flip_y=0.05, random_state=7
)
rows = numpy.round(rows, 3)
train, test = rows[:240], rows[240:]
plane = LinearSVC(C=1.0, tol=1e-6, max_iter=100000).fit(train, labels[:240])
forest = RandomForestClassifier(1000, random_state=7).fit(train, labels[:240])
out = {
    "recorded_with": f"scikit-learn {sklearn.__version__}",
    "train": train.tolist(),
    "train_labels": labels[:240].tolist(),
    "test": test.tolist(),
    "test_labels": labels[240:].tolist(),
    "plane": numpy.round(plane.decision_function(test), 5).tolist(),
    "plane_accuracy": float(plane.score(test, labels[240:])),
    "forest": numpy.round(forest.predict_proba(test), 3).tolist(),
    "forest_accuracy": float(forest.score(test, labels[240:])),
}
pathlib.Path(__file__).with_name("data").joinpath("classifiers.json").write_text(json.dumps(out) + "\n")
print(out["recorded_with"], out["plane_accuracy"], out["forest_accuracy"])
