"""The text half imitates a sentence encoder. distill.py EPOCHS"""
import sys,json,time,numpy as np,torch,once
from torch.nn import functional as F
from rs2sam.tokenizer import SentenceTokenizer
torch.set_num_threads(1); torch.manual_seed(0)
S=json.load(open('/work/train/strings.json')); V=torch.from_numpy(np.load('/work/train/vectors.npy')).float(); V=F.normalize(V,dim=1); V0=V-V.mean(0)
tok=SentenceTokenizer.from_file('/work/train/src2/rs2sam/weights/compact/tokenizer.model'); ids=[tok.encode(s)[:64] for s in S]
from safetensors.torch import load_file
m=once.Once(); sd=load_file('/work/train/src2/rs2sam/weights/compact/model.safetensors'); k=[q for q in sd if q.endswith('token_embedding.weight')][0]
m.token_embedding.weight.data.copy_(sd[k].float())
for mod in m.modules():
    if hasattr(mod,'config'): mod.config._attn_implementation='eager'
ps=[p for n,p in m.named_parameters() if n.split('.')[0] in('token_embedding','text_positions','text_layers','text_pool')]
E=float(sys.argv[1]); B=192; rng=np.random.default_rng(0); N=len(S); steps=int(E*N/B); opt=torch.optim.AdamW(ps,lr=1e-3,weight_decay=.01,betas=(.9,.98)); t0=time.time(); acc=[]
L=np.array([len(i) for i in ids]); hold=set(rng.permutation(N)[:2000].tolist()); tr=np.array([i for i in range(N) if i not in hold]); tr=tr[rng.permutation(len(tr))]
def batch(ix):
    n=max(L[i] for i in ix); x=np.full((len(ix),n),1,np.int64)
    for r,i in zip(x,ix): r[:L[i]]=ids[i]
    return torch.from_numpy(x)
def loss(ix):
    with torch.autocast('cpu',torch.bfloat16): _,_,p=m.read(batch(ix)); y=m.text_pool(p).float()
    t=V[list(ix)]; c=1-F.cosine_similarity(y,t).mean()
    yn=F.normalize(y,dim=1); ce=F.kl_div(F.log_softmax(yn@yn.T/.1,1),F.softmax(t@t.T/.1,1),reduction='batchmean'); return c+.5*ce,c.item()
# batches of like length
def batches():
    while True:
        big=tr[rng.permutation(len(tr))[:B*50]]; big=big[np.argsort(L[big]+rng.random(len(big)))]; 
        for j in rng.permutation(50): yield big[j*B:(j+1)*B]
g=batches()
for s in range(steps):
    for q in opt.param_groups: q['lr']=1e-3*min(1,(s+1)/100)*(.5*(1+np.cos(np.pi*s/steps))+.02)
    l,c=loss(next(g)); opt.zero_grad(); l.backward(); torch.nn.utils.clip_grad_norm_(ps,1.); opt.step(); acc.append(c)
    if s%50==0: print(s,steps,round(float(np.mean(acc[-50:])),4),round(time.time()-t0),flush=True)
    if s%200==199: torch.save({n:p for n,p in m.state_dict().items() if n.split('.')[0] in('token_embedding','text_positions','text_layers','text_pool')},'/work/train/runs/text.pt')
m.eval()
with torch.no_grad(): h=list(hold); print('held-out cosine distance',np.mean([loss(h[i:i+200])[1] for i in range(0,2000,200)]))
torch.save({n:p for n,p in m.state_dict().items() if n.split('.')[0] in('token_embedding','text_positions','text_layers','text_pool')},'/work/train/runs/text.pt')
