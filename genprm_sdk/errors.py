"""Every error this library raises on purpose, as one tree.

    GenPRMError
    ├── InputError (also a ValueError)      what the caller passed is unusable; nothing was run
    │   └── ContextLengthError              a step or prompt does not fit the model's context
    ├── MissingExtraError (also an ImportError)   an optional dependency is not installed
    ├── ModelError                          the model itself cannot be used
    │   ├── UnknownModelError               no such name in the catalogue and no such file
    │   ├── DownloadError                   it could not be downloaded, or is not here and must not be
    │   └── ModelFileError                  the file is damaged, or not a model this library can run
    ├── AgentError (genprm_sdk.agents)      an agent could not go on; carries its trajectory
    ├── BackendError                        an engine failed while it ran
    │   ├── ClosedError                     the object was used after it was closed
    │   └── CutOffError (genprm_sdk.agents) an answer broke off while it was written
    └── SandboxError                        the sandbox itself failed (never: the code that ran in it)
        └── SandboxUnavailable              no isolation can be set up here

A message says what is wrong and how to mend it, in one line. A program that runs *in* the sandbox and
fails is not an error of ours: it is a ``CodeRun`` with its own status.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .types import Report

__all__ = [
    "BackendError",
    "ClosedError",
    "ContextLengthError",
    "DownloadError",
    "GenPRMError",
    "InputError",
    "MissingExtraError",
    "ModelError",
    "ModelFileError",
    "SandboxError",
    "SandboxUnavailable",
    "UnknownModelError",
    "UnreadableVerdictWarning",
]


class GenPRMError(Exception):
    """Base of every error raised by this library.

    Attributes:
        report: What a check had finished when it failed, or None if that was nothing.
    """

    report: Report | None = None


class UnreadableVerdictWarning(UserWarning):
    """A model's verdicts cannot be read: it is probably no generative process reward model."""


class InputError(GenPRMError, ValueError):
    """An argument, a record or a file of the caller's cannot be used."""


class ContextLengthError(InputError):
    """A prompt, a step or a whole solution needs more tokens than the model's context holds."""


class MissingExtraError(GenPRMError, ImportError):
    """A feature needs a package that an extra installs.

    Args:
        package: The missing distribution, e.g. ``llama-cpp-python``.
        extra: The extra that installs it, e.g. ``llama``.
        feature: What needs it, as the start of a sentence.
    """

    def __init__(self, package: str, extra: str, feature: str) -> None:
        self.package = package
        self.extra = extra
        self._feature = feature
        super().__init__(
            f"{feature} needs {package}, which is not installed: pip install 'genprm-sdk[{extra}]'"
        )

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.package, self.extra, self._feature), self.__dict__


class ModelError(GenPRMError):
    """A model cannot be used."""


class UnknownModelError(ModelError):
    """The model's name is neither in the catalogue nor an existing file."""


class DownloadError(ModelError):
    """A model could not be downloaded, or is not on this machine and must not be downloaded."""


class ModelFileError(ModelError):
    """A model file is damaged, of another format, or lacks what the method needs."""


class BackendError(GenPRMError):
    """An inference engine failed."""


class ClosedError(BackendError):
    """A closed backend, sequence, sandbox or verifier was used."""


class SandboxError(GenPRMError):
    """The sandbox failed; says nothing about the program that was to run in it."""


class SandboxUnavailable(SandboxError):
    """No sandbox can be set up on this system, or its server died and could not be restarted."""
