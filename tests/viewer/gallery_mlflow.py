"""Take the picture of MLflow for the docs: ``make gallery``.

The tour logs data, a follower pushes it to a real server, and the picture is the page
of a run, with its results folded.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS), str(TESTS / "follow")]

from test_mlflow import Server, There  # noqa: E402
from viewer import EXAMPLES, Viewer, chromium  # noqa: E402

from annarchy_tb.follow import follow  # noqa: E402

IMAGES = TESTS.parent / "docs" / "images"


def main() -> None:
    """Take it."""
    with tempfile.TemporaryDirectory() as folder, chromium() as browser:
        logdir = Path(folder, "runs")
        tour = [sys.executable, EXAMPLES / "tour.py", "--logdir", str(logdir)]
        subprocess.run(tour, check=True, stdout=subprocess.DEVNULL)
        server = Server(Path(folder))
        server.start()
        try:
            follow(logdir, f"mlflow:{server.url}")
            run = There(server.url, logdir).runs()[0].info
            viewer = Viewer(browser, server.url, 1440, 1100)
            page = viewer.page
            where = f"experiments/{run.experiment_id}/runs/{run.run_id}/model-metrics"
            page.goto(server.url)
            page.get_by_text("Model training").first.click()
            page.goto(f"{server.url}/#/{where}")
            page.get_by_label("Close").first.click()  # the panel of an assistant
            page.get_by_text("Final", exact=True).click()  # results, as bars
            page.get_by_role("slider").nth(2).wait_for()
            for slider in page.get_by_role("slider").all()[:3]:
                for _ in range(8):  # from step to step with a picture
                    slider.press("ArrowRight")
                    page.wait_for_timeout(500)
            page.wait_for_timeout(8000)  # for charts and pictures
            page.screenshot(path=IMAGES / "mlflow.png", animations="disabled")
            print("docs/images/mlflow.png")
            viewer.close()
        finally:
            server.kill()


if __name__ == "__main__":
    main()
