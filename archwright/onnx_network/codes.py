"""What Archwright's own exports carry beside the layers of their network.

Two things are no work for the accelerator that the network was designed for: the
preparation of images (scaling, grey levels), which is done before it, and 16-bit products
written as four products of bytes so that any runtime sums them up exactly (see
``evaluators/supernet/quantise.py``), which its 16-bit multipliers do at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from archwright.onnx_network.graph import Graph
from archwright.onnx_network.operators import CONVOLUTIONS, PRODUCTS

if TYPE_CHECKING:
    import onnx

PREPARATION = "preparation."
"""What the names of the preparation's constants contain."""


@dataclass(frozen=True)
class Codes:
    """Outputs of nodes that cost nothing, and products that belong to an earlier one.

    ``parts`` maps the output of each further product of bytes to the first one's.
    """

    free: frozenset[str]
    parts: Mapping[str, str]


def read_codes(graph: Graph) -> Codes:
    """Both, found by the names that the export gives and by how bytes are split."""
    made_by = {name: node for node in graph.nodes for name in node.output}
    free = _preparation(graph, made_by)
    parts: dict[str, str] = {}
    products = [n for n in graph.nodes if n.op_type in ("Conv", "Gemm", "MatMul")]
    for four in (products[i : i + 4] for i in range(len(products) - 3)):
        split = _split(four, graph, made_by)
        if split:
            free |= split
            parts |= {node.output[0]: four[0].output[0] for node in four[1:]}
    return Codes(frozenset(free), parts)


def _preparation(graph: Graph, made_by: Mapping[str, onnx.NodeProto]) -> set[str]:
    """The outputs of the nodes that prepare images, and of all before them."""
    nodes = [n for n in graph.nodes if any(PREPARATION in x for x in n.input)]
    free: set[str] = set()
    while nodes:
        node = nodes.pop()
        if not free.issuperset(node.output):
            free.update(node.output)
            nodes += [made_by[x] for x in graph.activations(node) if x in made_by]
    return free


def _split(
    four: Sequence[onnx.NodeProto], graph: Graph, made_by: Mapping[str, onnx.NodeProto]
) -> set[str]:
    """The outputs of the nodes that split the input of four products of bytes; else empty.

    high = floor(x / 256) and low = x - 256 high each meet both bytes of the weights.
    """
    pairs = set()
    for node in four:
        data, weights, _ = (CONVOLUTIONS | PRODUCTS)[node.op_type]
        maker = made_by.get(node.input[weights])  # a matrix may be turned for each product
        turned = maker is not None and maker.op_type == "Transpose"
        factor = maker.input[0] if maker is not None and turned else node.input[weights]
        pairs.add((node.input[data], factor))
    inputs, factors = ({pair[side] for pair in pairs} for side in (0, 1))
    if (len(pairs), len(inputs), len(factors)) != (4, 2, 2) or not factors <= graph.constants:
        return set()
    makers = {made_by[x].op_type: made_by[x] for x in inputs if x in made_by}
    if set(makers) != {"Floor", "Sub"}:
        return set()
    floor, low = makers["Floor"], makers["Sub"]
    division, product = made_by.get(floor.input[0]), made_by.get(low.input[1])
    if division is None or product is None or floor.output[0] not in product.input:
        return set()
    if division.op_type != "Div" or division.input[0] != low.input[0]:
        return set()
    return {node.output[0] for node in (division, floor, product, low)}
