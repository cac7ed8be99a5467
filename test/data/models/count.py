"""Counts parameters and matrix FLOPs of the configs in `counted/` by instantiating the classes of Hugging Face
transformers 5.18 without memory (PyTorch 2.13, device "meta") and writes counted-parameters.csv and counted-flops.csv.

    python -m venv venv && venv/bin/pip install torch transformers==5.18.0 && venv/bin/python test/data/models/count.py

FLOPs are two per multiply-add, of matrix products with eager attention: one sequence of 512 and one of 1024 tokens, one
image where the model takes no tokens. Where the class cannot run without numbers (experts chosen by value) there are none,
but for files of small sizes (`…-small.json`), which are run.
"""

import csv
import json
import pathlib
import warnings

import torch
import transformers
from torch.utils.flop_counter import FlopCounterMode
from transformers import CONFIG_MAPPING

warnings.filterwarnings("ignore")
transformers.logging.set_verbosity_error()
here = pathlib.Path(__file__).parent


def build(config, device):
    (name,) = config["architectures"]
    values = {key: value for key, value in config.items() if key != "model_type"}
    settings = CONFIG_MAPPING[config["model_type"]].from_dict(values)
    for part in [settings, getattr(settings, "text_config", None)]:
        if part is not None:
            part._attn_implementation = "eager"
            part.use_cache = device == "meta"
            part._experts_implementation = "batched_mm" if device == "meta" else "eager"
    with torch.device(device):
        model = getattr(transformers, name)(settings)
    model.tie_weights()
    return name, settings, model.eval()


def inputs(settings, model, length):
    with torch.device(model.device):
        ids = torch.arange(length).remainder(97).unsqueeze(0)
        if model.main_input_name == "pixel_values":
            vision = getattr(settings, "vision_config", settings)
            side = vision.image_size if isinstance(vision.image_size, int) else vision.image_size[0]
            return {"pixel_values": torch.zeros(1, vision.num_channels, side, side)}
        return {"input_ids": ids, **({"decoder_input_ids": ids} if settings.is_encoder_decoder else {})}


def flops(settings, model, length):
    counter = FlopCounterMode(display=False)
    try:
        with torch.no_grad(), counter:
            model(**inputs(settings, model, length))
    except Exception as error:
        print(f"  no FLOPs: {type(error).__name__}: {str(error)[:120]}")
        return None
    return counter.get_total_flops()


parameters, products = [], []
for path in sorted((here / "counted").glob("*.json")):
    config = json.loads(path.read_text())
    name, settings, model = build(config, "cpu" if path.stem.endswith("-small") else "meta")
    total = sum(parameter.numel() for parameter in model.parameters())
    print(path.name, name, total)
    parameters.append([path.name, config["model_type"], name, total])
    lengths = [512] if model.main_input_name == "pixel_values" else [512, 1024]
    for length in lengths:
        counted = flops(settings, model, length)
        if counted is not None:
            products.append([path.name, name, length, "prefill", counted])

for file, header, rows in [
    ("counted-parameters.csv", ["file", "model_type", "class", "total"], parameters),
    ("counted-flops.csv", ["file", "class", "n", "phase", "flops_total"], products),
]:
    with open(here / file, "w", newline="") as out:
        csv.writer(out, lineterminator="\n").writerows([header, *rows])
