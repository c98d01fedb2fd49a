"""The table of what strangers may try, in docs/serve.md, and the tests that hold its rows: one for each, at least."""

from __future__ import annotations

from pathlib import Path

TESTS = Path(__file__).parent
PAGE = TESTS.parents[1] / "docs" / "serve.md"
HEAD = "| what is sent | what happens |\n|---|---|\n"

# Where a row begins: the tests that send it.
HELD_BY = {
    "a VRT, WMS or tile index": ["test_hostile_files.py::test_a_file_that_names_other_files_is_refused"],
    "the same behind the first bytes": ["test_hostile_files.py::test_a_file_that_names_other_files_is_refused"],
    "ENVI header, ZIP, GeoPackage, PDF, pickle": [
        "test_hostile_files.py::test_a_file_that_names_other_files_is_refused"
    ],
    "`.aux.xml`, `.ovr`": ["test_hostile_files.py::test_neighbours_of_an_image_are_not_looked_at"],
    "`../x`, `/etc/passwd`": ["test_hostile_files.py::test_a_path_leads_to_regular_files_below_the_root_alone"],
    "a link below the root": ["test_hostile_files.py::test_a_path_leads_to_regular_files_below_the_root_alone"],
    "a pipe below the root": ["test_hostile_files.py::test_a_path_leads_to_regular_files_below_the_root_alone"],
    "a PNG of 65,000 x 65,000": ["test_hostile_files.py::test_what_claims_to_be_enormous_is_refused_by_its_header"],
    "a block of 800 MB": ["test_hostile_files.py::test_what_claims_to_be_enormous_is_refused_by_its_header"],
    "a file cut short": [
        "test_hostile_files.py::test_an_image_of_which_nothing_can_be_read_is_refused",
        "test_hostile_files.py::test_an_image_cut_short_has_no_data_where_it_ends",
    ],
    "names with `/`, `..`": ["test_hostile_files.py::test_names_lead_nowhere"],
    "a body longer than announced": [
        "test_guards.py::test_a_body_is_bounded_with_and_without_a_length",
        "routes/test_images.py::test_more_bytes_than_announced_are_refused_and_nothing_is_spoilt",
    ],
    "a body that pauses": ["test_guards.py::test_a_body_that_pauses_is_not_waited_for"],
    "a host name of somebody else's": ["test_guards.py::test_pages_of_other_sites_reach_nothing"],
    "`..`, `%2f` and names of other files": [
        "test_guards.py::test_an_address_that_there_is_none_of_is_a_problem",
        "routes/test_questions.py::test_an_answer_outlives_its_place_in_memory",
        "routes/test_jobs.py::test_a_file_of_a_job_is_one_of_its_results",
    ],
    "text that is no Unicode": [
        "routes/test_questions.py::test_text_that_is_no_unicode_is_refused",
        "routes/test_questions.py::test_what_breaks_a_rule_is_a_problem_that_says_which",
        "routes/test_questions.py::test_one_call_says_what_is_wrong_with_the_image",
    ],
    "JSON that is none": ["routes/test_questions.py::test_a_body_that_is_not_said_to_be_json_or_is_none_is_told_so"],
    "corrected masks that are damaged": ["routes/test_questions.py::test_a_mask_of_another_size_is_refused"],
    "more requests a second": [
        "test_guards.py::test_one_client_has_so_many_requests_a_second",
        "routes/test_questions.py::test_questions_beyond_the_queue_are_told_to_come_again",
        "routes/test_jobs.py::test_jobs_beyond_the_queue_are_told_to_come_again",
    ],
    "whatever makes the service fail": ["test_guards.py::test_a_failure_tells_nothing_of_its_inside"],
    "a token that is wrong": ["test_guards.py::test_nothing_is_told_without_the_token"],
}


def test_every_row_of_the_table_is_held_by_a_test():
    rows = PAGE.read_text(encoding="utf-8").partition(HEAD)[2].partition("\n\n")[0].splitlines()
    assert len(rows) == len(HELD_BY) > 20
    for row, start in zip(rows, HELD_BY, strict=True):
        assert row.startswith(f"| {start}"), (row, start)


def test_every_test_that_is_named_is_there():
    for name in {name for names in HELD_BY.values() for name in names}:
        file, _, test = name.partition("::")
        assert f"\ndef {test}(" in (TESTS / file).read_text(encoding="utf-8"), name
