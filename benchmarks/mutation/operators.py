"""What is changed: a choice of Cosmic Ray's operators, and four of our own for faults that it does not make.

Cosmic Ray replaces each `+` by eleven others; most of them crash, and crashes say little about tests. One replacement per
operator is kept: the one that a person could type and that still computes something.
"""

from collections.abc import Iterator

import parso
from cosmic_ray.operators.operator import Operator
from cosmic_ray.plugins import get_operator
from parso.tree import NodeOrLeaf

Position = tuple[tuple[int, int], tuple[int, int]]
"""((line, column), (line, column)): first character, and the one after the last."""

TAKEN = (
    *(f"ReplaceBinaryOperator_{pair}" for pair in (
        "Add_Sub", "Sub_Add", "Mul_Div", "Div_Mul", "FloorDiv_Mul", "Mod_FloorDiv", "Pow_Mul", "BitAnd_BitOr", "BitOr_BitAnd",
        "BitXor_BitAnd", "LShift_RShift", "RShift_LShift")),
    *(f"ReplaceComparisonOperator_{pair}" for pair in (
        "Eq_NotEq", "NotEq_Eq", "Is_IsNot", "IsNot_Is", "Lt_LtE", "LtE_Lt", "Gt_GtE", "GtE_Gt", "Lt_Gt", "Gt_Lt", "LtE_GtE",
        "GtE_LtE")),
    "ReplaceUnaryOperator_Delete_Not", "ReplaceUnaryOperator_Delete_USub", "ReplaceUnaryOperator_Delete_Invert",
    "AddNot", "ReplaceAndWithOr", "ReplaceOrWithAnd", "ReplaceTrueWithFalse", "ReplaceFalseWithTrue", "NumberReplacer",
    "ReplaceBreakWithContinue", "ReplaceContinueWithBreak", "ZeroIterationForLoop", "ExceptionReplacer", "RemoveDecorator",
)
"""Names in Cosmic Ray's plugin `core`."""

WITHOUT_EFFECT = ("encoding", "strict", "device", "align_corners", "daemon")
"""Keyword arguments that change nothing where the tests run: UTF-8 and the CPU are the default there, so is `align_corners`."""


class Ours(Operator):
    """An operator whose `changes` gives, for a node, (what is changed, code in its place) pairs."""

    def changes(self, node: NodeOrLeaf) -> Iterator[tuple[NodeOrLeaf, str]]:
        raise NotImplementedError

    def mutation_positions(self, node: NodeOrLeaf) -> Iterator[Position]:
        """One position per change, as Cosmic Ray asks for them."""
        for part, _ in self.changes(node):
            yield part.start_pos, part.end_pos

    def mutate(self, node: NodeOrLeaf, index: int) -> NodeOrLeaf:
        """The node with its change number `index` made."""
        _, code = list(self.changes(node))[index]
        return parso.parse(node.get_first_leaf().prefix + code)

    @classmethod
    def examples(cls) -> tuple:
        return ()


class DeleteStatement(Ours):
    """What is stored or done is not: a call, an assignment to an attribute or an element, `+=` and the like."""

    def changes(self, node: NodeOrLeaf) -> Iterator[tuple[NodeOrLeaf, str]]:
        if node.parent is None or node.parent.type != "simple_stmt" or node.type not in ("atom_expr", "expr_stmt"):
            return
        call = node.type == "atom_expr" and node.children[-1].children[0].value == "("
        sign = getattr(node.children[1], "value", "")
        stored = node.type == "expr_stmt" and (sign not in ("", "=") or (sign == "=" and node.children[0].type == "atom_expr"))
        if call or stored:
            yield node, "pass"


class ExchangeArguments(Ours):
    """The first two positional arguments exchanged, where their order matters."""

    NEVER = frozenset({"min", "max", "minimum", "maximum", "equal", "array_equal", "isclose", "isinstance", "gcd"})

    def changes(self, node: NodeOrLeaf) -> Iterator[tuple[NodeOrLeaf, str]]:
        if node.type != "arglist" or node.parent.type != "trailer" or len(node.children) < 3:
            return
        first, second = node.children[0], node.children[2]
        if "argument" not in (first.type, second.type) and node.parent.get_previous_leaf().value not in self.NEVER:
            rest = "".join(child.get_code() for child in node.children[3:])
            yield node, f"{second.get_code(include_prefix=False)}, {first.get_code(include_prefix=False)}{rest}"


class DropKeyword(Ours):
    """A keyword argument left out, so that its default takes its place."""

    def changes(self, node: NodeOrLeaf) -> Iterator[tuple[NodeOrLeaf, str]]:
        if node.type != "trailer" or node.children[0].value != "(" or len(node.children) < 3:
            return
        inner = node.children[1]
        arguments = inner.children[::2] if inner.type == "arglist" else [inner]
        for part in arguments:
            keyword = part.type == "argument" and part.children[1].type == "operator" and part.children[1].value == "="
            if keyword and part.children[0].value not in WITHOUT_EFFECT:
                yield part, "(" + ", ".join(a.get_code(include_prefix=False) for a in arguments if a is not part) + ")"


class ExchangeName(Ours):
    """The opposite function: the least for the greatest, floor for ceil, any for all, height for width."""

    PAIRS = (("min", "max"), ("amin", "amax"), ("minimum", "maximum"), ("argmin", "argmax"), ("clamp_min", "clamp_max"),
             ("floor", "ceil"), ("any", "all"), ("height", "width"), ("sum", "mean"), ("mean", "std"), ("sin", "cos"),
             ("zeros", "ones"), ("zeros_like", "ones_like"), ("new_zeros", "new_ones"))
    OPPOSITE = {a: b for a, b in PAIRS} | {b: a for a, b in reversed(PAIRS)}

    def changes(self, node: NodeOrLeaf) -> Iterator[tuple[NodeOrLeaf, str]]:
        if node.type == "name" and node.value in self.OPPOSITE and not node.is_definition():
            yield node, self.OPPOSITE[node.value]


OPERATORS: dict[str, Operator] = {name: get_operator(f"core/{name}")() for name in TAKEN}
OPERATORS |= {operator.__name__: operator() for operator in (DeleteStatement, ExchangeArguments, DropKeyword, ExchangeName)}
