"""Running rs2sam, as a program or over a server. Nothing here needs QGIS."""
