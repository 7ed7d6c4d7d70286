"""For each language: a program that greets its input, one that fails with 3, one with an error, one without an end."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Case:
    greet: str
    """Reads a line and prints `héllo LINE ✓`."""
    fail: str
    """Prints `before`, then ends with exit code 3."""
    broken: str
    """The compiler refuses it; without one, it fails when it runs."""
    complaint: str
    """What is in the text about it."""
    forever: str


CASES = {
    "python": Case(
        'print(f"héllo {input()} ✓")',
        'print("before")\nraise SystemExit(3)',
        "1 +\n",
        'main.py", line 1',
        "while True: pass",
    ),
    "javascript": Case(
        'console.log(`héllo ${require("fs").readFileSync(0, "utf8").trim()} ✓`)',
        'console.log("before"); process.exit(3)',
        "let = = 1",
        "SyntaxError",
        "while (true) {}",
    ),
    "typescript": Case(
        'import { readFileSync } from "node:fs";\nenum Mark { Check = "✓" }\n'
        'const name: string = readFileSync(0, "utf8").trim();\nconsole.log(`héllo ${name} ${Mark.Check}`)',
        'console.log("before" as string); process.exit(3)',
        "const a: = 1",
        "SyntaxError",
        "while (true as boolean) {}",
    ),
    "bash": Case(
        'read -r name; echo "héllo $name ✓"',
        "echo before; exit 3",
        "if true; then",
        "main.sh: line 2: syntax error",
        "while :; do :; done",
    ),
    "go": Case(
        'package main\nimport ("bufio"; "fmt"; "os")\nfunc main() {\n'
        '\tline, _, _ := bufio.NewReader(os.Stdin).ReadLine()\n\tfmt.Printf("héllo %s ✓\\n", line)\n}',
        'package main\nimport ("fmt"; "os")\nfunc main() { fmt.Println("before"); os.Exit(3) }',
        'package main\nfunc main() { x := "unused" }',
        "main.go:2",
        "package main\nfunc main() { for {} }",
    ),
    "rust": Case(
        "fn main() {\n    let mut line = String::new();\n    std::io::stdin().read_line(&mut line).unwrap();\n"
        '    println!("héllo {} ✓", line.trim());\n}',
        'fn main() { println!("before"); std::process::exit(3) }',
        'fn main() { let x: i32 = "text"; }',
        "main.rs:1",
        "fn main() { loop {} }",
    ),
    "java": Case(
        "import java.util.Scanner;\nclass Greet {\n    public static void main(String[] args) {\n"
        '        System.out.println("héllo " + new Scanner(System.in).nextLine() + " ✓");\n    }\n}',
        'class A { public static void main(String[] a) { System.out.println("before"); System.exit(3); } }',
        'class A { public static void main(String[] a) { int x = "text"; } }',
        "A.java:1",
        "class A { public static void main(String[] a) { while (true) {} } }",
    ),
    "c": Case(
        '#include <math.h>\n#include <stdio.h>\nint main(void) {\n    char name[99];\n    scanf("%98s", name);\n'
        '    printf("héllo %s ✓\\n", sqrt(name[0]) > 0 ? name : "");\n}',
        '#include <stdio.h>\nint main(void) { puts("before"); return 3; }',
        "int main(void) { return missing; }",
        "main.c:1",
        "int main(void) { for (;;); }",
    ),
    "cpp": Case(
        "#include <iostream>\n#include <string>\nint main() {\n    std::string name;\n"
        '    std::getline(std::cin, name);\n    std::cout << "héllo " << name << " ✓\\n";\n}',
        '#include <cstdio>\nint main() { puts("before"); return 3; }',
        'int main() { int x = "text"; }',
        "main.cpp:1",
        "int main() { for (;;); }",
    ),
    "csharp": Case(
        "using System;\nusing System.Linq;\nclass Greet {\n    static void Main() {\n"
        '        Console.WriteLine("héllo " + Console.ReadLine() + " " + new[] { "✓" }.First());\n    }\n}',
        'class A { static int Main() { System.Console.WriteLine("before"); return 3; } }',
        'class A { static void Main() { int x = "text"; } }',
        "main.cs(1,",
        "class A { static void Main() { while (true) {} } }",
    ),
    "ruby": Case(
        'puts "héllo #{gets.strip} ✓"',
        'puts "before"; exit 3',
        "def open(",
        "main.rb:1",
        "loop {}",
    ),
    "php": Case(
        '<?php echo "héllo " . trim(fgets(STDIN)) . " ✓\\n";',
        '<?php echo "before\\n"; exit(3);',
        "<?php echo (;",
        "main.php on line 1",
        "<?php while (true) {}",
    ),
    "r": Case(
        'name <- readLines(file("stdin"), 1)\ncat("héllo", name, "✓\\n")',
        'cat("before\\n"); quit(status = 3)',
        "x <- (1 +\n",
        "main.R",
        "repeat {}",
    ),
    "julia": Case(
        'println("héllo $(readline()) ✓")',
        'println("before"); exit(3)',
        "x = (1 +",
        "main.jl:1",
        "while true end",
    ),
}
