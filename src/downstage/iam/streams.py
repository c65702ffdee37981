"""Lambda: the event-source mappings of the configured functions, switched off and on, and made anew by a clone.

A mapping has no name of its own; whose it is the condition `lambda:FunctionArn` says.
"""

from __future__ import annotations

from downstage.iam.arns import arn, function_arns
from downstage.iam.documents import Statement
from downstage.iam.needs import Needs
from downstage.iam.regions import in_region

LOOKING = ("lambda:GetEventSourceMapping",)
SWITCHING = ("lambda:UpdateEventSourceMapping",)
RENEWING = ("lambda:CreateEventSourceMapping", "lambda:DeleteEventSourceMapping")


def statements(needs: Needs) -> list[Statement]:
    """Nothing, where no function is configured."""
    streams, place = needs.plan.streams, needs.plan.target
    if streams is None or not streams.functions:
        return []
    regions = list(dict.fromkeys(streams.regions or (place.region,)))
    # a clone attaches the source's consumers too, under the names that they have here
    renamed = [name for pair in needs.plan.tables for name in pair.terms.functions.values()] if needs.clones else []
    functions = list(dict.fromkeys((*streams.functions, *renamed)))
    found = [Statement("ListMappings", ("lambda:ListEventSourceMappings",), ("*",), in_region(*regions))]
    for number, region in enumerate(regions, 1):
        arns = function_arns(place, functions, region)
        of_these = {"ArnLike": {"lambda:FunctionArn": arns}}
        mappings = (arn(place, "lambda", "event-source-mapping:*", region=region),)
        found.append(Statement(f"SwitchMappings{number}", (*LOOKING, *SWITCHING), mappings, of_these))
        if needs.clones and region == place.region:
            found += [
                Statement("RemoveMappings", RENEWING[1:], mappings, of_these),
                Statement("MakeMappings", RENEWING[:1], ("*",), {**of_these, **in_region(region)}),
                Statement("LookAtFunctions", ("lambda:GetFunctionConfiguration",), arns),
            ]
    return found
