"""What is read from URLs gives what the same files on a disk give: from memory, and from a server that speaks S3."""

import json
import logging
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import fsspec
import layouts
import pytest
import worlds
from commands import command
from pyarrow import fs

import earmark
from earmark.engine import remote
from earmark.engine.urls import url_in, with_urls

QUICK = ["--rule", "paper", "--replicates", "200"]
Put = Callable[[Path, str], str]  # copies a folder to a store, under a name, and returns its URL

# A store for each test ---------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def nothing_copied(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Every test begins without copies, as a process does."""
    monkeypatch.setattr(remote, "_copied", {})
    monkeypatch.setattr(remote, "_left", {})
    monkeypatch.setattr("earmark.engine.urls._folders", [])
    monkeypatch.setattr(remote.tempfile, "mkdtemp", lambda *_, **__: str(tmp_path_factory.mktemp("copies")))
    remote._folder.cache_clear()
    yield
    remote._folder.cache_clear()
    fsspec.filesystem("memory").store.clear()


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """The address of a server that speaks S3, on a port that was free."""
    moto = pytest.importorskip("moto.server")
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    started = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    started.start()
    yield "{}:{}".format(*started.get_host_and_port())
    started.stop()


def to_memory(folder: Path, name: str) -> str:
    memory = fsspec.filesystem("memory")
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            memory.pipe(f"/{name}/{path.relative_to(folder).as_posix()}", path.read_bytes())
    return f"memory://{name}"


@pytest.fixture
def bucket(server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Put]:
    """How a folder gets into a bucket that nobody else has; the environment says where it is."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{server}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret-of-a-test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    remote._system.cache_clear()
    store = fs.S3FileSystem(endpoint_override=server, scheme="http", allow_bucket_creation=True)
    name_of_bucket = f"sounds-{uuid4().hex}"
    store.create_dir(name_of_bucket)

    def put(folder: Path, name: str) -> str:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                key = f"{name_of_bucket}/{name}/{path.relative_to(folder).as_posix()}"
                with store.open_output_stream(key) as file:
                    file.write(path.read_bytes())
        return f"s3://{name_of_bucket}/{name}"

    yield put
    remote._system.cache_clear()


@pytest.fixture(params=["memory", "s3"])
def put(request: pytest.FixtureRequest) -> Put:
    return to_memory if request.param == "memory" else request.getfixturevalue("bucket")


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return worlds.write_run(tmp_path / "run", [0.0] * 100, {"energy": {0.5: [0.0] * 100}}, ["a", "b"] * 50)


def content(certificate: Path) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(certificate.read_text())
    return read


# The same as from a disk -------------------------------------------------------------------------------------


def test_a_certificate_is_that_of_the_disk_but_for_where_its_run_is(put: Put, run: Path, tmp_path: Path) -> None:
    url = put(run, "run")
    here = command("certify", run, *QUICK, "--out", tmp_path / "here")
    there = command("certify", url, *QUICK, "--out", tmp_path / "there")
    assert (here.code, there.code, there.err) == (0, 0, "")
    assert there.out == here.out.replace("/here/", "/there/")
    written, expected = (tmp_path / "there/certificate.json").read_text(), tmp_path / "here/certificate.json"
    assert written == expected.read_text().replace('"run": "../run"', f'"run": "{url}"')
    assert sorted(os.listdir(tmp_path / "there")) == sorted(os.listdir(tmp_path / "here"))
    assert remote._folder() not in written + (tmp_path / "there/report.html").read_text()
    held = command("verify", tmp_path / "there")  # which reads the run where it says
    assert (held.code, held.out) == (0, f"{tmp_path / 'there/certificate.json'}: holds\n")
    assert command("verify", tmp_path / "there", "--run", run).code == 0
    assert command("verify", tmp_path / "here", "--run", url).code == 0


def test_a_signed_run_is_verified_where_it_is(put: Put, run: Path) -> None:
    assert command("certify", run, *QUICK).code == 0
    url = put(run, "run")
    for place in (url, f"{url}/", f"{url}/certificate.json"):
        done = command("verify", place)
        assert (done.code, done.out, done.err) == (0, f"{url}/certificate.json: holds\n", "")
    page = run / "report.html"
    page.write_text(page.read_text().replace("<html", "<html id=x", 1))
    done = command("verify", put(run, "edited"))
    assert (done.code, "report.html: " in done.out) == (1, True)


def test_a_run_that_changed_does_not_hold(put: Put, run: Path) -> None:
    assert command("certify", run, *QUICK).code == 0
    (part,) = run.glob("cells/**/method=energy/**/*.parquet")
    part.unlink()
    done = command("verify", put(run, "run"))
    assert (done.code, "energy" in done.out) == (1, True)


def test_a_run_beside_its_certificate_is_read_there(put: Put, run: Path, tmp_path: Path) -> None:
    assert command("certify", run, *QUICK, "--out", tmp_path / "signed").code == 0
    put(run, "project/run")
    url = put(tmp_path / "signed", "project/signed")
    assert command("verify", url) == (0, f"{url}/certificate.json: holds\n", "")
    compared = command("diff", url, tmp_path / "signed")
    assert (compared.code, compared.err) == (0, "")
    assert compared.out == command("diff", tmp_path / "signed", tmp_path / "signed").out


def test_only_what_a_reader_asks_for_is_copied(run: Path, tmp_path: Path) -> None:
    layouts.write(run / "pending" / "huge.parquet", b"x" * 1000)
    url = to_memory(run, "run")
    assert command("certify", url, *QUICK, "--out", tmp_path / "out").code == 0
    assert not any("pending" in path for path in remote._copied)
    assert len(remote._copied) == 2
    remote._copied.clear()
    assert command("card", tmp_path / "out").code == 0
    assert not remote._copied


def test_a_plan_and_the_functions_are_those_of_the_disk(put: Put, run: Path, tmp_path: Path) -> None:
    url = put(run, "run")
    assert command("plan", url, "--json") == command("plan", run, "--json")
    assert earmark.plan(url) == earmark.plan(run)
    rule = {"name": "paper", "replicates": 200}
    signed = earmark.certify(url, **rule)
    assert signed == earmark.certify(run, **rule)
    saved = signed.save(tmp_path / "saved")
    assert content(saved)["run"] == url
    assert earmark.verify(saved) is None
    again = earmark.Certificate.read(saved)
    assert content(again.save(tmp_path / "again"))["run"] == url


def test_an_import_is_that_of_the_disk(put: Put, tmp_path: Path) -> None:
    rows = ["sample_id,query_family,loss", *(f"{i},{'ab'[i % 2]},{int(i % 5 == 0)}" for i in range(40))]
    for name in ("raw.csv", "energy.csv"):
        layouts.write(tmp_path / "logs" / name, "\n".join(rows).encode())
    url = put(tmp_path / "logs", "logs")
    named = ["--corpus", "sounds", "--answerer", "tiny", "--source", "none"]
    for start, out in ((tmp_path / "logs", "here"), (url, "there")):
        done = command(
            "import", "csv", f"{start}/raw.csv", f"energy@0.5={start}/energy.csv", *named, "--out", tmp_path / out
        )
        assert (done.code, remote._folder() in done.out + done.err) == (0, False), done.err
    files = {path.relative_to(tmp_path / "here") for path in (tmp_path / "here").rglob("*") if path.is_file()}
    for name in files:
        assert (tmp_path / "there" / name).read_bytes() == (tmp_path / "here" / name).read_bytes(), name
    lacking = command("import", "csv", f"{url}/raw.csv", f"{url}/energy.csv", *named, "--out", tmp_path / "no")
    assert (lacking.code, f"'{url}/energy.csv': is not METHOD@BUDGET=LOG" in lacking.err.replace(": is", ": is")) == (
        2,
        True,
    )


def test_a_corpus_is_that_of_the_disk_and_its_recordings_stay_there(put: Put, tmp_path: Path) -> None:
    folder = layouts.manifest(tmp_path / "colours")
    url = put(folder, "colours")
    for options in ([], ["--audio", "decode"]):
        here = command("corpus", folder, "--workers", 0, *options)
        there = command("corpus", url, "--workers", 0, *options)
        assert (here.code, there) == (0, here)
    assert not any(path.endswith(".wav") for path in remote._copied)
    for name in ("here", "there"):
        command("corpus", folder if name == "here" else url, "--audio", "none", "--out", tmp_path / name)
    assert (tmp_path / "there/partitions.parquet").read_bytes() == (tmp_path / "here/partitions.parquet").read_bytes()
    table = next(path for path in folder.iterdir() if path.name.startswith("manifest"))
    of_a_table = command("corpus", f"{url}/{table.name}", "--workers", 0)
    assert of_a_table == command("corpus", table, "--workers", 0)


def test_archives_and_tables_are_copied(put: Put, tmp_path: Path) -> None:
    folder = layouts.hub(tmp_path / "dataset")
    assert command("corpus", put(folder, "dataset"), "--workers", 0) == command("corpus", folder, "--workers", 0)


def test_a_draft_names_the_url(put: Put, tmp_path: Path) -> None:
    url = put(layouts.manifest(tmp_path / "colours"), "colours")
    done = command("init", url, "--no-measure", "--out", tmp_path / "spec.toml")
    assert (done.code, done.err) == (0, "")
    assert f'path = "{url}"' in (tmp_path / "spec.toml").read_text()
    put(tmp_path, "specs")
    of_spec = command("plan", tmp_path / "spec.toml")
    assert (of_spec.code, of_spec.out) == (0, command("plan", url.replace("colours", "specs/spec.toml")).out), (
        of_spec.err
    )


# Refused -----------------------------------------------------------------------------------------------------


def refused(*arguments: object) -> str:
    """The one line that a command refuses with."""
    done = command(*arguments)
    assert (done.code, len(done.err.splitlines())) == (2, 1), done
    assert "Traceback" not in done.err
    assert "defect" not in done.err
    return done.err.rstrip("\n")


def test_nothing_is_written_to_a_url(run: Path, tmp_path: Path) -> None:
    url = to_memory(run, "run")
    line = "error: {}: is a URL, and Earmark writes to disks only; name a local folder with --out, and copy it there"
    assert refused("certify", url) == line.format("memory://run")
    assert refused("certify", run, "--out", "s3://bucket/out") == line.format("s3://bucket/out")
    csv = layouts.write(tmp_path / "raw.csv", b"")
    assert refused("import", "csv", csv, f"energy@0.5={csv}", "--out", "gs://a/b") == line.format("gs://a/b")
    assert refused("corpus", "synthetic:certification:4", "--out", "s3://a/b") == line.format("s3://a/b")
    assert refused("init", "synthetic:certification:4", "--out", "s3://a/b.toml") == line.format("s3://a/b.toml")
    assert refused("run", url) == line.format("memory://run")
    assert not remote._copied or all("memory" in path for path in remote._copied)


def test_what_is_not_there_is_said(put: Put, run: Path) -> None:
    url = put(run, "run")
    for command_of in (["certify", "--out", "/nowhere"], ["plan"], ["corpus"], ["verify"]):
        if command_of[0] != "certify":
            line = refused(*command_of, f"{url}/none")
            assert line == f"error: {url}/none: there is no such object, and none below it; check its name"


@pytest.mark.usefixtures("bucket")
def test_a_bucket_that_is_not_there() -> None:
    assert refused("plan", "s3://no-such-bucket/run") == (
        "error: s3://no-such-bucket/run: there is no such bucket; check its name"
    )


def test_a_server_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret-of-a-test")
    monkeypatch.setattr(remote, "_TRIES", 1)
    remote._system.cache_clear()
    assert refused("plan", "s3://bucket/run") == (
        "error: s3://bucket/run: its host does not answer; check the network, "
        "and the endpoint if you set one (AWS_ENDPOINT_URL)"
    )
    remote._system.cache_clear()


@pytest.mark.parametrize(
    ("message", "what"),
    [
        ("AWS Error ACCESS_DENIED during HeadObject operation", "these credentials, or none, may not read it"),
        ("Could not create a OAuth2 access token to authenticate the request", "there are no credentials for it"),
        ("ConnectError: Name or service not known", "its host does not answer"),
        ("curlCode: 28, Timeout was reached", "its host takes too long"),
        ("something else\nof two lines", "cannot be read (OSError: something else of two lines)"),
    ],
)
def test_the_words_of_libraries_become_one_line(message: str, what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_: object) -> None:
        raise OSError(message)

    files = type("Files", (), {"get_file_info": staticmethod(fails)})
    monkeypatch.setattr(remote, "_system", lambda _: files)
    assert refused("plan", "s3://bucket/run").startswith(f"error: s3://bucket/run: {what}; ")


def test_a_package_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def lacks(name: str) -> None:
        raise ModuleNotFoundError(f"No module named '{name}'", name=name)

    monkeypatch.setattr(remote, "import_module", lacks)
    remote._system.cache_clear()
    assert refused("plan", "memory://run") == (
        "error: reading memory://: needs fsspec, which is not installed; pip install 'earmark[remote]'"
    )
    remote._system.cache_clear()


def test_secrets_are_refused_or_left_out() -> None:
    assert "hunter2" not in refused("plan", "s3://key:hunter2@bucket/run")
    assert "holds credentials" in refused("plan", "s3://key:hunter2@bucket/run")
    line = refused("plan", "memory://run/x.toml?X-Amz-Signature=hunter2")
    assert line == "error: memory://run/x.toml: there is no such object, and none below it; check its name"
    assert "'ftp' is no kind of URL that is read" in refused("plan", "ftp://host/run")


def test_names_that_lead_elsewhere_are_refused() -> None:
    memory = fsspec.filesystem("memory")
    memory.pipe("/x", b"x")
    memory.store["/run/../../evil"] = memory.store.pop("/x")
    assert "'../../evil': is the name of no file" in refused("plan", "memory://run")


def test_more_than_is_declared_is_not_copied(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "MOST_COPIED_BYTES", 1000)
    line = refused("plan", to_memory(run, "run"))
    assert line.endswith(
        " bytes to copy, and 1,000 are copied at most; copy it here with a tool of its own, and name the copy"
    )
    assert not remote._copied


def test_a_file_url_is_the_file(run: Path) -> None:
    assert command("plan", f"file://{run}", "--json") == command("plan", run, "--json")


@pytest.mark.parametrize(
    "path", ["runs/mmar", "/runs/mmar", "synthetic:certification:4", "c:/runs", "a=b", "energy@0.4"]
)
def test_a_path_is_no_url(path: str) -> None:
    assert url_in(path) is None
    assert url_in(Path(path)) is None


def test_a_url_keeps_what_it_is_as_a_path() -> None:
    assert url_in(Path("s3://bucket/run")) == "s3://bucket/run"
    assert with_urls("s3:/bucket/run: x; y") == "s3://bucket/run: x; y"
    assert with_urls("https://u:p@host/a?sig=1: x") == "https://host/a: x"
