"""All sets as images with a bit per class and pixel, in memory."""
import json,sys,hashlib,glob,os,pickle
from pathlib import Path
import numpy as np, cv2
cv2.setNumThreads(1)
sys.path.insert(0,'/work/train/base_src')
ROOT=Path('/work/shared/data')
CL=['airplane','ship','storage_tank','baseball_diamond','tennis_court','basketball_court','ground_track_field','harbor','bridge','vehicle','large_vehicle','building','swimming_pool','road','water','vegetation','land','tree','golf_field','park','soccer_field','roundabout','helicopter']
IX={c:i for i,c in enumerate(CL)}; K=len(CL); VOID=np.uint32(1<<31)
COMPAT="""vehicle:large_vehicle road bridge land harbor roundabout|large_vehicle:road bridge land harbor roundabout|ship:water harbor|harbor:water land road building|bridge:road water|airplane:land|helicopter:land building airplane|storage_tank:building land|baseball_diamond:vegetation land park|tennis_court:park land|basketball_court:park land|ground_track_field:vegetation land park soccer_field road|soccer_field:vegetation land park|swimming_pool:water park|road:land roundabout park golf_field|water:park golf_field|vegetation:tree park golf_field roundabout|tree:park golf_field road roundabout|golf_field:land|park:land building golf_field"""
EXCL=~np.eye(K,dtype=bool)
for line in COMPAT.split('|'):
    a,bs=line.split(':')
    for b in bs.split(): EXCL[IX[a],IX[b]]=EXCL[IX[b],IX[a]]=False
INST={'airplane','ship','storage_tank','baseball_diamond','tennis_court','basketball_court','ground_track_field','harbor','bridge','vehicle','large_vehicle','building','swimming_pool','tree','golf_field','soccer_field','roundabout','helicopter'}

class Img:
    """rgb (H,W,3) u8, bits (H,W) u32, cen (H,W) u8 (0 = no instance), ex set of exhaustive class indices."""
    def __init__(s,source,id,split,group,rgb,bits,cen,ex,inst):
        s.source,s.id,s.split,s.group,s.rgb,s.bits,s.cen,s.ex,s.inst=source,id,split,group,rgb,bits,cen,ex,inst
        s.cls=[k for k in range(K) if (bits&np.uint32(1<<k)).any()]

def split_of(source,group):
    d=hashlib.sha256(f"{source}/0/{group}".encode()).digest(); p=int.from_bytes(d[:8],'big')/2**64
    return 'test' if p<.12 else 'val' if p<.22 else 'train'

def put(bits,cen,mask,y,x,k,inst,dist=None,extra=()):
    h,w=mask.shape; H,W=bits.shape
    y0,x0=max(0,-y),max(0,-x); mask=mask[y0:H-y,x0:W-x]
    if dist is not None: dist=dist[y0:H-y,x0:W-x]
    y,x=max(y,0),max(x,0); h,w=mask.shape
    b=np.uint32(1<<k)
    for e in extra: b|=np.uint32(1<<e)
    bits[y:y+h,x:x+w][mask]|=b
    if inst:
        if dist is None:
            d=cv2.distanceTransform(np.pad(mask,1).astype(np.uint8),cv2.DIST_L2,5)[1:-1,1:-1]; m=d.max()
            dist=d/m if m>0 else d
        v=np.clip(dist*254,1,255).astype(np.uint8); r=cen[y:y+h,x:x+w]; r[mask]=v[mask]

def ellipse(h,w,scale):
    yy,xx=np.mgrid[:h,:w]; r=np.sqrt(((yy+.5-h/2)/(h/2))**2+((xx+.5-w/2)/(w/2))**2)
    return r<=scale, np.clip(1-r,0,1)

def old(out):
    from rs2sam.datasets.sources import read_sources
    for src,imgs in read_sources(ROOT).items():
        for a in imgs:
            rgb=np.ascontiguousarray(a.pixels()); H,W=a.size_hw; bits=np.zeros((H,W),np.uint32); cen=np.zeros((H,W),np.uint8); insts=[]
            for i in sorted(a.instances,key=lambda i:-i.area):
                x,y=i.origin_xy; put(bits,cen,i.mask,y,x,IX[i.category],True); insts.append((IX[i.category],i.box_xyxy))
            for c in a.regions:
                m=a.regions[c]; bits[m]|=np.uint32(1<<IX[c])
            if src=='dubai_landcover': bits[a.regions.labels==0]|=VOID
            ex={IX[c] for c in a.exhaustive_categories if c in IX}
            out.append(Img(src,a.id,a.split,a.group,rgb,bits,cen,ex,insts))

def coco(out,src,allsplit=None):
    d=json.load(open(ROOT/src/'instances.json')); names={c['id']:c['name'] for c in d['categories']}; by={}
    for a in d['annotations']: by.setdefault(a['image_id'],[]).append(a)
    exn=set(d.get('exhaustive') or [])
    ex={IX[c] for c in exn if c in IX}
    if {'small_vehicle','large_vehicle'}<=exn: ex|={IX['vehicle'],IX['large_vehicle']}
    for im in d['images']:
        rgb=cv2.imread(str(ROOT/src/'images'/im['file_name']))[...,::-1].copy(); H,W=rgb.shape[:2]
        bits=np.zeros((H,W),np.uint32); cen=np.zeros((H,W),np.uint8); insts=[]
        for a in sorted(by.get(im['id'],[]),key=lambda a:-a.get('area',0)):
            n=names[a['category_id']]; extra=()
            if n=='small_vehicle': n='vehicle'
            if n=='large_vehicle': n='large_vehicle'; extra=(IX['vehicle'],)
            if n=='tree': extra=(IX['vegetation'],)
            k=IX[n]; x,y,w,h=[int(round(v)) for v in a['bbox']]; w=max(w,2);h=max(h,2)
            insts.append((k,(x,y,x+w,y+h)))
            if a.get('box_only'):
                core={'storage_tank':.97,'tree':.8,'airplane':.25,'vehicle':.55,'harbor':0,'ground_track_field':.6,'golf_field':.6}[n]
                m,dist=ellipse(h,w,core)
                if n=='vehicle' and (max(w,h)>2*min(w,h)):   # axis parallel: the box is the outline
                    m=np.ones((h,w),bool); dist=ellipse(h,w,2)[1]
                ring=~m if n!='storage_tank' else ellipse(h,w,1.15)[0]&~m
                y0,x0=max(y,0),max(x,0); v=bits[y0:y+h,x0:x+w]; rg=ring[y0-y:,x0-x:][:v.shape[0],:v.shape[1]]
                v[rg&(v&np.uint32(1<<k)==0)]|=VOID
                if m.any(): put(bits,cen,m,y,x,k,True,dist,extra)
            else:
                for poly in a['segmentation']:
                    p=np.array(poly,np.float32).reshape(-1,2)
                    x0,y0=np.floor(p.min(0)).astype(int); x1,y1=np.ceil(p.max(0)).astype(int)+1
                    m=np.zeros((max(y1-y0,1),max(x1-x0,1)),np.uint8); cv2.fillPoly(m,[np.round(p-[x0,y0]-0.5).astype(np.int32)],1); m=m>0
                    if src=='dota_tiles' and n in('ship','airplane','storage_tank','helicopter'):
                        (cx,cy),(rw,rh),ang=cv2.minAreaRect(p); e=np.zeros(m.shape,np.uint8)
                        s={'ship':.92,'airplane':.4,'storage_tank':.97,'helicopter':.4}[n]
                        cv2.ellipse(e,((cx-x0-.5,cy-y0-.5),(rw*s,rh*s),ang),1,-1); e=e>0
                        yy,xx=max(y0,0),max(x0,0); v=bits[yy:y0+m.shape[0],xx:x0+m.shape[1]]
                        v[(m&~e)[yy-y0:,xx-x0:][:v.shape[0],:v.shape[1]]]|=VOID; m=e
                    if m.any(): put(bits,cen,m,y0,x0,k,True,None,extra)
        out.append(Img(src,Path(im['file_name']).stem,allsplit or split_of(src,im['group']),im['group'],rgb,bits,cen,set(ex),insts))

VAL={'barnarp_buildings':{1:'building'},'dronedeploy_chips':{1:'building',3:'vegetation',4:'swimming_pool',6:'vehicle'},'eth_cil_roads':{1:'road'},'google_maps_nyc':{1:'road',2:'water',3:'park+vegetation'},
 'india_landcover':{0:'land',1:'building',2:'vegetation',3:'road',4:'water',5:'land'},'massachusetts_roads':{1:'road'},'s2_water_bodies':{1:'water'}}
EXV={'dronedeploy_chips':['building','vegetation','swimming_pool','vehicle']}
def masks(out,src):
    d=json.load(open(ROOT/src/'classes.json'))
    for im in d['images']:
        f=ROOT/src/'images'/im['file_name']; rgb=cv2.imread(str(f))[...,::-1].copy()
        m=cv2.imread(str(ROOT/src/'masks'/(f.stem+'.png')),cv2.IMREAD_UNCHANGED); m=m if m.ndim==2 else m[...,0]
        bits=np.zeros(m.shape,np.uint32)
        for v,c in VAL[src].items():
            for n in c.split('+'): bits[m==v]|=np.uint32(1<<IX[n])
        bits[m==255]|=VOID
        cen=np.zeros(m.shape,np.uint8); insts=[]
        if src in('barnarp_buildings','dronedeploy_chips'):
            for v in ((1,) if src[0]=='b' else (1,4,6)):
                n,lab,st,_=cv2.connectedComponentsWithStats((m==v).astype(np.uint8),connectivity=4)
                for j in range(1,n):
                    x,y,w,h,a=st[j]
                    if a>=30: put(bits,cen,lab[y:y+h,x:x+w]==j,y,x,IX[VAL[src][v]],True); insts.append((IX[VAL[src][v]],(x,y,x+w,y+h)))
        out.append(Img(src,f.stem,split_of(src,im['group']),im['group'],rgb,bits,cen,{IX[c] for c in EXV.get(src,d['exhaustive'])},insts))

def load(cache='/work/train/data.pkl'):
    if os.path.exists(cache): return pickle.load(open(cache,'rb'))
    out=[]; old(out)
    for s in ('airbus_aircraft','airbus_oil_tanks','cats_drone_vehicles','dior_fewshot','neon_tree_boxes'): coco(out,s)
    for s in ('dota_tiles','isaid_samples'): coco(out,s,'train')
    for s in VAL: masks(out,s)
    # sides above 1200 px are halved in training's memory only
    pickle.dump(out,open(cache,'wb'),protocol=5)
    return out
if __name__=='__main__':
    import collections,time
    t=time.time(); o=load(); print(len(o),time.time()-t)
    c=collections.Counter((i.source,i.split) for i in o)
    for s in dict.fromkeys(i.source for i in o): print(s,{p:c[s,p] for p in('train','val','test')},{CL[k]:sum(k in i.cls for i in o if i.source==s) for k in range(K) if any(k in i.cls for i in o if i.source==s)})
    # look
    rng=np.random.default_rng(0); rows=[]
    pal=rng.integers(60,255,(K,3))
    for s in dict.fromkeys(i.source for i in o):
        ims=[i for i in o if i.source==s]; row=[]
        for i in rng.choice(len(ims),3):
            im=ims[i]; v=im.rgb.astype(float)
            for k in im.cls:
                m=(im.bits>>np.uint32(k))&1==1; v[m]=.5*v[m]+.5*pal[k]
            v[(im.bits&VOID)>0]*=.3
            row+= [cv2.resize(im.rgb,(256,256)),cv2.resize(v.astype(np.uint8),(256,256)),cv2.cvtColor(cv2.resize(im.cen,(256,256)),cv2.COLOR_GRAY2RGB)]
        rows.append(np.hstack(row))
    cv2.imwrite('/work/train/look1.png',np.vstack(rows[:9])[...,::-1]); cv2.imwrite('/work/train/look2.png',np.vstack(rows[9:])[...,::-1])
