"""Names in released checkpoints to the names of our shared weights.

The original modules nest wrappers ("conv.conv", "bn.bn", "se.fc"), and files write the
blocks' part as "conv" or as "mobile_inverted_conv", some behind "module.". All of these
are brought to one short form first; what that form means is a table.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from archwright.errors import DataError

if TYPE_CHECKING:
    from torch import Tensor, nn

_WRAPPERS = (
    (r"^module\.", ""),
    (r"^(blocks\.\d+)\.(?:mobile_inverted_conv|conv)\.", r"\1."),
    (r"^last_conv\.", ""),
    (r"\b(conv|bn|linear)\.\1\.", r"\1."),
    (r"\bse\.fc\.", "se."),
)
_PARTS = (
    (r"^first_conv\.", "stem."),
    (r"^final_expand_layer\.", "head.0."),
    (r"^feature_mix_layer\.", "features.0."),
    (r"^classifier\.linear\.", "classifier."),
    (r"\.inverted_bottleneck\.", ".units.expand."),
    (r"\.depth_conv\.", ".units.depthwise."),
    (r"\.point_linear\.", ".units.project."),
    (r"\.shortcut\.conv\.weight$", ".projection"),
    (r"\.se\.", ".squeeze."),
    (r"\.conv\.\dto(\d)_matrix$", r".transforms.\1"),
    (r"\.conv\.weight$", ".weight"),
    (r"\.bn\.weight$", ".scale"),
    (r"\.bn\.bias$", ".shift"),
    (r"\.bn\.running_mean$", ".mean"),
    (r"\.bn\.running_var$", ".variance"),
)
_UNREAD = re.compile(r"num_batches_tracked$|\.bn_tracking\.")
"""Entries that no forward pass reads."""
_SHOWN = 3


def load_released(
    module: nn.Module, state: Mapping[str, object], block_names: Mapping[int, str]
) -> None:
    """Load a released state dict into shared weights, whole or not at all.

    ``block_names`` maps the released blocks' numbers to ours. Raises :class:`DataError`,
    one line: what is missing, what is there besides, or whose shape differs (another
    width, other classes).
    """
    import torch

    inner = state.get("state_dict", state)
    if not isinstance(inner, Mapping):
        raise DataError("checkpoint: state_dict is not a table of tensors")
    found: dict[str, Tensor] = {}
    for key, value in inner.items():
        if _UNREAD.search(str(key)):
            continue
        if not isinstance(value, torch.Tensor):
            raise DataError(f"checkpoint: {key} is not a tensor")
        found[_own_name(str(key), block_names)] = value
    own = module.state_dict()
    missing, extra = sorted(own.keys() - found.keys()), sorted(found.keys() - own.keys())
    if missing or extra:
        parts = [
            f"{what} {len(names)}: {', '.join(names[:_SHOWN])}{' ...' * (len(names) > _SHOWN)}"
            for what, names in (("lacks", missing), ("has besides", extra))
            if names
        ]
        raise DataError(f"checkpoint: another supernet's: {'; '.join(parts)}")
    for name, tensor in own.items():
        if tensor.shape != found[name].shape:
            raise DataError(
                f"checkpoint: another supernet's (width or classes): {name} has shape "
                f"{tuple(found[name].shape)}; here {tuple(tensor.shape)}"
            )
        if not bool(torch.isfinite(found[name]).all()):
            raise DataError(f"checkpoint: {name} holds values that are not finite")
    module.load_state_dict(found)


def _own_name(key: str, block_names: Mapping[int, str]) -> str:
    for pattern, replacement in (*_WRAPPERS, *_PARTS):
        key = re.sub(pattern, replacement, key)
    numbered = re.match(r"blocks\.(\d+)\.(.*)", key)
    if numbered is None:
        return key
    return f"blocks.{block_names.get(int(numbered[1]), numbered[1])}.{numbered[2]}"
