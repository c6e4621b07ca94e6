/** A rollout in a simulated cluster, behaviour by behaviour. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { RevisionObservation, RolloutInput } from './contract.ts';
import { Simulation } from './simulation.ts';
import { advance } from './state.ts';

const metrics = [{ name: 'm', builtin: { metric: 'errorRate', max: 0.1 } }];
const endless = [{ name: 'm', interval: '10s', builtin: { metric: 'errorRate', max: 0.1 } }];
const trafficRouting = { gatewayAPI: { httpRoute: 'route' } };
const untilPromoted = { pause: {} };

type Changes = Readonly<Record<string, unknown>>;
interface Given {
  readonly replicas?: number;
  readonly spec?: Changes;
}

/** Ten pods of v1 that serve, unless said otherwise; v2 is asked for. */
function rollout(strategy: Changes, { replicas = 10, spec = {} }: Given = {}): Simulation {
  const simulation = new Simulation({ replicas, strategy, ...spec });
  simulation.settle();
  simulation.wanted = 'v2';
  simulation.nowMs += 60_000;
  return simulation;
}

const shared = (steps: object[], more: Changes = {}, given: Given = {}) =>
  rollout({ canary: { steps, ...more } }, given);
const routed = (steps: object[], more: Changes = {}, given: Given = {}) =>
  rollout({ canary: { steps, trafficRouting, ...more } }, given);
const blueGreen = (more: Changes = {}, given: Given = {}) => rollout({ blueGreen: more }, given);

const revise = (simulation: Simulation, revision: string) => {
  simulation.wanted = revision;
  simulation.nowMs += 60_000;
  return simulation;
};
const promote = (simulation: Simulation) => {
  simulation.write({ pauseConditions: undefined });
  return simulation.settle();
};
const abort = (simulation: Simulation) => {
  simulation.write({ abort: true });
  return simulation.settle();
};
const forget = (simulation: Simulation) => {
  simulation.status = undefined;
};
const lose = (simulation: Simulation, revision: string, count: number) => {
  const pods = simulation.revisions.get(revision);
  assert.ok(pods, revision);
  pods.available -= count;
};
const ended = ({ status }: Simulation) => [status?.completion?.status, status?.completion?.revision];
/** What is decided where something else is seen of v2, or of all. */
const seeing = (
  simulation: Simulation,
  canary: Partial<RevisionObservation>,
  more: Partial<RolloutInput['observation']> = {},
) => {
  const input = simulation.input();
  const revisions = input.observation.revisions.map((pods) =>
    pods.revision === 'v2' ? { ...pods, ...canary } : pods,
  );
  return advance({ ...input, observation: { ...input.observation, revisions, ...more } });
};
const reasons = ({ events }: Simulation) => events.map(({ reason }) => reason);
const paused = ({ status }: Simulation) => (status?.pauseConditions ?? []).map(({ reason }) => reason);
const weight = ({ traffic }: Simulation) => [traffic.stable, traffic.canary, traffic.weight];

describe('the first revision', () => {
  it('skips the steps, and is stable once it serves in full', () => {
    const it = new Simulation({
      replicas: 3,
      strategy: { canary: { steps: [{ setWeight: 20 }, untilPromoted] } },
    });
    it.pass();
    assert.equal(it.status?.stableRevision, undefined);
    it.settle();
    assert.deepEqual(
      [it.status?.stableRevision, it.status?.currentStepIndex, it.status?.phase],
      ['v1', 2, 'Healthy'],
    );
    assert.deepEqual(ended(it), ['Promoted', 'v1']);
  });

  it('has nothing to go back to: an abort is told, and changes nothing', () => {
    const it = new Simulation({ replicas: 3, strategy: { canary: { steps: [{ setWeight: 20 }] } } });
    it.health = () => 'crashing';
    it.settle();
    abort(it);
    assert.deepEqual([it.status?.abort, it.pods, it.status?.phase], [undefined, { v1: 3 }, 'Degraded']);
    assert.ok(reasons(it).includes('NothingToAbort'));
  });

  it('that never served gives way to the next without steps', () => {
    const it = new Simulation({
      replicas: 3,
      strategy: { canary: { steps: [{ setWeight: 20 }, untilPromoted] } },
    });
    it.health = (revision) => (revision === 'v1' ? 'crashing' : 'good');
    it.settle();
    assert.equal(it.status?.phase, 'Degraded');
    revise(it, 'v2').settle();
    assert.deepEqual(
      [it.status?.stableRevision, it.status?.phase, it.pods],
      ['v2', 'Healthy', { v1: 0, v2: 3 }],
    );
  });

  it('that serves in part keeps its requests while the next takes the steps', () => {
    const it = new Simulation({
      replicas: 4,
      strategy: { canary: { trafficRouting, steps: [{ setWeight: 50 }, untilPromoted] } },
    });
    it.pass();
    it.tick(1000, 1);
    it.health = (revision) => (revision === 'v1' ? 'stuck' : 'good');
    const first = it.revisions.get('v1');
    assert.ok(first);
    first.health = 'stuck';
    revise(it, 'v2').settle();
    assert.deepEqual([it.status?.stableRevision, it.traffic.stable, it.traffic.weight], ['v1', 'v1', 50]);
  });
});

describe('requests of a canary', () => {
  it('are none while not all of its pods are ready', () => {
    const it = routed([{ setWeight: 50 }, untilPromoted]);
    it.pass();
    for (let pass = 0; pass < 4; pass++) {
      it.tick(1000, 1);
      it.pass();
      assert.equal(it.traffic.weight, 0, `${it.revisions.get('v2')?.available} of 5 ready`);
    }
    it.settle();
    assert.equal(it.traffic.weight, 50);
  });

  it('stay at the last weight while pods for the next one come', () => {
    const it = routed([{ setWeight: 20 }, { setWeight: 60 }, untilPromoted]);
    const seen = new Set<number | undefined>();
    for (let pass = 0; pass < 12; pass++) {
      it.pass();
      seen.add(it.traffic.weight);
      it.tick(1000, 1);
    }
    assert.deepEqual([...seen], [0, 20, 60]);
  });

  it('stay where they are when a pod is lost, and are none without any', () => {
    const it = routed([{ setWeight: 50 }, untilPromoted]).settle();
    lose(it, 'v2', 2);
    it.pass();
    assert.equal(it.traffic.weight, 50);
    lose(it, 'v2', 3);
    it.pass();
    assert.equal(it.traffic.weight, 0);
    assert.equal(it.settle().traffic.weight, 50);
  });

  it('wait for the router before the step is done', () => {
    const it = routed([{ setWeight: 50 }, untilPromoted]);
    it.slowRouter = true;
    it.pass();
    it.tick();
    it.pass();
    assert.deepEqual([it.traffic.weight, it.traffic.verified, it.status?.currentStepIndex], [50, false, 0]);
    const { status, lookAgainInMs } = it.pass();
    assert.deepEqual([status.currentStepIndex, lookAgainInMs], [0, 10_000]);
    it.tick();
    assert.equal(it.pass().status.currentStepIndex, 1);
  });

  it('stay with the stable pods that a router may still send them to', () => {
    const it = routed([{ setWeight: 50 }, untilPromoted], { dynamicStableScale: true });
    it.slowRouter = true;
    it.stuckRouter = true;
    for (let pass = 0; pass < 5; pass++) {
      it.pass();
      it.tick();
    }
    assert.deepEqual([it.traffic.weight, it.pods], [50, { v1: 10, v2: 5 }]);
    it.stuckRouter = false;
    assert.deepEqual(it.settle().pods, { v1: 5, v2: 5 });
  });

  it('are none where a step takes all pods, before they go', () => {
    const it = routed([
      { setWeight: 20 },
      untilPromoted,
      { setCanaryScale: { replicas: 0 } },
      untilPromoted,
    ]).settle();
    it.write({ pauseConditions: undefined });
    assert.deepEqual([it.pass().traffic?.canaryWeight, it.pods['v2']], [0, 2]);
    assert.deepEqual([it.settle().pods['v2'], it.status?.currentStepIndex], [0, 3]);
  });

  it('go to stable pods that are there for them when a step lowers the weight', () => {
    const it = routed([{ setWeight: 80 }, { setWeight: 10 }, untilPromoted], { dynamicStableScale: true });
    const weights: (number | undefined)[] = [];
    for (let pass = 0; pass < 40 && it.status?.phase !== 'Paused'; pass++) {
      it.pass();
      const stable = it.revisions.get('v1')?.available ?? 0;
      weights.push(it.traffic.weight);
      assert.ok(
        stable >= 10 - Math.ceil((it.traffic.weight ?? 0) / 10),
        `${stable} stable pods at ${it.traffic.weight}`,
      );
      it.tick(1000, 1);
    }
    assert.equal(weights.at(-1), 10);
  });

  it('behind one Service come when all canaries of a stage are ready, and stable pods go then', () => {
    const it = shared([{ setWeight: 50 }, untilPromoted], { maxSurge: 3 });
    it.pass();
    assert.deepEqual(it.pods, { v1: 10, v2: 3 });
    it.tick(1000, 2);
    assert.deepEqual([it.pass().traffic?.canaryWeight, it.pods], [0, { v1: 10, v2: 3 }]);
    it.tick();
    assert.equal(it.pass().traffic?.canaryWeight, 23);
    assert.deepEqual(it.pods, { v1: 10, v2: 3 });
    it.tick();
    it.pass();
    assert.deepEqual(it.pods, { v1: 7, v2: 3 });
    it.settle();
    assert.deepEqual(
      [it.pods, it.status?.canary?.weights],
      [
        { v1: 5, v2: 5 },
        { stable: 50, canary: 50, achieved: 50, verified: true },
      ],
    );
  });

  it('behind one Service are told as they are where pods cannot make the weight', () => {
    const it = shared([{ setWeight: 10 }, untilPromoted], {}, { replicas: 2 }).settle();
    assert.deepEqual(it.status?.canary?.weights, { stable: 90, canary: 10, achieved: 33.3, verified: true });
  });

  it('by header and mirror are those of the steps, to a service that selects it', () => {
    const match = [{ headerName: 'x-tester', exact: 'yes' }];
    const it = routed([
      { setCanaryScale: { replicas: 1 } },
      { setHeaderRoute: { name: 'testers', match } },
      { setMirrorRoute: { name: 'shadow', percentage: 20 } },
      untilPromoted,
    ]);
    it.settle();
    const { traffic } = it.pass();
    assert.deepEqual(traffic?.headerRoutes, [{ name: 'testers', match }]);
    assert.deepEqual(traffic?.mirrorRoutes, [{ name: 'shadow', percentage: 20 }]);
    assert.deepEqual([traffic?.canaryWeight, it.pods], [0, { v1: 10, v2: 1 }]);
    assert.deepEqual(abort(it).pass().traffic?.headerRoutes, []);
  });
});

describe('routes of a first step', () => {
  it('wait for a pod, and for a service that selects it', () => {
    const it = routed([{ setMirrorRoute: { name: 'shadow' } }, untilPromoted]);
    const mirrors = () => it.pass().traffic?.mirrorRoutes.length;
    assert.equal(mirrors(), 0);
    assert.equal(
      seeing(
        it,
        { desired: 1, replicas: 1, available: 1 },
        { traffic: { ...it.input().observation.traffic, canary: undefined } },
      ).traffic?.mirrorRoutes.length,
      0,
    );
    it.settle();
    assert.equal(mirrors(), 1);
    lose(it, 'v2', 1);
    assert.equal(mirrors(), 0);
  });
});

describe('steps', () => {
  it('of no pods are taken', () => {
    for (const it of [
      shared([{ setWeight: 20 }, { setWeight: 60 }], {}, { replicas: 0 }),
      routed([{ setWeight: 20 }, { setCanaryScale: { weight: 50 } }], {}, { replicas: 0 }),
      blueGreen({}, { replicas: 0 }),
    ]) {
      assert.deepEqual([it.settle().status?.stableRevision, it.status?.phase], ['v2', 'Healthy']);
    }
  });

  it('that set the canary to no pods are done, and give it no requests', () => {
    const it = routed([{ setCanaryScale: { replicas: 0 } }, { setWeight: 30 }, untilPromoted]).settle();
    assert.deepEqual([it.status?.currentStepIndex, it.traffic.weight, it.pods], [2, 0, { v1: 10, v2: 0 }]);
  });

  it('scale the canary apart from its weight, and back to it', () => {
    const it = routed([
      { setCanaryScale: { replicas: 3 } },
      untilPromoted,
      { setCanaryScale: { weight: 50 } },
      untilPromoted,
      { setWeight: 10 },
      untilPromoted,
      { setCanaryScale: { matchTrafficWeight: true } },
      untilPromoted,
    ]).settle();
    const seen = [it.pods['v2']];
    for (let step = 0; step < 3; step++) seen.push(promote(it).pods['v2']);
    assert.deepEqual(seen, [3, 5, 5, 1]);
    assert.equal(promote(it).status?.stableRevision, 'v2');
  });

  it('are taken with the pods that an autoscaler adds for the load', () => {
    const autoscaling = { minReplicas: 10, maxReplicas: 40 };
    for (const it of [
      shared([{ setWeight: 20 }, untilPromoted], {}, { replicas: 1, spec: { autoscaling } }),
      routed([{ setWeight: 20 }, untilPromoted], {}, { replicas: 1, spec: { autoscaling } }),
    ]) {
      it.replicas = 10;
      it.autoscale('v1', 14).autoscale('v2', 3);
      assert.deepEqual([it.settle().status?.currentStepIndex, it.pods], [1, { v1: 14, v2: 3 }]);
      assert.equal(promote(it).status?.stableRevision, 'v2');
    }
  });

  it('that others replace begin again, at their weight', () => {
    const it = routed([{ setWeight: 60 }, untilPromoted]).settle();
    it.respec({
      strategy: { canary: { trafficRouting, steps: [{ setWeight: 10 }, untilPromoted, { setWeight: 70 }] } },
    });
    it.settle();
    assert.deepEqual(
      [it.status?.currentStepIndex, it.traffic.weight, paused(it)],
      [1, 10, ['CanaryPauseStep']],
    );
    assert.equal(it.status?.completion?.revision, 'v1');
  });

  it('that others replace where nothing is rolled out change nothing', () => {
    const it = routed([{ setWeight: 60 }]).run();
    const { completion, stableRevision } = it.status ?? {};
    it.respec({ strategy: { canary: { trafficRouting, steps: [{ setWeight: 1 }, untilPromoted] } } });
    it.settle();
    assert.deepEqual(
      [it.status?.completion, it.status?.stableRevision, it.status?.currentStepIndex],
      [completion, stableRevision, 2],
    );
  });

  it('that a person jumped over leave no pause behind', () => {
    const it = routed([untilPromoted, { setWeight: 20 }, untilPromoted]).settle();
    it.write({ currentStepIndex: 1 });
    it.settle();
    assert.deepEqual([it.status?.currentStepIndex, paused(it)], [2, ['CanaryPauseStep']]);
  });
});

describe('a pause', () => {
  it('ends by its time', () => {
    const it = routed([
      { setWeight: 20 },
      { pause: { duration: '10m' } },
      { setWeight: 40 },
      untilPromoted,
    ]).settle();
    assert.deepEqual([it.status?.phase, paused(it)], ['Paused', ['CanaryPauseStep']]);
    const { lookAgainInMs = 0 } = it.pass();
    assert.ok(lookAgainInMs > 500_000 && lookAgainInMs <= 600_000, `${lookAgainInMs}`);
    it.nowMs += lookAgainInMs;
    assert.deepEqual([it.settle().status?.currentStepIndex, it.traffic.weight], [3, 40]);
  });

  it('ends by a person, and only the step that waits is done', () => {
    const it = routed([{ setWeight: 20 }, untilPromoted, untilPromoted, { setWeight: 40 }]).settle();
    assert.equal(promote(it).status?.currentStepIndex, 2);
    assert.deepEqual([it.status?.phase, paused(it)], ['Paused', ['CanaryPauseStep']]);
    assert.equal(promote(it).status?.stableRevision, 'v2');
  });

  it('of its own that a person adds holds everything, and is not the step that waits', () => {
    const it = routed([
      { setWeight: 20 },
      { pause: { duration: '10s' } },
      { setWeight: 40 },
      untilPromoted,
    ]).settle();
    const own = { reason: 'PausedByUser' as const, startTime: '2026-01-01T00:00:00Z' };
    it.write({ pauseConditions: [...(it.status?.pauseConditions ?? []), own] });
    it.nowMs += 60_000;
    assert.deepEqual([it.settle().status?.currentStepIndex, it.pass().lookAgainInMs], [1, undefined]);
    it.write({
      pauseConditions: it.status?.pauseConditions?.filter(({ reason }) => reason !== 'PausedByUser'),
    });
    assert.equal(it.settle().status?.currentStepIndex, 3);
  });

  it('in the spec keeps a new revision without pods, and lets others scale', () => {
    for (const it of [shared([{ setWeight: 20 }]), routed([{ setWeight: 20 }]), blueGreen()]) {
      it.respec({ paused: true });
      it.settle();
      assert.deepEqual([it.pods, it.status?.phase], [{ v1: 10, v2: 0 }, 'Paused']);
      it.respec({ replicas: 14 });
      assert.deepEqual(it.settle().pods, { v1: 14, v2: 0 });
      it.respec({ paused: false });
      assert.equal(it.run().status?.stableRevision, 'v2');
    }
  });

  it('in the spec does not hold what is served', () => {
    const it = routed([]).run();
    it.respec({ paused: true });
    assert.equal(it.settle().status?.phase, 'Healthy');
  });

  it('lets both revisions scale with the wanted number', () => {
    for (const [it, counts] of [
      [shared([{ setWeight: 20 }, untilPromoted]), { v1: 16, v2: 4 }],
      [routed([{ setWeight: 20 }, untilPromoted]), { v1: 20, v2: 4 }],
      [routed([{ setWeight: 20 }, untilPromoted], { dynamicStableScale: true }), { v1: 16, v2: 4 }],
    ] as const) {
      it.settle().respec({ replicas: 20 });
      assert.deepEqual([it.settle().pods, it.status?.phase], [counts, 'Paused']);
    }
  });

  it('of a person lets both revisions scale, too', () => {
    const own = { reason: 'PausedByUser' as const, startTime: '2026-01-01T00:00:00Z' };
    for (const [it, counts] of [
      [shared([{ setWeight: 20 }, untilPromoted]), { v1: 16, v2: 4 }],
      [routed([{ setWeight: 20 }, untilPromoted]), { v1: 20, v2: 4 }],
    ] as const) {
      it.settle().write({ pauseConditions: [own] });
      it.respec({ replicas: 20 });
      assert.deepEqual(
        [it.settle().pods, it.traffic.weight, paused(it)],
        [counts, 20, ['PausedByUser', 'CanaryPauseStep']],
      );
    }
  });

  it('longer than progressDeadlineSeconds is no lack of progress', () => {
    const it = routed(
      [{ setWeight: 20 }, { pause: { duration: '1h' } }],
      {},
      { spec: { progressDeadlineSeconds: 30 } },
    );
    it.settle();
    it.nowMs += 1_800_000;
    assert.equal(it.settle().status?.phase, 'Paused');
    for (const pods of it.revisions.values()) pods.late = true;
    assert.equal(it.settle().status?.phase, 'Paused');
  });
});

describe('promotion', () => {
  it('turns the stable service first, then the weight, and pods of the old revision go after a time', () => {
    const it = routed([{ setWeight: 50 }], { scaleDownDelaySeconds: 60 });
    const seen: unknown[] = [];
    for (let pass = 0; pass < 20; pass++) {
      it.pass();
      const state = JSON.stringify([...weight(it), it.pods['v1']]);
      if (seen.at(-1) !== state) seen.push(state);
      it.tick();
    }
    assert.deepEqual(
      seen.slice(-3).map((state) => JSON.parse(String(state))),
      [
        ['v2', 'v2', 100, 10],
        ['v2', 'v2', 0, 10],
        ['v2', null, 0, 10],
      ],
    );
    assert.deepEqual([it.status?.phase, it.status?.lastGoodRevision], ['Healthy', 'v2']);
    it.nowMs += 60_000;
    assert.deepEqual(it.settle().pods, { v1: 0, v2: 10 });
  });

  it('waits until the new revision serves in full', () => {
    const it = routed([]);
    it.pass();
    it.tick();
    lose(it, 'v2', 1);
    it.pass();
    assert.deepEqual([it.status?.stableRevision, it.traffic.weight], ['v1', 0]);
  });

  it('in full leaves out pauses and analyses, and follows the pods', () => {
    const it = routed([untilPromoted, { analysis: { metrics } }, { setWeight: 20 }, untilPromoted]).settle();
    it.verdict = () => 'Failed';
    it.write({ promoteFull: true });
    const weights: (number | undefined)[] = [];
    for (let pass = 0; pass < 20; pass++) {
      it.pass();
      const ready = it.revisions.get('v2')?.available ?? 0;
      assert.ok((it.traffic.weight ?? 0) <= ready * 10, `${it.traffic.weight} % for ${ready} pods`);
      weights.push(it.traffic.weight);
      it.tick(1000, 2);
    }
    it.run();
    assert.deepEqual(ended(it), ['FastPromoted', 'v2']);
    assert.ok(weights.includes(20) && weights.includes(100), `${weights}`);
    assert.equal(it.status?.promoteFull, undefined);
  });

  it('in full of what was aborted tries it without steps', () => {
    const it = routed([{ setWeight: 20 }, untilPromoted]).settle();
    abort(it).write({ promoteFull: true });
    it.run();
    assert.deepEqual([ended(it), it.status?.abort], [['FastPromoted', 'v2'], undefined]);
  });

  it('leaves the requests with the old pods where the new ones are lost before the service turns', () => {
    const it = routed([]);
    while (it.status?.stableRevision === 'v1') {
      it.pass({ pods: true, traffic: it.status.stableRevision === 'v1', analysis: true });
      if (it.traffic.weight === 100) it.traffic.stable = 'v1';
      it.tick();
    }
    it.traffic.stable = 'v1';
    lose(it, 'v2', 10);
    const { traffic } = it.pass();
    assert.deepEqual([traffic?.stable, traffic?.canary, traffic?.canaryWeight], ['v1', 'v2', 0]);
    assert.deepEqual([it.run().traffic.stable, it.status?.phase], ['v2', 'Healthy']);
  });

  it('of nothing is forgotten', () => {
    const it = routed([untilPromoted]);
    it.wanted = 'v1';
    it.write({ promoteFull: true });
    assert.equal(it.settle().status?.promoteFull, undefined);
    assert.equal(revise(it, 'v2').settle().status?.phase, 'Paused');
  });

  it('does not turn the service to pods that were lost meanwhile', () => {
    const it = blueGreen();
    it.pass();
    it.tick();
    it.pass({ pods: true, traffic: false, analysis: true });
    assert.equal(it.status?.stableRevision, 'v2');
    lose(it, 'v2', 3);
    it.pass();
    assert.deepEqual([it.traffic.stable, it.pods['v1']], ['v1', 10]);
    assert.deepEqual([it.run().traffic.stable, it.pods['v1']], ['v2', 0]);
  });
});

describe('an abort', () => {
  const strategies: [string, () => Simulation, Record<string, number>][] = [
    ['behind one Service', () => shared([{ setWeight: 50 }, untilPromoted]), { v1: 10, v2: 0 }],
    ['behind a router', () => routed([{ setWeight: 50 }, untilPromoted]), { v1: 10, v2: 0 }],
    [
      'behind a router, with a stable revision that shrank',
      () => routed([{ setWeight: 50 }, untilPromoted], { dynamicStableScale: true }),
      { v1: 10, v2: 0 },
    ],
    ['of blueGreen', () => blueGreen({ autoPromotion: false }), { v1: 10, v2: 0 }],
  ];
  for (const [name, make, pods] of strategies) {
    it(`${name} gives all requests back, then takes the pods`, () => {
      const it = make().settle();
      abort(it);
      assert.deepEqual([it.status?.phase, it.traffic.stable, it.traffic.weight], ['Degraded', 'v1', 0]);
      it.run();
      assert.deepEqual([it.pods, it.status?.stableRevision, it.status?.currentRevision], [pods, 'v1', 'v2']);
      assert.deepEqual([ended(it), it.status?.abortReason], [['Aborted', 'v2'], 'aborted by a person']);
      assert.equal(it.wanted, 'v2');
    });
  }

  it('takes the weight at once while the stable revision has its pods', () => {
    const it = routed([{ setWeight: 50 }, untilPromoted]).settle();
    it.write({ abort: true });
    assert.equal(it.pass().traffic?.canaryWeight, 0);
    assert.deepEqual(it.pods, { v1: 10, v2: 5 });
  });

  it('takes the weight as stable pods come where they had gone', () => {
    const it = routed([{ setWeight: 80 }, untilPromoted], { dynamicStableScale: true }).settle();
    assert.deepEqual(it.pods, { v1: 2, v2: 8 });
    it.write({ abort: true });
    const seen: string[] = [];
    for (let pass = 0; pass < 12; pass++) {
      it.pass();
      const stable = it.revisions.get('v1')?.available ?? 0;
      seen.push(`${stable}:${it.traffic.weight}`);
      it.tick(1000, 2);
    }
    assert.deepEqual([...new Set(seen)], ['2:80', '4:60', '6:40', '8:20', '10:0']);
  });

  it('takes nothing from stable pods behind one Service that have to carry all', () => {
    const it = shared([{ setWeight: 50 }, untilPromoted]).settle();
    it.write({ abort: true });
    for (let pass = 0; pass < 20; pass++) {
      it.pass();
      const [stable = 0, canary = 0] = ['v1', 'v2'].map((name) => it.revisions.get(name)?.available);
      const serving = (it.traffic.weight ?? 0) > 0 ? stable + canary : stable;
      assert.ok(serving >= 10, `${serving} serve`);
      it.tick(1000, 1);
    }
    assert.deepEqual(it.pods, { v1: 10, v2: 0 });
  });

  it('leaves nothing to pods that crash', () => {
    const it = routed([{ setWeight: 50 }, untilPromoted], { dynamicStableScale: true }).settle();
    lose(it, 'v2', 5);
    it.write({ abort: true });
    assert.equal(it.pass().traffic?.canaryWeight, 0);
  });

  it('keeps the pods for a time, or for good', () => {
    const delays: [number | undefined, number, number][] = [
      [undefined, 29, 5],
      [undefined, 32, 0],
      [120, 110, 5],
      [120, 122, 0],
      [0, 100_000, 5],
    ];
    for (const [abortScaleDownDelaySeconds, seconds, left] of delays) {
      const it = routed([{ setWeight: 50 }, untilPromoted], { abortScaleDownDelaySeconds }).settle();
      it.write({ abort: true });
      it.pass();
      it.tick(1000);
      it.pass();
      it.tick(seconds * 1000);
      it.pass();
      assert.equal(it.pods['v2'], left, `${abortScaleDownDelaySeconds} after ${seconds} s`);
    }
  });

  it('that is over is not undone by other numbers of pods, nor the service turned to and fro', () => {
    for (const more of [
      {},
      { dynamicStableScale: true },
      { dynamicStableScale: true, abortScaleDownDelaySeconds: 600 },
    ]) {
      const it = routed([{ setWeight: 50 }, untilPromoted], more).settle();
      abort(it);
      const left = it.pods['v2'] ?? 0;
      it.respec({ replicas: 16 });
      for (let pass = 0; pass < 20; pass++) {
        it.pass();
        assert.ok((it.pods['v2'] ?? 0) <= left, `${it.pods['v2']} pods of what was aborted`);
        assert.deepEqual(weight(it), ['v1', undefined, 0]);
        it.tick(1000, 1);
      }
      assert.equal(it.pods['v1'], 16);
    }
  });

  it('where nothing is rolled out takes no pods', () => {
    const it = routed([{ setWeight: 50 }]);
    it.wanted = 'v1';
    abort(it);
    assert.deepEqual([it.pods, it.status?.phase, it.status?.abort], [{ v1: 10 }, 'Healthy', undefined]);
    assert.ok(reasons(it).includes('NothingToAbort'));
  });

  it('is told once, with the time it was', () => {
    const it = routed([{ setWeight: 50 }, untilPromoted]).settle();
    it.write({ abort: true, abortReason: 'the scores look odd' });
    it.settle();
    const { abortedAt } = it.status ?? {};
    it.nowMs += 600_000;
    it.settle();
    assert.deepEqual([it.status?.abortedAt, it.status?.abortReason], [abortedAt, 'the scores look odd']);
    assert.equal(reasons(it).filter((reason) => reason === 'RolloutAborted').length, 1);
  });

  it('stays while the steps change', () => {
    const it = routed([{ setWeight: 50 }, untilPromoted]).settle();
    abort(it).respec({ strategy: { canary: { trafficRouting, steps: [{ setWeight: 1 }] } } });
    assert.deepEqual([it.run().status?.phase, it.traffic.weight], ['Degraded', 0]);
  });

  it('is over by a retry, which takes and judges the steps from the first', () => {
    const it = routed([{ setWeight: 20 }, { analysis: { metrics } }, untilPromoted]);
    it.verdict = () => 'Failed';
    it.settle();
    assert.equal(it.status?.phase, 'Degraded');
    it.verdict = () => 'Successful';
    it.write({ abort: undefined });
    it.settle();
    assert.deepEqual([it.status?.phase, it.status?.currentStepIndex, it.traffic.weight], ['Paused', 2, 20]);
    assert.deepEqual(
      it.status?.canary?.analysis?.map(({ phase }) => phase),
      ['Successful'],
    );
    assert.deepEqual([it.status?.abortedAt, it.status?.completion], [undefined, undefined]);
    assert.equal(promote(it).status?.stableRevision, 'v2');
  });

  it('is over by the stable revision, and by another', () => {
    const back = routed([{ setWeight: 50 }, untilPromoted]).settle();
    revise(abort(back), 'v1').run();
    assert.deepEqual(
      [back.status?.phase, back.status?.abort, back.pods],
      ['Healthy', undefined, { v1: 10, v2: 0 }],
    );
    assert.deepEqual(ended(back), ['Aborted', 'v2']);
    const on = routed([{ setWeight: 50 }, untilPromoted]).settle();
    revise(abort(on), 'v3').settle();
    assert.deepEqual(
      [on.status?.phase, on.traffic.canary, on.pods],
      ['Paused', 'v3', { v1: 10, v2: 0, v3: 5 }],
    );
  });
});

describe('a canary that is bad', () => {
  const rows: [string, (it: Simulation) => void, RegExp][] = [
    [
      'crashes',
      (it) => (it.health = (revision) => (revision === 'v2' ? 'crashing' : 'good')),
      /CrashLoopBackOff: exit code 2/,
    ],
    ['fails its analysis', (it) => (it.verdict = () => 'Failed'), /analysis step-1 failed: measured/],
    ['cannot be measured', (it) => (it.verdict = () => 'Error'), /analysis step-1 could not measure/],
  ];
  for (const [name, happen, reason] of rows) {
    it(`and ${name} is aborted`, () => {
      for (const it of [
        shared([{ setWeight: 20 }, { analysis: { metrics } }]),
        routed([{ setWeight: 20 }, { analysis: { metrics } }]),
        blueGreen({ prePromotionAnalysis: { metrics } }),
      ]) {
        happen(it);
        it.run();
        assert.deepEqual(
          [it.status?.phase, it.status?.stableRevision, it.traffic.weight],
          ['Degraded', 'v1', 0],
        );
        assert.match(it.status?.abortReason ?? '', reason);
        assert.deepEqual([it.pods, it.status?.lastGoodRevision], [{ v1: 10, v2: 0 }, 'v1']);
      }
    });
  }

  it('and makes no progress is aborted, or told where the spec says so', () => {
    for (const [progressDeadlineAbort, aborted] of [
      [undefined, true],
      [true, true],
      [false, undefined],
    ]) {
      const it = routed([{ setWeight: 20 }], {}, { spec: { progressDeadlineAbort } });
      it.health = () => 'stuck';
      it.settle();
      assert.equal(it.status?.phase, 'Progressing');
      for (const pods of it.revisions.values()) pods.late = true;
      it.settle();
      assert.deepEqual([it.status?.phase, it.status?.abort], ['Degraded', aborted]);
      assert.match(it.status?.message ?? '', /progressDeadlineSeconds/);
    }
  });

  it('by the deadline alone, with all of its pods or held by a person, is not', () => {
    const it = routed([{ setWeight: 20 }, untilPromoted]).settle();
    assert.equal(seeing(it, { deadlineExceeded: true }).status.abort, undefined);
    assert.equal(seeing(it, { deadlineExceeded: true, available: 1 }).status.abort, true);
    it.respec({ paused: true });
    assert.equal(seeing(it, { deadlineExceeded: true, available: 1 }).status.abort, undefined);
  });

  it('gives way to a good one, and that one is followed by another bad one', () => {
    const it = shared([{ setWeight: 20 }]);
    it.health = (revision) => (revision === 'v3' ? 'good' : 'crashing');
    it.run();
    revise(it, 'v3').run();
    assert.deepEqual([it.status?.phase, it.status?.stableRevision], ['Healthy', 'v3']);
    revise(it, 'v4').run();
    assert.deepEqual([it.status?.phase, it.status?.stableRevision, it.pods['v3']], ['Degraded', 'v3', 10]);
    revise(it, 'v5').run();
    assert.deepEqual([it.status?.phase, it.status?.stableRevision, it.pods['v3']], ['Degraded', 'v3', 10]);
  });
});

describe('an analysis', () => {
  const asked = (it: Simulation) => it.pass().analyses.map(({ id }) => id);

  it('of a first step has a pod to look at, and no request reaches that', () => {
    for (const it of [
      shared([{ analysis: { metrics } }, { setWeight: 20 }]),
      routed([{ analysis: { metrics } }, { setWeight: 20 }]),
    ]) {
      it.verdict = () => 'Running';
      assert.deepEqual(asked(it), []);
      it.settle();
      assert.deepEqual([asked(it), it.pods, it.traffic.weight], [['step-0'], { v1: 10, v2: 1 }, 0]);
      it.verdict = () => 'Successful';
      assert.equal(it.run().status?.stableRevision, 'v2');
    }
  });

  it('of a step holds the step until all of it succeeds', () => {
    const it = routed([{ setWeight: 20 }, { analysis: { metrics } }, untilPromoted]);
    it.verdict = () => 'Running';
    it.settle();
    assert.deepEqual([it.status?.currentStepIndex, it.status?.phase], [1, 'Progressing']);
    it.verdict = () => 'Successful';
    assert.equal(it.settle().status?.currentStepIndex, 2);
  });

  it('of several steps is one for each', () => {
    const it = routed([{ setWeight: 20 }, { analysis: { metrics } }, { analysis: { metrics } }]);
    it.verdict = (_, id) => (id === 'step-2' ? 'Failed' : 'Successful');
    it.settle();
    assert.match(it.status?.abortReason ?? '', /analysis step-2 failed/);
  });

  it('that is inconclusive pauses, and a person decides', () => {
    const it = routed([{ setWeight: 20 }, { analysis: { metrics } }, { setWeight: 40 }, untilPromoted]);
    it.verdict = () => 'Inconclusive';
    it.settle();
    assert.deepEqual(
      [it.status?.phase, paused(it), it.traffic.weight],
      ['Paused', ['InconclusiveAnalysis'], 20],
    );
    assert.deepEqual([promote(it).status?.currentStepIndex, it.traffic.weight], [3, 40]);
  });

  it('in the background begins with pods, from its step on, and goes on when one is lost', () => {
    const it = routed([{ setWeight: 10 }, untilPromoted, { setWeight: 20 }, untilPromoted], {
      analysis: { metrics: endless, startingStep: 2 },
    });
    it.verdict = () => 'Running';
    assert.deepEqual(asked(it.settle()), []);
    assert.deepEqual(asked(promote(it)), ['background']);
    lose(it, 'v2', 1);
    assert.deepEqual(asked(it), ['background']);
  });

  it('in the background does not begin where no step has made a pod yet', () => {
    const it = routed([untilPromoted, { setWeight: 20 }], { analysis: { metrics: endless } });
    assert.deepEqual(asked(it.settle()), []);
  });

  it('in the background that fails aborts, whatever the step', () => {
    const it = routed([{ setWeight: 20 }, untilPromoted], { analysis: { metrics: endless } });
    it.verdict = () => 'Running';
    it.settle();
    it.verdict = () => 'Failed';
    it.measure();
    it.settle();
    assert.deepEqual(
      [it.status?.phase, it.status?.abortReason],
      ['Degraded', 'analysis background failed: measured'],
    );
  });

  it('in the background that is inconclusive pauses, and begins anew when promoted', () => {
    const it = routed([{ setWeight: 20 }, untilPromoted], { analysis: { metrics: endless } });
    it.verdict = () => 'Inconclusive';
    it.settle();
    assert.deepEqual(paused(it), ['InconclusiveAnalysis']);
    it.verdict = () => 'Successful';
    promote(it);
    assert.deepEqual(
      it.status?.canary?.analysis?.map(({ phase }) => phase),
      ['Successful'],
    );
    assert.deepEqual(paused(it), ['CanaryPauseStep']);
  });

  it('in the background with an end has to have ended well before a promotion', () => {
    const count = [{ name: 'm', interval: '10s', count: 5, builtin: { metric: 'errorRate', max: 0.1 } }];
    const it = routed([{ setWeight: 20 }], { analysis: { metrics: count } });
    it.verdict = () => 'Running';
    it.settle();
    assert.deepEqual([it.status?.stableRevision, it.traffic.weight], ['v1', 100]);
    it.verdict = () => 'Successful';
    it.measure();
    assert.equal(it.settle().status?.stableRevision, 'v2');
  });

  it('in the background without an end has to have succeeded once', () => {
    const it = routed([{ setWeight: 20 }], { analysis: { metrics: endless } });
    it.verdict = () => 'Running';
    it.pass();
    it.tick();
    it.pass();
    it.write({
      canary: {
        ...it.status?.canary,
        analysis: it.status?.canary?.analysis?.map(({ metrics: _, ...run }) => run),
      },
    });
    for (let pass = 0; pass < 8; pass++) {
      it.pass();
      it.nowMs += 1000;
      for (const pods of it.revisions.values()) pods.available = pods.replicas = pods.desired;
    }
    assert.equal(it.status?.stableRevision, 'v1');
    assert.equal(it.settle().status?.stableRevision, 'v2');
  });

  it('of a revision that was left says nothing of the next', () => {
    const it = routed([{ setWeight: 20 }, { analysis: { metrics } }, untilPromoted]);
    it.verdict = (revision) => (revision === 'v2' ? 'Running' : 'Successful');
    it.settle();
    it.verdict = (revision) => (revision === 'v2' ? 'Failed' : 'Successful');
    it.measure();
    revise(it, 'v3').settle();
    assert.deepEqual([it.status?.phase, it.status?.currentStepIndex], ['Paused', 2]);
    assert.deepEqual(
      it.status?.canary?.analysis?.map(({ revision }) => revision),
      ['v3'],
    );
  });
});

describe('a third revision during a rollout', () => {
  it('gets no request before it has pods, and the one that is left keeps its pods while it has requests', () => {
    for (const more of [{}, { dynamicStableScale: true }]) {
      const it = routed([{ setWeight: 80 }, untilPromoted], more).settle();
      revise(it, 'v3');
      for (let pass = 0; pass < 40; pass++) {
        it.pass();
        const { canary, weight: share = 0 } = it.traffic;
        const pods = it.revisions.get(canary ?? '')?.available ?? 0;
        assert.ok(pods * 10 >= share, `${share} % to ${pods} pods of ${canary}`);
        it.tick(1000, 1);
      }
      assert.deepEqual(
        [it.traffic.canary, it.traffic.weight, it.pods['v2'], it.pods['v3']],
        ['v3', 80, 0, 8],
      );
      assert.equal(it.status?.currentStepIndex, 1);
    }
  });

  it('says that the one before was superseded', () => {
    const it = routed([{ setWeight: 50 }, untilPromoted]).settle();
    revise(it, 'v3').settle();
    assert.deepEqual(ended(it), ['Superseded', 'v2']);
    assert.deepEqual(ended(promote(it)), ['Promoted', 'v3']);
  });

  it('behind one Service never leaves too few pods that serve, nor makes too many', () => {
    const it = shared([{ setWeight: 50 }, untilPromoted], { maxSurge: 2 }).settle();
    revise(it, 'v3');
    for (let pass = 0; pass < 40; pass++) {
      it.pass();
      const total = Object.values(it.pods).reduce((sum, count) => sum + count, 0);
      const serving = [...it.revisions.values()].reduce((sum, { available }) => sum + available, 0);
      assert.ok(total <= 12 && serving >= 10, `${total} pods, ${serving} serve`);
      it.tick(1000, 1);
    }
    assert.deepEqual(it.pods, { v1: 5, v2: 0, v3: 5 });
  });

  it('together with another number of pods', () => {
    const it = shared([{ setWeight: 50 }, untilPromoted]).settle();
    it.respec({ replicas: 4 });
    assert.deepEqual(revise(it, 'v3').settle().pods, { v1: 2, v2: 0, v3: 2 });
  });
});

describe('the way back', () => {
  it('to the stable revision during a rollout skips the steps: weight first, then pods', () => {
    for (const it of [
      shared([{ setWeight: 50 }, untilPromoted]),
      routed([{ setWeight: 50 }, untilPromoted]),
      routed([{ setWeight: 50 }, untilPromoted], { dynamicStableScale: true }),
      blueGreen({ autoPromotion: false }),
    ]) {
      revise(it.settle(), 'v1').run();
      assert.deepEqual([it.status?.phase, it.pods, it.traffic.weight], ['Healthy', { v1: 10, v2: 0 }, 0]);
      assert.deepEqual(ended(it), ['FastRolledBack', 'v1']);
    }
  });

  /** v1, v2 and v3 were stable, one after the other. */
  const third = (spec: Changes) => {
    const it = routed([{ setWeight: 50 }, untilPromoted], {}, { spec });
    promote(it.settle()).run();
    promote(revise(it, 'v3').settle()).run();
    return it;
  };

  it('within the rollback window skips the steps, beyond it takes them', () => {
    const rows: [number | undefined, string, string, string][] = [
      [2, 'v1', 'Healthy', 'FastRolledBack'],
      [1, 'v2', 'Healthy', 'FastRolledBack'],
      [1, 'v1', 'Paused', 'Promoted'],
      [undefined, 'v2', 'Paused', 'Promoted'],
    ];
    for (const [revisions, to, phase, status] of rows) {
      const it = third(revisions === undefined ? {} : { rollbackWindow: { revisions } });
      revise(it, to).run();
      assert.deepEqual(
        [it.status?.phase, it.status?.completion?.status],
        [phase, status],
        `${revisions}: ${to}`,
      );
      if (phase === 'Paused') assert.deepEqual(ended(promote(it).run()), ['RolledBack', to]);
    }
  });

  it('within the rollback window to a revision that was aborted takes the steps', () => {
    const it = routed([{ setWeight: 50 }, untilPromoted], {}, { spec: { rollbackWindow: { revisions: 3 } } });
    it.settle();
    it.write({ abort: true });
    it.run();
    promote(revise(it, 'v3').settle()).run();
    it.respec({ rollbackTo: 'v2' });
    it.settle();
    assert.deepEqual([it.status?.phase, it.status?.stableRevision], ['Paused', 'v3']);
  });

  it('by rollbackTo serves what is kept, whatever the rest of the spec says, until it is taken out', () => {
    const it = third({ rollbackWindow: { revisions: 3 } });
    it.respec({ rollbackTo: 'v1' });
    assert.deepEqual([it.run().status?.stableRevision, it.status?.phase], ['v1', 'Healthy']);
    revise(it, 'v4').run();
    assert.equal(it.status?.stableRevision, 'v1');
    it.respec({ rollbackTo: undefined });
    it.settle();
    assert.deepEqual([it.status?.currentRevision, it.status?.phase], ['v4', 'Paused']);
  });

  it('to what is not kept is told, and nothing is changed for it', () => {
    const it = third({});
    it.respec({ rollbackTo: 'v0' });
    it.settle();
    assert.deepEqual([it.status?.phase, it.status?.stableRevision, it.pods['v3']], ['Degraded', 'v3', 10]);
    assert.match(it.status?.message ?? '', /RevisionNotKept: spec.rollbackTo names revision v0/);
  });

  it('keeps so many old revisions, and never takes one that is named', () => {
    const it = routed([], {}, { spec: { revisionHistoryLimit: 2 } });
    it.run();
    for (const revision of ['v3', 'v4', 'v5']) revise(it, revision).run();
    assert.deepEqual(Object.keys(it.pods), ['v3', 'v4', 'v5']);
    it.respec({ revisionHistoryLimit: 0, rollbackTo: 'v3' });
    it.run();
    assert.deepEqual(Object.keys(it.pods), ['v3', 'v5']);
  });
});

describe('accelerators', () => {
  it('that are all in use are given up by an old pod before a new one comes', () => {
    for (const it of [
      shared([{ setWeight: 50 }, untilPromoted], {}, { replicas: 4 }),
      routed([{ setWeight: 50 }, untilPromoted], {}, { replicas: 4 }),
    ]) {
      it.accelerators = 4;
      for (let pass = 0; pass < 30; pass++) {
        it.pass();
        const [stable = 0, canary = 0] = ['v1', 'v2'].map((name) => it.revisions.get(name)?.available);
        assert.ok(stable + canary >= 3, `${stable} and ${canary} serve`);
        it.tick(1000);
      }
      assert.deepEqual(
        [it.pods, it.status?.canary?.noSurge, it.status?.phase],
        [{ v1: 2, v2: 2 }, true, 'Paused'],
      );
      promote(it).run();
      assert.deepEqual(
        [it.pods, it.status?.canary?.noSurge, it.status?.phase],
        [{ v1: 0, v2: 4 }, undefined, 'Healthy'],
      );
    }
  });

  it('of one pod are exchanged when all of the traffic is to go', () => {
    for (const it of [
      shared([{ setWeight: 20 }], {}, { replicas: 1 }),
      routed([{ setWeight: 20 }], {}, { replicas: 1 }),
    ]) {
      it.accelerators = 1;
      it.run();
      assert.deepEqual(
        [it.status?.stableRevision, it.pods, it.status?.phase],
        ['v2', { v1: 0, v2: 1 }, 'Healthy'],
      );
    }
  });

  it('that are all in use are told, and end the rollout where the spec says so', () => {
    const it = routed([{ setWeight: 50 }], { insufficientGPU: 'Fail' }, { replicas: 4 });
    it.accelerators = 4;
    it.run();
    assert.deepEqual([it.status?.phase, it.pods], ['Degraded', { v1: 4, v2: 0 }]);
    assert.equal(
      it.status?.abortReason,
      'InsufficientGPU: 2 more pods need an accelerator, and 0 could get one',
    );
  });

  it('that pods on their way out hold are waited for', () => {
    for (const insufficientGPU of ['NoSurge', 'Fail']) {
      const it = shared([{ setWeight: 50 }], { maxSurge: 1, insufficientGPU }, { replicas: 4 });
      it.accelerators = 5;
      it.run();
      assert.deepEqual([it.status?.stableRevision, it.status?.phase], ['v2', 'Healthy'], insufficientGPU);
      assert.ok(!reasons(it).includes('InsufficientGPU'));
    }
  });

  it('that a pod of the rollout waits for are missing, unless another is about to give one back', () => {
    const problem = { reason: 'InsufficientGPU', message: 'cannot allocate all claims' };
    const it = routed([{ setWeight: 50 }, untilPromoted]);
    it.pass();
    const pending = { desired: 5, replicas: 5, problem };
    assert.equal(seeing(it, pending).status.canary?.noSurge, true);
    assert.equal(seeing(it, pending, { leavingPods: 1 }).status.canary?.noSurge, undefined);
  });

  it('are not given back by pods that hold none', () => {
    const it = shared([{ setWeight: 50 }], { insufficientGPU: 'Fail' }, { replicas: 2 });
    it.pass();
    assert.deepEqual(it.pods, { v1: 2, v2: 1 });
    revise(it, 'v3');
    const leaving = (holdsAccelerators: boolean) =>
      seeing(it, { holdsAccelerators }, { freeAccelerators: 0, leavingPods: 0 }).status.abortReason;
    assert.equal(leaving(true), undefined);
    assert.equal(leaving(false), 'InsufficientGPU: 1 more pods need an accelerator, and 0 could get one');
  });

  it('that are free are used for a surge', () => {
    const it = routed([{ setWeight: 50 }, untilPromoted], {}, { replicas: 4 });
    it.accelerators = 6;
    assert.deepEqual([it.settle().pods, it.status?.canary?.noSurge], [{ v1: 4, v2: 2 }, undefined]);
  });

  it('are given back to the stable revision by an abort, weight first', () => {
    const it = routed([{ setWeight: 50 }, untilPromoted], {}, { replicas: 4 });
    it.accelerators = 4;
    it.settle().write({ abort: true });
    for (let pass = 0; pass < 12; pass++) {
      it.pass({ pods: true, traffic: false, analysis: true });
      const pods = it.revisions.get('v2')?.available ?? 0;
      assert.ok(pods > 0 || it.traffic.weight === 0, `${it.traffic.weight} % to no pods`);
      it.pass();
      it.tick();
    }
    it.settle();
    assert.deepEqual(
      [it.pods, it.revisions.get('v1')?.available, it.traffic.weight],
      [{ v1: 4, v2: 0 }, 4, 0],
    );
  });
});

describe('blueGreen', () => {
  it('starts in full beside what serves, is judged, and switched to at once', () => {
    const it = blueGreen({ prePromotionAnalysis: { metrics }, scaleDownDelaySeconds: 60 });
    it.verdict = () => 'Running';
    it.settle();
    assert.deepEqual([it.pods, weight(it)], [{ v1: 10, v2: 10 }, ['v1', 'v2', 0]]);
    it.verdict = () => 'Successful';
    it.settle();
    assert.deepEqual([it.status?.phase, it.traffic.stable, it.pods['v1']], ['Healthy', 'v2', 10]);
    it.nowMs += 60_000;
    assert.deepEqual(it.settle().pods, { v1: 0, v2: 10 });
  });

  it('waits for a person where it says so', () => {
    const it = blueGreen({ autoPromotion: false }).settle();
    assert.deepEqual([it.status?.phase, paused(it)], ['Paused', ['BlueGreenPause']]);
    assert.deepEqual(ended(promote(it)), ['Promoted', 'v2']);
  });

  it('in full leaves out what waits', () => {
    const it = blueGreen({ autoPromotion: false, prePromotionAnalysis: { metrics } });
    it.verdict = () => 'Running';
    it.settle().write({ promoteFull: true });
    assert.deepEqual(ended(it.settle()), ['FastPromoted', 'v2']);
  });
});

describe('a successor', () => {
  it('goes on from status and what it sees, at any moment', () => {
    const it = routed([{ setWeight: 20 }, { pause: { duration: '10s' } }, { setWeight: 60 }], {
      dynamicStableScale: true,
    });
    // Each pass reads status as it was written: the simulation keeps nothing else.
    for (let pass = 0; pass < 60; pass++) {
      it.pass({ pods: pass % 2 === 0, traffic: pass % 3 === 0, analysis: true });
      it.tick(1000, 3);
    }
    assert.deepEqual([it.run().status?.stableRevision, it.pods], ['v2', { v1: 0, v2: 10 }]);
  });

  it('that finds no status leaves clients with the revision that serves them', () => {
    const it = routed([{ setWeight: 20 }, untilPromoted]).settle();
    forget(it);
    it.settle();
    assert.deepEqual([it.status?.phase, weight(it)], ['Paused', ['v1', 'v2', 20]]);
  });

  it('finds other weights in the route than asked for, and sets them right', () => {
    const it = routed([{ setWeight: 20 }, untilPromoted]).settle();
    it.traffic.weight = 90;
    assert.equal(it.settle().traffic.weight, 20);
  });

  it('waits where no revision can be made', () => {
    const it = new Simulation({ strategy: { canary: { steps: [] } } });
    it.wanted = undefined;
    const { phase, message, replicas, traffic } = it.pass();
    assert.deepEqual(
      [phase, message, replicas.size, traffic],
      ['Progressing', 'there is no revision yet', 0, undefined],
    );
  });

  it('goes on with the revision it has while the next cannot be made', () => {
    const it = routed([{ setWeight: 20 }, untilPromoted]).settle();
    it.wanted = undefined;
    assert.deepEqual([it.settle().status?.currentRevision, it.traffic.weight], ['v2', 20]);
  });

  it('follows a strategy that changes between rollouts', () => {
    const it = blueGreen().run();
    it.respec({ strategy: { canary: { steps: [{ setWeight: 20 }, untilPromoted] } } });
    assert.equal(it.settle().status?.phase, 'Healthy');
    revise(it, 'v3').settle();
    assert.deepEqual([it.status?.phase, it.pods['v3']], ['Paused', 2]);
  });
});
