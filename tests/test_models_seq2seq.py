"""Sequence models: sizes by formula, no look ahead, padding without effect, decoding with caches, and training."""

import dataclasses
import sys

import numpy as np
import pytest
import torch

from dlcore.translation import bleu as translation
from dlcore.translation.attention import Layer, dropout, positions
from dlcore.translation.counting import LexiconLearner
from dlcore.translation.decoding import greedy, translate
from dlcore.translation.models import ARCHITECTURES, Shape, seq2seq
from dlcore.translation.sentence_pairs import Pairs, Ragged, back_translate
from dlcore.translation.task import Noise, Transduction
from dlcore.translation.training import SequenceConfig, fit_pairs, sentence_losses, token_loss

KINDS = [{"architecture": a} for a in ARCHITECTURES]
TASK = Transduction(list_size=20, alphabet=10)


def make(seed=0, sharp=0.3, **options):
    """A small model in evaluation mode whose weights are large enough to tell tokens apart."""
    shape = Shape(**{"source_vocabulary": 30, "target_vocabulary": 20, "width": 16, "heads": 2, **options})
    model = seq2seq(shape, seed=seed).eval()
    generator = torch.Generator().manual_seed(seed)
    for p in model.parameters():
        if p.ndim > 1:
            torch.nn.init.normal_(p, std=sharp, generator=generator)
    return model


def batch(seed=0, n=5, s=7, t=6):
    g = torch.Generator().manual_seed(seed)
    x, y = torch.randint(4, 30, (n, s), generator=g), torch.randint(3, 20, (n, t), generator=g)
    for row in range(1, n):
        x[row, s - row :] = 0
    return x, y


@pytest.fixture(params=KINDS, ids=lambda k: "-".join(map(str, k.values())))
def model(request):
    return make(**request.param)


# Sizes


def test_the_base_model_has_1_6_million_parameters():
    def count(*sizes, **options):
        return sum(p.numel() for p in seq2seq(Shape(*sizes, **options)).parameters())

    assert count(2000, 2000, encoder_layers=3, decoder_layers=3, shared=True) == 1_645_056
    # another split of the same number of layers costs only attention to the source
    long, short = (count(99, 99, encoder_layers=e, decoder_layers=5 - e) for e in (1, 4))
    attention = 4 * 128**2 + 4 * 128 + 2 * 128
    assert long - short == 3 * attention


def test_a_seed_gives_the_same_model_and_leaves_the_random_stream_alone():
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    a, *same, c = (seq2seq(Shape(9, 9, width=8, heads=2), seed=s).state_dict() for s in [*[1] * 9, 2])
    assert torch.equal(torch.rand(1), expected)
    assert all(torch.equal(a[k], b[k]) for b in same for k in a)
    assert not torch.equal(a["target_embedding.weight"], c["target_embedding.weight"])


def test_a_new_model_has_the_loss_of_a_guess():
    for kind in KINDS:
        model = seq2seq(Shape(30, 500, width=64, **kind)).eval()
        x, y = batch()
        loss = model.loss(x, y)
        assert 0.8 * np.log(500) < float(loss.nats / loss.tokens) < 1.3 * np.log(500)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"architecture": "transfomer"}, "did you mean 'transformer'"),
        ({"width": 30, "heads": 4}, "width = 30 must be even and a multiple of heads = 4, such as 32"),
        ({"width": 9, "heads": 3}, "such as"),
        ({"encoder_layers": 0}, "encoder_layers = 0"),
        ({"decoder_layers": 0}, "decoder_layers = 0"),
        ({"dropout": 1.0}, r"dropout = 1.0 is outside \[0, 1\)"),
        ({"shared": True}, "shared needs one vocabulary: 30 and 20"),
    ],
)
def test_a_bad_shape_is_named(options, message):
    with pytest.raises(ValueError, match=message):
        Shape(**{"source_vocabulary": 30, "target_vocabulary": 20, **options})


# What may influence what


def test_positions_are_those_of_the_paper():
    x = positions(0, 100, torch.zeros(1, 8))
    assert torch.allclose(x[7, 1], torch.sin(torch.tensor(7 / 10000 ** (2 / 8))))
    assert torch.allclose(x[7, 5], torch.cos(torch.tensor(7 / 10000 ** (2 / 8))))
    assert torch.equal(positions(40, 60, torch.zeros(1, 8)), x[40:60])


@torch.no_grad()
def test_no_position_sees_its_own_or_later_targets(model):
    x, y = batch(n=1, s=4)
    y[0] = torch.tensor([4, 5, 6, 7, 8, 9])
    plain = model(x, y)
    for at in range(6):
        changed = y.clone()
        changed[0, at] = 15
        moved = (model(x, changed) - plain)[0].abs().amax(1)
        assert float(moved[: at + 1].max()) == 0
        assert at == 5 or float(moved[at + 1]) > 1e-4


@torch.no_grad()
def test_every_source_token_matters(model):
    x, y = batch(n=1, s=5)
    x[:] = torch.arange(4, 9)
    plain = model(x, y)
    for at in range(5):
        changed = x.clone()
        changed[0, at] = 20
        assert float((model(changed, y) - plain).abs().max()) > 1e-4


def test_the_source_sees_all_of_itself():
    x, y = batch(n=1, s=5)
    model = make(architecture="decoder_only")
    changed = x.clone()
    changed[0, 4] = 20
    first = []
    model.decoder[-1].register_forward_pre_hook(lambda layer, given: first.append(given[0][0, 0].detach()))
    for source in (x, changed):
        model(source, y)
    assert float((first[0] - first[1]).abs().max()) > 1e-5


def test_the_last_layer_leaves_out_what_nobody_reads_and_nothing_else():
    x = torch.randn(3, 7, 8)
    layer = Layer(8, 2, 16, 0.3)
    torch.manual_seed(1)
    whole = layer(x)
    torch.manual_seed(1)
    assert torch.allclose(layer(x, skipped=4), whole[:, 4:], atol=1e-6), "the same dropout too"


def test_padding_has_no_effect(model):
    x, y = batch()
    plain = model(x, y)
    wide = model(torch.nn.functional.pad(x, (0, 4)), torch.nn.functional.pad(y, (0, 3)))
    assert torch.allclose(wide[:, :6], plain, atol=1e-4)
    for row in range(5):
        own = x[row : row + 1, : int((x[row] != 0).sum())]
        assert torch.allclose(model(own, y[row : row + 1]), plain[row : row + 1], atol=1e-4)
    losses = [model.loss(x, y), model.loss(x, torch.nn.functional.pad(y, (0, 3)))]
    assert losses[0].tokens == losses[1].tokens == 30
    assert float(losses[0].nats) == pytest.approx(float(losses[1].nats), rel=1e-5)


def test_the_loss_on_a_gpu_is_that_on_a_cpu(model):
    """A GPU takes the softmax of padding too, and no number back in between: the same loss and gradients."""
    x, y = batch()
    y = torch.nn.functional.pad(y, (0, 3))
    plain, padded = model.loss(x, y), model._padded_loss(model.hidden(x, y), y)
    assert int(padded.tokens) == plain.tokens
    assert float(padded.nats) == pytest.approx(float(plain.nats), rel=1e-5)
    (g, h) = (torch.autograd.grad(v.objective, [*model.parameters()]) for v in (plain, padded))
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(g, h, strict=True))


@torch.no_grad()
def test_the_loss_is_the_cross_entropy_of_the_logits(model):
    x, y = batch()
    nats = -model(x, y).log_softmax(2).gather(2, y[:, :, None]).sum()
    loss = model.loss(x, y)
    assert float(loss.nats) == pytest.approx(float(nats), rel=1e-5)
    assert float(loss.objective) == pytest.approx(float(loss.nats) / 30, abs=1e-5)


def test_dropout_acts_in_training_alone(model):
    x, y = batch()
    assert torch.equal(model(x, y), model(x, y))
    model.train()
    assert not torch.equal(model(x, y), model(x, y))


def test_dropout_drops_the_stated_fraction_and_keeps_the_mean():
    x = torch.full((500, 401), 2.0, requires_grad=True)
    torch.manual_seed(0)
    y = dropout(x, 0.3, True)
    y.sum().backward()
    assert torch.equal(x.grad, y.detach() / 2)
    assert sorted(set(y.detach().unique().tolist())) == pytest.approx([0, 2 / 0.7])
    share = float((y == 0).float().mean())
    assert abs(share - 0.3) < 4 * (0.21 / x.numel()) ** 0.5
    rows = (y == 0).float()
    assert abs(float(torch.corrcoef(torch.stack([rows[:, :-1].flatten(), rows[:, 1:].flatten()]))[0, 1])) < 0.01
    torch.manual_seed(0)
    assert torch.equal(y, dropout(x, 0.3, True))
    assert dropout(x, 0.3, False) is x
    assert dropout(x, 0.0, True) is x


def test_a_shared_table_is_one_tensor():
    model = make(source_vocabulary=20, shared=True)
    assert model.source_embedding is model.target_embedding


# Decoding


def test_cached_steps_equal_the_whole(model):
    x, y = batch()
    state, last, steps = model.start(x), torch.ones(5, dtype=torch.long), []
    for t in range(6):
        steps.append(model.step(last, state))
        last = y[:, t]
    assert torch.allclose(torch.stack(steps, 1), model(x, y), atol=1e-4)


def test_greedy_takes_the_most_likely_token_each_time(model):
    x, _ = batch()
    found = greedy(model, x, longest=9)
    logits = model(x, found)
    logits[:, :, :2] = -torch.inf
    best = logits.argmax(2)
    for row, written in enumerate(found):
        length = int((written != 0).sum())
        assert torch.equal(best[row, :length], written[:length])
        assert length == 9 or written[length - 1] == 2


def test_translate_keeps_the_order_and_does_not_depend_on_the_batch(model):
    x, _ = batch(n=6)
    sources = [row[row != 0].numpy() for row in x]
    found = translate(model.train(), sources, longest=9, batch_tokens=7)
    assert model.training
    for source, words in zip(sources, found, strict=True):
        alone = greedy(model.eval(), torch.from_numpy(source)[None], longest=9)[0].numpy()
        assert words.tolist() == alone[(alone != 0) & (alone != 2)].tolist()
    assert [t.tolist() for t in translate(model, Ragged.of(sources), longest=9)] == [t.tolist() for t in found]


def test_decoding_names_what_is_wrong(model):
    x, _ = batch()
    with pytest.raises(ValueError, match="source 1 is empty"):
        translate(model, [x[0].numpy(), x[0, :0].numpy()])
    for token in (0, -1, 30, 10**6):
        with pytest.raises(ValueError, match=rf"source token {token} is outside 1\.\.29"):
            translate(model, [[4, 5], [token, 6]])
    with pytest.raises(ValueError, match="none of them empty"):
        greedy(model, torch.zeros(2, 3, dtype=torch.long))
    with pytest.raises(ValueError, match="longest = 0"):
        greedy(model, x, longest=0)


# Training


CONFIG = SequenceConfig(steps=24, batch_tokens=256, evaluate_every=4, learning_rate=3e-3, warm=4, patience=0)


def task_model(seed=0, **options):
    shape = Shape(TASK.source_vocabulary, TASK.target_vocabulary, width=16, heads=2, encoder_layers=1, **options)
    return seq2seq(dataclasses.replace(shape, decoder_layers=1), seed=seed)


TRAIN, DEV = TASK.sample(120), TASK.sample(40, stream="dev")


@pytest.mark.parametrize("kind", KINDS, ids=lambda k: "-".join(map(str, k.values())))
def test_it_learns_and_ends_with_its_best_weights(kind):
    model = task_model(**kind)
    before = token_loss(model, DEV)
    curves = fit_pairs(model, TRAIN, DEV, dataclasses.replace(CONFIG, steps=60, evaluate_every=20))
    assert curves.dev_loss[-1] < 0.8 * before
    assert curves.stopped == "all steps"
    assert curves.steps == [20, 40, 60]
    assert token_loss(model, DEV) == pytest.approx(min(curves.dev_loss), rel=1e-6)
    assert model.training  # as it was


def test_it_can_learn_by_heart():
    few = TASK.sample(60)
    few = few.take(few.target.lengths <= 14).take(slice(8))
    model = seq2seq(Shape(TASK.source_vocabulary, TASK.target_vocabulary, width=32, dropout=0.0))
    config = dataclasses.replace(CONFIG, steps=120, evaluate_every=40, learning_rate=5e-3, schedule="constant")
    fit_pairs(model, few, few, config)
    assert token_loss(model, few) < 0.05
    found = translate(model, few.source, longest=80)
    assert translation.exact_match(found, few.target.without_end()) == 1


def test_the_same_seed_repeats_and_another_does_not():
    runs = [fit_pairs(task_model(), TRAIN, DEV, dataclasses.replace(CONFIG, seed=s)).dev_loss for s in (0, 0, 1)]
    assert runs[0] == runs[1] != runs[2]


class _Killed(BaseException):
    pass


@pytest.mark.parametrize("dies_after", [4, 12, 20])
def test_a_killed_run_resumes_to_the_same_curve(tmp_path, dies_after):
    def evaluate(model, step):
        return {"norm": float(sum(p.norm() for p in model.parameters()))}

    def dies(model, step):
        if step > dies_after:
            raise _Killed
        return evaluate(model, step)

    whole_model, model = task_model(), task_model()
    whole = fit_pairs(whole_model, TRAIN, DEV, CONFIG, evaluate=evaluate)
    options = {"checkpoint": tmp_path / "run.pt", "checkpoint_seconds": 0.0}
    with pytest.raises(_Killed):
        fit_pairs(task_model(), TRAIN, DEV, CONFIG, evaluate=dies, **options)
    resumed = fit_pairs(model, TRAIN, DEV, CONFIG, evaluate=evaluate, **options)
    assert resumed.resumed == 1
    for name in ("steps", "tokens", "train_loss", "dev_loss", "values", "best", "stopped"):
        assert getattr(resumed, name) == getattr(whole, name), name
    for a, b in zip(model.state_dict().values(), whole_model.state_dict().values(), strict=True):
        assert torch.equal(a, b)


def test_a_checkpoint_of_other_data_is_named_and_ignored(tmp_path):
    path = tmp_path / "run.pt"
    fit_pairs(task_model(), TRAIN, DEV, CONFIG, checkpoint=path)
    with pytest.warns(UserWarning, match="belongs to another run"):
        curves = fit_pairs(task_model(), TRAIN.take(slice(50)), DEV, CONFIG, checkpoint=path)
    assert curves.resumed == 0


def test_it_stops_when_the_held_out_loss_does_not_fall():
    config = dataclasses.replace(CONFIG, steps=2000, learning_rate=2e-2, evaluate_every=5, patience=3)
    model, few = task_model(), TASK.sample(6)
    curves = fit_pairs(model, few, DEV, config)
    assert curves.stopped == "no gain"
    assert curves.steps[-1] < 2000
    assert len(curves.steps) - 1 - curves.best == 3
    assert token_loss(model, DEV) == pytest.approx(curves.dev_loss[curves.best], rel=1e-6)


def test_the_global_random_stream_is_left_alone():
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    fit_pairs(task_model(), TRAIN, DEV, dataclasses.replace(CONFIG, steps=4))
    assert torch.equal(torch.rand(1), expected)


def test_sentence_losses_add_up_and_do_not_depend_on_the_batch():
    model = make(source_vocabulary=TASK.source_vocabulary, target_vocabulary=TASK.target_vocabulary)
    losses = sentence_losses(model, DEV)
    assert np.allclose(losses, sentence_losses(model, DEV, batch_tokens=1), atol=1e-4)
    whole = model.loss(*(torch.from_numpy(side.padded()) for side in (DEV.source, DEV.target)))
    assert losses.sum() == pytest.approx(float(whole.nats), rel=1e-5)
    assert token_loss(model, DEV) == pytest.approx(float(whole.nats) / whole.tokens, rel=1e-5)


def test_bfloat16_keeps_float32_weights():
    model = task_model()
    curves = fit_pairs(model, TRAIN, DEV, dataclasses.replace(CONFIG, precision="bfloat16"))
    assert all(p.dtype == torch.float32 for p in model.parameters())
    assert curves.dev_loss[-1] < curves.dev_loss[0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"optimizer": "adm"}, "did you mean 'adam'"),
        ({"schedule": "linear"}, "unknown schedule"),
        ({"batch_tokens": 0}, "batch_tokens = 0 is outside"),
        ({"clip": 0.0}, "clip = 0.0 is outside"),
    ],
)
def test_bad_settings(change, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(CONFIG, **change)


def test_bad_pairs_are_named_before_any_work():
    model = task_model()
    with pytest.raises(ValueError, match="no training pairs"):
        fit_pairs(model, TRAIN.take(slice(0)), DEV, CONFIG)
    large = Pairs(Ragged.of([[4, 9999]]), Ragged.of([[5, 2]]))
    with pytest.raises(ValueError, match=r"development source token 9999 is outside 1\.\.75"):
        fit_pairs(model, TRAIN, large, CONFIG)
    with pytest.raises(ValueError, match="training target 0 is empty"):
        fit_pairs(model, Pairs(Ragged.of([[4]]), Ragged.of([[]])), DEV, CONFIG)
    with pytest.raises(ValueError, match="batches of 8 tokens cannot hold a sequence of"):
        fit_pairs(model, TRAIN, DEV, dataclasses.replace(CONFIG, batch_tokens=8))


def test_a_loss_that_is_not_a_number_is_an_error():
    model = task_model()
    with torch.no_grad():
        model.target_embedding.weight[5] = torch.nan
    with pytest.raises(FloatingPointError, match="not a number at step 4"):
        fit_pairs(model, TRAIN, DEV, CONFIG)


def test_a_trained_reverse_model_translates_back():
    reverse = TRAIN.reversed()
    shape = Shape(TASK.target_vocabulary, TASK.source_vocabulary, width=16, heads=2)
    model = seq2seq(shape)
    fit_pairs(model, reverse, DEV.reversed(), CONFIG)
    made = back_translate(DEV, lambda targets: Ragged.of(s if len(s) else [4] for s in translate(model, targets)))
    assert len(made) == len(DEV)
    assert made.target is DEV.target


# Count-based learners


def test_the_lexicon_learner_falls_to_the_floor_and_never_below():
    task = Transduction(list_size=60, alphabet=18)
    test = task.sample(400, stream="test")
    oracle = -task.log_prob(test.source, test.target)
    excess = []
    for size in (100, 1000, 10_000):
        excess.append((LexiconLearner(task).fit(task.sample(size)).sentence_losses(test) - oracle).mean() / 6)
    assert excess[0] > excess[1] > excess[2] > 0
    assert excess[2] < 0.02
    noise = Noise("target", 0.2)
    noisy = LexiconLearner(task).fit(task.sample(20_000, noise=noise)).sentence_losses(test)
    law = -task.log_prob(test.source, test.target, noise)
    assert 0 < (noisy - law).mean() / 6 < 0.05
    aligned = LexiconLearner(task).fit(task.sample(5000, noise=Noise("misaligned", 0.4))).sentence_losses(test)
    assert (aligned - oracle).mean() / 6 < 0.1
    unseen = LexiconLearner(task).sentence_losses(test)
    assert np.allclose(unseen, np.log(180) * np.bincount(task.align(test).sentence))
    with pytest.raises(ValueError, match="smoothing = 0"):
        LexiconLearner(task, smoothing=0)


def test_scores_carry_their_signature():
    pytest.importorskip("sacrebleu", reason="sacrebleu is not installed: no BLEU to compute")
    same = ["the cat sat on the mat", "it is there now and here"]
    score = translation.bleu(same, same)
    assert score.value == pytest.approx(100)
    assert "version:" in score.signature
    assert translation.bleu(["a b c d x"], ["a b c d e"], tokenize="none").value < 90
    with pytest.raises(ValueError, match="1 hypotheses and 2 references"):
        translation.bleu(same[:1], same)


@pytest.mark.parametrize("score", [translation.bleu, translation.exact_match])
def test_one_sentence_is_no_list_of_them(score):
    with pytest.raises(ValueError, match="lists of sentences.*its letters would be compared"):
        score("the cat sat", "the cat ran")


def test_without_sacrebleu_the_scores_say_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "sacrebleu", None)
    with pytest.raises(RuntimeError, match="pip install sacrebleu"):
        translation.bleu(["a"], ["a"])
