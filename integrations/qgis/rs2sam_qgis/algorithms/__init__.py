"""What rs2sam adds to QGIS's Processing toolbox."""
