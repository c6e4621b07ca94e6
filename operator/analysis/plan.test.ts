import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { deploymentSpec } from '../controllers/builders.ts';
import { checkAnalyses, planOf } from './plan.ts';

const ok = { name: 'ok', builtin: { metric: 'restarts', max: 0 } };
const prometheus = (changes: object) => ({
  name: 'p',
  successCondition: 'result[0] < 1',
  prometheus: { address: 'http://p', query: 'up{n="{{name}}"}' },
  ...changes,
});
const shadow = { name: 's', shadow: { minAgreement: 0.9 } };
const mirror = (percentage?: number) => ({
  setMirrorRoute: { name: 'm', ...(percentage === undefined ? {} : { percentage }) },
});
const analysis = (...metrics: object[]) => ({ analysis: { metrics } });
const canary = (steps: readonly object[], background?: readonly object[]) =>
  deploymentSpec({
    strategy: {
      canary: {
        steps,
        trafficRouting: { gatewayAPI: { httpRoute: 'r' } },
        ...(background ? { analysis: { metrics: background } } : {}),
      },
    },
  });

describe('what no schema tells of analyses', () => {
  const rows: { name: string; spec: ReturnType<typeof canary>; found: readonly string[] }[] = [
    { name: 'nothing of a rolling update', spec: deploymentSpec(), found: [] },
    {
      name: 'nothing of sound ones',
      spec: canary([mirror(), analysis(ok, shadow, prometheus({}))], [shadow]),
      found: [],
    },
    {
      name: 'a condition',
      spec: canary([analysis(ok, prometheus({ successCondition: 'resul[0] < 1' }))]),
      found: ['spec.strategy.canary.steps[0].analysis.metrics[1]: successCondition: Unknown variable: resul'],
    },
    {
      name: 'a name in a query',
      spec: canary([], [prometheus({ prometheus: { address: 'http://p', query: 'up{n="{{args.x}}"}' } })]),
      found: [
        'spec.strategy.canary.analysis.metrics[0]: prometheus.query: {{args.x}} is none of name, namespace, canaryRevision, stableRevision',
      ],
    },
    {
      name: 'a model that is not served',
      spec: canary([
        analysis({ name: 'x', probeSet: { configMap: { name: 'c' }, minAuc: 0.5, model: 'other' } }),
      ]),
      found: ['spec.strategy.canary.steps[0].analysis.metrics[0]: model other is none of spec.models'],
    },
    {
      name: 'a shadow before its mirror',
      spec: canary([analysis(shadow), mirror()]),
      found: [
        'spec.strategy.canary.steps[0].analysis.metrics[0]: shadow needs a setMirrorRoute step before it',
      ],
    },
    {
      name: 'a shadow after its mirror was taken away',
      spec: canary([mirror(50), analysis(shadow), mirror(0), analysis(shadow)]),
      found: [
        'spec.strategy.canary.steps[3].analysis.metrics[0]: shadow needs a setMirrorRoute step before it',
      ],
    },
    {
      name: 'a shadow before a switch',
      spec: deploymentSpec({ strategy: { blueGreen: { prePromotionAnalysis: { metrics: [shadow] } } } }),
      found: [
        'spec.strategy.blueGreen.prePromotionAnalysis.metrics[0]: shadow needs a setMirrorRoute step before it',
      ],
    },
  ];
  for (const { name, spec, found } of rows) {
    test(`is ${name}`, () => {
      assert.deepEqual(
        checkAnalyses(spec).map(({ path, message }) => `${path}: ${message}`),
        found,
      );
    });
  }
});

test('a background analysis lasts as long as the rollout, that of a step does not', () => {
  const spec = canary([analysis(ok)], [ok]);
  const step = planOf(spec, { id: 'step-0', step: 0 });
  const background = planOf(spec, { id: 'background', step: undefined });
  assert.ok('metrics' in step && 'metrics' in background);
  assert.deepEqual([step.background, background.background], [false, true]);
});
