// The main thread of the JavaScript/TypeScript kernel: user code runs here, in V8's REPL mode.
//
//   node main.mjs NODE_MODULES      (the folder with acorn; the channel's descriptor is in SANDLOOP_FDS)
//
// A second thread (channel.mjs) holds the channel to the guest daemon, so that an interrupt arrives while user code
// keeps this one busy. Requests come from it as messages:
//   { op: 'execute', id, code, env, language: 'javascript' | 'typescript' }     { op: 'interrupt', id }
// and these go back, to be sent on:
//   { type: 'result' | 'error', ... } (E2B's events), and { type: 'done', id } when the execution is over.

import { Session } from 'node:inspector';
import process from 'node:process';
import { inspect } from 'node:util';
import { promiseHooks } from 'node:v8';
import { Worker } from 'node:worker_threads';

import { displayHelpers, errorEvent, resultEvent, stackOf } from './show.mjs';
import { bindModules, prepare } from './source.mjs';
import { clearTimers, forgetTimers, watchTimers } from './timers.mjs';

const fd = Number(process.env.SANDLOOP_FDS);
delete process.env.SANDLOOP_FDS;
const channel = new Worker(new URL('channel.mjs', import.meta.url), { workerData: { fd }, execArgv: [] });
const send = (message) => channel.postMessage(message);
const leave = process.reallyExit.bind(process);
channel.on('exit', () => leave(1));

const inspector = new Session();
inspector.connect();
function post(method, params, beforehand) {
  const { promise, resolve, reject } = Promise.withResolvers();
  beforehand?.();
  inspector.post(method, params, (error, answer) => (error ? reject(error) : resolve(answer)));
  return promise;
}

/** What process.exit() throws: it ends the execution, not the kernel. */
class ProcessExit extends Error {
  name = 'ProcessExit';

  constructor(code) {
    super(`process.exit(${code}) was called; the session goes on`);
    this.code = code;
  }
}

/** The running execution: { id, restore() }, or null. */
let current = null;

/** What the inspector calls with a user's value, by reference: it never leaves this thread. */
const show = {
  result: (value) => value !== undefined && send(resultEvent(value)),
  error: (value, where) => fail(value, JSON.parse(where)),
};
globalThis.show = show;
const { result: showHandle } = await post('Runtime.evaluate', { expression: 'globalThis.show' });
delete globalThis.show;

/** Call `show.result` or `show.error` inside the inspector: a termination ends that call and nothing else of ours. */
function callShow(method, ...values) {
  return post('Runtime.callFunctionOn', {
    objectId: showHandle.objectId,
    functionDeclaration: `function (...values) { this.${method}(...values); }`,
    arguments: values.map(({ objectId, unserializableValue, value }) =>
      objectId ? { objectId } : unserializableValue ? { unserializableValue } : { value },
    ),
  });
}

function fail(error, where) {
  if (!(error instanceof ProcessExit)) send(errorEvent(error, where));
  else if (error.code !== 0) send({ type: 'error', name: error.name, value: error.message, traceback: '' });
}

function finish(id) {
  if (current?.id !== id) return;
  current.restore();
  current = null;
  forgetTimers();
  send({ type: 'done', id });
}

function withEnv(env) {
  const before = Object.entries(env).map(([name]) => [name, process.env[name]]);
  Object.assign(process.env, env);
  return () => {
    for (const [name, value] of before) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
  };
}

async function execute({ id, code, env, language }) {
  const sourceURL = `cell-${id}.${language === 'typescript' ? 'ts' : 'js'}`;
  current = { id, restore: withEnv(env) };
  try {
    bindModules();
    await run(id, prepare(code, language), { code, sourceURL });
  } catch (error) {
    // A termination that hits the inspector's own call. Other errors are those of `prepare`: TypeScript's syntax.
    if (error.code === 'ERR_INSPECTOR_COMMAND') interrupted(id);
    else if (current?.id === id) fail(error, { code, sourceURL });
  }
  finish(id);
}

async function run(id, script, where) {
  const objectGroup = where.sourceURL;
  let answer = await evaluate(`${script}\n//# sourceURL=${where.sourceURL}`, objectGroup);
  if (current?.id !== id) return; // Interrupted while it waited: nobody expects its value.
  // To show a value is to run its own code: getters, custom inspection.
  if (!answer.exceptionDetails) answer = await callShow('result', answer.result);
  const details = answer.exceptionDetails;
  if (details?.exception) {
    const place = { ...where, line: details.lineNumber, column: details.columnNumber };
    answer = await callShow('error', details.exception, { value: JSON.stringify(place) });
  }
  if (answer.exceptionDetails) interrupted(id);
  post('Runtime.releaseObjectGroup', { objectGroup });
}

/** The promises of cells that have not settled; some never will. */
const unsettled = new Set();

/** Evaluate in REPL mode: `let` again, top-level `await`, the last statement's value. */
async function evaluate(expression, objectGroup) {
  // When the collector finds the cell's promise unreachable, as for `await new Promise(() => {})`, the inspector calls
  // back in the middle of the collection, and Node aborts. The promise is the first that the evaluation makes: hold it.
  let held;
  const holdFirstPromise = () => {
    const stop = promiseHooks.onInit((promise) => {
      stop();
      unsettled.add((held = promise));
    });
  };
  try {
    return await post('Runtime.evaluate', { expression, objectGroup, replMode: true }, holdFirstPromise);
  } finally {
    unsettled.delete(held);
  }
}

function interrupted(id) {
  if (current?.id !== id) return;
  clearTimers();
  send({ type: 'error', name: 'Interrupted', value: 'the execution was interrupted', traceback: '' });
  finish(id);
}

channel.on('message', (request) => {
  if (request.op === 'execute') execute(request);
  else if (request.op === 'interrupt') interrupted(request.id);
});

process.exit = (code = process.exitCode ?? 0) => {
  const exit = new ProcessExit(code);
  if (current) {
    fail(exit);
    finish(current.id);
  }
  throw exit;
};

// Errors of timers, callbacks and promises that nobody awaits: they belong to no execution's result.
function uncaught(error) {
  // A termination shows up here as well when it hits a call that the inspector makes for us.
  const ours = error instanceof ProcessExit || error?.code === 'ERR_INSPECTOR_COMMAND';
  if (!ours) process.stderr.write(`Uncaught ${stackOf(error) ?? inspect(error)}\n`);
}
process.on('uncaughtException', uncaught);
process.on('unhandledRejection', uncaught);

watchTimers();
Object.defineProperty(globalThis, '$$', { value: displayHelpers(send) });
send({ type: 'ready' });
