"""How a language model is asked, and what bounds that.

- ``port``      asks for an answer that pydantic has validated, or fails with a short reason
- ``abilities`` what an endpoint can do, kept; ``probing``: finding it out; ``dialect``: the
  form in which it is asked
- ``prompt``    the messages of an ask; ``reading``: the answer in a model's text
- ``endpoint``  one request; ``wire``: what a server says, checked
- ``limits``    a run's budget, and rest for an endpoint that fails
"""
