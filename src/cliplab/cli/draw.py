"""`cliplab draw`: drawings of what texts say, as a grid or as a folder that is a data set."""

from __future__ import annotations

from pathlib import Path

from cliplab.cli import draw_options, options, show_drawn
from cliplab.runtime.shipped import NAME as QUICKDRAW


def draw(
    texts: draw_options.Texts,
    n: draw_options.Number = 16,
    out: draw_options.Out = Path("drawings.png"),
    scale: draw_options.Scale = None,
    prior: draw_options.Prior = QUICKDRAW,
    tokenizer: draw_options.Tokenizer = None,
    encoder: draw_options.Encoder = None,
    decoder: draw_options.Decoder = None,
    guidance: draw_options.Guidance = None,
    temperature: draw_options.Temperature = None,
    top_k: draw_options.TopK = None,
    top_p: draw_options.TopP = None,
    steps: draw_options.Steps = None,
    complete: draw_options.Complete = None,
    keep: draw_options.Keep = "top",
    to: draw_options.To = None,
    rerank: draw_options.Rerank = None,
    among: draw_options.Among = None,
    seed: draw_options.Seed = 0,
    memory: draw_options.Memory = None,
    device: options.Device = "auto",
    home: options.Home = None,
    json: options.Json = False,
) -> None:
    """Draw what texts say: `cliplab draw "a cat" -n 16 --out cats.png`.

    The model that comes with cliplab draws the things that it was trained on; asked for another, it
    names them, and the nearest. Several texts make several rows, or several folders.
    """
    given = dict(locals())  # options are named as the fields are
    from cliplab import drawing
    from cliplab.drawings import check_out

    config = options.filled(drawing.DrawConfig, given)
    check_out(out, scale)
    made = drawing.draw(texts, n, config)
    show_drawn.drawn(made, made.save(out, scale=scale), json=json)
