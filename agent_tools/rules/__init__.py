"""The checks of a call, as pure functions: each raises a `CallRefused`, or returns values and says what it noticed.

They are told the policy and the arguments, and look at nothing else, so that a graph can ask before a call what the
call asks itself. Only `host` looks at the disk.

    verdicts      what a check answers besides yes and no: asks and warnings
    requirements  package names of Python and npm, read strictly          (knows no policy)
    languages     names of languages                                      (knows no policy)
    patterns      what code can be searched for, and the patterns we ship (knows no policy)
    search        regular expressions with a time limit                   (knows no policy)
    python_names  the dotted names that Python code uses                  (knows no policy)
    packages, code, paths, host, network, bounds    the checks
    approvals     does this tool call need a person, and why?
"""
