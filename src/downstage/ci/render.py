"""The CI configuration of one environment's refresh, as text to put into the CI's own file.

What a pipeline parameter holds reaches the shell only through an environment variable: whoever may start a pipeline may
choose it. Both kinds call `downstage ci run`, which starts a refresh, or goes on with the run that the parameter names.
"""

from __future__ import annotations

import json

from downstage.ci import names
from downstage.domain.schedule import SchedulePlan

_CIRCLECI = """\
# Downstage: the refresh of '{environment}'. Merge these sections into .circleci/config.yml (version: 2.1).
# '{schedule}' starts it: {when} ('downstage schedule apply' keeps that schedule).
# By hand: start a pipeline on branch {branch} with {parameter}: true.
parameters:
  {parameter}:
    type: boolean
    default: false
  {run}:                    # the run to go on with; set by Downstage alone
    type: string
    default: ""

jobs:
  {workflow}:
    docker:
      - image: cimg/python:3.11
    environment:
      DOWNSTAGE_RUN: << pipeline.parameters.{run} >>
    steps:
      - checkout
      - run: pip install downstage       # or what installs it in your place; AWS credentials come from the context
      - run:
          name: Refresh {environment}
          command: downstage ci run {environment} --run "$DOWNSTAGE_RUN" --time-box 50m
          no_output_timeout: 60m

workflows:
  {workflow}:
    when:
      and:
        - equal: ["", << pipeline.parameters.{run} >>]
        - or:
            - << pipeline.parameters.{parameter} >>
            - and:
                - equal: [scheduled_pipeline, << pipeline.trigger_source >>]
                - equal: [{schedule_quoted}, << pipeline.schedule.name >>]
    jobs:
      - {workflow}: &{workflow}
          context: [downstage]           # holds {token}
          filters:
            branches:
              only: [{branch_quoted}]
{approval}
  {going_on}:
    when:
      and:
        - << pipeline.parameters.{parameter} >>
        - not:
            equal: ["", << pipeline.parameters.{run} >>]
    jobs:
      - {workflow}: *{workflow}
"""

_APPROVAL = """\
      - {job}:                # approved when the refresh has ended well; let what follows require it
          type: approval
          filters:
            branches:
              only: [{branch}]
"""

_GITHUB = """\
# Downstage: the refresh of '{environment}', {when}. 'downstage schedule apply' keeps the line with cron.
# GitHub reads the schedule of the default branch only; the job checks out {branch}.
name: {workflow}
run-name: "{workflow} {shown}${{{{ inputs.run || 'new' }}}})"
on:
  schedule:
    - cron: "{cron}"
  workflow_dispatch:
    inputs:
      run:
        description: The run to go on with; set by Downstage alone
        required: false
        default: ""
permissions:
  contents: read
  actions: write                         # to go on in a fresh run when the time-box has ended
  id-token: write                        # to sign in to AWS
concurrency:
  group: {workflow}
  cancel-in-progress: false
jobs:
  refresh:
    runs-on: ubuntu-latest
    timeout-minutes: 350
    steps:
      - uses: actions/checkout@v4
        with:
          ref: {branch_quoted}
      - uses: actions/setup-python@v5
        with:
          python-version: "3.11"
      - run: pip install downstage       # or what installs it in your place; sign in to AWS before the next step
      - run: downstage ci run {environment} --run "$DOWNSTAGE_RUN" --time-box 5h
        env:
          DOWNSTAGE_RUN: ${{{{ inputs.run }}}}
          {token_name}: ${{{{ github.token }}}}
"""


def circleci(plan: SchedulePlan) -> str:
    """Pipeline parameters, job and workflow for `.circleci/config.yml`."""
    common = _common(plan)
    approval = plan.options["approval"]
    held = approval is not None and approval["workflow"] == common["workflow"]
    return _CIRCLECI.format(
        **common,
        going_on=names.going_on(plan.environment),
        approval=_APPROVAL.format(job=approval["job"], branch=common["branch_quoted"]) if held else "",
        parameter=names.parameter(plan.environment),
        run=names.RUN,
        schedule=plan.name,
        schedule_quoted=json.dumps(plan.name),
        token=plan.options["token"].removeprefix("env:"),
    )


def github(plan: SchedulePlan) -> str:
    """A whole workflow file for `.github/workflows`."""
    kind, _, name = plan.options["token"].partition(":")
    return _GITHUB.format(
        **_common(plan),
        cron=plan.timetable.cron(),
        shown=names.SHOWN_RUN,
        token_name=name if kind == "env" else "GITHUB_TOKEN",
    )


def _common(plan: SchedulePlan) -> dict[str, str]:
    return {
        "environment": plan.environment,
        "workflow": names.workflow(plan.environment),
        "when": plan.timetable.words(),
        "branch": plan.options["branch"],
        "branch_quoted": json.dumps(plan.options["branch"]),
    }
