"""The report as a reader has it before them: Chromium, a keyboard, a phone."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from commands import run_cli
from serving import wait_for as wait_long

webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
Keys = pytest.importorskip("selenium.webdriver.common.keys").Keys
By = pytest.importorskip("selenium.webdriver.common.by").By

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(
    not (CHROMIUM and DRIVER), reason="Chromium and its driver are not installed"
)
VENDOR = Path(__file__).parents[1] / "vendor"
VIEWS = (
    "overview", "findings/missing_slices", "series", "series/1", "patients", "patients/4",
    "tags/1/KVP", "distributions", "nowhere",
)  # fmt: skip
Show = Callable[..., None]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for word in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(word)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    yield driver
    driver.quit()


@pytest.fixture
def show(browser: Any, reported: Path) -> Iterator[Show]:
    """Shows a view of the report; afterwards nothing may have been told by the browser."""
    page = (reported / "report" / "index.html").as_uri()

    def show(view: str, width: int = 1280, scheme: str = "light", address: str = page) -> None:
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        browser.get("about:blank")
        browser.get(f"{address}#{view}")

    yield show
    assert browser.get_log("browser") == []


def _texts(browser: Any, selector: str) -> list[str]:
    return [found.text for found in browser.find_elements(By.CSS_SELECTOR, selector)]


def _shown(browser: Any, selector: str) -> list[Any]:
    found = browser.find_elements(By.CSS_SELECTOR, selector)
    return [element for element in found if element.is_displayed()]


def wait_for(what: Callable[[], Any]) -> Any:
    """What there is once the page has answered, which it does after the event."""
    return wait_long(what, seconds=20)


def _type(browser: Any, *keys: str) -> None:
    webdriver.ActionChains(browser).send_keys(*keys).perform()


def test_search_finds_a_tag_by_keyboard_alone(browser: Any, show: Show) -> None:
    show("overview")
    _type(browser, "/", "0018,0060")
    wait_for(lambda: _texts(browser, "#hits li[aria-selected=true] .name") == ["KVP"])
    _type(browser, Keys.ARROW_DOWN, Keys.ARROW_UP, Keys.ENTER)
    wait_for(lambda: browser.current_url.split("#")[1].endswith("/KVP"))
    (opened,) = wait_for(lambda: browser.find_elements(By.CSS_SELECTOR, "details.tag[open]"))
    assert "VR DS" in opened.text and "type 2" in opened.text
    assert opened.find_element(By.CSS_SELECTOR, "a[href*=innolitics]").is_displayed()


def test_findings_are_filtered_and_say_what_to_do(browser: Any, show: Show) -> None:
    show("findings")
    every = len(_shown(browser, "details.card"))
    (box,) = browser.find_elements(By.CSS_SELECTOR, ".filters input")
    box.send_keys("multiple of the spacing")
    wait_for(lambda: len(_shown(browser, "details.card")) == 1 < every)
    (card,) = _shown(browser, "details.card")
    card.find_element(By.CSS_SELECTOR, "summary").click()
    wait_for(lambda: "Fetch the missing slices" in card.text)
    assert not card.find_element(By.CSS_SELECTOR, ".paths").is_displayed()
    card.find_element(By.CSS_SELECTOR, ".fold summary").click()
    wait_for(lambda: ".dcm" in card.find_element(By.CSS_SELECTOR, ".paths").text)


def test_series_are_sorted_and_lead_to_their_gap(browser: Any, show: Show) -> None:
    show("series")
    (header,) = (
        found for found in browser.find_elements(By.CSS_SELECTOR, "thead th")
        if found.text.startswith("missing")
    )  # fmt: skip
    button = header.find_element(By.CSS_SELECTOR, "[role=button]")
    for order in ("ascending", "descending"):
        button.send_keys(Keys.ENTER)
        wait_for(lambda order=order: header.get_attribute("aria-sort") == order)
    first = browser.find_element(By.CSS_SELECTOR, "tbody tr")
    assert first.find_elements(By.CSS_SELECTOR, ".positions .gap")
    first.find_element(By.CSS_SELECTOR, "a").click()
    wait_for(lambda: browser.current_url.split("#")[1].startswith("series/"))
    figure = wait_for(lambda: browser.find_elements(By.CSS_SELECTOR, "main figure"))[0]
    assert "1 slice missing in 1 gap" in figure.text


def test_patient_is_opened_and_back_leads_to_the_list(browser: Any, show: Show) -> None:
    show("patients")
    browser.find_element(By.PARTIAL_LINK_TEXT, "PLANTED-ID-7").click()
    wait_for(lambda: _texts(browser, "h1") == ["PLANTED-ID-7"])
    main = browser.find_element(By.ID, "main").text
    assert "Planted Clinic" in main and "General equipment" in main
    assert "InstanceNumber" in main  # what varies by image
    browser.back()
    wait_for(lambda: _texts(browser, "h1") == ["Patients"])


@pytest.mark.parametrize("view", ["tags/1/SliceLocation", "tags/SliceLocation"])
def test_deep_link_opens_what_it_names(browser: Any, show: Show, view: str) -> None:
    show(view)
    (opened,) = wait_for(lambda: browser.find_elements(By.CSS_SELECTOR, "details.tag[open]"))
    assert "left out" not in opened.text
    top = browser.execute_script("return arguments[0].getBoundingClientRect().top", opened)
    assert 0 < top < 400
    assert len(opened.find_elements(By.CSS_SELECTOR, ".histogram rect")) > 10


def test_charts_count_what_they_show(browser: Any, show: Show) -> None:
    show("distributions")
    panels = {
        panel.find_element(By.CSS_SELECTOR, "h2").text: panel
        for panel in browser.find_elements(By.CSS_SELECTOR, ".panel")
    }
    series = int(browser.find_element(By.CSS_SELECTOR, "main .quiet").text.split()[0])
    counts = _texts(panels["One volume"], ".bars .number")
    assert sum(map(int, counts)) == series
    widths = browser.execute_script(
        "return [...document.querySelectorAll('.bars')].map(bars => Math.max(..."
        "[...bars.querySelectorAll('.length')].map(one => one.style.getPropertyValue('--share'))))"
    )
    assert widths and set(widths) == {1}  # the longest bar of each chart is full
    assert len(panels["Scanners by month"].find_elements(By.CSS_SELECTOR, "tbody tr")) >= 1


def test_header_of_a_table_stays_in_sight(browser: Any, show: Show) -> None:
    show("series", width=900)
    browser.execute_script("document.body.style.paddingBottom = '2000px'; scrollTo(0, 250)")
    places = browser.execute_script(
        "const box = (one) => document.querySelector(one).getBoundingClientRect();"
        "return [box('.bar').top, box('.bar').bottom, box('thead th').top, box('tbody tr').top]"
    )
    bar_top, bar_bottom, header, row = places
    assert bar_top == 0 and abs(header - bar_bottom) <= 2 and row < header


@pytest.mark.parametrize("width", [360, 2560])
def test_nothing_scrolls_sideways(browser: Any, show: Show, width: int) -> None:
    for view in VIEWS:
        show(view, width)
        wide, seen = browser.execute_script(
            "const root = document.documentElement; return [root.scrollWidth, root.clientWidth]"
        )
        assert wide == seen <= width, view
        narrowest = browser.execute_script(
            "return Math.min(...[...document.querySelectorAll('main td, main dd')]"
            ".filter(one => one.textContent.length > 20 && one.offsetWidth)"
            ".map(one => one.offsetWidth), 999)"
        )
        assert narrowest > 80, view


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(browser: Any, show: Show, scheme: str) -> None:
    axe = (VENDOR / "axe.min.js").read_text()
    for view, width in [*((view, 1280) for view in VIEWS), ("series", 360), ("tags/1/KVP", 360)]:
        show(view, width, scheme)
        # As an extension has it: the page's own policy lets no script in that it does not know.
        browser.execute_script(axe)
        found = browser.execute_async_script(
            "const done = arguments[0];"
            "axe.run({resultTypes: ['violations']}).then(result => done(result.violations))"
        )
        told = [(one["id"], [node["html"][:120] for node in one["nodes"][:3]]) for one in found]
        assert told == [], view


def test_text_from_files_stays_text(browser: Any, show: Show) -> None:
    for view in (
        "patients",
        "series",
        "patients/3",
        "tags/2/PatientName",
        "tags/2/StudyDescription",
    ):
        show(view)
        page = browser.find_element(By.ID, "main")
        assert page.find_elements(By.CSS_SELECTOR, "img, script") == [], view
    assert "\\u202egpj\\u200b\N{IDEOGRAPHIC SPACE}" in page.text  # escaped, as a screen obeys them
    show("patients")
    assert "<script>alert(1)</script>" in browser.find_element(By.ID, "main").text


def test_policy_keeps_strange_scripts_out(browser: Any, show: Show) -> None:
    show("overview")
    ran = browser.execute_script(
        "const script = document.createElement('script'); script.textContent = 'window.ran = 1';"
        "document.body.append(script); return window.ran"
    )
    assert ran is None
    assert "Content Security Policy" in browser.get_log("browser")[0]["message"]


def test_print_shows_every_row(browser: Any, show: Show, reported: Path, tmp_path: Path) -> None:
    text = (reported / "report" / "index.html").read_text()
    begin = text.index('id="data-series">') + len('id="data-series">')
    end = text.index("</script>", begin)
    section = json.loads(text[begin:end])
    section["rows"] *= 20
    data = json.dumps(section).replace("<", "\\u003c")
    page = tmp_path / "page.html"
    page.write_text(text[:begin] + data + text[end:])
    show("series", address=page.as_uri())
    rows = "return document.querySelectorAll('tbody tr').length"
    assert browser.execute_script(rows) == 50
    browser.execute_script("dispatchEvent(new Event('beforeprint'))")
    assert browser.execute_script(rows) == len(section["rows"]) > 50
    paper = {"width": 718, "height": 1000, "deviceScaleFactor": 1, "mobile": False}  # A4
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", paper)
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    assert not browser.find_element(By.CSS_SELECTOR, ".bar").is_displayed()
    assert browser.execute_script("return document.documentElement.scrollWidth") <= 718
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})


def test_page_without_values_shows_all_views(
    browser: Any, show: Show, reported: Path, tmp_path: Path
) -> None:
    page = tmp_path / "page.html"
    words = ("--warehouse", str(reported), "--no-values", "--output", str(page))
    assert run_cli("report", *words).stdout == f"{page}\n"
    for view in VIEWS[:-1]:
        show(view, address=page.as_uri())
        assert _texts(browser, "h1") != ["Not here"]
        assert "undefined" not in browser.find_element(By.ID, "main").text
