"""dicomhouse: folders of DICOM files in, a tested warehouse of their tags out."""

__version__ = "0.1.0"

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dicomhouse.reader import Warehouse


def open(
    folder: str | Path = "warehouse", generation: int | None = None, allow_files: bool = False
) -> "Warehouse":
    """Open a warehouse's current generation (or the one asked for) for reading.

    Its queries read nothing but the generation, or with `allow_files` any file of this machine.
    What `dicomhouse publish` copied to object storage is opened by its address (`s3://...`), for
    Polars alone.

    Raises:
        WarehouseNotFound: nothing was published there.
    """
    from dicomhouse.reader import Warehouse

    if "://" in str(folder):
        from dicomhouse.remote_reader import RemoteWarehouse

        return RemoteWarehouse(str(folder), generation)

    return Warehouse(folder, generation, allow_files)
