/** Work that changes the whole process, though every thread asks for it. */
import { getEnvironmentData, isMainThread, setEnvironmentData } from 'node:worker_threads';

const works = ['image-loaders'] as const;
const key = 'once-per-process';
const fresh = 0;
const underWay = 1;
const done = 2;
/** A thread that died at it must not hold up the others for ever, ms. */
const patienceMs = 5_000;

// Node hands it on to every thread that is made from now on.
if (isMainThread) {
  setEnvironmentData(key, new Int32Array(new SharedArrayBuffer(works.length * Int32Array.BYTES_PER_ELEMENT)));
}

/**
 * Has `work` done by the first thread of the process that asks, and the others wait until it is. What it throws is thrown there, and
 * whoever asks next tries again. Blocks; not for the main thread of a server.
 */
export function oncePerProcess(name: (typeof works)[number], work: () => void): void {
  const state = getEnvironmentData(key) as Int32Array;
  const slot = works.indexOf(name);
  const settle = (to: number) => {
    Atomics.store(state, slot, to);
    Atomics.notify(state, slot);
  };
  for (;;) {
    const found = Atomics.compareExchange(state, slot, fresh, underWay);
    if (found === done) return;
    if (found === underWay && Atomics.wait(state, slot, underWay, patienceMs) !== 'timed-out') continue;
    try {
      work();
    } catch (error) {
      settle(fresh);
      throw error;
    }
    settle(done);
    return;
  }
}
