from __future__ import annotations

import re


def test_the_description_holds_everything_that_it_names(service):
    answer = service.get("/openapi.json")
    described = answer.json()
    names = set(re.findall(r'"#/components/schemas/(\w+)"', answer.text))
    assert names <= set(described["components"]["schemas"])
    assert "$defs" not in answer.text
    assert described["openapi"].startswith("3.1")
    body = described["paths"]["/v1/images"]["post"]["requestBody"]["content"]
    assert set(body) == {"multipart/form-data", "application/json"}
    assert described["components"]["schemas"]["SegmentRequest"]["examples"]
    for address, methods in described["paths"].items():
        for method, said in methods.items():
            assert said["responses"]["429"]["content"]["application/problem+json"], (method, address)
            assert said["description"], (method, address)


def test_without_a_page_the_root_says_where_to_look(service):
    answer = service.get("/")
    assert answer.status_code == 200
    if answer.headers["content-type"] == "application/json":
        assert answer.json()["description"] == "/openapi.json"
