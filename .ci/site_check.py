#!/usr/bin/env python3
"""Open every page of the site in a real browser, wide and narrow, light and dark.

    .ci/site_check.py [--pictures FOLDER] [page ...]    such as learn/simplenet; by default all

A page passes when the console has no error, nothing is fetched from elsewhere, every image loads,
no TeX is left as text, it is not wider than a phone, its words stand out in the dark, and its
sliders change their pictures. The site must have been built (`make docs`). It needs Playwright
(`pip install -e '.[browser]'`) and Chromium. The last line reads `N passed, N failed`.
"""
import argparse
import functools
import importlib.util
import os
import re
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from browser import browser

SITE = Path(__file__).resolve().parent.parent/'_docs'
SEARCH = 'the search' # its name among those of the pages
WIDE, PHONE = {'width': 1280, 'height': 900}, {'width': 390, 'height': 844}
LEFT_TEX = r'''() => {
    const walker = document.createTreeWalker(document.querySelector('main'), NodeFilter.SHOW_TEXT);
    const tex = /\\\(|\\\[|\$\$|\\(frac|mathcal|text|sum|theta|sigma|lambda|tau|cdot)\b|\$\\/;
    const found = [];
    while (walker.nextNode()) {
        const node = walker.currentNode;
        const parent = node.parentElement;
        const left = parent.closest('math') ? /\\[a-zA-Z]/ : tex; // a command that MathML lacks
        if (!parent.closest('pre, code, script, style, annotation') && left.test(node.data))
            found.push(node.data.trim().slice(0, 60));
    }
    return found;
}'''
BROKEN_IMAGES = '''() => [...document.images]
    .filter(image => !image.complete || !image.naturalWidth)
    .map(image => (image.getAttribute('src') || '').slice(0, 60))'''
TOO_WIDE = '''() => { // what is cut off, but for what lies in a box that scrolls by itself
    const width = document.documentElement.clientWidth;
    const scrolls = e => ['auto', 'scroll'].includes(getComputedStyle(e).overflowX);
    const inside = e => {
        for (let p = e.parentElement; p && p !== document.body; p = p.parentElement)
            if (scrolls(p)) return true;
    };
    return [...document.querySelectorAll('main *')]
        .filter(e => e.getBoundingClientRect().right > width + 1 && !inside(e))
        .map(e => `${e.tagName} ${e.className} ${e.textContent.slice(0, 40)}`).slice(0, 3);
}'''
CONTRAST = '''() => { // of text and ground, 1 to 21
    const light = colour => {
        const [r, g, b] = colour.match(/[0-9.]+/g).slice(0, 3).map(v => {
            v = v / 255;
            return v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4;
        });
        return .2126 * r + .7152 * g + .0722 * b;
    };
    const style = getComputedStyle(document.body);
    const two = [light(style.color), light(style.backgroundColor)].sort((a, b) => b - a);
    return [(two[0] + .05) / (two[1] + .05), light(style.backgroundColor)];
}'''


class Quiet(SimpleHTTPRequestHandler):
    "A server that writes no log."

    def log_message(self, *args):
        pass


def serve():
    "The site on a free port of this machine; returns its address."
    handler = functools.partial(Quiet, directory=str(SITE))
    server = ThreadingHTTPServer(('127.0.0.1', 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f'http://127.0.0.1:{server.server_port}'


def listen(page, address):
    "Note errors and requests to elsewhere, which are not let out."
    page.wrong = []

    def refuse(route):
        page.wrong.append(f'asks for {route.request.url}')
        route.abort()

    def console(message):
        if message.type == 'error':
            page.wrong.append(f'the console says: {message.text[:150]}')

    page.route(re.compile(f'^(?!{re.escape(address)}|data:|blob:)'), refuse)
    page.on('console', console)
    page.on('pageerror', lambda error: page.wrong.append(f'a script failed: {error}'))


def check_wide(page, name):
    "What a reader sees at a desk."
    for text in page.evaluate(LEFT_TEX):
        yield f'TeX as text: {text}'
    page.evaluate("document.querySelectorAll('img').forEach(image => image.loading = 'eager')")
    page.wait_for_function('[...document.images].every(image => image.complete)')
    for source in page.evaluate(BROKEN_IMAGES):
        yield f'an image does not load: {source}'
    if name != 'index' and not page.locator('nav.page-navigation a').count():
        yield 'it has no link to the previous or next page'
    if page.locator('div.sourceCode').count() and not page.locator('.code-copy-button').count():
        yield 'its code has no copy button'
    for k in range(page.locator('.frames').count()):
        yield from check_slider(page.locator('.frames').nth(k), k)


def check_slider(box, k):
    "Move a slider to its ends: both pictures differ from the first."
    image, slider = box.locator('img'), box.locator('input')
    seen = [image.get_attribute('src')]
    for key in ('Home', 'End'):
        slider.focus()
        slider.press(key)
        seen.append(image.get_attribute('src'))
        if not image.evaluate('i => i.decode().then(() => i.naturalWidth)'):
            yield f'slider {k}: a picture does not load'
    if len(set(seen)) < 3:
        yield f'slider {k}: the picture does not follow'


def check_dark(page):
    "Whether the ground is dark and words stand out."
    from playwright.sync_api import TimeoutError
    with suppress(TimeoutError): # the page follows by itself, in a moment
        page.wait_for_function(f'({CONTRAST})()[1] < .2', timeout=5000)
    contrast, ground = page.evaluate(CONTRAST)
    if ground > .2:
        yield 'it stays light where a reader asks for dark'
    if contrast < 4.5:
        yield f'words in the dark have a contrast of {contrast:.1f}, less than 4.5'


def picture(page, folder, name, kind):
    "Keep how it looks."
    if folder:
        page.screenshot(path=Path(folder)/f"{name.replace('/', '_')}_{kind}.png", full_page=True)


def check(page, address, name, folder):
    "What is wrong with a page, a sentence each."
    page.wrong.clear()
    page.emulate_media(color_scheme='light')
    page.set_viewport_size(WIDE)
    page.goto(f'{address}/{name}.html', wait_until='load', timeout=60_000)
    wrong = list(check_wide(page, name))
    picture(page, folder, name, 'wide')
    page.set_viewport_size(PHONE)
    wrong += [f'wider than a phone: {what}' for what in page.evaluate(TOO_WIDE)]
    picture(page, folder, name, 'phone')
    page.emulate_media(color_scheme='dark')
    wrong += check_dark(page)
    picture(page, folder, name, 'dark')
    return wrong + page.wrong


def check_search(page, address):
    "Whether the search finds a word that many pages use."
    page.wrong.clear()
    page.set_viewport_size(WIDE)
    page.goto(f'{address}/index.html')
    page.keyboard.press('/')
    field = page.locator('input[type=search], input[type=text]').first
    if not field.is_visible():
        page.locator('#quarto-search, .quarto-search-button, [aria-label=Search]').first.click()
    field.fill('threshold')
    page.wait_for_timeout(1500)
    links = page.locator('[id*=search] a[href*="threshold"]')
    return page.wrong + ([] if links.count() else ['the search finds no page'])


def tell(name, look):
    "Look at a page and print how it did; returns whether it passed."
    try:
        wrong = look()
    except Exception as error:
        wrong = [f'{type(error).__name__}: {str(error)[:200]}']
    word = 'FAILED' if wrong else 'passed'
    print(f'{word}  {name}', *[f'    {line}' for line in wrong], sep='\n', flush=True)
    return not wrong


def look_at(names, address, folder):
    "Some of the pages, one after the other in a browser of their own; whether each passed."
    from playwright.sync_api import sync_playwright
    with sync_playwright() as playwright:
        options = ['--no-sandbox'] * (os.geteuid() == 0)
        chromium = playwright.chromium.launch(executable_path=browser(), args=options)
        page = chromium.new_page()
        listen(page, address)
        looks = {name: functools.partial(check, page, address, name, folder) for name in names}
        if SEARCH in names:
            looks[SEARCH] = functools.partial(check_search, page, address)
        results = [tell(name, look) for name, look in looks.items()]
        chromium.close()
    return results


def run(names, folder):
    "All pages in as many browsers as there are cores, four at most; returns how many failed."
    address = serve()
    if folder:
        Path(folder).mkdir(parents=True, exist_ok=True)
    names = [*names, SEARCH]
    browsers = min(os.cpu_count(), 4, len(names))
    shares = [names[i::browsers] for i in range(browsers)]
    with ThreadPoolExecutor(browsers) as pool:
        results = sum(pool.map(look_at, shares, [address] * browsers, [folder] * browsers), [])
    print(f'{sum(results)} passed, {len(results) - sum(results)} failed')
    return len(results) - sum(results)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('pages', nargs='*', help='such as learn/simplenet')
    parser.add_argument('--pictures', help='folder for screenshots of the pages')
    args = parser.parse_args()
    if not browser() or importlib.util.find_spec('playwright') is None:
        print("skipped: the site in a browser, since there is no Chromium or no Playwright here; "
              "pip install -e '.[browser]'")
        print('0 passed, 0 failed')
        return
    every = sorted(p.relative_to(SITE).with_suffix('').as_posix() for p in SITE.rglob('*.html'))
    if not every:
        sys.exit('there is no page in _docs: run `make docs` first')
    sys.exit(bool(run(args.pages or every, args.pictures)))


if __name__ == '__main__':
    main()
