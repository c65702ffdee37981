"""What 'check' asks of IAM about the source's role: itself, and nobody else."""

from __future__ import annotations

from downstage.iam.arns import literal
from downstage.iam.documents import Statement
from downstage.iam.needs import Needs

ASKING = ("iam:SimulatePrincipalPolicy", "iam:GetRole")


def statements(needs: Needs) -> list[Statement]:
    """The role may have what it may do simulated: 'check' wants to know that it can write nothing."""
    return [Statement("SimulateItself", ASKING, (literal(needs.source_role),))]
