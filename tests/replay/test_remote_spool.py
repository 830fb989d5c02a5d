"""The spool that machines share: whole files or none, on a disk and in object storage."""

from __future__ import annotations

from pathlib import Path

import pytest

from workbench.errors import ConfigError, PrivacyRefused, UsageError
from workbench.records import EvalKind
from workbench.replay import ray_cluster
from workbench.replay.remote_spool import RemoteSpool
from workbench.specs import EvalConfig, RayCluster


def url_of(kind: str, folder: Path) -> str:
    """Return an address of each kind, with nothing in it."""
    return {
        "path": str(folder),
        "file": f"file://{folder}",
        "memory": f"memory://{folder.name}-spool/below",
    }[kind]


@pytest.mark.parametrize("kind", ["path", "file", "memory"])
def test_what_is_written_is_read_listed_and_removed(kind: str, tmp_path: Path) -> None:
    """Disk and object storage behave alike: names with slashes, sorted lists, removal twice."""
    spool = RemoteSpool(url_of(kind, tmp_path))
    assert spool.names("run") == []
    spool.write("run/00000002/parts/b.parquet", b"two")
    spool.write("run/00000001/parts/a.parquet", b"one")
    spool.write("run/00000001/run.json", b"{}")
    spool.write("run/00000001/run.json", b"{1}")
    assert spool.names("run") == [
        "run/00000001/parts/a.parquet",
        "run/00000001/run.json",
        "run/00000002/parts/b.parquet",
    ]
    assert spool.folders("run") == ["00000001", "00000002"]
    assert spool.read("run/00000001/run.json") == b"{1}"
    assert spool.exists("run/00000001/run.json")
    spool.remove("run/00000001")
    spool.remove("run/00000001")
    assert not spool.exists("run/00000001/run.json")
    assert spool.names("run") == ["run/00000002/parts/b.parquet"]
    with pytest.raises(FileNotFoundError):
        spool.read("run/00000001/run.json")


def test_an_unfinished_file_is_not_listed(tmp_path: Path) -> None:
    """What a killed writer left half-written is never taken for a file."""
    spool = RemoteSpool(str(tmp_path))
    spool.write("run/a", b"1")
    (tmp_path / "run" / ".b.1234.part").write_bytes(b"half")
    assert spool.names("run") == ["run/a"]


@pytest.mark.parametrize(
    "url", ["s3://key:secret@bucket/x", "s3://bucket/x?secret=1", "http://host/x", "ftp://host/x"]
)
def test_addresses_with_keys_or_without_atomic_writes_are_refused(url: str) -> None:
    """An address is written into files, so it may hold no key; and half a part must never be seen."""
    with pytest.raises(ConfigError) as error:
        RemoteSpool(url)
    assert "secret" not in str(error.value)


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "a/../../x", ""])
def test_a_name_stays_in_the_spool(name: str, tmp_path: Path) -> None:
    """No name leads out of the spool."""
    with pytest.raises(ValueError, match="no name"):
        RemoteSpool(str(tmp_path)).write(name, b"")


INNER = EvalConfig(task="t", kind=EvalKind.LABEL, labels=("a",))
OUTER = EvalConfig(task="t", kind=EvalKind.LABEL, labels=("a",), allowed_zone="external")


def test_data_goes_to_no_cluster_that_is_not_declared_internal() -> None:
    """Only this machine is internal by itself; a public address never is; metadata services are nobody's."""
    ray_cluster.admit(["127.0.0.1"], RayCluster(), INNER)
    ray_cluster.admit(["10.0.0.5", "10.0.0.6"], RayCluster(zone="internal"), INNER)
    ray_cluster.admit(["8.8.8.8"], RayCluster(zone="external"), OUTER)
    for addresses, cluster, eval_config in (
        (["10.0.0.5"], RayCluster(), INNER),
        (["8.8.8.8"], RayCluster(zone="external"), INNER),
        (["10.0.0.5", "8.8.8.8"], RayCluster(zone="internal"), INNER),
        (["169.254.169.254"], RayCluster(zone="external"), OUTER),
    ):
        with pytest.raises(PrivacyRefused, match=r"address|zone"):
            ray_cluster.admit(addresses, cluster, eval_config)


def test_object_storage_counts_as_external_until_declared(tmp_path: Path) -> None:
    """Requests lie in the spool: storage elsewhere needs the same permission as a candidate elsewhere."""
    store = RemoteSpool("memory://bucket/spool")
    with pytest.raises(PrivacyRefused, match="memory://bucket"):
        ray_cluster.admit_spool(store, RayCluster(spool=store.url), INNER)
    ray_cluster.admit_spool(store, RayCluster(spool=store.url, zone="internal"), INNER)
    ray_cluster.admit_spool(store, RayCluster(spool=store.url), OUTER)
    with pytest.raises(UsageError, match="all of its machines"):
        ray_cluster.admit_spool(RemoteSpool(str(tmp_path)), RayCluster(address="auto"), INNER)
