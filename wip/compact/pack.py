"""State of training, small: fp16 for trunk, pyramid and class maps; rows of 8 bits for the rest. pack.py IN.pt OUT.npz / pack.py OUT.npz IN.pt (back)"""
import sys,numpy as np,torch
a,b=sys.argv[1:3]
if a.endswith('.pt'):
    st=torch.load(a,weights_only=True)['ema']; out={}
    for k,v in st.items():
        v=v.float().numpy()
        if k.startswith(('trunk','pyramid','head')) or v.ndim<2 or v.size<4096: out[k]=v.astype(np.float16) if not k.endswith('.var') else v
        else:
            s=np.abs(v).reshape(len(v),-1).max(1)/127+1e-12; out[k]=np.round(v/s.reshape(-1,*[1]*(v.ndim-1))).astype(np.int8); out['scale:'+k]=s.astype(np.float32)
    np.savez_compressed(b,**out)
else:
    z=np.load(a); st={}
    for k in z.files:
        if k.startswith('scale:'): continue
        v=z[k].astype(np.float32)
        if 'scale:'+k in z.files: v=v*z['scale:'+k].reshape(-1,*[1]*(v.ndim-1))
        st[k]=torch.from_numpy(v)
    torch.save({'ema':st,'model':st,'step':0},b)
