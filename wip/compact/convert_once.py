"""A checkpoint of `Once` as a model folder of the project.

    PYTHONPATH=/work/wt/model/src python convert_once.py CHECKPOINT.pt FOLDER [--check DUMP.pt] [--unfolded] [--float32]

`--check` compares with the answers that dump_once.py stored of the same weights; `--unfolded` keeps the norms apart, as
training goes on from them. Classes, least presence and first pass are to be put into preprocessor_config.json by hand.
"""
import argparse, sys
from pathlib import Path
import torch
import rs2sam
from rs2sam.models.encode_once.configuration import EncodeOnceConfig
from rs2sam.models.encode_once.model import EncodeOnceModel

RENAMED = {'pyramid.glob.': 'pyramid.whole.', '.dw.': '.depthwise.', '.pw.': '.pointwise.', 'patch_projection.': 'cell_to_image.'}
DROPPED = ('head.', 'text_pool.', 'centre.')  # teachers of training alone

def own_name(name):
    for theirs, ours in RENAMED.items(): name = name.replace(theirs, ours)
    return name

def convert(state):
    left = {n: v for n, v in state.items() if not n.startswith(DROPPED)}
    count = lambda p: len({n.split('.')[1] for n in left if n.startswith(p)})
    config = EncodeOnceConfig.preset('compact', text_layers=count('text_layers.'), union_layers=count('layers.'))
    model = EncodeOnceModel(config).eval()
    model.load_state_dict({own_name(n): v.float() for n, v in left.items()})
    return model

def check(model, cases):
    worst = {}
    for c in cases:
        with torch.no_grad():
            e = model.encode((c['x'] - 127) / 128); o = model.answer(e, c['ids'])
        pairs = dict(logits=(2 * o.low_res_logits - 1, c['logits']), prompt=(o.pseudo_mask, c['prompt'].sigmoid()), known=(o.known_logits, c['known']),
                     iou=(o.iou_scores, c['iou']), presence=(o.presence_logits, c['presence']), fine=(e.fine, c['fine']))
        for k, (a, b) in pairs.items(): worst[k] = max(worst.get(k, 0), float((a - b).abs().max()))
    return worst

if __name__ == '__main__':
    ap = argparse.ArgumentParser(); ap.add_argument('checkpoint'); ap.add_argument('folder', type=Path); ap.add_argument('--check'); ap.add_argument('--unfolded', action='store_true'); ap.add_argument('--float32', action='store_true')
    a = ap.parse_args(); print('rs2sam of', rs2sam.__file__)
    model = convert(torch.load(a.checkpoint, map_location='cpu', weights_only=True)['ema'])
    cases = torch.load(a.check, map_location='cpu', weights_only=True)['cases'] if a.check else []
    if a.check: print('largest differences, norms apart:', check(model, cases))
    if not a.unfolded: model.fold()
    if a.check: print('largest differences, folded:', check(model, cases))
    if not a.float32: model.half()
    model.save_pretrained(a.folder)
    from rs2sam.processing import ProcessingConfig, Processor
    compact = Processor.from_folder(Path(rs2sam.__file__).parent / 'weights/compact')
    Processor(ProcessingConfig(image_size=model.config.image_size, union_image_size=0, max_text_tokens=model.config.max_text_tokens,
                               image_mean=(127 / 255,) * 3, image_std=(128 / 255,) * 3, keeps_aspect=True), compact.tokenizer).save(a.folder)
    print('written', sorted(f.name for f in a.folder.iterdir()))
