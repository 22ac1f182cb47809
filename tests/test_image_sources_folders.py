"""Folders whose names say what they hold, load-data tables, and real microscope files."""

from pathlib import Path

import numpy as np
import pytest
import yaml

from screenbook.errors import InputError
from screenbook.metadata import well_name
from screenbook.sources.images import folder, load_data, open_images, prepare_images
from screenbook.sources.images.patterns import compile_pattern, match_names
from small_image_sets import CHANNELS, metadata, pixels, save, write_csv, write_tree

ROOT = Path(__file__).parents[1]
REAL = ROOT.parent / "shared" / "data" / "nf1_jump_images"
real_files = pytest.mark.skipif(not REAL.is_dir(), reason=f"needs the real images in {REAL}")
SECTION = {
    "source": "folder",
    "folder": "fields",
    "pattern": "{experiment}/{plate}/{well}_s{site}_{channel}.png",
    "metadata": "wells.csv",
    "key": ["experiment", "well"],
    "columns": {"treatment": "drug"},
    "constants": {"cell_type": "U2OS"},
    "controls": "DMSO",
}
LISTED = {
    "source": "load_data",
    "folder": "tree",
    "load_data": "load_data.csv",
    "strip": "/home/ubuntu/bucket/",
    "columns": {"treatment": "Metadata_Drug"},
    "constants": {"cell_type": "A549", "experiment": "B1"},
    "controls": ["DMSO"],
}


def write_params(home, section):
    (home / "params" / "mine.yml").write_text(yaml.safe_dump({"images": section}))


def refusal(home, section):
    write_params(home, section)
    with pytest.raises(InputError) as caught:
        prepare_images("mine")
    assert "\n" not in str(caught.value)
    return str(caught.value)


def made(home, section):
    write_params(home, section)
    return open_images("mine")


# --- patterns ---


@pytest.mark.parametrize(
    ("pattern", "name", "found"),
    [
        ("{plate}/{well}_s{site}_w{channel}.tif", "P1/A01_s2_w3.tif", ("P1", "A01", "2", "3")),
        ("*/{plate}_{well:[A-P][0-9]{2}}*.tif", "x/P_1_B03f.tif", ("P_1", "B03")),
        ("{plate}/{plate}_{well}.png", "P1/P1_B02.png", ("P1", "B02")),
        ("{plate}/{plate}_{well}.png", "P1/P2_B02.png", None),
        ("{well}.png", "a/B02.png", None),
        ("{well}(1).p+g", "B02(1).p+g", ("B02",)),
        ("{well}(1).p+g", "B02(1).ppg", None),
    ],
)
def test_patterns_read_names(pattern, name, found):
    match = compile_pattern(pattern, "x").fullmatch(name)
    assert (match and match.groups()) == found


def test_row_and_column_make_a_well():
    names = ["r01c02f03p01-ch5sk1fk1fl1.tiff", "r16c24f1p01-ch5sk1fk1fl1.tiff", "Index.xml"]
    found, others = match_names(names, "r{row}c{column}f{site}p01-ch{channel}sk*.tiff", "x")
    assert list(found["well"]) == ["A02", "P24"]
    assert others == ["Index.xml"]
    found, _ = match_names(["B_7.png"], "{row}_{column}.png", "x")
    assert list(found["well"]) == ["B7"]
    assert [well_name(0, 0), well_name(25, 9), well_name(26, 9)] == ["A01", "Z10", "AA10"]


@pytest.mark.parametrize(
    ("pattern", "says"),
    [
        ("{plate/{well}}.png", "{plate/{well}} in pattern '{plate/{well}}.png' is no name"),
        ("{plate.png", "a bracket of pattern '{plate.png' is not closed"),
        ("{my well}.png", "{my well} in pattern"),
        ("{well:[}.png", "cannot be read"),
        ("{file}.png", "{file} is taken"),
        ("{row}-{column}.png", "reads row 'x' and column '99' from 'x-99.png', which"),
    ],
)
def test_patterns_that_cannot_be_are_refused(pattern, says):
    with pytest.raises(InputError) as caught:
        match_names(
            ["x-99.png" if "row" in pattern else "a.png"], pattern, "params/mine.yml images"
        )
    assert "\n" not in str(caught.value)
    assert says in str(caught.value)


# --- a folder ---


@pytest.fixture
def fields(home):
    """A folder of twelve fields and a table of their wells, with A1 for A01."""
    write_tree(home / "fields", pixels(12), metadata())
    wells = metadata().drop_duplicates(["experiment", "well"]).to_dict("records")
    write_csv(
        home / "wells.csv",
        [
            {
                "experiment": w["experiment"],
                "well": w["well"].replace("B0", "b"),
                "drug": w["treatment"],
            }
            for w in wells
        ],
    )
    return home


def test_names_and_metadata_become_fields(fields):
    images = made(fields, SECTION)
    expected = metadata()
    np.testing.assert_array_equal(images.load(), pixels(12)[:, [0, 1, 2]])
    assert images.channels == CHANNELS
    for column in expected:
        assert list(images.obs[column]) == list(expected[column]), column


def test_channels_are_named_chosen_and_ordered(fields):
    section = SECTION | {"channels": {"F-actin": "actin", "nuclei": "DNA"}}
    images = made(fields, section)
    assert images.channels == ("F-actin", "nuclei")
    np.testing.assert_array_equal(images.load(), pixels(12)[:, [2, 0]])
    assert images.notes == ("channels 'ER' of the files have no name and are passed over",)
    message = refusal(fields, SECTION | {"channels": ["DNA", "Actin"]})
    assert "channel 'Actin' is 'Actin' in no file name (did you mean 'actin'?)" in message
    assert "two channels have one code" in (
        refusal(fields, SECTION | {"channels": {"a": "DNA", "b": "DNA"}})
    )


def test_pages_of_a_file_may_be_channels(home):
    from PIL import Image

    for well, planes in zip(("B02", "B03"), pixels(2), strict=True):
        first, *rest = (Image.fromarray(plane) for plane in planes)
        (home / "fields").mkdir(exist_ok=True)
        first.save(home / "fields" / f"{well}.tif", save_all=True, append_images=rest)
    section = {
        **{"source": "folder", "folder": "fields", "pattern": "{well}.tif", "controls": "DMSO"},
        "constants": {"cell_type": "U2OS", "experiment": "1", "plate": "1", "treatment": "DMSO"},
    }
    assert "has no {channel}; list the channels" in refusal(home, section)
    images = made(home, section | {"channels": list(CHANNELS)})
    np.testing.assert_array_equal(images.load(), pixels(2))
    assert "has 3 pages and should have 2" in refusal(home, section | {"channels": ["a", "b"]})


def test_wells_without_treatment_are_untreated(fields):
    text = (fields / "wells.csv").read_text().replace("DMSO", "")
    (fields / "wells.csv").write_text(text)
    images = made(fields, SECTION | {"controls": ["untreated"], "positives": ["drug 2"]})
    assert set(images.obs["treatment"]) == {"untreated", "drug 1", "drug 2"}
    assert set(images.obs["role"]) == {"control", "treated", "positive"}


def test_images_and_metadata_without_counterpart(fields):
    lines = (fields / "wells.csv").read_text().splitlines()
    (fields / "wells.csv").write_text("\n".join([*lines[:-1], "E9,b2,drug 7"]) + "\n")
    (fields / "fields" / "E1" / "1" / "B03_s1_ER.png").unlink()
    message = refusal(fields, SECTION)
    assert "2 fields with images have no row in wells.csv (first: E2/B04)" in message
    assert "1 rows of wells.csv have no image in fields (first: E9/B02)" in message
    assert "1 of 10 fields of fields have no image of channel 'ER' (first: E1/1/B03/1)" in message
    images = made(fields, SECTION | {"join": "inner"})
    assert len(images) == 9
    assert "they are left out" in images.notes[0]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"folder": "feilds"}, "feilds: there is no such folder (did you mean 'fields'?)"),
        ({"pattern": "{well}.tif"}, "nothing fits pattern '{well}.tif'; its images are called"),
        ({"pattern": None}, "'pattern' is missing"),
        ({"pattern": "*.png"}, "pattern '*.png' names nothing; write for example"),
        ({"controls": None}, "'controls' is missing; name the treatments that are negative"),
        ({"controls": ["DMSo"]}, "controls names 'DMSo', which is no treatment in fields (did you"),
        ({"positives": "DMSO"}, "'DMSO' is both negative and positive control"),
        ({"constants": {}}, "fields: nothing says the cell_type"),
        ({"columns": {"treatment": "drgu"}}, "no column 'drgu' (did you mean 'drug'?)"),
        ({"constants": {"cell_type": "x", "treatment": "y"}}, "'treatment' is a column and a"),
        ({"key": ["well"]}, "wells.csv: row 4 repeats well 'B02'"),
        ({"key": ["wel", "plate"]}, "key: 'wel' is not known of the images of fields"),
        ({"key": {"well": "position"}}, "wells.csv: there is no column 'position'"),
        ({"pattern": "{experiment}/{plate}/{well}_{x}_{channel}.png"}, "field 'E1/1/B02/1' is in"),
        ({"pattern": "{experiment}/{plate}/{well}_*_{channel}.png"}, "is of the same field and"),
        ({"join": "outer"}, "join is 'outer'; take one of 'exact', 'inner'"),
    ],
)
def test_sections_that_do_not_fit_are_refused(fields, changes, says):
    message = refusal(fields, SECTION | changes)
    assert says in message


def test_other_images_in_the_folder_are_noted(fields):
    save(fields / "fields" / "thumb.png", pixels(1)[0, 0])
    images = made(fields, SECTION)
    assert images.notes == (
        "1 images do not fit the pattern and are passed over (first: fields/thumb.png)",
    )


# --- load-data tables ---


def listed(**changes):
    """Rows of a load-data table: two wells of two sites, two channels and an illumination."""
    return [
        {
            **{"Metadata_Plate": "P1", "Metadata_Well": well, "Metadata_Site": site},
            "Metadata_Drug": drug,
            "FileName_OrigDNA": f"{well}_{site}_1.tiff",
            "PathName_OrigDNA": "/home/ubuntu/bucket/P1/Images",
            "FileName_OrigER": f"{well}_{site}_2.tiff",
            "PathName_OrigER": "/home/ubuntu/bucket/P1/Images/",
            "FileName_IllumDNA": "P1_IllumDNA.npy",
            "PathName_IllumDNA": "/home/ubuntu/bucket/P1/illum",
            **changes,
        }
        for well, drug in (("A01", "DMSO"), ("A02", "x"))
        for site in (1, 2)
    ]


@pytest.fixture
def tree(home):
    """Images and their load-data table."""
    for row, planes in zip(listed(), pixels(4, dtype=np.uint16), strict=True):
        for channel, plane in zip(("DNA", "ER"), planes, strict=False):
            save(home / "tree" / "P1" / "Images" / row[f"FileName_Orig{channel}"], plane)
    write_csv(home / "load_data.csv", listed())
    return home


def test_a_load_data_table_lists_the_fields(tree):
    images = made(tree, LISTED)
    np.testing.assert_array_equal(images.load(), pixels(4, dtype=np.uint16)[:, :2])
    assert images.channels == ("DNA", "ER")
    assert list(images.obs.index) == ["B1/P1/A01/1", "B1/P1/A01/2", "B1/P1/A02/1", "B1/P1/A02/2"]
    assert list(images.obs["role"]) == ["control", "control", "treated", "treated"]


def test_paths_of_tables_may_say_the_experiment(tree):
    for experiment, rows in (("b1", listed()[:2]), ("b2", listed()[2:])):
        write_csv(tree / "lists" / experiment / "P1" / "load_data.csv", rows)
    section = LISTED | {
        "load_data": "lists/{experiment}/*/load_data.csv",
        "constants": {"cell_type": "A549"},
        "channels": {"nuclei": "OrigDNA"},
    }
    images = made(tree, section)
    assert list(images.obs["experiment"]) == ["b1", "b1", "b2", "b2"]
    assert images.channels == ("nuclei",)
    assert "no table fits load_data" in refusal(tree, section | {"load_data": "lists/*.csv"})


def test_urls_stand_in_for_paths(tree):
    rows = [
        {
            **{k: v for k, v in row.items() if not k.startswith("PathName")},
            **{
                f"URL_Orig{c}": f"s3://gallery/cpg/P1/Images/{row[f'FileName_Orig{c}']}"
                for c in ("DNA", "ER")
            },
        }
        for row in listed()
    ]
    write_csv(tree / "load_data.csv", rows)
    assert len(made(tree, LISTED | {"strip": "s3://gallery/cpg"})) == 4


@pytest.mark.parametrize(
    ("row", "changes"),
    [
        (3, {"PathName_OrigER": "/etc"}),
        (2, {"PathName_OrigER": "/home/ubuntu/bucket/../../etc"}),
        (1, {"FileName_OrigER": "../../../secret.tiff"}),
        (4, {"PathName_OrigER": "C:\\data"}),
    ],
)
def test_paths_that_lead_out_of_the_folder_are_refused(tree, row, changes):
    rows = listed()
    rows[row - 1] |= changes
    write_csv(tree / "load_data.csv", rows)
    message = refusal(tree, LISTED)
    assert message.startswith(f"load_data.csv: column 'PathName_OrigER', row {row}: ")
    assert "is no name of a file inside the image folder" in message


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"channels": ["DNA", "RNA"]}, "channel 'RNA' has no column 'FileName_RNA'"),
        ({"load_data": "load.csv"}, "load.csv: there is no such file (did you mean 'load_data"),
        ({"load_data": None}, "'load_data' is missing"),
        ({"strip": None}, "is no name of a file inside the image folder; give names that start"),
        ({"columns": {}}, "load_data.csv: nothing says the treatment"),
        ({"metadata": "no.csv"}, "no.csv: there is no such file"),
    ],
)
def test_lists_that_do_not_fit_are_refused(tree, changes, says):
    assert says in refusal(tree, LISTED | changes)


def test_a_table_that_lists_no_files_is_refused(tree):
    write_csv(tree / "load_data.csv", [{"Metadata_Plate": "P1", "Metadata_Well": "A01"}])
    assert "there is no column FileName_..." in refusal(tree, LISTED)
    write_csv(tree / "load_data.csv", [{"FileName_DNA": "a.tiff", "Metadata_Well": "A01"}])
    assert "there is no column 'PathName_DNA'" in refusal(tree, LISTED)


def test_a_listed_file_that_is_not_there(tree):
    (tree / "tree" / "P1" / "Images" / "A02_1_2.tiff").unlink()
    message = refusal(tree, LISTED)
    assert (
        "1 of 4 fields of load_data.csv have no image of channel 'ER' (first: B1/P1/A02/1"
        in message
    )
    assert len(made(tree, LISTED | {"join": "inner"})) == 3


# --- real files ---


@real_files
def test_real_fields_of_six_channels(home):
    section = {
        "source": "folder",
        "folder": str(REAL / "pediatric_cancer_atlas_profiling" / "images" / "orig"),
        "pattern": "r{row}c{column}f{site}p01-ch{channel}sk1fk1fl1.tiff",
        "constants": {
            **{"cell_type": "tumour", "experiment": "atlas", "plate": "BR00143976"},
            "treatment": "DMSO",
        },
        "controls": ["DMSO"],
    }
    images = made(home, section)
    assert images.pixels.shape == (1, 6, 1080, 1080)
    assert images.pixels.dtype == np.uint16
    assert list(images.obs.index) == ["atlas/BR00143976/C03/3"]
    # What the microscope wrote into its own files, for channel 4.
    channel = images.select_channels(["4"]).load()
    assert channel.mean() == pytest.approx(6237.68, abs=0.01)
    assert (channel.min(), channel.max()) == (1933, 65535)


@real_files
def test_real_fields_of_three_channels(home):
    section = {
        "source": "folder",
        "folder": str(REAL / "NF1_cellpainting_data_shrunken" / "Plate_2_images"),
        "pattern": "{well}_01_*_{site}_{channel}_001.tif",
        "constants": {"cell_type": "Schwann", "experiment": "NF1", "plate": "2", "treatment": "WT"},
        "controls": ["WT"],
        "crop": 800,
        "pool": 8,
    }
    images = made(home, section)
    assert images.pixels.shape == (5, 3, 100, 100)
    assert images.channels == ("DAPI", "GFP", "RFP")
    assert list(images.obs["well"]) == ["B7", "D6", "D7", "F7", "H12"]


@real_files
def test_real_fields_of_other_sizes_masks_and_missing_channels_are_refused(home):
    section = {
        "source": "folder",
        "folder": str(REAL),
        "constants": {"cell_type": "x", "experiment": "1", "plate": "1", "treatment": "x"},
        "controls": ["x"],
    }
    outlines = (
        "pediatric_cancer_atlas_profiling/images/outlines/{channel}Outlines_*_{well}_{site}.tiff"
    )
    assert "CellsOutlines_BR00143976_C03_3.tiff: " in refusal(home, section | {"pattern": outlines})
    both = "{experiment}/images/orig/r{row}c{column}f{site}p01-ch{channel}sk1fk1fl1.tiff"
    assert "1 of 2 fields of" in refusal(
        home,
        section
        | {"pattern": both, "constants": {"cell_type": "x", "plate": "1", "treatment": "x"}},
    )


# --- the example ---


def test_the_example_names_every_option():
    text = (ROOT / "params" / "my_images.yml.example").read_text()
    for option in {*folder.OPTIONS, *load_data.OPTIONS}:
        assert f"  {option}:" in text, option
    section = yaml.safe_load(text)["images"]
    assert set(section) <= set(folder.OPTIONS)
    commented = text[text.index("# images:") :].replace("# ", "", 1).replace("\n# ", "\n")
    assert set(yaml.safe_load(commented)["images"]) <= set(load_data.OPTIONS)
