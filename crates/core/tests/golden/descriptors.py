"""Records the golden vectors of crates/core/src/descriptor.rs with NumPy: python3 descriptors.py > descriptors.json

Frames of faces of features; the largest face of a frame stands first. One frame has no face.
"""
import json

import numpy as np

rng = np.random.default_rng(20260101)
D = 5
frames = [rng.normal(0.3, 0.4, size=(n, D)) for n in (3, 1, 4, 0, 2, 6)]
seen = [f for f in frames if len(f)]

per_frame = np.stack([np.concatenate([f.mean(axis=0), f.std(axis=0)]) for f in seen])
group = np.concatenate([per_frame.mean(axis=0), per_frame.std(axis=0)])
largest = np.stack([f[0] for f in seen])
single = np.concatenate([largest.mean(axis=0), largest.max(axis=0), largest.min(axis=0), largest.std(axis=0)])

print(json.dumps({
    "recorded_with": f"NumPy {np.__version__}",
    "frames": [f.tolist() for f in frames],
    "group": (group / np.linalg.norm(group)).tolist(),
    "single": (single / np.linalg.norm(single)).tolist(),
}))
