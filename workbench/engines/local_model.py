"""A causal language model in this process: exact scores of given answers, greedy writing.

Prompts of a batch that begin alike share the work for their beginning. All labels of a
prompt are scored in one pass over its cached keys and values: they lie side by side in
one sequence, and a mask lets each see the prompt and itself alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.engines.weights import quiet_transformers
from workbench.errors import ConfigError

if TYPE_CHECKING:
    import torch

SHARED_TOKENS = 16
"""Beginnings shorter than this are not worth sharing."""
KEPT_SHARE = 0.75
"""A kept beginning is used again if it covers this much of what the batch shares."""
LOGIT_BYTES = 128 * 1024**2
"""Scores of all words at all places of one pass take at most this much memory."""
MASKED = "full_attention"


@dataclass(frozen=True, slots=True)
class Written:
    """What the model wrote: tokens without the end, their log-probabilities, whether it ended itself.

    `tops` are the likeliest tokens at each place with their log-probabilities, where asked for.
    """

    ids: list[int]
    logprobs: list[float]
    ended: bool
    tops: list[dict[int, float]]


@dataclass(slots=True)
class _Read:
    """Prompts that were read: their keys and values, which places count, and what comes next."""

    cache: Any
    mask: torch.Tensor
    lengths: torch.Tensor
    next_logits: torch.Tensor


class LocalModel:
    """Load a model from a folder of safetensors.

    Args:
        folder: What `find_weights` returned.
        dtype: bfloat16, float32, float16, or None for the fastest exact enough here.

    Raises:
        ConfigError: The dtype is unknown, the model has no chat template or can't be loaded.
    """

    def __init__(self, folder: Path, dtype: str | None = None) -> None:
        transformers = quiet_transformers()
        import torch

        self._torch = torch
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        self.dtype = dtype or best_dtype()
        if self.dtype not in ("bfloat16", "float32", "float16"):
            raise ConfigError(f"Unknown dtype {dtype!r}.", "Use bfloat16, float32 or float16.")
        try:
            self.tokenizer = transformers.AutoTokenizer.from_pretrained(
                folder, local_files_only=True, trust_remote_code=False
            )
            if not getattr(self.tokenizer, "chat_template", None):
                raise ConfigError(f"{folder} has no chat template.", "Use an instruction-tuned model.")
            self._model = transformers.AutoModelForCausalLM.from_pretrained(
                folder,
                dtype=getattr(torch, self.dtype),
                local_files_only=True,
                trust_remote_code=False,
                use_safetensors=True,
                attn_implementation="sdpa",
            ).to(self.device)
        except (ConfigError, MemoryError):
            raise
        except Exception as error:
            # Each kind of model fails in its own way; all mean that the folder is no whole model.
            why = next(iter(str(error).splitlines()), "") or type(error).__name__
            raise ConfigError(
                f"{folder} can't be loaded as a model: {why}",
                "Copy the folder again, complete; transformers must know this kind of model by itself.",
            ) from error
        self._model.eval()
        self._new_cache = transformers.DynamicCache
        config = self._model.config.get_text_config()
        self.context = int(getattr(config, "max_position_embeddings", 0) or 2048)
        self.vocabulary = int(config.vocab_size)
        self.ends = self._end_tokens()
        kinds = set(getattr(config, "layer_types", None) or [MASKED])
        window = getattr(config, "sliding_window", None)
        self.packs_labels = kinds == {MASKED} and (not window or window >= self.context)
        self._shared_ids: list[int] = []
        self._shared_layers: list[tuple[torch.Tensor, torch.Tensor]] = []

    def _end_tokens(self) -> list[int]:
        raw = self._model.generation_config.eos_token_id
        found = [raw] if isinstance(raw, int) else list(raw or [])
        own = self.tokenizer.eos_token_id
        return list(dict.fromkeys([*found, *([own] if own is not None else [])]))

    def read(self, prompts: Sequence[list[int]]) -> _Read:
        """Read prompts, sharing what they have in common at the start."""
        torch = self._torch
        shared = self._share(prompts)
        rows = [each[shared:] for each in prompts]
        width = max(len(row) for row in rows)
        ids = torch.tensor([[0] * (width - len(row)) + row for row in rows], device=self.device)
        places = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows], device=self.device)
        cache = self._new_cache()
        for index, (keys, values) in enumerate(self._shared_layers if shared else []):
            cache.update(keys.expand(len(rows), -1, -1, -1), values.expand(len(rows), -1, -1, -1), index)
        ones = torch.ones((len(rows), shared), dtype=places.dtype, device=self.device)
        mask = torch.cat([ones, places], dim=1)
        output = self._model(
            input_ids=ids,
            attention_mask=mask,
            position_ids=(mask.cumsum(1) - 1).clamp(min=0)[:, shared:],
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        )
        return _Read(cache, mask, mask.sum(1), output.logits[:, -1].float())

    def _share(self, prompts: Sequence[list[int]]) -> int:
        """Have the keys and values of a common beginning at hand; return its length, 0 for none."""
        common = _common_length(prompts)
        kept = len(self._shared_ids)
        fits = SHARED_TOKENS <= kept <= common and prompts[0][:kept] == self._shared_ids
        if fits and (len(prompts) == 1 or kept >= KEPT_SHARE * common):
            return kept
        if len(prompts) == 1 or common < SHARED_TOKENS:
            return 0
        torch = self._torch
        cache = self._new_cache()
        ids = torch.tensor([prompts[0][:common]], device=self.device)
        self._model(input_ids=ids, past_key_values=cache, use_cache=True, logits_to_keep=1)
        self._shared_ids = prompts[0][:common]
        self._shared_layers = [(layer.keys, layer.values) for layer in cache.layers]
        return common

    def score(self, prompts: Sequence[list[int]], answers: Sequence[list[int]]) -> list[list[float]]:
        """Return the log-probability of each answer after each prompt, its end included.

        Args:
            prompts: Token ids, each at least one.
            answers: Token ids of the answers, without an end token.

        Returns:
            One row a prompt, one number an answer: the sum over the answer's tokens and
            over the end, any of the model's end tokens.
        """
        with self._torch.inference_mode():
            if not self.packs_labels:
                return [self._score_one_by_one(prompt, answers) for prompt in prompts]
            return self._score_packed(prompts, answers)

    def _score_packed(self, prompts: Sequence[list[int]], answers: Sequence[list[int]]) -> list[list[float]]:
        torch = self._torch
        read = self.read(prompts)
        first = torch.log_softmax(read.next_logits, dim=-1)
        most = max(LOGIT_BYTES // (4 * self.vocabulary * len(prompts)), max(map(len, answers)))
        columns = []
        for chunk in _chunks(answers, most):
            ids = [token for answer in chunk for token in answer]
            owner = torch.tensor([i for i, answer in enumerate(chunk) for _ in answer], device=self.device)
            place = torch.tensor([j for answer in chunk for j in range(len(answer))], device=self.device)
            own = (owner[:, None] == owner[None, :]) & (place[:, None] >= place[None, :])
            seen = torch.cat(
                [
                    read.mask.bool()[:, None, :].expand(-1, len(ids), -1),
                    own[None].expand(len(prompts), -1, -1),
                ],
                dim=2,
            )
            kind = getattr(torch, self.dtype)
            bias = torch.zeros(seen.shape, dtype=kind, device=self.device)
            bias = bias.masked_fill(~seen, torch.finfo(kind).min)[:, None]
            output = self._model(
                input_ids=torch.tensor([ids], device=self.device).expand(len(prompts), -1),
                attention_mask=bias,
                position_ids=read.lengths[:, None] + place[None, :],
                past_key_values=read.cache,
                use_cache=True,
            )
            after = torch.log_softmax(output.logits.float(), dim=-1)
            read.cache.crop(-len(ids))
            start = 0
            for answer in chunk:
                total = first[:, answer[0]]
                for index, token in enumerate(answer[1:]):
                    total = total + after[:, start + index, token]
                end = after[:, start + len(answer) - 1, self.ends]
                columns.append(total + torch.logsumexp(end, dim=-1))
                start += len(answer)
        scores: list[list[float]] = torch.stack(columns, dim=1).tolist()
        return scores

    def _score_one_by_one(self, prompt: list[int], answers: Sequence[list[int]]) -> list[float]:
        """Score without a cache: for models whose attention a mask alone does not describe."""
        torch = self._torch
        scores = []
        for answer in answers:
            ids = torch.tensor([prompt + answer], device=self.device)
            logits = self._model(input_ids=ids, use_cache=False, logits_to_keep=len(answer) + 1).logits[0]
            logprobs = torch.log_softmax(logits.float(), dim=-1)
            total = sum(float(logprobs[index, token]) for index, token in enumerate(answer))
            scores.append(total + float(torch.logsumexp(logprobs[-1, self.ends], dim=-1)))
        return scores

    def write(
        self,
        prompts: Sequence[list[int]],
        limits: Sequence[int],
        temperatures: Sequence[float] | None = None,
        tops: int = 0,
    ) -> list[Written]:
        """Write token after token, each prompt up to its limit.

        Args:
            prompts: Token ids, each at least one.
            limits: Most tokens of each answer.
            temperatures: Of each prompt; 0 writes the likeliest token. None: all 0.
            tops: How many of the likeliest tokens are kept at each place.

        Returns:
            What was written. Log-probabilities are the model's own, without the temperature.
        """
        torch = self._torch
        heat = torch.tensor(temperatures or [0.0] * len(prompts), device=self.device)[:, None]
        with torch.inference_mode():
            read = self.read(prompts)
            tokens: list[list[int]] = [[] for _ in prompts]
            logprobs: list[list[float]] = [[] for _ in prompts]
            likeliest: list[list[dict[int, float]]] = [[] for _ in prompts]
            ended = [False] * len(prompts)
            logits, mask = read.next_logits, read.mask
            for step in range(max(limits)):
                chances = torch.log_softmax(logits, dim=-1)
                chosen = self._choose(chances, heat)
                values = chances.gather(1, chosen[:, None])[:, 0]
                top = chances.topk(tops, dim=-1) if tops else None
                for row, (token, logprob) in enumerate(zip(chosen.tolist(), values.tolist(), strict=True)):
                    if ended[row] or len(tokens[row]) >= limits[row]:
                        continue
                    logprobs[row].append(logprob)
                    if top is not None:
                        pairs = zip(top.indices[row].tolist(), top.values[row].tolist(), strict=True)
                        likeliest[row].append(dict(pairs))
                    if token in self.ends:
                        ended[row] = True
                    else:
                        tokens[row].append(token)
                if all(ended[row] or len(tokens[row]) >= limits[row] for row in range(len(prompts))):
                    break
                mask = torch.cat([mask, mask.new_ones((len(prompts), 1))], dim=1)
                output = self._model(
                    input_ids=chosen[:, None],
                    attention_mask=mask,
                    position_ids=(read.lengths + step)[:, None],
                    past_key_values=read.cache,
                    use_cache=True,
                )
                logits = output.logits[:, -1].float()
        return [Written(*parts) for parts in zip(tokens, logprobs, ended, likeliest, strict=True)]

    def _choose(self, chances: torch.Tensor, heat: torch.Tensor) -> torch.Tensor:
        """Return one token a row: the likeliest, or one drawn where the row has a temperature."""
        scores = chances
        if bool((heat > 0).any()):
            # The largest of noisy scores is a draw from the softmax (Gumbel 1954).
            noise = -self._torch.empty_like(chances).exponential_().log()
            noisy = chances / heat.clamp(min=1e-6) + noise
            scores = self._torch.where(heat > 0, noisy, chances)
        return scores.argmax(dim=-1)


def best_dtype() -> str:
    """Return bfloat16 where the processor computes in it, else float32."""
    import torch

    if torch.cuda.is_available():
        return "bfloat16" if torch.cuda.is_bf16_supported() else "float16"
    checks = (
        getattr(torch.cpu, name, None) for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    )
    return "bfloat16" if any(check() for check in checks if check) else "float32"


def _common_length(prompts: Sequence[list[int]]) -> int:
    """Return how many tokens all prompts begin with, leaving each at least one of its own."""
    low, high = min(prompts), max(prompts)
    most = min(len(prompt) for prompt in prompts) - 1
    return next((index for index in range(most) if low[index] != high[index]), most)


def _chunks(answers: Sequence[list[int]], most: int) -> list[list[list[int]]]:
    chunks: list[list[list[int]]] = []
    size = 0
    for answer in answers:
        if not chunks or size + len(answer) > most:
            chunks.append([])
            size = 0
        chunks[-1].append(answer)
        size += len(answer)
    return chunks
