"""The files for clusters say what Ray and this project understand."""

import json
from pathlib import Path

import pytest
import yaml

from asr.settings import read_settings
from pipelines.live_graph.config import GraphConfig

CONFIGS = Path(__file__).parent.parent.parent / "configs"


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::FutureWarning:ray.*", "ignore::DeprecationWarning")
def test_the_cluster_file_is_one_that_ray_up_accepts() -> None:
    from ray.autoscaler._private.util import prepare_config, validate_config

    given = yaml.safe_load((CONFIGS / "cluster.yaml").read_text())
    validate_config(prepare_config(given))
    assert given["provider"]["head_ip"].isupper()


def test_the_resource_that_the_live_graph_asks_for_is_what_the_workers_of_both_clusters_offer() -> None:
    graph = read_settings(GraphConfig, CONFIGS / "live_graph.yaml", [])
    [asked] = graph.recognizers.resources
    pods = yaml.safe_load((CONFIGS / "kuberay.yaml").read_text())
    assert pods["kind"] == "RayCluster"
    [group] = pods["spec"]["workerGroupSpecs"]
    assert asked in json.loads(json.loads(group["rayStartParams"]["resources"]))
    [_, start] = yaml.safe_load((CONFIGS / "cluster.yaml").read_text())["worker_start_ray_commands"]
    assert f'"{asked}": 1' in start
