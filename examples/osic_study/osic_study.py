# ---
# jupyter:
#   jupytext:
#     formats: py:percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # The tags of a CT study, step by step
#
# A well-known notebook explores the DICOM tags of the OSIC training set: 176 patients with
# pulmonary fibrosis, one CT series each, some 33,000 slices. It reads every file in a loop, keeps
# a frame with a row an image and a column a tag, and asks what the tags say. This tutorial walks
# the same way with dicomhouse. Each step is a query, a call or a command that works on any other
# data, and we say where the study was mistaken.
#
# You need `pip install 'dicomhouse[notebook,pixels]'` and ten minutes. The patients are made up,
# so that you can run everything; set `DATA` to a folder of your own, a patient a folder, to go on
# with real ones.

# %%
import os
import sys
from base64 import b64encode
from pathlib import Path

import altair as alt
import numpy as np
import polars as pl
import pydicom
from IPython.display import HTML, Image

import dicomhouse as dh
from dicomhouse.pixels.pictures import VIEWS, write_animation, write_montage
from dicomhouse.testing import build_cohort

pl.Config(tbl_rows=60, fmt_str_lengths=90, tbl_hide_dataframe_shape=True)
# Finds the command below.
os.environ["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
DATA = Path("osic")

# %% [markdown]
# ## Files become tables
#
# Eight patients whose headers look like those of the set: four makers, no dates, most identifiers
# gone. One slice of the fourth patient is missing, which we will have to find.

# %%
if not DATA.exists():
    build_cohort(
        DATA, patients=8, slices=[30, 62, 24, 36, 28, 40, 32, 26], rows=128, columns=128,
        chest=True, defects={"missing_slice": 3},
    )  # fmt: skip
sum(path.is_file() for path in DATA.rglob("*"))

# %% [markdown]
# One command reads every element of every file into a *warehouse*: Parquet, a DuckDB file, and a
# report.

# %%
# !dicomhouse build osic={DATA} --warehouse warehouse --direct

# %% [markdown]
# The study read its files in minutes, saved the frame as CSV, and loaded that the next time,
# whether or not the files had changed. Run the build again, and it reads what changed: here
# nothing.

# %%
# !dicomhouse build --warehouse warehouse --direct

# %%
wh = dh.open("warehouse")
wh

# %% [markdown]
# ## One file
#
# The study opens a file and lists its elements. Here they are rows of `elements`, nested ones
# too.

# %%
first = wh.files.sort("path").select("source", "path", "file_id").first().collect()
(
    wh.elements.filter(pl.col("file_id") == first["file_id"].item())
    .sort("position")
    .select("tag", "keyword", "vr", "value")
    .collect()
)

# %% [markdown]
# A tag can be written in many ways: as a keyword, as the standard's name, as a pair of numbers,
# or as one long number. dicomhouse takes them all, and says what the tag is, which module it
# belongs to, and which values are there.

# %%
# !dicomhouse tag "Patient's Name" --iod ct-image

# %% [markdown]
# `0010,0010`, `(0010,0010)`, `00100010`, `0x00100010`, `1048592` and `PatientName` are the same
# tag. "Patient Name" is none, as the study found out by an exception; the message tells what is
# near.

# %%
# !dicomhouse tag "Patient Name"

# %% [markdown]
# ## What is absent
#
# An absent tag is no exception here. It has no row in `elements`; an empty one has a row without
# a value. The study wonders about required tags that its files lack. `conformance` compares the
# series with the standard.

# %%
wanted = ["ImageType", "KVP", "ReferencedSOPClassUID", "SeriesNumber"]
(
    wh.conformance.filter(pl.col("path").is_in(wanted))
    .group_by("path", "attribute_type", "module", "verdict")
    .agg(pl.sum("images", "present", "empty", "absent"))
    .sort("path")
    .collect()
)

# %% [markdown]
# `SeriesNumber` is of type 2: it must be there, though it may be empty, and every file lacks it.
# The study was right about that. `ImageType` (type 1) and `KVP` (type 2) are in order. But
# `ReferencedSOPClassUID` does not appear, although the study calls it required and missing: at
# the top level of a CT image there is no such attribute. It is of type 1 *inside items* that
# refer to other objects, and only where there are such items:

# %%
(
    wh.module_attributes.filter(
        pl.col("iod") == "ct-image", pl.col("keyword") == "ReferencedSOPClassUID"
    )
    .select("module", "usage", "path", "attribute_type")
    .sort("path")
    .head(5)
    .collect()
)

# %% [markdown]
# ## One folder, one series?
#
# The study checks that the first patient's files share a SeriesInstanceUID. Let us check every
# folder.

# %%
wh.sql("""
select
    patient_folder,
    count(*) as images,
    count(distinct StudyInstanceUID) as studies,
    count(distinct SeriesInstanceUID) as series
from images
group by patient_folder
order by patient_folder
""")

# %% [markdown]
# ## Tags of the patient, tags of the image
#
# The study calls a tag *patient-level* when it has one value in all images of a patient, and
# *image-level* otherwise. `patient_tags` has the first for each patient, `image_tags` the second
# for each series.

# %%
patient = wh.images.group_by("PatientID").len().sort("len").last().collect()["PatientID"].item()
key = wh.images.filter(PatientID=patient).select("patient_key").first().collect().item()
(
    wh.patient_tags.filter(pl.col("patient_key") == key, pl.col("state") == "constant")
    .select("path", "value")
    .sort("path")
    .collect()
)

# %%
series = wh.images.filter(PatientID=patient).select("series_key", "SeriesInstanceUID").first()
series_key, series_uid = series.collect().row(0)
(
    wh.image_tags.filter(series_key=series_key)
    .select("path", "distinct_values", "number_min", "number_max", "step")
    .sort("path")
    .collect()
)

# %% [markdown]
# Two levels are too few, though. The standard gives each attribute to an entity: patient, study,
# series, equipment, image. `tag_levels` compares that with the level at which the tag is in fact
# constant.

# %%
(
    wh.tag_levels.select("path", "level", "standard_level")
    .filter(pl.col("standard_level").is_not_null())
    .group_by("level", "standard_level")
    .agg(pl.len().alias("tags"), pl.col("path").sort().head(4).alias("such as"))
    .sort("level", "standard_level")
    .collect()
)

# %% [markdown]
# ## Two neighbours
#
# Which elements tell two neighbouring slices apart? The study compares their print-outs as text.
# Numbers are better compared as numbers: `1.0` equals `1`.

# %%
neighbours = wh.images.filter(
    pl.col("series_key") == series_key, pl.col("InstanceNumber").is_in([10, 11])
)
a, b = neighbours.sort("InstanceNumber").collect()["SOPInstanceUID"]
# !dicomhouse diff {a} {b} --ignore SOPInstanceUID --ignore MediaStorageSOPInstanceUID | cat

# %% [markdown]
# ## All images as one frame
#
# A row an image, a column a tag, typed by the standard: the study's frame, with its name of the
# image.

# %%
wh.images.select(
    "image_name",
    "PatientID",
    "InstanceNumber",
    "SliceLocation",
    "KVP",
    "PixelSpacing",
    "RescaleType",
).head().collect()

# %%
wh.images.collect().shape

# %% [markdown]
# `help(wh.images)` says what each column holds, and so does `wh.columns`.

# %%
wh.columns("images").filter(pl.col("name").str.starts_with("Rescale"))

# %% [markdown]
# ## What each tag holds
#
# For each tag the study counts the values and the empty ones, and gives an example or two. That
# is `tag_profile`.

# %%
(
    wh.tag_profile.filter(pl.col("keyword").is_not_null())
    .select("path", "distinct_values", "percent_missing", "examples", "verdict")
    .sort("path")
    .collect()
)

# %% [markdown]
# It draws bars where a tag has 2 to 49 values.

# %%
some = ["Manufacturer", "ConvolutionKernel", "SliceThickness", "BitsStored"]
alt.vconcat(*(wh.plot.tag(keyword) for keyword in some))

# %% [markdown]
# And it calls tags useless whose value is always the same, or that are always empty:
# `DeidentificationMethod`, `StudyID`, `PatientSex`. Useless for telling patients apart, yes. But
# a constant `RescaleIntercept` is what lets you compare their values at all.

# %%
wh.report("useless_tags").select("path", "verdict", "value", "percent_missing")

# %% [markdown]
# ## Modules
#
# The standard groups attributes by module, and says for each object which modules it must have
# (M), must have under a condition (C), or may have (U). The study lists eleven modules and finds
# all mandatory but one.

# %%
modules = [
    "patient", "general-study", "general-series", "general-image", "ct-image", "image-pixel",
    "image-plane", "voi-lut", "sop-common", "frame-of-reference", "general-equipment",
]  # fmt: skip
(
    wh.module_attributes.filter(pl.col("iod") == "ct-image", pl.col("module").is_in(modules))
    .group_by("module", "usage", "information_entity")
    .agg(pl.len().alias("attributes"), pl.col("link_standard").sort().first())
    .sort("information_entity", "module")
    .collect()
)

# %% [markdown]
# ## One patient
#
# The study's case is a patient with 62 images, module by module.

# %%
(
    wh.report("patient_modules", patient=patient)
    .select("module", "path", "state", "value", "distinct_values")
    .filter(pl.col("module").is_in(["general-series", "ct-image", "image-pixel"]))
)

# %% [markdown]
# How are pixels stored, and what do they mean after rescaling? `RescaleType` US says
# "unspecified", although the values are Hounsfield units, as the intercept of -1024 suggests.

# %%
wh.report("bits").drop("source", "Modality")

# %%
wh.report("rescale_types").drop("source", "Modality")

# %% [markdown]
# ## Bytes and pixels
#
# The study takes the first byte of PixelData and compares it with the first pixel. That is right
# by luck: a pixel has 16 bits, the low byte comes first, and a small value fits into it. Take two
# bytes.

# %%
slice_31 = wh.images.filter(
    pl.col("series_key") == series_key, pl.col("InstanceNumber") == 31
).collect()
dataset = pydicom.dcmread(wh.absolute_path(slice_31["source"].item(), slice_31["path"].item()))
pixels = dataset.pixel_array
assert pixels.shape == (dataset.Rows, dataset.Columns)
for name, row, column in (("corner", 0, 0), ("back", 91, 64)):
    at = (row * dataset.Columns + column) * 2
    one_byte = dataset.PixelData[at]
    two_bytes = int.from_bytes(dataset.PixelData[at : at + 2], "little")
    print(f"{name}: one byte {one_byte}, two bytes {two_bytes}, pixel {pixels[row, column]}")

# %% [markdown]
# There is another trap. Stored values are unsigned 16-bit numbers; subtract 1024 in that type,
# and air becomes 65,000. `wh.volume` computes in float32.

# %%
wrong = pixels - np.uint16(1024)
right = pixels * float(dataset.RescaleSlope) + float(dataset.RescaleIntercept)
print(f"in uint16: {wrong.min()} to {wrong.max()}; in float: {right.min()} to {right.max()}")

# %% [markdown]
# ## A volume in Hounsfield units
#
# The study sorts slices by InstanceNumber. A number is what somebody gave; a position is where
# the slice lies. dicomhouse orders by position, and refuses to stack what is no volume.

# %%
wh.report("volumes").select("folder", "images", "spacing_mm", "is_volume", "why_not")

# %% [markdown]
# There is the missing slice. `findings` names its neighbours:

# %%
wh.findings.filter(pl.col("severity") == "E").select("rule", "message", "offenders").collect()

# %%
volume = wh.volume(series_uid, mask_padding=True)
volume.array.shape, volume.spacing, volume.array.dtype

# %% [markdown]
# Air outside and in the lungs, fat, soft tissue, bone: each has its place in the histogram. Where
# the scanner saw nothing, the file has padding, which `mask_padding` left out.

# %%
counts, edges = np.histogram(volume.array, bins=range(-1100, 800, 20))
alt.Chart(pl.DataFrame({"HU": edges[:-1], "voxels": counts})).mark_area(interpolate="step").encode(
    alt.X("HU:Q"), alt.Y("voxels:Q").scale(type="symlog")
).properties(width=480)

# %%
write_montage(volume, Path("montage.png"), "lung", size=110)
Image("montage.png")

# %% [markdown]
# ## Three animations
#
# From top to bottom, from left to right, from front to back; in true proportions, since slices
# lie further apart than pixels. `dicomhouse volume SERIES --gif FOLDER` does the same.

# %%
shown = ""
for view in VIEWS:
    path = Path(f"{view}.gif")
    write_animation(volume, path, view, "lung", size=220, frames=40)
    content = b64encode(path.read_bytes()).decode()
    shown += f'<img alt="{view}" src="data:image/gif;base64,{content}"> '
HTML(shown)

# %% [markdown]
# ## The hierarchy
#
# Patient, study, series, image: how many of each lie below which?

# %%
wh.report("uid_counts").select("relation", "parents", "children", "fewest", "median", "most")

# %% [markdown]
# The study was unsure about FrameOfReferenceUID. It names a coordinate system: positions of two
# series may be compared where they share it. Here each series has its own, so no two may be laid
# over each other as they are.

# %%
wh.report("frame_of_reference").select("use", "frames_of_reference", "images")

# %%
odd = ["FrameOfReferenceUID", "PositionReferenceIndicator", "SpecificCharacterSet"]
(
    wh.tag_profile.filter(pl.col("path").is_in(odd))
    .select("path", "present", "empty", "absent", "distinct_values")
    .collect()
)

# %% [markdown]
# ## At a glance
#
# Four charts, each an Altair chart that you can go on with.

# %%
wh.plot.spacing()

# %%
wh.plot.slices_per_patient()

# %%
wh.plot.tag("PatientPosition")

# %% [markdown]
# Dates were removed from the set, so all scanners stand in one column.

# %%
wh.plot.scanners_by_month()

# %%
wh.close()

# %% [markdown]
# ## Further
#
# `dicomhouse report` says where the HTML report lies, with every tag, finding and patient to
# search. `dicomhouse check` counts what is wrong, and `dicomhouse docs` writes a page of all
# tables.
