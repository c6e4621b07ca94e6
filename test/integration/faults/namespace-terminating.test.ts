/** A namespace that goes away at any point of the first passes: everything goes with it, and the operator comes to rest. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { eventually, NAMESPACE } from '../environment.ts';
import { before as beforeCall, nthWrite } from './fault-proxy.ts';
import { deploy, Stage } from './stage.ts';

let stage: Stage;
before(async () => {
  stage = await Stage.open({ controllerManager: true });
});
after(() => stage.close());

describe('a namespace that terminates', { concurrency: true }, () => {
  for (const n of [1, 2, 3, 4, 5, 6, 7, 8]) {
    it(`before write ${n} of the operator goes, and no pass fails or is repeated for it`, async (t) => {
      const { namespace, start } = await stage.scene(t, { pods: false });
      const { name } = namespace;
      const terminate = async () => {
        await stage.environment.client.delete(NAMESPACE, { name });
        await eventually('it is terminating or gone', async () => {
          const found = await stage.environment.client.find(NAMESPACE, { name });
          return found?.metadata.deletionTimestamp !== undefined || found === undefined;
        });
      };
      const operator = await start({ rule: beforeCall(nthWrite(n), terminate) });
      await operator.untilReady();
      await deploy(namespace);
      const gone = async () => (await stage.environment.client.find(NAMESPACE, { name })) === undefined;
      await eventually('the namespace is gone', gone, 120_000);
      const wrote = operator.proxy.writes.length;
      assert.ok(wrote >= n, `${wrote} writes`);
      await sleep(1_500);
      assert.equal(operator.proxy.writes.length, wrote);
      const failed = /reconcile_total\{[^}]*result="(terminal_)?error"[^}]*\} [1-9].*/;
      assert.doesNotMatch(await operator.metrics.registry.metrics(), failed);
    });
  }
});
