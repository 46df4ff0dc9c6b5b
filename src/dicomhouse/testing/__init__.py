"""Made-up DICOM files for tests and benchmarks: whole cohorts, and single images.

No real patient, no real institution. `build_cohort` writes thousands of files a second with
defects on request; `dataset_bytes` and `write_image` make one image that is valid by default,
`write_enhanced` one multi-frame object.
"""

from .cohort import BuiltSeries, Cohort, PlantedDefect, build_cohort
from .defects import Defect
from .enhanced import write_enhanced
from .image import dataset_bytes, write_image

__all__ = [
    "BuiltSeries",
    "Cohort",
    "Defect",
    "PlantedDefect",
    "build_cohort",
    "dataset_bytes",
    "write_enhanced",
    "write_image",
]
