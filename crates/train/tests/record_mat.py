"""Writes made-up metadata of IMDB-Wiki as MATLAB files, for data/matlab.rs and tests/readers.rs.

    python record_mat.py          (scipy 1.17; writes data/imdb.mat, not compressed, and data/wiki.mat, compressed)

Dates are MATLAB's: days since the year 0, which are 366 more than days since the year 1.
"""
import datetime
import pathlib

import numpy as np
from scipy.io import savemat

# Picture, date of birth, year of the photo, gender (1 male), score of the face, score of a second face.
ROWS = [
    ("17/10000217_1981-05-05_2009.png", (1981, 5, 5), 2009, 1, 4.3, np.nan),
    ("17/nm1_rm2_1899-5-10_1968.png", (1899, 5, 10), 1968, 0, 2.9, np.nan),
    ("17/3_2009-01-01_1990.png", (2009, 1, 1), 1990, np.nan, 1.0, np.nan),
    ("17/5_1970-07-01_2000.png", (1970, 7, 1), 2000, np.nan, 1.0, np.nan),
    ("17/6_1970-01-01_2001.png", (1970, 1, 1), 2001, 1, -np.inf, np.nan),
    ("17/7_1970-01-01_2002.png", (1970, 1, 1), 2002, 1, 2.0, 1.5),
]


def cells(values):
    array = np.empty((1, len(values)), dtype=object)
    array[0, :] = values
    return array


def main():
    fields = {
        "dob": np.array([[datetime.date(*row[1]).toordinal() + 366 for row in ROWS]], np.int32),
        "photo_taken": np.array([[row[2] for row in ROWS]], np.uint16),
        "full_path": cells([row[0] for row in ROWS]),
        "gender": np.array([[row[3] for row in ROWS]], np.float64),
        "name": cells(["Zoë", "Ann", "Bob", "Cy", "Di", "Ed"]),
        "face_score": np.array([[row[4] for row in ROWS]], np.float64),
        "second_face_score": np.array([[row[5] for row in ROWS]], np.float64),
    }
    folder = pathlib.Path(__file__).parent / "data"
    for name, compressed in [("imdb", False), ("wiki", True)]:
        savemat(folder / f"{name}.mat", {name: fields}, do_compression=compressed, oned_as="row")


if __name__ == "__main__":
    main()
