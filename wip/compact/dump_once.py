"""Random Once weights with its answers, to prove the project's model equal: dump_once.py OUT.pt [CHECKPOINT.pt]"""
import sys,torch
sys.path.insert(0,'/work/train/code')
import once,net
net.BF16=False
torch.manual_seed(0); m=once.Once().eval()
if len(sys.argv)>2: m.load_state_dict(torch.load(sys.argv[2],map_location='cpu',weights_only=True)['ema'])
else:
    g=torch.Generator().manual_seed(1)
    for mod in m.modules():
        if isinstance(mod,net.ConvNorm):
            torch.nn.init.normal_(mod.weight,std=(2/mod.weight[0].numel())**.5); mod.gamma.data.uniform_(.7,1.3); mod.beta.data.normal_(0,.2); mod.mean.normal_(0,.2); mod.var.uniform_(.5,1.5)
    m.gate.data.fill_(.7)
    torch.nn.init.normal_(m.known.weight); torch.nn.init.normal_(m.presence[2].weight)
g=torch.Generator().manual_seed(2)
cases=[]
for I,B,L,h,w in ((1,3,9,96,64),(2,4,6,64,128),(1,1,5,160,160)):
    x=torch.randint(0,256,(I,3,h,w),generator=g).float(); ids=torch.randint(4,8192,(B,L),generator=g); ids[:,0]=0; ids[:,-1]=2
    if B>1: ids[1,-2:]=torch.tensor([2,1])
    with torch.no_grad():
        e=m.encode(x); o=m.answer(e,ids); p=m.presence_of(o)
    cases.append(dict(x=x,ids=ids,logits=o['logits'],prompt=o['prompt'],known=o['known'],iou=o['iou'],presence=p,fine=e.fine,cells=e.cells))
torch.save({'ema':m.state_dict(),'cases':cases},sys.argv[1])
