"""AASIST (Jung et al., 2021): raw sound through fixed sinc filters, residual blocks and graph attention between frequencies and times.

Takes [n, 64600] samples at 16 kHz in -1..1 and gives [n, 2] logits; the second one speaks for bona fide speech. The state-dict names are those of
the published checkpoints.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from importer.filters import sinc_bank

SAMPLES = 64_600
RATE = 16_000
SINC_FILTERS, SINC_TAPS = 70, 129


@dataclass(frozen=True)
class Shape:
    """What distinguishes AASIST from AASIST-L; small ones are for tests."""

    channels: tuple[int, ...]
    """Of the six residual blocks."""
    attention: int
    graph: int
    keep_spectral: float
    keep_temporal: float
    keep_joint: float
    samples: int = SAMPLES


AASIST = Shape(channels=(32, 32, 64, 64, 64, 64), attention=64, graph=32, keep_spectral=0.5, keep_temporal=0.7, keep_joint=0.5)
AASIST_L = Shape(channels=(32, 32, 24, 24, 24, 24), attention=24, graph=32, keep_spectral=0.4, keep_temporal=0.5, keep_joint=0.7)

ATTENTION_TEMPERATURE, JOINT_TEMPERATURE = 2.0, 100.0


class Residual(nn.Module):
    """The published weights were trained with the first convolution reading its input before normalisation, though `bn1` is there: kept."""

    def __init__(self, given: int, made: int, first: bool) -> None:
        super().__init__()
        if not first:
            self.bn1 = nn.BatchNorm2d(given)
        self.conv1 = nn.Conv2d(given, made, (2, 3), padding=(1, 1))
        self.bn2 = nn.BatchNorm2d(made)
        self.conv2 = nn.Conv2d(made, made, (2, 3), padding=(0, 1))
        if given != made:
            self.conv_downsample = nn.Conv2d(given, made, (1, 3), padding=(0, 1))

    def forward(self, x: Tensor) -> Tensor:
        skipped = self.conv_downsample(x) if hasattr(self, "conv_downsample") else x
        changed = self.conv2(functional.selu(self.bn2(self.conv1(x))))
        return functional.max_pool2d(changed + skipped, (1, 3))


def normalised(bn: nn.BatchNorm1d, nodes: Tensor) -> Tensor:
    """Over the features of all nodes, [n, nodes, features]."""
    return functional.selu(bn(nodes.transpose(1, 2)).transpose(1, 2))


class Attention(nn.Module):
    """Every node looks at every node; how much comes from the product of their features."""

    def __init__(self, given: int, made: int) -> None:
        super().__init__()
        self.att_proj = nn.Linear(given, made)
        self.att_weight = nn.Parameter(torch.randn(made, 1) * made**-0.5)
        self.proj_with_att = nn.Linear(given, made)
        self.proj_without_att = nn.Linear(given, made)
        self.bn = nn.BatchNorm1d(made)

    def forward(self, nodes: Tensor) -> Tensor:
        pairs = torch.tanh(self.att_proj(nodes.unsqueeze(2) * nodes.unsqueeze(1)))
        attention = torch.softmax((pairs @ self.att_weight).squeeze(-1) / ATTENTION_TEMPERATURE, dim=-1)
        return normalised(self.bn, self.proj_with_att(attention @ nodes) + self.proj_without_att(nodes))


class JointAttention(nn.Module):
    """As `Attention` over nodes of two kinds, which have weights for each pair of kinds, with a master node that hears all of them."""

    def __init__(self, given: int, made: int) -> None:
        super().__init__()
        self.proj_type1, self.proj_type2 = nn.Linear(given, given), nn.Linear(given, given)
        self.att_proj, self.att_projM = nn.Linear(given, made), nn.Linear(given, made)
        for name in ("att_weight11", "att_weight22", "att_weight12", "att_weightM"):
            setattr(self, name, nn.Parameter(torch.randn(made, 1) * made**-0.5))
        self.proj_with_att, self.proj_without_att = nn.Linear(given, made), nn.Linear(given, made)
        self.proj_with_attM, self.proj_without_attM = nn.Linear(given, made), nn.Linear(given, made)
        self.bn = nn.BatchNorm1d(made)

    def forward(self, first: Tensor, second: Tensor, master: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        split = first.shape[1]
        nodes = torch.cat([self.proj_type1(first), self.proj_type2(second)], dim=1)
        attention = self.attention(nodes, split)
        master = self.heard(nodes, master)
        nodes = normalised(self.bn, self.proj_with_att(attention @ nodes) + self.proj_without_att(nodes))
        return nodes[:, :split], nodes[:, split:], master

    def attention(self, nodes: Tensor, split: int) -> Tensor:
        pairs = torch.tanh(self.att_proj(nodes.unsqueeze(2) * nodes.unsqueeze(1)))
        same, other = pairs @ self.att_weight11, pairs @ self.att_weight12
        upper = torch.cat([same[:, :split, :split], other[:, :split, split:]], dim=2)
        lower = torch.cat([other[:, split:, :split], (pairs @ self.att_weight22)[:, split:, split:]], dim=2)
        return torch.softmax(torch.cat([upper, lower], dim=1).squeeze(-1) / JOINT_TEMPERATURE, dim=-1)

    def heard(self, nodes: Tensor, master: Tensor) -> Tensor:
        weights = torch.tanh(self.att_projM(nodes * master)) @ self.att_weightM
        attention = torch.softmax(weights / JOINT_TEMPERATURE, dim=1).transpose(1, 2)
        return self.proj_with_attM(attention @ nodes) + self.proj_without_attM(master)


class Pool(nn.Module):
    """Keeps a share of the nodes, those with the highest scores, weighted by these."""

    def __init__(self, given: int, keep: float, nodes: int) -> None:
        super().__init__()
        self.proj = nn.Linear(given, 1)
        self.kept = max(int(nodes * keep), 1)

    def forward(self, nodes: Tensor) -> Tensor:
        scores = torch.sigmoid(self.proj(nodes))
        _, best = torch.topk(scores, self.kept, dim=1)
        return torch.gather(nodes * scores, 1, best.expand(-1, -1, nodes.shape[2]))


class Aasist(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        frequencies = SINC_FILTERS // 3
        times = (shape.samples - SINC_TAPS + 1) // 3
        for _ in shape.channels:
            times //= 3
        if times < 2:
            raise ValueError(f"{shape.samples} samples leave {times} nodes in time")
        self.shape = shape
        self.register_buffer("sinc", torch.from_numpy(sinc_bank(SINC_FILTERS, SINC_TAPS, RATE)).float().unsqueeze(1), persistent=False)
        self.first_bn = nn.BatchNorm2d(1)
        given = (1, *shape.channels[:-1])
        blocks = [Residual(before, made, first=index == 0) for index, (before, made) in enumerate(zip(given, shape.channels))]
        self.encoder = nn.Sequential(*(nn.Sequential(block) for block in blocks))
        made, graph = shape.attention, shape.graph
        self.pos_S = nn.Parameter(torch.randn(1, frequencies, shape.channels[-1]))
        self.master1, self.master2 = nn.Parameter(torch.randn(1, 1, made)), nn.Parameter(torch.randn(1, 1, made))
        self.GAT_layer_S, self.GAT_layer_T = Attention(shape.channels[-1], made), Attention(shape.channels[-1], made)
        self.HtrgGAT_layer_ST11, self.HtrgGAT_layer_ST12 = JointAttention(made, graph), JointAttention(graph, graph)
        self.HtrgGAT_layer_ST21, self.HtrgGAT_layer_ST22 = JointAttention(made, graph), JointAttention(graph, graph)
        self.pool_S, self.pool_T = Pool(made, shape.keep_spectral, frequencies), Pool(made, shape.keep_temporal, times)
        for name, kept in (("S", self.pool_S.kept), ("T", self.pool_T.kept)):
            for branch in (1, 2):
                setattr(self, f"pool_h{name}{branch}", Pool(graph, shape.keep_joint, kept))
        self.out_layer = nn.Linear(5 * graph, 2)

    def forward(self, samples: Tensor) -> Tensor:
        bands = functional.conv1d(samples.unsqueeze(1), self.sinc).abs().unsqueeze(1)
        maps = self.encoder(functional.selu(self.first_bn(functional.max_pool2d(bands, 3)))).abs()
        spectral = self.pool_S(self.GAT_layer_S(maps.amax(3).transpose(1, 2) + self.pos_S))
        temporal = self.pool_T(self.GAT_layer_T(maps.amax(2).transpose(1, 2)))
        branches = [self.branch(number, temporal, spectral) for number in (1, 2)]
        temporal, spectral, master = (torch.maximum(one, other) for one, other in zip(*branches))
        read = [temporal.abs().amax(1), temporal.mean(1), spectral.abs().amax(1), spectral.mean(1), master.squeeze(1)]
        return self.out_layer(torch.cat(read, dim=1))

    def branch(self, number: int, temporal: Tensor, spectral: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        def part(name: str) -> nn.Module:
            return getattr(self, name)

        temporal, spectral, master = part(f"HtrgGAT_layer_ST{number}1")(temporal, spectral, part(f"master{number}"))
        temporal, spectral = part(f"pool_hT{number}")(temporal), part(f"pool_hS{number}")(spectral)
        more = part(f"HtrgGAT_layer_ST{number}2")(temporal, spectral, master)
        return temporal + more[0], spectral + more[1], master + more[2]
