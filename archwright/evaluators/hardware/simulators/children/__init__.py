"""Scripts that run in a process of their own, started by ``child.run_child`` through ``guard``.

They import nothing of Archwright: each reads task.json in its working folder and writes
result.json there, a JSON object; its key ``failure`` says what went wrong.
"""
