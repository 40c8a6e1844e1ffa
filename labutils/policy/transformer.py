"""A causal transformer on one screen: pre-norm blocks, learned positions, a cache for sampling.

The policy of the chapter "Why entropy falls". Shapes at line ends:
B sequences, T new tokens, P tokens in the cache, C width, H heads, V vocabulary.
"""

import math

import torch
from torch import nn


class Block(nn.Module):
    """x + attention(norm(x)), then x + mlp(norm(x))."""

    def __init__(self, width, heads, factor):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, factor * width), nn.GELU(),
                                 nn.Linear(factor * width, width))

    def forward(self, x, past):
        B, T, C = x.shape
        qkv = self.qkv(self.norm1(x)).view(B, T, 3, self.heads, C // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)                             # each (B, H, T, C/H)
        if past is not None:
            k, v = torch.cat([past[0], k], 2), torch.cat([past[1], v], 2)  # (B, H, P+T, C/H)
        score = q @ k.mT / math.sqrt(C // self.heads)                    # (B, H, T, P+T)
        P = k.shape[2] - T
        future = torch.ones(T, P + T, dtype=torch.bool, device=x.device).triu(P + 1)
        weight = score.masked_fill(future, -math.inf).softmax(-1)        # (B, H, T, P+T)
        x = x + self.out((weight @ v).transpose(1, 2).reshape(B, T, C))  # (B, T, C)
        return x + self.mlp(self.norm2(x)), (k, v)                       # (B, T, C)


class Transformer(nn.Module):
    """Logits of the next token, z[b, t] given tokens[b, :t+1].

    vocabulary, context   V and the longest sequence
    width, layers, heads  size; the hidden layer of each block has factor * width units
    seed                  of the initial weights, drawn on the CPU: the same on every device

    Errors: ValueError when width is no multiple of heads, or a sequence is longer than context.
    """

    def __init__(self, vocabulary, context, width=64, layers=2, heads=4, factor=2, seed=0):
        super().__init__()
        if width % heads:
            raise ValueError(f"width must be a multiple of heads = {heads}; got {width}")
        self.context = context
        self.token = nn.Embedding(vocabulary, width)
        self.position = nn.Embedding(context, width)
        self.blocks = nn.ModuleList(Block(width, heads, factor) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, vocabulary, bias=False)
        generator = torch.Generator().manual_seed(seed)
        for name, weight in self.named_parameters():
            if weight.dim() == 2:
                nn.init.normal_(weight, std=0.02 if "token" in name or "position" in name
                                else 1 / math.sqrt(weight.shape[1]), generator=generator)
            elif name.endswith("bias"):
                nn.init.zeros_(weight)

    def forward(self, tokens, cache=None):
        """tokens [B, T] and an optional cache of P earlier tokens -> (logits [B, T, V], cache)."""
        T, P = tokens.shape[1], 0 if cache is None else cache[0][0].shape[2]
        if P + T > self.context:
            raise ValueError(f"tokens must fit the context of {self.context}; got {P} + {T}")
        x = self.token(tokens) + self.position.weight[P : P + T]         # (B, T, C)
        new = []
        for i, block in enumerate(self.blocks):
            x, pair = block(x, None if cache is None else cache[i])
            new.append(pair)
        return self.head(self.norm(x)), new                              # (B, T, V)
