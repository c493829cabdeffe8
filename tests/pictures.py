"""The README's pictures, taken anew from this version: `python -m tests.pictures`."""

import csv

from playwright.sync_api import sync_playwright

from encoder.figures import training
from tests.browser import launch
from tests.server import ROOT, serve

PICTURES = {
    "side-by-side": ("/", 1280, 720, "light"),
    "attention": ("/attention-heads?layer=3&head=2", 1280, 1080, "dark"),
    "train": ("/train-live?train_view=weights&look_at=copying", 1280, 720, "light"),
}


def main() -> None:
    with serve() as server, sync_playwright() as playwright:
        browser = launch(playwright)
        for name, (path, width, height, theme) in PICTURES.items():
            page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=theme)  # type: ignore[arg-type]
            # The first readings find the libraries cold, and would show it in their milliseconds.
            for address in ("/?text=A+warm-up.", "/?text=A+second+one.", path):
                page.goto(server.url + address)
                page.wait_for_selector(".st-key-ready")
                page.wait_for_function("!document.querySelector('[data-testid^=stSkeleton]')")
            if name == "train":
                page.get_by_role("button", name="Start", exact=True).click()
                page.get_by_role("button", name="Use on the left").wait_for(timeout=300_000)
            page.wait_for_timeout(1000)  # for charts to fade in, and the explorer to draw
            page.screenshot(path=ROOT / "assets" / "pictures" / f"{name}.png")
            page.close()
        page = browser.new_page(viewport={"width": 800, "height": 330})
        figure = training.accuracy(_curve(), {}, {}).update_layout(template="plotly_white")
        page.set_content(figure.to_html(include_plotlyjs=True))
        page.locator(".plot-container").screenshot(path=ROOT / "assets" / "pictures" / "curve.png")
        browser.close()


def _curve() -> dict[str, training.Points]:
    """How the shipped encoder's guesses became better: held-out text → steps, accuracy."""
    curves: dict[str, tuple[list[float], list[float]]] = {}
    with (ROOT / "assets" / "scratch" / "curve.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            steps, values = curves.setdefault(row["text"], ([], []))
            steps.append(float(row["step"]))
            values.append(float(row["accuracy"]))
    return dict(curves)


if __name__ == "__main__":
    main()
