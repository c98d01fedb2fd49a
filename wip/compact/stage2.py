"""Sentences. stage2.py NAME MINUTES --init s1 [--text F] --side 320 --images 2 --k 12"""
import argparse,time,os,json,glob,sys,torch,numpy as np,cv2,once
from torch.nn import functional as F
from data import CL,IX,K,VOID,EXCL
import net
ap=argparse.ArgumentParser(); ap.add_argument('name'); ap.add_argument('minutes',type=float); ap.add_argument('--init',required=True); ap.add_argument('--text'); ap.add_argument('--side',type=int,default=320); ap.add_argument('--images',type=int,default=2); ap.add_argument('--k',type=int,default=12); ap.add_argument('--lr',type=float,default=1e-3); ap.add_argument('--backbone',type=float,default=.2); ap.add_argument('--pyramid',type=float,default=.4); ap.add_argument('--every',type=float,default=15); ap.add_argument('--zoom',default='.5,1.6'); ap.add_argument('--clsw',type=float,default=1.0); ap.add_argument('--floor',type=float,default=.03)
a=ap.parse_args(); torch.set_num_threads(1); torch.manual_seed(0)
from sentences import Sampler,TOK
from rs2sam.datasets.sources import read_sources
import rs2sam.datasets.mixture as MX
def class_targets(bits,cen,exs):
    b=torch.from_numpy(bits.astype(np.int64)); t=torch.stack([((b>>k)&1) for k in range(K)],1).float(); t=F.avg_pool2d(t,4); void=F.avg_pool2d(((b>>31)&1).float()[:,None],4)
    ex=torch.zeros(len(exs),K)
    for i,e in enumerate(exs): ex[i,list(e)]=1
    known=ex[:,:,None,None].expand_as(t); E=torch.from_numpy(EXCL.astype(np.float32)); other=torch.einsum('kj,bjhw->bkhw',E,(t>.7).float())
    known=torch.maximum(known,torch.maximum((t>.5).float(),(other>0).float()))*(void<.01)
    c=torch.from_numpy(cen.astype(np.float32))[:,None]; m=(c>0).float(); cw=F.avg_pool2d(m,4); ct=F.avg_pool2d(c,4)/cw.clamp_min(1e-3)/254
    return t,known,ct.clamp(0,1),cw*(cw>.99)
def class_loss(logit,t,known,g=1.5):
    p=logit.sigmoid(); ce=F.binary_cross_entropy_with_logits(logit,t,reduction='none')*(t-p).abs()**g; focal=(ce*known).sum()/known.sum()
    i=(p*t*known).sum((2,3)); u=((p+t)*known).sum((2,3)); pr=((t*known).sum((2,3))>2).float(); return 15*focal+((1-(2*i+1)/(u+1))*pr).sum()/pr.sum().clamp_min(1)
def mask_loss(z,t,kn,present,g=1.0):
    """z,t,kn (B,1,h,w); mean over sentences of focal + Dice (present)"""
    p=z.sigmoid(); n=kn.sum((1,2,3)).clamp_min(1); ce=F.binary_cross_entropy_with_logits(z,t,reduction='none')*(t-p).abs()**g
    # near the outline of the target every pixel counts more
    e=(F.max_pool2d(t,5,1,2)-(1-F.max_pool2d(1-t,5,1,2))>.2).float(); w=1+2*e
    focal=(ce*kn*w).sum((1,2,3))/n; i=(p*t*kn).sum((1,2,3)); u=((p+t)*kn).sum((1,2,3)); dice=(1-(2*i+1)/(u+1))*present
    return 10*focal.mean()+dice.sum()/present.sum().clamp_min(1),focal.mean().item(),(dice.sum()/present.sum().clamp_min(1)).item()
@torch.no_grad()
def validate(m,samples,maxside=768):
    """mIoU per kind at the images' own size, model alone, no limit of presence"""
    m.eval(); res=[]; groups={}
    for q in samples: groups.setdefault(str(q.image),[]).append(q)
    for l in groups.values():
        rgb=l[0].pixels(); H,W=rgb.shape[:2]; z=min(maxside/max(H,W),2.0); h,w=max(32,round(H*z/32)*32),max(32,round(W*z/32)*32)
        x=torch.from_numpy(cv2.resize(rgb,(w,h),interpolation=cv2.INTER_AREA if z<1 else cv2.INTER_LINEAR)).permute(2,0,1)[None].float().contiguous(memory_format=torch.channels_last); e=m.encode(x)
        ids=[TOK.encode(q.sentence)[:128] for q in l]; L=max(map(len,ids)); I=np.full((len(ids),L),1,np.int64)
        for r,i in zip(I,ids): r[:len(i)]=i
        o=m.answer(e,torch.from_numpy(I)); pres=m.presence_of(o).sigmoid()
        for j,q in enumerate(l):
            t=q.target((H,W)); v=[]
            for key in('logits','prompt'):
                pr=(F.interpolate(o[key][j:j+1],size=(H,W),mode='bilinear')[0,0]>0).numpy(); u=(pr|t).sum(); v.append(1. if u==0 else (pr&t).sum()/u)
            res.append((q.kind,q.category,*v,float(pres[j]),float(o['known'][j].sigmoid())))
    m.train(); kinds={}
    for r in res: kinds.setdefault(r[0],[]).append(r)
    ab=np.array([r[4] for r in res if r[0]=='absent']); pr=np.array([r[4] for r in res if r[0]!='absent']); auc=float((pr[:,None]>ab[None]).mean()) if len(ab) else None
    cat={}
    for r in res:
        if r[0] in('class','all','stuff','count'): cat.setdefault(r[1],[]).append(r[2])
    lim={t:round(float(np.mean([(1. if r[0]=='absent' else 0.) if r[4]<t else r[2] for r in res])),3) for t in(.2,.3,.4,.5,.6)}
    return dict(miou=round(float(np.mean([r[2] for r in res])),4),prompt=round(float(np.mean([r[3] for r in res])),4),limited=lim,auc=auc,known=round(float(np.mean([r[5]>.5 for r in res])),3),pr7=round(float(np.mean([r[2]>=.7 for r in res if r[0]!='absent'])),3),kinds={k:(round(100*float(np.mean([r[2] for r in l]))),len(l)) for k,l in kinds.items()},cats={k:(round(100*float(np.mean(l))),len(l)) for k,l in sorted(cat.items())})
if __name__=='__main__':
    src=read_sources('/work/shared/data'); samples=MX.evaluation_samples(src,'val',0,40); print(len(samples),'validation sentences',flush=True)
    sp=Sampler(a.side,int(time.time()),a.k,tuple(float(v) for v in a.zoom.split(',')),sources=src)
    m=once.Once().to(memory_format=torch.channels_last); st=torch.load(a.init,weights_only=True)['ema']
    if not any(k.startswith('layers.') for k in st): print('from class maps',m.load_state_dict(st,strict=False).unexpected_keys)
    else: m.load_state_dict(st)
    if a.text: print('text',len(torch.load(a.text,weights_only=True))); m.load_state_dict(torch.load(a.text,weights_only=True),strict=False)
    for mod in m.modules():
        if hasattr(mod,'config'): mod.config._attn_implementation='eager'
    rate=lambda n: a.backbone if n.startswith('trunk') else a.pyramid if n.startswith(('pyramid','head')) else .3 if n.startswith(('token_embedding','text_layers','text_positions')) else 1.
    groups={}
    for n,p in m.named_parameters(): groups.setdefault((rate(n),p.ndim>1 and 'embedding' not in n),[]).append(p)
    opt=torch.optim.AdamW([dict(params=ps,base=a.lr*r,weight_decay=.02 if d else 0.) for (r,d),ps in groups.items()],lr=1e-3,betas=(.9,.98))
    ema={n:v.detach().clone() for n,v in m.state_dict().items()}; t0=time.time(); step=0; nv=a.every; acc=[]; cpu=[0,0]; T=a.minutes*60
    def save(): torch.save({'model':m.state_dict(),'ema':ema,'step':step,'args':vars(a)},f'/work/train/runs/{a.name}.tmp'); os.replace(f'/work/train/runs/{a.name}.tmp',f'/work/train/runs/{a.name}.pt')
    while True:
        el=time.time()-t0; f=el/T
        if f>=1: break
        s=min(1,(step+1)/150)*((1-a.floor)*.5*(1+np.cos(np.pi*f))+a.floor)
        for g in opt.param_groups: g['lr']=g['base']*s
        q=time.process_time(); rgb,bits,cen,exs,ids,t,kn,kinds,present,taught,_=sp.batch(a.images); cpu[0]+=time.process_time()-q
        x=torch.from_numpy(rgb).permute(0,3,1,2).float().contiguous(memory_format=torch.channels_last)
        t=F.avg_pool2d(t[:,None].float(),4); kn=(F.avg_pool2d(kn[:,None].float(),4)>.99).float()
        e=m.encode(x)
        with torch.autocast('cpu',torch.bfloat16): o=m.answer(e,ids)
        lp,_,dp=mask_loss(o['prompt'],t,kn,present); lz,fz,dz=mask_loss(o['logits'].float(),t,kn,present)
        ct,ck,cc,cw=class_targets(bits,cen,exs); lc=class_loss(e.class_maps[:,:K],ct,ck); lcen=(F.binary_cross_entropy_with_logits(e.class_maps[:,K:],cc,reduction='none')*cw).sum()/cw.sum().clamp_min(1)
        with torch.no_grad():
            pz=(o['logits']>0).float(); i=(pz*t*kn).sum((1,2,3)); u=(((pz+t)>.5).float()*kn).sum((1,2,3)); iou=torch.where(u>0,i/u.clamp_min(1),torch.ones_like(u))
        lpres=F.binary_cross_entropy_with_logits(m.presence_of(o),present); lk=F.binary_cross_entropy_with_logits(o['known'].float(),taught); liou=F.mse_loss(o['iou'],iou)
        loss=lz+lp+a.clsw*lc+.2*lcen+.3*lpres+.2*lk+.5*liou
        opt.zero_grad(set_to_none=True); loss.backward(); torch.nn.utils.clip_grad_norm_(m.parameters(),3.0); opt.step(); step+=1; cpu[1]+=time.process_time()-q
        d=min(.998,(1+step)/(10+step))
        with torch.no_grad():
            for n,v in m.state_dict().items():
                if v.dtype.is_floating_point: ema[n].lerp_(v,1-d)
        acc.append((lz.item(),lp.item(),dz,dp,lc.item(),lpres.item(),lk.item(),liou.item()))
        if step%50==0:
            v=np.mean(acc,0); acc=[]; print(f'{el/60:.1f} min step {step} sentences {step*a.images*a.k} mask {v[0]:.3f} prompt {v[1]:.3f} dice {v[2]:.3f} {v[3]:.3f} class {v[4]:.3f} presence {v[5]:.3f} known {v[6]:.3f} iou {v[7]:.3f} gate {m.gate.item():.3f} s/step {cpu[1]/step:.2f} (data {cpu[0]/step:.2f})',flush=True)
        if el/60>nv:
            nv+=a.every; live={n:v.clone() for n,v in m.state_dict().items()}; m.load_state_dict(ema); v=validate(m,samples); m.load_state_dict(live); print('VAL',json.dumps(v),flush=True); save()
    m.load_state_dict(ema); print('VAL',json.dumps(validate(m,samples)),flush=True); save(); print('done',step)
