"""The dialogue model of ENV=local: no language model, but rules over the tools' JSON Schemas and the caller's words.

It keeps nothing between requests: each one is read from its messages alone (`dialogue.answer`). It knows no agent. What a tool
needs it asks for, one question at a time; a value comes from the caller's words or from the instructions, never from itself.
"""
