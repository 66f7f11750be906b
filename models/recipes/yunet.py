"""Converts the YuNet detector from ONNX to full-int8 TensorFlow Lite at a fixed input size.

    python yunet.py ONNX SIZE OUT.tflite        (called by yunet.sh, which brings the environment)

YuNet comes with a 640 px input; the network itself is the same at any size.
Calibrated by minimum and maximum on the pictures in tests/data/images at several scales.
"""
import os
import pathlib
import shutil
import sys
import tempfile

import numpy as np
import onnx
import onnx2tf
from PIL import Image

VALUES = {"cls": 1, "obj": 1, "bbox": 4, "kps": 10}
IMAGES = pathlib.Path(__file__).parents[2] / "tests/data/images"


def resized(onnx_path: str, size: int, out: pathlib.Path) -> None:
    """The network with an input of size × size; the names of its outputs say their strides."""
    model = onnx.load(onnx_path)
    dims = model.graph.input[0].type.tensor_type.shape.dim
    dims[2].dim_value = dims[3].dim_value = size
    del model.graph.value_info[:]
    for output in model.graph.output:
        head, stride = output.name.split("_")
        cells = (size // int(stride)) ** 2
        for dim, extent in zip(output.type.tensor_type.shape.dim, (1, cells, VALUES[head])):
            dim.dim_value = extent
    onnx.save(onnx.shape_inference.infer_shapes(model), out)


def calibration(size: int) -> np.ndarray:
    """Pictures as the daemon letterboxes them: BGR, 0..255, black at the right and below."""
    batch = []
    for path in sorted(IMAGES.glob("*.jpg")):
        picture = Image.open(path).convert("RGB")
        for zoom in (1.0, 0.6, 0.35):
            w, h = (int(side * zoom) for side in picture.size)
            for left, top in ((0, 0), ((picture.width - w) // 2, (picture.height - h) // 3)):
                crop = picture.crop((left, top, left + w, top + h))
                scale = min(size / w, size / h)
                crop = crop.resize((max(1, round(w * scale)), max(1, round(h * scale))), Image.BILINEAR)
                canvas = np.zeros((size, size, 3), np.float32)
                canvas[: crop.height, : crop.width] = np.asarray(crop, np.float32)[:, :, ::-1]
                batch.append(canvas)
    return np.stack(batch)


def main() -> None:
    onnx_path, size, out = sys.argv[1], int(sys.argv[2]), pathlib.Path(sys.argv[3]).resolve()
    with tempfile.TemporaryDirectory() as temporary:
        work = pathlib.Path(temporary)
        resized(onnx_path, size, work / "yunet.onnx")
        data = calibration(size)
        np.save(work / "calibration.npy", data)
        os.chdir(work)
        # onnx2tf looks for this file and would fetch it from the network otherwise; it is not used.
        np.save("calibration_image_sample_data_20x128x128x3_float32.npy", np.zeros((20, 128, 128, 3), np.float32))
        zero, one = np.zeros((1, 1, 1, 3), np.float32), np.ones((1, 1, 1, 3), np.float32)
        onnx2tf.convert(
            input_onnx_file_path="yunet.onnx", output_folder_path="out", non_verbose=True,
            output_integer_quantized_tflite=True, quant_type="per-channel",
            custom_input_op_name_np_data_path=[["input", "calibration.npy", zero, one]],
            input_quant_dtype="int8", output_quant_dtype="int8")
        for path in sorted(pathlib.Path("out").iterdir()):
            print(path.name, path.stat().st_size)
        shutil.copy("out/yunet_full_integer_quant.tflite", out)
        shutil.copy("out/yunet_float32.tflite", out.with_name(out.stem + "_float32.tflite"))


if __name__ == "__main__":
    main()
