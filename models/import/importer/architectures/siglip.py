"""SigLIP's vision tower (Zhai et al., 2023) under the names that `transformers` saves it with: [n, 3, 224, 224] to the pooled [n, 768]."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

EPSILON = 1e-6


@dataclass(frozen=True)
class Shape:
    """siglip-base-patch16-224; small ones are for tests."""

    side: int = 224
    patch: int = 16
    width: int = 768
    hidden: int = 3072
    layers: int = 12
    heads: int = 12


def attend(query: Tensor, key: Tensor, value: Tensor, heads: int) -> Tensor:
    """Scaled dot-product attention, [n, tokens, width] each."""

    def split(tokens: Tensor) -> Tensor:
        return tokens.reshape(tokens.shape[0], tokens.shape[1], heads, -1).transpose(1, 2)

    scores = split(query) @ split(key).transpose(2, 3) * (query.shape[2] // heads) ** -0.5
    return (torch.softmax(scores, dim=-1) @ split(value)).transpose(1, 2).flatten(2)


class Mlp(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(shape.width, shape.hidden), nn.Linear(shape.hidden, shape.width)

    def forward(self, tokens: Tensor) -> Tensor:
        wide = self.fc1(tokens)
        # GELU in the approximation by tanh that the weights were trained with.
        return self.fc2(0.5 * wide * (1 + torch.tanh(0.7978845608028654 * (wide + 0.044715 * wide * wide * wide))))


class SelfAttention(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.heads = shape.heads
        for name in ("q_proj", "k_proj", "v_proj", "out_proj"):
            setattr(self, name, nn.Linear(shape.width, shape.width))

    def forward(self, tokens: Tensor) -> Tensor:
        return self.out_proj(attend(self.q_proj(tokens), self.k_proj(tokens), self.v_proj(tokens), self.heads))


class Layer(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.layer_norm1, self.layer_norm2 = nn.LayerNorm(shape.width, EPSILON), nn.LayerNorm(shape.width, EPSILON)
        self.self_attn, self.mlp = SelfAttention(shape), Mlp(shape)

    def forward(self, tokens: Tensor) -> Tensor:
        tokens = tokens + self.self_attn(self.layer_norm1(tokens))
        return tokens + self.mlp(self.layer_norm2(tokens))


class AttentionPool(nn.Module):
    """A learned question to all tokens."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.probe = nn.Parameter(torch.randn(1, 1, shape.width))
        self.attention = nn.MultiheadAttention(shape.width, shape.heads, batch_first=True)
        self.layernorm, self.mlp = nn.LayerNorm(shape.width, EPSILON), Mlp(shape)

    def forward(self, tokens: Tensor) -> Tensor:
        # By hand: torch 1.13 runs its own fused kernel in evaluation, which cannot be exported.
        attention = self.attention
        weights, biases = attention.in_proj_weight.chunk(3), attention.in_proj_bias.chunk(3)
        query, key, value = (functional.linear(given, w, b) for given, w, b in zip((self.probe, tokens, tokens), weights, biases))
        query = query.expand(tokens.shape[0], -1, -1)
        answer = attention.out_proj(attend(query, key, value, attention.num_heads))
        return (answer + self.mlp(self.layernorm(answer)))[:, 0]


class VisionTower(nn.Module):
    def __init__(self, shape: Shape = Shape()) -> None:
        super().__init__()
        self.shape = shape
        self.embeddings = nn.Module()
        self.embeddings.patch_embedding = nn.Conv2d(3, shape.width, shape.patch, stride=shape.patch)
        self.embeddings.position_embedding = nn.Embedding((shape.side // shape.patch) ** 2, shape.width)
        self.encoder = nn.Module()
        self.encoder.layers = nn.ModuleList(Layer(shape) for _ in range(shape.layers))
        self.post_layernorm = nn.LayerNorm(shape.width, EPSILON)
        self.head = AttentionPool(shape)

    def forward(self, pixels: Tensor) -> Tensor:
        tokens = self.embeddings.patch_embedding(pixels).flatten(2).transpose(1, 2) + self.embeddings.position_embedding.weight
        for layer in self.encoder.layers:
            tokens = layer(tokens)
        return self.head(self.post_layernorm(tokens))
