"""`haven deps`: which packages get installed, from where, and what survives a failure.

A small hub is served over loopback HTTP in the format of the dbt hub, and real `dbt deps` reads it.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml
from conftest import ROOT, clean_environment

from runner.dbt import run_dbt
from runner.errors import ConfigError
from runner.packages import ensure_packages
from runner.packages.project import OFFLINE_SUFFIX, own_identity, package_requests, pin

SUBSET = ROOT / "offline_packages"
NO_HUB = "http://127.0.0.1:9/"  # a port that refuses connections
PINNED = "packages:\n  - {package: tiny/alpha, version: 1.0.0}\n"
BOTH = {"alpha": "1.0.0", "beta": "0.3.0"}


def write_package(folder: Path, name: str, version: str, needs: str = "") -> Path:
    """Write a dbt package with one macro, and with a folder that dbt does not need."""
    for path, text in {
        "dbt_project.yml": f"name: {name}\nversion: {version}\nseed-paths: [data]\n",
        "macros/origin.sql": f"{{% macro origin() %}}{name} {version}{{% endmacro %}}\n",
        "data/seed.csv": "id\n1\n",
        "LICENSE": "free\n",
        "integration_tests/dbt_project.yml": "name: never_copied\n",
        **({"packages.yml": needs} if needs else {}),
    }.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, encoding="utf-8")
    return folder


BETA_RANGE = 'packages:\n  - {package: tiny/beta, version: [">=0.1.0", "<0.4.0"]}\n'


class Hub:
    """The hub: alpha 1.0.0 and 1.1.0, which need beta; beta 0.1.0, 0.3.0 and 0.9.0."""

    def __init__(self, folder: Path) -> None:
        self.asked: list[str] = []
        self.fails_with: int | None = None
        self.hangs_on = ""
        self.released = threading.Event()
        self._files: dict[str, bytes] = {}
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                hub.asked.append(self.path)
                if hub.hangs_on and hub.hangs_on in self.path:
                    hub.released.wait(60)
                content = hub._files.get(self.path)
                code = hub.fails_with or (200 if content else 404)
                self.send_response(code)
                self.send_header("Content-Length", str(len(content or b"")))
                self.end_headers()
                self.wfile.write(content or b"")

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/"
        self._publish(folder, "alpha", ["1.0.0", "1.1.0"], BETA_RANGE)
        self._publish(folder, "beta", ["0.1.0", "0.3.0", "0.9.0"], "")
        self._files["/api/v1/index.json"] = json.dumps(["tiny/alpha", "tiny/beta"]).encode()
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def _publish(self, folder: Path, name: str, versions: list[str], needs: str) -> None:
        listed = {}
        for version in versions:
            source = write_package(folder / f"{name}-{version}", name, version, needs)
            packed = io.BytesIO()
            with tarfile.open(fileobj=packed, mode="w:gz") as archive:
                archive.add(source, arcname=source.name)
            path = f"/tarballs/{name}-{version}.tar.gz"
            self._files[path] = packed.getvalue()
            listed[version] = {
                "name": name,
                "version": version,
                "packages": yaml.safe_load(needs)["packages"] if needs else [],
                "downloads": {"tarball": f"{self.url.rstrip('/')}{path}", "format": "tgz"},
            }
        content = {"name": name, "namespace": "tiny", "versions": listed}
        self._files[f"/api/v1/tiny/{name}.json"] = json.dumps(content).encode()

    def replace(self, archive: str, content: bytes) -> None:
        """Serve something else as an archive."""
        self._files[f"/tarballs/{archive}.tar.gz"] = content

    def close(self) -> None:
        """Let go of hanging requests and stop."""
        self.released.set()
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A running hub that dbt is pointed at."""
    served = Hub(tmp_path / "hub")
    monkeypatch.setenv("DBT_PACKAGE_HUB_URL", served.url)
    yield served
    served.close()


@pytest.fixture
def no_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hub that refuses connections."""
    monkeypatch.setenv("DBT_PACKAGE_HUB_URL", NO_HUB)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty package cache, found through XDG_CACHE_HOME."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "my cache"))
    return tmp_path / "my cache" / "haven" / "dbt_packages"


@pytest.fixture
def project(tmp_path: Path, cache: Path) -> Path:
    """A project that asks for alpha, has stand-ins of its own, and lies in a path with a space."""
    root = tmp_path / "my project"
    root.mkdir()
    (root / "dbt_project.yml").write_text("name: mine\nversion: 1.0.0\n", encoding="utf-8")
    (root / "packages.yml").write_text(PINNED, encoding="utf-8")
    write_package(root / "offline_packages" / "alpha", "alpha", f"1.0.0{OFFLINE_SUFFIX}")
    return root


@pytest.fixture
def given(tmp_path: Path) -> Path:
    """A folder of unpacked packages, as for --from; alpha's own version is out of date."""
    write_package(tmp_path / "given" / "alpha-main", "alpha", "0.0.1", BETA_RANGE)
    write_package(tmp_path / "given" / "beta", "beta", "0.3.0")
    return tmp_path / "given"


def installed(project: Path) -> dict[str, str]:
    """Return name and own version of each package in dbt_packages."""
    return dict(own_identity(path) for path in (project / "dbt_packages").glob("[!.]*"))


def test_hub_packages_are_installed_and_cached(hub: Hub, project: Path, cache: Path) -> None:
    told: list[str] = []
    outcome = ensure_packages(project, say=told.append)
    assert (outcome.source, outcome.variant, outcome.versions) == ("hub", "real", BOTH)
    assert outcome.reason == f"dbt packages: from the hub {hub.url} (alpha 1.0.0, beta 0.3.0)"
    assert outcome.changed
    assert installed(project) == BOTH
    assert (project / "dbt_packages" / "alpha" / "data" / "seed.csv").is_file()
    assert (project / "dbt_packages" / "alpha" / "LICENSE").is_file()
    assert not list((project / "dbt_packages").rglob("integration_tests"))
    assert {p.relative_to(cache).as_posix() for p in cache.glob("*/*")} == {"alpha/1.0.0", "beta/0.3.0"}
    assert [hub.url in line for line in told] == [True]
    assert sorted(path.name for path in project.iterdir()) == [
        "dbt_packages",
        "dbt_project.yml",
        "offline_packages",
        "package-lock.yml",
        "packages.yml",
    ]

    hub.asked.clear()
    again = ensure_packages(project)
    assert (again.source, again.versions, again.changed) == ("installed", BOTH, False)
    assert hub.asked == []


def test_installed_packages_cost_no_time_and_no_dbt(no_hub: None, project: Path, given: Path) -> None:
    ensure_packages(project, source_dir=given)
    code = (
        "import sys, time\nfrom pathlib import Path\nfrom runner.packages import ensure_packages\n"
        "start = time.perf_counter()\noutcome = ensure_packages(Path())\n"
        "assert outcome.source == 'installed' and 'dbt.cli' not in sys.modules\n"
        "print(time.perf_counter() - start)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert float(done.stdout) < 0.5


def test_without_hub_the_cache_is_used(no_hub: None, project: Path, given: Path) -> None:
    ensure_packages(project, source_dir=given)
    shutil.rmtree(project / "dbt_packages")
    outcome = ensure_packages(project)
    assert (outcome.source, outcome.variant, outcome.versions) == ("cache", "real", BOTH)
    assert f"hub: {NO_HUB} cannot be reached" in outcome.reason
    assert not [path for path in (project / "dbt_packages").rglob("*") if path.is_symlink()]


def test_a_hub_that_answers_with_an_error_is_passed_over(hub: Hub, project: Path) -> None:
    hub.fails_with = 503
    outcome = ensure_packages(project)
    assert (outcome.source, outcome.variant) == ("offline", "offline")
    assert "answers with status 503" in outcome.reason


def test_a_hub_that_does_not_answer_is_given_up_in_time(hub: Hub, project: Path) -> None:
    hub.hangs_on = "index.json"
    start = time.monotonic()
    outcome = ensure_packages(project, hub_timeout_s=1)
    assert time.monotonic() - start < 4
    assert outcome.source == "offline"
    assert "does not answer within 1 s" in outcome.reason


def test_a_download_that_hangs_leaves_the_earlier_packages(hub: Hub, project: Path, given: Path) -> None:
    ensure_packages(project, source_dir=given)
    before = installed(project)
    hub.hangs_on = "tarballs"
    outcome = ensure_packages(project, upgrade=True, hub_timeout_s=6)
    assert (outcome.source, outcome.changed) == ("installed", False)
    assert "took more than 6 s" in outcome.reason
    assert installed(project) == before
    assert not (project / ".haven_deps").exists()


def test_a_version_the_hub_lacks_is_named(hub: Hub, project: Path) -> None:
    ensure_packages(project, offline=True)
    before = installed(project)
    (project / "packages.yml").write_text(PINNED.replace("1.0.0", "7.0.0"), encoding="utf-8")
    shutil.rmtree(project / "offline_packages")
    with pytest.raises(ConfigError, match=r"dbt deps.* failed: .*7\.0\.0.*cache .*lacks alpha 7"):
        ensure_packages(project)
    assert installed(project) == before


def test_a_killed_install_leaves_the_earlier_packages(hub: Hub, project: Path, given: Path) -> None:
    ensure_packages(project, source_dir=given)
    before = installed(project)
    hub.hangs_on = "tarballs"
    process = subprocess.Popen(
        [sys.executable, "-m", "runner.cli", "deps", "--upgrade", "--hub-timeout", "60"],
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # so that the `dbt deps` it leaves behind can be ended, too
    )
    deadline = time.monotonic() + 30
    while not any("tarballs" in path for path in hub.asked):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.kill()
    process.wait()
    assert installed(project) == before
    hub.hangs_on = ""
    hub.released.set()
    outcome = ensure_packages(project, upgrade=True)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    assert (outcome.source, installed(project)) == ("hub", BOTH)


def test_packages_moved_aside_by_a_killed_swap_come_back(no_hub: None, project: Path, given: Path) -> None:
    ensure_packages(project, source_dir=given)
    (project / ".haven_deps").mkdir()
    (project / "dbt_packages").rename(project / ".haven_deps" / "old")
    outcome = ensure_packages(project)
    assert (outcome.source, outcome.variant) == ("installed", "real")
    assert not (project / ".haven_deps").exists()


def test_a_swap_that_fails_puts_the_earlier_packages_back(
    no_hub: None, project: Path, given: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ensure_packages(project, offline=True)
    before = installed(project)
    rename = Path.rename

    def refuse_new(self: Path, target: Path) -> Path:
        if self.name == "new":
            raise OSError("disk on fire")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", refuse_new)
    with pytest.raises(ConfigError, match="disk on fire"):
        ensure_packages(project, source_dir=given)
    assert installed(project) == before
    assert not (project / ".haven_deps").exists()


def test_half_a_cache_is_not_used(no_hub: None, project: Path, given: Path, cache: Path) -> None:
    ensure_packages(project, source_dir=given)
    shutil.rmtree(project / "dbt_packages")
    shutil.rmtree(cache / "beta")
    outcome = ensure_packages(project)
    assert outcome.source == "offline"
    assert f"cache {cache}: lacks beta" in outcome.reason


def test_the_cache_gives_the_newest_version_that_fits(no_hub: None, project: Path, cache: Path) -> None:
    write_package(cache / "alpha" / "1.0.0", "alpha", "1.0.0", BETA_RANGE)
    for version in ("0.1.0", "0.3.0", "0.9.0"):
        write_package(cache / "beta" / version, "beta", version)
    assert ensure_packages(project).versions == BOTH


def test_the_cache_cannot_answer_a_range(no_hub: None, project: Path) -> None:
    (project / "packages.yml").write_text(BETA_RANGE, encoding="utf-8")
    with pytest.raises(ConfigError, match=r"does not pin beta.*offline subset: lacks beta"):
        ensure_packages(project)


def test_given_packages_are_known_by_their_pinned_version(
    no_hub: None, project: Path, given: Path, cache: Path
) -> None:
    outcome = ensure_packages(project, source_dir=given)
    assert (outcome.source, outcome.versions) == ("directory", BOTH)
    assert own_identity(cache / "alpha" / "1.0.0") == ("alpha", "0.0.1")
    assert not list(cache.rglob("integration_tests"))
    assert outcome.reason == f"dbt packages: from {given} (alpha 1.0.0, beta 0.3.0)"


def test_given_packages_must_be_whole(no_hub: None, project: Path, given: Path) -> None:
    shutil.rmtree(given / "beta")
    with pytest.raises(ConfigError, match=r"--from .*lacks beta"):
        ensure_packages(project, source_dir=given)
    with pytest.raises(ConfigError, match="there is no folder"):
        ensure_packages(project, source_dir=given / "nowhere")
    with pytest.raises(ConfigError, match="install it with --offline"):
        ensure_packages(project, source_dir=project / "offline_packages")
    assert not (project / "dbt_packages").exists()


OUT = "leads out of it"
HOSTILE = {
    "out": ('macro-paths: ["../../../../.git/hooks"]\n', "macro-paths.*" + OUT),
    "absolute": ("model-paths: [/etc]\n", "model-paths.*" + OUT),
    "one text": ("seed-paths: ../..\n", "seed-paths.*" + OUT),
    "template": ("macro-paths: [\"{{ '../..' }}\"]\n", "macro-paths.*" + OUT),
    "target": ("target-path: ../../target\n", "target-path.*" + OUT),
    "cleaned": ("clean-targets: [target, ../..]\n", "clean-targets.*" + OUT),
    "packages": ("packages-install-path: /srv\n", "packages-install-path.*" + OUT),
    "assets": ("asset-paths: [../docs]\n", "asset-paths.*" + OUT),
    "no text": ("analysis-paths: [{a: b}]\n", "analysis-paths.*" + OUT),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_p12_a_package_that_reaches_out_of_its_folder_is_refused(
    case: str, no_hub: None, project: Path, given: Path, tmp_path: Path
) -> None:
    """Nothing is written anywhere, and what was installed before stays."""
    said, wanted = HOSTILE[case]
    hooks = project / ".git" / "hooks"
    hooks.mkdir(parents=True)
    (given.parent / ".git" / "hooks").mkdir(parents=True)
    (given.parent / ".git" / "hooks" / "post-checkout").write_text("evil", encoding="utf-8")
    ensure_packages(project, offline=True)
    before = installed(project)
    with (given / "alpha-main" / "dbt_project.yml").open("a", encoding="utf-8") as file:
        file.write(said)
    with pytest.raises(ConfigError, match=wanted) as refused:
        ensure_packages(project, source_dir=given)
    assert "\n" not in str(refused.value)
    assert installed(project) == before
    assert not any(hooks.iterdir())


def test_p12_links_names_and_versions_of_a_package_lead_nowhere_else(
    no_hub: None, project: Path, given: Path, cache: Path
) -> None:
    secret = given.parent / "secret"
    secret.mkdir()
    (secret / "key.sql").write_text("mine", encoding="utf-8")
    for link, target in {
        "macros/key.sql": secret / "key.sql", "macros/all": secret, "macros/loop": given, "LICENSE": secret / "key.sql",
    }.items():  # fmt: skip
        path = given / "alpha-main" / link
        path.unlink(missing_ok=True)
        path.symlink_to(target)
        with pytest.raises(ConfigError, match=f"{path.name} is a link"):
            ensure_packages(project, source_dir=given)
        path.unlink()
    # Who asks for a package does so by its name, also in turn.
    write_package(given / "gamma", "../../gamma", "1.0.0/../../../../out")
    needs = given / "alpha-main" / "packages.yml"
    needs.write_text("packages: [{git: x, name: ../../gamma}]\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="no folder's"):
        ensure_packages(project, source_dir=given)
    write_package(given / "gamma", "gamma", "1.0.0/../../../../out")
    needs.write_text("packages: [{git: x, name: gamma}]\n", encoding="utf-8")
    ensure_packages(project, source_dir=given)
    assert not list(cache.parent.parent.parent.rglob("out"))


def test_p12_an_archive_of_the_hub_unpacks_into_its_own_folder(hub: Hub, project: Path) -> None:
    """A link in the archive, and a member behind it: dbt has to refuse both, and Haven to say so."""
    outside = project / ".git"
    outside.mkdir()
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        link = tarfile.TarInfo("alpha-1.0.0/macros")
        link.type, link.linkname = tarfile.SYMTYPE, str(outside)
        archive.addfile(link)
        for name in ("alpha-1.0.0/macros/hook", "alpha-1.0.0/dbt_project.yml"):
            archive.addfile(tarfile.TarInfo(name), io.BytesIO())
    hub.replace("alpha-1.0.0", packed.getvalue())
    outcome = ensure_packages(project)
    assert outcome.source == "offline"
    assert "outside the destination" in outcome.reason or "absolute" in outcome.reason
    assert not any(outside.iterdir())


def test_the_subset_stays_when_it_was_asked_for(no_hub: None, project: Path, given: Path) -> None:
    ensure_packages(project, source_dir=given)
    outcome = ensure_packages(project, offline=True)
    assert (outcome.source, outcome.variant, outcome.changed) == ("offline", "offline", True)
    assert installed(project) == {"alpha": f"1.0.0{OFFLINE_SUFFIX}"}
    again = ensure_packages(project)  # although the cache holds the real ones
    assert (again.source, again.variant, again.changed) == ("installed", "offline", False)
    assert "haven deps --upgrade" in again.reason
    assert ensure_packages(project, upgrade=True).source == "cache"


def test_the_subset_gives_way_once_the_cache_is_filled(no_hub: None, project: Path, cache: Path) -> None:
    assert ensure_packages(project).source == "offline"
    told: list[str] = []
    again = ensure_packages(project, say=told.append)
    assert (again.source, again.changed, told) == ("installed", False, [])
    write_package(cache / "alpha" / "1.0.0", "alpha", "1.0.0")
    assert ensure_packages(project).source == "cache"
    assert installed(project) == {"alpha": "1.0.0"}


def test_a_changed_subset_is_installed_again(no_hub: None, project: Path) -> None:
    ensure_packages(project, offline=True)
    macro = project / "offline_packages" / "alpha" / "macros" / "origin.sql"
    macro.write_text("{% macro origin() %}new{% endmacro %}", encoding="utf-8")
    assert ensure_packages(project).changed
    copy = project / "dbt_packages" / "alpha" / "macros" / "origin.sql"
    assert copy.read_text(encoding="utf-8") == macro.read_text(encoding="utf-8")


def test_a_switch_forgets_what_dbt_parsed(no_hub: None, project: Path, given: Path) -> None:
    ensure_packages(project, offline=True)
    target = project / "target"
    target.mkdir()
    kept, stale = target / "run_results.json", ["partial_parse.msgpack", "manifest.json"]
    for name in [*stale, kept.name]:
        (target / name).touch()
    ensure_packages(project)
    assert all((target / name).exists() for name in stale)
    ensure_packages(project, source_dir=given)
    assert not any((target / name).exists() for name in stale)
    assert kept.exists()


def test_changed_requests_are_installed_and_a_comment_is_no_change(hub: Hub, project: Path) -> None:
    ensure_packages(project)
    packages = project / "packages.yml"
    packages.write_text("# pinned\n" + PINNED, encoding="utf-8")
    assert ensure_packages(project).source == "installed"
    packages.write_text(PINNED.replace("1.0.0", "1.1.0"), encoding="utf-8")
    outcome = ensure_packages(project)
    assert (outcome.source, outcome.versions["alpha"]) == ("hub", "1.1.0")


@pytest.mark.parametrize("damage", ["marker", "folder", "project file"])
def test_damaged_packages_are_installed_again(no_hub: None, project: Path, given: Path, damage: str) -> None:
    ensure_packages(project, source_dir=given)
    folder = project / "dbt_packages"
    if damage == "marker":
        (folder / ".haven.json").write_text("{", encoding="utf-8")
    elif damage == "folder":
        shutil.rmtree(folder / "beta")
    else:
        (folder / "beta" / "dbt_project.yml").write_text("a: b: c", encoding="utf-8")
    assert ensure_packages(project).source == "cache"
    assert installed(project).keys() == BOTH.keys()


def test_packages_of_plain_dbt_deps_count_as_installed(hub: Hub, project: Path, cache: Path) -> None:
    environment = clean_environment() | {"DBT_PACKAGE_HUB_URL": hub.url}
    assert run_dbt(["deps"], project_dir=project, env=environment).returncode == 0
    hub.asked.clear()
    outcome = ensure_packages(project)
    assert (outcome.source, outcome.variant, outcome.versions) == ("installed", "real", BOTH)
    assert "from dbt deps" in outcome.reason
    assert (cache / "beta" / "0.3.0" / "macros").is_dir()
    assert hub.asked == []

    (project / "dbt_packages" / ".haven.json").unlink()
    (project / "packages.yml").write_text(PINNED.replace("1.0.0", "1.1.0"), encoding="utf-8")
    assert ensure_packages(project).source == "hub"  # the lock is of another version


def test_local_packages_keep_their_place(hub: Hub, project: Path) -> None:
    write_package(project / "shared" / "gamma", "gamma", "2.0.0")
    local = f"{PINNED}  - {{local: shared/gamma}}\n"
    (project / "packages.yml").write_text(local, encoding="utf-8")
    outcome = ensure_packages(project)
    assert outcome.source == "hub"
    assert installed(project) == {**BOTH, "gamma": "2.0.0"}
    assert not (project / "package-lock.yml").exists()  # it would hold a path of this machine


@pytest.mark.parametrize("content", [None, "", "packages: []\n"])
def test_a_project_without_packages_needs_nothing(no_hub: None, project: Path, content: str | None) -> None:
    if content is None:
        (project / "packages.yml").unlink()
    else:
        (project / "packages.yml").write_text(content, encoding="utf-8")
    outcome = ensure_packages(project)
    assert (outcome.source, outcome.variant, outcome.changed) == ("none", "none", False)
    assert not (project / "dbt_packages").exists()


def test_dependencies_yml_and_another_install_path_are_honoured(no_hub: None, project: Path, given: Path) -> None:
    (project / "packages.yml").rename(project / "dependencies.yml")
    (project / "dbt_project.yml").write_text(
        "name: mine\nversion: 1.0.0\npackages-install-path: lib/packages\n", encoding="utf-8"
    )
    ensure_packages(project, source_dir=given)
    assert own_identity(project / "lib" / "packages" / "beta") == ("beta", "0.3.0")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("packages: [", "is not valid YAML"),
        ("- alpha\n", "must hold a mapping"),
        ("packages: alpha\n", "must be a list"),
        ("packages:\n  - {version: 1.0.0}\n", "names no package"),
    ],
)
def test_a_malformed_packages_yml_is_named(no_hub: None, project: Path, content: str, message: str) -> None:
    (project / "packages.yml").write_text(content, encoding="utf-8")
    with pytest.raises(ConfigError, match=message) as error:
        ensure_packages(project)
    assert "packages.yml" in str(error.value)


def test_a_folder_that_is_missing_or_cannot_be_written_is_named(no_hub: None, project: Path) -> None:
    with pytest.raises(ConfigError, match="there is no folder"):
        ensure_packages(project / "nowhere")
    (project / "dbt_project.yml").write_text(
        "name: mine\nversion: 1.0.0\npackages-install-path: packages.yml/inside\n", encoding="utf-8"
    )
    with pytest.raises(ConfigError, match="cannot install dbt packages"):
        ensure_packages(project)


def test_a_cache_that_cannot_be_written_does_not_matter(
    no_hub: None, project: Path, given: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    outcome = ensure_packages(project, source_dir=given, cache_dir=tmp_path / "file")
    assert outcome.versions == BOTH


def test_two_at_once_install_once(no_hub: None, project: Path, given: Path, cache: Path) -> None:
    ensure_packages(project, source_dir=given)
    shutil.rmtree(project / "dbt_packages")
    with ThreadPoolExecutor() as pool:
        outcomes = list(pool.map(ensure_packages, [project] * 6))
    assert sorted(outcome.source for outcome in outcomes) == ["cache", *["installed"] * 5]
    assert installed(project).keys() == BOTH.keys()


def test_the_command_prints_one_line_or_json(no_hub: None, project: Path, given: Path) -> None:
    def haven(*args: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "runner.cli", "deps", *args, "--project-dir", str(project)],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
        )

    plain = haven("--from", str(given))
    assert (plain.returncode, plain.stdout.count("\n")) == (0, 1)
    assert plain.stdout.startswith(f"dbt packages: from {given} (alpha 1.0.0")
    machine = json.loads(haven("--json").stdout)
    assert machine["source"] == "installed"
    assert machine["versions"] == BOTH
    wrong = haven("--offline", "--upgrade")
    assert wrong.returncode == 2
    assert "exclude each other" in wrong.stderr
    assert "Traceback" not in wrong.stderr


def test_the_project_has_a_stand_in_for_each_pinned_package() -> None:
    requests = package_requests(ROOT / "packages.yml")
    assert requests.keys() == {"dbt_utils", "dbt_expectations", "dbt_date", "elementary"}
    for name, versions in requests.items():
        stand_in = SUBSET / name
        assert own_identity(stand_in) == (name, f"{pin(versions)}{OFFLINE_SUFFIX}")
        assert (stand_in / "README.md").is_file()


def calls(paths: Iterable[Path]) -> set[tuple[str, str]]:
    """Return the package and name of each macro or test of a package that the files use, with or without arguments.

    What a file uses only if it `is defined` is not counted: the real package has it, and nothing needs it.
    """
    packages = {path.name for path in SUBSET.iterdir() if path.is_dir()}
    found = set()
    for path in paths:
        text = re.sub(r"(?s:\{#.*?#\})|--.*", "", path.read_text(encoding="utf-8"))
        for match in re.finditer(r"(?m)\b(\w+)\.(\w+)(?=\()|^\s*- (\w+)\.(\w+):?$", text):
            package, name = (part for part in match.groups() if part)
            if package in packages and f"{package}.{name} is defined" not in text:
                found.add((package, name))
    return found


def test_the_subset_holds_what_the_project_uses_and_nothing_else() -> None:
    folders = ("models", "macros", "snapshots", "seeds", "analyses", "tests/reconciliation")
    project = [path for folder in folders for path in (ROOT / folder).rglob("*.[sy][qm]l")]
    subset = {(path.relative_to(SUBSET).parts[0], path.stem): path for path in SUBSET.glob("*/macros/**/*.sql")}
    used: set[tuple[str, str]] = set()
    found = calls([*project, ROOT / "dbt_project.yml"])
    assert len(found) > 10
    while found - used:
        used |= found
        found = calls(subset[call] for call in found if call in subset)
    assert used == subset.keys()
