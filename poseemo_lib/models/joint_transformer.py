"""joint_transformer: attention over the joints of a moment, then over the moments of a joint, shared by all people.

After Plizzari et al. 2021 ("Skeleton-based action recognition via spatial and temporal transformer networks": joints
and frames attend in turn) and Zhu et al. 2023 ("MotionBERT": a spatial and a temporal block, joint embeddings). A token
is a joint over a few frames, as the segments of Do and Kim 2024 ("SkateFormer") or the tubelets of Arnab et al. 2021
("ViViT"), which keeps it cheap. A joint that was not seen in any of them is no token: nothing attends to it, and it is
not pooled.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from poseemo_lib.errors import UsageError
from poseemo_lib.models.people import PeoplePooling, find_people, merge_frames, patch_embedding, streams
from poseemo_lib.skeleton import N_KEYPOINTS

_HIDDEN = -1e4  # a score so low that its share is exactly 0 beside any that is seen, and finite if none is


class JointTransformer(nn.Module):
    """Tokens of a joint over `patch` frames, factorised attention, mean over tokens, pooling over people.

    `hidden` is the width of a token, `stream` the input (`people.STREAMS`), `people` the pooling over the people of a
    window (`people.PeoplePooling`); dropout is applied to the tokens and before the last layer.

    Raises
    ------
    UsageError
        An unknown `stream` or `people`, or a `hidden` that `heads` does not divide.
    """

    def __init__(
        self,
        n_classes: int,
        *,
        hidden: int = 64,
        layers: int = 4,
        heads: int = 4,
        patch: int = 4,
        stream: str = "both",
        people: str = "mean",
        dropout: float = 0.1,
    ):
        super().__init__()
        if hidden % heads:
            raise UsageError(f"hidden: wanted a multiple of heads, {heads}, got {hidden}")
        self.patch, self.stream = patch, stream
        self.pool = PeoplePooling(people)
        self.embed = patch_embedding(stream, patch, hidden)
        self.joint = nn.Parameter(torch.randn(N_KEYPOINTS, hidden))
        self.dropout = nn.Dropout(dropout)
        self.layers = nn.ModuleList(Layer(hidden, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(hidden)
        self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(hidden, n_classes))

    def forward(self, features: Tensor, mask: Tensor) -> Tensor:
        """Classify windows: features (B, T, F) and mask (B, T), True for real frames -> logits (B, n_classes)."""
        people = find_people(features, mask)
        # (P, K, S, patch * 7): S segments of `patch` frames
        x = streams(people.joints, people.seen, self.stream).transpose(1, 2)
        x, seen = merge_frames(x, people.seen.transpose(1, 2), self.patch)
        x = self.embed(x) + self.joint[:, None] + sinusoids(x.shape[2], self.joint.shape[1]).to(x)
        x = self.dropout(x)
        for layer in self.layers:
            x = layer(x, seen)
        weights = seen[..., None].to(x.dtype)
        x = (self.norm(x) * weights).sum((1, 2)) / weights.sum((1, 2)).clamp(min=1)
        return self.head(self.pool(x, people, features.shape[0]))


class Layer(nn.Module):
    """Attention over joints, attention over time, two linear layers: each after its norm and beside its residual."""

    def __init__(self, hidden: int, heads: int):
        super().__init__()
        self.space, self.time = Attention(hidden, heads), Attention(hidden, heads)
        self.linear = nn.Sequential(
            nn.LayerNorm(hidden), nn.Linear(hidden, 2 * hidden), nn.ReLU(), nn.Linear(2 * hidden, hidden)
        )

    def forward(self, x: Tensor, seen: Tensor) -> Tensor:
        """Map x (P, K, S, D) to (P, K, S, D); nothing listens to a token that is not seen (P, K, S)."""
        x = x + self.space(x.transpose(1, 2), seen.transpose(1, 2)).transpose(1, 2)
        x = x + self.time(x, seen)
        return x + self.linear(x)


class Attention(nn.Module):
    """Multi-head self-attention (Vaswani et al. 2017) along the last place but one."""

    def __init__(self, hidden: int, heads: int):
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(hidden)
        self.query_key_value = nn.Linear(hidden, 3 * hidden)
        self.out = nn.Linear(hidden, hidden)

    def forward(self, x: Tensor, seen: Tensor) -> Tensor:
        """Map x (P, N, L, D), attending to what is seen (P, N, L)."""
        # (P N, L, 3, H, D / H) -> three of (P N, H, L, D / H)
        parts = self.query_key_value(self.norm(x)).flatten(0, 1).unflatten(-1, (3, self.heads, -1))
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        score = torch.where(seen.flatten(0, 1), 0.0, _HIDDEN).to(query)[:, None, None]
        y = functional.scaled_dot_product_attention(query, key, value, attn_mask=score)
        return self.out(y.transpose(1, 2).flatten(2)).view(x.shape)


def sinusoids(n_positions: int, n_channels: int) -> Tensor:
    """Give positions as sines and cosines of falling frequency (Vaswani et al. 2017): (n_positions, n_channels)."""
    frequency = torch.exp(torch.arange(0, n_channels, 2) * (-math.log(1e4) / n_channels))
    angle = torch.arange(n_positions)[:, None] * frequency
    return torch.stack([angle.sin(), angle.cos()], -1).flatten(1)[:, :n_channels]
