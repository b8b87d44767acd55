"""A design session in the terminal: a conversation, a brief that grows, runs and decisions.

- ``store``       sessions on disk: every line is kept the moment it exists
- ``draft``       the brief while it grows
- ``chat``        what every command works with
- ``commands``    the slash commands: their names, their words, what they call
- ``searching``   commands that start, watch and stop runs
- ``deciding``    commands that approve, reject and edit designs before they are evaluated
- ``exploring``   commands that read, compare and vary designs
- ``tables``      what is shown, within 80 columns
- ``talk``        a turn of the language model
- ``terminal``    the loop, with ``completion``

What a command does, a tool of ``archwright.tools`` does: nothing is implemented twice.
"""
