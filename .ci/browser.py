#!/usr/bin/env python3
"""Run notebooks in JupyterLab in a real browser, move their sliders and compare the figures.

    .ci/browser.py [--pictures FOLDER] [notebook ...]   by default those in NOTEBOOKS below
    .ci/browser.py --browser                            only tell which browser there is

It needs `pip install -e '.[browser]'` (Playwright, without the browsers of its own) and Chromium
or Chrome, on the PATH or named by BROWSER_PATH. JupyterLab runs on a free port over a copy of
nbs/, in which cells marked with a test flag (slow, real, ...) hold nothing. The last line reads
`N passed, N failed`.
"""
import argparse
import configparser
import importlib.util
import json
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = ['learn/01_images', 'learn/07_confidence', 'use/06_explorer'] # two of them with sliders
BROWSERS = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable', 'chrome']
LIMIT = 300 # seconds for one notebook to run
SETTINGS = { # no question about news; every cell in the page, not only those in sight
    '@jupyterlab/apputils-extension/notification': {'fetchNews': 'false', 'checkForUpdates': False},
    '@jupyterlab/notebook-extension/tracker': {'windowingMode': 'none'},
}
BYTES_OF_IMAGES = '''images => Promise.all(images.map(async image =>
    Array.from(new Uint8Array(await (await fetch(image.src)).arrayBuffer())).join()))'''


def browser():
    "Path of a browser, or None."
    return os.environ.get('BROWSER_PATH') or next(filter(None, map(shutil.which, BROWSERS)), None)


def missing(driver=True):
    "What is not installed, in one sentence, or None."
    if not browser():
        return 'there is no Chromium or Chrome: install one, or name it in BROWSER_PATH.'
    absent = [p for p in ('playwright', 'jupyterlab') if importlib.util.find_spec(p) is None]
    if driver and absent:
        return f"Python has no {' and no '.join(absent)}: pip install -e '.[browser]'."
    return None


def empty_flagged_cells(notebook, flag):
    "Empty the cells that need hours, a GPU or real photographs, as `make test` leaves them out."
    content = json.loads(notebook.read_text(encoding='utf-8'))
    for cell in content['cells']:
        if cell['cell_type'] == 'code' and flag.search(''.join(cell['source'])):
            cell.update(source='# left out', outputs=[])
    notebook.write_text(json.dumps(content), encoding='utf-8')


def prepare(home):
    "A copy of the notebooks and the settings of JupyterLab."
    ignored = shutil.ignore_patterns('_proc', '_docs', '.ipynb_checkpoints')
    shutil.copytree(ROOT/'nbs', f'{home}/nbs', ignore=ignored)
    config = configparser.ConfigParser(delimiters=['='])
    config.read(ROOT/'settings.ini', encoding='utf-8')
    flags = '|'.join(config['DEFAULT']['tst_flags'].split())
    for notebook in Path(home, 'nbs').rglob('*.ipynb'):
        empty_flagged_cells(notebook, re.compile(rf'^#\|\s*({flags})\b', re.M))
    for name, values in SETTINGS.items():
        file = Path(home, 'settings', f'{name}.jupyterlab-settings')
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(values))


def free_port():
    "A port that nobody uses."
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]


def command(home, port):
    "How JupyterLab is started."
    line = [
        sys.executable, '-m', 'jupyterlab', '--no-browser', '--ip=127.0.0.1', f'--port={port}',
        '--ServerApp.port_retries=0', f'--ServerApp.root_dir={home}/nbs',
        f'--LabApp.user_settings_dir={home}/settings', f'--LabApp.workspaces_dir={home}/workspaces',
    ]
    return line + ['--allow-root'] * (os.geteuid() == 0)


def wait_for_server(server, port, log):
    "Return when JupyterLab answers; exit with its log when it ends."
    for _ in range(240):
        with socket.socket() as knock:
            if knock.connect_ex(('127.0.0.1', port)) == 0:
                return
        if server.poll() is not None:
            break
        time.sleep(.25)
    log.seek(0)
    sys.exit(f'JupyterLab did not start:\n{log.read()[-2000:]}')


def stop(server):
    "End JupyterLab and its kernels."
    os.killpg(server.pid, signal.SIGTERM)
    try:
        server.wait(20)
    except subprocess.TimeoutExpired:
        os.killpg(server.pid, signal.SIGKILL)


@contextmanager
def jupyterlab():
    "Address and token of a running JupyterLab."
    with tempfile.TemporaryDirectory() as home:
        prepare(home)
        port, token = free_port(), secrets.token_hex()
        environment = os.environ | {'OMP_NUM_THREADS': '1', 'JUPYTER_TOKEN': token}
        with open(f'{home}/log', 'w+') as log:
            server = subprocess.Popen(command(home, port), stdout=log, stderr=log, cwd=home,
                                      env=environment, start_new_session=True)
            try:
                wait_for_server(server, port, log)
                yield f'http://127.0.0.1:{port}', token
            finally:
                stop(server)


def until(page, what, done, limit):
    "Wait until `done()`; raise TimeoutError after `limit` seconds."
    end = time.time() + limit
    while not done():
        if time.time() > end:
            raise TimeoutError(f'{what}: not within {limit} s')
        page.wait_for_timeout(300)


def is_kernel_ready(page, notebook, panel):
    "Whether the notebook's kernel is connected and idle."
    sessions = page.request.get(f'{page.address}/api/sessions').json()
    kernels = [s['kernel'] for s in sessions if s['path'] == f'{notebook}.ipynb']
    idle = [k for k in kernels if k and k['connections'] and k['execution_state'] == 'idle']
    return idle and panel.locator('[data-status=idle]').count()


def run_all(page, notebook):
    "Open a notebook and run it; returns when no cell waits any more."
    workspace = notebook.replace('/', '_')
    page.goto(f'{page.address}/lab/workspaces/{workspace}/tree/{notebook}.ipynb?token={page.token}',
              timeout=120_000)
    panel = page.locator('.jp-NotebookPanel')
    prompts = page.locator('.jp-NotebookPanel .jp-CodeCell .jp-InputPrompt')
    prompts.first.wait_for(timeout=120_000)
    until(page, 'kernel', lambda: is_kernel_ready(page, notebook, panel), 120)
    page.wait_for_timeout(1000)
    page.get_by_role('menuitem', name='Run', exact=True).click()
    page.get_by_role('menuitem', name='Run All Cells', exact=True).click()

    def is_done():
        text = ''.join(prompts.all_inner_texts()) # [3], [*] while it waits, [ ] when it was not run
        return '*' not in text and any(map(str.isdigit, text))

    until(page, 'cells', is_done, LIMIT)
    return panel


def failures(panel):
    "Tracebacks in the outputs, a sentence each."
    texts = panel.locator('.jp-OutputArea-output').all_inner_texts()
    word = 'Traceback (most recent call last)'
    return [f'a cell failed: …{text[-1200:]}' for text in texts if word in text]


def check(page, notebook, pictures):
    "What is wrong with a notebook, a sentence each."
    panel = run_all(page, notebook)
    if failures(panel):
        return failures(panel)
    last = panel.locator('.jp-CodeCell .jp-InputPrompt').last.inner_text()
    if not any(map(str.isdigit, last)):
        return ['the last cell was not run']
    widgets = panel.locator('.widget-vbox:has(.noUi-handle)')
    if 'Slider(' in (ROOT/'nbs'/f'{notebook}.ipynb').read_text(encoding='utf-8'):
        widgets.first.wait_for(timeout=30_000)
    wrong = []
    for i in range(widgets.count()):
        name = f"{notebook.replace('/', '_')}_{i}"
        wrong += check_widget(page, widgets.nth(i), pictures and Path(pictures)/name)
    return wrong + failures(panel) + [f'the browser says: {error}' for error in page.errors]


class Widget:
    "A widget on a page: its slider, its list and its figures."

    def __init__(self, page, locator):
        self.page, self.locator, self.wrong = page, locator, []
        self.handle = locator.locator('.noUi-handle').first
        self.readout = locator.locator('.widget-readout').first

    def figures(self):
        "The bytes of its images."
        return self.locator.locator('img').evaluate_all(BYTES_OF_IMAGES)

    def expect_change(self, what, act):
        "Do something; note when the figure does not follow."
        old = self.figures()
        act()
        try:
            until(self.page, what, lambda: self.figures() not in ([], old), 20)
        except TimeoutError:
            self.wrong.append(f'{what}: the figure did not follow')

    def move_slider(self):
        "Five steps to the right."
        number = self.readout.inner_text()
        self.expect_change('slider', self._five_steps)
        if self.readout.inner_text() == number:
            self.wrong.append(f'slider: it still says {number}')

    def _five_steps(self):
        self.handle.focus()
        for _ in range(5):
            self.page.keyboard.press('ArrowRight')

    def choose_from_list(self):
        "Take the middle entry of its list, if it has one."
        picker = self.locator.locator('select')
        if picker.count():
            middle = picker.first.locator('option').count() // 2
            self.expect_change('list', lambda: picker.first.select_option(index=middle))

    def compare_slow_moves(self):
        "After quick moves the figure must be the one of slow moves to the same place."
        self.page.wait_for_timeout(3000) # for what was still to be drawn
        quick = self.figures()
        for key in ('ArrowRight', 'ArrowLeft'):
            self.handle.press(key)
            self.page.wait_for_timeout(3000)
        if self.figures() != quick:
            self.wrong.append('after quick moves the figure differs from that after slow moves')


def check_widget(page, locator, picture):
    "Move the slider, choose from the list, and see whether the figure follows."
    widget = Widget(page, locator)
    locator.scroll_into_view_if_needed()
    until(page, 'figure', widget.figures, 60)
    widget.move_slider()
    widget.choose_from_list()
    widget.compare_slow_moves()
    if picture:
        locator.screenshot(path=f'{picture}.png')
    return widget.wrong


def try_notebook(page, notebook, pictures):
    "Check one notebook, print how it went, and return whether it passed."
    start = time.time()
    try:
        wrong = check(page, notebook, pictures)
    except Exception as error:
        wrong = [f'{type(error).__name__}: {error}']
    if wrong and pictures:
        page.screenshot(path=Path(pictures)/f"{notebook.replace('/', '_')}_failed.png")
    word = 'FAILED' if wrong else 'passed'
    seconds = time.time() - start
    print(f'{word}  {notebook} in a browser, {seconds:.0f} s', *wrong, sep='\n', flush=True)
    return not wrong


def run(notebooks, pictures):
    "Check notebooks one after the other; returns how many failed."
    from playwright.sync_api import sync_playwright
    results = []
    if pictures:
        Path(pictures).mkdir(parents=True, exist_ok=True)
    with jupyterlab() as (address, token), sync_playwright() as playwright:
        options = ['--no-sandbox'] * (os.geteuid() == 0)
        chromium = playwright.chromium.launch(executable_path=browser(), args=options)
        for notebook in notebooks:
            page = chromium.new_page(viewport={'width': 1400, 'height': 1000})
            page.address, page.token, page.errors = address, token, []
            page.on('pageerror', lambda error, page=page: page.errors.append(str(error)))
            results.append(try_notebook(page, notebook, pictures))
            page.close()
        chromium.close()
    print(f'{sum(results)} passed, {len(results) - sum(results)} failed')
    return not all(results)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('notebooks', nargs='*', help='such as learn/07_confidence')
    parser.add_argument('--pictures', help='folder for screenshots of the widgets')
    parser.add_argument('--browser', action='store_true', help='only tell which browser there is')
    args = parser.parse_args()
    why = missing(driver=not args.browser)
    if why:
        print(why)
        sys.exit(1)
    if args.browser:
        print(browser())
        return
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143)) # so that the server ends too
    sys.exit(run(args.notebooks or NOTEBOOKS, args.pictures))


if __name__ == '__main__':
    main()
