"""What the command ``python -m fastmlp`` does."""
