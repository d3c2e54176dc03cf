"""The models that see people and joints: what they share, and what must not matter to them."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from poseemo_lib.features.tensor_features import CHANNEL_NAMES
from poseemo_lib.models import build_model
from poseemo_lib.models.joint_transformer import Attention
from poseemo_lib.models.people import (
    GRAPH_EDGES,
    People,
    PeoplePooling,
    adjacency,
    find_people,
    hops_to_centre,
    inner_neighbours,
    partitioned_adjacency,
    streams,
)
from poseemo_lib.models.st_gcn import GraphConvolution, SeenNorm, TemporalConvolution
from poseemo_lib.skeleton import EDGES, FLIP_ORDER, JOINT

CONFIDENCE = CHANNEL_NAMES.index("confidence")
CASES = [
    ("st_gcn", {}),
    ("st_gcn", {"people": "max", "stream": "joint"}),
    ("joint_transformer", {}),
    ("joint_transformer", {"people": "max", "stream": "joint"}),
]


def people_batch(n_clips=4, n_frames=12, seed=0, hidden=0.3):
    """Features (B, T, M, K, 7) of two people with holes, the mask, and what was seen."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n_clips, n_frames, 2, 17, 7, generator=generator)
    x[..., CONFIDENCE] = 0.2 + 0.8 * torch.rand(x.shape[:-1], generator=generator)
    lengths = torch.randint(5, n_frames + 1, (n_clips,), generator=generator)
    mask = torch.arange(n_frames) < lengths[:, None]
    seen = (torch.rand(x.shape[:-1], generator=generator) >= hidden) & mask[..., None, None]
    return torch.where(seen[..., None], x, 0.0), mask, seen


def build(name, variant, **more):
    torch.manual_seed(0)
    return build_model(name, n_classes=7, **variant, **more)


def close(a, b):
    torch.testing.assert_close(a, b, atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize(("name", "variant"), CASES)
class TestWhatMustNotMatter:
    def test_the_order_of_people(self, name, variant):
        model = build(name, variant).eval()
        x, mask, _ = people_batch()
        close(model(x.flip(2).flatten(2), mask), model(x.flatten(2), mask))

    def test_an_absent_person(self, name, variant):
        """In either slot, and whatever its features hold, as long as its confidence is 0."""
        model = build(name, variant).eval()
        x, mask, _ = people_batch()
        x[:, :, 1] = 0.0
        logits = model(x.flatten(2), mask)
        rubbish = x.clone()
        rubbish[:, :, 1] = 1e3
        rubbish[:, :, 1, :, CONFIDENCE] = 0.0
        assert torch.equal(model(rubbish.flatten(2), mask), logits)
        close(model(x.flip(2).flatten(2), mask), logits)
        # A window with two people beside it changes nothing either.
        both, _, _ = people_batch()
        close(model(torch.cat([x, both]).flatten(2), mask.repeat(2, 1))[:4], logits)

    def test_the_values_of_an_unseen_joint(self, name, variant):
        model = build(name, variant).eval()
        x, mask, seen = people_batch()
        rubbish = torch.where(seen[..., None], x, 1e3)
        rubbish[..., CONFIDENCE] = x[..., CONFIDENCE]
        assert torch.equal(model(rubbish.flatten(2), mask), model(x.flatten(2), mask))

    def test_padding_while_training(self, name, variant):
        """Neither the logits nor the statistics of a training step see it."""
        x, mask, _ = people_batch()
        plain, padded = build(name, variant, dropout=0.0).train(), build(name, variant, dropout=0.0).train()
        rubbish = torch.where(mask[..., None, None, None], x, 1e3).flatten(2)
        longer = functional.pad(rubbish, (0, 0, 0, 7), value=50.0)
        close(padded(longer, functional.pad(mask, (0, 7))), plain(x.flatten(2), mask))
        for (key, wanted), got in zip(plain.state_dict().items(), padded.state_dict().values(), strict=True):
            torch.testing.assert_close(got, wanted, atol=2e-5, rtol=1e-4, msg=key)

    def test_a_window_with_nobody(self, name, variant):
        model = build(name, variant).train()
        x, mask, _ = people_batch()
        x[1] = 0.0
        for features in (x, torch.zeros_like(x)):
            logits = model(features.flatten(2), mask)
            functional.cross_entropy(logits, torch.arange(4)).backward()
            assert torch.isfinite(logits).all()
        assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)


@pytest.mark.parametrize(("name", "variant"), CASES)
def test_the_side_of_the_body_and_the_order_of_frames_matter(name, variant):
    model = build(name, variant).eval()
    x, mask = people_batch(hidden=0.0)[0], torch.ones(4, 12, dtype=torch.bool)
    with torch.no_grad():
        model.joint.normal_(generator=torch.Generator().manual_seed(1))
    for other in (x[:, :, :, list(FLIP_ORDER)], x.flip(1)):
        assert (model(other.flatten(2), mask) - model(x.flatten(2), mask)).abs().max() > 1e-4


class TestGraph:
    def test_it_is_the_skeleton_with_the_head_on_the_shoulders(self):
        graph = adjacency()
        assert graph.sum() == 17 + 2 * (len(EDGES) + 2)
        assert (graph == graph.T).all() and all(graph[a, b] for a, b in GRAPH_EDGES)

    def test_the_parts_sum_to_the_graph_with_rows_of_1(self):
        parts, graph = partitioned_adjacency(), adjacency()
        np.testing.assert_allclose(parts.sum(0), np.diag(1 / graph.sum(1)) @ graph, rtol=1e-6)
        assert ((parts > 0).sum(0) <= 1).all()

    def test_hops_are_the_shortest_paths(self):
        import networkx

        lengths = networkx.multi_source_dijkstra_path_length(
            networkx.Graph(GRAPH_EDGES), {JOINT["left_shoulder"], JOINT["right_shoulder"]}
        )
        assert hops_to_centre().tolist() == [lengths[joint] for joint in range(17)]

    def test_a_mirrored_body_has_the_same_graph(self):
        order = list(FLIP_ORDER)
        for matrix in (adjacency(), inner_neighbours(), *partitioned_adjacency()):
            assert (matrix[order][:, order] == matrix).all()

    def test_bones_are_differences_and_0_without_an_end(self):
        x, _, seen = people_batch(hidden=0.5)
        bones = streams(x, seen, "bone")
        wrist, elbow = JOINT["left_wrist"], JOINT["left_elbow"]
        ends = seen[..., wrist] & seen[..., elbow]
        wanted = x[..., wrist, :] - x[..., elbow, :]
        wanted[..., CONFIDENCE] = torch.minimum(x[..., wrist, CONFIDENCE], x[..., elbow, CONFIDENCE])
        torch.testing.assert_close(bones[..., wrist, :], torch.where(ends[..., None], wanted, 0.0))
        # The head's bone goes to the middle of the shoulders, or to the one that was seen.
        left, right = x[..., JOINT["left_shoulder"], :2], x[..., JOINT["right_shoulder"], :2]
        both = seen[..., [JOINT["nose"], JOINT["left_shoulder"], JOINT["right_shoulder"]]].all(-1)
        torch.testing.assert_close(bones[both][:, 0, :2], x[both][:, 0, :2] - (left + right)[both] / 2)
        assert torch.equal(streams(x, seen, "both"), torch.cat([x, bones], -1))
        assert streams(x, seen, "joint") is x


class TestPeople:
    def test_only_who_is_seen_in_a_real_frame_is_there(self):
        x, mask, _ = people_batch(3)
        x[0, :, 1] = 0.0
        x[1] = 0.0
        x[2, :, 0] = torch.where(mask[2, :, None, None], 0.0, 1.0)  # seen in padding only
        people = find_people(x.flatten(2), mask)
        assert people.clip.tolist() == [0, 2]
        assert torch.equal(people.joints, torch.stack([x[0, :, 0], x[2, :, 1]]))
        assert torch.equal(people.seen, people.joints[..., CONFIDENCE] > 0)

    @pytest.mark.parametrize(("pooling", "reduce"), [("mean", torch.mean), ("max", torch.amax)])
    def test_pooling_is_that_of_each_window_alone(self, pooling, reduce):
        x, clip = torch.randn(5, 3), torch.tensor([0, 0, 2, 3, 3])
        seen = torch.ones(5, 1, 17, dtype=torch.bool)
        pooled = PeoplePooling(pooling)(x, People(torch.zeros(5, 1, 17, 7), seen, clip), 5)
        for window in range(5):
            mine = x[clip == window]
            torch.testing.assert_close(pooled[window], reduce(mine, 0) if len(mine) else torch.zeros(3))


class TestParts:
    def test_graph_convolution_is_the_textbooks(self):
        layer = GraphConvolution(5, 6)
        nn.init.normal_(layer.refinement)
        x = torch.randn(17, 2, 3, 5)
        wanted = torch.einsum("sij,jptc,scd->iptd", layer.skeleton + layer.refinement, x, layer.weight)
        close(layer(x), wanted)

    @pytest.mark.parametrize("stride", [1, 2])
    def test_temporal_convolution_is_torchs_along_time(self, stride):
        layer = TemporalConvolution(12, stride).eval()
        x = torch.rand(17, 2, 9, 12)
        rows = x.flatten(0, 1).transpose(1, 2)  # (N, C, T)
        wanted = [
            functional.conv1d(rows[:, :3], layer.near.weight[..., 0], stride=stride, padding=1),
            functional.conv1d(rows[:, 3:6], layer.far.weight[..., 0], stride=stride, padding=2, dilation=2),
            functional.max_pool1d(rows[:, 6:9], 3, stride, 1),
            rows[:, 9:, ::stride],
        ]
        y = functional.relu(torch.cat(wanted, 1).transpose(1, 2) / (1 + 1e-5) ** 0.5)
        y = (layer.join(y) / (1 + 1e-5) ** 0.5).unflatten(0, (17, 2))
        close(layer(x, torch.ones(y.shape[:-1], dtype=torch.bool)), y)

    @pytest.mark.parametrize("share", [0.4, 1.1])
    def test_norm_is_batch_normalisation_of_what_was_seen(self, share):
        seen = torch.rand(4, 5, 6) < share
        x = 3 + 2 * torch.randn(4, 5, 6, 7)
        mine, torchs = SeenNorm(7), nn.BatchNorm1d(7)
        y = mine(x, seen)
        close(y[seen], torchs(x[seen]))
        assert (y[~seen] == 0).all()
        close(mine.running_mean, torchs.running_mean)
        close(mine.running_var, torchs.running_var)
        close(mine.eval()(x, seen)[seen], torchs.eval()(x[seen]))

    def test_attention_is_torchs(self):
        mine = Attention(12, 3)
        torchs = nn.MultiheadAttention(12, 3, batch_first=True)
        torchs.load_state_dict(
            {
                "in_proj_weight": mine.query_key_value.weight,
                "in_proj_bias": mine.query_key_value.bias,
                "out_proj.weight": mine.out.weight,
                "out_proj.bias": mine.out.bias,
            }
        )
        x, seen = torch.randn(2, 4, 6, 12), torch.rand(2, 4, 6) < 0.6
        seen[..., 0] = True
        rows = mine.norm(x).flatten(0, 1)
        wanted, _ = torchs(rows, rows, rows, key_padding_mask=~seen.flatten(0, 1), need_weights=False)
        close(mine(x, seen).flatten(0, 1), wanted)


@pytest.mark.parametrize(("name", "variant"), CASES)
def test_a_graph_of_fixed_shapes_gives_the_same(name, variant):
    """As it is exported: with every person slot, whether somebody is there or not."""
    model = build(name, variant, dropout=0.0).eval()
    x, mask, _ = people_batch()
    exported = torch.export.export(model, (x.flatten(2), mask)).module()
    x[0, :, 1], x[1, :, 0], x[2] = 0.0, 0.0, 0.0
    close(exported(x.flatten(2), mask), model(x.flatten(2), mask))
