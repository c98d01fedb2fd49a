"""The new compact: image encoded once, sentences answered from it. I pictures, B sentences (B multiple of I), N cells, L tokens, D union width, C decoder width."""
import math, torch, sys
sys.path.insert(0,'/work/train/src2')
from typing import NamedTuple
from torch import nn, Tensor
from torch.nn import functional as F
from transformers.models.sam2.modeling_sam2 import Sam2MaskDecoder, Sam2MaskEmbedding, Sam2PositionalEmbedding
from rs2sam.models.configuration import RS2SamConfig
from rs2sam.models.union_encoder import Expert, UnionLayer
from rs2sam.models.attention import additive_key_mask, Attention
from rs2sam.models.fusion import BidirectionalFusion, ProductFusion
from rs2sam.models.initialization import initialize, start_at
from net import Trunk, Pyramid, Conv1, LEVEL_CHANNELS
NUM_CLASSES=24

def config(**k):
    c=RS2SamConfig(**{**dict(image_size=512,union_image_size=256,vocab_size=8192,union_width=256,union_layers=3,union_heads=8,union_ffn_width=1024,decoder_width=96,decoder_heads=4,decoder_mlp_width=384,adapter_ratio=.5,adapter_heads=4,max_text_positions=130,text_pad_id=1,mask_prompt_heads=8),**k})
    c._attn_implementation='sdpa'; return c

class Encoded(NamedTuple):
    fine: Tensor      # (I,C,h/4,w/4) pixel embedding
    middle: Tensor    # (I,C,/8)
    coarse: Tensor    # (I,C,/16)
    cells: Tensor     # (I,N,D) with positions
    cells_hw: tuple
    class_maps: Tensor

class TextLayer(nn.Module):
    def __init__(s,c): super().__init__(); s.text=Expert(c); s.attention=Attention(c,c.union_heads)
    def forward(s,x,m): q,k,v=s.text.project(x); return s.text.finish(x,s.attention(q,k,v,m))

class Once(nn.Module):
    def __init__(s,c=None,text_layers=2):
        super().__init__(); c=c or config(); s.config=c; D,C=c.union_width,c.decoder_width
        s.trunk=Trunk(); s.pyramid=Pyramid(C); s.head=Conv1(C,NUM_CLASSES)
        s.cell_projection=nn.Linear(LEVEL_CHANNELS[3]+C,D); s.cell_positions=Sam2PositionalEmbedding(c.prompt_config()); s.position_projection=nn.Linear(C,D); s.cell_norm=nn.LayerNorm(D)
        s.token_embedding=nn.Embedding(c.vocab_size,D); s.text_positions=nn.Embedding(c.max_text_positions,D)
        s.text_layers=nn.ModuleList(TextLayer(c) for _ in range(text_layers)); s.text_pool=nn.Linear(D,384)
        s.known=nn.Linear(D,1)
        s.cls_token=nn.Parameter(torch.zeros(1,1,D)); s.layers=nn.ModuleList(UnionLayer(c) for _ in range(c.union_layers)); s.image_norm=nn.LayerNorm(D); s.text_norm=nn.LayerNorm(D)
        s.cls_from_text=nn.Linear(D,D)
        s.cls_attention=ProductFusion(c,D,c.mask_prompt_heads); s.mask_linear=start_at(nn.Linear(D,C+1),std=1/math.sqrt(D))
        s.text_projection=nn.Linear(D,C); s.sentence_projection=nn.Sequential(nn.Linear(D,D),nn.ReLU(),nn.Linear(D,C))
        s.patch_projection=nn.Linear(D,C); s.fuse16=BidirectionalFusion(c,C,False); s.fuse8=BidirectionalFusion(c,C,True)
        s.image_positions=Sam2PositionalEmbedding(c.prompt_config()); s.mask_embed=Sam2MaskEmbedding(c.prompt_config()); start_at(s.mask_embed.conv1,std=.5,bias_std=.5)
        s.decoder_fusion=ProductFusion(c,C,c.decoder_heads); s.mask_decoder=Sam2MaskDecoder(c.mask_decoder_config())
        for t in (s.mask_decoder.iou_token,s.mask_decoder.mask_tokens,s.mask_decoder.obj_score_token): start_at(t,std=1.0)
        s.gate=nn.Parameter(torch.tensor(0.05)); s.presence=nn.Sequential(nn.Linear(D+4,64),nn.ReLU(),nn.Linear(64,1))
        keep={id(m) for part in (s.trunk,s.pyramid) for m in part.modules()}
        for m in s.modules():
            if id(m) not in keep: initialize(m,c)
    def encode(s,x):
        """x (I,3,S,S) 0..255"""
        levels=s.trunk((x-127.0)/128.0); maps=s.pyramid(levels)
        h,w=levels[3].shape[-2:]
        cells=s.cell_projection(torch.cat([levels[3],maps[3]],1).flatten(2).transpose(1,2))
        cells=s.cell_norm(cells)+s.position_projection(s.positions(s.cell_positions,h,w).flatten(2).transpose(1,2))
        return Encoded(maps[0],maps[1],maps[2],cells,(h,w),s.head(maps[0]))
    def positions(s,emb,h,w):
        f=emb.positional_embedding; r=(torch.arange(h,device=f.device,dtype=f.dtype)+.5)/h; c=(torch.arange(w,device=f.device,dtype=f.dtype)+.5)/w
        y,x=torch.meshgrid(r,c,indexing='ij'); return emb(torch.stack([x,y],-1)).permute(2,0,1)[None]
    def read(s,ids):
        """ids (B,L) -> text (B,L,D), padding (B,L), pooled (B,D)"""
        pad=ids==s.config.text_pad_id; t=s.token_embedding(ids)+s.text_positions(torch.arange(ids.shape[1])+2); t=t.masked_fill(pad[...,None],0.)
        m=additive_key_mask(pad,t.dtype)
        for l in s.text_layers: t=l(t,m)
        w=(~pad).float()[...,None]; return t,pad,(t*w).sum(1)/w.sum(1)
    def answer(s,e,ids,decoder=True):
        text,pad,pooled=s.read(ids); B=ids.shape[0]; I=e.cells.shape[0]; per=lambda t: t.repeat_interleave(B//I,0)
        known=s.known(pooled)[:,0]
        image=torch.cat([s.cls_token+s.cls_from_text(pooled)[:,None],per(e.cells)],1); km=additive_key_mask(F.pad(pad,(image.shape[1],0),value=False),image.dtype)
        for l in s.layers: image,text=l(image,text,km)
        image,text=s.image_norm(image),s.text_norm(text); cls,patches=image[:,:1],image[:,1:]
        m=s.mask_linear(s.cls_attention(cls,patches))[:,0].float()  # (B,C+1)
        C=s.config.decoder_width; h,w=e.fine.shape[-2:]
        zp=(torch.einsum('ichw,ikc->ikhw',e.fine,m[:,:C].reshape(I,B//I,C))/math.sqrt(C)).reshape(B,1,h,w)+m[:,C:,None,None]
        out=dict(prompt=zp,known=known,cls=cls[:,0],pooled=pooled)
        if not decoder: out['logits']=zp; return out
        tm=additive_key_mask(pad,text.dtype); t=s.text_projection(text); sp=s.sentence_projection(cls)
        hc,wc=e.cells_hw; coarse=per(e.coarse)+F.interpolate(s.patch_projection(patches).transpose(1,2).unflatten(2,(hc,wc)),scale_factor=2.,mode='bilinear')
        y,t8=s.fuse16(coarse.flatten(2).transpose(1,2),t,tm); coarse=coarse+y.transpose(1,2).unflatten(2,coarse.shape[-2:])
        middle=per(e.middle)+F.interpolate(coarse,scale_factor=2.,mode='bilinear')
        y,_=s.fuse8(middle.flatten(2).transpose(1,2),t8,tm); middle=middle+y.transpose(1,2).unflatten(2,middle.shape[-2:])
        H,W=coarse.shape[-2:]; pos=s.positions(s.image_positions,H,W)
        fused=s.decoder_fusion(coarse.flatten(2).transpose(1,2),t,position=pos.flatten(2).transpose(1,2),key_mask=tm).transpose(1,2).unflatten(2,(H,W))
        d=s.mask_decoder; masks,iou,_,obj=d(image_embeddings=fused,image_positional_embeddings=pos.expand(B,-1,-1,-1),sparse_prompt_embeddings=sp[:,None],dense_prompt_embeddings=s.mask_embed(zp.sigmoid()),multimask_output=False,high_resolution_features=[per(d.conv_s0(e.fine)),d.conv_s1(middle)])
        z=zp+s.gate*masks[:,0].float(); out.update(logits=z,iou=iou[:,0,0].float(),obj=obj[:,0,0].float(),delta=masks[:,0])
        return out
    def presence_of(s,out):
        z=out['logits'].detach().flatten(1); top=z.topk(min(64,z.shape[1]),1).values
        f=torch.stack([top[:,:4].mean(1),top[:,:16].mean(1),top.mean(1),z.sigmoid().mean(1)*10],1).float()
        return s.presence(torch.cat([f/3,out['cls'].detach().float()],1))[:,0]
