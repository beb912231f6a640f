"""The command ``mmsrnas``: every step from data to a shipped network.

``mmsrnas COMMAND --help`` says more about each one. The commands are the files of ``tools``, which
the package carries; ``python tools/train.py CONFIG`` is ``mmsrnas train CONFIG``.
``mmsrnas SCRIPT.py ...`` runs any other script with :mod:`mmsrnas.compat` applied: tools of mmagic
import mmagic before they read a config, too early for a plugin that the config names.
"""

import os
import sys
from pathlib import Path
from types import ModuleType

__all__ = ["COMMANDS", "main", "tools_folder"]

COMMANDS: dict[str, tuple[str, str]] = {
    "auto": ("auto.py", "from photographs and a budget to a shipped network"),
    "plan": ("plan.py", "write the configs of a search on your photographs"),
    "search": ("train.py", "search an architecture: CONFIG"),
    "derive": ("derive.py", "read the genotype off a search, within a budget"),
    "train": ("train.py", "train a network: CONFIG"),
    "test": ("test.py", "test a network: CONFIG CHECKPOINT"),
    "infer": ("infer.py", "restore pictures and videos: MODEL IN OUT"),
    "export": ("export.py", "write a network for another runtime: MODEL OUT"),
    "compare": ("compare.py", "compare networks on the same test sets"),
    "prune": ("prune.py", "make a trained network smaller, within a budget"),
    "select": ("select_front.py", "find the front of a trained elastic supernet"),
    "rank": ("rank_policy.py", "score architectures of a policy (HNAS)"),
    "latency": ("analysis_tools/benchmark_latency.py", "measure the time of a network"),
    "flops": ("analysis_tools/get_flops.py", "count parameters and Multi-Adds"),
    "config": ("misc/print_config.py", "print a config with all that it inherits"),
    "data folder": ("dataset_converters/prepare_folder.py", "pairs from your own images"),
    "data patches": ("dataset_converters/extract_sub_images.py", "cut pairs into patches"),
    "data check": ("misc/check_data.py", "check the data sets of a config"),
    "data div2k": ("dataset_converters/prepare_div2k.py", "prepare DIV2K"),
    "data df2k": ("dataset_converters/prepare_df2k.py", "prepare DF2K"),
    "data bsd500": ("dataset_converters/prepare_bsd500.py", "prepare BSD500"),
    "data benchmarks": ("dataset_converters/prepare_benchmarks.py", "prepare the test sets"),
    "convert dlsr": ("model_converters/convert_dlsr.py", "the authors' weights of DLSR"),
    "convert drn": ("model_converters/convert_drn.py", "the authors' weights of DRN and DRC"),
}
"""File below ``tools`` and summary of each command."""


def main() -> None:
    """Runs the command, or the script, that the command line names."""
    arguments = sys.argv[1:]
    if not arguments or arguments[0] in ("-h", "--help"):
        print(usage())
        raise SystemExit(0 if arguments else 2)
    if arguments[0] == "--version":
        from mmsrnas import __version__

        print(__version__)
        return
    for length in (2, 1):
        name = " ".join(arguments[:length])
        if len(arguments) >= length and name in COMMANDS:
            script = tools_folder() / COMMANDS[name][0]
            _run(script, f"mmsrnas {name}", arguments[length:])
            return
    if arguments[0].endswith(".py") and Path(arguments[0]).is_file():
        _run(Path(arguments[0]), arguments[0], arguments[1:])
        return
    print(usage(), file=sys.stderr)
    known = [name for name in COMMANDS if name.startswith(arguments[0])]
    advice = f" Did you mean {' or '.join(known)}?" if known else ""
    raise SystemExit(f"error: no command or script '{arguments[0]}'.{advice}")


def usage() -> str:
    """The help: all commands on one screen."""
    lines = [f"  {name:16} {summary}" for name, (_, summary) in COMMANDS.items()]
    first = "usage: mmsrnas COMMAND [OPTIONS]   (or mmsrnas SCRIPT.py [OPTIONS])"
    last = "mmsrnas COMMAND --help says more; mmsrnas --version."
    return "\n".join([first, "", *lines, "", last])


def tools_folder() -> Path:
    """Folder of the tools: carried by the installed package, or that of the repository."""
    package = Path(__file__).parent
    return next(
        folder
        for folder in (package.parent / "tools", package / ".mim/tools")
        if (folder / "train.py").is_file()
    )


def _run(script: Path, program: str, arguments: list[str]) -> None:
    """Runs a script as ``python SCRIPT`` does, under the name of the command."""
    sys.argv = [program, *arguments]
    sys.path[0] = str(script.resolve().parent)
    module = ModuleType("__main__")  # runpy would write the file's name over that of the command
    module.__file__ = str(script)
    sys.modules["__main__"] = module
    try:
        exec(compile(script.read_bytes(), str(script), "exec"), vars(module))
    except BrokenPipeError:  # `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt:
        raise SystemExit(130) from None


if __name__ == "__main__":
    main()
