#!/usr/bin/env python3
"""Open notebooks in JupyterLab in a real browser, run all their cells, move their sliders by keyboard, and see that the figures follow.
The last line reads `N passed, N failed`.

    .ci/browser.py [--pictures FOLDER] [notebook ...]      by default those in NOTEBOOKS below
    .ci/browser.py --browser                               only tell which browser there is; exit 1 where there is none

It needs `pip install -e '.[browser]'` (Playwright, without the browsers of its own) and Chromium or Chrome, on the PATH or named by BROWSER_PATH.
JupyterLab runs on a free port over a copy of nbs/, in which cells marked with a test flag (slow, real, ...) hold nothing.
"""
import argparse, configparser, importlib.util, json, os, re, secrets, shutil, signal, socket, subprocess, sys, tempfile, time
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = ['00_data', '05_confidence', '10d_explorer'] # what `make lab` opens, and two with sliders
BROWSERS = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable', 'chrome']
LIMIT = 300 # seconds for one notebook to run
SETTINGS = { # no question about news; every cell in the page, not only those in sight
    '@jupyterlab/apputils-extension/notification': {'fetchNews': 'false', 'checkForUpdates': False},
    '@jupyterlab/notebook-extension/tracker': {'windowingMode': 'none'}}


def browser(): # its path, or None
    return os.environ.get('BROWSER_PATH') or next(filter(None, map(shutil.which, BROWSERS)), None)


def missing(driver=True): # one sentence, or None
    if not browser(): return 'there is no Chromium or Chrome: install one, or name it in BROWSER_PATH.'
    if driver and (absent := [p for p in ('playwright', 'jupyterlab') if importlib.util.find_spec(p) is None]): return f"Python has no {' and no '.join(absent)}: pip install -e '.[browser]'."


def without_flagged(notebook, marked): # cells that need hours, a GPU or real photographs are emptied, as `make test` leaves them out
    nb = json.loads(notebook.read_text(encoding='utf-8'))
    for cell in nb['cells']:
        if cell['cell_type'] == 'code' and marked.search(''.join(cell['source'])): cell.update(source='# left out', outputs=[])
    notebook.write_text(json.dumps(nb), encoding='utf-8')


@contextmanager
def jupyterlab(): # its address, and the word that opens it
    with tempfile.TemporaryDirectory() as home, socket.socket() as probe:
        shutil.copytree(ROOT/'nbs', f'{home}/nbs', ignore=shutil.ignore_patterns('_proc', '_docs', '.ipynb_checkpoints'))
        (config := configparser.ConfigParser(delimiters=['='])).read(ROOT/'settings.ini', encoding='utf-8')
        marked = re.compile(rf"^#\|\s*({'|'.join(config['DEFAULT']['tst_flags'].split())})\b", re.M)
        for notebook in Path(home, 'nbs').glob('*.ipynb'): without_flagged(notebook, marked)
        for name, values in SETTINGS.items(): (file := Path(home, 'settings', f'{name}.jupyterlab-settings')).parent.mkdir(parents=True, exist_ok=True); file.write_text(json.dumps(values))
        probe.bind(('127.0.0.1', 0)); port = probe.getsockname()[1]; probe.close()
        command = [sys.executable, '-m', 'jupyterlab', '--no-browser', '--ip=127.0.0.1', f'--port={port}', '--ServerApp.port_retries=0', f'--ServerApp.root_dir={home}/nbs',
                   f'--LabApp.user_settings_dir={home}/settings', f'--LabApp.workspaces_dir={home}/workspaces'] + ['--allow-root'] * (os.geteuid() == 0)
        with open(f'{home}/log', 'w+') as log:
            server = subprocess.Popen(command, stdout=log, stderr=log, cwd=home, env=os.environ | {'OMP_NUM_THREADS': '1', 'JUPYTER_TOKEN': (token := secrets.token_hex())}, start_new_session=True)
            try:
                for _ in range(240):
                    with socket.socket() as knock:
                        if knock.connect_ex(('127.0.0.1', port)) == 0: break
                    if server.poll() is not None: break
                    time.sleep(.25)
                if server.poll() is not None: log.seek(0); sys.exit(f'JupyterLab did not start:\n{log.read()[-2000:]}')
                yield f'http://127.0.0.1:{port}', token
            finally:
                os.killpg(server.pid, signal.SIGTERM) # and its kernels
                try: server.wait(20)
                except subprocess.TimeoutExpired: os.killpg(server.pid, signal.SIGKILL)


def until(page, what, done, limit): # a kernel, a figure: none of them says when it is ready
    end = time.time() + limit
    while not done():
        if time.time() > end: raise TimeoutError(f'{what}: not within {limit} s')
        page.wait_for_timeout(300)


def run_all(page, notebook):
    "Open a notebook and run it; returns when no cell waits any more."
    page.goto(f'{page.address}/lab/workspaces/{notebook}/tree/{notebook}.ipynb?token={page.token}', timeout=120_000)
    panel, prompts = page.locator('.jp-NotebookPanel'), page.locator('.jp-NotebookPanel .jp-CodeCell .jp-InputPrompt')
    prompts.first.wait_for(timeout=120_000)
    kernels = lambda: [s['kernel'] for s in page.request.get(f'{page.address}/api/sessions').json() if s['path'] == f'{notebook}.ipynb']
    until(page, 'kernel', lambda: any(k and k['connections'] and k['execution_state'] == 'idle' for k in kernels()) and panel.locator('[data-status=idle]').count(), 120)
    page.wait_for_timeout(1000)
    page.get_by_role('menuitem', name='Run', exact=True).click()
    page.get_by_role('menuitem', name='Run All Cells', exact=True).click()
    numbers = lambda: ''.join(prompts.all_inner_texts()) # [3], [*] while it waits, [ ] when it was not run
    until(page, 'cells', lambda: '*' not in (text := numbers()) and any(map(str.isdigit, text)), LIMIT)
    return panel


def check(page, notebook, pictures): # what is wrong, a sentence each
    panel = run_all(page, notebook)
    failures = lambda: [f'a cell failed: …{text[-1200:]}' for text in panel.locator('.jp-OutputArea-output').all_inner_texts() if 'Traceback (most recent call last)' in text]
    if wrong := failures(): return wrong
    if not any(map(str.isdigit, panel.locator('.jp-CodeCell .jp-InputPrompt').last.inner_text())): return ['the last cell was not run']
    widgets = panel.locator('.widget-vbox:has(.noUi-handle)')
    if 'Slider(' in (ROOT/'nbs'/f'{notebook}.ipynb').read_text(encoding='utf-8'): widgets.first.wait_for(timeout=30_000)
    for i in range(widgets.count()): wrong += follows(page, widgets.nth(i), pictures and Path(pictures)/f'{notebook}_{i}')
    return wrong + failures() + [f'the browser says: {e}' for e in page.errors]


def follows(page, widget, picture): # move its slider to the right and choose something from its list, if it has one
    wrong, handle, readout = [], widget.locator('.noUi-handle').first, widget.locator('.widget-readout').first
    figures = lambda: widget.locator('img').evaluate_all('images => Promise.all(images.map(async i => Array.from(new Uint8Array(await (await fetch(i.src)).arrayBuffer())).join()))')
    widget.scroll_into_view_if_needed()
    until(page, 'figure', figures, 60)
    if picture: widget.screenshot(path=f'{picture}_before.png')
    def moves(what, act): # does the figure follow?
        old = figures()
        act()
        try: until(page, what, lambda: figures() not in ([], old), 20)
        except TimeoutError: wrong.append(f'{what}: the figure did not follow')
    number = readout.inner_text()
    moves('slider', lambda: (handle.focus(), [page.keyboard.press('ArrowRight') for _ in range(5)]))
    if readout.inner_text() == number: wrong.append(f'slider: it still says {number}')
    if (picker := widget.locator('select')).count(): moves('list', lambda: picker.first.select_option(index=picker.first.locator('option').count() // 2))
    page.wait_for_timeout(3000) # for what was still to be drawn
    quick = figures()
    for key in ('ArrowRight', 'ArrowLeft'): handle.press(key); page.wait_for_timeout(3000)
    if figures() != quick: wrong.append('after quick moves the figure is another one than after slow ones to the same place')
    if picture: widget.screenshot(path=f'{picture}_after.png')
    return wrong


def main(notebooks, pictures):
    from playwright.sync_api import sync_playwright
    passed = failed = 0
    if pictures: Path(pictures).mkdir(parents=True, exist_ok=True)
    with jupyterlab() as (address, token), sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=browser(), args=['--no-sandbox'] * (os.geteuid() == 0))
        for notebook in notebooks:
            start, page = time.time(), chromium.new_page(viewport={'width': 1400, 'height': 1000})
            page.address, page.token, page.errors = address, token, []
            page.on('pageerror', lambda e: page.errors.append(str(e)))
            try: wrong = check(page, notebook, pictures)
            except Exception as e: wrong = [f'{type(e).__name__}: {e}']
            if wrong and pictures: page.screenshot(path=Path(pictures)/f'{notebook}_failed.png')
            page.close()
            passed, failed = passed + (not wrong), failed + bool(wrong)
            print(f"{'FAILED' if wrong else 'passed'}  {notebook} in a browser, {time.time() - start:.0f} s", *wrong, sep='\n', flush=True)
        chromium.close()
    print(f'{passed} passed, {failed} failed')
    return failed


if __name__ == '__main__':
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('notebooks', nargs='*', help='names, without folder')
    parser.add_argument('--pictures', help='folder for screenshots of the widgets')
    parser.add_argument('--browser', action='store_true', help='only tell which browser there is')
    args = parser.parse_args()
    if why := missing(driver=not args.browser): print(why); sys.exit(1)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143)) # so that the server ends too
    if args.browser: print(browser())
    else: sys.exit(bool(main([Path(n).stem for n in args.notebooks] or NOTEBOOKS, args.pictures)))
