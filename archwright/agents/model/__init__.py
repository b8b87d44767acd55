"""How a language model is asked, and what bounds that.

- ``question``  what is asked, and what comes back
- ``port``      asks for an answer that pydantic has validated, or fails with a short reason
- ``abilities`` what an endpoint can do, kept; ``probing``: finding it out; ``dialect``: the
  form in which it is asked
- ``prompt``    the messages of an ask; ``reading``: the answer in a model's text
- ``endpoint``  one request; ``wire``: what a server says, checked
- ``limits``    budgets of a run and its rounds, and rest for an endpoint that fails
- ``prices``    what a model costs; ``ledger``: the record of every ask
- ``transports`` endpoints, or what records and replays them (``recording``, ``transcript``);
  ``ports``: ports over them
"""
