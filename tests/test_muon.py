"""Our Muon beside torch's own, which computes in bfloat16."""

import torch
from torch import nn

from encoder.muon import Muon, evened


def test_a_few_steps_are_those_of_torchs_own_muon_but_for_its_rounding():
    chance = torch.Generator().manual_seed(3)
    begin = [torch.randn(shape, generator=chance) for shape in ((7, 5), (5, 7), (6, 6), (7, 5))]
    ours, theirs = ([nn.Parameter(matrix.clone()) for matrix in begin] for _ in range(2))
    optimizers = (
        Muon(ours, 0.1, weight_decay=0.2),
        torch.optim.Muon(theirs, 0.1, weight_decay=0.2, adjust_lr_fn="match_rms_adamw"),
    )
    for step in range(4):
        for mine, other in zip(ours, theirs, strict=True):
            mine.grad = torch.randn(mine.shape, generator=chance)
            other.grad = mine.grad.clone()
        if step == 2:  # a matrix that had no part in this step is left alone
            ours[1].grad = theirs[1].grad = None
        for optimizer in optimizers:
            optimizer.step()
    for mine, other, first in zip(ours, theirs, begin, strict=True):
        assert (mine - other).norm() < 0.01 * (mine - first).norm()


def test_all_directions_of_a_matrix_become_equally_long_and_stay_what_they_are():
    matrices = torch.randn(3, 8, 20, generator=torch.Generator().manual_seed(4))
    left, lengths, right = torch.linalg.svd(matrices, full_matrices=False)
    for even in (evened(matrices), evened(matrices.mT).mT):
        within = left.mT @ even @ right.mT  # [matrix, direction, direction]
        across = within - torch.diag_embed(within.diagonal(dim1=-2, dim2=-1))
        assert across.abs().max() < 1e-4
        assert within.diagonal(dim1=-2, dim2=-1).min() > 0.6
        assert within.diagonal(dim1=-2, dim2=-1).max() < 1.25
    assert lengths.amax(-1).div(lengths.amin(-1)).min() > 2  # which they had not been


def test_a_matrix_without_a_gradient_worth_the_name_stays_finite():
    assert torch.equal(evened(torch.zeros(2, 3, 4)), torch.zeros(2, 3, 4))
