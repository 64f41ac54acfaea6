"""The job servers a local cluster can have: Flink's, as Beam publishes it, or Beam's own without Flink."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

BEAM = "2.77.0"
FLINK = "1.20"
ARTIFACT = f"beam-runners-flink-{FLINK}-job-server"
COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy"
JAVA_VERSIONS = range(11, 22)

# Flink reads and writes objects of these packages; since Java 17 that must be allowed by name.
OPENED = (
    "java.lang", "java.lang.reflect", "java.io", "java.net", "java.nio", "java.text", "java.time",
    "java.util", "java.util.concurrent", "java.util.concurrent.atomic", "java.util.concurrent.locks",
    "sun.nio.ch",
)  # fmt: skip

# Everything on the loopback interface, and small: heap, direct and managed memory together under 1.2 GB.
HEAP = ("-Xms64m", "-Xmx768m", "-XX:MaxDirectMemorySize=384m", "-XX:+UseSerialGC")
FLINK_CONFIGURATION = {
    "jobmanager.bind-host": "127.0.0.1",
    "jobmanager.rpc.address": "127.0.0.1",
    "taskmanager.bind-host": "127.0.0.1",
    "taskmanager.host": "127.0.0.1",
    "rest.bind-address": "127.0.0.1",
    "taskmanager.memory.managed.size": "128m",
    "taskmanager.memory.network.min": "64m",
    "taskmanager.memory.network.max": "64m",
}


class SetupError(Exception):
    """The cluster cannot be brought up; says what was expected, what was found and what to do."""

    exit_code = 2

    def __init__(self, headline: str, *, expected: str, received: str, advice: str) -> None:
        super().__init__(
            f"error: {headline}\n  expected  {expected}\n  received  {received}\n  next      {advice}"
        )


class UnavailableError(SetupError):
    """Something that must come from elsewhere cannot be had here."""

    exit_code = 3


@dataclass(frozen=True)
class Ports:
    """Loopback ports of a cluster."""

    job: int
    artifacts: int
    workers: int


def flink(folder: Path, ports: Ports, parallelism: int, master: str) -> list[str]:
    """Return the command of Flink's job server; finds Java and the jar, or gets them.

    Args:
        folder: Where the cluster keeps its files.
        ports: Where it is to listen.
        parallelism: Task slots of the embedded cluster.
        master: ``[local]`` for an embedded cluster, else the address of a running one, ``host:port``.

    Raises:
        UnavailableError: Java or the jar cannot be had.
    """
    java, jar = find_java(), find_jar(folder)
    configuration, temporary, staging = (folder / name for name in ("conf", "tmp", "staging"))
    for made in (configuration, temporary, staging):
        made.mkdir(parents=True, exist_ok=True)
    values = FLINK_CONFIGURATION | {
        "io.tmp.dirs": str(temporary),
        "taskmanager.numberOfTaskSlots": str(parallelism),
    }
    text = "".join(f"{name}: {value}\n" for name, value in values.items())
    # Flink 1 reads the one file, Flink 2 the other.
    for name in ("flink-conf.yaml", "config.yaml"):
        (configuration / name).write_text(text)
    opened = [f"--add-opens=java.base/{package}=ALL-UNNAMED" for package in OPENED]
    opened.append("--add-exports=java.base/sun.net.util=ALL-UNNAMED")
    jvm = [java, *HEAP, f"-Djava.io.tmpdir={temporary}", *opened, "-jar", str(jar)]
    server = {
        "flink-master": master,
        "flink-conf-dir": configuration,
        "job-host": "127.0.0.1",
        "job-port": ports.job,
        "artifact-port": ports.artifacts,
        "expansion-port": -1,  # transforms of other languages, of which there are none
        "artifacts-dir": staging,
    }
    return jvm + [f"--{name}={value}" for name, value in server.items()]


def without_flink(folder: Path, ports: Ports) -> list[str]:
    """Return the command of Beam's own job server: the same protocol and the same workers, another engine."""
    module = "apache_beam.runners.portability.local_job_service_main"
    staging = folder / "staging"
    staging.mkdir(parents=True, exist_ok=True)
    return [sys.executable, "-m", module, f"--job_port={ports.job}", f"--staging_dir={staging}"]


def find_java() -> str:
    """Return a Java that Flink runs on: JAVA_HOME's, the PATH's, else Debian's, installed if allowed."""
    home = os.environ.get("JAVA_HOME")
    candidates = [str(Path(home, "bin", "java"))] if home else []
    candidates.append(shutil.which("java") or "/usr/bin/java")
    for java in candidates:
        if java_version(java) in JAVA_VERSIONS:
            return java
    if install("openjdk-17-jre-headless") and java_version("/usr/bin/java") in JAVA_VERSIONS:
        return "/usr/bin/java"
    raise UnavailableError(
        "Flink needs Java 17",
        expected=f"Java {JAVA_VERSIONS[0]} to {JAVA_VERSIONS[-1]}",
        received=", ".join(f"{java}: {java_version(java) or 'nothing'}" for java in candidates),
        advice="sudo apt-get install openjdk-17-jre-headless, or set JAVA_HOME",
    )


def java_version(java: str) -> int | None:
    """Return the major version of a Java; None if there is none."""
    try:
        said = subprocess.run([java, "-version"], capture_output=True, text=True, check=True).stderr
    except (OSError, subprocess.CalledProcessError):
        return None
    found = re.search(r'version "(\d+)', said)
    return int(found[1]) if found else None


def find_jar(folder: Path) -> Path:
    """Return the job server's jar: FLINK_JOB_SERVER_JAR, the one of an earlier time, or Maven's.

    Maven compares what it downloads with the repository's checksum; later starts compare with what came
    then.

    Raises:
        SetupError: It is damaged, or not where FLINK_JOB_SERVER_JAR says.
        UnavailableError: It cannot be downloaded.
    """
    given = os.environ.get("FLINK_JOB_SERVER_JAR")
    if given:
        if Path(given).is_file():
            return Path(given).absolute()
        raise SetupError(
            "there is no job server",
            expected="a Beam Flink job server jar",
            received=f"FLINK_JOB_SERVER_JAR={given}, which is no file",
            advice="unset FLINK_JOB_SERVER_JAR to let Maven download it",
        )
    jar = folder / f"{ARTIFACT}-{BEAM}.jar"
    checksum = jar.with_suffix(".sha256")
    if not checksum.exists():
        download(jar)
        checksum.write_text(sha256(jar))
    if not jar.exists() or sha256(jar) != checksum.read_text():
        raise SetupError(
            "the job server's jar is not the one that was downloaded",
            expected=f"SHA-256 {checksum.read_text()}",
            received=f"SHA-256 {sha256(jar)}" if jar.exists() else "no file",
            advice=f"rm {checksum} and start again: it is then downloaded anew",
        )
    return jar


def download(jar: Path) -> None:
    """Let Maven download the job server.

    Raises:
        UnavailableError: There is no Maven, or it cannot get the jar.
    """
    maven = shutil.which("mvn") or (install("maven") and shutil.which("mvn"))
    coordinates = f"org.apache.beam:{ARTIFACT}:{BEAM}"
    by_hand = f"get {coordinates} elsewhere, then FLINK_JOB_SERVER_JAR=/path/to/the.jar infra/flink/up"
    if not maven:
        raise UnavailableError(
            "Maven is needed to download Flink's job server", expected="mvn", received="none", advice=by_hand
        )
    print(f"Downloading {coordinates} (about 0.3 GB, once)", flush=True)
    jar.parent.mkdir(parents=True, exist_ok=True)
    # --update-snapshots: a failure of an earlier time is not remembered.
    command = [maven, "--batch-mode", "--quiet", "--strict-checksums", "--update-snapshots"]
    command += ["-Dstyle.color=never", COPY, f"-Dartifact={coordinates}", f"-DoutputDirectory={jar.parent}"]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode or not jar.exists():
        said = re.findall(r"\[ERROR\] (.*)", done.stdout)
        raise UnavailableError(
            "Flink's job server cannot be downloaded",
            expected=coordinates,
            received=said[0][:300] if said else f"mvn ended with {done.returncode}",
            advice=f"{by_hand}; or infra/flink/up --without-flink",
        )


def sha256(file: Path) -> str:
    """Return a file's SHA-256 as hex."""
    with file.open("rb") as source:
        return hashlib.file_digest(source, "sha256").hexdigest()


def install(package: str) -> bool:
    """Install a Debian package where this account may; return whether that worked."""
    apt = shutil.which("apt-get")
    if not apt or os.geteuid() != 0:
        return False
    print(f"Installing {package}", flush=True)
    environment: Mapping[str, str] = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    for command in ([apt, "-qq", "update"], [apt, "-qq", "install", "-y", package]):
        if subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=False).returncode:
            return False
    return True
