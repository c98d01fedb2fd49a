"""What users send: checked, kept, prepared once, shown as a picture and as tiles."""
