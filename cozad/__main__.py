"The command line as `python -m cozad`."
from cozad.cli import app

if __name__ == '__main__':
    app(prog_name='python -m cozad')
