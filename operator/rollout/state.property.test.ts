/** Random histories: whatever people, pods, routers and operators do, a rollout keeps its promises. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { RolloutDecision, RolloutInput } from './contract.ts';
import { trafficWeightToReplicas } from './replicas.ts';
import { type Effects, type Health, Simulation } from './simulation.ts';
import { advance } from './state.ts';
import { analysisId, limitsOf, positionAt, splitOf, stepsOf } from './steps.ts';

const metrics = [{ name: 'm', builtin: { metric: 'errorRate', max: 0.1 } }];
const background = [{ name: 'm', interval: '10s', builtin: { metric: 'errorRate', max: 0.1 } }];
const percent = fc.nat({ max: 100 });

const step = (routed: boolean): fc.Arbitrary<object> =>
  fc.oneof(
    { weight: 4, arbitrary: percent.map((setWeight) => ({ setWeight })) },
    { weight: 1, arbitrary: fc.constant({ pause: {} }) },
    { weight: 1, arbitrary: fc.constant({ pause: { duration: '10s' } }) },
    { weight: 1, arbitrary: fc.constant({ analysis: { metrics } }) },
    ...(routed
      ? [
          { weight: 1, arbitrary: fc.nat({ max: 6 }).map((replicas) => ({ setCanaryScale: { replicas } })) },
          { weight: 1, arbitrary: percent.map((weight) => ({ setCanaryScale: { weight } })) },
          { weight: 1, arbitrary: fc.constant({ setCanaryScale: { matchTrafficWeight: true } }) },
          {
            weight: 1,
            arbitrary: percent.map((percentage) => ({ setMirrorRoute: { name: 'r', percentage } })),
          },
        ]
      : []),
  );

const surge = fc.constantFrom<[number | string, number | string]>(
  ['25%', 0],
  [1, 0],
  [0, 1],
  [2, 1],
  ['100%', 0],
  [0, '50%'],
);

const canaryStrategy = (routed: boolean) =>
  fc
    .record({
      steps: fc.array(step(routed), { maxLength: 5 }),
      limits: surge,
      analysis: fc.boolean(),
      dynamicStableScale: fc.boolean(),
      abortScaleDownDelaySeconds: fc.constantFrom(undefined, 0, 20),
      scaleDownDelaySeconds: fc.constantFrom(undefined, 0, 20),
      insufficientGPU: fc.constantFrom('NoSurge', 'Fail'),
    })
    .map(({ limits: [maxSurge, maxUnavailable], analysis, dynamicStableScale, ...rest }) => ({
      canary: {
        ...rest,
        maxSurge,
        maxUnavailable,
        ...(analysis && { analysis: { metrics: background } }),
        ...(routed && { dynamicStableScale, trafficRouting: { gatewayAPI: { httpRoute: 'route' } } }),
      },
    }));

const strategy: fc.Arbitrary<object> = fc.oneof(
  { weight: 3, arbitrary: canaryStrategy(false) },
  { weight: 3, arbitrary: canaryStrategy(true) },
  {
    weight: 1,
    arbitrary: fc
      .record({ judged: fc.boolean(), autoPromotion: fc.boolean() })
      .map(({ judged, autoPromotion }) => ({
        blueGreen: { autoPromotion, ...(judged && { prePromotionAnalysis: { metrics } }) },
      })),
  },
);

const spec = fc.record({
  replicas: fc.nat({ max: 8 }),
  strategy,
  progressDeadlineAbort: fc.boolean(),
  rollbackWindow: fc.constantFrom(undefined, { revisions: 1 }),
  revisionHistoryLimit: fc.nat({ max: 3 }),
});

const revision = fc.constantFrom('v1', 'v2', 'v3', 'v4');
const outcome = fc.constantFrom('Successful', 'Successful', 'Running', 'Failed', 'Error', 'Inconclusive');

type Event =
  | { readonly is: 'pass'; readonly effects: Effects }
  | { readonly is: 'tick'; readonly ms: number; readonly most: number }
  | { readonly is: 'revision'; readonly name: string; readonly health: Health }
  | { readonly is: 'replicas'; readonly replicas: number }
  | {
      readonly is: 'verb';
      readonly verb: 'abort' | 'retry' | 'promote' | 'full' | 'pause' | 'resume' | 'hold' | 'release';
    }
  | { readonly is: 'rollback'; readonly to: string | undefined }
  | { readonly is: 'loss'; readonly of: string }
  | { readonly is: 'router'; readonly slow: boolean; readonly stuck: boolean }
  | { readonly is: 'late' };

const event = fc.oneof(
  {
    weight: 10,
    arbitrary: fc.record<Event & { is: 'pass' }>({
      is: fc.constant('pass'),
      effects: fc.record({ pods: fc.boolean(), traffic: fc.boolean(), analysis: fc.boolean() }),
    }),
  },
  {
    weight: 10,
    arbitrary: fc.record<Event & { is: 'tick' }>({
      is: fc.constant('tick'),
      ms: fc.constantFrom(100, 1000, 15_000, 40_000),
      most: fc.constantFrom(0, 1, 2, 10),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record<Event & { is: 'revision' }>({
      is: fc.constant('revision'),
      name: revision,
      health: fc.constantFrom('good', 'good', 'good', 'crashing', 'stuck'),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record<Event & { is: 'replicas' }>({
      is: fc.constant('replicas'),
      replicas: fc.nat({ max: 8 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record<Event & { is: 'verb' }>({
      is: fc.constant('verb'),
      verb: fc.constantFrom(
        'abort',
        'retry',
        'promote',
        'promote',
        'full',
        'pause',
        'resume',
        'hold',
        'release',
      ),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record<Event & { is: 'rollback' }>({
      is: fc.constant('rollback'),
      to: fc.option(revision, { nil: undefined }),
    }),
  },
  { weight: 1, arbitrary: fc.record<Event & { is: 'loss' }>({ is: fc.constant('loss'), of: revision }) },
  {
    weight: 1,
    arbitrary: fc.record<Event & { is: 'router' }>({
      is: fc.constant('router'),
      slow: fc.boolean(),
      stuck: fc.boolean(),
    }),
  },
  { weight: 1, arbitrary: fc.constant<Event>({ is: 'late' }) },
) as fc.Arbitrary<Event>;

/** What people do. */
const VERBS: Readonly<Record<(Event & { is: 'verb' })['verb'], (simulation: Simulation) => void>> = {
  abort: (it) => it.write({ abort: true }),
  retry: (it) => it.write({ abort: undefined }),
  promote: (it) => it.write({ pauseConditions: undefined }),
  full: (it) => it.write({ promoteFull: true }),
  pause: (it) =>
    it.write({
      pauseConditions: [
        ...(it.status?.pauseConditions ?? []).filter(({ reason }) => reason !== 'PausedByUser'),
        { reason: 'PausedByUser', startTime: new Date(it.nowMs).toISOString() },
      ],
    }),
  resume: (it) =>
    it.write({
      pauseConditions: it.status?.pauseConditions?.filter(({ reason }) => reason !== 'PausedByUser'),
    }),
  hold: (it) => it.respec({ paused: true }),
  release: (it) => it.respec({ paused: false }),
};

function happen(simulation: Simulation, event: Event, judges: Judges): void {
  if (event.is === 'pass') judges.pass(simulation, event.effects);
  if (event.is === 'tick') simulation.tick(event.ms, event.most);
  if (event.is === 'replicas') simulation.respec({ replicas: event.replicas });
  if (event.is === 'rollback') simulation.respec({ rollbackTo: event.to });
  if (event.is === 'router') {
    simulation.slowRouter = event.slow;
    simulation.stuckRouter = event.slow && event.stuck;
  }
  if (event.is === 'verb') VERBS[event.verb](simulation);
  if (event.is === 'revision') {
    simulation.wanted = event.name;
    simulation.health = (name) => (name === event.name ? event.health : 'good');
  }
  if (event.is === 'loss') {
    const pods = simulation.revisions.get(event.of);
    if (pods) pods.available = Math.max(0, pods.available - 1);
  }
  if (event.is === 'late') beLate(simulation);
}

function beLate({ revisions }: Simulation): void {
  for (const pods of revisions.values()) pods.late = true;
}

type Pods = RolloutInput['observation']['revisions'][number];
const NOBODY = { desired: 0, available: 0, observed: true };
const podsOf = (
  { observation }: RolloutInput,
  name: string | undefined,
): Pick<Pods, 'desired' | 'available'> =>
  observation.revisions.find(({ revision }) => revision === name) ?? NOBODY;

/** Looks at each decision. */
class Judges {
  pass(simulation: Simulation, effects: Effects): void {
    const input = simulation.input();
    const { inForce } = simulation.traffic;
    const decision = simulation.pass(effects);
    for (const promise of PROMISES) {
      try {
        promise(input, decision, inForce);
      } catch (error) {
        const what = { ...facts(decision), observation: input.observation, before: input.status };
        throw new Error(`${error instanceof Error ? error.message : error}: ${JSON.stringify(what)}`);
      }
    }
  }
}

function raisesToReadyPods(input: RolloutInput, { traffic, status, replicas }: RolloutDecision): void {
  const { observation, spec } = input;
  const before = observation.traffic.canaryWeight ?? 0;
  if (!traffic || traffic.canaryWeight <= before) return;
  const canary = podsOf(input, traffic.canary);
  assert.ok(canary.available > 0, 'weight for no pods');
  if (splitOf(spec) === 'replicas') {
    const count = Math.min(canary.desired, replicas.get(traffic.canary ?? '') ?? 0);
    assert.ok(before > 0 || canary.available >= count, 'pods that are not ready at their count join in');
    return;
  }
  assert.equal(traffic.canary, observation.traffic.canary, 'weight for a service that is not turned yet');
  const { scale } = positionAt(spec, status.currentStepIndex ?? 0);
  const needed = trafficWeightToReplicas(observation.wantedReplicas, traffic.canaryWeight);
  const asked =
    scale === undefined
      ? needed
      : 'replicas' in scale
        ? scale.replicas
        : trafficWeightToReplicas(observation.wantedReplicas, scale.weight);
  // Without a surge the last pod is the stable revision's until all of the traffic goes.
  const most = status.canary?.noSurge ? observation.wantedReplicas - 1 : needed;
  assert.ok(
    canary.available >= Math.min(needed, asked, most),
    `${traffic.canaryWeight} % for ${canary.available} pods`,
  );
}

/** Whatever of the decision is carried out first. */
function keepsCapacity(
  input: RolloutInput,
  { replicas, traffic, status }: RolloutDecision,
  inForce: number,
): void {
  const { observation, spec } = input;
  const { wantedReplicas } = observation;
  const { maxUnavailable } = limitsOf(spec, wantedReplicas, status.canary?.noSurge);
  const left = (name: string | undefined) => {
    const pods = podsOf(input, name);
    return Math.min(pods.available, (name === undefined ? undefined : replicas.get(name)) ?? pods.desired);
  };
  const then = observation.traffic;
  if (splitOf(spec) === 'replicas') {
    const serving = (all: boolean, stable: string | undefined, available: (name: string) => number) =>
      observation.revisions
        .filter(({ revision }) => all || revision === stable)
        .reduce((sum, { revision }) => sum + available(revision), 0);
    const now = (name: string) => podsOf(input, name).available;
    const before = serving((then.canaryWeight ?? 0) > 0, then.stable, now);
    const least = Math.min(before, wantedReplicas - maxUnavailable);
    const orders = [
      serving((then.canaryWeight ?? 0) > 0, then.stable, left),
      ...(traffic
        ? [
            serving(traffic.canaryWeight > 0, traffic.stable, now),
            serving(traffic.canaryWeight > 0, traffic.stable, left),
          ]
        : []),
    ];
    for (const after of orders) assert.ok(after >= least, `${after} of ${least} pods serve`);
    return;
  }
  const weight = then.canaryWeight ?? 0;
  const least = (share: number) => Math.floor((wantedReplicas * share) / 100) - maxUnavailable;
  const stable = podsOf(input, then.stable).available;
  const lowest = Math.min(weight, inForce);
  assert.ok(left(then.stable) >= Math.min(stable, least(100 - lowest)), 'too few stable pods');
  const scales = stepsOf(spec).some(({ setCanaryScale }) => setCanaryScale);
  const highest = then.canary === then.stable || scales ? 0 : Math.max(weight, inForce);
  const share = trafficWeightToReplicas(wantedReplicas, highest);
  const needed = Math.max(Math.min(1, share), share - maxUnavailable);
  assert.ok(
    left(then.canary) >= Math.min(podsOf(input, then.canary).available, needed),
    'too few canary pods',
  );
  const next = traffic?.canaryWeight ?? weight;
  const moved = podsOf(input, then.canary).available > 0 && then.canary !== then.stable;
  if (moved && next < weight && traffic?.stable === then.stable) {
    assert.ok(left(then.stable) >= least(100 - next), 'weight on stable pods that are not there');
  }
}

function keepsWithinSurge(input: RolloutInput, { replicas }: RolloutDecision): void {
  const { observation, spec } = input;
  const { wantedReplicas } = observation;
  const before = observation.revisions.reduce((sum, { desired }) => sum + desired, 0);
  const after = [...replicas.values()].reduce((sum, count) => sum + count, 0);
  const scales = stepsOf(spec).map(({ setCanaryScale }) => setCanaryScale?.replicas ?? 0);
  const most =
    splitOf(spec) === 'replicas'
      ? wantedReplicas + limitsOf(spec, wantedReplicas).maxSurge
      : wantedReplicas + Math.max(wantedReplicas, ...scales);
  const others = splitOf(spec) === 'replicas' ? 0 : before;
  assert.ok(after <= Math.max(before, most + others), `${after} pods, of at most ${most}`);
}

function promotesTheProved(input: RolloutInput, { status }: RolloutDecision): void {
  const before = input.status;
  const { stableRevision } = status;
  if (before?.stableRevision === undefined || stableRevision === before.stableRevision) return;
  if (stableRevision !== status.currentRevision) return;
  if (status.completion?.status !== 'Promoted') return;
  const runs = status.canary?.analysis ?? [];
  assert.ok(
    runs.every(({ phase }) => phase !== 'Failed' && phase !== 'Error'),
    'a failed analysis was promoted',
  );
  if (input.spec.strategy?.canary?.analysis) {
    const proof = runs.find(({ id }) => id === analysisId());
    assert.ok(
      proof?.metrics?.some(({ successful }) => (successful ?? 0) > 0),
      'nothing was measured',
    );
  }
}

function reachesFixpoint(input: RolloutInput, first: RolloutDecision): void {
  let decision = first;
  for (let pass = 0; pass < stepsOf(input.spec).length + 4; pass++) {
    const status = JSON.parse(JSON.stringify({ ...input.status, ...emptied(input), ...decision.status }));
    const next = advance({ ...input, status });
    const same = JSON.stringify(facts(next)) === JSON.stringify(facts(decision));
    decision = next;
    if (same) return;
  }
  assert.fail(`still changes: ${JSON.stringify(facts(decision))}`);
}

/** Fields that a decision leaves out are taken out. */
const emptied = ({ status }: RolloutInput) =>
  Object.fromEntries(
    ['pauseConditions', 'controllerPause', 'abort', 'abortedAt', 'abortReason', 'promoteFull', 'canary']
      .filter((field) => status && field in status)
      .map((field) => [field, undefined]),
  );

const facts = ({ status, replicas, traffic, phase }: RolloutDecision) => ({
  ...{ status, traffic, phase },
  replicas: [...replicas].toSorted(),
});

type Promises = readonly ((input: RolloutInput, decision: RolloutDecision, inForce: number) => void)[];
const PROMISES: Promises = [
  raisesToReadyPods,
  keepsCapacity,
  keepsWithinSurge,
  promotesTheProved,
  reachesFixpoint,
];

describe('a rollout, whatever happens', () => {
  const history = fc.record({
    spec,
    accelerators: fc.option(fc.integer({ min: 1, max: 12 }), { nil: undefined, freq: 2 }),
    events: fc.array(event, { minLength: 10, maxLength: 80 }),
    verdicts: fc.array(outcome, { minLength: 1, maxLength: 6 }),
  });

  it('keeps capacity and surge, promotes what is proved, settles, and ends', () => {
    fc.assert(
      fc.property(history, ({ spec: changes, accelerators, events, verdicts }) => {
        const simulation = new Simulation(changes);
        const judges = new Judges();
        let judged = 0;
        simulation.verdict = () => verdicts[judged++ % verdicts.length] ?? 'Successful';
        simulation.settle();
        simulation.accelerators = accelerators;
        for (const happening of events) happen(simulation, happening, judges);
        simulation.verdict = () => 'Successful';
        simulation.stuckRouter = false;
        beLate(simulation);
        for (let pass = 0; pass < 40; pass++) {
          judges.pass(simulation, { pods: true, traffic: true, analysis: true });
          simulation.tick(2000);
        }
        beLate(simulation);
        simulation.run();
        assert.notEqual(simulation.status?.phase, 'Progressing', simulation.status?.message);
      }),
      {
        numRuns: Number(process.env['ROLLOUT_RUNS'] ?? 300),
        ...(process.env['SEED'] && { seed: Number(process.env['SEED']) }),
      },
    );
  });
});
