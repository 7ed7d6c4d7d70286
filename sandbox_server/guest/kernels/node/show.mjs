// What a cell shows: values as Node's REPL prints them, errors with the user's own lines, and the `$$` helpers.

import { isNativeError } from 'node:util/types';
import { inspect } from 'node:util';

import { cellMeta, importFromCell } from './source.mjs';

/** The event fields of E2B's results, by the name of the `$$` helper and, as `_toHtml`, of an object's own method. */
const FORMATS = ['html', 'markdown', 'svg', 'png', 'jpeg', 'pdf', 'latex', 'json', 'javascript', 'text'];

/** Binary formats travel in base64; helpers take that or the bytes. */
const encode = (data) => (data instanceof Uint8Array ? Buffer.from(data).toString('base64') : data);

/** The global `$$`: `$$.html('<b>x</b>')`, `$$.png(bytes)`, … show something beside the cell's value. */
export function displayHelpers(send) {
  const helpers = { import: importFromCell };
  for (const format of FORMATS) {
    helpers[format] = (data) => send({ type: 'result', is_main_result: false, [format]: encode(data) });
  }
  Object.defineProperty(helpers, 'meta', { get: cellMeta });
  return Object.freeze(helpers);
}

/** The event for a cell's value. */
export function resultEvent(value) {
  const event = { type: 'result', is_main_result: true, text: textOf(value) };
  for (const format of FORMATS) {
    const method = `_to${format[0].toUpperCase()}${format.slice(1)}`;
    if (typeof value?.[method] === 'function') event[format] = encode(value[method]());
  }
  return event;
}

/** As Node's REPL; but E2B takes the quotes off a string that is the whole result, and that one is not cut. */
function textOf(value) {
  if (typeof value === 'string') return inspect(value, { maxStringLength: Infinity }).slice(1, -1);
  return inspect(value, { showProxy: true });
}

/** The event for what a cell threw; `where` is { code, sourceURL, line, column } (from 0; none when not yet run). */
export function errorEvent(error, where) {
  if (!isNativeError(error)) return { type: 'error', name: 'Uncaught', value: inspect(error), traceback: '' };
  const traceback = (error instanceof SyntaxError && syntaxError(error, where)) || stackOf(error);
  return { type: 'error', name: String(error.name), value: String(error.message), traceback };
}

/** The stack of an error, its properties and causes, without the frames below user code. */
export function stackOf(error) {
  if (!isNativeError(error)) return undefined;
  for (const part of [error, error.cause, ...(Array.isArray(error.errors) ? error.errors : [])]) trimStack(part);
  return inspect(error);
}

function trimStack(error) {
  if (!isNativeError(error) || typeof error.stack !== 'string') return;
  const lines = error.stack.split('\n');
  const stack = lines.filter((line) => !/^\s+at .*(node:|\/kernels\/node\/)/.test(line)).join('\n');
  Reflect.defineProperty(error, 'stack', { value: stack, writable: true, configurable: true, enumerable: false });
}

/** A syntax error of the cell itself, with the line it is in; none for one that the cell's code threw. */
function syntaxError(error, { code, sourceURL, line, column }) {
  const [message] = error.stack.split(/\n\s+at /);
  if (error.code === 'ERR_INVALID_TYPESCRIPT_SYNTAX') return `${sourceURL}${message}`; // It begins with ":LINE".
  if (line === undefined || error.stack.includes(sourceURL)) return undefined;
  const source = code.split('\n');
  const early = source[line] === undefined; // "Unexpected end of input" is behind the last line.
  const [row, indent] = early ? [source.length - 1, source.at(-1).length] : [line, column];
  return `${sourceURL}:${row + 1}\n${source[row]}\n${' '.repeat(indent)}^\n${message}`;
}
