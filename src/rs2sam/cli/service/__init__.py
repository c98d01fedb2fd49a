"""The service from the command line: started, and asked by other commands."""
