"""scikit-learn's LinearSVC and Random Forest (1000 trees) on the descriptors that `affect-train group` learnt from.

    affect-train group --model MODEL --train SET --test SET --descriptors DIR     (prints our accuracy and seconds)
    python classifiers.py DIR                                                   (pip install scikit-learn numpy)

Prints the same table, of the first test set.
"""
import csv
import sys
import time

import numpy as np
import sklearn
from sklearn.ensemble import RandomForestClassifier
from sklearn.svm import LinearSVC


def read(path):
    rows = list(csv.reader(open(path)))
    labels = [row[0] for row in rows]
    return np.array([row[1:] for row in rows], dtype=np.float64), np.array(labels)


folder = sys.argv[1]
(train, classes), (test, wanted) = read(f"{folder}/train.csv"), read(f"{folder}/test.csv")
print(f"scikit-learn {sklearn.__version__}: {len(train)} training clips, {len(test)} for testing, {train.shape[1]} numbers each.\n")
print("| classifier | seconds | right |\n|---|---|---|")
for name, classifier in [
    ("LinearSVC", LinearSVC(C=1.0, random_state=1)),
    ("Random Forest, 1000 trees", RandomForestClassifier(1000, random_state=1, n_jobs=-1)),
]:
    started = time.perf_counter()
    classifier.fit(train, classes)
    seconds = time.perf_counter() - started
    print(f"| {name} | {seconds:.2f} | {100 * np.mean(classifier.predict(test) == wanted):.2f} % |")
