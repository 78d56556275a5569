"""The one training loop: what each worker does, from the last checkpoint to the last step."""

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar, cast

from cinescribe.errors import CinescribeError
from train import checkpoints, folder, order
from train.gradients import combine
from train.recipe import Batch, Data, Optimisation, OwnOptimiser, Recipe
from train.settings import Settings
from train.statistics import RunningStatistics

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn


Made = TypeVar("Made")


@dataclass(frozen=True, slots=True)
class Crew:
    """A worker's place among the others.

    Attributes:
        rank, world: of the worker, and how many there are.
        device: it computes on.
        report: is told numbers by every worker at the same steps, and lets none go on before all did.
        show: is told by the first worker how far the run is.
    """

    rank: int = 0
    world: int = 1
    device: str = "cpu"
    report: Callable[[Mapping[str, Any]], None] = lambda numbers: None
    show: Callable[[Mapping[str, Any]], None] = lambda numbers: None


@dataclass(slots=True)
class Progress:
    """How far a run is: all that a checkpoint holds beside the model and the optimiser."""

    step: int = 0
    best: float = -math.inf
    best_step: int = -1


class Stopped(CinescribeError):
    """An end that all workers come to together; the same steps would come to it again."""


def total_steps(options: Optimisation, examples: int) -> int:
    """Of the whole schedule."""
    return options.steps or max(1, round(options.epochs * examples / options.batch))


def learning_rate(options: Optimisation, step: int, total: int, examples: int) -> float:
    """Of a step, the first is 0: a linear warm-up, then as `options.schedule` says."""
    warmup = min(options.warmup, total // 2)  # a run shorter than the paper's still trains
    if step < warmup:
        return options.learning_rate * (step + 1) / warmup
    if options.schedule == "constant":
        return options.learning_rate
    if options.schedule == "halve":
        return options.learning_rate * 0.5 ** (step // 100_000)
    if options.schedule == "decay":
        return options.learning_rate * 0.95 ** (step * options.batch // examples)
    return options.learning_rate * 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, total - warmup)))


def train(recipe: Recipe, settings: Settings, crew: Crew | None = None) -> Progress:
    """Train to the end, or to `max_steps`; from where the run's folder says that it was.

    Raises:
        Stopped: data or weights can't be used, or the loss is no longer a number.
        CinescribeError: memory ran out.
    """
    import torch

    crew = crew or Crew()
    options: Optimisation = recipe.options
    data, held_out, model = _together(lambda: _begin(recipe, settings, crew), crew)
    optimiser = recipe.optimiser(model) if isinstance(recipe, OwnOptimiser) else _optimiser(model, options)
    progress = _resume(settings.out, model, optimiser)
    curves = folder.Curves(settings.out, progress.step) if crew.rank == 0 else None
    total = total_steps(options, len(data))
    last = min(total, settings.max_steps or total)
    crew.show({"step": progress.step, "steps": last})
    parameters = [value for value in model.parameters() if value.requires_grad]
    computing = _precision(settings.precision, crew.device)
    began, since = time.monotonic(), progress.step
    batches = _batches(data, settings, options, crew, range(progress.step, last))
    for step, parts in zip(range(progress.step, last), batches, strict=True):
        rate = learning_rate(options, step, total, len(data))
        for group in optimiser.param_groups:
            group["lr"] = rate * group.get("factor", 1.0)
        numbers = _step(recipe, model, parameters, parts, settings.seed, step, crew, computing)
        if options.clip:
            torch.nn.utils.clip_grad_norm_(parameters, options.clip)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        recipe.after_step(model)
        progress.step = done = step + 1
        evaluates = done % settings.evaluate_every == 0 or done == last
        saves = evaluates or done % settings.checkpoint_every == 0
        if saves or done % settings.log_every == 0:
            told = {name: float(value) for name, value in numbers.items()}
            if not math.isfinite(told["loss"]):
                raise Stopped(
                    f"the loss of step {done} is {told['loss']}: try a lower --learning-rate, a longer "
                    "--warmup or --clip 1, in another --out"
                )
            if curves is not None and done % settings.log_every == 0:
                speed = (done - since) * options.batch / max(1e-9, time.monotonic() - began)
                curves.add(done, {**told, "learning_rate": rate, "examples_per_second": round(speed, 3)})
                began, since = time.monotonic(), done
            crew.show({"step": done, "steps": last, **told})
        if evaluates:
            _evaluate(recipe, model, held_out, settings, crew, progress, curves, computing)
        if saves:
            _save(recipe, model, optimiser, settings, crew, progress, curves)
            crew.report({"step": done, **told})
            began, since = time.monotonic(), done
    return progress


def _begin(recipe: Recipe, settings: Settings, crew: Crew) -> "tuple[Data, Data, nn.Module]":
    """The data of both splits, and the model a run begins with."""
    import torch

    data, held_out = recipe.data(settings.data, "train"), recipe.data(settings.data, "validation")
    torch.manual_seed(order.mixed(settings.seed, 2))
    return data, held_out, recipe.model(data).to(crew.device).train()


def _together(make: "Callable[[], Made]", crew: Crew) -> "Made":
    """What it makes; Stopped on all workers when one of them can't make it."""
    made, error = None, ""
    try:
        made = make()
    except CinescribeError as problem:
        error = str(problem)
    if error := next(filter(None, _gathered([error], crew.world)), ""):
        raise Stopped(error)
    return cast("Made", made)


def _step(
    recipe: Recipe,
    model: "nn.Module",
    parameters: "Sequence[nn.Parameter]",
    parts: Sequence[tuple[int, Batch]],
    seed: int,
    step: int,
    crew: Crew,
    computing: "Callable[[], AbstractContextManager[Any]]",
) -> "dict[str, Tensor]":
    """Gradients of this worker's parts, then of all; returns the loss and the metrics of the step."""
    import torch

    sums: dict[str, Tensor] = {}
    weight = 0.0
    alone = crew.world == 1 and len(parts) == 1  # then it need not be weighed
    running = None if alone else RunningStatistics(model)
    try:
        for number, batch in parts:
            torch.manual_seed(order.mixed(seed, 3, step, number))
            with computing():
                outcome = recipe.loss(model, batch)
            counts = 1.0 if alone else outcome.weight
            torch.autograd.backward(outcome.loss.float() * counts)
            if running is not None:
                running.add(counts)
            weight += counts
            for name, value in {"loss": outcome.loss, **outcome.metrics}.items():
                weighted = value.detach().float() * counts
                sums[name] = sums[name] + weighted if name in sums else weighted
    except torch.OutOfMemoryError as error:
        raise CinescribeError(
            f"{crew.device}: out of memory in step {step + 1}; give more --parts, or a smaller --batch"
        ) from error
    if alone:
        return sums
    first = torch.tensor(weight, device=crew.device)
    if running is not None:
        running.combine(crew.world)
    means = combine(parameters, torch.stack([first, *sums.values()]), crew.world)
    return dict(zip(sums, means, strict=True))


def _batches(
    data: Data, settings: Settings, options: Optimisation, crew: Crew, steps: range
) -> Iterator[list[tuple[int, Batch]]]:
    """This worker's parts of each step, read while the step before is computed."""

    def read(step: int) -> list[tuple[int, Batch]]:
        chosen = order.picks(settings.seed, step, options.batch, len(data))
        mine = order.share(settings.parts, crew.rank, crew.world)
        return [(number, data.batch(order.part(chosen, number, settings.parts))) for number in mine]

    with ThreadPoolExecutor(1) as pool:
        waiting: list[Future[list[tuple[int, Batch]]]] = []
        for step in steps:
            waiting.append(pool.submit(read, step))
            if len(waiting) > 2:
                yield waiting.pop(0).result()
        for future in waiting:
            yield future.result()


def _evaluate(
    recipe: Recipe,
    model: "nn.Module",
    data: Data,
    settings: Settings,
    crew: Crew,
    progress: Progress,
    curves: folder.Curves | None,
    computing: "Callable[[], AbstractContextManager[Any]]",
) -> None:
    """Evaluate, each worker a share of the items; the first one scores and keeps the model if it is best."""
    import torch

    crew.show({"step": progress.step, "state": "evaluating"})
    torch.manual_seed(order.mixed(settings.seed, 4))
    model.eval()
    with torch.no_grad(), computing():
        results = recipe.evaluate(model, data, order.share(len(data), crew.rank, crew.world))
    model.train()
    gathered = _gathered(results, crew.world)
    if curves is None:
        return
    numbers = dict(recipe.score(gathered))
    if numbers:
        curves.add(progress.step, numbers, "evaluation")
    name = next((name for name in recipe.best if name.lstrip("-") in numbers), None)
    if name is None:  # nothing was held out
        return
    value = -numbers[name[1:]] if name.startswith("-") else numbers[name]
    if value > progress.best:
        progress.best, progress.best_step = value, progress.step
        told = {"step": progress.step, **numbers}
        folder.write_model(settings.out, "best", lambda place: recipe.save(model, place), told)


def _gathered(results: list[Any], world: int) -> list[Any]:
    if world == 1:
        return results
    from torch import distributed

    everyone: list[list[Any] | None] = [None] * world
    distributed.all_gather_object(everyone, results)
    return [result for part in everyone for result in part or ()]


def _save(
    recipe: Recipe,
    model: "nn.Module",
    optimiser: "torch.optim.Optimizer",
    settings: Settings,
    crew: Crew,
    progress: Progress,
    curves: folder.Curves | None,
) -> None:
    if curves is None:
        return
    crew.show({"step": progress.step, "state": "saving"})
    curves.flush()
    told = {"step": progress.step}
    folder.write_model(settings.out, "last", lambda place: recipe.save(model, place), told)
    state = {"optimiser": optimiser.state_dict(), "best": progress.best, "best_step": progress.best_step}
    checkpoints.write(settings.out, progress.step, checkpoints.model_tensors(model), state)


def _resume(out: str, model: "nn.Module", optimiser: "torch.optim.Optimizer") -> Progress:
    found = checkpoints.latest(out)
    if found is None:
        return Progress()
    checkpoints.fill(model, found.tensors)
    optimiser.load_state_dict(found.state["optimiser"])
    return replace(Progress(), step=found.step, best=found.state["best"], best_step=found.state["best_step"])


def _optimiser(model: "nn.Module", options: Optimisation) -> "torch.optim.Optimizer":
    """AdamW; vectors (biases, layer norms) don't decay."""
    import torch

    values = [value for value in model.parameters() if value.requires_grad]
    groups = [
        {"params": [value for value in values if value.ndim > 1], "weight_decay": options.weight_decay},
        {"params": [value for value in values if value.ndim <= 1], "weight_decay": 0.0},
    ]
    used = [group for group in groups if group["params"]]
    return torch.optim.AdamW(used, lr=options.learning_rate, betas=(0.9, options.beta2))


def _precision(name: str, device: str) -> "Callable[[], AbstractContextManager[Any]]":
    """What the forward pass runs in: 16-bit floats of the wide range, by default on GPUs that have them."""
    import torch

    if name == "bf16" or (name == "auto" and device != "cpu" and torch.cuda.is_bf16_supported()):
        return lambda: torch.autocast(torch.device(device).type, dtype=torch.bfloat16)
    return nullcontext
