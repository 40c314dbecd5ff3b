"""The data sets that are always there: scikit-learn's bundled copies, and xor. Knows no upload and no tenant.

scikit-learn is never imported, which alone takes longer than all of this: the files that it carries are found beside
its package and read as they are. Ids come from the names, so that every start finds what the first one wrote.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import tempfile
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import parquet

from service import strict_json
from service.artifacts import Artifacts
from service.dataset_records import DatasetRecords
from service.datasets import Dataset
from service.errors import DatasetNotFound
from service.ingest_columns import describe
from service.uploads import described

Columns = dict[str, Any]
Made = tuple[Columns, str]  # the columns and the target's name

_NOBODY = ""  # no tenant has this name: it sees what is everybody's alone
_WINE = [
    "alcohol",
    "malic_acid",
    "ash",
    "alcalinity_of_ash",
    "magnesium",
    "total_phenols",
    "flavanoids",
    "nonflavanoid_phenols",
    "proanthocyanins",
    "color_intensity",
    "hue",
    "od280/od315_of_diluted_wines",
    "proline",
]
_CELL = [
    "radius",
    "texture",
    "perimeter",
    "area",
    "smoothness",
    "compactness",
    "concavity",
    "concave_points",
    "symmetry",
    "fractal_dimension",
]
_DIABETES = ["age", "sex", "bmi", "bp", "s1", "s2", "s3", "s4", "s5", "s6"]


def install_builtins(records: DatasetRecords, artifacts: Artifacts) -> list[Dataset]:
    """Write and record the built-in data sets that are not there yet; any number of processes may do so at once.

    Raises: StoreUnavailable.
    """
    return [_installed(name, records, artifacts) or _install(name, records, artifacts) for name in BUILTIN]


def builtin_id(name: str) -> str:
    """The id of a built-in data set, the same in every deployment."""
    digest = hashlib.sha256(f"deltaq built-in data set {name}".encode()).digest()
    return "ds-" + base64.b32encode(digest).decode().lower()[:20]


def make_builtin(name: str) -> tuple[Dataset, pa.Table]:
    """A built-in data set and its columns, made anew."""
    columns, target = BUILTIN[name]()
    found, table = describe(pa.table(columns), target, {})
    return described(found.to_document(), builtin_id(name), None, name, _sha256(table), {}), table


def _installed(name: str, records: DatasetRecords, artifacts: Artifacts) -> Dataset | None:
    try:
        found = Dataset.from_document(records.get(_NOBODY, builtin_id(name)))
    except DatasetNotFound:
        return None
    return found if artifacts.exists(found.path) else None


def _install(name: str, records: DatasetRecords, artifacts: Artifacts) -> Dataset:
    dataset, table = make_builtin(name)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "columns.parquet")
        parquet.write_table(table, file, compression="zstd")
        artifacts.write(dataset.path, file)
    document, _ = records.create(dataset.to_document(), dataset.identity)
    return Dataset.from_document(document)


def _sha256(table: pa.Table) -> str:
    """Of the values, not of a file: what a library writes changes with its version, the data do not."""
    digest = hashlib.sha256()
    for name in table.column_names:
        values = table.column(name).to_pylist()
        digest.update(strict_json.encode([name, values]).encode())
    return digest.hexdigest()


def _digits() -> Made:
    rows = _numbers("digits.csv.gz")
    names = [f"pixel_{row}_{column}" for row in range(8) for column in range(8)]
    return {**_named(names, rows.astype(np.int64)), "digit": rows[:, -1].astype(np.int64)}, "digit"


def _iris() -> Made:
    rows = _numbers("iris.csv", skip=1)
    names = ["sepal_length", "sepal_width", "petal_length", "petal_width"]
    return {**_named(names, rows), "species": _labels(rows, ["setosa", "versicolor", "virginica"])}, "species"


def _wine() -> Made:
    rows = _numbers("wine_data.csv", skip=1)
    return {**_named(_WINE, rows), "cultivar": _labels(rows, ["class_0", "class_1", "class_2"])}, "cultivar"


def _breast_cancer() -> Made:
    rows = _numbers("breast_cancer.csv", skip=1)
    names = [f"{figure}_{of}" for figure in ("mean", "error", "worst") for of in _CELL]
    return {**_named(names, rows), "diagnosis": _labels(rows, ["malignant", "benign"])}, "diagnosis"


def _diabetes() -> Made:
    rows = _numbers("diabetes_data_raw.csv.gz", delimiter=None)
    progression = _numbers("diabetes_target.csv.gz").astype(np.int64)
    return {**_named(_DIABETES, rows), "progression": progression[:, 0]}, "progression"


def _xor() -> Made:
    return {"x1": np.array([0, 0, 1, 1]), "x2": np.array([0, 1, 0, 1]), "y": np.array([0, 1, 1, 0])}, "y"


BUILTIN: Mapping[str, Callable[[], Made]] = {
    "digits": _digits,
    "iris": _iris,
    "wine": _wine,
    "breast_cancer": _breast_cancer,
    "diabetes": _diabetes,
    "xor": _xor,
}


def _numbers(file: str, *, skip: int = 0, delimiter: str | None = ",") -> NDArray[np.float64]:
    """The numbers of a file that scikit-learn carries. Shapes: (rows, columns)."""
    package = find_spec("sklearn")
    if package is None or not package.submodule_search_locations:
        raise RuntimeError("scikit-learn, whose data files are the built-in data sets, is not installed")
    content = Path(package.submodule_search_locations[0], "datasets", "data", file).read_bytes()
    text = gzip.decompress(content) if file.endswith(".gz") else content
    return np.loadtxt(io.BytesIO(text), delimiter=delimiter, skiprows=skip, ndmin=2)


def _named(names: Sequence[str], rows: NDArray[Any]) -> Columns:
    return {name: np.ascontiguousarray(rows[:, place]) for place, name in enumerate(names)}


def _labels(rows: NDArray[np.float64], labels: Sequence[str]) -> list[str]:
    return [labels[int(number)] for number in rows[:, -1]]
