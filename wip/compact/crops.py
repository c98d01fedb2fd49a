import numpy as np, cv2
from data import *
WEIGHTS=dict(nwpu_vhr10=.30,dubai_landcover=.08,swimming_pools=.06,openaerialmap_buildings=.05,roads=.03,airbus_aircraft=.04,airbus_oil_tanks=.04,cats_drone_vehicles=.015,dior_fewshot=.09,neon_tree_boxes=.02,dota_tiles=.03,isaid_samples=.02,barnarp_buildings=.05,dronedeploy_chips=.06,eth_cil_roads=.03,google_maps_nyc=.05,massachusetts_roads=.015,s2_water_bodies=.025,india_landcover=.055)
class Crops:
    def __init__(s,imgs,side,seed=0,zoom=(.5,1.6)):
        s.side,s.zoom,s.rng=side,zoom,np.random.default_rng(seed)
        s.by={}
        for i in imgs: s.by.setdefault(i.source,[]).append(i)
        s.names=[n for n in WEIGHTS if n in s.by]; p=np.array([WEIGHTS[n] for n in s.names]); s.p=p/p.sum()
        s.ip={}; r=np.random.default_rng(1)
        for n,l in s.by.items():
            cnt=np.zeros(K)
            for i in l:
                for k in i.cls: cnt[k]+=1
            w=np.array([max([cnt[k]**-.6 for k in i.cls],default=0) for i in l]); w[w==0]=w.max()/2 if w.any() else 1; s.ip[n]=w/w.sum()
            for i in l:
                if hasattr(i,'pts'): continue
                i.pts={}
                for k in i.cls:
                    f=np.flatnonzero(i.bits&np.uint32(1<<k)); i.pts[k]=r.choice(f,min(len(f),200)).astype(np.int32)
    def image(s):
        rng=s.rng; n=s.names[rng.choice(len(s.names),p=s.p)]; return s.by[n][rng.choice(len(s.by[n]),p=s.ip[n])]
    def crop(s,im=None,side=None,zoom=None,center=None):
        rng=s.rng; im=im or s.image(); side=side or s.side; H,W=im.bits.shape
        z=zoom or np.exp(rng.uniform(*np.log(s.zoom)))
        if im.source=='cats_drone_vehicles': z*=.45
        if im.source in('openaerialmap_buildings','dronedeploy_chips'): z=max(z*.9,.6)
        if im.source=='massachusetts_roads': z=max(z,.9)
        z=max(z,side/max(H,W)*.8); win=side/z
        if center is None:
            if im.cls and rng.random()<.7:
                k=im.cls[rng.integers(len(im.cls))]; f=im.pts[k][rng.integers(len(im.pts[k]))]; cy,cx=divmod(int(f),W); cy+=rng.uniform(-.35,.35)*win; cx+=rng.uniform(-.35,.35)*win
            else: cy,cx=rng.uniform(0,H),rng.uniform(0,W)
        else: cy,cx=center
        def clampc(c,L): return L/2 if L<=win else float(np.clip(c,win/2,L-win/2))
        cy,cx=clampc(cy,H),clampc(cx,W)
        y0,x0=int(np.floor(cy-win/2)),int(np.floor(cx-win/2)); n=int(round(win)); ya,xa,yb,xb=max(y0,0),max(x0,0),min(y0+n,H),min(x0+n,W)
        rgb,bits,cen=im.rgb[ya:yb,xa:xb],im.bits[ya:yb,xa:xb],im.cen[ya:yb,xa:xb]
        if rgb.shape[:2]!=(n,n):
            pad=((ya-y0,y0+n-yb),(xa-x0,x0+n-xb)); m=127
            rgb=np.pad(rgb,pad+((0,0),),constant_values=m); bits=np.pad(bits,pad,constant_values=VOID); cen=np.pad(cen,pad)
        sz=(side,side)
        rgb=cv2.resize(rgb,sz,interpolation=cv2.INTER_AREA if z<1 else cv2.INTER_LINEAR)
        bits=cv2.resize(np.ascontiguousarray(bits).view(np.uint8).reshape(n,n,4),sz,interpolation=cv2.INTER_NEAREST).reshape(side,side*4).view(np.uint32).reshape(side,side)
        cen=cv2.resize(cen,sz,interpolation=cv2.INTER_NEAREST)
        k=int(rng.integers(8)); r=lambda a: np.ascontiguousarray(np.rot90(a[:, ::-1] if k&4 else a,k&3))
        return s.colour(r(rgb)),r(bits),r(cen),im
    def colour(s,x):
        rng=s.rng; x=x.astype(np.float32)/255
        if rng.random()<.85:
            x=np.clip(x,1e-4,1)**np.exp(rng.normal(0,.22)); m=x.mean()
            x=(x-m)*np.exp(rng.normal(0,.18))+m+rng.normal(0,.06)
            g=x.mean(2,keepdims=True); x=g+(x-g)*np.exp(rng.normal(0,.3)); x=x*np.exp(rng.normal(0,.07,3)).astype(np.float32)
        if rng.random()<.03: x=np.repeat(x.mean(2,keepdims=True),3,2)
        if rng.random()<.12: x=cv2.GaussianBlur(x,(0,0),rng.uniform(.4,1.3))
        if rng.random()<.12: x=x+rng.normal(0,rng.uniform(.005,.04),x.shape).astype(np.float32)
        x=(np.clip(x,0,1)*255).astype(np.uint8)
        if rng.random()<.1: x=cv2.imdecode(cv2.imencode('.jpg',x,[1,int(rng.integers(40,90))])[1],1)
        return x
