"""The languages there are: one entry each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from ..errors import InvalidCall
from .language import Language, Recipe

_DOTNET_PROJECT = """\
<Project Sdk="Microsoft.NET.Sdk">
  <PropertyGroup>
    <OutputType>Exe</OutputType>
    <TargetFramework>net$(BundledNETCoreAppTargetFrameworkVersion)</TargetFramework>
    <AssemblyName>program</AssemblyName>
    <ImplicitUsings>enable</ImplicitUsings>
    <EnableDefaultCompileItems>false</EnableDefaultCompileItems>
  </PropertyGroup>
  <ItemGroup><Compile Include="main.cs" /></ItemGroup>
</Project>
"""

_GO_BUILD = Path(__file__).with_name("go_build.sh").read_text(encoding="utf-8")
# The sandbox decides about the network; a compiler that asks for a newer self would only wait for it.
_GO_ENV = (("CGO_ENABLED", "0"), ("GOTOOLCHAIN", "local"))
_DOTNET_ENV = (
    ("DOTNET_CLI_TELEMETRY_OPTOUT", "1"),
    ("DOTNET_NOLOGO", "1"),
    ("DOTNET_GENERATE_ASPNET_CERTIFICATE", "0"),
)

LANGUAGES: tuple[Language, ...] = (
    Language(
        name="python",
        title="Python",
        aliases=("py", "python3", "ipython"),
        ending=".py",
        shebangs=("python", "python3"),
        kernel="python",
        recipes=(Recipe(("python3",), ("python3", "{source}")),),
        packages=("python3",),
    ),
    Language(
        name="javascript",
        title="JavaScript",
        aliases=("js", "node", "nodejs"),
        ending=".js",
        shebangs=("node", "nodejs"),
        kernel="javascript",
        recipes=(Recipe(("node",), ("node", "{source}")),),
        packages=("nodejs",),
    ),
    Language(
        name="typescript",
        title="TypeScript",
        aliases=("ts",),
        ending=".ts",
        shebangs=("ts-node", "tsx"),
        kernel="typescript",
        recipes=(
            Recipe(
                ("node",),
                ("node", "--experimental-transform-types", "--disable-warning=ExperimentalWarning", "{source}"),
            ),
        ),
        packages=("nodejs",),
    ),
    Language(
        name="bash",
        title="Bash",
        aliases=("sh", "shell"),
        ending=".sh",
        shebangs=("bash", "sh"),
        kernel="bash",
        recipes=(Recipe(("bash",), ("bash", "{source}")),),
        packages=("bash",),
    ),
    Language(
        name="go",
        title="Go",
        aliases=("golang",),
        ending=".go",
        shebangs=(),
        kernel=None,
        recipes=(
            Recipe(
                ("go",),
                ("{output}",),
                ("bash", "{folder}/build.sh", "{output}", "{source}"),
                env=_GO_ENV,
                files=(("build.sh", _GO_BUILD),),
            ),
        ),
        packages=("golang-go",),
    ),
    Language(
        name="rust",
        title="Rust",
        aliases=("rs",),
        ending=".rs",
        shebangs=(),
        kernel=None,
        recipes=(
            Recipe(
                ("rustc",),
                ("{output}",),
                ("rustc", "--edition=2021", "--color=never", "-Cdebuginfo=0", "-o", "{output}", "{source}"),
            ),
        ),
        packages=("rustc",),
    ),
    Language(
        name="java",
        title="Java",
        aliases=(),
        ending=".java",
        shebangs=(),
        kernel="java",
        recipes=(
            Recipe(
                ("javac", "java"),
                ("java", "-XX:+UseSerialGC", "-cp", "{folder}/classes:.", "{main}"),
                (
                    *("javac", "-J-XX:+UseSerialGC", "-J-XX:TieredStopAtLevel=1", "-encoding", "UTF-8", "-nowarn"),
                    *("-cp", ".", "-d", "{folder}/classes", "{source}"),
                ),
            ),
        ),
        packages=("default-jdk-headless",),
    ),
    Language(
        name="c",
        title="C",
        aliases=(),
        ending=".c",
        shebangs=(),
        kernel=None,
        recipes=(
            Recipe(("gcc",), ("{output}",), ("gcc", "-std=gnu17", "-O1", "-I.", "-o", "{output}", "{source}", "-lm")),
        ),
        packages=("gcc", "libc6-dev"),
    ),
    Language(
        name="cpp",
        title="C++",
        aliases=("c++", "cxx", "cc"),
        ending=".cpp",
        shebangs=(),
        kernel=None,
        recipes=(
            Recipe(
                ("g++",),
                ("{output}",),
                ("g++", "-std=gnu++20", "-O0", "-I.", "-pthread", "-o", "{output}", "{source}", "-lm"),
            ),
        ),
        packages=("g++",),
    ),
    Language(
        name="csharp",
        title="C#",
        aliases=("c#", "cs", "dotnet", "mono"),
        ending=".cs",
        shebangs=(),
        kernel=None,
        recipes=(
            Recipe(
                ("dotnet",),
                ("dotnet", "{folder}/out/program.dll"),
                ("dotnet", "build", "-v", "q", "-clp:NoSummary", "-o", "{folder}/out", "{folder}/program.csproj"),
                env=_DOTNET_ENV,
                files=(("program.csproj", _DOTNET_PROJECT),),
            ),
            Recipe(
                ("mcs", "mono"),
                ("mono", "{output}.exe"),
                ("mcs", "-langversion:latest", "-warn:0", "-r:System.Numerics", "-out:{output}.exe", "{source}"),
            ),
        ),
        packages=("mono-mcs", "mono-runtime"),
    ),
    Language(
        name="ruby",
        title="Ruby",
        aliases=("rb",),
        ending=".rb",
        shebangs=("ruby",),
        kernel=None,
        recipes=(Recipe(("ruby",), ("ruby", "-I.", "{source}")),),
        packages=("ruby",),
    ),
    Language(
        name="php",
        title="PHP",
        aliases=(),
        ending=".php",
        shebangs=("php",),
        kernel=None,
        # Errors go to stderr, once; PHP prints them to stdout, or to both.
        recipes=(Recipe(("php",), ("php", "-d", "display_errors=stderr", "-d", "log_errors=0", "{source}")),),
        packages=("php-cli",),
    ),
    Language(
        name="r",
        title="R",
        aliases=("rscript",),
        ending=".R",
        shebangs=("Rscript",),
        kernel="r",
        recipes=(Recipe(("Rscript",), ("Rscript", "--vanilla", "{source}")),),
        packages=("r-base-core", "r-cran-irkernel"),
    ),
    Language(
        name="julia",
        title="Julia",
        aliases=("jl",),
        ending=".jl",
        shebangs=("julia",),
        kernel=None,
        recipes=(Recipe(("julia",), ("julia", "--startup-file=no", "--color=no", "{source}")),),
        advice="install it from julialang.org into /usr/local or /opt (Debian has no package of it)",
    ),
)

_BY_NAME = {name: language for language in LANGUAGES for name in (language.name, *language.aliases)}
_BY_ENDING = {language.ending.lower(): language for language in LANGUAGES} | {
    ending: _BY_NAME[name]
    for name, endings in {
        "javascript": (".mjs", ".cjs"),
        "typescript": (".mts", ".cts"),
        "bash": (".bash",),
        "cpp": (".cc", ".cxx", ".c++"),
    }.items()
    for ending in endings
}
_BY_SHEBANG = {name: language for language in LANGUAGES for name in language.shebangs}


def find(name: str) -> Language:
    """Return the language of a name or an alias, in any case.

    Raises:
        InvalidCall: there is no such language; the message lists those there are.
    """
    language = _BY_NAME.get(name.strip().lower())
    if language is None:
        there = ", ".join(known.name for known in LANGUAGES)
        raise InvalidCall(f"language '{name}' is not known; there are {there}", rule="language.name")
    return language


def by_file_name(path: str) -> Language | None:
    """Return the language that a file's ending stands for."""
    return _BY_ENDING.get(PurePosixPath(path).suffix.lower())


def by_shebang(code: str) -> Language | None:
    """Return the language that the `#!` line of a program names, also by way of `env`."""
    first = code.partition("\n")[0]
    if not first.startswith("#!"):
        return None
    for word in _program_words(first[2:]):
        return _BY_SHEBANG.get(word) or _BY_SHEBANG.get(word.rstrip("0123456789."))
    return None


def _program_words(line: str) -> Iterator[str]:
    for word in line.split():
        name = PurePosixPath(word).name
        if name != "env" and not name.startswith("-") and "=" not in name:
            yield name
