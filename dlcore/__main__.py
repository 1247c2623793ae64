"""python -m dlcore: run a study, sweep it, promote records, look at the claims, the data and the machine."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from dlcore.sweep import command as sweeps
from dlcore.sweep import grid

_LEDGER = ("<!-- ledger:start -->", "<!-- ledger:end -->")


def run(args: argparse.Namespace) -> int:
    """Runs one configuration, or groups of the recorded grid, and stores the records."""
    from dlcore import parallel, recorded, studies
    from dlcore.records import RecordStore

    study = studies.study(args.study)
    store = RecordStore(args.store)
    if args.recorded is not None:
        if args.parameters:
            raise ValueError(f"--recorded runs fixed groups; it takes no parameter such as {args.parameters[0]!r}")
        with parallel.group():
            parallel.only_one("--recorded")
        return recorded.run_groups(args.study, args.recorded, store, workers=args.workers)
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
    from dlcore import recorded
    from dlcore.records import RecordStore

    print(f"promoted {recorded.promote(args.study, RecordStore(args.store))} records")
    return 0


def claims(args: argparse.Namespace) -> int:
    """Prints the ledger: each claim, the thesis's value, ours, the verdict."""
    from dlcore import claims as ledger

    if args.write:
        path = Path(args.write)
        before, _, rest = path.read_text("utf8").partition(_LEDGER[0])
        _, _, after = rest.partition(_LEDGER[1])
        path.write_text(f"{before}{_LEDGER[0]}\n{ledger.ledger_markdown()}\n{_LEDGER[1]}{after}", "utf8")
        return 0
    if args.history:
        ledger.write_history()
        return 0
    for row in ledger.evaluate():
        print(f"{row.verdict:15} {row.timing:9} {row.id:38} thesis: {row.reference} | ours: {row.ours}")
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
    top = argparse.ArgumentParser(prog="python -m dlcore", description=__doc__)
    verbs = top.add_subparsers(required=True, metavar="COMMAND")

    p = verbs.add_parser("run", help=run.__doc__)
    p.add_argument("study")
    p.add_argument("parameters", nargs="*", metavar="name=value")
    p.add_argument("--recorded", nargs="*", metavar="GROUP", help="run these groups of the recorded grid; none: all")
    p.add_argument("--workers", type=int, default=1, help="processes, one thread each (default: 1)")
    p.add_argument("--store", help="folder of the local records")
    p.set_defaults(call=run)

    p = verbs.add_parser("sweep", help=sweeps.HELP, description=sweeps.HELP)
    sweeps.add_arguments(p)
    p.set_defaults(call=sweeps.call)

    p = verbs.add_parser("record", help=record.__doc__)
    p.add_argument("study")
    p.add_argument("--store", help="folder of the local records")
    p.set_defaults(call=record)

    p = verbs.add_parser("claims", help=claims.__doc__)
    p.add_argument("--write", metavar="FILE", help="write the table between the ledger marks of a Markdown file")
    p.add_argument(
        "--history", action="store_true", help="date regions and first records by Git's history, into the package"
    )
    p.set_defaults(call=claims)
    p = verbs.add_parser("data", help=data.__doc__)
    p.add_argument("--download", metavar="NAME")
    p.set_defaults(call=data)
    verbs.add_parser("doctor", help=doctor.__doc__).set_defaults(call=doctor)
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command. An error of the user's making is one line on standard error and exit status 2."""
    args, rest = parser().parse_known_args(argv)
    # argparse loses name=value pairs that follow an option; they are parameters all the same
    if rest and (args.call not in (run, sweeps.call) or any(r.startswith("-") for r in rest)):
        parser().error(f"unrecognized arguments: {' '.join(rest)}")
    if rest:
        args.parameters += rest
    try:
        return args.call(args)
    except (ValueError, OSError, RuntimeError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped; finished records are kept, run again to go on", file=sys.stderr)
        return 130


if __name__ == "__main__":
    raise SystemExit(main())
