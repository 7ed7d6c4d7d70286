"""Which class of a Java file is started, and that it is."""

from __future__ import annotations

import shutil

import pytest
from e2b_code_interpreter import AsyncSandbox

from agent_tools.languages import find, kernel_for, run_program
from agent_tools.languages.java import Program, program

MAIN = 'public static void main(String[] args) { System.out.println("ran"); }'

FILES = {
    "alone": (f"class A {{ {MAIN} }}", "A.java", "A"),
    "the last": (f"class A {{}}\ninterface B {{}}\nclass C {{ {MAIN} }}", "C.java", "C"),
    "the first": (f"class A {{ {MAIN} }}\nclass B {{ void run() {{}} }}", "A.java", "A"),
    "beside a public one": (f"class A {{ {MAIN} }}\npublic class B {{}}", "B.java", "A"),
    "the public one of two": (f"class A {{ {MAIN} }}\npublic class B {{ {MAIN} }}", "B.java", "B"),
    "in a package": (
        f"package com . acme.app;\nimport java.util.*;\npublic class A {{ {MAIN} }}",
        "A.java",
        "com.acme.app.A",
    ),
    "after records": (
        f"record Point(int x) {{ int twice() {{ return x + x; }} }}\nrecord Box<T>(T t) {{}}\nclass A {{ {MAIN} }}",
        "A.java",
        "A",
    ),
    "in a record": (f"public record A(int x) {{ {MAIN} }}", "A.java", "A"),
    "in an enum": (f"enum A {{ X {{ void f() {{}} }}, Y; void f() {{}} {MAIN} }}", "A.java", "A"),
    "in an interface": (f"interface A {{ {MAIN} }}", "A.java", "A"),
    "with generics": (
        f"class Node<T extends Comparable<T>> {{ T t; }}\nfinal class A<K> extends Node<String> {{ {MAIN} }}",
        "A.java",
        "A",
    ),
    "sealed": (
        f"sealed interface S permits P, Q {{}}\nrecord P() implements S {{}}\nrecord Q() implements S {{}}\n"
        f"class A {{ {MAIN} }}",
        "A.java",
        "A",
    ),
    "behind comments": (
        f"// class X {{ void main( {{\n/* class Y {{ {MAIN} }} }} */ class A {{ /* }} */ {MAIN} // }}\n}}",
        "A.java",
        "A",
    ),
    "behind a text block": (
        'class X { String s = """\n  class Y { "quoted" \\""" } }\n  """;\n'
        "char c = '{', d = '\\''; String t = \"}\\\"{\"; }\n"
        f"class A {{ {MAIN} }}",
        "A.java",
        "A",
    ),
    "with annotations": (
        f'@SuppressWarnings({{"a", "b"}})\n@FunctionalInterface interface F {{ int f(); }}\n'
        f'@SuppressWarnings({{}}) class A {{ @SuppressWarnings("x") {MAIN} }}',
        "A.java",
        "A",
    ),
    "with an annotation type": (f"@interface Mark {{}}\n@Mark class A {{ {MAIN} }}", "A.java", "A"),
    "nested": (f"public class A {{ static class B {{ {MAIN} }} }}", "A.java", "A$B"),
    "outer before nested": (f"class A {{ static class B {{ {MAIN} }} {MAIN} }}", "A.java", "A"),
    "not in a method": (
        f"class X {{ void f() {{ class Y {{ void main(String[] a) {{}} }} }} }}\nclass A {{ {MAIN} }}",
        "A.java",
        "A",
    ),
    "not one that is called": (f"class X {{ void f() {{ main(null); }} }}\nclass A {{ {MAIN} }}", "A.java", "A"),
    "static before not": (f"class X {{ void main(int x) {{}} }}\nclass A {{ {MAIN} }}", "A.java", "A"),
    "varargs and final": (
        'class A { static final public void main(final String... a) { System.out.println("ran"); } }',
        "A.java",
        "A",
    ),
    "a literal of a class": (f"class A {{ Object o = A.class, p = int[].class; {MAIN} }}", "A.java", "A"),
    "with unicode": (f'class Größe {{ String é = "ü"; {MAIN} }}', "Größe.java", "Größe"),
    "with a variable called record": (
        f"class A {{ static int record = 1; int f(int record) {{ return record; }} {MAIN} }}",
        "A.java",
        "A",
    ),
}


@pytest.mark.parametrize("name", FILES)
def test_the_class_to_start_is_found(name: str) -> None:
    code, file_name, main_class = FILES[name]
    assert program(code) == Program(file_name, main_class)


@pytest.mark.parametrize(
    "code",
    [
        "int x = 1;",
        "class A { void run() {} }",
        "record P(int x) {}\nnew P(1)",
        "void main() { }",
        '// class A { public static void main(String[] a) {} }\nSystem.out.println("x");',
        'var s = """\nclass A { public static void main(String[] a) {} }\n""";',
        "class A { /* never closed",
        'class A { String s = "never closed',
        "}}}}",
        "",
    ],
)
def test_a_snippet_without_a_main_class_is_for_the_kernel(code: str) -> None:
    assert program(code) is None
    assert kernel_for(find("java"), code) == "java"


# A second each; the others differ in what the scan has to pass over.
@pytest.mark.parametrize("name", ["the last", "beside a public one", "in a package", "after records", "nested"])
async def test_the_class_with_main_runs(sandbox: AsyncSandbox, name: str) -> None:
    if not shutil.which("javac"):
        pytest.skip("no Java on this machine: make setup-languages")
    result = await run_program(sandbox, find("java"), FILES[name][0], timeout_s=100)
    assert (result.stdout, result.stderr, result.error_name) == ("ran\n", "", None)


async def test_a_java_program_without_main_says_what_is_missing(sandbox: AsyncSandbox) -> None:
    if not shutil.which("javac"):
        pytest.skip("no Java on this machine: make setup-languages")
    result = await run_program(sandbox, find("java"), "class A {}", timeout_s=100)
    assert result.error_name == "CompileError" and "public static void main" in result.stderr


def test_only_java_is_both_a_program_and_a_snippet() -> None:
    main = f"class A {{ {MAIN} }}"
    assert kernel_for(find("java"), main) is None
    assert kernel_for(find("python"), main) == "python"
    assert kernel_for(find("go"), main) is None
