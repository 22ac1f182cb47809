"""The Makefile: what needs what, seen through a stand-in for Python, and once for real."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tiny_notebook import write_tiny_notebook

ROOT = Path(__file__).parents[1]
NAMES = ("01_a", "02_b", "03_c", "06a_i", "07_e", "99_d")
ON_SCREEN = tuple(name for name in NAMES if name not in ("06a_i", "07_e"))
EVERYTHING = "screen: {}\nimages: {}\nexpression: {}\n"

# Does what `python -m screenbook ...` leaves behind, and keeps a list of the calls.
STAND_IN = """\
#!/bin/sh
shift 2
echo "$*" >> calls
case "$1" in
settings)
  test -f params/$2.yml || { echo "params/$2.yml is not there" >&2; exit 2; }
  grep -q bad params/$2.yml && { echo "params/$2.yml: bad" >&2; exit 2; }
  mkdir -p build/$2/settings
  for name in screen images expression $(ls notebooks | sed s/.py//); do
    grep "^$name:" params/$2.yml > new
    cmp -s new build/$2/settings/$name.json || cp new build/$2/settings/$name.json
  done;;
screen|images|expression) touch build/$2/$1.json;;
run)
  test "$2" = "$FAIL" && exit 1
  case "$*" in *--report*) exit 0;; esac
  touch build/$4/$2.ipynb
  echo "build/$4/$2.ipynb: lib/screenbook/used_by_$2.py" > build/$4/$2.d
  echo "lib/screenbook/used_by_$2.py:" >> build/$4/$2.d;;
render) mkdir -p reports/$4; touch reports/$4/$2.html;;
index) touch reports/index.html;;
esac
"""


def environment(**changes):
    """The environment of a call of make: not that of the make that runs these tests."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "MFLAGS", "CONDA"))}
    for name in ("RUN", "NB", "P", "AS", "A", "B", "SCREENBOOK_HOME"):
        kept.pop(name, None)
    return kept | changes


class Checkout:
    """A copy of the Makefile among notebooks of nothing, with a stand-in for Python."""

    def __init__(self, home):
        self.home = home
        for folder in (
            "notebooks",
            "params",
            "lib/screenbook/report/theme",
            "lib/screenbook/sources/images",
            "lib/screenbook/sources/expression",
            "lib/screenbook/expression",
        ):
            (home / folder).mkdir(parents=True)
        shutil.copy(ROOT / "Makefile", home)
        for path in (
            *(f"notebooks/{name}.py" for name in NAMES),
            *(f"lib/screenbook/used_by_{name}.py" for name in NAMES),
            *(
                f"lib/screenbook/{name}.py"
                for name in (
                    *("screen", "metadata", "chemistry", "image_set", "expression_set"),
                    "expression/pseudobulk",
                )
            ),
            *(
                f"lib/screenbook/report/{name}.py"
                for name in re.search(r"report/%\.py,([a-z ]+)\)", (home / "Makefile").read_text())[
                    1
                ].split()
            ),
            "lib/screenbook/report/index.py",
            "lib/screenbook/report/theme/report.css",
            "lib/screenbook/sources/tables.py",
            "lib/screenbook/sources/images/rxrx1.py",
            "lib/screenbook/sources/expression/tahoe.py",
            "pyproject.toml",
            "constraints.txt",
        ):
            (home / path).touch()
        (home / "params" / "simulated.yml").write_text(EVERYTHING)
        (home / "python").write_text(STAND_IN)
        (home / "python").chmod(0o755)
        self._clock = 0

    def make(self, *words, code=0, **changes):
        """Call make; return the calls of Python that it made, or its stderr if it failed."""
        (self.home / "calls").unlink(missing_ok=True)
        done = subprocess.run(
            ["make", "PYTHON=./python", *words],
            cwd=self.home,
            env=environment(**changes),
            capture_output=True,
            text=True,
        )
        assert done.returncode == code, done.stderr
        self.said = done.stdout + done.stderr
        calls = self.home / "calls"
        return calls.read_text().splitlines() if calls.is_file() else []

    def touch(self, path):
        """Change a file's time to one later than that of anything made so far."""
        file = self.home / path
        assert file.exists(), path
        latest = max(p.stat().st_mtime_ns for p in self.home.rglob("*") if p.is_file())
        os.utime(file, ns=(latest + 1, latest + 1))


def planned(checkout):
    """What ``make -n`` says would run; settings are looked at even so, and nothing else."""
    calls = checkout.make("-n", "reports")
    assert [call for call in calls if not call.startswith("settings")] == []
    return sorted(re.findall(r"screenbook run (\w+)", checkout.said))


@pytest.fixture
def checkout(tmp_path):
    return Checkout(tmp_path)


@pytest.fixture
def made(checkout):
    checkout.make("reports")
    return checkout


def ran(calls):
    return {call.split()[1] for call in calls if call.startswith("run ")}


def rendered(calls):
    return {call.split()[1] for call in calls if call.startswith("render ")}


def test_the_first_call_makes_everything_in_order(checkout):
    calls = checkout.make("reports")
    assert calls[:2] == ["settings simulated", "screen simulated"]
    assert ran(calls) == rendered(calls) == set(NAMES)
    assert {"images simulated", "expression simulated"} < set(calls)
    assert calls[-1] == "index"
    assert calls.index("run 02_b --run simulated") < calls.index("run 03_c --run simulated")


@pytest.mark.parametrize("options", [(), ("-j2",)])
def test_the_second_call_does_nothing_and_says_so(made, options):
    assert made.make(*options, "reports") == []
    assert "up to date" in made.said


@pytest.mark.parametrize(
    ("path", "again"),
    [
        ("notebooks/01_a.py", {"01_a"}),
        ("notebooks/02_b.py", {"02_b", "03_c"}),  # 03 reads what 02 wrote
        ("notebooks/03_c.py", {"03_c"}),
        ("lib/screenbook/used_by_99_d.py", {"99_d"}),
        ("lib/screenbook/sources/tables.py", set(ON_SCREEN)),
        ("lib/screenbook/sources/images/rxrx1.py", {"06a_i"}),
        ("lib/screenbook/image_set.py", {"06a_i"}),
        ("lib/screenbook/sources/expression/tahoe.py", {"07_e"}),
        ("lib/screenbook/expression/pseudobulk.py", {"07_e"}),
        ("lib/screenbook/expression_set.py", {"07_e"}),
        ("lib/screenbook/report/theme/report.css", set()),
        ("lib/screenbook/report/render.py", set()),
        ("params/simulated.yml", set()),  # same settings as before
    ],
)
def test_a_change_repeats_what_depends_on_it_and_no_more(made, path, again):
    made.touch(path)
    calls = made.make("reports")
    assert ran(calls) == again
    page = "report/" in path
    assert rendered(calls) == (set(NAMES) if page else again)
    assert made.make("reports") == []


def test_dry_runs_tell_the_truth(checkout):
    assert planned(checkout) == list(NAMES)
    checkout.make("reports")
    assert planned(checkout) == []
    checkout.touch("notebooks/02_b.py")
    assert planned(checkout) == ["02_b", "03_c"]


def test_one_section_of_the_params_repeats_one_notebook(made):
    (made.home / "params" / "simulated.yml").write_text(EVERYTHING + "99_d: {k: 3}\n")
    made.touch("params/simulated.yml")
    assert ran(made.make("reports")) == {"99_d"}
    assert made.make("reports") == []


@pytest.mark.parametrize(("section", "again"), [("images", "06a_i"), ("expression", "07_e")])
def test_another_section_repeats_the_notebooks_on_it(made, section, again):
    text = EVERYTHING.replace(f"{section}: {{}}", f"{section}: {{seed: 9}}")
    (made.home / "params" / "simulated.yml").write_text(text)
    made.touch("params/simulated.yml")
    assert ran(made.make("reports")) == {again}
    assert made.make("reports") == []


@pytest.mark.parametrize(("section", "book"), [("images", "06a_i"), ("expression", "07_e")])
def test_a_run_of_images_or_expression_alone_needs_no_screen(checkout, section, book):
    (checkout.home / "params" / "mine.yml").write_text(f"{section}: {{}}\n")
    calls = checkout.make("reports", "RUN=mine")
    assert calls[:3] == ["settings mine", f"{section} mine", f"run {book} --run mine"]
    assert ran(calls) == {book}
    assert f"report takes the number of a notebook: NB={book.partition('_')[0]}" in (
        checkout.make("report", "RUN=mine", "NB=01", code=2) or checkout.said
    )


@pytest.mark.parametrize(
    ("sections", "wanted"),
    [
        ("screen: {}\n", set(ON_SCREEN)),
        ("common: {seed: 1}\n", set(ON_SCREEN)),
        ("screen: {}\nexpression: {}\n", {*ON_SCREEN, "07_e"}),
        ("screen: {}\nimages: {}\n", {*ON_SCREEN, "06a_i"}),
        ("images: {}\nexpression: {}\n", {"06a_i", "07_e"}),
    ],
)
def test_a_run_has_the_notebooks_on_what_its_file_describes(checkout, sections, wanted):
    (checkout.home / "params" / "mine.yml").write_text(sections)
    calls = checkout.make("reports", "RUN=mine")
    assert ran(calls) == wanted
    assert ("images mine" in calls) == ("06a_i" in wanted)
    assert ("expression mine" in calls) == ("07_e" in wanted)
    assert ("screen mine" in calls) == ("01_a" in wanted)
    assert checkout.make("reports", "RUN=mine") == []


@pytest.mark.parametrize(
    ("number", "section", "book"), [("6a", "images", "06a_i"), ("7", "expression", "07_e")]
)
def test_a_variant_asks_for_what_its_notebook_is_on(checkout, number, section, book):
    calls = checkout.make("report", f"NB={number}", "P=k=3", "RUN=simulated")
    assert [c for c in calls if not c.startswith("settings")] == [
        *(f"{section} simulated", f"run {book} --run simulated --set k=3 --report")
    ]


def test_a_module_that_goes_away_stops_nothing(made):
    (made.home / "lib/screenbook/used_by_01_a.py").unlink()
    assert ran(made.make("reports")) == {"01_a"}


def test_a_new_notebook_is_found(made):
    (made.home / "notebooks" / "05_e.py").touch()
    (made.home / "lib/screenbook/used_by_05_e.py").touch()
    assert ran(made.make("reports")) == {"05_e"}
    assert made.make("reports") == []


def test_one_failure_stops_its_readers_and_k_finishes_the_others(checkout):
    calls = checkout.make("-k", "reports", FAIL="02_b", code=2)
    assert ran(calls) == {"01_a", "02_b", "06a_i", "07_e", "99_d"}
    assert rendered(calls) == {"01_a", "06a_i", "07_e", "99_d"}
    assert ran(checkout.make("reports")) == {"02_b", "03_c"}


def test_bad_settings_stop_before_anything_runs(checkout):
    (checkout.home / "params" / "simulated.yml").write_text("bad\n")
    assert checkout.make("reports", code=2) == ["settings simulated"]
    assert "params/simulated.yml: bad" in checkout.said
    assert not (checkout.home / "build").exists()
    assert checkout.make("reports", "RUN=typo", code=2) == ["settings typo"]
    assert "params/typo.yml is not there" in checkout.said


def test_one_report_brings_what_it_needs(checkout):
    calls = checkout.make("report", "NB=3")
    assert ran(calls) == rendered(calls) == {"02_b", "03_c"}
    assert calls[-1] == "index"
    assert "open reports/simulated/03_c.html" in checkout.said


def test_parameters_make_a_variant(made):
    calls = made.make("report", "NB=03", "P=k=30 label='a b'", "AS=strict")
    assert calls == ["run 03_c --run simulated --set k=30 label=a b --as strict --report"]
    assert made.make("report", "NB=03", "RUN=simulated@strict") == (
        ["run 03_c --run simulated@strict --report"]
    )


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["report"], "takes the number of a notebook: NB=01; there are 01_a"),
        (["report", "NB=9"], "takes the number of a notebook"),
        (["reports", "RUN=simulated@x"], "is a variant, which repeats single notebooks"),
        (["compare", "A=simulated"], "takes two runs"),
    ],
)
def test_wrong_words_are_answered_with_the_right_ones(checkout, words, says):
    assert checkout.make(*words, code=2) == []
    assert says in checkout.said


def test_fast_is_the_run_of_that_name(checkout):
    (checkout.home / "params" / "fast.yml").write_text("screen: {}\n")
    assert "run 01_a --run fast" in checkout.make("-j2", "fast")


def test_help_lists_every_target():
    done = subprocess.run(
        ["make", "-s", "help"], cwd=ROOT, env=environment(), capture_output=True, text=True
    )
    listed = [line.split()[1] for line in done.stdout.splitlines()]
    assert " ".join(listed) == (
        "help setup data reports fast report compare lab test bench lock clean"
    )
    assert all(len(line.split()) > 3 for line in done.stdout.splitlines())


def test_clean_leaves_sources_data_and_environment(made):
    (made.home / "reports" / "README.md").touch()
    (made.home / "data").mkdir()
    made.make("clean")
    left = {path.name for path in made.home.iterdir()}
    assert {"data", "notebooks", "params", "lib", "reports"} <= left
    assert "build" not in left
    assert [path.name for path in (made.home / "reports").iterdir()] == ["README.md"]


FAKE_PYTHON = """\
#!/bin/sh
case "$*" in
-c*) exit {right_version};;
"-m venv .venv") mkdir -p .venv/bin && cp "$0" .venv/bin/python;;
"-m pip"*) echo "$*" >> pip_calls;;
*screenbook*) exec ./python "$@";;
esac
"""


def fake_path(home, **pythons):
    """A folder of programs as on a bare machine, and pythons of a right version (0) or not (1)."""
    folder = home / "bin"
    folder.mkdir()
    tools = "sh awk cat cmp cp env grep ls make mkdir mv rm sed sort test touch uname"
    for tool in tools.split():
        (folder / tool).symlink_to(shutil.which(tool))
    for name, status in pythons.items():
        (folder / name).write_text(FAKE_PYTHON.format(right_version=status))
        (folder / name).chmod(0o755)
    return str(folder)


def make_bare(checkout, path, *words):
    return subprocess.run(
        ["make", *words], cwd=checkout.home, env={"PATH": path}, capture_output=True, text=True
    )


def test_the_environment_is_made_once(checkout):
    path = fake_path(checkout.home, **{"python3.12": 1, "python3": 0})
    done = make_bare(checkout, path, "reports")
    assert done.returncode == 0, done.stderr
    pip_calls = checkout.home / "pip_calls"
    (first,) = pip_calls.read_text().splitlines()
    assert first.endswith("-c constraints.txt -e .")
    assert "Installing screenbook and what it needs into .venv" in done.stdout
    assert make_bare(checkout, path, "reports", "setup").returncode == 0
    assert pip_calls.read_text().splitlines()[1:] == [first.replace("-e .", "-e .[dev]")]
    assert "Installing" not in make_bare(checkout, path, "setup").stdout
    checkout.touch("pyproject.toml")
    assert make_bare(checkout, path, "reports").returncode == 0
    assert len(pip_calls.read_text().splitlines()) == 3


def test_no_right_python_is_one_line_that_says_what_to_do(checkout):
    path = fake_path(checkout.home, **{"python3": 1})
    done = make_bare(checkout, path, "reports")
    assert done.returncode == 2
    assert "No Python 3.11 or 3.12 with its venv module" in done.stderr
    assert not (checkout.home / ".venv").exists()


@pytest.mark.slow
def test_real_notebooks_side_by_side(home):
    """Two kernels at once share no socket; -k finishes one while the other fails."""
    shutil.copy(ROOT / "Makefile", home)
    (home / "lib").symlink_to(ROOT / "lib")
    (home / "params" / "mine.yml").write_text("screen: {source: simulated, shape: fast}\n")
    for number in ("01", "02"):
        write_tiny_notebook(home, number)
    make = ["make", f"PYTHON={sys.executable}", "RUN=mine"]

    def call(*words):
        return subprocess.run(
            [*make, *words], cwd=home, env=environment(), capture_output=True, text=True
        )

    done = call("-j2", "reports")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert re.search(r"^01_tiny  mine  5 cells in [\d.]+ s$", done.stdout, re.MULTILINE)
    pages = sorted(path.name for path in (home / "reports" / "mine").glob("*.html"))
    assert pages == ["01_tiny.html", "02_tiny.html"]
    dictionary = (home / "reports" / "mine" / "tables" / "dictionary.tsv").read_text()
    assert "rows_01" in dictionary
    assert "rows_02" in dictionary
    with (home / "params" / "mine.yml").open("a") as params:
        params.write("02_tiny: {mode: error}\n")
    good = (home / "reports" / "mine" / "02_tiny.html").read_bytes()
    failed = call("-k", "-j2", "reports")
    assert failed.returncode == 2
    assert "02_tiny: cell 5: ValueError: boom on two lines" in failed.stderr
    assert (home / "reports" / "mine" / "02_tiny.html").read_bytes() == good
    assert "02_tiny.failed.html" in (home / "reports" / "index.html").read_text()
