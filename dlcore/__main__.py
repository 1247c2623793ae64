"""python -m dlcore: run a study, sweep it, promote records, look at the claims, the data and the machine."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from dlcore.command_line import EXPECTED, Parser, file, folder, one_line, whole, word
from dlcore.config import registered
from dlcore.studies import STUDIES
from dlcore.sweep import command as sweeps
from dlcore.sweep import grid, signals


def run(args: argparse.Namespace) -> int:
    """Runs one configuration, or groups of the recorded grids, and stores the records."""
    from dlcore import parallel, studies
    from dlcore.records import RecordStore
    from dlcore.sweep import recorded

    if args.study is None and args.recorded is None:
        args.parser.error("the following arguments are required: study")
    names = [args.study] if args.study is not None else STUDIES
    study, *_ = map(studies.study, names)  # an unknown name is said before anything else
    store = RecordStore(args.store)
    if args.recorded is not None:
        if args.parameters:
            raise ValueError(f"--recorded runs fixed groups; it takes no parameter such as {args.parameters[0]!r}")
        with parallel.group():
            parallel.only_one("--recorded")
        return recorded.run_groups(names, args.recorded, store, workers=args.workers, budget=args.budget)
    if args.budget is not None:
        raise ValueError("--budget is for --recorded: one run is stopped by Ctrl-C, and goes on when it is run again")
    config = study.Config.from_parameters(**grid.parameters(args.parameters))
    with parallel.group() as rank:  # several under torchrun: the first writes the record, the others only work for it
        known = parallel.from_first(store.load(config) is not None)
        if rank > 0:
            if not known:
                study.run(config, checkpoint=store.checkpoint(config))
            return 0
        record = store.load_or_run(config, progress=True)
    print(f"record {record.key} ({record.seconds:.1f} s) in {store.path / config.STUDY}")
    for name, value in record.metrics.items():
        print(f"  {name:24} {value:.4f}" if isinstance(value, float) else f"  {name:24} {value}")
    return 0


def record(args: argparse.Namespace) -> int:
    """Promotes reviewed records of the local store into the package."""
    from dlcore import studies
    from dlcore.records import RecordStore
    from dlcore.sweep import recorded

    studies.study(args.study)
    store = RecordStore(args.store)
    if next(RecordStore(store.path, packaged=False).records(args.study), None) is None:
        raise ValueError(f"there are no records of {args.study} in {store.path}; --store names another folder")
    print(f"promoted {recorded.promote(args.study, store)} records")
    return 0


def export(args: argparse.Namespace) -> int:
    """Writes all runs, shipped and local, into one table: FILE.csv, FILE.csv.gz or FILE.parquet."""
    from dlcore import records

    every = (*STUDIES, *registered("study"))
    print(f"{records.export(args.file, every, store=records.RecordStore(args.store)):,} runs in {args.file}")
    return 0


def claims(args: argparse.Namespace) -> int:
    """Prints the ledger: each claim, the thesis's value, ours, the verdict."""
    from dlcore import claims as ledger
    from dlcore.cache import write_atomically
    from dlcore.claims import pages

    if args.write:
        path = Path(args.write)
        write_atomically(path, pages.written(path.name, path.read_text("utf8") if path.exists() else ""))
        return 0
    if args.history:
        ledger.write_history()
        return 0
    if args.records:
        if args.id is None:
            raise ValueError("--records needs the id of a claim")
        print(ledger.runs(args.id).to_csv(index=False), end="")
        return 0
    for row in ledger.shipped(only=args.id):
        print(f"{row.verdict:15} {row.timing:9} {row.id:38} thesis: {row.reference} | ours: {row.ours}")
    return 0


def notebooks(args: argparse.Namespace) -> int:
    """Writes the chapters as notebooks into a folder, to run and to change."""
    from dlcore import notebook

    for copy in notebook.copy_chapters(args.folder):
        print(copy)
    return 0


def data(args: argparse.Namespace) -> int:
    """Lists the data sets and where they were found; downloads one when asked."""
    from dlcore import data as sets

    if args.download:
        found = sets.load(args.download, download=True)
        print(f"{found.name}: {len(found.train_labels)} train, {len(found.test_labels)} test; {found.split}")
    for name, status in sets.available().items():
        print(f"{name:20} {status}")
    return 0


def doctor(args: argparse.Namespace) -> int:
    """Says in one screen what this machine can do and what to install for the rest."""
    from dlcore import doctor as machine

    print(machine.report())
    return 0


def parser() -> argparse.ArgumentParser:
    """Returns the command line's grammar."""
    top = Parser(prog="python -m dlcore", description=__doc__)
    verbs = top.add_subparsers(required=True, metavar="COMMAND", parser_class=Parser)

    def verb(call: Callable[[argparse.Namespace], int], name: str = "", help: str | None = None) -> Parser:
        p = verbs.add_parser(name or call.__name__, help=help or call.__doc__, description=help)
        p.set_defaults(call=call, parser=p)
        if call in (run, record, export):
            p.add_argument("--store", type=folder, help="folder of the local records")
        if call in (run, sweeps.call, record, export):
            mine = "that registers what is yours"
            p.add_argument("--plugin", action="append", default=[], type=word, metavar="MODULE", help=mine)
        return p

    add = verb(run).add_argument
    add("study", nargs="?", help="with --recorded, none: all")
    add("parameters", nargs="*", default=[], metavar="name=value")
    add("--recorded", nargs="*", metavar="GROUP", help="run these groups of the recorded grid; none: all")
    add("--workers", type=whole(1), default=1, help="processes, of recorded runs (default: 1)")
    add("--budget", type=whole(1), metavar="SECONDS", help="stop recorded runs in time, everything saved")
    sweeps.add_arguments(verb(sweeps.call, "sweep", sweeps.HELP))
    verb(record).add_argument("study")
    verb(export).add_argument("file", type=file, metavar="FILE")
    add = verb(claims).add_argument
    add("id", nargs="?", type=word, metavar="ID", help="this claim alone")
    add("--records", action="store_true", help="the runs behind the claim, as CSV")
    marks = "a Markdown file with ledger marks gets its table, FILE.svg a picture of the verdicts, FILE.json the whole ledger"
    add("--write", type=file, metavar="FILE", help=marks)
    add("--history", action="store_true", help="date regions and first records by Git's history, into the package")
    here = "by default the one you are in"
    verb(notebooks).add_argument("folder", nargs="?", default=".", type=folder, metavar="FOLDER", help=here)
    verb(data).add_argument("--download", type=word, metavar="NAME")
    verb(doctor)
    top.choices = f"choose from: {', '.join(verbs.choices)}"
    for name in ("run", "sweep", "record"):
        verbs.choices[name].choices = f"studies: {', '.join(STUDIES)}"
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command. An error of the user's making is one line on standard error and exit status 2."""
    try:
        with signals.heard():
            args, rest = parser().parse_known_args(argv)
            # argparse loses name=value pairs that follow an option; they are parameters all the same
            if rest and (args.call not in (run, sweeps.call) or any(r.startswith("-") for r in rest)):
                args.parser.unknown(rest)
            if rest:
                args.parameters += rest
            if getattr(args, "plugin", None):
                from dlcore import register

                register.plugins(args.plugin)
            return args.call(args)
    except BrokenPipeError:  # what reads the output has ended, as `head` does
        sys.stdout = None  # else Python says so once more at its end
        return 141
    except EXPECTED as error:
        line = f"error: {one_line(error)}"
    except KeyboardInterrupt:
        print("stopped; finished records are kept, run again to go on", file=sys.stderr)
        return 130
    # out of reach of the error, whose frames keep a progress bar open on the last line
    print(line, file=sys.stderr)
    return 2


if __name__ == "__main__":
    raise SystemExit(main())
