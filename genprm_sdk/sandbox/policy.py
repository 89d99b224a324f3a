# ruff: noqa: N802, N815 - visitors are named after the nodes of `ast`
"""The language policy: turns a block's source into code that carries its own guards.

Knows syntax. It is RestrictedPython's transformer with what verifiers write all the time let back in
(subscripts, iteration, unpacking, augmented assignment, classes with operators, ``match``, ``nonlocal``) and
with the stock guards replaced by few and cheap ones: reading an attribute, writing one, importing, capturing
in a class pattern. What those do at run time is ``guards.py``'s; the tables are in ``allowed.py``.

A policy is not the boundary of this sandbox: it gives good messages and stops the obvious.
"""

from __future__ import annotations
import __future__

import ast
from types import CodeType
from typing import Any

from RestrictedPython import RestrictingNodeTransformer

from .allowed import attribute_problem, is_private, name_problem

__all__ = ["FILENAME", "PolicyError", "compile_block", "compile_expression", "compile_plain"]

FILENAME = "<string>"


class PolicyError(Exception):
    """The block asks for something that the language policy refuses."""


def compile_block(source: str) -> CodeType:
    """Compile a block under the policy.

    Raises:
        SyntaxError: Exactly CPython's, for what is no Python.
        PolicyError: It is Python, but not allowed.
    """
    # Plain Python first: its own complaint about bad syntax is the one that a model has learned to read.
    compile(source, FILENAME, "exec", dont_inherit=True)
    tree = ast.parse(source, FILENAME)
    flags = _take_future_flags(tree)
    code: CodeType = compile(_restrict(tree), FILENAME, "exec", flags=flags, dont_inherit=True)
    return code


def compile_plain(source: str) -> CodeType:
    """Compile a block without any policy, for workers that the kernel alone holds."""
    code: CodeType = compile(source, FILENAME, "exec", dont_inherit=True)
    return code


def compile_expression(source: str) -> CodeType:
    """Compile one expression under the policy; raises as ``compile_block`` does."""
    tree = _restrict(ast.parse(source, FILENAME, "eval"))
    code: CodeType = compile(tree, FILENAME, "eval", dont_inherit=True)
    return code


def _restrict(tree: ast.AST) -> Any:
    transformer = Transformer()
    restricted = transformer.visit(tree)
    if transformer.errors:
        raise PolicyError(transformer.errors[0])
    return ast.fix_missing_locations(restricted)


def _take_future_flags(tree: ast.Module) -> int:
    # `from __future__` must stay the first statement, which a rewritten import would not be.
    flags = 0
    for node in list(tree.body):
        if isinstance(node, ast.ImportFrom) and node.module == "__future__" and not node.level:
            for alias in node.names:
                flags |= getattr(__future__, alias.name).compiler_flag
            tree.body.remove(node)
    return flags


def _call(function: str, *arguments: ast.expr) -> ast.Call:
    return ast.Call(ast.Name(function, ast.Load()), list(arguments), [])


class Transformer(RestrictingNodeTransformer):
    """Refuses by default; every node that passes has a method here or in the parent."""

    def __init__(self) -> None:
        super().__init__()
        self._classes: list[str] = []

    def error(self, node: ast.AST, info: str) -> None:
        line = getattr(node, "lineno", None)
        self.errors.append(info if line is None else f"{info} (line {line})")

    def not_allowed(self, node: ast.AST) -> None:
        self.error(node, f"{type(node).__name__} statements are not available here")

    def check_name(self, node: ast.AST, name: str | None, allow_magic_methods: bool = False) -> None:
        problem = None if name is None else name_problem(name)
        if problem is not None:
            self.error(node, problem)

    def _plain(self, node: ast.AST) -> ast.AST:
        visited: ast.AST = self.node_contents_visit(node)
        return visited

    def _named(self, node: Any) -> ast.AST:
        self.check_name(node, node.name)
        return self._plain(node)

    visit_Subscript = visit_Assign = visit_AugAssign = visit_AnnAssign = visit_Delete = _plain
    visit_For = visit_With = visit_withitem = visit_NamedExpr = visit_Lambda = visit_arguments = _plain
    visit_ListComp = visit_SetComp = visit_GeneratorExp = visit_DictComp = visit_comprehension = _plain
    visit_Module = visit_Expression = visit_Call = visit_Try = visit_TryStar = _plain
    visit_Match = visit_MatchValue = visit_MatchSingleton = visit_MatchSequence = visit_MatchOr = _plain
    visit_ExceptHandler = visit_MatchAs = visit_MatchStar = visit_FunctionDef = _named

    def visit_Name(self, node: ast.Name) -> ast.AST:
        self.check_name(node, node.id)
        return node

    def visit_arg(self, node: ast.arg) -> ast.AST:
        self.check_name(node, node.arg)
        return self._plain(node)

    def visit_Global(self, node: ast.Global) -> ast.AST:
        for name in node.names:
            self.check_name(node, name)
        return node

    def visit_Nonlocal(self, node: ast.Nonlocal) -> ast.AST:
        for name in node.names:
            self.check_name(node, name)
        return node

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        self.check_name(node, node.name)
        for statement in node.body:
            self._check_match_args(statement)
        self._classes.append(node.name)
        try:
            return self._plain(node)
        finally:
            self._classes.pop()

    def _check_match_args(self, statement: ast.stmt) -> None:
        # A class pattern reads the attributes that __match_args__ names, past every guard.
        for name in ast.walk(statement):
            if isinstance(name, ast.Name) and name.id == "__match_args__":
                value = getattr(statement, "value", None)
                items = value.elts if isinstance(value, (ast.Tuple, ast.List)) else [None]
                for item in items:
                    text = item.value if isinstance(item, ast.Constant) else None
                    if not isinstance(text, str) or text.startswith("_"):
                        self.error(statement, "__match_args__ must be a tuple of plain names here")

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        name = self._mangled(node.attr)
        problem = attribute_problem(name)
        if problem is not None:
            self.error(node, problem)
        value = self.visit(node.value)
        if not isinstance(node.ctx, ast.Load):
            return ast.copy_location(ast.Attribute(_call("_write_", value), node.attr, node.ctx), node)
        if name in ("format", "format_map"):
            guard = "_getattr_format_"
        elif is_private(name):
            guard = "_getattr_private_"
        else:
            guard = "_getattr_"
        return ast.copy_location(_call(guard, value, ast.Constant(name)), node)

    def _mangled(self, name: str) -> str:
        # The compiler mangles `self.__x` in a class, but does not see an attribute that became an argument.
        if self._classes and name.startswith("__") and not name.endswith("__"):
            owner = self._classes[-1].lstrip("_")
            return f"_{owner}{name}" if owner else name
        return name

    def visit_Import(self, node: ast.Import) -> Any:
        statements = []
        for alias in node.names:
            name = alias.asname or alias.name.partition(".")[0]
            whole = ast.Constant(alias.asname is not None)
            statements.append(self._bind(node, name, _call("_import_", ast.Constant(alias.name), whole)))
        return statements

    def visit_ImportFrom(self, node: ast.ImportFrom) -> Any:
        if node.level or node.module is None:
            self.error(node, "relative imports are not available here")
            return node
        module = ast.Constant(node.module)
        if node.names[0].name == "*":
            return ast.copy_location(ast.Expr(_call("_import_star_", module)), node)
        return [
            self._bind(
                node, alias.asname or alias.name, _call("_import_from_", module, ast.Constant(alias.name))
            )
            for alias in node.names
        ]

    def _bind(self, node: ast.stmt, name: str, value: ast.expr) -> ast.stmt:
        self.check_name(node, name)
        return ast.copy_location(ast.Assign([ast.Name(name, ast.Store())], value), node)

    def visit_match_case(self, node: ast.match_case) -> ast.AST:
        inside = list(ast.walk(node.pattern))
        visited = self.node_contents_visit(node)
        if any(isinstance(part, ast.MatchClass) for part in inside):
            names = [
                part.name for part in inside if isinstance(part, (ast.MatchAs, ast.MatchStar)) and part.name
            ]
            check: ast.expr = _call("_captured_", *(ast.Name(name, ast.Load()) for name in names))
            guarded = check if visited.guard is None else ast.BoolOp(ast.And(), [check, visited.guard])
            visited.guard = ast.copy_location(guarded, node.pattern)
        return visited

    def visit_MatchClass(self, node: ast.MatchClass) -> ast.AST:
        for name in node.kwd_attrs:
            problem = attribute_problem(name) or (name_problem(name) if not is_private(name) else "")
            if problem or is_private(name):
                self.error(node, problem or f"the attribute '{name}' is not available in a pattern here")
        return self._plain(node)

    def visit_MatchMapping(self, node: ast.MatchMapping) -> ast.AST:
        self.check_name(node, node.rest)
        return self._plain(node)
