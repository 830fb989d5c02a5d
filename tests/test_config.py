"""Configuration: what stands in the files is what is meant, or the message names the key."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from workbench import setup
from workbench.config import Workspace
from workbench.errors import ConfigError, UsageError
from workbench.profiling.naming import set_budget
from workbench.specs import Candidate, VLLMServer, is_loopback

LABEL_EVAL = 'task = "triage"\nkind = "label"\nlabels = ["a", "b"]\n'


def workspace(root: Path, config: str = "", evaluation: str = LABEL_EVAL) -> Workspace:
    (root / "evals" / "triage").mkdir(parents=True, exist_ok=True)
    (root / "workbench.toml").write_text(config)
    (root / "evals" / "triage" / "eval.toml").write_text(evaluation)
    return Workspace.load(root)


def candidate(**keys: str) -> str:
    table = {"name": "small", "engine": "openai", "model": "m", "base_url": "http://127.0.0.1:1/v1"} | keys
    return "[[candidates]]\n" + "".join(f'{key} = "{value}"\n' for key, value in table.items())


def test_a_folder_without_a_configuration_is_refused_with_the_command_that_makes_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="not a workspace") as caught:
        Workspace.load(tmp_path)
    assert "workbench init" in caught.value.hint


@pytest.mark.parametrize("name", ["workbench.toml", "evals/triage/eval.toml", "evals/triage/guidelines.md"])
def test_a_file_in_another_encoding_is_named_with_what_to_do(tmp_path: Path, name: str) -> None:
    """A German or Chinese editor may save as it likes: the message names file and byte, and is no crash."""
    workspace(tmp_path)
    path = tmp_path / name
    path.write_bytes(b"# R\xfcckfrage\n")
    with pytest.raises(ConfigError, match="byte 4 is not UTF-8") as caught:
        _ = Workspace.load(tmp_path).evals
    assert str(path) in str(caught.value)
    assert "UTF-8" in caught.value.hint


def test_a_byte_order_mark_is_no_part_of_a_file(tmp_path: Path) -> None:
    """Windows editors begin a file with one: it is read, and written to, all the same."""
    workspace(tmp_path)
    for name in ("workbench.toml", "evals/triage/eval.toml"):
        path = tmp_path / name
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert Workspace.load(tmp_path).evals["triage"].labels
    setup.add_candidate(tmp_path, {"name": "small", "engine": "recorded", "outputs": "o.jsonl"})
    set_budget(Workspace.load(tmp_path), 12.0)
    assert Workspace.load(tmp_path).config.costs.budget_usd_month == 12.0
    assert Workspace.load(tmp_path).config.candidates[0].name == "small"


def test_a_folder_in_place_of_an_eval_is_an_error_in_words(tmp_path: Path) -> None:
    """What can't be read is named."""
    workspace(tmp_path)
    (tmp_path / "evals" / "other" / "eval.toml").mkdir(parents=True)
    with pytest.raises(ConfigError, match="other"):
        _ = Workspace.load(tmp_path).evals


@pytest.mark.parametrize(
    "config",
    [
        candidate(base_url="http://user:SECRET1@host/v1"),
        candidate(base_url="htps://user:SECRET1@host/v1"),
        candidate(base_url="http://host/v1?api_key=SECRET1"),
        candidate(api_key_env="sk-SECRET1"),
        candidate() + '[candidates.parameters]\nAPI-Key = "SECRET1"\n',
        candidate() + '[candidates.parameters]\nextra_headers = { Authorization = "SECRET1" }\n',
    ],
)
def test_a_key_in_the_configuration_is_refused_and_not_shown(tmp_path: Path, config: str) -> None:
    """Whoever puts a key where its variable belongs learns so, from a message that may be passed on."""
    with pytest.raises(ConfigError, match="small") as caught:
        workspace(tmp_path, config)
    assert "SECRET1" not in str(caught.value)
    assert "variable" in caught.value.hint


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (candidate(engin="x"), ["candidates[0].engin", "engine"]),
        (candidate(engine="openia"), ["small", "openai"]),
        (candidate(zone="inside"), ["small", "internal"]),
        (candidate() + candidate(), ["small", "twice"]),
        (candidate(name="../x"), ["../x", "not a name"]),
        ('[[candidates]]\nname = "small"\nengine = "openai"\nmodel = "m"\n', ["base_url"]),
        ('[[candidates]]\nname = "small"\nengine = "recorded"\n', ["outputs"]),
        (candidate() + "[candidates.parameters]\nmessages = []\n", ["'messages'", "`patch`"]),
        (candidate() + '[candidates.parameters]\nmodel = "n"\n', ["'model'", "own key `model`"]),
        (candidate() + "[candidates.parameters]\ntools = []\n", ["'tools'", "recorded with"]),
        (candidate() + "[candidates.parameters]\nn = 2\n", ["'n'", "`samples`"]),
        (candidate() + '[candidates.parameters]\ntemperature = "hot"\n', ["temperature is not a number"]),
        (candidate() + "[candidates.parameters]\nseed = nan\n", ["seed is not a number"]),
        ("store = 3\n", ["store", "should be a text"]),
        ("store = \n", ["line 1"]),
    ],
)
def test_a_wrong_key_of_the_workspace_is_named(tmp_path: Path, config: str, words: list[str]) -> None:
    """Each mistake in workbench.toml is a message with the file, the key and the way out."""
    with pytest.raises(ConfigError) as caught:
        workspace(tmp_path, config)
    for word in ["workbench.toml", *words]:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("evaluation", "words"),
    [
        (LABEL_EVAL + "[policy]\ntolrance = 0.1\n", ["policy.tolrance", "'tolerance'"]),
        (LABEL_EVAL + "[policy]\ntolerance = 5\n", ["policy.tolerance"]),
        (LABEL_EVAL + "[policy]\nladder = [0, 0.5, 0.1, 1]\n", ["policy.ladder"]),
        (LABEL_EVAL + "[policy]\nladder = [0, nan, 1]\n", ["policy.ladder"]),
        (LABEL_EVAL + "calls_per_day = -100\n", ["calls_per_day = -100", "outside"]),
        (LABEL_EVAL + "calls_per_day = 0\n", ["calls_per_day = 0", "outside"]),
        (LABEL_EVAL + "calls_per_day = inf\n", ["calls_per_day = inf", "outside"]),
        (LABEL_EVAL + "calls_per_day = nan\n", ["calls_per_day = nan", "outside"]),
        (LABEL_EVAL + '[[slices]]\nby = "input_length"\nedges = [10, nan]\n', ["input_length", "edge"]),
        (LABEL_EVAL + 2 * '[[slices]]\nby = "language"\n', ["two slices", "'language'", "name"]),
        (LABEL_EVAL + "[policy]\ntolerance = 0.02\ncritical_tolerance = 0.03\n", ["0.03", "0.02", "less"]),
        (LABEL_EVAL + '[policy]\nharm = "both"\n', ["policy.harm"]),
        (LABEL_EVAL + '[match]\ninput = "("\n', ["match.input"]),
        (LABEL_EVAL + '[[ignore]]\nname = "time"\npattern = "["\n', ["time"]),
        ('task = "triage"\nkind = "label"\nlabels = ["a"]\n', ["labels"]),
        ('task = "triage"\nkind = "fields"\n', ["fields"]),
        ('task = "triage"\nkind = "labels"\n', ["kind"]),
        (LABEL_EVAL + 'root = "x"\n', ["root"]),
        (LABEL_EVAL + "[policy]\nladder = []\n", ["policy.ladder"]),
        (LABEL_EVAL + "[policy]\nminimum_pairs = 0\n", ["policy.minimum_pairs"]),
        (LABEL_EVAL + "[policy]\nlevel = 0.2\n", ["policy.level"]),
        (LABEL_EVAL + '[[slices]]\nby = "langage"\n', ["langage", "'language'"]),
        (LABEL_EVAL + '[aliases]\nx = "c"\n', ["'c'", "labels"]),
        (LABEL_EVAL + '[normalise]\nwrappers = ["answer: .*"]\n', ["answer", "group"]),
        (LABEL_EVAL + '[normalise]\nwrappers = ["("]\n', ["wrappers"]),
        (LABEL_EVAL + '[normalise]\nwrappers = ["json", "json:"]\n', ["'json:'", "group", "json:KEY"]),
        (
            'task = "triage"\nkind = "fields"\n[[fields]]\npath = "total"\ncompare = "numbre"\n',
            ["total", "'number'"],
        ),
    ],
)
def test_a_wrong_key_of_an_eval_is_named(tmp_path: Path, evaluation: str, words: list[str]) -> None:
    """Each mistake in an eval.toml is a message with the file and the key."""
    with pytest.raises(ConfigError) as caught:
        workspace(tmp_path, evaluation=evaluation).evals  # noqa: B018
    for word in ["eval.toml", *words]:
        assert word in str(caught.value)


def test_one_task_has_one_eval(tmp_path: Path) -> None:
    space = workspace(tmp_path)
    (tmp_path / "evals" / "again").mkdir()
    (tmp_path / "evals" / "again" / "eval.toml").write_text(LABEL_EVAL)
    with pytest.raises(ConfigError, match="already defined"):
        space.evals  # noqa: B018


def test_a_misspelt_task_or_candidate_brings_the_closest_one(tmp_path: Path) -> None:
    space = workspace(tmp_path, candidate())
    with pytest.raises(UsageError, match="'triage'"):
        space.eval_for("triag")
    with pytest.raises(UsageError, match="'small'"):
        space.candidate("smal")


def test_guidelines_beside_the_eval_are_read_and_versioned(tmp_path: Path) -> None:
    before = workspace(tmp_path).eval_for("triage")
    (tmp_path / "evals" / "triage" / "guidelines.md").write_text("Prefer the right label.")
    after = workspace(tmp_path).eval_for("triage")
    assert (before.guidelines, after.guidelines) == ("", "Prefer the right label.")
    assert before.guideline_version != after.guideline_version


def test_the_fingerprint_follows_what_decides_the_answer_and_nothing_else(tmp_path: Path) -> None:
    """Price, zone and speed leave the fingerprint alone; model, parameters and address change it."""
    space = workspace(tmp_path)
    base = Candidate(name="a", engine="openai", model="m", base_url="http://127.0.0.1:1/v1")

    def print_of(**keys: object) -> str:
        return space.fingerprint(Candidate(**({"name": "a", "engine": "openai", "model": "m"} | keys)))  # type: ignore[arg-type]

    same = {"base_url": base.base_url, "zone": "internal", "price": "x", "concurrency": 3, "name": "b"}
    assert print_of(**same) == space.fingerprint(base)
    assert print_of(base_url="http://127.0.0.1:2/v1") != space.fingerprint(base)
    assert print_of(base_url=base.base_url, parameters={"max_tokens": 9}) != space.fingerprint(base)
    pinned = print_of(base_url="http://127.0.0.1:1/v1", revision="abc")
    assert pinned == print_of(base_url="http://127.0.0.1:2/v1", revision="abc")


def test_the_fingerprint_of_a_recorded_candidate_follows_the_content_of_its_file(tmp_path: Path) -> None:
    space = workspace(tmp_path)
    each = Candidate(name="r", engine="recorded", outputs="out.csv")
    with pytest.raises(UsageError, match=r"out\.csv"):
        space.fingerprint(each)
    (tmp_path / "out.csv").write_text("id,output\n1,a\n")
    first = space.fingerprint(each)
    (tmp_path / "out.csv").write_text("id,output\n1,b\n")
    assert space.fingerprint(each) != first


def test_the_fingerprint_follows_a_model_an_adapter_and_a_template_trained_or_written_anew(
    tmp_path: Path,
) -> None:
    """Weights of the same size under the same path, or a template edited in place, are another candidate."""
    space = workspace(tmp_path)
    for name in ("base", "lora"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text("{}")
        (tmp_path / name / "model.safetensors").write_bytes(bytes(9 << 20))
    (tmp_path / "chat.jinja").write_text("{{ messages }}")
    server = VLLMServer(adapter="lora", chat_template="chat.jinja")
    each = Candidate("a", "vllm", model="base", server=server)
    seen = [space.fingerprint(each)]
    (tmp_path / "lora" / "README.md").write_text("how it was trained")
    (tmp_path / "lora" / "checkpoint-1").mkdir()
    assert space.fingerprint(each) == seen[0]
    trained = bytes(5 << 20) + bytes([1]) * (4 << 20)
    for change in (
        lambda: (tmp_path / "lora" / "model.safetensors").write_bytes(trained),
        lambda: (tmp_path / "base" / "model.safetensors").write_bytes(trained),
        lambda: (tmp_path / "base" / "config.json").write_text("[]"),
        lambda: (tmp_path / "chat.jinja").write_text("{{ messagez }}"),
    ):
        change()
        seen.append(space.fingerprint(each))
    assert len(set(seen)) == 5
    local = Candidate("b", "transformers", model="base")
    before = space.fingerprint(local)
    (tmp_path / "base" / "config.json").write_text("{ }")
    assert space.fingerprint(local) != before


def test_what_decides_speed_alone_is_known_apart_from_the_fingerprint(tmp_path: Path) -> None:
    """Half the GPUs give the same answers later: comparisons stay, measured latency does not."""
    space = workspace(tmp_path)
    four = Candidate("a", "vllm", model="o/m", revision="1" * 40, server=VLLMServer(tensor_parallel=4))
    two = dataclasses.replace(four, server=VLLMServer(tensor_parallel=2))
    slow = dataclasses.replace(four, base_url="http://127.0.0.1:9/v1")
    assert {space.fingerprint(each) for each in (two, slow)} == {space.fingerprint(four)}
    assert len({space.serving(each) for each in (four, two, slow)}) == 3
    patient = dataclasses.replace(four, server=VLLMServer(tensor_parallel=4, start_timeout_s=9.0))
    assert space.serving(patient) == space.serving(four)


@pytest.mark.parametrize(
    ("url", "zone"),
    [
        ("http://127.0.0.1:8000/v1", "internal"),
        ("http://[::1]:8000/v1", "internal"),
        ("http://localhost:8000/v1", "internal"),
        ("https://api.example.com/v1", "external"),
        ("http://localhost.example.com/v1", "external"),
        ("http://10.0.0.5/v1", "external"),
    ],
)
def test_an_undeclared_zone_is_internal_only_on_this_machine(url: str, zone: str) -> None:
    assert Candidate(name="a", engine="openai", model="m", base_url=url).effective_zone == zone
    assert is_loopback(url) is (zone == "internal")


def test_a_parameter_can_add_nothing_but_itself(tmp_path: Path) -> None:
    """A value that goes on with other lines of TOML is text, not a change of the configuration."""
    injected = '1\n[[prices]]\nmodel = "free"'
    assert setup.parse_parameters(["n=1", "flag=true", f"text={injected}"]) == {
        "n": 1,
        "flag": True,
        "text": injected,
    }
    workspace(tmp_path)
    odd = 'm"\nzone = "external'
    keys = {"engine": "openai", "base_url": "http://127.0.0.1:1/v1", "parameters": {'a"b.c': injected}}
    added = setup.add_candidate(tmp_path, {"name": "odd", "model": odd} | keys)
    assert (added.model, added.zone, added.parameters) == (odd, None, {'a"b.c': injected})
    assert Workspace.load(tmp_path).config.prices == ()


def test_of_several_prices_the_newest_counts_and_a_missing_one_is_none(tmp_path: Path) -> None:
    rows = "".join(
        f'[[prices]]\nmodel = "m"\nas_of = {day}\nsource = "s"\n'
        f"input_usd_per_million = {value}\noutput_usd_per_million = 1.0\n"
        for day, value in (("2026-01-01", 3.0), ("2026-06-01", 2.0), ("2026-03-01", 9.0))
    )
    space = workspace(tmp_path, rows)
    price = space.price_of("m")
    assert price is not None
    assert price.input_usd_per_million == 2.0
    assert space.price_of("other") is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[[prices]]\nmodel = "m"\n', "'prices[0]' has no 'as_of'."),
        (
            '[[models]]\nmodel = "m"\nsource = "s"\nretires_on = "soon"\n',
            "'models[0].retires_on' is no date.",
        ),
        (
            '[[candidates]]\nname = "c"\nengine = "openai"\ntimeout_s = "fast"\n',
            "'candidates[0].timeout_s' is a text, and should be a number.",
        ),
        ("[ray]\nactors = true\n", "'ray.actors' is true or false, and should be a whole number."),
    ],
)
def test_a_wrong_value_is_said_in_plain_words(tmp_path: Path, text: str, words: str) -> None:
    """The message names the key and what belongs there, in no language but English."""
    (tmp_path / "workbench.toml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        Workspace.load(tmp_path)
    assert words in str(caught.value)


def test_a_misspelt_kind_is_told_the_known_one(tmp_path: Path) -> None:
    (tmp_path / "workbench.toml").write_text("")
    (tmp_path / "evals" / "t").mkdir(parents=True)
    (tmp_path / "evals" / "t" / "eval.toml").write_text('task = "t"\nkind = "lable"\n')
    with pytest.raises(ConfigError, match=r"'kind' can't be 'lable'\.\n.*Did you mean 'label'"):
        _ = Workspace.load(tmp_path).evals


ODD_HOST = '[[candidates]]\nname = "c"\nengine = "openai"\nmodel = "m"\nbase_url = "http://[::1]x/v1"\n'


@pytest.mark.parametrize("config", ["a = " + "[" * 50_000, "a = " + "9" * 5_000, "a = '\ud800'", ODD_HOST])
def test_a_hostile_file_is_refused_with_its_name(tmp_path: Path, config: str) -> None:
    """Nesting without end, endless numbers, broken text and odd addresses end in a message."""
    (tmp_path / "workbench.toml").write_bytes(config.encode("utf-8", "surrogatepass"))
    with pytest.raises(ConfigError, match=r"workbench\.toml"):
        Workspace.load(tmp_path)


def test_the_name_of_calls_without_a_task_is_no_name_of_one(tmp_path: Path) -> None:
    """An eval of that name would take what no task takes; it is refused with what to do instead."""
    (tmp_path / "workbench.toml").write_text("")
    (tmp_path / "evals" / "unassigned").mkdir(parents=True)
    path = tmp_path / "evals" / "unassigned" / "eval.toml"
    path.write_text('task = "unassigned"\nkind = "text"\n')
    with pytest.raises(ConfigError, match="no task takes") as caught:
        Workspace.load(tmp_path).evals  # noqa: B018
    assert "workbench profile" in caught.value.hint
