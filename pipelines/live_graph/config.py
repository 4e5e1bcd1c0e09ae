"""All settings of the live graph. `asr live --ray --graph FILE` reads differences from these defaults. No Ray here."""

from dataclasses import dataclass, field

from asr.audio.reader import SAMPLE_RATE
from asr.errors import ConfigError

CHUNK = 5120  # samples that travel together, 320 ms: two blocks of the speech detector


@dataclass(frozen=True)
class ActorConfig:
    """One kind of actor: how many, and what each asks of the cluster."""

    least: int = 1
    most: int = 1  # more are hired while steps wait, and let go when they do not
    cpus: float = 1.0
    gpus: float = 0.0  # a share below 1 lets several actors use one GPU
    resources: dict[str, float] = field(default_factory=dict)  # such as {"recognizer_node": 0.1}: places them

    def __post_init__(self) -> None:
        if not 1 <= self.least <= self.most:
            raise ConfigError("graph", f"expected 1 <= least <= most, got {self.least} and {self.most}")


@dataclass(frozen=True)
class BatchConfig:
    """Steps of many streams that one actor takes together."""

    most: int = 32
    wait_s: float = 0.005  # the first step of a batch waits so long for company, if there was company lately
    queued: int = 256  # steps that may wait in an actor; those beyond wait at their callers


@dataclass(frozen=True)
class GraphConfig:
    """The live graph. Every queue in it is bounded by one of these numbers."""

    features: ActorConfig = field(default_factory=ActorConfig)
    recognizers: ActorConfig = field(default_factory=lambda: ActorConfig(most=2))
    batch: BatchConfig = field(default_factory=BatchConfig)
    depth: int = 4  # chunks of one stream under way before the first is acknowledged
    queued_s: float = 30.0  # of captured sound that may wait: then a file or socket waits, a microphone drops
    checkpoint: int = 16  # chunks after which a stream's state is fetched, so that no more need be done again
    snapshot_s: float = 10.0  # of sound after which the state goes to disk
    patience_s: float = 60.0  # for a step; then its actor is thought lost and the stream goes on with another
    retries: int = 20  # of one step whose actor dies, by Ray
    replays: int = 8  # of a stream that got no further, worker after worker lost: then it ends with an error

    def __post_init__(self) -> None:
        for name in ("depth", "checkpoint", "retries", "replays"):
            if getattr(self, name) < 1:
                raise ConfigError(f"graph: {name}", f"expected 1 or more, got {getattr(self, name)}")
        if self.queued_s * SAMPLE_RATE < 2 * CHUNK:
            raise ConfigError("graph: queued_s", f"expected at least {2 * CHUNK / SAMPLE_RATE} s, got {self.queued_s}")


@dataclass(frozen=True)
class ModelChoice:
    """Which model, and how it runs: the options of the command line."""

    model: str
    device: str = "auto"
    precision: str = "auto"
    decoding: str = "auto"
    delay_ms: float = 960.0
    partials: str = "auto"
    hotwords: tuple[str, ...] = ()  # PHRASE or PHRASE=BOOST
