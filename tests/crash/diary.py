"""Seven nights of a served build, and what its operator sees each morning: `make diary`.

Days follow each other without waiting: each night's run is asked for as the schedule would ask.
What is printed is `docs/diary.md`. The full disk is a tmpfs, which takes the right to mount.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from commands import marked_processes, run_cli
from places import ROOT
from serving import Api, api_of, serving, wait_for, webhook

from dicomhouse.testing import build_cohort, write_image

ENDED = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")


class Operator:
    """Asks for runs, and reads what came of them."""

    def __init__(self, folder: Path, told: list[str]) -> None:
        self.source, self.warehouse = folder / "ward_a", folder / "disk" / "warehouse"
        self.api: Api
        self._told = told

    def night(self, during: Callable[[dict[str, Any]], object] = lambda run: None) -> None:
        """Let a run come to its end, and print what there is to be seen."""
        self._told.clear()
        (deployment,) = wait_for(lambda: self.api("deployments/filter", {}))
        run = self.api(f"deployments/{deployment['id']}/create_flow_run", {})
        during(run)

        def ended() -> Any:
            now = self.api(f"flow_runs/{run['id']}")
            return now if now["state_type"] in ENDED else None

        run = wait_for(ended)
        print(f"- **{run['name']}**: {run['state_name']}. {self.hidden(run['state']['message'])}")
        mail = run_cli("status", "--since", "last", "--warehouse", str(self.warehouse)).stdout
        has_new_errors = re.match(r"(New|First run): [\d,]+ error", mail)
        if run["state_type"] != "COMPLETED" or has_new_errors:
            wait_for(lambda: self._told)
        for text in self._told:
            print(f"- Told: “{' — '.join(self.hidden(text).splitlines())}”")
        print("- The night's mail:\n")
        print("\n".join(f"      {line}" for line in self.hidden(mail).splitlines()))

    def hidden(self, text: str | None) -> str:
        """A text without the folders of this very run, and what looks like a tag as code."""
        return re.sub(
            r"<[a-z]+>", r"`\g<0>`", (text or "").replace(str(self.source.parent), "/data")
        )


@contextmanager
def served(operator: Operator, hook: str, **environment: str) -> Iterator[None]:
    """The schedule's process, as it was started with some environment."""
    os.environ |= environment
    source = Path(f"ward_a={operator.source}")
    with serving(str(source), "--warehouse", str(operator.warehouse), "--notify", hook) as port:
        operator.api = api_of(port, Path(os.environ["PREFECT_HOME"]))
        yield
    for name in environment:
        del os.environ[name]


def kill(operator: Operator, run: dict[str, Any]) -> None:
    """Kill a run's own process as soon as its models are made."""
    wait_for(lambda: operator.api(f"flow_runs/{run['id']}")["state_type"] == "RUNNING")
    generation = operator.warehouse / "generations"
    wait_for(lambda: any(one.stat().st_size > 1_000_000 for one in generation.glob(
        "*/warehouse.duckdb") if not (one.parent / "run.json").exists()))  # fmt: skip
    for process in marked_processes(run["id"]):
        os.kill(process, signal.SIGKILL)


def other_models(folder: Path) -> Path:
    """dbt's project with one more comment in a model, as another release would have it."""
    shutil.copytree(ROOT / "dbt", folder, ignore=shutil.ignore_patterns("target", "logs"))
    model = folder / "models" / "history" / "runs.sql"
    model.write_text(f"-- of another release\n{model.read_text()}")
    return folder


def main() -> int:
    with tempfile.TemporaryDirectory() as name, webhook() as (hook, told):
        folder = Path(name)
        os.environ["PREFECT_HOME"] = str(folder / "prefect")
        os.environ.pop("PREFECT_API_URL", None)
        (folder / "disk").mkdir()
        is_mounted = not subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=300m", "tmpfs", str(folder / "disk")], check=False
        ).returncode
        try:
            week(Operator(folder, told), folder, hook, is_mounted)
        finally:
            if is_mounted:
                subprocess.run(["umount", str(folder / "disk")], check=False)
    return 0


def week(operator: Operator, folder: Path, hook: str, is_mounted: bool) -> None:
    source = operator.source
    print("# Seven nights\n\nWhat the operator of a served build saw each morning, of seven nights "
          "that `make diary` plays.")  # fmt: skip
    with served(operator, hook):
        _day("Monday: the first arrivals")
        build_cohort(source, patients=2, slices=12, defects=[("missing_slice", 0)])
        operator.night()

        _day("Tuesday: a patient more, and a file that is still being written")
        build_cohort(source / "late", patients=1, slices=12)
        whole = write_image(source / "late" / "half", PatientID="HALF")
        content = whole.read_bytes()
        whole.write_bytes(content[: len(content) // 2])
        operator.night()

        _day("Wednesday: the file is whole, and the NAS is not mounted")
        whole.write_bytes(content)
        source.rename(folder / "unmounted")
        operator.night()
        print("\nThe NAS is mounted again, and the run is asked for once more:\n")
        (folder / "unmounted").rename(source)
        operator.night()

        _day("Thursday: the disk of the warehouse is full")
        write_image(source / "late" / "new", PatientID="NEW")
        if is_mounted:
            filler = folder / "disk" / "filler"
            free = shutil.disk_usage(folder / "disk").free
            filler.write_bytes(bytes(free - 200_000))
            operator.night()
            doctor = run_cli("doctor", "--warehouse", str(operator.warehouse))
            (line,) = (one for one in doctor.stdout.splitlines() if one.startswith("disk"))
            print(f"\n- `dicomhouse doctor`: {' '.join(line.split())}")
            filler.unlink()
            print("\nThere is space again:\n")
        operator.night()

        _day("Friday: the run is killed")
        write_image(source / "late" / "newer", PatientID="NEWER")
        operator.night(lambda run: kill(operator, run))
        print("\nThe next run takes over what was read:\n")
        operator.night()

    _day("Saturday: another release, with other models")
    with served(operator, hook, DICOMHOUSE_DBT=str(other_models(folder / "dbt"))):
        operator.night()

    _day("Sunday: a mistake in the configuration")
    source = operator.source
    operator.source = folder / "ward_b"
    with served(operator, hook):
        operator.night()
    operator.source = source
    wrong = run_cli("serve", str(source), "--timezone", "Europe/Berlim")
    print(f"\n- `dicomhouse serve --timezone Europe/Berlim`: {wrong.stderr.strip()}")


def _day(title: str) -> None:
    print(f"\n## {title}\n", flush=True)


if __name__ == "__main__":
    sys.exit(main())
