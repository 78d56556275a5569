"""Films in: probing, frames, sound, shots, and the films' way from S3 to the node."""
