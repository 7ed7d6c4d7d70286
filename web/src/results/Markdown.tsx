import { marked, type Token, type Tokens } from "marked";
import { Fragment, memo, type ReactNode, useMemo } from "react";
import { plain } from "./ansi";
import { highlighted } from "./highlight";

const MOST = 200_000;

/**
 * Markdown as React elements: no HTML is ever parsed, so raw HTML in it is text. Links lead only to http, https and
 * mail; images are links, since nothing is loaded from elsewhere.
 */
export const Markdown = memo(function Markdown({ text }: { text: string }) {
  const tokens = useMemo(() => (text.length > MOST ? null : marked.lexer(text, { gfm: true })), [text]);
  if (!tokens) return <pre className="text">{text.slice(0, MOST)}</pre>;
  return <div className="markdown">{nodes(tokens)}</div>;
});

function nodes(tokens: readonly Token[] | undefined): ReactNode {
  return tokens?.map((token, index) => <Fragment key={index}>{node(token)}</Fragment>);
}

function node(token: Token): ReactNode {
  switch (token.type) {
    case "space":
    case "def":
      return null;
    case "heading":
      return heading(token as Tokens.Heading);
    case "paragraph":
      return <p>{nodes(token.tokens)}</p>;
    case "code":
      return <CodeBlock code={token.text} language={token.lang ?? ""} />;
    case "blockquote":
      return <blockquote>{nodes(token.tokens)}</blockquote>;
    case "list":
      return list(token as Tokens.List);
    case "table":
      return table(token as Tokens.Table);
    case "hr":
      return <hr />;
    case "strong":
      return <strong>{nodes(token.tokens)}</strong>;
    case "em":
      return <em>{nodes(token.tokens)}</em>;
    case "del":
      return <del>{nodes(token.tokens)}</del>;
    case "codespan":
      return <code>{plain(token.text)}</code>;
    case "br":
      return <br />;
    case "link":
      return link(token.href, nodes(token.tokens));
    case "image":
      return link(token.href, `Image: ${plain(token.text || token.href)}`);
    case "escape":
      return plain(token.text);
    case "text":
      return "tokens" in token && token.tokens ? nodes(token.tokens) : plain(token.text);
    default:
      // Raw HTML, and what later versions bring: as it was written.
      return plain(token.raw);
  }
}

function heading(token: Tokens.Heading): ReactNode {
  // Inside a page that has its own first heading.
  const Level = (["h3", "h4", "h5", "h6"] as const)[Math.min(token.depth - 1, 3)] ?? "h6";
  return <Level>{nodes(token.tokens)}</Level>;
}

function list(token: Tokens.List): ReactNode {
  const items = token.items.map((item, index) => (
    <li key={index}>
      {item.task && <input type="checkbox" checked={item.checked === true} disabled aria-label="Task" />}
      {nodes(item.tokens)}
    </li>
  ));
  return token.ordered ? <ol start={Number(token.start) || 1}>{items}</ol> : <ul>{items}</ul>;
}

function table(token: Tokens.Table): ReactNode {
  return (
    <div className="table-scroll">
      <table className="table">
        <thead>
          <tr>
            {token.header.map((cell, index) => (
              <th key={index}>{nodes(cell.tokens)}</th>
            ))}
          </tr>
        </thead>
        <tbody>
          {token.rows.map((row, index) => (
            <tr key={index}>
              {row.map((cell, column) => (
                <td key={column}>{nodes(cell.tokens)}</td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function link(href: string, children: ReactNode): ReactNode {
  if (!isSafe(href)) return children;
  return (
    <a href={href} target="_blank" rel="noopener noreferrer nofollow">
      {children}
    </a>
  );
}

function isSafe(href: string): boolean {
  try {
    return ["http:", "https:", "mailto:"].includes(new URL(href).protocol);
  } catch {
    return false;
  }
}

/** Code that is only read, with its words coloured; editing it takes Monaco. */
export function CodeBlock({ code, language }: { code: string; language: string }) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard.
    <pre className="code-block" tabIndex={0}>
      <code>{highlighted(code, language)}</code>
    </pre>
  );
}
