// The second thread of the JavaScript kernel: JSON lines from and to the guest daemon, and interrupts.

import { Session } from 'node:inspector/promises';
import { Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { parentPort, workerData } from 'node:worker_threads';

/** How long the main thread has to end an execution by itself. It can when the code waits in an `await`. */
const GRACE_MS = 10;

const channel = new Socket({ fd: workerData.fd, readable: true, writable: true });
const debuggee = new Session();
debuggee.connectToMainThread();

/** The id of the execution that the main thread works on, or null. */
let running = null;
/** Settles when no termination is under way. */
let calm = Promise.resolve();

parentPort.on('message', (message) => {
  if (message.type === 'done') running = null;
  channel.write(`${JSON.stringify(message)}\n`);
});

createInterface({ input: channel }).on('line', async (line) => {
  const request = JSON.parse(line);
  if (request.op === 'interrupt') {
    const id = running;
    if (id !== null) calm = calm.then(() => interrupt(id));
    return;
  }
  await calm;
  running = request.id;
  parentPort.postMessage(request);
});

async function interrupt(id) {
  while (running === id) {
    parentPort.postMessage({ op: 'interrupt', id });
    await sleep(GRACE_MS);
    if (running === id) await terminate();
  }
}

/** Throw the main thread out of the JavaScript it runs. */
async function terminate() {
  let consumed = false;
  debuggee.post('Runtime.terminateExecution').finally(() => (consumed = true));
  while (!consumed) {
    // V8 keeps a termination until it next runs JavaScript. Without this it could hit the next execution.
    parentPort.postMessage({ op: 'nothing' });
    await sleep(1);
  }
}

channel.on('close', () => parentPort.close());
