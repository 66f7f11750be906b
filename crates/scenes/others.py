"""Follows the boxes of the scenes with trackers from PyPI, and counts our figures again with py-motmetrics.

    affect-scenes --folder DIR ...        writes truth, boxes and our tracks
    others.py follow DIR                  writes NAME.other-TRACKER.txt for Norfair and ByteTrack (trackforge)
    affect-scenes --folder DIR ...        scores these, too
    others.py check DIR                   IDF1, switches and fragments by py-motmetrics, for every tracker
"""

import collections
import glob
import os
import re
import sys

import numpy as np

SURE, DOUBTFUL, SAME = 0.6, 0.3, 0.5


def read(path):
    """Rows of (identity, left, top, width, height, score), by frame."""
    frames = collections.defaultdict(list)
    with open(path) as file:
        for line in file:
            frame, *rest = (float(value) for value in line.split(","))
            frames[int(frame)].append(rest)
    return frames


def fps_of(path):
    return float(os.path.basename(path).split("-")[2])


def overlap(a, b):
    """Intersection over union of (left, top, width, height)."""
    w = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    h = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    common = max(w, 0) * max(h, 0)
    union = a[2] * a[3] + b[2] * b[3] - common
    return common / union if union > 0 else 0.0


def norfair(frames, last, fps):
    """Norfair, as its documentation follows boxes: by overlap, with a Kalman filter, waiting for a second. Given are the tracks
    that have a box in the frame; a track that has just begun is given at once."""
    from norfair import Detection, Tracker

    tracker = Tracker(
        distance_function="iou",
        distance_threshold=0.7,
        hit_counter_max=max(int(fps), 2),
        initialization_delay=0,
        past_detections_length=0,
    )
    for frame in range(1, last + 1):
        sure = [box for box in frames[frame] if box[5] >= SURE]
        detections = [
            Detection(points=np.array([[x, y], [x + w, y + h]]), data=frame) for _, x, y, w, h, _ in sure
        ]
        for track in tracker.update(detections=detections):
            if track.last_detection.data == frame and track.id is not None:
                (x, y), (right, bottom) = track.last_detection.points
                yield frame, track.id, x, y, right - x, bottom - y


def bytetrack(frames, last, fps):
    """ByteTrack of trackforge: sure boxes first, then doubtful ones."""
    import trackforge

    tracker = trackforge.BYTETRACK(track_thresh=SURE, track_buffer=max(int(fps), 2), match_thresh=0.8, det_thresh=SURE)
    for frame in range(1, last + 1):
        boxes = [([x, y, w, h], score, 0) for _, x, y, w, h, score in frames[frame]]
        for track_id, (x, y, w, h), *_ in tracker.update(boxes):
            yield frame, track_id, x, y, w, h


def follow(folder):
    for path in sorted(glob.glob(f"{folder}/*.boxes.txt")):
        frames = read(path)
        truth = read(path.replace(".boxes.", ".truth."))
        last = max([*frames, *truth], default=0)
        for name, tracker in (("norfair", norfair), ("bytetrack", bytetrack)):
            with open(path.replace(".boxes.txt", f".other-{name}.txt"), "w") as out:
                for frame, track, *box in tracker(frames, last, fps_of(path)):
                    out.write(f"{frame},{track}," + ",".join(f"{value:.2f}" for value in box) + ",1\n")


def check(folder):
    import motmetrics as mm

    rows = collections.defaultdict(list)
    for path in sorted(glob.glob(f"{folder}/*.truth.txt")):
        truth = read(path)
        start = path.removesuffix(".truth.txt")
        for other in sorted(glob.glob(f"{glob.escape(start)}.*.txt")):
            tracker = other[len(start) + 1 : -4]
            if tracker in ("truth", "boxes"):
                continue
            given = read(other)
            accumulator = mm.MOTAccumulator(auto_id=True)
            for frame in range(1, max([*truth, *given], default=0) + 1):
                faces, boxes = truth[frame], given[frame]
                distances = [
                    [1 - o if (o := overlap(face[1:5], box[1:5])) >= SAME else np.nan for box in boxes] for face in faces
                ]
                accumulator.update(
                    [int(face[0]) for face in faces],
                    [int(box[0]) for box in boxes],
                    np.array(distances).reshape(len(faces), len(boxes)),
                )
            scene = re.sub(r"-\d+$", "", os.path.basename(start))
            rows[scene, tracker].append(accumulator)
    host = mm.metrics.create()
    wanted = ["idtp", "num_objects", "num_predictions", "num_switches", "num_fragmentations"]
    print("| scenes | tracker | IDF1 | switches | fragments |\n|---|---|---|---|---|")
    for (scene, tracker), accumulators in sorted(rows.items()):
        sums = collections.Counter()
        for accumulator in accumulators:
            for name, value in host.compute(accumulator, metrics=wanted, return_dataframe=False).items():
                sums[name] += value
        idf1 = 2 * sums["idtp"] / (sums["num_objects"] + sums["num_predictions"])
        print(f"| {scene} | {tracker} | {idf1:.3f} | {sums['num_switches']} | {sums['num_fragmentations']} |")


if __name__ == "__main__":
    {"follow": follow, "check": check}[sys.argv[1]](sys.argv[2])
