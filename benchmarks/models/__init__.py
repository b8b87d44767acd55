"""What a model behind the agents adds to a search, and what a bad one costs it."""
