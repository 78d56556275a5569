"""An LSTM with layer normalisation (Ba, Kiros and Hinton 2016, section 3.1), which torch has not."""

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

State = tuple[Tensor, Tensor]  # hidden and cell, each [batch, hidden]


class LayerNormCell(nn.Module):
    """A layer: its sums over the input and over the state are normalised, and the cell before its tanh."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.input = nn.Linear(width, 4 * hidden, bias=False)
        self.state = nn.Linear(hidden, 4 * hidden, bias=False)
        self.input_norm = nn.LayerNorm(4 * hidden)  # its shift is the bias
        self.state_norm = nn.LayerNorm(4 * hidden)
        self.cell_norm = nn.LayerNorm(hidden)

    def forward(self, inputs: Tensor, state: State) -> State:
        """Of `input_norm(input(x))` [batch, 4 * hidden], which can be had for all steps at once."""
        hidden, cell = state
        gates = inputs + self.state_norm(self.state(hidden))
        enter, forget, new, out = gates.chunk(4, -1)
        cell = torch.sigmoid(forget) * cell + torch.sigmoid(enter) * torch.tanh(new)
        return torch.sigmoid(out) * torch.tanh(self.cell_norm(cell)), cell


class LayerNormLSTM(nn.Module):
    """Layers of such cells, with dropout before each.

    Args:
        width: of the input.
        hidden: of each layer.
        layers: how many.
        dropout: of each layer's input.
    """

    def __init__(self, width: int, hidden: int, layers: int = 1, dropout: float = 0.0) -> None:
        super().__init__()
        self.hidden = hidden
        self.layers = nn.ModuleList(LayerNormCell(width if k == 0 else hidden, hidden) for k in range(layers))
        self.dropout = nn.Dropout(dropout)

    def forward(
        self,
        inputs: Tensor,
        lengths: Tensor,
        states: Sequence[State] | None = None,
        *,
        backward: bool = False,
    ) -> tuple[Tensor, list[State]]:
        """Run over sequences.

        Args:
            inputs: [batch, steps, width].
            lengths: [batch] steps that are real; a sequence's state stays as it is after them.
            states: to begin with, of each layer; zeros without.
            backward: from each one's last step to its first.

        Returns:
            [batch, steps, hidden] of the last layer, zero behind each one's end, and the states at the end.
        """
        valid = torch.arange(inputs.shape[1], device=inputs.device) < lengths[:, None]
        order = range(inputs.shape[1] - 1, -1, -1) if backward else range(inputs.shape[1])
        ends = []
        for number, layer in enumerate(self._cells()):
            state = states[number] if states is not None else self._zeros(inputs)
            sums = layer.input_norm(layer.input(self.dropout(inputs)))
            hidden: list[Tensor] = [inputs.new_zeros(0)] * inputs.shape[1]
            for step in order:
                there = valid[:, step, None]
                after = layer(sums[:, step], state)
                state = (torch.where(there, after[0], state[0]), torch.where(there, after[1], state[1]))
                hidden[step] = state[0]
            inputs = torch.stack(hidden, 1) * valid[:, :, None]
            ends.append(state)
        return inputs, ends

    def step(self, inputs: Tensor, states: Sequence[State]) -> tuple[Tensor, list[State]]:
        """One step: [batch, width] and the layers' states to [batch, hidden] and the states after it."""
        after = []
        for layer, state in zip(self._cells(), states, strict=True):
            state = layer(layer.input_norm(layer.input(self.dropout(inputs))), state)
            inputs = state[0]
            after.append(state)
        return inputs, after

    def _cells(self) -> list[LayerNormCell]:
        return [cast(LayerNormCell, layer) for layer in self.layers]

    def _zeros(self, inputs: Tensor) -> State:
        return inputs.new_zeros(len(inputs), self.hidden), inputs.new_zeros(len(inputs), self.hidden)
