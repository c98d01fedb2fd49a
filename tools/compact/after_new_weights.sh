#!/bin/sh
# Everything that is read off the model that ships, made anew; run from the root of the repository on two quiet cores.
#   tools/compact/after_new_weights.sh ../shared/data
# Takes hours: each step stands alone, comment out what is done. Then the figures in docs, README.md and the model card follow.
set -ex
DATA=$1
R=benchmarks/results

# The least presence and the calibration go into preprocessor_config.json, so they come first.
python -m benchmarks.accuracy.calibration "$DATA" compact $R/calibration.json --into src/rs2sam/weights/compact
python -m benchmarks.scale.first_pass --data "$DATA" --write

# Figures of docs/compact.md, the model card and README.md.
python -m benchmarks.accuracy.heldout "$DATA" compact $R/heldout.json --reliability docs/images/reliability.svg
python -m benchmarks.accuracy.heldout "$DATA" compact $R/heldout-analysts.json --list analysts
python -m benchmarks.accuracy.rule_made "$DATA" compact $R/compact-heldout.json
python -m benchmarks.accuracy.failure_sheets "$DATA" compact $R/heldout.json docs/images
python -m benchmarks.accuracy.scope "$DATA" $R/scope.json --model compact

# Pictures and the notebook; docs/images/qgis.png is a screenshot of QGIS, taken by hand.
python tools/draw_demo.py docs/images/demo.jpg
python tools/draw_way.py docs/images/way.png
python -m tools.draw_page "$DATA" docs/images
jupyter nbconvert --to notebook --execute --inplace examples/explore.ipynb

# Speed: docs/speed.md, docs/scenes.md, docs/cluster.md, docs/serve.md, README.md.
rs2sam benchmark compact --json $R/benchmark.json
python -m benchmarks.speed.segment
python -m benchmarks.speed.growth
python -m benchmarks.serving.load
python -m benchmarks.serving.browser
python -m benchmarks.scale.scenes --data "$DATA" --compact-sides 2000 5000 20000
python -m benchmarks.scale.batch --images "$DATA/geotiff/naip"
