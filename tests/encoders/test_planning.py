"""What training a CLIP would take: sizes by hand, plans that fit, refusals."""

from __future__ import annotations

from functools import cache

import pytest
import torch

from cliplab.encoders import planning
from cliplab.encoders.architecture import Architecture, build, read_architecture
from cliplab.encoders.planning import cost_of, plan_training, sketch
from cliplab.encoders.two_passes import CHECKPOINTED, TECHNIQUES
from cliplab.training.memory import KERNELS, Plan, TooLittleMemory

MIB = 1 << 20
B = 16


@cache
def drawn(**vision):
    towers = {
        "embed_dim": 16,
        "vision_cfg": {
            "image_size": 32, "layers": 2, "width": 64, "head_width": 32, "patch_size": 4, **vision
        },
        "text_cfg": {"context_length": 8, "vocab_size": 99, "width": 32, "heads": 1, "layers": 1},
    }  # fmt: skip
    built = build(Architecture("small", towers, {}), 0, device="meta")
    return sketch(built, torch.randint(0, 99, (10, 8)))


def cost(base=0, on_cpu=True, **vision):
    return cost_of(drawn(**vision), B, 10, base, on_cpu=on_cpu)


RESNET = {"layers": (1, 1, 1, 1), "width": 8, "image_size": 32, "patch_size": None}


def test_sizes_are_those_of_what_is_trained():
    tokens = torch.tensor([[1, 5, 7], [1, 9, 7]])
    built = build(read_architecture("tiny"), 0, device="meta")
    made = sketch(built, tokens)
    assert made.table == 49408 * 64 * 4
    found = cost_of(made, 8, 2, base=100, on_cpu=True)
    whole = sum(p.numel() for p in build(read_architecture("tiny"), 0).model.parameters())
    assert found.parameters == 4 * (whole - 49408 * 64 + 4 * 64)  # 1, 5, 7, 9 are in use
    assert found.optimizer == 2 * found.parameters
    positions = 49408 * 8 + 24 * 24 * 4  # of the rows in use; the causal mask
    assert found.base == 100 + made.table + 5 * 8 * 3 * 32 * 32 + positions


def test_smaller_micro_batches_and_recomputing_take_less():
    whole, half, one = (cost().peak(n, ()) for n in (B, B // 2, 1))
    assert whole > 1.7 * half > 3 * one
    assert cost().peak(8, (CHECKPOINTED,)) < 0.7 * cost().peak(8, ())
    assert cost(on_cpu=False).base < cost().base


def test_the_plan_that_costs_least_time_is_taken():
    priced = cost()
    few = priced.of(Plan(5)).total
    found = plan_training(priced, drawn(), few, B, 1 << 40, on_cpu=True)
    assert found.plan == Plan(5)
    assert not found.keeps_pictures
    one = priced.of(Plan(1)).total
    tighter = plan_training(priced, drawn(), one - 1, B, 1 << 40, on_cpu=True)
    assert tighter.plan.techniques == (CHECKPOINTED,)


def test_pictures_are_kept_where_there_is_room():
    priced = cost()
    plenty = priced.of(Plan(B)).total + MIB

    def planned(pictures, on_cpu=True):
        return plan_training(priced, drawn(), plenty, B, pictures, on_cpu=on_cpu)

    assert planned(MIB).keeps_pictures
    beside = planned(4 * MIB)  # a smaller micro-batch makes room
    assert (beside.keeps_pictures, beside.plan.micro_batch < B) == (True, True)
    assert beside.estimate.total <= plenty
    assert planned(plenty // 4 + 1)[::3] == (Plan(B), False)
    assert not planned(3 << 30).keeps_pictures
    assert planned(1 << 30, on_cpu=False).keeps_pictures


def test_too_little_says_what_would_do():
    with pytest.raises(TooLittleMemory, match=r"one picture.*--memory .*smaller --model"):
        plan_training(cost(base=MIB), drawn(), 2 * MIB, B, 0, on_cpu=True)


def test_batch_normalisation_takes_batches_whole():
    made = drawn(**RESNET)
    assert made.whole
    assert made.techniques == ((),)
    enough = cost(**RESNET).of(Plan(B)).total
    assert plan_training(cost(**RESNET), made, enough, B, 1 << 40, on_cpu=True).plan == Plan(B)
    with pytest.raises(TooLittleMemory, match=r"16 pictures at a time.*--batch-size"):
        plan_training(cost(**RESNET), made, enough - 1, B, 1 << 40, on_cpu=True)


@pytest.mark.parametrize("targets", ["pairs", "classes"])
@pytest.mark.parametrize("plan", [Plan(B), Plan(8), Plan(8, (CHECKPOINTED,))])
def test_the_simulation_counts_what_a_real_step_allocates(plan, targets):
    """Storages of the same step on the CPU, counted by the same mode."""
    from cliplab.encoders.losses import loss_of_model
    from cliplab.encoders.two_passes import Inputs, add_gradient
    from cliplab.training.simulation import footprint

    towers = {
        "embed_dim": 16,
        "vision_cfg": {
            "image_size": 32,
            "layers": 2,
            "width": 64,
            "head_width": 32,
            "patch_size": 4,
        },
        "text_cfg": {"context_length": 8, "vocab_size": 99, "width": 32, "heads": 1, "layers": 1},
    }
    architecture = Architecture("small", towers, {})
    model = build(architecture, 0).model
    planning.recompute_blocks(model, bool(plan.techniques))
    tokens = torch.randint(0, 99, (10, 8))
    which = torch.randint(0, 10, (B,))
    inputs = Inputs(torch.randn(B, 3, 32, 32), tokens, which, which % 3)
    loss_of = loss_of_model(model, targets)
    with torch.random.fork_rng([]):
        real = footprint(lambda: add_gradient(model, loss_of, inputs, plan.micro_batch, 0)).peak
    made = sketch(build(architecture, 0, device="meta"), tokens, targets)
    told = cost_of(made, B, 10, 0, on_cpu=True).peak(plan.micro_batch, plan.techniques)
    assert told == pytest.approx(real, rel=0.1)


def test_a_toy_warms_up():
    assert set(TECHNIQUES) == {(), (CHECKPOINTED,)}
    planning.warm_up()
    assert KERNELS > 0
