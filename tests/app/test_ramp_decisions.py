"""Ramp: evidence over time, accepting a share, the log, overrides, what-if and its warnings."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from app_building import START, Filled, call_id_of, demo_pairs
from app_reading import Visit, fine, plain, said
from streamlit.testing.v1 import AppTest

from workbench import rollout
from workbench.records import Basis, Estimate, Policy
from workbench.report import as_html, as_markdown, gather_report
from workbench.scoring.considered import consider
from workbench.scoring.trail import Trail
from workbench.stats.slice_shares import worst_first
from workbench.stats.trail import Reached, Step
from workbench.ui import palette, trail_figure
from workbench.ui.decision import DRAWN_SLICES, at_once_sentence, declared_frame, effective_sentence

HOSTILE = "<script>alert(1)</script> ![x](http://evil.example/x.png) **bold** =cmd()\n\u202egnp.exe"
RAMP = {"task": "triage", "candidate": "small"}


def accepted(place: Filled, share: float, **more: Any) -> rollout.Decision:
    """Accept a share as the command line does."""
    current = rollout.in_force(place.workspace, place.store, "triage", "small").share
    made = consider(place.workspace, place.store, "triage", "small", current_share=current)
    return rollout.accept(
        place.workspace, place.store, "triage", "small", share=share, shown=made.evidence_hash, **more
    )


def table(at: AppTest, column: str) -> Any:
    """Return the table that has a column."""
    return next(each.value for each in at.dataframe if column in each.value)


def press(at: AppTest) -> AppTest:
    """Press the button that accepts."""
    return fine(at.button(key="accept-button-triage-small").click().run())


def test_a_share_is_accepted_on_the_page_and_stands_in_the_log(visit: Visit, filled: Filled) -> None:
    """The recommended share needs a press; the log shows who, what and on which evidence; it is in force."""
    at = fine(visit(filled, "ramp", **RAMP))
    assert "Nobody has accepted a share yet." in said(at)
    assert "How the evidence grew" in said(at)
    assert "Within reach of the bound: 5 % with" in said(at)
    at.text_input(key="accept-who-triage-small").set_value("Ada").run()
    at = press(at)
    assert "1 % is accepted and stands in the log." in said(at)
    log = table(at, "Ends (UTC)")
    assert list(log["Who"]) == ["Ada"]
    assert list(log["Kind"]) == ["as recommended"]
    assert list(log["Entry"]) == ["as written"]
    (entry,) = rollout.decisions(filled.store)
    assert log["Evidence"][0] == entry.decision.evidence_hash
    # What was accepted is what is served from now on.
    assert any(each.label == "Share now" and each.value.startswith("1") for each in at.metric)
    assert "now" not in at.query_params


def test_nothing_is_offered_to_be_accepted_where_nothing_moves(visit: Visit, filled: Filled) -> None:
    """At 0 % recommended, accepted and served there is no button, but what a share above it would take."""
    at = fine(visit(filled, "ramp", task="rewrite", candidate="small"))
    assert "Nothing to accept" in said(at)
    assert not [each for each in at.button if str(each.key).startswith("accept-button")]
    (slider,) = [each for each in at.select_slider if each.label == "Share to accept"]
    at = fine(slider.set_value(0.05).run())
    assert "above the recommended" in said(at)
    assert [each.label for each in at.button if str(each.key).startswith("accept-button")]
    assert "The log below keeps that 5 % was accepted" in said(at)


def test_words_beyond_the_figure_of_evidence_do_not_run_into_each_other() -> None:
    """Of bounds that leave the figure near each other, also on a telephone, the first says how high it is."""
    high = [0.9, 0.1, 0.8, 0.1, 0.1, 0.1, 0.1, 0.1, 0.7, 0.1]
    found = trail(*(step(n + 1, 0, bound, 0.0) for n, bound in enumerate(high)))
    beyond = next(
        each for each in trail_figure.evidence_trail(found).figure.data if each.marker.symbol == "triangle-up"
    )
    assert list(beyond.x) == [0, 2, 8]
    assert [plain(each) for each in beyond.text] == ["90.0 % ↑", "", "70.0 % ↑"]


@pytest.mark.parametrize(("newest", "edge"), [(0.9, "top"), (0.1, "bottom")])
def test_the_word_on_labels_keeps_clear_of_how_high_a_bound_is(newest: float, edge: str) -> None:
    """Above the figure there is one line of words: where it is taken, labels are named below its edge."""
    steps = [step(n + 1, 0, 0.1, 0.0) for n in range(6)] + [
        step(6, n + 1, newest, 0.0, "labels") for n in range(3)
    ]
    drawn = trail_figure.evidence_trail(trail(*steps)).figure
    (word,) = [each for each in drawn.layout.annotations if each.text == "labels"]
    assert word.yanchor == edge


def test_what_would_change_is_said_once(visit: Visit, filled: Filled) -> None:
    """What the first sentence names is not listed again below it."""
    at = fine(visit(filled, "ramp", task="rewrite", candidate="small"))
    (first,) = [plain(each.value) for each in at.text if "would let more traffic move: " in each.value]
    change = first.split("move: ")[1]
    assert said(at).replace("\\", "").count(change) == 1


def test_more_served_than_was_accepted_is_said_asked_for_and_kept(visit: Visit, filled: Filled) -> None:
    """Who moves the slider of today's share up reads what that is, gives a reason, and the log has both."""
    at = fine(visit(filled, "ramp", **RAMP, now="0.01"))
    assert "You say that 1 % is served, and 0 % is in force." in said(at)
    at = press(at)
    assert "needs a reason" in said(at)
    assert rollout.decisions(filled.store) == []
    at.text_area(key="accept-reason-triage-small").set_value("moved by hand").run()
    at = press(at)
    assert "is accepted and stands in the log" in said(at)
    log = table(at, "Ends (UTC)")
    assert [plain(each) for each in log["Served then"]] == ["1 % (said; 0 % was in force)"]
    assert list(log["Reason"]) == ["moved by hand"]
    report = gather_report(filled.workspace, filled.store, "triage", "small")
    assert "1 % (said; 0 % was in force)" in plain(as_html(report))


def test_a_press_on_a_page_that_is_out_of_date_accepts_nothing(visit: Visit, filled: Filled) -> None:
    """A label that came in after the page was made is told, and the page shows what holds now."""
    at = fine(visit(filled, "ramp", **RAMP))
    pair = next(each for each in demo_pairs() if each.number == 5)
    row = {
        "label_id": "late", "replay_id": filled.replays["triage"], "call_id": call_id_of(pair),
        "verdict": "equal", "annotator": "ann", "reasons": [], "note": "", "source": "queue",
        "skipped": False, "created_at": START,
    }  # fmt: skip
    filled.store.append("labels", [row])
    at = press(at)
    assert "This did not work." in said(at)
    assert "changed since it was shown" in said(at)
    assert rollout.decisions(filled.store) == []


def test_an_override_needs_reason_and_end_and_is_loud_everywhere(visit: Visit, filled: Filled) -> None:
    """Hostile text of a reason stays text on Ramp, on Overview's card, in reports; then it falls back."""
    at = fine(visit(filled, "ramp", **RAMP))
    slider = next(each for each in at.select_slider if each.label == "Share to accept")
    at = fine(slider.set_value(0.5).run())
    assert "above the recommended 1 %" in said(at)
    at = press(at)
    assert "needs a reason" in said(at)
    at.text_area(key="accept-reason-triage-small").set_value(HOSTILE).run()
    at = press(at)
    assert "needs an end" in said(at)
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).date()
    at.date_input(key="accept-until-triage-small").set_value(tomorrow).run()
    at = press(at)
    assert "50 % is accepted" in said(at)
    assert "Override: more moves than is recommended." in said(at)
    assert "<script>" in "".join(each.value for each in at.text)
    for kind in ("markdown", "caption", "error", "warning", "info", "success"):
        assert not any("evil.example" in str(each.value) for each in at.get(kind))
    log = table(at, "Ends (UTC)")
    assert list(log["Kind"]) == ["override, above"]
    assert "\u202e" not in log["Reason"][0]
    # Its share is not the recommended one because it is served: the page asks for reason and end again.
    assert "An override holds 50 %, and is no stage on the ladder" in said(at)
    slider = next(each for each in at.select_slider if each.label == "Share to accept")
    assert slider.value == 0.01
    again = fine(slider.set_value(0.5).run())
    assert "above the recommended 1 %" in said(again)
    card = fine(visit(filled, "overview"))
    assert "Override: more moves than is recommended." in said(card)
    report = gather_report(filled.workspace, filled.store, "triage", "small")
    for text in (as_html(report), as_markdown(report)):
        assert "More moves than is recommended" in text
        assert "<script>" not in text.replace("\\<", "")
        assert "\u202e" not in text
    later = datetime.now(UTC) + timedelta(days=3)
    over = gather_report(filled.workspace, filled.store, "triage", "small", now=later)
    assert "More moves than is recommended" not in as_html(over)
    assert over.accepted.share == 0.0


def test_another_policy_is_only_looked_at(visit: Visit, filled: Filled) -> None:
    """Stages and critical harm can be tried; the lines for eval.toml and what a peek does are shown."""
    path = filled.workspace.root / "evals" / "triage" / "eval.toml"
    before, version = path.read_bytes(), filled.store.version()
    at = fine(visit(filled, "ramp", **RAMP))
    at.select_slider(key="address.try-level").set_value(0.8).run()
    at.multiselect(key="address.try-stages").set_value(["2", "10"]).run()
    at.checkbox(key="address.try-critical-set").check().run()
    at = fine(at)
    words = said(at)
    assert "settled for 80 %" in words
    lines = next(each.value for each in at.code if "[policy]" in each.value)
    assert "level = 0.8" in lines
    assert "ladder = [0.0, 0.02, 0.1, 1.0]" in lines
    assert "critical_tolerance = 0.005" in lines
    assert "What if: nothing of this is saved" in words
    asked = {name: at.query_params[name] for name in at.query_params if name.startswith("try-")}
    asked = {name: value[0] if isinstance(value, list) else value for name, value in asked.items()}
    assert asked == {"try-level": "0.8", "try-stages": "2,10", "try-critical-set": "on"}
    # A link opens the same policy to look at, and nothing but what was moved differs from the saved one.
    linked = fine(visit(filled, "ramp", **RAMP, **asked))
    assert next(each.value for each in linked.code if "[policy]" in each.value) == lines
    assert next(each for each in linked.expander if each.label.startswith("Stages")).proto.expanded
    other = visit(filled, "ramp", **RAMP, **{"try-tolerance": "900", "try-level": "0.8", "try-stages": "<b>"})
    assert "not here (Tolerance, Stages between 0 % and 100 %)" in said(fine(other))
    assert next(each.value for each in other.code if "[policy]" in each.value) == "[policy]\nlevel = 0.8"
    other = fine(other.selectbox(key="address.task").set_value("orders").run())
    assert {each for each in other.query_params if each.startswith("try-")} <= {"try-level"}
    # What is accepted is what the saved policy says.
    at = press(at)
    assert rollout.decisions(filled.store)[0].decision.share == 0.01
    assert path.read_bytes() == before
    assert filled.store.version() != version


def test_a_log_that_was_changed_says_so(visit: Visit, filled: Filled) -> None:
    """An entry that is not as it was written is marked, and the page warns."""
    accepted(filled, 0.01, who="ada")
    with filled.store.writing() as writer:
        writer.execute("UPDATE ramp_decisions SET decided_by = 'bob'")
    at = fine(visit(filled, "ramp", **RAMP))
    assert "not as it was written" in said(at)
    assert list(table(at, "Ends (UTC)")["Entry"]) == ["NOT as written"]


# --- Figures and sentences -----------------------------------------------------------------------


def step(calls: int, labels: int, high: float, cap: float, kind: str = "calls") -> Step:
    """Return one step."""
    return Step(calls, labels, Estimate(0.01, 0.0, high, 0.95, "m", calls, calls), cap, kind)


def trail(*steps: Step, reached: tuple[Reached, ...] = ()) -> Trail:
    """Return a trail under the standard policy."""
    lines = ((0.2, 0.05), (0.1, 0.1), (0.05, 1.0))
    return Trail("t", "c", Basis.STRUCTURAL, Policy(), steps, reached, lines)


def test_the_figure_draws_the_band_the_lines_and_the_stages_reached() -> None:
    """Steps off the figure are left out but the last; marks stand on the line; labels have a ground."""
    found = trail(
        *(step(n, 0, 0.9, 0.0) for n in range(1, 9)),
        step(40, 0, 0.18, 0.05),
        step(90, 0, 0.09, 0.1),
        step(90, 1, 0.08, 0.1, "labels"),
        reached=(Reached(0.01, 8), Reached(0.05, 8), Reached(0.1, 9)),
    )
    drawing = trail_figure.evidence_trail(found, palette.DARK, accepted=[(9, 0.01)])
    low, band, estimate, line, beyond, marks = drawing.figure.data
    assert list(line.y) == pytest.approx([0.9, 0.18, 0.09, 0.08])
    assert (list(beyond.x), list(beyond.y)) == ([0], [pytest.approx(0.3)])
    assert beyond.marker.symbol == "triangle-up"
    assert [plain(each) for each in beyond.text] == ["90.0 % ↑"]
    assert list(band.y) == list(line.y)
    assert max(low.y) == 0.0
    assert list(estimate.y) == [0.01] * 4
    assert (list(marks.x), list(marks.text)) == ([1, 2], ["5\u202f%", "10\u202f%"])
    texts = [each.text for each in drawing.figure.layout.annotations]
    assert any("up to 100\u202f% · tolerance" in text for text in texts)
    assert "labels" in texts
    assert any("accepted 1" in text for text in texts)
    assert "5\u202f% with 40\u00a0calls; 10\u202f% with 90\u00a0calls" in drawing.alt


@pytest.mark.parametrize("steps", [(step(5, 0, 1.0, 0.0),), (step(5, 0, 1.0, 0.0), step(9, 0, 0.9, 0.0))])
def test_little_evidence_is_drawn_too(steps: tuple[Step, ...]) -> None:
    """One step, or a bound that is off the figure, breaks nothing and is said in words."""
    drawing = trail_figure.evidence_trail(trail(*steps))
    assert "No stage has come within reach yet." in drawing.alt
    beyond = drawing.figure.data[-2]
    assert list(beyond.x) == list(range(len(steps)))
    assert plain(beyond.text[0]) == "100.0 % ↑"
    assert drawing.figure.layout.yaxis.range[1] < 0.4


def test_words_of_stages_stand_clear_of_the_curve() -> None:
    """Where it climbs again behind a mark, its words stand below and before it; else above and behind."""
    falling = [0.29, 0.25, 0.21, 0.18, 0.16, 0.14, 0.12, 0.11, 0.095, 0.09]
    marks = {}
    for name, rest in (("falls", [0.085] * 6), ("climbs", [0.1, 0.105, 0.11, 0.11, 0.1, 0.09])):
        found = trail(
            *(step(10 * (n + 1), 0, high, 0.05) for n, high in enumerate([*falling, *rest])),
            reached=(Reached(0.05, 3), Reached(0.1, 8)),
        )
        marks[name] = trail_figure.evidence_trail(found).figure.data[-1]
    assert marks["falls"].textposition[0] == marks["climbs"].textposition[0] == "bottom left"
    assert list(marks["falls"].text) == ["5\u202f%", "10\u202f%"]
    assert marks["climbs"].textposition[1] == "bottom left"


def test_words_of_a_line_stand_at_the_end_where_the_curve_is_not() -> None:
    """The curve falls through the upper lines on the left, and comes to the tolerance on the right."""
    high = [0.29, 0.26, 0.24, 0.22, 0.21, 0.2, 0.17, 0.14, 0.11, 0.1, 0.09, 0.08, 0.07, 0.06, 0.055, 0.055]
    found = trail(*(step(10 * (n + 1), 0, each, 0.05) for n, each in enumerate(high)))
    ends = {
        plain(each.text.split(":")[0]): each.xanchor
        for each in trail_figure.evidence_trail(found).figure.layout.annotations
        if "up to" in each.text
    }
    assert ends == {"20.0 %": "right", "10.0 %": "left", "5.0 %": "left"}


def test_words_at_the_right_end_do_not_stand_in_the_line_of_a_decision() -> None:
    """The newest share is mostly accepted at the last step, where those words would end."""
    high = [0.29, 0.26, 0.24, 0.22, 0.21, 0.2, 0.17, 0.14, 0.11, 0.1, 0.09, 0.08, 0.07, 0.06, 0.055, 0.055]
    found = trail(*(step(10 * (n + 1), 0, each, 0.05) for n, each in enumerate(high)))
    ends = {}
    for decided in (15, 4):
        drawn = trail_figure.evidence_trail(found, accepted=[(decided, 0.1)]).figure
        ends[decided] = next(
            (each.xref, each.x) for each in drawn.layout.annotations if each.text.startswith("20.0")
        )
    assert ends == {15: ("x", 15), 4: ("paper", 1)}


def boxes(found: Trail) -> list[tuple[str, float, float, float, float]]:
    """Return words of lines and marks with where they stand at 400 pixels, in shares of the figure."""
    drawing = trail_figure.evidence_trail(found)
    *_, marks = drawing.figure.data
    steps, top = len(drawing.figure.data[0].x), drawing.figure.layout.yaxis.range[1]
    made = []
    for each in drawing.figure.layout.annotations:
        if "up to" in each.text:
            wide, up = 0.016 * len(each.text), 0.055 if each.yanchor == "bottom" else -0.055
            left = 0.0 if each.xanchor == "left" else 1 - wide
            made.append((each.text, left, left + wide, *sorted((each.y / top, each.y / top + up))))
    for at, y, text, place in zip(marks.x, marks.y, marks.text, marks.textposition, strict=True):
        up = 0.07 if place.startswith("top") else -0.07
        across = (0.02 + 0.016 * len(text)) * (1 if place.endswith("right") else -1)
        ends = sorted((at / steps, at / steps + across))
        made.append((text, ends[0], ends[1], *sorted((y / top + up / 7, y / top + up))))
    return [(plain(name), *each) for name, *each in made]


def test_words_of_lines_and_stages_never_collide_on_a_telephone() -> None:
    """Of lines too near to each other some have no words; the tolerance has them always."""
    high = [0.29, 0.25, 0.22, 0.19, 0.17, 0.16, 0.155, 0.14, 0.13, 0.12, 0.11, 0.1, 0.09, 0.08, 0.07, 0.06]
    stages = (0.05, 0.08, 0.1, 0.12, 0.15, 0.2)
    bounds = (0.2, 0.157, 0.125, 0.104, 0.083, 0.05)
    for last in range(4, 16):
        first = [next((n for n, each in enumerate(high) if each <= bound), 99) for bound in bounds]
        reached = [Reached(s, n) for s, n in zip(stages, first, strict=True) if n <= last]
        found = replace(
            trail(*(step(9 + n, 0, each, 0.05) for n, each in enumerate(high[: last + 1]))),
            reached=tuple(reached),
            limits=tuple(zip(bounds, (*stages[:-1], 1.0), strict=True)),
        )
        words = boxes(found)
        assert any("tolerance" in each[0] for each in words)
        for n, (name, left, right, low, upper) in enumerate(words):
            for other, start, end, floor, roof in words[:n]:
                apart = right <= start or end <= left or upper <= floor or roof <= low
                assert apart, (last, name, other)


def test_a_stage_that_was_lost_again_is_told() -> None:
    """What was within reach once and is no more is said as such."""
    found = trail(step(40, 0, 0.18, 0.05), step(50, 1, 0.4, 0.0, "labels"), reached=(Reached(0.05, 0),))
    assert "Now the bound supports 0\u202f%." in trail_figure.milestones(found)


def test_the_shares_of_slices_are_told_together(filled: Filled) -> None:
    """How much moves in all is said with how many slices lag behind."""
    answer = consider(filled.workspace, filled.store, "triage", "small").recommendation
    text = plain(effective_sentence(answer))
    assert "At 1 % of the task" in text
    assert f"{100 * answer.effective_share:.1f} % of its traffic moves" in text
    lagging = replace(answer, slices=tuple(replace(each, share=0.0) for each in answer.slices[:1]))
    assert re.search(r"1 slice, [\d.]+ % of the traffic, lags behind\.", plain(effective_sentence(lagging)))
    other = replace(answer.slices[0], name="channel", share=0.0)
    both = replace(answer, slices=(*(replace(each, share=1.0) for each in answer.slices), other))
    assert " 1 slice lags behind." in plain(effective_sentence(both))


def test_the_worst_of_many_slices_is_always_shown(filled: Filled) -> None:
    """With 30 slices the drawn ones are the worst, and each row has the bound for all of them at once."""
    answer = consider(filled.workspace, filled.store, "triage", "small").recommendation
    (one, *_) = answer.slices
    parts = [replace(one, value=f"s{number:02}") for number in range(29)]
    bad = replace(one, value="zz", status="excluded", harm=replace(one.harm, low=0.2, point=0.3, high=0.4))
    wide = [
        {"name": each.name, "value": each.value, "harm": replace(each.harm, high=0.9, level=1 - 0.05 / 30)}
        for each in (*parts, bad)
    ]
    details = answer.details | {"slices_at_once": wide}
    many = replace(answer, slices=worst_first((*parts, bad)), details=details)
    assert "zz" in [each.value for each in many.slices[:DRAWN_SLICES]]
    frame = declared_frame(many)
    assert frame["Slice"].tolist()[0].endswith("zz")
    assert all("90.0" in each for each in frame["All at once"])
    text = plain(at_once_sentence(many))
    assert "99.83 % sure of each, so that all 30 hold together with 95 %" in text
    assert "The 20 worst are drawn." in text
    assert "All at once" not in at_once_sentence(replace(answer, slices=(one,)))


def test_a_recommendation_in_json_names_its_evidence(filled: Filled) -> None:
    """What a report names is what a share is accepted by."""
    report = gather_report(filled.workspace, filled.store, "triage", "small")
    made = consider(filled.workspace, filled.store, "triage", "small")
    assert report.evidence_hash == made.evidence_hash
