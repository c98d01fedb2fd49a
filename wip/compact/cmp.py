import torch,sys,numpy as np; sys.argv=['x','x','1']
import stage1,net; from data import *
imgs=load(); rng=np.random.default_rng(5); va=[]
for s in dict.fromkeys(i.source for i in imgs):
    l=[i for i in imgs if i.split=='val' and i.source==s]; cap=26 if s=='nwpu_vhr10' else 6
    va+=[l[j] for j in sorted(rng.permutation(len(l))[:cap])]
del imgs
for f in ('s1','t1'):
    m=net.ClassMaps(K+1).to(memory_format=torch.channels_last); st=torch.load(f'../runs/{f}.pt',weights_only=True); m.load_state_dict({k:v for k,v in st['ema'].items() if k in m.state_dict()}); v=stage1.validate(m,va); print(f,st['step'],{k:round(v[k],3) for k in('all','classes','nwpu')},v['by'],flush=True)
