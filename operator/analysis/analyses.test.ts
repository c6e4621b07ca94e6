import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { modelDeploymentStatus } from '../api/model-deployment.ts';
import { LABEL } from '../api/names.ts';
import type { AnalysisRun } from '../api/rollout/analysis.ts';
import { aModelDeployment, IMAGE } from '../controllers/builders.ts';
import type { Job, Pod } from '../controllers/kinds.ts';
import { FakeClock } from '../runtime/fake-clock.ts';
import { Analyses, type AnalysesInput, type AnalysesOutput } from './analyses.ts';

const START = Date.parse('2026-01-01T00:00:00Z');

const aServingPod = (name: string): Pod =>
  ({
    metadata: { name, uid: name },
    spec: { containers: [{ name: 'inference', ports: [{ name: 'http', containerPort: 8080 }] }] },
    status: {
      podIP: '10.0.0.1',
      conditions: [{ type: 'Ready', status: 'True' }],
      containerStatuses: [{ restartCount: 0 }],
    },
  }) as unknown as Pod;

const errorRate = { name: 'errors', interval: '1m', builtin: { metric: 'errorRate', max: 0.05 } };
const restarts = { name: 'restarts', builtin: { metric: 'restarts', max: 0 } };
const queue = { name: 'queue', builtin: { metric: 'queueAge', max: 5 } };
const probe = { name: 'auc', probeSet: { configMap: { name: 'media' }, minAuc: 0.9 } };

const strategyOf = (steps: readonly (readonly object[])[], background?: readonly object[]) => ({
  strategy: {
    canary: {
      steps: steps.map((metrics) => ({ analysis: { metrics } })),
      ...(background ? { analysis: { metrics: background } } : {}),
    },
  },
});

/** A rollout whose passes keep what they were told, as status does. */
class World {
  readonly clock = new FakeClock(START);
  /** What pods say at /metrics, by name; a promise that never ends is a pod that hangs. */
  readonly said = new Map<string, string | Promise<string> | Error>();
  jobs: Job[] = [];
  jobPods: Pod[] = [];
  analysis: readonly AnalysisRun[] = [];
  asked = 0;
  analyses = this.restarted();
  input: Omit<AnalysesInput, 'previous' | 'probeJobs' | 'probePods'>;

  constructor(spec: object, wanted: AnalysesInput['wanted']) {
    this.input = {
      owner: aModelDeployment(spec),
      wanted,
      canary: { revision: 'new', pods: [aServingPod('canary')], url: 'http://d-canary.ns.svc' },
      stable: { revision: 'old', pods: [aServingPod('stable')], url: 'http://d-stable.ns.svc' },
      image: IMAGE,
      signal: new AbortController().signal,
    };
  }

  /** Another process, which has only what status holds. */
  restarted(): Analyses {
    const ask = async ({ metadata }: Pod) => {
      this.asked += 1;
      const said = await (this.said.get(metadata.name) ?? '');
      if (said instanceof Error) throw said;
      return said;
    };
    return new Analyses({ clock: this.clock, ask });
  }

  says(pod: string, ok: number, failed: number): void {
    const route = 'route="/analyze"';
    this.said.set(
      pod,
      `process_start_time_seconds 1\ndeepfake_requests_total{${route},code="200"} ${ok}\ndeepfake_requests_total{${route},code="500"} ${failed}\n`,
    );
  }

  async pass(changes: Partial<AnalysesInput> = {}): Promise<AnalysesOutput> {
    const output = await this.analyses.run({
      ...this.input,
      previous: this.analysis,
      probeJobs: this.jobs,
      probePods: this.jobPods,
      ...changes,
    });
    this.analysis = output.analysis;
    modelDeploymentStatus.parse({ canary: { analysis: output.analysis } });
    return output;
  }

  phases = () => this.analysis.map(({ id, phase }) => `${id} ${phase}`);
}

const step0 = [{ id: 'step-0', step: 0 }];
const background = [{ id: 'background', step: undefined }];

describe('analyses', () => {
  test('measure at once what needs no time, and end', async () => {
    const world = new World(strategyOf([[restarts]]), step0);
    const { outcomes, lookAgainInMs } = await world.pass();
    assert.deepEqual(outcomes, [{ id: 'step-0', phase: 'Successful', message: '' }]);
    assert.equal(lookAgainInMs, undefined);
    assert.equal(world.analysis[0]?.revision, 'new');
  });

  test('that have ended stay as they are', async () => {
    const world = new World(strategyOf([[restarts]]), step0);
    await world.pass();
    const before = world.analysis;
    world.clock.advance(3_600_000);
    await world.pass();
    assert.deepEqual(world.analysis, before);
  });

  test('wait for the initial delay', async () => {
    const world = new World(strategyOf([[{ ...restarts, initialDelay: '90s' }]]), step0);
    assert.equal((await world.pass()).lookAgainInMs, 90_000);
    world.clock.advance(60_000);
    assert.equal((await world.pass()).lookAgainInMs, 30_000);
    world.clock.advance(30_000);
    await world.pass();
    assert.deepEqual(world.phases(), ['step-0 Successful']);
  });

  test('of a rate look twice, and then at what happened between', async () => {
    const world = new World(strategyOf([], [errorRate]), background);
    world.says('canary', 1000, 900);
    assert.equal((await world.pass()).lookAgainInMs, 60_000);
    assert.equal(world.analysis[0]?.metrics?.[0]?.phase, 'Pending');
    world.clock.advance(30_000);
    assert.equal((await world.pass()).lookAgainInMs, 30_000, 'a pass in between measures nothing');
    world.says('canary', 1099, 901);
    world.clock.advance(30_000);
    assert.equal((await world.pass()).lookAgainInMs, 60_000);
    const [measurement] = world.analysis[0]?.metrics?.[0]?.measurements ?? [];
    assert.deepEqual(
      [measurement?.phase, measurement?.value],
      ['Successful', '{"canary":0.01,"requests":100}'],
    );
    world.says('canary', 1150, 950);
    world.clock.advance(60_000);
    const { outcomes } = await world.pass();
    assert.equal(outcomes[0]?.phase, 'Failed');
    assert.match(
      outcomes[0]?.message ?? '',
      /^errors: failed \(1\) > failureLimit \(0\): errorRate is 0\.49/,
    );
  });

  test('of a rate begin anew in another process, which costs time and no verdict', async () => {
    const world = new World(strategyOf([], [errorRate]), background);
    world.says('canary', 0, 0);
    await world.pass();
    world.clock.advance(60_000);
    world.says('canary', 0, 500);
    world.analyses = world.restarted();
    assert.equal((await world.pass()).lookAgainInMs, 60_000);
    assert.deepEqual(world.phases(), ['background Running']);
    world.clock.advance(60_000);
    world.says('canary', 100, 500);
    await world.pass();
    assert.equal(world.analysis[0]?.metrics?.[0]?.successful, 1);
  });

  test('with too few requests are inconclusive, never a success', async () => {
    const world = new World(strategyOf([[errorRate]]), step0);
    world.says('canary', 0, 0);
    await world.pass();
    world.clock.advance(60_000);
    world.says('canary', 19, 0);
    const { outcomes } = await world.pass();
    assert.equal(outcomes[0]?.phase, 'Inconclusive');
    assert.match(outcomes[0]?.message ?? '', /19 requests, fewer than minCount 20/);
  });

  test('ask a pod once for several metrics', async () => {
    const world = new World(strategyOf([[errorRate, queue, { ...queue, name: 'again' }]]), step0);
    world.said.set('canary', 'deepfake_queue_age_seconds{priority="batch"} 1\n');
    await world.pass();
    assert.equal(world.asked, 1);
  });

  test('that cannot be taken are errors, and tried again', async () => {
    const world = new World(strategyOf([[queue]]), step0);
    world.said.set('canary', new Error('connection refused'));
    for (let errors = 1; errors <= 5; errors += 1) {
      const { lookAgainInMs, outcomes } = await world.pass();
      assert.equal(outcomes[0]?.phase, errors > 4 ? 'Error' : 'Running');
      if (errors <= 4) assert.equal(lookAgainInMs, 10_000);
      world.clock.advance(10_000);
    }
    assert.match(world.analysis[0]?.message ?? '', /errors in a row \(5\).*pod canary: connection refused/);
  });

  test('of a revision without pods are errors', async () => {
    const world = new World(strategyOf([[queue]]), step0);
    await world.pass({ canary: { ...world.input.canary, pods: [] } });
    assert.equal(world.analysis[0]?.metrics?.[0]?.message, 'no pod of revision new takes requests');
  });

  test('do not hold up a pass, and are collected by a later one', async () => {
    const world = new World(strategyOf([[queue, restarts]]), step0);
    const answer = Promise.withResolvers<string>();
    world.said.set('canary', answer.promise);
    const passing = world.pass();
    await new Promise((resolve) => setImmediate(resolve));
    world.clock.advance(2_000);
    assert.equal((await passing).lookAgainInMs, 1_000);
    assert.deepEqual(
      world.analysis[0]?.metrics?.map(({ name, phase }) => `${name} ${phase}`),
      ['queue Pending', 'restarts Successful'],
    );
    answer.resolve('deepfake_queue_age_seconds{priority="batch"} 9\n');
    world.clock.advance(1_000);
    await world.pass();
    assert.deepEqual(world.phases(), ['step-0 Failed']);
    assert.equal(world.asked, 1);
  });

  test('end when the pass does', async () => {
    const world = new World(strategyOf([[queue]]), step0);
    world.said.set('canary', new Promise<string>(() => undefined));
    const aborting = new AbortController();
    const passing = world.pass({ signal: aborting.signal });
    const reason = new Error('leadership lost');
    aborting.abort(reason);
    await assert.rejects(passing, reason);
  });

  test('that nobody wants any more are ended and kept', async () => {
    const world = new World(strategyOf([[restarts]], [errorRate]), [...background, ...step0]);
    world.says('canary', 0, 0);
    await world.pass();
    assert.deepEqual(world.phases(), ['background Running', 'step-0 Successful']);
    const { outcomes } = await world.pass({ wanted: step0 });
    assert.deepEqual(world.phases(), ['background Inconclusive', 'step-0 Successful']);
    assert.deepEqual(
      outcomes.map(({ id }) => id),
      ['step-0'],
    );
  });

  test('of another revision begin anew', async () => {
    const world = new World(strategyOf([[restarts]]), step0);
    await world.pass();
    world.clock.advance(60_000);
    await world.pass({ canary: { ...world.input.canary, revision: 'newer' } });
    assert.deepEqual(
      world.analysis.map(({ revision, startedAt }) => [revision, startedAt]),
      [['newer', '2026-01-01T00:01:00Z']],
    );
  });

  test('that were taken out of status begin anew', async () => {
    const world = new World(strategyOf([[queue]]), step0);
    world.said.set('canary', 'deepfake_queue_age_seconds{priority="batch"} 9\n');
    await world.pass();
    assert.deepEqual(world.phases(), ['step-0 Failed']);
    world.said.set('canary', 'deepfake_queue_age_seconds{priority="batch"} 0\n');
    await world.pass({ previous: [] });
    assert.deepEqual(world.phases(), ['step-0 Successful']);
  });

  const broken = [
    {
      name: 'a step without an analysis',
      spec: strategyOf([[restarts]]),
      wanted: [{ id: 'step-7', step: 7 }],
      message: /^the spec has no analysis in step 7$/,
    },
    {
      name: 'no analysis in the background',
      spec: strategyOf([[restarts]]),
      wanted: background,
      message: /no analysis in the background/,
    },
    {
      name: 'a condition that makes no sense',
      spec: strategyOf([
        [{ name: 'p', successCondition: 'result >', prometheus: { address: 'http://p', query: 'up' } }],
      ]),
      wanted: step0,
      message: /^p: successCondition: Unexpected token/,
    },
    {
      name: 'a model that is not served',
      spec: strategyOf([[{ name: 'd', drift: { model: 'x', maxKs: 0.1 } }]]),
      wanted: step0,
      message: /^d: model x is none of spec\.models$/,
    },
  ];
  for (const { name, spec, wanted, message } of broken) {
    test(`of ${name} are in error at once`, async () => {
      const { outcomes } = await new World(spec, wanted).pass();
      assert.equal(outcomes[0]?.phase, 'Error');
      assert.match(outcomes[0]?.message ?? '', message);
    });
  }

  test('before a switch measure what the spec asks for there', async () => {
    const spec = { strategy: { blueGreen: { prePromotionAnalysis: { metrics: [restarts] } } } };
    const { outcomes } = await new World(spec, [{ id: 'step-1', step: 1 }]).pass();
    assert.equal(outcomes[0]?.phase, 'Successful');
  });

  test('without a stable revision compare nothing', async () => {
    const metrics = [{ name: 'drift', drift: { maxKs: 0.1 } }];
    const world = new World(strategyOf([metrics]), step0);
    const { outcomes } = await world.pass({ stable: undefined });
    assert.deepEqual(
      [outcomes[0]?.phase, /no stable revision/.test(outcomes[0]?.message ?? '')],
      ['Inconclusive', true],
    );
  });

  test('are as many as status takes, the oldest of those that ended going first', async () => {
    const world = new World(strategyOf([[restarts]]), step0);
    const previous = Array.from(
      { length: 34 },
      (_, index): AnalysisRun => ({
        id: `step-${index + 1}`,
        revision: 'new',
        phase: 'Successful',
        startedAt: '2026-01-01T00:00:00Z',
      }),
    );
    await world.pass({ previous });
    assert.deepEqual(
      [world.analysis.length, world.analysis[0]?.id, world.analysis.at(-1)?.id],
      [34, 'step-2', 'step-0'],
    );
  });
});

describe('a probe set', () => {
  const finished = (job: Job, message: string): [Job, Pod] => [
    {
      ...job,
      metadata: { ...job.metadata, uid: 'uid-job' },
      status: {
        conditions: [{ type: 'Complete', status: 'True', lastTransitionTime: '2026-01-01T00:00:00Z' }],
      },
    } as unknown as Job,
    {
      metadata: {
        name: 'x',
        ownerReferences: [{ kind: 'Job', name: 'j', uid: 'uid-job', controller: true }],
      },
      status: {
        containerStatuses: [{ name: 'probe', state: { terminated: { exitCode: 0, message } } }],
      },
    } as unknown as Pod,
  ];
  const side = { version: '1', scored: 20, inconclusive: 0, unanswered: 0, auc: 0.95, accuracy: 0.9 };
  const report = (auc: number) =>
    JSON.stringify({
      files: 20,
      compared: 20,
      canary: { ...side, auc },
      stable: side,
      maxScoreChange: 0,
      flips: 0,
      worst: [],
    });

  test('is measured by a Job that is made once, and made again while it is not there', async () => {
    const world = new World(strategyOf([[probe]]), step0);
    const first = await world.pass();
    assert.equal(first.createJobs.length, 1);
    assert.equal(first.lookAgainInMs, 15_000);
    const name = first.createJobs[0]?.metadata.name;
    const again = await world.pass();
    assert.deepEqual(
      again.createJobs.map(({ metadata }) => metadata.name),
      [name],
    );
    world.jobs = [...first.createJobs];
    const seen = await world.pass();
    assert.deepEqual([seen.createJobs, seen.deleteJobs, seen.outcomes[0]?.phase], [[], [], 'Running']);
  });

  for (const [auc, phase] of [
    [0.95, 'Successful'],
    [0.5, 'Failed'],
  ] as const) {
    test(`with an AUC of ${auc} is ${phase}`, async () => {
      const world = new World(strategyOf([[probe]]), step0);
      const [job] = (await world.pass()).createJobs;
      assert.ok(job);
      const [done, pod] = finished(job, report(auc));
      world.jobs = [done];
      world.jobPods = [pod, { ...pod, metadata: { name: 'other' } }];
      const { outcomes, deleteJobs } = await world.pass();
      assert.equal(outcomes[0]?.phase, phase);
      assert.deepEqual(deleteJobs, [], 'people may want to read what it said');
    });
  }

  test('that could not be measured is tried again by another Job', async () => {
    const world = new World(strategyOf([[probe]]), step0);
    const [job] = (await world.pass()).createJobs;
    assert.ok(job);
    const [done, pod] = finished(job, '{"error":{"reason":"NothingAnswered","message":"nobody"}}');
    [world.jobs, world.jobPods] = [[done], [pod]];
    const failed = await world.pass();
    assert.deepEqual([failed.createJobs, failed.lookAgainInMs], [[], 10_000]);
    assert.equal(world.analysis[0]?.metrics?.[0]?.message, 'NothingAnswered: nobody');
    world.clock.advance(10_000);
    const [next] = (await world.pass()).createJobs;
    assert.ok(next && next.metadata.name !== job.metadata.name);
  });

  test('whose Job has ended and whose pod is not seen yet waits for it', async () => {
    const world = new World(strategyOf([[probe]]), step0);
    const [job] = (await world.pass()).createJobs;
    assert.ok(job);
    world.jobs = [finished(job, '')[0]];
    const { outcomes, lookAgainInMs } = await world.pass();
    assert.deepEqual([outcomes[0]?.phase, lookAgainInMs], ['Running', 2_000]);
  });

  test('is given up, Job and all, when another metric fails, or nobody wants it', async () => {
    const world = new World(strategyOf([[probe, queue]]), step0);
    world.said.set('canary', new Error('not yet'));
    const { createJobs } = await world.pass();
    world.jobs = [...createJobs];
    world.said.set('canary', 'deepfake_queue_age_seconds{priority="batch"} 9\n');
    world.clock.advance(10_000);
    const { outcomes, deleteJobs } = await world.pass();
    assert.deepEqual([outcomes[0]?.phase, deleteJobs], ['Failed', [createJobs[0]?.metadata.name]]);

    const other = new World(strategyOf([[probe]]), step0);
    other.jobs = [...(await other.pass()).createJobs];
    assert.equal((await other.pass({ wanted: [] })).deleteJobs.length, 1);
  });

  test('leaves Jobs alone that are not its own', async () => {
    const world = new World(strategyOf([[restarts]]), step0);
    world.jobs = [{ metadata: { name: 'fetch', labels: { [LABEL.fetch]: 'x' } } } as unknown as Job];
    assert.deepEqual((await world.pass()).deleteJobs, []);
  });
});
