"""Servers that speak the OpenAI completions API: what they answer, how many there are, what they can do."""
