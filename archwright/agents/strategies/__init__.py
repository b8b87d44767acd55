"""Ask/tell optimisers over a search problem."""
