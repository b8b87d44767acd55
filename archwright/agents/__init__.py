"""The four roles, their strategies and the graph that joins them."""
