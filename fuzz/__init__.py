"""Seeded fuzzing of everything that reads what others wrote: `make fuzz`, or `python -m fuzz`.

A case is a number of an area: the same seed, area and number give the same input, whatever ran before. It has to end in
a valid result or in one line of rs2sam's own errors (requests: in answers below 500), within 20 s of processor time and
2 GB, and leave no file behind.

    supervising   workers, counts, what crashed
    worker        one process: case after case under limits
    sandbox       the folder of a case, and what may lie in it afterwards
    contract      how a case ends
    mutations     bytes, JSON and numbers turned into odd ones
    standin       a model that costs a millisecond
    areas/        what is made up and tried: images, sentences, data, models, arguments, results, requests (with
                  bodies and answers)
"""
