// The timers of the running execution, so that an interrupt can clear them: the loop in
// `for (;;) { ...; await new Promise((wake) => setTimeout(wake, 100)) }` would otherwise go on unseen.

const pending = new Set();

/** Wrap the global timer functions. Timers are kept until they have run, from `forgetTimers` to `clearTimers`. */
export function watchTimers() {
  for (const name of ['setTimeout', 'setInterval', 'setImmediate']) {
    const original = globalThis[name];
    const once = name !== 'setInterval';
    const watched = function (callback, ...rest) {
      if (typeof callback !== 'function') return original(callback, ...rest); // It throws.
      const run = function (...args) {
        if (once) pending.delete(timer);
        return callback.apply(this, args);
      };
      const timer = original(run, ...rest);
      pending.add(timer);
      return timer;
    };
    // Name, length, and the promise variant that util.promisify finds by a symbol.
    globalThis[name] = Object.defineProperties(watched, Object.getOwnPropertyDescriptors(original));
  }
}

/** An execution has ended: what it left running is meant to run. */
export const forgetTimers = () => pending.clear();

/** An execution was interrupted: nothing that it started by a timer goes on. */
export function clearTimers() {
  for (const timer of pending) {
    clearTimeout(timer); // Also clears an interval.
    clearImmediate(timer);
  }
  pending.clear();
}
