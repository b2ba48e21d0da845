"Everything about the package stands in settings.ini; this file only hands it to setuptools."
from configparser import ConfigParser
from pathlib import Path
from setuptools import setup
from setuptools.command.sdist import sdist

config = ConfigParser(delimiters=['='])
config.read('settings.ini', encoding='utf-8')
settings = config['DEFAULT']
SUFFIX = '_requirements'
extras = {k.removesuffix(SUFFIX): v.split() for k, v in settings.items() if k.endswith(SUFFIX)}
extras['dev'] += extras['demo'] + extras['lab'] + extras['onnx']


class SdistWithSettings(sdist):
    "A source archive needs settings.ini as well, or it could not be built."

    def make_distribution(self):
        "Add settings.ini to the files."
        self.filelist.append('settings.ini')
        super().make_distribution()


setup(
    name=settings['lib_name'],
    version=settings['version'],
    description=settings['description'],
    long_description=Path('README.md').read_text(encoding='utf-8'),
    long_description_content_type='text/markdown',
    author=settings['author'],
    author_email=settings['author_email'],
    url=settings['git_url'],
    license='Apache-2.0',
    keywords=settings['keywords'],
    packages=['cozad'],
    package_data={'cozad': ['py.typed', 'paper_results.csv', '*.html']},
    python_requires=f">={settings['min_python']}",
    install_requires=settings['requirements'].split(),
    extras_require=extras,
    entry_points={'console_scripts': settings['console_scripts'].split()},
    cmdclass={'sdist': SdistWithSettings},
    classifiers=[
        'Intended Audience :: Science/Research',
        'Programming Language :: Python :: 3',
        'Topic :: Scientific/Engineering :: Artificial Intelligence',
        'Framework :: Jupyter',
    ],
)
