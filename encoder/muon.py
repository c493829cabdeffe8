"""Muon, an optimizer for matrices: a step goes equally far in all directions of each (Jordan et al. 2024)."""

from collections import defaultdict
from collections.abc import Iterable

import torch
from torch import Tensor

MOMENTUM = 0.95
COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # Jordan's: they lift small singular values quickest, to somewhere about 1
ROUNDS = 5
ADAMW_LENGTH = 0.2  # root mean square of a step of AdamW, in learning rates (Liu et al. 2025)


class Muon(torch.optim.Optimizer):
    """The steps of torch's own Muon, each as long as one of AdamW, so that both follow one learning rate.

    torch's computes in bfloat16 everywhere: where a processor has no instructions for that, a whole step of the shipped
    encoder's training took five times as long. Here a processor computes in float32, and matrices of one shape at once.
    """

    def __init__(self, matrices: Iterable[Tensor], lr: float, weight_decay: float) -> None:
        super().__init__(matrices, {"lr": lr, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]  # losses are not computed anew here
        """Changes every matrix that has a gradient."""
        for group in self.param_groups:
            of_shape = defaultdict(list)
            for matrix in group["params"]:
                if matrix.grad is not None:
                    of_shape[matrix.shape].append(matrix)
            for (rows, columns), matrices in of_shape.items():
                steps = evened(torch.stack([self._momentum(matrix) for matrix in matrices]))
                length = group["lr"] * ADAMW_LENGTH * max(rows, columns) ** 0.5
                for matrix, step in zip(matrices, steps, strict=True):
                    matrix.mul_(1 - group["lr"] * group["weight_decay"]).sub_(step, alpha=length)

    def _momentum(self, matrix: Tensor) -> Tensor:
        """The gradient with the memory of those before it (Nesterov's)."""
        assert matrix.grad is not None
        state = self.state[matrix]
        if not state:
            state["momentum_buffer"] = torch.zeros_like(matrix)
        memory: Tensor = state["momentum_buffer"]
        memory.lerp_(matrix.grad, 1 - MOMENTUM)
        return matrix.grad.lerp(memory, MOMENTUM)


def evened(matrices: Tensor) -> Tensor:
    """[matrix, row, column] with the same directions, all of a length of about 1 (0.7 to 1.2), by Newton and Schulz."""
    if matrices.shape[-2] > matrices.shape[-1]:
        return evened(matrices.mT).mT
    wide = matrices.bfloat16() if matrices.is_cuda else matrices
    wide = wide / wide.norm(dim=(-2, -1), keepdim=True).clamp(min=1e-7)  # no singular value is above 1
    a, b, c = COEFFICIENTS
    for _ in range(ROUNDS):
        square = wide @ wide.mT  # [matrix, row, row]
        wide = torch.baddbmm(wide, torch.baddbmm(square, square, square, beta=b, alpha=c), wide, beta=a)
    return wide.to(matrices.dtype)
