"""What an entry of the registry says about a language."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Recipe:
    """One way to run a program file.

    In every string `{folder}` is the program's own folder, `{source}` the source file in it, `{output}` a free name in
    it, and `{main}` the class to start (Java). Arguments are passed as they are: no shell sees them.

    Attributes:
        needs: programs that must be on the sandbox's PATH.
        run: the program and its arguments.
        compile: the compiler and its arguments; empty where nothing is compiled.
        env: variables for both.
        files: more files for the folder, name and content.
    """

    needs: tuple[str, ...]
    run: tuple[str, ...]
    compile: tuple[str, ...] = ()
    env: tuple[tuple[str, str], ...] = ()
    files: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Language:
    """A language that sandboxes may have.

    Attributes:
        name: the one name, as the tools' enum has it.
        title: what people call it.
        aliases: other names that are understood, in lower case.
        ending: of its source files, with the dot.
        shebangs: interpreter names that a `#!` line may have.
        kernel: the id under which E2B's code interpreter keeps its state between calls; None: programs only.
        recipes: ways to run a program, the preferred first; the first whose `needs` are there is taken.
        packages: Debian packages to install when it is missing; empty where Debian has none.
        advice: what to do when it is missing and `packages` is empty.
    """

    name: str
    title: str
    aliases: tuple[str, ...]
    ending: str
    shebangs: tuple[str, ...]
    kernel: str | None
    recipes: tuple[Recipe, ...]
    packages: tuple[str, ...] = ()
    advice: str = ""

    @property
    def install_command(self) -> str | None:
        """The command that installs it, as root, in a sandbox of E2B's own images; None where there is none.

        The embedded server's sandboxes have no root: there the host's toolchains are what there is.
        """
        if not self.packages:
            return None
        install = "DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends"
        return f"apt-get update -q && {install} {' '.join(self.packages)}"

    @property
    def how_to_install(self) -> str:
        """A sentence part for people: what brings the language to the machine."""
        return f"apt install {' '.join(self.packages)}" if self.packages else self.advice
