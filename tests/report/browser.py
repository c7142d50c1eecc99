#!/usr/bin/python3 -B
"""Opens a report in headless Chromium, uses it, and fails if anything is wrong with it.

usage: browser.py CHROMIUM PAGE DIRECTORY

Screenshots go to DIRECTORY. Chromium is told what to do through a pair of pipes,
in the DevTools protocol: messages in JSON, each with a NUL behind it.
"""

import base64
import json
import os
import subprocess
import sys
import tempfile

WIDE, NARROW = (1280, 900), (390, 844)
PATIENCE = 60


class Browser:
    """A Chromium, and a page in it."""

    def __init__(self, program, home):
        from_us, to_us = os.pipe(), os.pipe()
        os.set_inheritable(from_us[0], True)
        os.set_inheritable(to_us[1], True)
        # Debugging pipes are descriptors 3 and 4, whatever they were here.
        words = ["sh", "-c", 'exec "$0" "$@" 3<&%d 4>&%d' % (from_us[0], to_us[1])]
        words += [program, "--headless=new", "--remote-debugging-pipe", "--no-first-run"]
        words += ["--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"]
        words += ["--user-data-dir=" + home, "about:blank"]
        if os.geteuid() == 0:
            words.insert(4, "--no-sandbox")
        self.log = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            words,
            pass_fds=(from_us[0], to_us[1]),
            stdin=subprocess.DEVNULL,
            stdout=self.log,
            stderr=self.log,
        )
        os.close(from_us[0])
        os.close(to_us[1])
        self.write, self.read = from_us[1], to_us[0]
        self.pending, self.number, self.session = b"", 0, None
        self.events = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self.session = attached["sessionId"]
        for domain in ("Runtime", "Log", "Page", "Network"):
            self.call(domain + ".enable")

    def message(self):
        """The next message."""
        while b"\0" not in self.pending:
            piece = os.read(self.read, 1 << 20)
            if not piece:
                self.log.seek(0)
                sys.exit("chromium ended: " + self.log.read().decode()[-2000:])
            self.pending += piece
        text, self.pending = self.pending.split(b"\0", 1)
        return json.loads(text)

    def call(self, method, **parameters):
        """Sends a command; its result."""
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self.write, data) :]
        while True:
            answer = self.message()
            if answer.get("id") == self.number:
                if "error" in answer:
                    sys.exit("%s: %s" % (method, answer["error"]))
                return answer["result"]
            self.events.append(answer)

    def wait(self, method):
        """Waits for an event that has not come yet."""
        while not any(event.get("method") == method for event in self.events):
            self.events.append(self.message())

    def open(self, url, size, scheme):
        """Opens a page in a window of that size."""
        self.events = [event for event in self.events if not is_load(event)]
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=size[0],
            height=size[1],
            deviceScaleFactor=1,
            mobile=False,
        )
        feature = {"name": "prefers-color-scheme", "value": scheme}
        self.call("Emulation.setEmulatedMedia", media="", features=[feature])
        self.call("Page.navigate", url=url)
        self.wait("Page.loadEventFired")
        self.settle()

    def settle(self):
        """Waits until what has been changed is drawn."""
        twice = "new Promise(r => requestAnimationFrame(() => requestAnimationFrame(r)))"
        self.ask(twice)

    def ask(self, expression):
        """The value of an expression."""
        answer = self.call(
            "Runtime.evaluate",
            expression=expression,
            awaitPromise=True,
            returnByValue=True,
            userGesture=True,
        )
        if "exceptionDetails" in answer:
            sys.exit("%s: %s" % (expression, answer["exceptionDetails"]))
        return answer["result"].get("value")

    def key(self, name):
        """Presses a key."""
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=name, code=name)
        self.settle()

    def shot(self, path):
        """Writes the whole page as a picture."""
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "scale": 1, "width": size["width"]}
        clip["height"] = min(size["height"], 12000)
        options = {"format": "png", "captureBeyondViewport": True, "clip": clip}
        data = self.call("Page.captureScreenshot", **options)["data"]
        with open(path, "wb") as stream:
            stream.write(base64.b64decode(data))

    def complaints(self):
        """What came to the console, and what was fetched beside the page."""
        said = []
        for event in self.events:
            method, parameters = event.get("method", ""), event.get("params", {})
            if method in ("Runtime.consoleAPICalled", "Runtime.exceptionThrown"):
                said.append(json.dumps(parameters)[:500])
            elif method == "Log.entryAdded":
                said.append(parameters["entry"]["text"])
            elif method == "Network.requestWillBeSent":
                url = parameters["request"]["url"]
                if not url.startswith("file:") or not url.split("#")[0].endswith(".html"):
                    said.append("request: " + url)
        return said

    def close(self):
        """Ends it."""
        self.session = None
        self.call("Browser.close")
        self.process.wait(PATIENCE)


def is_load(event):
    """Whether it tells of a page that has been loaded."""
    return event.get("method") == "Page.loadEventFired"


def check(condition, what):
    """Fails unless the condition holds."""
    if not condition:
        sys.exit("browser.py: " + what)


def use_map(browser):
    """Draws the map of both kinds, looks into a part by mouse and by keys."""
    parts = "document.querySelectorAll('#map rect').length"
    check(browser.ask(parts) > 3, "the map has no parts")
    area = browser.ask(
        "[...document.querySelectorAll('#map > .d0 > rect')].reduce((sum, r) =>"
        " sum + r.width.baseVal.value * r.height.baseVal.value, 0) /"
        " (map.clientWidth * map.clientHeight)"
    )
    check(0.98 < area < 1.02, "the parts of the map cover %.3f of it" % area)
    crumbs = "document.querySelectorAll('#map-path button').length"
    click = "new MouseEvent('click', {bubbles: true})"
    check(browser.ask(crumbs) == 1, "the path of the whole map")
    browser.ask("document.querySelector('#map .open').dispatchEvent(%s)" % click)
    check(browser.ask(crumbs) == 2, "a click does not look into a part")
    inside = browser.ask("document.activeElement.closest('#map') !== null")
    check(inside, "the focus is not in the map")
    before = browser.ask("document.activeElement.getAttribute('aria-label')")
    if browser.ask(parts) > 1:
        browser.key("ArrowRight")
        after = browser.ask("document.activeElement.getAttribute('aria-label')")
        check(before != after, "an arrow does not move the focus")
    browser.key("Escape")
    check(browser.ask(crumbs) == 1, "Escape does not go back")
    if browser.ask("document.querySelector('#map-kind') !== null"):
        browser.ask("document.querySelector('[data-kind=packages]').click()")
        check(browser.ask(parts) > 1, "the map of packages has no parts")
        told = browser.ask("document.getElementById('map-caption').textContent")
        check("all packages" in told, "caption: " + told)


def use_tables(browser):
    """Filters and sorts the packages."""
    rows = "[...document.querySelectorAll('#packages-table tbody tr')].filter(r => !r.hidden)"
    count = browser.ask(rows + ".length")
    if not count:
        return
    name = browser.ask(rows + "[0].cells[0].textContent")
    browser.ask(
        "filter.value = %s; filter.dispatchEvent(new Event('input'))" % json.dumps(name[:12])
    )
    left = browser.ask(rows + ".length")
    check(1 <= left <= count, "%d of %d packages are left" % (left, count))
    browser.ask("filter.value = ''; filter.dispatchEvent(new Event('input'))")
    last = "document.querySelector('#packages-table th.num button')"
    browser.ask(last + ".click()")
    sizes = browser.ask(rows + ".map(r => Number(r.querySelector('td.num').dataset.v))")
    check(sizes == sorted(sizes, reverse=True), "packages are not sorted by size")


def main():
    """Opens the page wide and narrow, light and dark."""
    program, page, directory = sys.argv[1:]
    check(os.path.getsize(page) < 2000000, "the page has %d bytes" % os.path.getsize(page))
    url = "file://" + os.path.abspath(page)
    with tempfile.TemporaryDirectory(prefix="chromium-", dir=directory) as home:
        browser = Browser(program, home)
        has_map = False
        for size, kind in ((WIDE, "wide"), (NARROW, "narrow")):
            for scheme in ("light", "dark"):
                browser.open(url, size, scheme)
                dark = browser.ask("matchMedia('(prefers-color-scheme: dark)').matches")
                check(dark == (scheme == "dark"), "the colour scheme is not " + scheme)
                over = browser.ask(
                    "document.documentElement.scrollWidth - document.documentElement.clientWidth"
                )
                check(over <= 0, "the page is %d pixels too wide in a %s window" % (over, kind))
                browser.shot(os.path.join(directory, "report-%s-%s.png" % (kind, scheme)))
                has_map = browser.ask("document.getElementById('map') !== null")
                if has_map:
                    use_map(browser)
                    use_tables(browser)
                if has_map and kind == "wide":
                    browser.settle()
                    browser.shot(os.path.join(directory, "packages-%s.png" % scheme))
        complaints = browser.complaints()
        browser.close()
    check(not complaints, "the console has: " + "; ".join(complaints))
    print("ok: %s, %d bytes, map: %s" % (page, os.path.getsize(page), has_map))


if __name__ == "__main__":
    main()
