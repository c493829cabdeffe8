"""What can go wrong in a way a learner should hear about: each message is one plain sentence."""


class ModelError(ValueError):
    """A model that cannot be had, or that cannot be read."""
