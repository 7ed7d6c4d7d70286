"""The live view of a run on stderr: the model's words, each call's code and output, what came of it."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.live import Live
from rich.markdown import Markdown
from rich.segment import Segment
from rich.spinner import Spinner
from rich.style import Style
from rich.syntax import Syntax
from rich.text import Text
from rich.theme import Theme

from agent_tools.output import readable

from . import graphics
from .calls import call_text
from .paragraphs import Paragraphs
from .terminal import visible, visible_line

if TYPE_CHECKING:
    from graphs.requests import AgentEvent, AgentResponse, Started, ThreadMessage, ToolCalled, ToolOutput, ToolStep

_MAX_TAIL = 2000
"""Characters of a line without an end that are shown while it grows."""
_MAX_LINES = 400
"""Lines of one call's output that are shown."""
_MAX_CODE_LINES = 200
_MAX_COMPARED = 64 * 1024
_NO_WIDTH = 10_000

_DIM = Style(dim=True)
_CODE_THEME = "ansi_dark"
"""Of the terminal's own sixteen colours."""
_THEME = Theme({"markdown.code": "cyan"})
SCRIPTED = (
    "This is the scripted model: its replies are prepared, and only what the sandbox returns is real. For a real "
    "model set OPENAI_API_KEY, or OPENAI_BASE_URL for a server that speaks its protocol (such as Ollama's "
    "http://localhost:11434/v1), and choose with --provider and --model."
)


class Beside:
    """Something with a line drawn at its left."""

    def __init__(self, inner: RenderableType, edge: str) -> None:
        self._inner = inner
        self._edge = edge

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Render at the width that is left."""
        inner = options.update(width=max(options.max_width - len(self._edge), 20))
        for line in console.render_lines(self._inner, inner, pad=False):
            yield Segment(self._edge, _DIM)
            yield from line
            yield Segment.line()


class View:
    """Shows events as they come. Use it as `with`; `paused` while something else writes to the terminal.

    Attributes:
        thread_id: of the run, once it has begun.
        response: the end of the last run.
    """

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(stderr=True, highlight=False, theme=_THEME)
        if not self.console.is_terminal:
            # Whoever reads a file wraps its lines as they like.
            self.console.width = _NO_WIDTH
        self.thread_id: str | None = None
        self.response: AgentResponse | None = None
        self.has_run_tools = False
        self._live: Live | None = None
        self._words = Paragraphs()
        self._step = 0
        self._calls: dict[str, int] = {}
        self._current: str | None = None
        self._tail = ""
        self._tail_stream = "stdout"
        self._lines: dict[str, int] = {}
        self._printed: dict[str, str] = {}
        self._since = time.monotonic()
        self._doing = ""
        self._announced: str | None = None
        plain = self.console.options.ascii_only or self.console.legacy_windows
        self._top, self._bar, self._middle, self._end = ("+", "| ", "+", "+") if plain else ("╭", "│ ", "├", "╰")
        self._good, self._bad = ("ok", "failed") if plain else ("✓", "✗")
        self._spinner = Spinner("line" if plain else "dots", style="cyan")

    def __enter__(self) -> View:
        self.resume()
        return self

    def __exit__(self, *_: object) -> None:
        self.pause()

    def resume(self) -> None:
        """Show again what goes on now."""
        if self.console.is_terminal and self._live is None:
            self._live = Live(
                get_renderable=self._now,
                console=self.console,
                refresh_per_second=12,
                transient=True,
                redirect_stdout=False,
                redirect_stderr=False,
            )
            self._live.start()

    def pause(self) -> None:
        """Finish what is half shown, and leave the terminal to others."""
        self._finish_words()
        self._finish_tail()
        if self._live is not None:
            self._live.stop()
            self._live = None

    # --- events

    def show(self, event: AgentEvent) -> None:
        """Take the next event."""
        match event.type:
            case "started":
                self._started(event)
            case "token":
                self._doing = ""
                self._finish_tail()
                for done in self._words.add(event.text):
                    self._print_words(done)
            case "tool_call":
                self._called(event)
            case "tool_output":
                self._output(event)
            case "tool_result":
                self._returned(event.step)
            case "approval":
                self._doing = ""
                self._finish_words()
            case "ended":
                self._finish_words()
                self._finish_tail()
                self._doing = ""
                self.response = event.response

    def line(self, text: str, style: str = "") -> None:
        """Print a line of ours."""
        self._finish_words()
        self._finish_tail()
        self.console.print(Text(text, style=style))

    def quote(self, role: str, text: str) -> None:
        """Print what was said earlier."""
        edge = "you  " if role == "user" else "     "
        shown = text if len(text) <= _MAX_TAIL else f"… {text[-_MAX_TAIL:]}"
        self.console.print(Beside(Text(visible(shown), style="dim"), edge))

    def message(self, message: ThreadMessage) -> None:
        """Print a whole message of a thread, with its calls and what came of them."""
        if message.role == "user":
            self.quote("user", message.text)
            return
        if message.text.strip():
            self._print_words(message.text)
        for step in message.steps:
            self._returned(step)

    def begin(self, doing: str) -> None:
        """Say what goes on from now."""
        self._doing, self._since = doing, time.monotonic()

    def _started(self, event: Started) -> None:
        self.thread_id = event.thread_id
        if event.scripted and self._announced is None:
            self.console.print(Text(SCRIPTED, style="yellow"))
        about = f"{event.agent_type} · {event.provider_id}/{event.model_id} · thread {event.thread_id}"
        if self._announced != about:
            self.console.print(Text(visible_line(about), style="dim"))
            self.console.print()
        self._announced = about
        self.begin("waiting for the model")

    def _called(self, event: ToolCalled) -> None:
        self._finish_words()
        self._finish_tail()
        self.has_run_tools = True
        self._step += 1
        self._calls[event.tool_call_id] = self._step
        self._current = event.tool_call_id
        self.show_call(event.name, event.args, str(self._step))
        self.begin("running")

    def _called_before(self, step: ToolStep) -> None:
        self._step += 1
        self._calls[step.tool_call_id] = self._step
        self.show_call(step.name, step.args, str(self._step))

    def show_call(self, name: str, args: dict[str, object], label: str) -> None:
        """Print a call: its title, and its code."""
        call = call_text(name, args)
        self.console.print(Text.assemble((f"{self._top} ", "dim"), (f"{label} ", "bold cyan"), (call.title, "bold")))
        if call.code:
            lines = call.code.splitlines()
            code = Syntax(
                "\n".join(lines[:_MAX_CODE_LINES]),
                call.lexer,
                theme=_CODE_THEME,
                background_color="default",
                word_wrap=True,
            )
            self.console.print(Beside(code, self._bar))
            if len(lines) > _MAX_CODE_LINES:
                self.console.print(Beside(Text(f"… {len(lines) - _MAX_CODE_LINES} more lines", "dim"), self._bar))

    def _output(self, event: ToolOutput) -> None:
        call = event.tool_call_id or self._current or ""
        if event.stream == "status":
            self._status(event.text)
            return
        if call != self._current or event.stream != self._tail_stream:
            self._finish_tail()
        if call not in self._lines or call != self._current:
            number = f" of {self._calls[call]}" if call in self._calls and self._calls[call] != self._step else ""
            self.console.print(Text(f"{self._middle} output{number}", style="dim"))
            self._lines.setdefault(call, 0)
        self._current, self._tail_stream = call, event.stream
        if event.stream == "stdout":
            self._printed[call] = (self._printed.get(call, "") + event.text)[:_MAX_COMPARED]
        self._tail += event.text
        complete, newline, rest = self._tail.rpartition("\n")
        if len(rest) > _MAX_TAIL:
            complete, newline, rest = self._tail, "\n", ""
        self._tail = rest
        if newline:
            self._print_output(complete)

    def _status(self, text: str) -> None:
        line = readable(text).strip()
        if line.startswith("installing "):
            self._finish_tail()
            self.console.print(Beside(Text(line, style="magenta"), self._bar))
            self.begin(line)
        elif line:
            self._doing = line.splitlines()[-1][:200]

    def _print_output(self, text: str) -> None:
        call = self._current or ""
        before = self._lines.get(call, 0)
        lines = readable(text).split("\n")
        self._lines[call] = before + len(lines)
        if before >= _MAX_LINES:
            return
        style = "red" if self._tail_stream == "stderr" else ""
        self.console.print(Beside(Text("\n".join(lines[: _MAX_LINES - before]), style=style), self._bar))
        if before + len(lines) > _MAX_LINES:
            self.console.print(Beside(Text("… more output, which is not shown", style="dim"), self._bar))

    def _returned(self, step: ToolStep) -> None:
        self._finish_words()
        self._finish_tail()
        if step.tool_call_id not in self._calls:
            # It never began: a person said no, or an earlier run was in it.
            self._called_before(step)
        content = step.content if isinstance(step.content, dict) else {}
        self._print_values(step.tool_call_id, str(content.get("output") or content.get("stdout") or ""))
        number = self._calls.get(step.tool_call_id)
        label = f"{number} " if number is not None and number != self._step else ""
        if step.failed:
            why = content.get("error") or step.content
            end = (f"{self._bad} {label}{visible(str(why))[:2000]}", "bold red")
        else:
            end = (f"{self._good} {label}".rstrip(), "bold green")
        self.console.print(Text.assemble((f"{self._end} ", "dim"), end, (f"  {step.seconds:.2f} s", "dim")))
        if packages := content.get("packages_installed"):
            self.console.print(Text(f"  installed {visible_line(', '.join(map(str, packages)))}", style="magenta"))
        self.console.print()
        self.begin("waiting for the model")

    def _print_values(self, call: str, output: str) -> None:
        """Print what of the output did not come live: the value of the last expression."""
        printed = readable(self._printed.get(call, "")).rstrip("\n")
        rest = output.removeprefix(printed).strip("\n")
        if rest and output.startswith(printed):
            if not self._lines.get(call):
                self.console.print(Text(f"{self._middle} output", style="dim"))
            self._current, self._tail_stream = call, "stdout"
            self._print_output(rest)

    # --- the end

    def image(self, data: bytes) -> None:
        """Show an image where the terminal can."""
        how = graphics.protocol() if self.console.is_terminal else None
        if how and (sequence := graphics.shown(data, how)):
            live = self._live is not None
            self.pause()
            sys.stderr.write(sequence)
            sys.stderr.flush()
            if live:
                self.resume()

    # --- inside

    def _now(self) -> RenderableType:
        """Return what is shown below the last line: what is half there, and what goes on."""
        parts: list[RenderableType] = []
        if rest := self._words.rest:
            parts.append(_markdown(visible(rest)))
        if self._tail:
            parts.append(Beside(Text(readable(self._tail)[-_MAX_TAIL:]), self._bar))
        if self._doing:
            seconds = time.monotonic() - self._since
            self._spinner.update(text=Text(f"{self._doing}  {seconds:.0f} s", style="dim", no_wrap=True))
            parts.append(self._spinner)
        return Group(*parts)

    def _finish_words(self) -> None:
        if rest := self._words.finish():
            self._print_words(rest)

    def _print_words(self, text: str) -> None:
        text = visible(text.strip("\n"))
        shown = _markdown(text) if self.console.is_terminal else Text(text)
        self.console.print(shown)
        self.console.print()

    def _finish_tail(self) -> None:
        if self._tail:
            text, self._tail = self._tail, ""
            self._print_output(text)


def _markdown(text: str) -> Markdown:
    # Without hyperlinks: an address is seen, whatever text it stands behind.
    return Markdown(text, code_theme=_CODE_THEME, hyperlinks=False)
