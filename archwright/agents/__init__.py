"""The four roles, their strategies and the graph that joins them.

Where things are:

- ``planner``, ``proposer``, ``critic``, ``evaluator``: the roles, each with its rule-based
  and its model-backed mind
- ``hybrid/``: a model's part of proposing; ``analyst``: its words on the result
- ``minds``: what the model-backed ones share; ``model/``: how a model is asked, and what bounds
  that; ``claims``: whether figures in its words were measured; ``trust``: how far it is heard;
  ``toolbox``: the tools that it may call
- ``graph``: the roles as nodes of a LangGraph state machine; ``team``: what the nodes know
- ``problem``, ``costing``, ``frontier``: the search problem, its free costs, its front
- ``strategies/``: ask/tell optimisers
- ``lessons``, ``failings``, ``teaching``: what helped, what failed, and how it is written down
- ``recollection``, ``starting_points``: what a run remembers of others, and begins with
"""
