/** A rollout from its first step to its undo, steered by `kubectl deepfake` alone. The operator runs; the test plays kubelet. */
import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import { COMMANDS } from '../../operator/cli/commands.ts';
import { EXIT, type ExitCode } from '../../operator/cli/errors.ts';
import { run } from '../../operator/cli/run.ts';
import { Environment, eventually } from './environment.ts';
import { digestOf, Pods, served, updateModel } from './rollout.ts';

let environment: Environment;
let operator: Awaited<ReturnType<Environment['runOperator']>>;
before(async () => {
  environment = await Environment.start();
  operator = await environment.runOperator();
});
after(async () => {
  await operator.stop();
  await environment.stop();
});

it('a canary is looked at, promoted, aborted, retried, promoted in full, undone and let go again', async (t) => {
  const namespace = await environment.namespace();
  const pods = new Pods(namespace);
  t.after(() => pods.stop());

  async function rollout(verb: string, ...words: string[]) {
    const written = { stdout: '', stderr: '' };
    const config = ['--kubeconfig', environment.controlPlane.kubeconfigPath, '-n', namespace.name];
    const code = await run(['rollout', verb, 'd', ...words, ...config], COMMANDS, {
      stdout: { write: (text) => (written.stdout += text) },
      stderr: { write: (text) => (written.stderr += text) },
      env: {},
      signal: t.signal,
    });
    return { code, ...written };
  }
  /** Done, and waited for as a script would. */
  async function ends(expected: ExitCode, verb: string, ...words: string[]): Promise<void> {
    const { code, stderr } = await rollout(verb, ...words);
    assert.equal(stderr, '');
    assert.equal(code, EXIT.ok);
    const waited = await rollout('status', '--timeout', '30s');
    assert.equal(waited.code, expected, waited.stdout + waited.stderr);
  }
  const steps = [{ setWeight: 25 }, { pause: {} }, { setWeight: 50 }, { pause: {} }];
  const first = await served(namespace, { replicas: 4, strategy: { canary: { steps } } });
  assert.equal((await rollout('status')).code, EXIT.ok);
  assert.match((await rollout('promote')).stderr, /^error: d is Healthy and serves revision \w+ alone/);

  await updateModel(namespace, 'm', digestOf('b'), '0.2.0');
  await namespace.untilDeployment('d', 'Paused');
  // A weight is verified in the pass after the one that sets it.
  const page = await eventually('a page with the weight', async () => {
    const { stdout } = await rollout('get');
    return /^Weight: +canary 25 %, actual 25 %$/m.test(stdout) ? stdout : undefined;
  });
  assert.match(page, /^Step: +2\/4 \(pause until promoted\)$/m);
  assert.match(page, /^Current: +\w+ \(m 0\.2\.0\)$/m);
  assert.match(page, new RegExp(`^Stable: +${first} \\(m 0\\.1\\.0\\)$`, 'm'));
  assert.match(page, /├─ revision \w+ .*current, m 0\.2\.0\n│ {2}└─ d-\w+ +Deployment +✔ 1\/1 ready/);

  await ends(EXIT.paused, 'promote');
  assert.match((await rollout('get')).stdout, /^Step: +4\/4 \(pause until promoted\)$/m);
  await ends(EXIT.degraded, 'abort');
  assert.match((await rollout('get')).stdout, /^Aborted: +\d+s ago, aborted by a person$/m);
  await ends(EXIT.paused, 'retry');
  await ends(EXIT.ok, 'promote', '--full');
  assert.match((await rollout('history')).stdout, /^\w+ +current, stable, last good +m 0\.2\.0 /m);

  await ends(EXIT.paused, 'undo');
  assert.match((await rollout('get')).stdout, new RegExp(`^Undo: +held at revision ${first} until`, 'm'));
  await ends(EXIT.ok, 'promote', '--full');
  const { stdout: history } = await rollout('history');
  assert.match(history, new RegExp(`^${first} +current, stable, last good, held +m 0\\.1\\.0 `, 'm'));
  await ends(EXIT.paused, 'undo', '--cancel');
  assert.match((await rollout('get')).stdout, /^Current: +\w+ \(m 0\.2\.0\)$/m);
});
