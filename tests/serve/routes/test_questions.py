from __future__ import annotations

import base64
import io
import json
import sqlite3
import threading
import time

import numpy as np
import pytest
import rasterio
from PIL import Image

from rs2sam.datasets.readers.run_lengths import decode_runs, encode_runs
from tests.make_rasters import objects, write_tiff
from tests.serve.live import RedModel, client, send

RED = {"sentences": ["red things"]}


def picture(content):
    return np.array(Image.open(io.BytesIO(content)))


def ask(service, image, body=RED, accept="application/json"):
    return service.post(f"/v1/images/{image['id']}/segment", json=body, headers={"Accept": accept})


def test_an_answer_has_mask_probabilities_and_polygons_that_agree(service, scene):
    image = send(service, scene)
    answer = ask(service, image, {"sentences": ["red things", "no things"]}).json()
    found, nothing = answer["results"]
    np.testing.assert_array_equal(decode_runs(found["rle"]), objects())
    values = picture(base64.b64decode(found["probability"]["base64"]))
    np.testing.assert_array_equal(values >= 128, objects())
    # 0.9 and 0.1 of 256 steps.
    assert set(np.unique(values)) == {25, 230}
    assert (found["count"], found["pixels"], found["found"]) == (2, int(objects().sum()), True)
    assert [feature["properties"]["area_px"] for feature in found["regions"]["features"]] == [576, 100]
    small = found["regions"]["features"][1]
    assert small["properties"]["bbox_px"] == [70, 45, 80, 55]
    assert small["properties"]["area_m2"] == pytest.approx(36.0, rel=2e-3)
    assert small["properties"]["confidence"] == pytest.approx(0.9, abs=1e-4)
    lon, lat = np.mean(small["properties"]["geographic"]["coordinates"][0][:4], axis=0)
    first, right, _, down = np.array(image["corners"])
    middle = first + (right - first) * 75 / 96 + (down - first) * 50 / 64
    assert (lon, lat) == pytest.approx(tuple(middle), abs=1e-7)
    assert (nothing["found"], nothing["count"], nothing["regions"]["features"]) == (False, 0, [])
    again = service.get(f"/v1/answers/{answer['id']}").json()
    assert again == answer
    np.testing.assert_array_equal(picture(service.get(found["probability"]["href"]).content), values)


def test_a_picture_without_a_place_has_areas_in_pixels_alone(service, tmp_path):
    Image.fromarray(np.uint8([[[220, 30, 30], [40, 120, 50]]] * 2)).resize((64, 64)).save(tmp_path / "photo.png")
    result = ask(service, send(service, tmp_path / "photo.png")).json()["results"][0]
    assert (result["found"], result["area_m2"]) == (True, None)
    assert result["regions"]["features"][0]["properties"]["geographic"] is None


def test_accept_chooses_the_form(service, scene, tmp_path):
    image = send(service, scene)
    np.testing.assert_array_equal(picture(ask(service, image, accept="image/png").content), objects() * 255)
    values = picture(ask(service, image, accept="image/png;values=probability").content)
    np.testing.assert_array_equal(values >= 128, objects())
    geojson = ask(service, image, accept="application/geo+json").json()
    assert [feature["properties"]["area_px"] for feature in geojson["features"]] == [576, 100]
    runs = ask(service, image, accept="application/vnd.coco.rle+json").json()
    np.testing.assert_array_equal(decode_runs(runs["results"][0]), objects())
    (tmp_path / "a.tif").write_bytes(ask(service, image, accept="image/tiff").content)
    with rasterio.open(tmp_path / "a.tif") as dataset, rasterio.open(scene) as source:
        np.testing.assert_array_equal(dataset.read(1) == 1, objects())
        assert (dataset.transform, dataset.crs) == (source.transform, source.crs)
    (tmp_path / "a.gpkg").write_bytes(ask(service, image, accept="application/geopackage+sqlite3").content)
    with sqlite3.connect(tmp_path / "a.gpkg") as database:
        assert database.execute("SELECT area_px FROM polygons ORDER BY area_px").fetchall() == [(100,), (576,)]
    database.close()


def test_a_form_that_there_is_none_of_is_not_acceptable(service, scene):
    image = send(service, scene)
    assert ask(service, image, accept="text/html").status_code == 406
    two = ask(service, image, {"sentences": ["red", "red"]}, accept="image/png")
    assert (two.status_code, two.json()["type"]) == (406, "/problems/not-acceptable")


def test_options_count(service, scene):
    image = send(service, scene)

    def pixels(**options):
        return ask(service, image, {**RED, "options": options}).json()["results"][0]["pixels"]

    assert pixels(threshold=0.95) == 0
    assert pixels(threshold=0.05) == 64 * 96
    assert pixels(min_area="200px") == 576
    assert pixels(min_presence=0.95) == 0


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"sentences": []}, "/sentences"),
        ({"sentences": [" "]}, "blank"),
        ({"sentences": ["x" * 501]}, "501"),
        ({"sentences": ["red"] * 17}, "16 sentences"),
        ({"sentences": ["red"], "options": {"threshold": 2}}, "/options/threshold"),
        ({"sentences": ["red"], "options": {"min_area": "much"}}, "least area"),
        ({"sentences": ["red"], "options": {"tile": 3}}, "/options/tile"),
        ({"sentences": ["red"], "options": {"other": 3}}, "/options/other"),
        ({"sentences": ["a wrong sentence"]}, "Ask another"),
        ({"sentences": ["nul\0"]}, "NUL"),
        ({"sentences": "red"}, "/sentences"),
        ({}, "/sentences"),
    ],
)
def test_what_breaks_a_rule_is_a_problem_that_says_which(service, scene, body, said):
    answer = ask(service, send(service, scene), body)
    problem = answer.json()
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
    assert (problem["status"], problem["type"]) == (422, "/problems/invalid-request")
    assert said in problem["detail"] + json.dumps(problem.get("errors", ""))


def test_a_body_that_is_not_said_to_be_json_or_is_none_is_told_so(service, scene):
    address = send(service, scene)["links"]["segment"]
    answer = service.post(address, content=b'{"sentences": ["red"]}', headers={"Content-Type": "text/plain"})
    assert (answer.status_code, answer.json()["type"]) == (415, "/problems/unsupported-media-type")
    assert "Content-Type: application/json" in answer.json()["detail"]
    answer = service.post(address, content=b'{"sentences": ["red"', headers={"Content-Type": "application/json"})
    assert answer.status_code == 422
    assert "The body is no JSON, at character 20" in answer.json()["detail"]


def test_text_that_is_no_unicode_is_refused(service, scene):
    image = send(service, scene)
    body = b'{"sentences": ["\\ud800 red"]}'
    answer = service.post(image["links"]["segment"], content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422


def test_a_large_image_is_sent_to_the_jobs(tmp_path, scene):
    with client(tmp_path / "state", limits={"interactive_pixels": 1000}) as service:
        answer = ask(service, send(service, scene))
        assert answer.status_code == 422
        assert "POST /v1/jobs" in answer.json()["detail"]


def test_an_image_in_tiles_is_answered_at_once_too(service, tmp_path):
    rgb = np.kron(write_and_read(tmp_path), np.ones((3, 2, 1), np.uint8))
    image = send(service, write_tiff(tmp_path / "wide.tif", rgb))
    assert image["num_views"] > 1
    found = ask(service, image).json()["results"][0]
    np.testing.assert_array_equal(decode_runs(found["rle"]), np.kron(objects(), np.ones((3, 2), bool)))


def write_and_read(tmp_path):
    with rasterio.open(write_tiff(tmp_path / "small.tif")) as dataset:
        return dataset.read().transpose(1, 2, 0)


def test_one_call_takes_image_and_sentences(service, scene):
    with scene.open("rb") as file:
        answer = service.post(
            "/v1/segment",
            files={"file": ("scene.tif", file)},
            data={"sentence": ["red things", "no things"], "min_area": "200px"},
            headers={"Accept": "application/geo+json"},
        )
    assert answer.status_code == 200, answer.text
    assert [feature["properties"]["area_px"] for feature in answer.json()["features"]] == [576]


def test_one_call_says_what_is_wrong_with_the_image(service):
    for data, status in ((b"no image", 422), (b"", 422)):
        files = {"file": ("scene.tif", data)}
        answer = service.post("/v1/segment", files=files, data={"sentence": "red"})
        assert (answer.status_code, answer.json()["type"]) == (status, "/problems/invalid-image"), answer.text
    assert service.post("/v1/segment", data={"sentence": "red"}, files={"other": b"x"}).status_code == 422
    for data, said in (({"sentence": "red", "treshold": "0.5"}, "'treshold'"), ({}, "`sentence`")):
        answer = service.post("/v1/segment", data=data, files={"file": b"x"})
        assert answer.status_code == 422
        assert said in answer.json()["detail"]
    assert service.post("/v1/segment", json={}).status_code == 415


def test_a_click_adds_the_region_that_it_hits(service, scene):
    image = send(service, scene)
    answer = ask(service, image, {**RED, "options": {"threshold": 0.95}}).json()
    assert answer["results"][0]["count"] == 0
    asked = {"answer": answer["id"], "index": 0, "points": [[75, 50]], "boxes": [[15, 5, 55, 35]], "threshold": 0.95}
    added = service.post(image["links"]["regions"], json=asked).json()
    assert added["source"] == ["probability", "probability"]
    assert [feature["properties"]["area_px"] for feature in added["regions"]["features"]] == [100, 576]


def test_a_click_without_an_answer_goes_by_colour(service, scene):
    image = send(service, scene)
    added = service.post(image["links"]["regions"], json={"points": [[25, 25], [200, 5]]}).json()
    assert added["source"] == ["colour", "nothing"]
    # The blur takes a pixel along the edges for another colour.
    assert added["regions"]["features"][0]["properties"]["area_px"] == pytest.approx(576, abs=140)


def test_a_file_holds_the_mask_that_was_corrected(service, scene, tmp_path):
    image = send(service, scene)
    answer = ask(service, image).json()
    corrected = objects()
    corrected[40:] = False
    written = io.BytesIO()
    Image.fromarray(np.dstack([corrected * 255] * 4).astype(np.uint8)).save(written, format="PNG")
    as_png = {
        "sentence": "red",
        "mask_png": base64.b64encode(written.getvalue()).decode(),
        "answer": answer["id"],
        "index": 0,
    }
    as_runs = {"sentence": "red", "rle": encode_runs(corrected)}
    as_found = {"sentence": "red", "answer": answer["id"], "index": 0}
    layers = [as_png, as_runs, as_found]
    got = service.post(image["links"]["export"], json={"format": "geotiff", "layers": layers})
    assert got.headers["content-disposition"] == 'attachment; filename="scene_mask.tif"'
    (tmp_path / "got.tif").write_bytes(got.content)
    with rasterio.open(tmp_path / "got.tif") as dataset:
        np.testing.assert_array_equal(dataset.read() == 1, [corrected, corrected, objects()])
    geojson = service.post(image["links"]["export"], json={"format": "geojson", "layers": [as_png]}).json()
    (feature,) = geojson["features"]
    assert (feature["properties"]["area_px"], feature["properties"]["mean_probability"]) == (
        576,
        pytest.approx(0.9, abs=2e-3),
    )


def test_a_mask_of_another_size_is_refused(service, scene):
    image = send(service, scene)
    for layer in (
        {"rle": encode_runs(np.ones((3, 3), bool))},
        {"rle": {"size": [64, 96], "counts": "zz"}},
        {"mask_png": "no base64!"},
        {"mask_png": "größer"},
        {"mask_png": base64.b64encode(b"no png").decode()},
        {},
    ):
        body = {"format": "png", "layers": [{"sentence": "red", **layer}]}
        answer = service.post(image["links"]["export"], json=body)
        assert (answer.status_code, answer.json()["type"]) == (422, "/problems/invalid-request"), answer.text


def test_an_answer_outlives_its_place_in_memory(tmp_path, scene):
    with client(tmp_path / "state", limits={"answers_bytes": 1}) as service:
        image = send(service, scene)
        first, _ = (ask(service, image).json() for _ in range(2))
        assert service.get(f"/v1/answers/{first['id']}").json() == first
        mask = picture(service.get(f"/v1/answers/{first['id']}/0/mask.png").content)
        np.testing.assert_array_equal(mask, objects() * 255)
        assert service.get(f"/v1/answers/{first['id']}/1/mask.png").status_code == 404
        assert service.get("/v1/answers/..%2f..%2fserve.sqlite").status_code == 404


def test_questions_beyond_the_queue_are_told_to_come_again(tmp_path, scene):
    model = RedModel()
    with client(tmp_path / "state", model, limits={"waiting": 2}) as service:
        image = send(service, scene)
        model.may_answer.clear()
        answers = []
        threads = [threading.Thread(target=lambda: answers.append(ask(service, image))) for _ in range(8)]
        for thread in threads:
            thread.start()
        while len(answers) < 6:
            time.sleep(0.01)
        model.may_answer.set()
        for thread in threads:
            thread.join()
    refused = [answer for answer in answers if answer.status_code == 429]
    assert (len(refused), len(answers)) == (6, 8)
    assert all(int(answer.headers["retry-after"]) >= 1 for answer in refused)
    assert {answer.json()["type"] for answer in refused} == {"/problems/busy"}
    assert [answer.status_code for answer in answers if answer not in refused] == [200, 200]


def test_a_question_that_takes_too_long_is_given_up(tmp_path, scene):
    model = RedModel()
    with client(tmp_path / "state", model, limits={"interactive_s": 1.0}) as service:
        image = send(service, scene)
        model.may_answer.clear()
        answer = ask(service, image)
        model.may_answer.set()
        assert (answer.status_code, answer.json()["type"]) == (504, "/problems/timeout")


def test_a_large_image_takes_few_sentences_at_once(tmp_path, scene):
    with client(tmp_path / "state", limits={"interactive_pixels": 64 * 96}) as service:
        image = send(service, scene)
        assert ask(service, image, {"sentences": ["red"] * 4}).status_code == 200
        refused = ask(service, image, {"sentences": ["red"] * 5})
    assert (refused.status_code, "up to 4 sentences" in refused.json()["detail"]) == (422, True)


def test_names_that_a_client_makes_up_are_quoted_and_cut(service):
    odd = {"a/b<b>&amp;": 1, "x" * 100_000: 2}
    for address, body in (("/v1/images", {"reading": odd}), ("/v1/jobs", {"image": "i", "sentences": ["a"], **odd})):
        answer = service.post(address, json=body)
        assert answer.status_code == 422
        assert len(answer.content) < 2000
        problem = answer.json()
        assert f"`{problem['errors'][0]['pointer']}`: Extra inputs are not permitted." in problem["detail"]
        assert "a~1b<b>&amp;" in problem["detail"]
