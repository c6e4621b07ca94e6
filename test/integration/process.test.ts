/** The operator as a process: configuration, health, leadership, signals. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, it, type TestContext } from 'node:test';
import { LEASE } from '../../operator/runtime/leader-election.ts';
import { Environment, eventually } from './environment.ts';

let environment: Environment;
before(async () => {
  environment = await Environment.start();
});
after(() => environment.stop());

interface Line {
  readonly msg?: string;
  readonly port?: number;
}

/** Starts operator/main.ts with the given environment on top of one that works. */
function start(t: TestContext, env: NodeJS.ProcessEnv) {
  const main = join(import.meta.dirname, '../../operator/main.ts');
  const child = spawn(process.execPath, [main], {
    env: {
      KUBECONFIG: environment.controlPlane.kubeconfigPath,
      INFERENCE_IMAGE: 'i:1',
      METRICS_PORT: '0',
      POD_NAMESPACE: 'default',
      ...env,
    },
  });
  t.after(() => child.kill('SIGKILL'));
  const said: Line[] = [];
  createInterface({ input: child.stdout }).on('line', (line) => said.push(JSON.parse(line) as Line));
  const complaints: string[] = [];
  child.stderr.on('data', (chunk) => complaints.push(String(chunk)));
  const line = (msg: string) => eventually(`it says ${msg}`, () => said.find((entry) => entry.msg === msg));
  // Once all that it said was read, too.
  const exited = once(child, 'close').then(([code]) => code as number | null);
  const get = async (path: string) => {
    const response = await fetch(`http://127.0.0.1:${(await line('started')).port}${path}`);
    return { status: response.status, text: await response.text() };
  };
  return { child, line, exited, get, complaints };
}

it('refuses a wrong configuration in one clear line', async (t) => {
  const { exited, complaints } = start(t, { INFERENCE_IMAGE: '', LOG_LEVEL: 'loud' });
  assert.equal(await exited, 2);
  assert.match(
    complaints.join(''),
    /^configuration from the environment: INFERENCE_IMAGE: .*; LOG_LEVEL: .*\n$/,
  );
});

it('leads, is healthy, hands over on SIGTERM and ends with 0', async (t) => {
  const first = start(t, { POD_NAME: 'first' });
  await first.line('leading');
  assert.equal((await first.get('/healthz')).status, 200);
  assert.equal((await first.get('/readyz')).status, 200);
  const { text } = await first.get('/metrics');
  assert.match(text, /^leader_election_master_status\{name="deepfake-operator"\} 1$/m);
  assert.match(text, /^reflector_lists_total\{kind="DeepfakeModel"\} 1$/m);

  const second = start(t, { POD_NAME: 'second' });
  await eventually('the standby is ready', async () => (await second.get('/readyz')).status === 200);
  assert.match(
    (await second.get('/metrics')).text,
    /^leader_election_master_status\{name="deepfake-operator"\} 0$/m,
  );
  first.child.kill('SIGTERM');
  assert.equal(await first.exited, 0);
  await second.line('leading');
  const lease = await environment.client.get(LEASE, { namespace: 'default', name: 'deepfake-operator' });
  assert.equal(lease.spec?.holderIdentity, 'second');

  await environment.client.patch(LEASE, lease.metadata, { spec: { holderIdentity: 'somebody' } });
  assert.equal(await second.exited, 1);
  await second.line('ending');
});
