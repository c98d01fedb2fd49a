"""One scene of any size from its file to its results, in bounded memory, to be continued after a kill."""
