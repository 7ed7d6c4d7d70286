"""A library of the user's own in place of a preloaded one: it wins, and so does what it goes with."""

from __future__ import annotations

import pytest
from e2b_code_interpreter import Context, Execution, Result, Sandbox

BOTH = "import pandas, numpy; f'{numpy.__version__} {pandas.Series(numpy.arange(4)).sum()}'"
VERSION = "import numpy; numpy.__version__"
TEMPLATE = "/opt/sandloop/template/lib/python3.*/site-packages"
FOLDER = "/home/user/.venv/lib/python3.*/site-packages"
INSTALL = (
    f"cp -r {TEMPLATE}/numpy {TEMPLATE}/numpy.libs {FOLDER} && "
    f"echo '__version__ = \"99.0.0\"' >> $(echo {FOLDER}/numpy/__init__.py)"
)
"""As pip would install a numpy: compiled modules with their libraries."""
UNINSTALL = f"rm -r {FOLDER}/numpy {FOLDER}/numpy.libs"


def value(execution: Execution) -> str:
    assert execution.error is None, execution.error
    return str(execution.text)


def only_result(execution: Execution) -> Result:
    assert execution.error is None, execution.error
    (result,) = execution.results
    return result


def default(sandbox: Sandbox) -> Context:
    return next(context for context in sandbox.list_code_contexts() if context.language == "python")


@pytest.fixture
def with_numpy(sandbox: Sandbox) -> Sandbox:
    """A sandbox whose kernel has run nothing yet, and where the user has a numpy of their own."""
    sandbox.commands.run(INSTALL)
    return sandbox


def test_a_preloaded_library_is_the_templates_when_the_user_has_none(sandbox: Sandbox) -> None:
    assert value(sandbox.run_code("import numpy; numpy.__file__")).startswith("/opt/sandloop/template/")


def test_the_users_numpy_is_loaded_and_pandas_works_with_it(with_numpy: Sandbox) -> None:
    assert value(with_numpy.run_code(BOTH)) == "99.0.0 6"
    context = with_numpy.create_code_context()
    assert value(with_numpy.run_code(VERSION, context=context)) == "99.0.0"
    assert value(with_numpy.run_code(BOTH, context=context)) == "99.0.0 6"


def test_a_kernel_with_the_users_numpy_shows_all_that_others_show(with_numpy: Sandbox) -> None:
    assert value(with_numpy.run_code(VERSION)) == "99.0.0"
    figure = only_result(with_numpy.run_code("from matplotlib import pyplot; pyplot.plot(numpy.arange(3));"))
    assert figure.png is not None and figure.chart is not None and figure.chart.type.value == "line"
    table = only_result(with_numpy.run_code("import pandas; pandas.DataFrame({'a': [1]})"))
    assert table.data == {"a": [1]} and table.html is not None
    image = only_result(with_numpy.run_code("from PIL import Image; Image.new('RGB', (2, 2)).show()"))
    assert image.png is not None


def test_a_kernel_without_state_takes_the_users_numpy_at_once_and_goes_on_counting(sandbox: Sandbox) -> None:
    sandbox.run_code("1 + 1")
    sandbox.run_code(f"!{INSTALL}")
    execution = sandbox.run_code(BOTH)
    assert (value(execution), execution.execution_count) == ("99.0.0 6", 3)


def test_a_kernel_that_uses_numpy_keeps_it_until_its_restart(sandbox: Sandbox) -> None:
    ours = value(sandbox.run_code(VERSION))
    sandbox.commands.run(INSTALL)
    assert value(sandbox.run_code(BOTH)) == f"{ours} 6"
    sandbox.restart_code_context(default(sandbox))
    assert value(sandbox.run_code(BOTH)) == "99.0.0 6"


def test_pandas_in_a_kernel_with_variables_asks_for_a_restart(sandbox: Sandbox) -> None:
    sandbox.run_code("kept = 1")
    sandbox.commands.run(INSTALL)
    assert value(sandbox.run_code(VERSION)) == "99.0.0"
    error = sandbox.run_code("import pandas").error
    assert error is not None and error.name == "ImportError"
    assert "restart the kernel (the code context)" in error.value and "numpy" in error.value
    assert value(sandbox.run_code("kept")) == "1"


def test_without_the_users_numpy_the_templates_is_back(with_numpy: Sandbox) -> None:
    with_numpy.run_code(VERSION)
    with_numpy.commands.run(UNINSTALL)
    with_numpy.restart_code_context(default(with_numpy))
    assert value(with_numpy.run_code("import pandas, numpy; numpy.__file__")).startswith("/opt/sandloop/template/")


def test_a_users_pandas_goes_with_the_templates_numpy(sandbox: Sandbox) -> None:
    path = sandbox.commands.run(f"echo {FOLDER}").stdout.strip()
    sandbox.files.write(f"{path}/pandas.py", "WHOSE = 'mine'\nimport numpy\n")
    assert value(sandbox.run_code("import pandas; pandas.WHOSE")) == "mine"
    assert value(sandbox.run_code("pandas.numpy.__file__")).startswith("/opt/sandloop/template/")


def test_a_file_in_the_working_folder_hides_a_preloaded_library_as_in_jupyter(sandbox: Sandbox) -> None:
    sandbox.files.write("cycler.py", "WHOSE = 'mine'\n")
    assert value(sandbox.run_code("import cycler; cycler.WHOSE")) == "mine"
