"""Settings: which source wins, what is refused, and that no secret is ever shown."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st

from orchestration import secrets
from orchestration.errors import ConfigurationError
from orchestration.secrets import MASK, redact, redact_all, remember, resolve
from orchestration.settings import current, load, project_root, use

TOML = """
[profiles.local]
concurrency = 3

[profiles.production]
journal = "postgresql://app:${DB_PASSWORD}@db/headrace"
tracking = "https://mlflow.example.com"
artifacts = "s3://bucket/artifacts"
models = "live"
gpus = 2

[profiles.production.beam]
runner = "FlinkRunner"
flink_master = "${FLINK_MASTER}"
parallelism = 4
"""


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("HEADRACE_"):
            monkeypatch.delenv(name)
    # What one test resolves must not be masked in the next.
    monkeypatch.setattr(secrets, "_known", set())


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with two profiles."""
    (tmp_path / "headrace.toml").write_text(TOML)
    (tmp_path / "pipelines").mkdir()
    return tmp_path


class TestPlaces:
    def test_without_a_file_everything_lies_below_the_project(self, tmp_path: Path) -> None:
        (tmp_path / ".git").mkdir()
        (tmp_path / "deep" / "down").mkdir(parents=True)
        found = load(start=tmp_path / "deep" / "down")
        assert found.home == tmp_path / ".headrace"
        assert found.profile == "local"
        assert found.journal == f"sqlite:///{tmp_path}/.headrace/journal.db"
        assert found.tracking == f"sqlite:///{tmp_path}/.headrace/mlflow.db"
        assert found.tracking_artifacts == f"{tmp_path}/.headrace/mlflow-artifacts"
        assert found.artifacts == f"{tmp_path}/.headrace/artifacts"
        assert found.models == tmp_path / ".headrace" / "models"
        assert (found.beam, found.gpus, found.experiment_prefix) == ({}, 0, "")
        assert found.concurrency >= 1

    @pytest.mark.parametrize("mark", ["headrace.toml", "pyproject.toml", ".git"])
    def test_the_nearest_mark_makes_the_root(self, tmp_path: Path, mark: str) -> None:
        inner = tmp_path / "a" / "b"
        inner.mkdir(parents=True)
        (tmp_path / "pyproject.toml").touch()
        (tmp_path / "a" / mark).touch()
        assert project_root(inner) == tmp_path / "a"

    def test_without_a_mark_the_folder_itself_is_the_root(self) -> None:
        assert project_root(Path("/")) == Path("/")

    def test_the_home_variable_moves_everything(
        self, project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HEADRACE_HOME", str(tmp_path / "elsewhere"))
        found = load(start=project)
        assert found.home == tmp_path / "elsewhere"
        assert str(tmp_path / "elsewhere") in found.journal
        assert found.models.parent == found.home

    def test_loading_makes_no_folder(self, tmp_path: Path) -> None:
        load(start=tmp_path)
        assert list(tmp_path.iterdir()) == []


class TestSources:
    def test_the_file_wins_over_defaults(self, project: Path) -> None:
        assert load(start=project).concurrency == 3

    def test_the_environment_wins_over_the_file(self, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HEADRACE_CONCURRENCY", "5")
        assert load(start=project).concurrency == 5

    def test_the_caller_wins_over_all_and_none_leaves_a_value_alone(
        self, project: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HEADRACE_CONCURRENCY", "5")
        assert load(start=project, concurrency=7).concurrency == 7
        assert load(start=project, concurrency=None).concurrency == 5

    def test_a_profile_is_chosen_by_argument_then_by_variable(
        self, project: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HEADRACE_PROFILE", "production")
        assert load(start=project).gpus == 2
        assert load("local", start=project).gpus == 0

    def test_beam_options_of_several_sources_are_put_together(
        self, project: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HEADRACE_BEAM", '{"parallelism": 8}')
        monkeypatch.setenv("FLINK_MASTER", "flink:8081")
        found = load("production", start=project)
        assert found.beam_options == {"runner": "FlinkRunner", "flink_master": "flink:8081", "parallelism": 8}

    def test_relative_paths_are_relative_to_where_they_are_written(
        self, project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(project / "pipelines")
        assert load("production", start=project).models == project / "live"
        monkeypatch.setenv("HEADRACE_ARTIFACTS", "here")
        monkeypatch.setenv("HEADRACE_JOURNAL", "sqlite:///here.db")
        found = load(start=project)
        assert found.artifacts == str(project / "pipelines" / "here")
        assert found.journal == f"sqlite:///{project}/pipelines/here.db"

    @pytest.mark.parametrize(
        "url", ["sqlite:////abs/x.db", "sqlite:///:memory:", "postgresql://db/x", "http://host:5000", "off"]
    )
    def test_other_urls_stay_as_written(self, tmp_path: Path, url: str) -> None:
        assert load(start=tmp_path, tracking=url).tracking == url

    def test_an_empty_variable_counts_as_not_set(
        self, project: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HEADRACE_CONCURRENCY", "")
        assert load(start=project).concurrency == 3


WRONG: dict[str, tuple[str, str]] = {
    "[profiles.local]\nconcurency = 3": ('there is no setting "concurency"', "did you mean concurrency?"),
    "[profile.local]\ngpus = 3": ('there is no table "profile"', "expected  profiles"),
    "[profiles.local]\ngpus = '3'": (
        'setting "gpus" is wrong',
        "expected  a whole number, 0 or more",
    ),
    "[profiles.local]\ngpus = true": ('setting "gpus" is wrong', "gpus = True (profiles.local"),
    "[profiles.local]\njournal = 3": ('setting "journal" is wrong', "expected  text"),
    "[profiles.local]\nbeam = 'x'": ('setting "beam" is wrong', "expected  a table of options"),
    "[profiles.local]\nconcurrency = 0": ('setting "concurrency" is wrong', "1 or more"),
    "[profiles.local": ("is not valid TOML", "at end of document"),
}


class TestRefusals:
    @pytest.mark.parametrize("text", WRONG)
    def test_what_is_wrong_in_the_file_is_named_with_the_file(self, tmp_path: Path, text: str) -> None:
        (tmp_path / "headrace.toml").write_text(text)
        with pytest.raises(ConfigurationError) as caught:
            load(start=tmp_path)
        for words in (*WRONG[text], "headrace.toml"):
            assert words in str(caught.value)

    @pytest.mark.parametrize(
        ("name", "value", "words"),
        [
            ("HEADRACE_GPUS", "two", "a whole number"),
            ("HEADRACE_BEAM", "{", "a table of options"),
            ("HEADRACE_BEAM", "[1]", "a table of options"),
            ("HEADRACE_CONCURRENCY", "-1", "1 or more"),
        ],
    )
    def test_what_is_wrong_in_a_variable_is_named(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str, words: str
    ) -> None:
        monkeypatch.setenv(name, value)
        with pytest.raises(ConfigurationError) as caught:
            load(start=tmp_path)
        assert name in str(caught.value)
        assert words in str(caught.value)

    def test_an_unknown_profile_names_the_nearest(self, project: Path) -> None:
        with pytest.raises(ConfigurationError) as caught:
            load("prodution", start=project)
        assert 'there is no profile "prodution"' in str(caught.value)
        assert "expected  local or production" in str(caught.value)
        assert "next      did you mean production?" in str(caught.value)

    def test_a_profile_without_a_file_is_unknown_too(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigurationError, match='there is no profile "production"'):
            load("production", start=tmp_path)

    def test_an_unknown_argument_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigurationError, match='there is no setting "jurnal"'):
            load(start=tmp_path, jurnal="x")


class TestSecrets:
    def test_a_reference_is_resolved_when_it_is_needed(
        self, project: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        found = load("production", start=project)
        assert found.journal == "postgresql://app:${DB_PASSWORD}@db/headrace"
        with pytest.raises(ConfigurationError) as caught:
            _ = found.journal_url
        assert "DB_PASSWORD" in str(caught.value)
        monkeypatch.setenv("DB_PASSWORD", "p@ss/word")
        assert found.journal_url == "postgresql://app:p%40ss%2Fword@db/headrace"

    def test_a_whole_url_may_be_a_secret(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "headrace.toml").write_text('[profiles.local]\ntracking = "${MLFLOW_AT}"')
        monkeypatch.setenv("MLFLOW_AT", "https://user:pw@host/x")
        found = load(start=tmp_path)
        assert found.tracking_uri == "https://user:pw@host/x"
        assert "pw@" not in repr(found)

    def test_a_secret_may_come_from_a_file(self, tmp_path: Path) -> None:
        (tmp_path / "token").write_text("file-secret\n")
        text = f'[profiles.local.beam]\ntoken = "${{file:{tmp_path}/token}}"'
        (tmp_path / "headrace.toml").write_text(text)
        assert load(start=tmp_path).beam_options == {"token": "file-secret"}

    def test_a_missing_file_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigurationError, match="needs a secret that is not there"):
            resolve(f"${{file:{tmp_path}/none}}", "journal")

    def test_nothing_that_shows_settings_shows_a_secret(
        self, project: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("DB_PASSWORD", "hunter2hunter2")
        direct = "postgresql://app:hunter3hunter3@db/x"
        for found in (load("production", start=project), load(start=project, journal=direct)):
            _ = found.journal_url
            for shown in (repr(found), str(found), f"{found}"):
                assert "hunter" not in shown
        assert "hunter3hunter3" in load(start=project, journal=direct).journal_url

    def test_an_error_about_settings_shows_no_password(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HEADRACE_GPUS", "https://me:hunter2@host")
        with pytest.raises(ConfigurationError) as caught:
            load(start=tmp_path)
        assert "hunter2" not in str(caught.value)

    def test_a_secret_from_elsewhere_is_masked_once_it_is_remembered(self) -> None:
        remember("open sesame")
        assert redact("say open sesame or open%20sesame") == f"say {MASK} or {MASK}"

    @pytest.mark.parametrize(
        ("text", "shown"),
        [
            ("postgresql://u:pw@host/db failed", "postgresql://u:***@host/db failed"),
            ("http://:pw@host", "http://:***@host"),
            ("s3://b/x?token=abc&y=1", "s3://b/x?token=***&y=1"),
            ("https://host/a?y=1&PASSWORD=abc", "https://host/a?y=1&PASSWORD=***"),
            ("two http://a:b@c http://d:e@f", "two http://a:***@c http://d:***@f"),
            ("http://host:5000/path@x", "http://host:5000/path@x"),
            ("postgresql://u:${PW}@host", "postgresql://u:${PW}@host"),
            ("plain text", "plain text"),
        ],
    )
    def test_urls_are_redacted(self, text: str, shown: str) -> None:
        assert redact(text) == shown

    def test_variables_named_like_secrets_are_masked(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "abcdefgh12345")
        monkeypatch.setenv("MY_TOKEN", "short")
        nested: dict[str, Any] = {"error": ["denied for abcdefgh12345"], "n": 3, "short": "short"}
        assert redact_all(nested) == {"error": [f"denied for {MASK}"], "n": 3, "short": "short"}

    @given(st.text(alphabet=st.characters(min_codepoint=33, max_codepoint=126), min_size=3, max_size=20))
    def test_a_resolved_secret_is_masked_as_it_is_and_in_a_url(self, secret: str) -> None:
        variable = "HEADRACE_TEST_VALUE"
        secrets._known.clear()  # what an earlier example resolved may be a part of this text
        os.environ[variable] = secret
        try:
            url = resolve(f"postgresql://u:${{{variable}}}@host/db")
        finally:
            del os.environ[variable]
        assert redact(f"<< {secret} >>") == f"<< {MASK} >>" or MASK in redact(secret)
        assert redact(url).startswith("postgresql://u:***@") or secret in "postgresql://u:@host/db***"


class TestTravel:
    def test_settings_survive_pickling_without_their_secrets(
        self, project: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("DB_PASSWORD", "hunter2hunter2")
        found = load("production", start=project)
        _ = found.journal_url
        sent = pickle.dumps(found)
        assert b"hunter" not in sent
        assert pickle.loads(sent) == found

    def test_a_child_process_gets_the_same_settings_from_its_environment(
        self, project: Path, tmp_path: Path
    ) -> None:
        found = load("production", start=project, concurrency=9, experiment_prefix="team/")
        code = "from orchestration.settings import load; print(load())"
        child = subprocess.run(
            [sys.executable, "-c", code],
            check=True,
            capture_output=True,
            text=True,
            cwd=project,
            env={**os.environ, **found.to_env(), "PYTHONPATH": str(Path(__file__).resolve().parents[2])},
        )
        assert child.stdout.strip() == repr(found)

    def test_loading_without_a_file_is_light(self) -> None:
        code = (
            "import sys; from orchestration.settings import load; load(); "
            "print(sorted({'tomllib', 'sqlalchemy', 'mlflow', 'apache_beam'} & set(sys.modules)))"
        )
        child = subprocess.run(
            [sys.executable, "-c", code],
            check=True,
            capture_output=True,
            text=True,
            cwd="/",
            env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])},
        )
        assert child.stdout.strip() == "[]"


class TestCurrent:
    def test_use_is_at_once_and_ends_with_its_block(self, tmp_path: Path) -> None:
        one, other = load(start=tmp_path, gpus=1), load(start=tmp_path, gpus=2)
        with use(one):
            assert current() is one
            with use(other) as inner:
                assert current() is inner is other
            assert current() is one
        assert current() == load()

    def test_threads_see_the_settings_in_use(self, tmp_path: Path) -> None:
        from concurrent.futures import ThreadPoolExecutor

        one = load(start=tmp_path, gpus=1)
        with use(one), ThreadPoolExecutor(1) as pool:
            assert pool.submit(current).result() is one
