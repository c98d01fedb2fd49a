"""Convolutional trunk (EfficientNet-lite0), light pyramid, class maps. Shapes: B batch, S side."""
import math, torch
from torch import nn, Tensor
from torch.nn import functional as F

STAGES = ((1,3,1,1,16),(2,3,2,6,24),(2,5,2,6,40),(3,3,2,6,80),(3,5,1,6,112),(4,5,2,6,192),(1,3,1,6,320))
LEVEL_BLOCKS = (2,4,10,15)
LEVEL_CHANNELS = (24,40,112,320)

BF16=True
def conv1(x,w,b=None):
    """1x1 convolution as a product over channels-last pixels: on one thread torch's own is slow."""
    x=x.permute(0,2,3,1)
    if BF16 and torch.is_grad_enabled(): y=F.linear(x.bfloat16(),w.bfloat16(),None if b is None else b.bfloat16()).float()
    else: y=F.linear(x,w,b)
    return y.permute(0,3,1,2)

class Conv1(nn.Conv2d):
    def __init__(s,a,b,bias=True): super().__init__(a,b,1,bias=bias)
    def forward(s,x): return conv1(x,s.weight[:,:,0,0],s.bias)

class ConvNorm(nn.Module):
    """Convolution with folded batch norm of fixed statistics: weights stay apart, so that training acts as with the norm."""
    def __init__(s, cin, cout, k=1, stride=1, groups=1, act=True):
        super().__init__()
        s.weight = nn.Parameter(torch.empty(cout, cin//groups, k, k)); s.gamma=nn.Parameter(torch.ones(cout)); s.beta=nn.Parameter(torch.zeros(cout))
        s.register_buffer('mean',torch.zeros(cout)); s.register_buffer('var',torch.ones(cout))
        s.k,s.stride,s.groups,s.act=k,stride,groups,act
    def forward(s,x):
        scale=s.gamma*(s.var+1e-3).rsqrt()
        w=s.weight*scale[:,None,None,None]; b=s.beta-s.mean*scale
        p=s.k//2
        if s.stride==2:
            x=F.pad(x,(p-1,p,p-1,p)); p=0   # TensorFlow's "same" on even sides
        y=conv1(x,w[:,:,0,0],b) if s.k==1 else F.conv2d(x,w,b,s.stride,p,1,s.groups)
        return F.relu6(y) if s.act else y

class Block(nn.Module):
    def __init__(s,cin,cout,k,stride,exp):
        super().__init__(); h=cin*exp
        s.expand=ConvNorm(cin,h) if exp>1 else None
        s.depthwise=ConvNorm(h,h,k,stride,h); s.project=ConvNorm(h,cout,act=False)
        s.residual=stride==1 and cin==cout
    def forward(s,x):
        y=x if s.expand is None else s.expand(x)
        y=s.project(s.depthwise(y))
        return x+y if s.residual else y

class Trunk(nn.Module):
    def __init__(s):
        super().__init__(); s.stem=ConvNorm(3,32,3,2); bs=[];w=32
        for r,k,st,e,o in STAGES:
            for i in range(r): bs.append(Block(w,o,k,st if i==0 else 1,e)); w=o
        s.blocks=nn.ModuleList(bs)
    def forward(s,x):
        x=s.stem(x); out=[]
        for i,b in enumerate(s.blocks):
            x=b(x)
            if i in LEVEL_BLOCKS: out.append(x)
        return out
    def load_lite0(s,path):
        st=torch.load(path,map_location='cpu',weights_only=True)
        def put(m,conv,bn):
            m.weight.data.copy_(st[conv+'.weight']); m.gamma.data.copy_(st[bn+'.weight']); m.beta.data.copy_(st[bn+'.bias']); m.mean.copy_(st[bn+'.running_mean']); m.var.copy_(st[bn+'.running_var'])
        put(s.stem,'_conv_stem','_bn0')
        for i,b in enumerate(s.blocks):
            p=f'_blocks.{i}.'
            if b.expand is not None: put(b.expand,p+'_expand_conv',p+'_bn0')
            put(b.depthwise,p+'_depthwise_conv',p+'_bn1'); put(b.project,p+'_project_conv',p+'_bn2')

class Separable(nn.Module):
    def __init__(s,c,k=3):
        super().__init__(); s.dw=nn.Conv2d(c,c,k,padding=k//2,groups=c,bias=False); s.pw=Conv1(c,c,False); s.norm=nn.GroupNorm(8,c)
    def forward(s,x): return F.relu(s.norm(s.pw(s.dw(x))))

class Pyramid(nn.Module):
    """Top-down sum; the global mean joins at 1/32. Returns the maps at strides 4, 8, 16, 32, width c."""
    def __init__(s,c=96):
        super().__init__(); s.lateral=nn.ModuleList(Conv1(k,c) for k in LEVEL_CHANNELS)
        s.glob=Conv1(LEVEL_CHANNELS[-1],c); s.smooth=nn.ModuleList(Separable(c) for _ in range(4)); s.extra=Separable(c)
    def forward(s,levels):
        y=s.lateral[3](levels[3])+s.glob(levels[3].mean((2,3),keepdim=True)); y=s.smooth[3](y); maps=[y]
        for i in (2,1,0):
            y=s.lateral[i](levels[i])+F.interpolate(y,scale_factor=2.0,mode='bilinear'); y=s.smooth[i](y)
            if i==0: y=s.extra(y)
            maps.append(y)
        return maps[::-1]

class ClassMaps(nn.Module):
    def __init__(s,k,c=96):
        super().__init__(); s.trunk=Trunk(); s.pyramid=Pyramid(c); s.head=Conv1(c,k); nn.init.normal_(s.head.weight,std=0.02); nn.init.constant_(s.head.bias,-3.0)
    def forward(s,x):
        """x (B,3,S,S) float 0..255 -> (B,K,S/4,S/4) logits"""
        return s.head(s.pyramid(s.trunk((x-127.0)/128.0))[0])
