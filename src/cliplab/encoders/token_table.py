"""The token table, cut down to the rows that the captions use while it is trained.

Most parameters of a small CLIP are the table's 49,408 rows, of which the captions use some dozens.
A row that no caption uses has no gradient, and AdamW without weight decay leaves it where it is;
so that training the rows in use gives the very weights that training all of them would, without
moving the others' zeros through memory at each step. For the same reason a small CLIP is shipped
with the rows in use alone: `pruned_state`, and `with_whole_table` back.

V rows of the table, R rows in use, W width.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import nn
from torch.nn import functional

from cliplab.runtime.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


_TABLE = "token_embedding"  # its name among the modules of a text tower


class RowsInUse(nn.Module):
    """Stands in for an embedding table; takes the same token numbers."""

    position: torch.Tensor  # (V,) int64: where a row of the table is in `rows`

    def __init__(self, table: torch.Tensor, used: torch.Tensor) -> None:
        super().__init__()
        self.rows = nn.Parameter(table.detach()[used].clone())  # (R, W)
        position = torch.zeros(len(table), dtype=torch.int64)
        position[used] = torch.arange(len(used))
        self.register_buffer("position", position, persistent=False)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """(..., W) rows of tokens (...)."""
        return functional.embedding(self.position[tokens], self.rows)


class CutTable(NamedTuple):
    """What it takes to make the table whole again."""

    name: str  # of the table among the model's modules
    table: torch.Tensor  # (V, W) as initialised
    used: torch.Tensor  # (R,) int64, ascending


def cut_table(model: nn.Module, tokens: torch.Tensor) -> CutTable | None:
    """Leave the model the rows that `tokens` (N, T) use; None: it has no table of that name."""
    for name, module in model.named_modules():
        if name.rpartition(".")[2] == _TABLE and isinstance(module, nn.Embedding):
            table, used = module.weight.detach(), torch.unique(tokens)
            model.set_submodule(name, RowsInUse(table, used))
            return CutTable(name, table, used)
    return None


def whole_state(model: nn.Module, cut: CutTable | None) -> Mapping[str, torch.Tensor]:
    """State dict of the model on the CPU, under open_clip's names, with its table whole."""
    state = {name: value.detach().cpu() for name, value in model.state_dict().items()}
    if cut is not None:
        rows = state.pop(f"{cut.name}.rows")
        state[f"{cut.name}.weight"] = cut.table.clone().index_copy_(0, cut.used, rows)
    return state


def pruned_state(state: Mapping[str, torch.Tensor], used: Sequence[int]) -> dict[str, torch.Tensor]:
    """Cut the table (V, W) of a state dict down to the rows (R, W) in use, unless it is."""
    rows = torch.as_tensor(used, dtype=torch.int64)
    return {
        name: value[rows] if _is_table(name) and len(value) != len(rows) else value
        for name, value in state.items()
    }


def with_whole_table(
    state: Mapping[str, torch.Tensor], used: Sequence[int], model: nn.Module
) -> dict[str, torch.Tensor]:
    """Put the rows in use (R, W) back into a table (V, W) of zeros, as large as the model's.

    A table that is whole stays as it is.

    Raises
    ------
    DataError
        A row is that of a token outside the model's vocabulary.
    """
    sizes = {name: len(value) for name, value in model.named_parameters() if _is_table(name)}
    whole = dict(state)
    for name, size in sizes.items():
        table = state.get(name)
        if table is None or len(table) == size or len(table) != len(used):
            continue  # what does not fit is told when the model is filled
        if not 0 <= min(used) <= max(used) < size:
            raise DataError(
                f"The weights have a row for token {max(used)}, and the architecture's vocabulary "
                f"has {size:,}. Take the configuration that the weights came with."
            )
        rows = torch.as_tensor(used, dtype=torch.int64)
        whole[name] = table.new_zeros(size, table.shape[1]).index_copy_(0, rows, table)
    return whole


def _is_table(name: str) -> bool:
    return name.split(".")[-2:] == [_TABLE, "weight"]
