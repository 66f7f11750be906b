"""The local page in a real browser, over the real demo: python tests/page.py AFFECTD [FOLDER FOR SCREENSHOTS].

It looks as a stranger, a keyboard, a screen reader, a phone and an attacker would, and says what the page costs.
"""
import contextlib
import http.server
import os
import pathlib
import re
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect, sync_playwright

PATIENCE = 90_000
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync"]
CHROMIUM = next((path for path in ("/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome") if os.path.exists(path)), None)


@contextlib.contextmanager
def demo(program):
    """The demo; gives its process and the page's address."""
    process = subprocess.Popen([program, "demo", "--port", "0", "--page-port", "0"], stdout=subprocess.PIPE, text=True)
    try:
        for line in process.stdout:
            if found := re.search(r"page +(http://\S+)/$", line.rstrip()):
                break
        else:
            sys.exit("the demo did not say where its page is")
        threading.Thread(target=lambda: [None for _ in process.stdout], daemon=True).start()
        yield process, found[1]
    finally:
        process.terminate()
        process.wait(20)


def answer(address, path="/", **headers):
    request = urllib.request.Request(address + path, headers=headers, method=headers.pop("method", None))
    try:
        with urllib.request.urlopen(request, timeout=10) as got:
            return got.status
    except urllib.error.HTTPError as error:
        return error.code


def processor_seconds(process, thread):
    """Processor time of a thread of the process."""
    nanoseconds = 0
    for task in pathlib.Path(f"/proc/{process.pid}/task").iterdir():
        if (task / "comm").read_text().strip() == thread:
            nanoseconds += int((task / "schedstat").read_text().split()[0])
    return nanoseconds / 1e9


CONTRAST = """() => {
  const part = c => { c /= 255; return c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4; };
  const of = text => { const [r, g, b] = text.match(/[0-9.]+/g).map(Number); return 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b); };
  const ground = at => { for (; at; at = at.parentElement) { const c = getComputedStyle(at).backgroundColor; if (!/rgba\\(.*, 0\\)/.test(c)) return c; } return 'rgb(255,255,255)'; };
  return [...document.querySelectorAll('p,dt,dd,h1,h2,button,figcaption,td,th,footer,summary')].filter(e => e.textContent.trim() && e.checkVisibility()).map(e => {
    const [a, b] = [of(getComputedStyle(e).color), of(ground(e))].sort((x, y) => y - x);
    return [(a + 0.05) / (b + 0.05), e.id || e.tagName];
  }).sort((x, y) => x[0] - y[0])[0];
}"""


def look(page, said, address):
    """A stranger: is anything said, and is everything from here."""
    expect(page.locator("#latest")).to_contain_text("with numbers", timeout=PATIENCE)
    expect(page.locator("#latest")).to_contain_text("people at once")
    expect(page.locator("#kinds rect.numbers").first).to_be_visible()
    expect(page.locator("#mood rect").first).to_be_attached()
    expect(page.locator("#people circle").first).to_be_visible()
    expect(page.locator("#device")).to_contain_text("reached; ")
    expect(page.locator("#why")).to_contain_text("Suppressed", timeout=PATIENCE)
    expect(page.locator("#line")).to_contain_text("Streaming")
    assert not page.locator("#sight").is_visible(), "boxes without aiming"
    assert page.locator("#ground rect").count() == 0, "boxes without aiming"
    foreign = [url for url in said["requests"] if not url.startswith(address)]
    assert not foreign, f"asked elsewhere: {foreign}"
    text = page.content().lower()
    for word in ("happiness", "anger", "sadness", "surprise", "<img", "<canvas", "<video"):
        assert word not in text, f"{word} is on the page"


def judge(page, name):
    """A screen reader's rules, and the contrast of every text."""
    found = Axe().run(page).response["violations"]
    assert not found, f"{name}: {[(v['id'], v['nodes'][0]['html']) for v in found]}"
    ratio, where = page.evaluate(CONTRAST)
    assert ratio >= 4.5, f"{name}: contrast {ratio:.1f} at {where}"
    print(f"  {name}: no violation of axe-core's rules; least contrast {ratio:.1f}")


def aim(page):
    """By keyboard alone: to the button, on, boxes, off."""
    page.evaluate("document.activeElement.blur()")
    for _ in range(12):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == "aim":
            break
    assert page.evaluate("document.activeElement.id") == "aim", "the button is not reached by the Tab key"
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineWidth")
    assert outline != "0px", "the focus cannot be seen"
    page.keyboard.press("Enter")
    expect(page.locator("#aim")).to_have_attribute("aria-pressed", "true")
    expect(page.locator("#aim-left")).to_contain_text("10 more minutes")
    expect(page.locator("#ground rect.face").first).to_be_visible(timeout=PATIENCE)
    expect(page.locator("#sight-text")).to_contain_text("pixels wide")
    expect(page.locator("#light")).to_contain_text("of 255")
    expect(page.locator("#line")).to_contain_text("aims", timeout=PATIENCE)


def attack(browser, address):
    """Another page in the same browser, and another name for this device, change and read nothing."""
    assert answer(address, Host="evil.example") == 421
    assert answer(address, "/state", Host="evil.example:80") == 421
    assert answer(address, "/aiming/begin", method="POST") == 403
    evil = f"""<script>
      const a = {address!r};
      const tries = [
        () => fetch(a + '/aiming/begin', {{method: 'POST', mode: 'no-cors'}}),
        () => fetch(a + '/aiming/begin', {{method: 'POST', headers: {{'x-affectd': 'page'}}}}),
        () => fetch(a + '/state').then(r => r.text()).then(t => {{ window.read = t; }}),
      ];
      const form = () => {{ const f = document.createElement('form'); f.method = 'post'; f.action = a + '/aiming/begin'; f.target = 'frame'; document.body.append(f); f.submit(); }};
      addEventListener('load', async () => {{ for (const t of tries) await t().catch(() => 0); form(); window.tried = true; }});
      </script><iframe name=frame></iframe><iframe id=framed src={address}/></iframe>"""

    class Evil(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(evil.encode())

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Evil)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    page = browser.new_page()
    page.goto(f"http://127.0.0.1:{server.server_port}/")
    page.wait_for_function("window.tried", timeout=PATIENCE)
    page.wait_for_timeout(1000)
    assert page.evaluate("window.read") is None, "a foreign page reads the state"
    framed = page.frames[-1]
    assert "Published reports" not in framed.content(), "the page is shown inside a foreign one"
    page.close()
    server.shutdown()
    with urllib.request.urlopen(address + "/state", timeout=10) as state:
        assert b'"aiming":null' in state.read(), "a foreign page has begun to aim"
    print("  foreign pages and names: nothing read, nothing changed")


def main():
    program = sys.argv[1]
    folder = pathlib.Path(sys.argv[2]) if len(sys.argv) > 2 else None
    if CHROMIUM is None:
        sys.exit("chromium is missing: tests/setup-packages.sh page")
    shoot = (lambda page, name, **more: page.screenshot(path=folder / f"{name}.png", **more)) if folder else (lambda *_, **__: None)
    with demo(program) as (process, address), sync_playwright() as driver:
        size = sum(len(urllib.request.urlopen(address + path).read()) for path in ("/", "/page.css", "/page.js"))
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        page = browser.new_page(viewport={"width": 1280, "height": 900}, color_scheme="light")
        said = {"errors": [], "requests": []}
        page.on("console", lambda message: said["errors"].append(message.text) if message.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: said["errors"].append(str(error)))
        page.on("request", lambda request: said["requests"].append(request.url))
        page.goto(address)
        look(page, said, address)
        judge(page, "wide, light")
        shoot(page, "page", full_page=True)
        attack(browser, address)
        aim(page)
        judge(page, "aiming")
        page.evaluate("document.getElementById('h-aim').scrollIntoView()")
        shoot(page, "page-aiming")
        page.keyboard.press("Enter")
        expect(page.locator("#aim")).to_have_attribute("aria-pressed", "false")
        expect(page.locator("#sight")).to_be_hidden()
        phone = browser.new_page(viewport={"width": 390, "height": 844}, color_scheme="dark", has_touch=True, is_mobile=True)
        phone.goto(address)
        expect(phone.locator("#latest")).to_contain_text("Window", timeout=PATIENCE)
        phone.wait_for_timeout(500)
        width = phone.evaluate("document.scrollingElement.scrollWidth")
        assert width <= 390, f"a phone has to scroll sideways: {width} px"
        button = phone.locator("#aim").bounding_box()
        assert button["height"] >= 44, f"the button is too small for a finger: {button}"
        judge(phone, "phone, dark")
        shoot(phone, "page-phone", full_page=True)
        phone.close()
        before, began = processor_seconds(process, "status"), time.monotonic()
        time.sleep(20)
        seconds, cpu = time.monotonic() - began, processor_seconds(process, "status") - before
        assert not said["errors"], said["errors"]
        browser.close()
        print(f"  the page has {size} bytes; open, it takes {100 * cpu / seconds:.3f} % of one processor core")
    print("page: all passed")


if __name__ == "__main__":
    main()
