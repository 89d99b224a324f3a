"""How process reward models and policies are made: worlds that generate data, training, export to GGUF."""
