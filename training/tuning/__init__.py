"""Fine-tuning a verifier of any size on the pipeline's data, by TRL; and its way to a GGUF file."""
