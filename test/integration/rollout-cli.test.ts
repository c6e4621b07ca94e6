/** The verbs of `kubectl deepfake rollout` against a real API server. No operator runs: the test writes status as one would. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { stripVTControlCharacters } from 'node:util';
import fc from 'fast-check';
import { stringify } from 'yaml';
import { run as runProgram } from '../../hack/lib/process.ts';
import { ensureBinaries } from '../../hack/lib/toolchain.ts';
import type { KindDefinition } from '../../operator/api/crd.ts';
import type { ModelDeploymentStatus } from '../../operator/api/model-deployment.ts';
import { LABEL } from '../../operator/api/names.ts';
import { COMMANDS } from '../../operator/cli/commands.ts';
import { EXIT, type ExitCode } from '../../operator/cli/errors.ts';
import { checkSchema, definitionOf } from '../../operator/cli/rollout/lint/schema.ts';
import type { RolloutView } from '../../operator/cli/rollout/view.ts';
import { run } from '../../operator/cli/run.ts';
import {
  DEEPFAKE_MODEL,
  DEPLOYMENT,
  type Deployment,
  MODEL_DEPLOYMENT,
  type ModelDeployment,
  POD,
  type Pod,
} from '../../operator/controllers/kinds.ts';
import { isInvalid, messageOf } from '../../operator/runtime/errors.ts';
import type { Applied, Kind } from '../../operator/runtime/object.ts';
import { refusedObjects } from '../fixtures/refused.ts';
import { spoiledSpecs } from '../fixtures/spoiled.ts';
import { Environment, eventually, type Namespace } from './environment.ts';

let environment: Environment;
before(async () => {
  environment = await Environment.start();
});
after(() => environment.stop());

function start(words: readonly string[], stdin = '') {
  const written = { stdout: '', stderr: '' };
  const stop = new AbortController();
  const ended = run([...words, '--kubeconfig', environment.controlPlane.kubeconfigPath], COMMANDS, {
    stdout: { write: (text) => (written.stdout += text) },
    stderr: { write: (text) => (written.stderr += text) },
    stdin: (async function* () {
      yield Buffer.from(stdin);
    })(),
    env: {},
    signal: stop.signal,
  });
  return {
    stdout: () => stripVTControlCharacters(written.stdout),
    stderr: () => written.stderr,
    interrupt: () => stop.abort(),
    ended,
  };
}

async function outcome(words: readonly string[], stdin?: string) {
  const running = start(words, stdin);
  const code = await running.ended;
  return { code, stdout: running.stdout(), stderr: running.stderr() };
}

const timeAgo = (seconds: number) =>
  new Date(Date.now() - seconds * 1000).toISOString().replace(/\.\d+Z/, 'Z');
const kept = (revision: string, version: string, letter: string, replicas: number) => ({
  revision,
  createdAt: timeAgo(600),
  replicas,
  ready: replicas,
  models: [{ name: 'm', version, digest: `sha256:${letter.repeat(64)}` }],
});

/** r3 waits at the second of three steps to replace r2. */
const PAUSED: Partial<ModelDeploymentStatus> = {
  phase: 'Paused',
  message: 'waits for a person',
  currentRevision: 'r3',
  stableRevision: 'r2',
  lastGoodRevision: 'r2',
  currentStepIndex: 1,
  controllerPause: true,
  pauseConditions: [{ reason: 'CanaryPauseStep', startTime: timeAgo(60) }],
  canary: { weights: { stable: 75, canary: 25, achieved: 25, verified: true } },
  revisions: [kept('r3', '0.3.0', 'c', 1), kept('r2', '0.2.0', 'b', 3), kept('r1', '0.1.0', 'a', 0)],
};

class Rollout {
  readonly namespace: Namespace;

  constructor(namespace: Namespace) {
    this.namespace = namespace;
  }

  static async paused(): Promise<Rollout> {
    const rollout = new Rollout(await environment.namespace());
    const steps = [{ setWeight: 25 }, { pause: {} }, { setWeight: 50 }];
    await rollout.namespace.deployment('d', { models: [{ name: 'm' }], strategy: { canary: { steps } } });
    await rollout.writes(PAUSED);
    return rollout;
  }

  async read(): Promise<ModelDeployment> {
    const found = await this.namespace.find(MODEL_DEPLOYMENT, 'd');
    assert.ok(found);
    return found;
  }

  /** What the operator would, of the spec as it is now. A member of null is taken out. */
  async writes(status: { readonly [Name in keyof ModelDeploymentStatus]?: unknown }): Promise<void> {
    const { generation } = (await this.read()).metadata;
    await this.namespace.patch(
      MODEL_DEPLOYMENT,
      'd',
      { status: { observedGeneration: generation, ...status } },
      'status',
    );
  }

  says(verb: string, ...words: string[]) {
    return outcome(['rollout', verb, 'd', '-n', this.namespace.name, ...words]);
  }

  /** A verb that makes no sense now: nothing is changed. */
  async refuses(verb: string, why: RegExp, ...words: string[]): Promise<void> {
    const { resourceVersion } = (await this.read()).metadata;
    const { code, stdout, stderr } = await this.says(verb, ...words);
    assert.match(stderr, why);
    assert.equal(code, EXIT.failed);
    assert.equal(stdout, '');
    assert.equal((await this.read()).metadata.resourceVersion, resourceVersion);
  }

  async does(verb: string, says: RegExp, ...words: string[]): Promise<ModelDeployment> {
    const { code, stdout, stderr } = await this.says(verb, ...words);
    assert.equal(stderr, '');
    assert.match(stdout, says);
    assert.equal(code, EXIT.ok);
    return this.read();
  }
}

const HEALTHY = { phase: 'Healthy', stableRevision: 'r3', currentStepIndex: 3, pauseConditions: null };

describe('promote', () => {
  it('ends a pause, and nothing else', async () => {
    const rollout = await Rollout.paused();
    const { status, spec, metadata } = await rollout.read();
    const after = await rollout.does(
      'promote',
      /^d promoted: it no longer waits at step 2\/3 \(.*CanaryPauseStep\)$/m,
    );
    const { pauseConditions: _, ...rest } = status ?? {};
    assert.deepEqual(after.status, rest);
    assert.deepEqual(after.spec, spec);
    assert.equal(after.metadata.generation, metadata.generation);
    const ours = after.metadata.managedFields?.filter(({ manager }) => manager === 'kubectl-deepfake');
    assert.equal(
      ours?.every(({ subresource }) => subresource === 'status'),
      true,
    );
    await rollout.refuses('promote', /waits for nobody: promote --full skips/);
  });

  it('--full skips the steps that are left', async () => {
    const rollout = await Rollout.paused();
    const { status } = await rollout.does('promote', /^d promoted in full: revision r3 takes over/, '--full');
    assert.equal(status?.promoteFull, true);
    assert.equal(status?.pauseConditions, undefined);
    await rollout.refuses('promote', /was promoted in full already/, '--full');
  });

  it('makes no sense while nothing is rolled out', async () => {
    const rollout = await Rollout.paused();
    await rollout.writes(HEALTHY);
    await rollout.refuses(
      'promote',
      /^error: d is Healthy and serves revision r3 alone: nothing is rolled out now; /,
    );
  });
});

describe('pause and resume', () => {
  it('add a reason to wait, and take that one out again', async () => {
    const rollout = await Rollout.paused();
    await rollout.refuses('resume', /not by a person: promote goes on/);
    const paused = await rollout.does('pause', /^d paused at step 2\/3/);
    assert.deepEqual(
      paused.status?.pauseConditions?.map(({ reason }) => reason),
      ['CanaryPauseStep', 'PausedByUser'],
    );
    await rollout.refuses('pause', /was paused by a person at/);
    const resumed = await rollout.does('resume', /waits still because of CanaryPauseStep/);
    assert.deepEqual(resumed.status?.pauseConditions, PAUSED.pauseConditions);
  });
});

describe('abort and retry', () => {
  it('set the boolean, and take it back', async () => {
    const rollout = await Rollout.paused();
    await rollout.refuses('retry', /was not aborted: there is nothing to retry/);
    assert.equal((await rollout.does('abort', /requests go back to revision r2/)).status?.abort, true);
    await rollout.writes({ phase: 'Degraded', abortedAt: timeAgo(0), pauseConditions: null });
    await rollout.refuses('abort', /^error: d is Degraded .* was aborted already: retry takes it up again$/m);
    await rollout.refuses('promote', /the rollout was aborted; retry it/);
    assert.equal((await rollout.does('retry', /revision r3 begins again/)).status?.abort, false);
  });

  it('of several at once one aborts, and the others see that it has', async () => {
    const rollout = await Rollout.paused();
    const all = await Promise.all(Array.from({ length: 5 }, () => rollout.says('abort')));
    assert.deepEqual(all.map(({ code }) => code).sort(), [EXIT.ok, ...Array(4).fill(EXIT.failed)]);
    for (const { code, stderr } of all) {
      if (code !== EXIT.ok) assert.match(stderr, /was aborted already/);
    }
  });

  it('a verb gets through while the operator writes status at every pass', async () => {
    const rollout = await Rollout.paused();
    const stop = new AbortController();
    const writing = (async () => {
      for (let pass = 0; !stop.signal.aborted; pass += 1) await rollout.writes({ message: `pass ${pass}` });
    })();
    await rollout.does('pause', /^d paused/);
    stop.abort();
    await writing;
    const reasons = (await rollout.read()).status?.pauseConditions?.map(({ reason }) => reason);
    assert.deepEqual(reasons, ['CanaryPauseStep', 'PausedByUser']);
  });

  it('before the operator has seen a change of the spec it is too early', async () => {
    const rollout = await Rollout.paused();
    await rollout.namespace.patch(MODEL_DEPLOYMENT, 'd', { spec: { replicas: 4 } });
    await rollout.refuses('abort', /the operator has not looked at its latest change yet/);
  });
});

describe('undo', () => {
  it('sets spec.rollbackTo, and takes it out again', async () => {
    const rollout = await Rollout.paused();
    await rollout.refuses('undo', /revision r9 is not kept: kept are r3, r2, r1/, '--to-revision', 'r9');
    await rollout.refuses('undo', /spec\.rollbackTo is not set/, '--cancel');
    const { spec } = await rollout.does('undo', /^d goes back to revision r2/);
    assert.equal(spec.rollbackTo, 'r2');
    const to = ['--to-revision', 'r1'];
    await rollout.refuses('undo', /has not looked at its latest change yet/, ...to);
    await rollout.writes({ currentRevision: 'r2', phase: 'Healthy', pauseConditions: null });
    assert.equal((await rollout.does('undo', /^d goes back to revision r1/, ...to)).spec.rollbackTo, 'r1');
    const cancelled = await rollout.does('undo', /^d no longer held at revision r1/, '--cancel');
    assert.equal(cancelled.spec.rollbackTo, undefined);
    const both = await rollout.says('undo', '--cancel', ...to);
    assert.equal(both.code, EXIT.usage);
  });

  it('completes the revisions that are kept', async () => {
    const { namespace } = await Rollout.paused();
    const config = ['--kubeconfig', environment.controlPlane.kubeconfigPath];
    const words = ['rollout', 'undo', 'd', '-n', namespace.name, ...config, '--to-revision', ''];
    let stdout = '';
    await run(['__complete', ...words], COMMANDS, {
      stdout: { write: (text) => (stdout += text) },
      stderr: { write: () => undefined },
      env: {},
      signal: new AbortController().signal,
    });
    assert.equal(stdout, 'r3\nr2\nr1\n:4\n');
  });
});

describe('history', () => {
  it('lists the kept revisions', async () => {
    const rollout = await Rollout.paused();
    const { stdout } = await rollout.says('history');
    assert.match(stdout, /^REVISION +ROLE +MODELS +DIGESTS +READY +AGE$/m);
    assert.match(stdout, /^r2 +stable, last good +m 0\.2\.0 +sha256:b{12} +3\/3 +10m$/m);
    const json = JSON.parse((await rollout.says('history', '-o', 'json')).stdout);
    assert.deepEqual(json[0].roles, ['current']);
    await rollout.writes({ revisions: null });
    assert.match((await rollout.says('history')).stdout, /^no revisions are kept/);
  });
});

describe('get', () => {
  /** Plays the operator and the controllers of Kubernetes: a revision's Deployment with one pod. */
  async function revisionWithPod({ name: namespace }: Namespace, revision: string): Promise<void> {
    const labels = { [LABEL.modelDeployment]: 'd', [LABEL.revision]: revision };
    const spec = { containers: [{ name: 'inference', image: 'i' }] };
    const template = { metadata: { labels }, spec };
    const metadata = { name: `d-${revision}`, namespace, labels };
    await environment.client.create(DEPLOYMENT, {
      metadata,
      spec: { replicas: 1, selector: { matchLabels: labels }, template },
    } as unknown as Deployment);
    const pod = {
      metadata: { ...metadata, name: `d-${revision}-x1` },
      spec: { ...spec, nodeName: 'node-1' },
    };
    await environment.client.create(POD, pod as unknown as Pod);
  }

  it('shows both revisions with their pods, and is the same object for programs', async () => {
    const rollout = await Rollout.paused();
    await revisionWithPod(rollout.namespace, 'r2');
    await revisionWithPod(rollout.namespace, 'r3');
    const { code, stdout } = await rollout.says('get');
    assert.equal(code, EXIT.ok);
    assert.match(stdout, /^Step: +2\/3 \(pause until promoted\)$/m);
    assert.match(stdout, /^Weight: +canary 25 %, actual 25 %$/m);
    assert.match(
      stdout,
      /^├─ revision r3 .* current, m 0\.3\.0\n│ {2}└─ d-r3 +Deployment .*\n│ {5}└─ d-r3-x1 +Pod /m,
    );
    assert.match(
      stdout,
      /^└─ revision r2 .* stable, m 0\.2\.0\n {3}└─ d-r2 +Deployment .*\n {6}└─ d-r2-x1 +Pod /m,
    );
    const view = JSON.parse((await rollout.says('get', '-o', 'json')).stdout) as RolloutView;
    assert.deepEqual(
      view.revisions.map(({ revision, pods }) => [revision, pods.length]),
      [
        ['r3', 1],
        ['r2', 1],
      ],
    );
  });

  it('--watch shows a verb when it is carried out', async () => {
    const rollout = await Rollout.paused();
    const watching = start(['rollout', 'get', 'd', '-n', rollout.namespace.name, '--watch']);
    await eventually('the first page', () => /^Paused: +CanaryPauseStep/m.test(watching.stdout()));
    await rollout.says('abort');
    await eventually('the abort', () => /^Aborted: +now$/m.test(watching.stdout()));
    watching.interrupt();
    assert.equal(await watching.ended, EXIT.ok);
    assert.equal(watching.stderr(), '');
  });

  it('of nothing says so', async () => {
    const { name } = await environment.namespace();
    for (const verb of ['get', 'status', 'history', 'abort']) {
      const { code, stderr } = await outcome(['rollout', verb, 'd', '-n', name]);
      assert.equal(stderr, `error: there is no ModelDeployment d in namespace ${name}\n`);
      assert.equal(code, EXIT.failed);
    }
  });
});

describe('status', () => {
  const ends: readonly [string, object, ExitCode][] = [
    ['Healthy', HEALTHY, EXIT.ok],
    [
      'Degraded',
      { phase: 'Degraded', abort: true, abortedAt: timeAgo(0), pauseConditions: null },
      EXIT.degraded,
    ],
    ['Paused', {}, EXIT.paused],
  ];
  for (const [phase, status, expected] of ends) {
    it(`waits until it is ${phase}`, async () => {
      const rollout = await Rollout.paused();
      await rollout.writes({ phase: 'Progressing', message: 'goes on', currentStepIndex: 0 });
      const waiting = start(['rollout', 'status', 'd', '-n', rollout.namespace.name]);
      await eventually('the first line', () =>
        /^Progressing at step 1\/3 .*: goes on$/m.test(waiting.stdout()),
      );
      await rollout.writes({ ...PAUSED, ...status });
      assert.equal(await waiting.ended, expected);
      assert.match(waiting.stdout(), new RegExp(`^${phase}`, 'm'));
    });
  }

  it('ends at once where it is over already', async () => {
    const rollout = await Rollout.paused();
    assert.equal((await rollout.says('status')).code, EXIT.paused);
  });

  it('ends with --timeout, an interrupt, and with the deployment', async () => {
    const rollout = await Rollout.paused();
    await rollout.writes({ phase: 'Progressing' });
    const late = await rollout.says('status', '--timeout', '200ms');
    assert.equal(late.code, EXIT.progressing);
    assert.equal(late.stderr, 'it was not over after 200ms\n');
    const words = ['rollout', 'status', 'd', '-n', rollout.namespace.name];
    const interrupted = start(words);
    await eventually('the first line', () => interrupted.stdout() !== '');
    interrupted.interrupt();
    assert.equal(await interrupted.ended, EXIT.interrupted);
    const deleted = start(words);
    await eventually('the first line', () => deleted.stdout() !== '');
    await rollout.namespace.delete(MODEL_DEPLOYMENT, 'd');
    assert.equal(await deleted.ended, EXIT.failed);
  });
});

const KINDS = [MODEL_DEPLOYMENT, DEEPFAKE_MODEL] as const;

describe('lint', () => {
  it('reads standard input, and ends with 1 where there are errors', async () => {
    const object = {
      apiVersion: 'deepfake-operator.io/v1alpha1',
      kind: 'ModelDeployment',
      metadata: { name: 'd' },
      spec: { models: [{ name: 'a' }], strategy: { canary: { steps: [{ setWeight: 0 }] } } },
    };
    const warned = await outcome(['rollout', 'lint', '-'], stringify(object));
    assert.match(warned.stdout, /^stdin:11:11: warning: .*\n0 errors, 1 warning\n$/);
    assert.equal(warned.code, EXIT.ok);
    const wrong = await outcome(['rollout', 'lint', '-', '-o', 'json'], stringify({ ...object, spec: {} }));
    assert.equal(wrong.code, EXIT.failed);
    const [report] = JSON.parse(wrong.stdout);
    assert.deepEqual([report.file, report.line, report.severity], ['stdin', 5, 'error']);
    const absent = await outcome(['rollout', 'lint', '/nowhere/x.yaml']);
    assert.match(absent.stderr, /^error: \/nowhere\/x\.yaml cannot be read: ENOENT/);
    assert.equal(absent.code, EXIT.failed);
  });

  for (const { what, object } of refusedObjects) {
    it(`refuses what the API server refuses: ${what}`, async () => {
      const directory = await ensureBinaries(['kubectl'], (line) => process.stderr.write(`${line}\n`));
      const words = ['create', '--dry-run=server', '--validate=strict', '-f', '-'];
      const created = runProgram(
        join(directory, 'kubectl'),
        [`--kubeconfig=${environment.controlPlane.kubeconfigPath}`, ...words],
        { input: JSON.stringify(object) },
      );
      await assert.rejects(created, /is invalid|unknown field/);
    });
  }

  it('agrees with the API server about objects of which one part is anything at all', async () => {
    const { name: namespace } = await environment.namespace();
    let made = 0;
    await fc.assert(
      fc.asyncProperty(spoiledSpecs, async ({ object }) => {
        made += 1;
        const kind = KINDS.find((each) => each.kind === object.kind) as Kind;
        const metadata = { name: `a${made}`, namespace };
        const { findings } = checkSchema(definitionOf(object) as KindDefinition, { ...object, metadata });
        // An apply refuses fields that are not there, as kubectl has the API server do.
        const refused = await environment.client
          .apply(kind, { ...object, metadata } as Applied, { fieldManager: 'test' })
          .then(
            () => undefined,
            (error: unknown) => {
              if (isInvalid(error)) return messageOf(error);
              throw error;
            },
          );
        assert.equal(findings.length > 0, refused !== undefined, JSON.stringify({ refused, findings }));
      }),
      { numRuns: 250 },
    );
  });
});
