"""What can go wrong in a way a learner should hear about: each message is one plain sentence."""

import logging

log = logging.getLogger(__name__)


class KnownError(ValueError):
    """What cannot be done, for a reason that we know; whatever else goes wrong belongs in a log."""


class ModelError(KnownError):
    """A model that cannot be had, or that cannot be read."""


def explained(sentence: str) -> ModelError:
    """A library's error as one sentence, called where it is caught; its traceback goes to the log, not to the learner.

    To be raised `from` that error.
    """
    log.warning(sentence, exc_info=True)
    return ModelError(sentence)
