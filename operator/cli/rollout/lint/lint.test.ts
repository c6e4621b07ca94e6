import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { parse, parseAllDocuments, stringify } from 'yaml';
import { deploymentExamples, modelExamples } from '../../../../test/fixtures/examples.ts';
import { refusedObjects } from '../../../../test/fixtures/refused.ts';
import { lintText, reportText } from './lint.ts';

const textsOf = (text: string) => lintText('f.yaml', text).map(reportText);

describe('lint says of an object what the API server says', () => {
  for (const { what, object, field, says } of refusedObjects) {
    it(what, () => {
      const errors = lintText('f.yaml', stringify(object)).filter(({ severity }) => severity === 'error');
      const found = errors.find((report) => report.field === field);
      assert.ok(found && says.test(found.message), JSON.stringify(errors, null, 1));
    });
  }

  const apiVersion = 'deepfake-operator.io/v1alpha1';
  const taken = [
    ...deploymentExamples.map((spec) => ({ kind: 'ModelDeployment', spec })),
    ...modelExamples.map((spec) => ({ kind: 'DeepfakeModel', spec })),
  ];
  for (const [index, { kind, spec }] of taken.entries()) {
    it(`nothing of what it takes (${kind} ${index})`, () => {
      const text = stringify({ apiVersion, kind, metadata: { name: 'a' }, spec });
      const errors = lintText('f.yaml', text).filter(({ severity }) => severity === 'error');
      // Examples of schemas need not make sense as rollouts.
      assert.deepEqual(
        errors.filter(({ message }) => !/mirror/.test(message)),
        [],
      );
    });
  }

  const examples = new URL('../../../../docs/examples/', import.meta.url);
  for (const file of readdirSync(examples)) {
    it(`nothing of docs/examples/${file}, not even a warning`, () => {
      assert.deepEqual(textsOf(readFileSync(new URL(file, examples), 'utf8')), []);
    });
  }
});

it("the README's canary is that of the example", () => {
  const root = new URL('../../../../', import.meta.url);
  const section = readFileSync(new URL('README.md', root), 'utf8')
    .split('\n## ')
    .find((part) => part.startsWith('Canary'));
  const shown = parse(/```yaml\n(.*?)```/s.exec(section ?? '')?.[1] ?? '');
  const example = parseAllDocuments(readFileSync(new URL('docs/examples/canary.yaml', root), 'utf8'))
    .at(-1)
    ?.toJS();
  const { models, replicas, strategy } = example.spec;
  assert.deepEqual(shown, { spec: { models, replicas, strategy } });
});

const head = `apiVersion: deepfake-operator.io/v1alpha1
kind: ModelDeployment
metadata: { name: d }
`;

it('a message names file, line and column of the field, or of the object that lacks it', () => {
  const text = `# two objects
${head}spec:
  models: [{ name: a }]
  device: gpu
---
${head}spec:
  replicas: two
  strategy:
    canary:
      steps:
        - setWeight: 20
        - pause: { duration: 5min }
`;
  assert.deepEqual(textsOf(text), [
    'f.yaml:7:3: error: spec.device: Invalid option: expected one of "cpu"|"cuda"|"tensorrt"',
    'f.yaml:12:1: error: spec.models: Invalid input: expected array, received undefined',
    'f.yaml:13:3: error: spec.replicas: Invalid input: expected number, received string',
    'f.yaml:18:20: error: spec.strategy.canary.steps[1].pause.duration: Invalid string: must match pattern /^([0-9]+(\\.[0-9]+)?(ms|s|m|h))+$/',
  ]);
});

describe('the text itself', () => {
  const object = `${head}spec: { models: [{ name: a }] }\n`;
  const cases: readonly [string, string, readonly string[]][] = [
    ['that is fine says nothing', object, []],
    [
      'that is no YAML is told, and the other documents are looked at',
      `a: [1\n---\n${object.replace('}]', '}], device: x')}`,
      [
        'f.yaml:2:1: error: Flow sequence in block collection must be sufficiently indented and end with a ]',
        'f.yaml:6:32: error: spec.device: Invalid option: expected one of "cpu"|"cuda"|"tensorrt"',
      ],
    ],
    ['with a key twice', `${object}spec: {}\n`, ['f.yaml:5:1: error: Map keys must be unique']],
    [
      'that is no object',
      'just words\n',
      ['f.yaml:1:1: error: not an object: it has no apiVersion and kind'],
    ],
    [
      'of other kinds',
      'kind: ConfigMap\n',
      ['f.yaml:1:1: warning: there is no ModelDeployment and no DeepfakeModel in it'],
    ],
    ['of nothing', '', ['f.yaml:1:1: warning: there is no ModelDeployment and no DeepfakeModel in it']],
    ['with empty documents and other kinds beside', `---\n---\nkind: ConfigMap\n---\n${object}---\n`, []],
    [
      'of another version, without a name',
      'apiVersion: deepfake-operator.io/v1\nkind: DeepfakeModel\nspec: { source: { builtin: { name: a } } }\n',
      [
        'f.yaml:1:1: error: apiVersion: has to be deepfake-operator.io/v1alpha1; found "deepfake-operator.io/v1"',
        'f.yaml:1:1: error: metadata: has to have a name',
      ],
    ],
    [
      'of a List is looked at item by item',
      `apiVersion: v1\nkind: List\nitems:\n  - apiVersion: deepfake-operator.io/v1alpha1\n    kind: ModelDeployment\n    metadata: { name: d }\n    spec:\n      models: [{ name: a }]\n      device: x\n`,
      ['f.yaml:9:7: error: spec.device: Invalid option: expected one of "cpu"|"cuda"|"tensorrt"'],
    ],
    [
      'with anchors and merge keys is read as kubectl reads it',
      `${head}spec:\n  models: [{ name: a }]\n  strategy:\n    canary:\n      maxSurge: &none 0\n      maxUnavailable: *none\n`,
      [
        'f.yaml:7:5: error: spec.strategy.canary: maxSurge and maxUnavailable must not both be 0: no pod could be exchanged',
      ],
    ],
    [
      'with a member of null has its default, if there is one',
      `${head}spec:\n  models: [{ name: a }]\n  replicas:\n  autoscaling:\n`,
      ['f.yaml:7:3: error: spec.autoscaling: Invalid input: expected object, received null'],
    ],
  ];
  for (const [name, text, expected] of cases) it(name, () => assert.deepEqual(textsOf(text), expected));
});

describe('steps', () => {
  const gateway = { trafficRouting: { gatewayAPI: { httpRoute: 'r' } } };
  const mirror = { setMirrorRoute: { name: 'copy' } };
  const errors = { name: 'errors', builtin: { metric: 'errorRate', max: 0.01 } };
  const shadow = { name: 'same', shadow: { minAgreement: 0.9 } };
  const query = (conditions: object) => ({
    name: 'q',
    interval: '1m',
    prometheus: { address: 'http://p', query: 'up' },
    ...conditions,
  });
  const analysis = (...metrics: object[]) => ({ analysis: { metrics } });

  const rows: readonly [string, object, readonly string[]][] = [
    [
      'that lead to the new revision are fine',
      {
        steps: [
          { setWeight: 20 },
          { pause: {} },
          analysis(errors),
          { setWeight: 50 },
          { pause: { duration: '1h' } },
        ],
      },
      [],
    ],
    ['may end with 100', { steps: [{ setWeight: 20 }, { pause: {} }, { setWeight: 100 }] }, []],
    [
      'whose weight falls',
      { steps: [{ setWeight: 50 }, { pause: {} }, { setWeight: 20 }] },
      ['warning steps[2].setWeight: the weight falls from 50 to 20: steps lead to the new revision'],
    ],
    [
      'whose weight changes nothing',
      { steps: [{ setWeight: 0 }, { setWeight: 20 }, { setWeight: 20 }] },
      [
        'warning steps[0].setWeight: 0 is the weight that every rollout begins with already: the step changes nothing',
        'warning steps[2].setWeight: 20 is the weight already: the step changes nothing',
      ],
    ],
    [
      'that wait when it is too late',
      { steps: [{ setWeight: 100 }, { pause: {} }] },
      [
        'warning steps[1].pause: the canary has all requests already: a pause that may stop a rollout comes before that',
      ],
    ],
    [
      'that wait for no time',
      { steps: [{ setWeight: 20 }, { pause: { duration: '0m0s' } }] },
      ['warning steps[1].pause: a pause of no time waits for nothing'],
    ],
    [
      'that compare mirrored requests without a mirror',
      { ...gateway, steps: [{ setWeight: 20 }, analysis(shadow)] },
      [
        'error steps[1].analysis.metrics[0].shadow: compares mirrored requests, and no step before it sets a mirror route (setMirrorRoute)',
      ],
    ],
    ['that compare mirrored requests with one', { ...gateway, steps: [mirror, analysis(shadow)] }, []],
    [
      'that compare mirrored requests after the mirror is gone',
      { ...gateway, steps: [mirror, { setMirrorRoute: { name: 'copy', percentage: 0 } }, analysis(shadow)] },
      [
        'error steps[2].analysis.metrics[0].shadow: compares mirrored requests, and no step before it sets a mirror route (setMirrorRoute)',
      ],
    ],
    [
      'that take away what is not there',
      {
        ...gateway,
        steps: [{ setMirrorRoute: { name: 'copy', percentage: 0 } }, { setHeaderRoute: { name: 'staff' } }],
      },
      [
        'warning steps[0].setMirrorRoute: takes the route copy away, which no step before it sets',
        'warning steps[1].setHeaderRoute: takes the route staff away, which no step before it sets',
      ],
    ],
    [
      'that judge requests before there are any',
      { steps: [analysis(errors), { setWeight: 20 }] },
      [
        'warning steps[0].analysis.metrics[0]: no request reaches the canary before this step: errors stays inconclusive and pauses the rollout',
      ],
    ],
    ['that judge mirrored requests before others', { ...gateway, steps: [mirror, analysis(errors)] }, []],
    [
      'with a condition that does not parse',
      { steps: [{ setWeight: 20 }, analysis(query({ successCondition: 'result[0] >' }))] },
      ['error steps[1].analysis.metrics[0].successCondition: Unexpected token: EOF'],
    ],
    [
      'with a condition that is no condition',
      { steps: [{ setWeight: 20 }, analysis(query({ failureCondition: '1 + 1' }))] },
      ['error steps[1].analysis.metrics[0].failureCondition: it has to be true or false, and is a int'],
    ],
    [
      'about a model that is not served',
      { steps: [{ setWeight: 20 }, analysis({ name: 'drift', drift: { maxKs: 0.2, model: 'b' } })] },
      ['error steps[1].analysis.metrics[0].drift.model: b is none of spec.models (a)'],
    ],
    [
      'that end before the background analysis begins',
      { steps: [{ setWeight: 20 }], analysis: { startingStep: 1, metrics: [{ ...errors, interval: '1m' }] } },
      ['warning analysis.startingStep: there are 1 steps, counted from 0: nothing is measured'],
    ],
    [
      'that are none beside a background analysis',
      { analysis: { metrics: [{ ...errors, interval: '1m' }] } },
      ['warning analysis: without steps the rollout may be over before anything is measured'],
    ],
    [
      'with a background metric that is measured once, or never',
      { steps: [{ setWeight: 20 }], analysis: { metrics: [errors, { ...shadow, interval: '1m' }] } },
      [
        'warning analysis.metrics[0]: errors is measured once: an interval has it measured for as long as the rollout lasts',
        'error analysis.metrics[1].shadow: compares mirrored requests, and no step before it sets a mirror route (setMirrorRoute)',
      ],
    ],
  ];
  for (const [name, canary, expected] of rows) {
    it(name, () => {
      const text =
        head + stringify({ spec: { models: [{ name: 'a' }], replicas: 10, strategy: { canary } } });
      const found = lintText('f.yaml', text).map(
        ({ severity, field, message }) =>
          `${severity} ${field.replace('spec.strategy.canary.', '')}: ${message}`,
      );
      assert.deepEqual(found, expected);
    });
  }

  const counted: readonly [string, object, readonly string[]][] = [
    [
      'whose weight the pods cannot reach',
      {
        replicas: 4,
        strategy: { canary: { steps: [{ setWeight: 10 }, { setWeight: 50 }, { setWeight: 75 }] } },
      },
      ['warning steps[0].setWeight: 10 % cannot be reached with 4 pods: the nearest is 20 % (1 of 5 pods)'],
    ],
    [
      'whose weight the fewest pods of an autoscaler cannot reach',
      {
        autoscaling: { minReplicas: 2, maxReplicas: 9 },
        strategy: { canary: { maxSurge: 0, maxUnavailable: 1, steps: [{ setWeight: 10 }] } },
      },
      ['warning steps[0].setWeight: 10 % cannot be reached with 2 pods: the nearest is 50 % (1 of 2 pods)'],
    ],
    [
      'whose weight a router splits',
      { replicas: 4, strategy: { canary: { ...gateway, steps: [{ setWeight: 10 }] } } },
      [],
    ],
    [
      'that wait before there is a canary',
      { replicas: 4, strategy: { canary: { steps: [{ pause: {} }, { setWeight: 50 }] } } },
      ['warning steps[0].pause: no pod of the canary is there at this step: a pause shows nothing'],
    ],
    [
      'that measure where no canary can be',
      {
        replicas: 1,
        strategy: {
          canary: {
            maxSurge: 0,
            maxUnavailable: 1,
            steps: [
              analysis({ name: 'probes', probeSet: { configMap: { name: 'p' }, minAuc: 0.9 } }),
              { setWeight: 100 },
            ],
          },
        },
      },
      ['error steps[0].analysis: no pod of the canary is there at this step: nothing can be measured'],
    ],
    [
      'of no pods at all',
      { replicas: 0, strategy: { canary: { steps: [{ setWeight: 10 }, { pause: {} }] } } },
      [],
    ],
  ];
  for (const [name, spec, expected] of counted) {
    it(name, () => {
      const text = head + stringify({ spec: { models: [{ name: 'a' }], ...spec } });
      const found = lintText('f.yaml', text).map(
        ({ severity, field, message }) =>
          `${severity} ${field.replace('spec.strategy.canary.', '')}: ${message}`,
      );
      assert.deepEqual(found, expected);
    });
  }

  it('of blue-green have no requests to judge before the switch', () => {
    const strategy = { blueGreen: { prePromotionAnalysis: { metrics: [errors, shadow] } } };
    const text = head + stringify({ spec: { models: [{ name: 'a' }], strategy } });
    assert.deepEqual(
      lintText('f.yaml', text).map(({ severity, message }) => `${severity}: ${message}`),
      [
        'warning: no request reaches the new revision before the switch: errors stays inconclusive',
        'error: compares mirrored requests, and blueGreen mirrors none',
      ],
    );
  });
});

it('an undo in a file is told', () => {
  const spec = { models: [{ name: 'a' }], strategy: { canary: {} }, rollbackTo: 'abc' };
  assert.deepEqual(textsOf(head + stringify({ spec })), [
    'f.yaml:9:3: warning: spec.rollbackTo: whatever else the spec says, revision abc is served until this is taken out',
  ]);
});
