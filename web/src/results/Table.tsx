import { useMemo, useState } from "react";
import { plain } from "./ansi";

const PAGE = 50;
const COLUMNS = 60;

/** A dataframe: E2B's column → values. */
export function Table({ json }: { json: string }) {
  const columns = useMemo(() => parse(json), [json]);
  const [page, setPage] = useState(0);
  const [sort, setSort] = useState<{ column: number; down: boolean } | null>(null);
  const rows = Math.max(0, ...columns.map(([, values]) => values.length));
  const order = useMemo(() => {
    const all = Array.from({ length: rows }, (_, index) => index);
    const values = sort && columns[sort.column]?.[1];
    return values ? all.sort((a, b) => compare(values[a], values[b]) * (sort.down ? -1 : 1)) : all;
  }, [columns, rows, sort]);
  if (!columns.length) return <p className="quiet">An empty table.</p>;
  const shown = columns.slice(0, COLUMNS);
  const pages = Math.ceil(rows / PAGE);
  return (
    <div className="table-box">
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard. */}
      <section className="table-scroll" tabIndex={0} aria-label="Table">
        <table className="table">
          <thead>
            <tr>
              <th className="table-index">
                <span className="visually-hidden">Row</span>
              </th>
              {shown.map(([name], index) => (
                <th
                  key={index}
                  aria-sort={sort?.column === index ? (sort.down ? "descending" : "ascending") : undefined}
                >
                  <button
                    type="button"
                    onClick={() => setSort({ column: index, down: sort?.column === index && !sort.down })}
                  >
                    {plain(name)}
                    <span aria-hidden="true">{sort?.column === index ? (sort.down ? " ↓" : " ↑") : ""}</span>
                  </button>
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {order.slice(page * PAGE, (page + 1) * PAGE).map((row) => (
              <tr key={row}>
                <td className="table-index">{row}</td>
                {shown.map(([, values], index) => (
                  <td key={index} className={typeof values[row] === "number" ? "number" : undefined}>
                    {cell(values[row])}
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </section>
      <div className="table-foot quiet">
        {rows.toLocaleString()} rows × {columns.length} columns
        {columns.length > COLUMNS && `, the first ${COLUMNS} shown`}
        {pages > 1 && (
          <span className="pager">
            <button type="button" className="chip" disabled={page === 0} onClick={() => setPage(page - 1)}>
              Previous
            </button>
            {page + 1} / {pages}
            <button type="button" className="chip" disabled={page + 1 >= pages} onClick={() => setPage(page + 1)}>
              Next
            </button>
          </span>
        )}
      </div>
    </div>
  );
}

function parse(json: string): [string, unknown[]][] {
  try {
    const data: unknown = JSON.parse(json);
    if (typeof data !== "object" || data === null) return [];
    return Object.entries(data).filter((entry): entry is [string, unknown[]] => Array.isArray(entry[1]));
  } catch {
    return [];
  }
}

function cell(value: unknown): string {
  if (value === null || value === undefined) return "–";
  if (typeof value === "number") return Number.isInteger(value) ? String(value) : String(+value.toPrecision(8));
  return plain(typeof value === "string" ? value : JSON.stringify(value)).slice(0, 500);
}

function compare(a: unknown, b: unknown): number {
  if (a === b) return 0;
  if (a === null || a === undefined) return 1;
  if (b === null || b === undefined) return -1;
  if (typeof a === "number" && typeof b === "number") return a - b;
  return String(a) < String(b) ? -1 : 1;
}
