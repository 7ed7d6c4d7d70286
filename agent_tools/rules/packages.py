"""May these packages be installed?

What an allowed package depends on comes along unasked: the lists are about what is named.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ..errors import InvalidCall, PolicyRefusal
from ..policy import SandboxPolicy
from .languages import canonical_language
from .requirements import Ecosystem, MalformedPackage, Package, read_package
from .typosquats import TYPOSQUATS
from .verdicts import Findings, Verdict

ECOSYSTEMS: Final[dict[str, Ecosystem]] = {"python": "python", "javascript": "npm", "typescript": "npm"}
"""Languages with packages that can be installed, and whose they are."""

MAX_PACKAGES: Final = 50
"""Packages of one call."""


@dataclass(frozen=True, slots=True)
class PackageVerdict(Verdict):
    """Packages that are not refused, so far.

    Attributes:
        requirements: in the order of the call and without repetitions, each as one argument for an installer. None
            starts with a hyphen or names anything but a package of the registry. They hold characters that mean
            something to a shell.
        names: their names without versions.
    """

    requirements: tuple[str, ...] = ()
    names: tuple[str, ...] = ()


def check_packages(policy: SandboxPolicy, packages: Sequence[str], language: str = "python") -> PackageVerdict:
    """Read the names of packages, and compare them with the policy's lists.

    Args:
        policy: the rules.
        packages: names with, or without, extras, versions and markers, as `requirements` reads them. None are always
            allowed.
        language: whose packages they are: Python, JavaScript or TypeScript.

    Raises:
        InvalidCall: a name is malformed (`package.name`), there are too many (`package.count`), or the language has no
            packages here (`package.language`).
        PolicyRefusal: the policy forbids one (`package.denied`, `package.unlisted`, `package.suspicious`), or all
            (`package.installs`).
    """
    if isinstance(packages, str):
        raise InvalidCall(f"Give a list of packages, such as [{packages[:80]!r}].", rule="package.name")
    if not packages:
        return PackageVerdict()
    ecosystem = ECOSYSTEMS.get(canonical_language(language) or "")
    if ecosystem is None:
        raise InvalidCall(
            f"Packages for {language[:40]!r} cannot be installed. Those of {', '.join(ECOSYSTEMS)} can.",
            rule="package.language",
        )
    if len(packages) > MAX_PACKAGES:
        raise InvalidCall(
            f"{len(packages)} packages are too many. Install at most {MAX_PACKAGES} in one call.", rule="package.count"
        )
    if not policy.enable_installs:
        raise PolicyRefusal(
            f"The policy {policy.name!r} allows no installs. Use what is there: get_sandbox_info lists it.",
            rule="package.installs",
        )
    wanted = tuple(dict.fromkeys(_read(text, ecosystem) for text in packages))
    findings = Findings()
    for package in wanted:
        _judge(policy, package, findings)
    return PackageVerdict(
        asks=findings.asks,
        warnings=findings.warnings,
        requirements=tuple(package.requirement for package in wanted),
        names=tuple(dict.fromkeys(package.name for package in wanted)),
    )


def _read(text: str, ecosystem: Ecosystem) -> Package:
    try:
        return read_package(text, ecosystem)
    except MalformedPackage as error:
        raise InvalidCall(str(error), rule="package.name") from error


def _judge(policy: SandboxPolicy, package: Package, findings: Findings) -> None:
    name, entry = package.name, package.entry
    if entry in policy.denied_packages:
        raise PolicyRefusal(
            f"The policy {policy.name!r} forbids the package {name!r}. Do it without.", rule="package.denied"
        )
    if entry in policy.allowed_packages or entry in policy.default_entries:
        return
    if entry in policy.suspicious_package_names:
        meant = TYPOSQUATS.get(entry)
        findings.note(
            policy.suspicious_package_action,
            rule="package.suspicious",
            subject=name,
            reason=f"{name!r} is easily mistaken for another package. "
            + (f"Did you mean {meant!r}?" if meant else "Check the name."),
        )
    match policy.unlisted_packages:
        case "deny":
            listed = ", ".join(item for item in policy.allowed_packages[:40])
            raise PolicyRefusal(
                f"The policy {policy.name!r} does not allow the package {name!r}. Allowed: {listed or 'none'}"
                + (", and more." if len(policy.allowed_packages) > 40 else "."),
                rule="package.unlisted",
            )
        case "ask":
            findings.note("ask", rule="package.unlisted", subject=name, reason=f"Install {package.requirement!r}?")
        case "allow":
            pass
