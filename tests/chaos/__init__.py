"""Chaos: random programs that log, under faults and kills, against a model of the API.

A *program* is generated from a seed: processes that open one run again and again, log
to it from threads and forked children, save checkpoints and resume. A child executes it
and reports over a pipe each call before it begins and after it has returned. Meanwhile
files refuse to be written, disks are full and freed, and signals come. Afterwards the
run is read back and compared with a *model*, which knows only the reports:

- what returned is there once, in order within its tag, with equal bits;
- of what did not return there is all or nothing (of a series, the first blocks);
- nothing else is there;
- the status is true;
- a run that was resumed equals its checkpoint, and what was logged since.

``make chaos`` runs new seeds; ``python -m tests.chaos --help`` lists the rest.

The rooms, from the bottom up: ``shim.c`` and `faults` (errors of the system), `calls`
(what a call logs, and what is read back of it), `programs` (seeds), `child` (the
processes that log), `reading`, `model`, `trials` (one program from start to end),
`shrinking`, and `__main__`.
"""
