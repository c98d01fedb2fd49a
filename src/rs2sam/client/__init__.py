"""A client of `rs2sam serve`, with the standard library's HTTP.

client = Client("http://127.0.0.1:8008")
image = client.send("scene.tif")
tanks, water = image.segment(["the storage tanks", "the water"])
tanks.mask                                   # (H, W) bool
image.job(["the water"]).wait().save("out")  # scenes of any size, as files
"""

from rs2sam.client.http import Client, Found, RemoteImage, RemoteJob, ServiceError

__all__ = ["Client", "Found", "RemoteImage", "RemoteJob", "ServiceError"]
