"""Agents that solve problems with a policy, and with a verifier that criticises, ranks or guides it.

    async with open_policy("policy-mini") as policy, open_critic("genprm-mini") as critic:
        trajectory = await RefinementAgent(policy, critic, turns=3).solve(problem)

``genprm_sdk.agents.sync`` has the same without ``async``.
"""

from __future__ import annotations

from .agent import Agent, AgentSettings
from .answers import Answers, plain_answer
from .backend_policy import BackendPolicy
from .chat_policy import ChatPolicy, PrefilledChatPolicy
from .corrections import Corrections
from .critic import Asked, Critic, Doubt, Evidence, Judgement, SelfCritic, VerifierCritic
from .events import (
    AgentEvent,
    AgentFinished,
    AttemptJudged,
    AttemptWritten,
    Checking,
    PolicyRetried,
    PolicyWrote,
    TurnFinished,
    TurnStarted,
    replay,
)
from .opening import open_critic, open_policy
from .policy import ContinuingPolicy, CutOffError, Message, Policy, Reply
from .refinement import Guard, RefinementAgent, SelfRefinement
from .remembering import RememberingBackend
from .replaying import ReplayCritic, ReplayPolicy
from .sampling import BestOfN, SelfConsistency
from .search import StepSearch
from .spending import AgentBudget, Spent, Stopped
from .steps import final_answer, split_solution
from .templates import Templates
from .trajectory import AgentError, Attempt, Challenge, Fault, Trajectory, Turn

__all__ = [
    "Agent",
    "AgentBudget",
    "AgentError",
    "AgentEvent",
    "AgentFinished",
    "AgentSettings",
    "Answers",
    "Asked",
    "Attempt",
    "AttemptJudged",
    "AttemptWritten",
    "BackendPolicy",
    "BestOfN",
    "Challenge",
    "ChatPolicy",
    "Checking",
    "ContinuingPolicy",
    "Corrections",
    "Critic",
    "CutOffError",
    "Doubt",
    "Evidence",
    "Fault",
    "Guard",
    "Judgement",
    "Message",
    "Policy",
    "PolicyRetried",
    "PolicyWrote",
    "PrefilledChatPolicy",
    "RefinementAgent",
    "RememberingBackend",
    "ReplayCritic",
    "ReplayPolicy",
    "Reply",
    "SelfConsistency",
    "SelfCritic",
    "SelfRefinement",
    "Spent",
    "StepSearch",
    "Stopped",
    "Templates",
    "Trajectory",
    "Turn",
    "TurnFinished",
    "TurnStarted",
    "VerifierCritic",
    "final_answer",
    "open_critic",
    "open_policy",
    "plain_answer",
    "replay",
    "split_solution",
]
