"""Every error that Downstage raises on purpose, with its exit code and whether trying again can help.

    DownstageError                 1  failed
    ├── UsageError                 2  the command line is wrong
    │   └── ConfigError            2  the configuration is wrong (file, line)
    ├── CredentialsError           2  no usable credentials for one side
    ├── GuardRefused               3  the step would have hurt something: nothing was written
    ├── VerificationFailed         4  the target is not what was written
    ├── LeakFound                  5  personal data stands in the target
    ├── Incomplete                 6  finished, but items or objects were left out
    ├── TooManyQuarantined         1  more items than are borne had to be left out: stopped
    ├── TimeBoxReached            75  stopped in time, call again
    │   └── ApprovalWanted        75  stopped before a step that somebody must approve
    ├── AwsError                   1  AWS said no, or could not be reached
    │   ├── NotFound               1  a named resource does not exist
    │   └── Unreachable            1  the endpoint does not answer          (retry later)
    ├── ExportDamaged              1  an export's files are not what its manifest says
    ├── CiError                    1  CircleCI, GitHub or a deploy command said no, or did not end in time
    │   └── CiUnreachable          1  it does not answer                    (retry later)
    ├── NotifyError                1  a notification could not be delivered    (never fails a run)
    ├── MaskingError               1  an item could not be masked: it is never passed on
    ├── JournalError               1  the journal cannot be read or is not this run's
    ├── RunConflict                3  the table, or the run, belongs to another run
    │   └── HeldByAnother          3  another run or process has the environment, or this run, now
    ├── SegmentEnded               1  another attempt has ended the segment: this one stops           (resume later)
    ├── LeaseLost                  1  the environment may belong to another run by now: stopped   (resume later)
    ├── Interrupted          130/143  Ctrl-C or SIGTERM: what is told of a run that it stopped    (resume later)
    └── SandboxError               1  the sandbox did not start

The module imports nothing, so that every layer may raise these and `--help` stays fast. A message says what
happened, why, and what to do, in one line and without item data. All are picklable: worker processes raise them.
"""

from __future__ import annotations


class DownstageError(Exception):
    """The root. `str(error)` is the one line that the user reads.

    `exit_code` is the process's exit code. `retryable` says whether the same call may succeed later unchanged.
    """

    exit_code: int = 1
    retryable: bool = False


class UsageError(DownstageError):
    """The command line asks for something that cannot be."""

    exit_code = 2


class ConfigError(UsageError):
    """The configuration is missing or malformed; the message starts with file and line where there is one."""


class CredentialsError(DownstageError):
    """No usable AWS credentials for one side."""

    exit_code = 2


class GuardRefused(DownstageError):
    """A guard stood before a write or delete and refused it; nothing was written."""

    exit_code = 3


class RunConflict(GuardRefused):
    """The target, or the run, belongs to another run."""


class HeldByAnother(RunConflict):
    """Another run has the environment now, or another process this very run, which tells whoever waits how it ends."""


class SegmentEnded(DownstageError):
    """Another attempt at the same segment has ended it meanwhile: this one writes no more of it. Nothing is wrong with
    what stands in the journal or in the target."""

    retryable = True


class VerificationFailed(DownstageError):
    """The target does not hold what was written."""

    exit_code = 4


class LeakFound(DownstageError):
    """Personal data stands in the target."""

    exit_code = 5


class Incomplete(DownstageError):
    """The run ended, but items or objects were quarantined or skipped."""

    exit_code = 6


class TooManyQuarantined(DownstageError):
    """More items were quarantined than the configuration bears; the run can be resumed with a higher limit."""


class TimeBoxReached(DownstageError):
    """The time-box ended; the same call goes on where this one stopped."""

    exit_code = 75
    retryable = True


class ApprovalWanted(TimeBoxReached):
    """Somebody must approve the next step; the run waits, and goes on when it is resumed after that."""


class LeaseLost(DownstageError):
    """The lease of the environment could not be renewed in time: nothing more is written; the run can be resumed."""

    retryable = True


class Interrupted(DownstageError):
    """A signal stopped the run, which can be resumed. Never raised: the signal is, and this is what is told of it."""

    retryable = True

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message, exit_code)
        self.exit_code = exit_code

    def __str__(self) -> str:
        return str(self.args[0])


class AwsError(DownstageError):
    """AWS refused a call. `code` is the service's error code, for example `AccessDeniedException`."""

    def __init__(self, message: str, code: str = "") -> None:
        super().__init__(message, code)
        self.code = code

    def __str__(self) -> str:
        return str(self.args[0])


class NotFound(AwsError):
    """A named resource does not exist."""


class Unreachable(AwsError):
    """The endpoint does not answer."""

    retryable = True


class ExportDamaged(DownstageError):
    """A file of an export is missing, cut off or not the one that its manifest lists; none of it counts as copied."""


class CiError(DownstageError):
    """CircleCI, GitHub or a deploy command refused, failed, or did not end. `status` is the HTTP status, or 0."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message, status)
        self.status = status

    def __str__(self) -> str:
        return str(self.args[0])


class CiUnreachable(CiError):
    """The CI does not answer, or broke off: what was asked of it may or may not have been done."""

    retryable = True


class NotifyError(DownstageError):
    """A notification was not delivered: the place does not answer, or refuses it."""

    retryable = True


class MaskingError(DownstageError):
    """An item could not be masked; it must not be written."""


class JournalError(DownstageError):
    """The journal cannot be read, or does not fit the run."""


class SandboxError(DownstageError):
    """The sandbox could not be started or stopped."""
