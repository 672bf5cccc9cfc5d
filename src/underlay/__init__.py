"""From a labelled file to a fine-tuned model you can trust in production."""
