"""Images with a dozen sentences each."""
import sys; sys.path.insert(0,'/work/train/src2')
import numpy as np, cv2, torch
from dataclasses import replace
from rs2sam.datasets.sources import read_sources
from rs2sam.datasets.augment import crop, turn, fit
from rs2sam.datasets.base import LabelRegions
from rs2sam.datasets import expressions as X, phrasing, nouns as N
from rs2sam.datasets.vocabulary import CARRIERS, WIDER
from rs2sam.tokenizer import SentenceTokenizer
from data import CL,IX,K,VOID,EXCL
from crops import WEIGHTS, Crops
from words import *
# more names, at a third of the weight of the first ones
for c,l in MORE.items():
    if c in N.NOUNS: N.NOUNS[c]=N.NOUNS[c]+tuple(N.Noun(a,b,.35) for a,b in l)
TOK=SentenceTokenizer.from_file('/work/train/src2/rs2sam/weights/compact/tokenizer.model')
KIND_W=dict(all=5,**{'class':3.,'stuff':5},count=.5,position=2.2,size=1.,colour=1.,relation=1.2)
CP=np.array([w for _,w in CARRIERS]); CP=CP/CP.sum()
class Sampler:
    def __init__(s,side,seed,k=12,zoom=(.5,1.6),split='train',sources=None):
        s.side,s.k,s.zoom,s.rng=side,k,zoom,np.random.default_rng(seed); s.colour=Crops.colour
        src=sources or read_sources('/work/shared/data'); s.by={}
        for n,l in src.items():
            l=[a for a in l if a.split==split]
            if l and n in WEIGHTS: s.by[n]=l
        s.names=list(s.by); p=np.array([WEIGHTS[n] for n in s.names]); s.p=p/p.sum(); s.ip={}; s.cache={}
        for n,l in s.by.items():
            cats=[{i.category for i in a.instances}|{r for r in a.regions} for a in l]; cnt={}
            for c in cats:
                for x in c: cnt[x]=cnt.get(x,0)+1
            w=np.array([max([cnt[x]**-.6 for x in c],default=0) for c in cats]); w[w==0]=(w.max() or 1)/2; s.ip[n]=w/w.sum()
    def image(s):
        rng=s.rng; n=s.names[rng.choice(len(s.names),p=s.p)]; i=int(rng.choice(len(s.by[n]),p=s.ip[n]))
        if (n,i) not in s.cache: s.cache[n,i]=fit(s.by[n][i],1600)
        return s.cache[n,i]
    def window(s,a):
        rng=s.rng; H,W=a.size_hw; z=float(np.exp(rng.uniform(*np.log(s.zoom))))
        if a.source=='cats_drone_vehicles': z*=.45
        if a.source in('openaerialmap_buildings','dronedeploy_chips'): z=max(z*.9,.6)
        if a.source=='massachusetts_roads': z=max(z,.9)
        win=s.side/z; w,h=min(round(win),W),min(round(win),H); w=h=min(w,h) if min(W,H)>=s.side*.6/s.zoom[1] else min(w,h)
        if rng.random()<.15: return 0,0,W,H
        x,y=rng.uniform(0,max(W-w,0)),rng.uniform(0,max(H-h,0))
        if a.instances and rng.random()<.7:
            cats=sorted({i.category for i in a.instances}); c=cats[rng.integers(len(cats))]; l=[i for i in a.instances if i.category==c]; q=l[rng.integers(len(l))].center_xy
            x,y=q[0]-w*rng.uniform(.15,.85),q[1]-h*rng.uniform(.15,.85)
        x,y=int(np.clip(x,0,W-w)),int(np.clip(y,0,H-h)); return x,y,x+w,y+h
    def scene(s):
        s.last=None
        rng=s.rng; a=s.image(); a=crop(a,s.window(a),s.side); a=turn(a,int(rng.integers(4)),bool(rng.integers(2)))
        rgb=s.colour(s,a.pixels()); a=replace(a,image=rgb); return a,rgb
    def bits(s,a):
        b=np.zeros(a.size_hw,np.uint32); cen=np.zeros(a.size_hw,np.uint8)
        for i in sorted(a.instances,key=lambda i:-i.area):
            x0,y0,x1,y1=i.box_xyxy; v=np.uint32(1<<IX[i.category]) if i.category in IX else np.uint32(0)
            if i.category in WIDER: v|=np.uint32(1<<IX[WIDER[i.category]])
            b[y0:y1,x0:x1][i.mask]|=v
            d=cv2.distanceTransform(np.pad(i.mask,1).astype(np.uint8),cv2.DIST_L2,3)[1:-1,1:-1]; d=d/max(d.max(),1e-6); cen[y0:y1,x0:x1][i.mask]=np.clip(d*254,1,255).astype(np.uint8)[i.mask]
        for r in a.regions:
            if r not in IX: continue
            v=np.uint32(1<<IX[r])
            if r in WIDER: v|=np.uint32(1<<IX[WIDER[r]])
            b[a.regions[r]]|=v
        if a.unknown is not None: b[a.unknown]|=VOID
        ex={IX[c] for c in a.exhaustive_categories if c in IX}
        return b,cen,ex
    def known_of(s,b,ex,k):
        """pixels where class k is known"""
        if k in ex: return (b&VOID)==0
        kn=(b>>np.uint32(k))&1==1
        for j in np.flatnonzero(EXCL[k]): kn|=(b>>np.uint32(j))&1==1
        return kn&((b&VOID)==0)
    def sentences(s,a,rgb,b,ex,k=None):
        """list of (sentence, target bool (S,S), known bool (S,S), kind, present 0/1/-1, taught 0/1)"""
        rng=s.rng; k=k or s.k; notvoid=(b&VOID)==0; out=[]; z=np.zeros(a.size_hw,bool)
        pool={}; many=len(a.instances)>60
        for kind in KIND_W:
            if many and kind in('relation','position','colour','size'): continue
            d=list(X.descriptions(a,kind,rgb))
            if d: pool[kind]=d
        cats=sorted({i.category for i in a.instances}|{r for r in a.regions if a.regions[r].mean()>.004}); cats+=[WIDER[c] for c in cats if c in WIDER and WIDER[c] not in cats]
        weak=[c for c in cats if c not in a.exhaustive_categories]
        n_abs=int(round(k*.27)); n_un=int(rng.random()<.75)+int(rng.random()<.35); n_pos=k-n_abs-n_un
        kinds=list(pool); kp=np.array([KIND_W[q] for q in kinds]); 
        for _ in range(n_pos):
            if weak and (not kinds or rng.random()<.3):
                c=weak[rng.integers(len(weak))]; t=a.category_mask(c)
                if t.sum()<24: continue
                e=X._worded(a,phrasing.Description('all',c,is_plural=True,is_region=c in a.regions,says_all=True),rng); out.append((e.sentence,t,s.known_of(b,ex,IX[c]),'weak',1,1)); continue
            if not kinds: break
            q=kinds[rng.choice(len(kinds),p=kp/kp.sum())]; cs=sorted({d.category for d in pool[q]}); c=cs[rng.integers(len(cs))]; ds=[d for d in pool[q] if d.category==c]; d=ds[rng.integers(len(ds))]
            if q in('position','size','colour','relation'): d=X._with_extra(a,d,rgb,rng)
            e=X._worded(a,d,rng); out.append((e.sentence,e.mask(a),notvoid,q,1,1))
        present={i.category for i in a.instances}|{c for c in a.regions if a.regions[c].any()}
        ab=[d for d in X._absent(a,rgb if not many and rng.random()<.5 else None)] if not many else [d for d in X._absent(replace(a,instances=tuple(i for i in a.instances[:1])),None) if d.category not in present and WIDER.get(d.category) not in present and not any(WIDER.get(p)==d.category for p in present)]
        ab=[d for d in ab if d.category in IX and not any(WIDER.get(p)==d.category for p in present) ]
        whole=[d for d in ab if not d.properties]; part=[d for d in ab if d.properties]
        for _ in range(n_abs):
            l=part if part and (not whole or rng.random()<.3) else whole
            if not l: break
            cs=sorted({d.category for d in l}); c=cs[rng.integers(len(cs))]; l=[d for d in l if d.category==c]; d=l[rng.integers(len(l))]
            e=X._worded(a,d,rng); out.append((e.sentence,z,notvoid,'absent',0,1))
        while len(out)<k or n_un>0:
            n_un-=1; r=rng.random()
            if r<.6:
                u=UNTAUGHT[rng.integers(len(UNTAUGHT))]; u=plural(u) if rng.random()<.5 else u; det=['the','all the','a','every','','all'][rng.integers(6)]
                t=CARRIERS[rng.choice(len(CARRIERS),p=CP)][0].replace('{be}','is').format((det+' '+u).strip())
            elif r<.75: t=FOREIGN[rng.integers(len(FOREIGN))]
            elif r<.9: t=gibberish(rng)
            else: t=FILLER[rng.integers(len(FILLER))]
            out.append((t,z,notvoid,'untaught',0,0))
        return out[:k] if len(out)>k else out
    def batch(s,images):
        rgb,bits,cen,exs,sent=[],[],[],[],[]
        for _ in range(images):
            a,x=s.scene(); b,c,ex=s.bits(a); se=s.sentences(a,x,b,ex); rgb.append(x);bits.append(b);cen.append(c);exs.append(ex);sent+=se
        ids=[TOK.encode(q[0])[:128] for q in sent]; L=max(map(len,ids)); I=np.full((len(ids),L),1,np.int64)
        for r,i in zip(I,ids): r[:len(i)]=i
        t=torch.from_numpy(np.stack([q[1] for q in sent])); kn=torch.from_numpy(np.stack([q[2] for q in sent]))
        return np.stack(rgb),np.stack(bits),np.stack(cen),exs,torch.from_numpy(I),t,kn,[q[3] for q in sent],torch.tensor([q[4] for q in sent]).float(),torch.tensor([q[5] for q in sent]).float(),[q[0] for q in sent]
if __name__=='__main__':
    import time,collections
    t=time.time(); s=Sampler(320,0); print('read',time.time()-t)
    for i in range(6): s.batch(2)
    t=time.process_time(); kinds=collections.Counter(); n=20
    for i in range(n):
        b=s.batch(2); kinds.update(b[7])
        if i<6: print(*b[10],sep=' | '); 
    print((time.process_time()-t)/n,'s a batch of 2x12',kinds)
    rows=[]
    for i in range(5):
        a,x=s.scene(); b,c,ex=s.bits(a); row=[x]
        for q in s.sentences(a,x,b,ex)[:7]:
            v=x.astype(float); v[q[1]]=.4*v[q[1]]+.6*np.array([255,0,0]); v[~q[2]]*=.4; v=v.astype(np.uint8).copy(); cv2.putText(v,q[0][:48],(2,12),0,.36,(255,255,0),1); row.append(v)
        rows.append(np.hstack(row))
    cv2.imwrite('/work/train/look3.png',np.vstack(rows)[...,::-1])
