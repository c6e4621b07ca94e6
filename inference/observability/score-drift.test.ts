import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Registry } from 'prom-client';
import { type DriftingModel, DriftMetric } from './drift-metric.ts';
import { populationStabilityIndex, ScoreDrift } from './score-drift.ts';

/** Scores that fall into the bins in the given proportions, in turn. */
function scores(count: number, proportions: readonly number[]): number[] {
  const cycle = proportions.flatMap((share, bin) => new Array<number>(share).fill((bin + 0.5) / 10));
  return Array.from({ length: count }, (_, index) => cycle[index % cycle.length] ?? assert.fail());
}

function driftOf(all: readonly number[]): number | undefined {
  const drift = new ScoreDrift();
  for (const score of all) drift.add(score);
  return drift.value;
}

const even = [1, 1, 1, 1, 1, 1, 1, 1, 1, 1];
const low = [5, 3, 2, 0, 0, 0, 0, 0, 0, 0];
const high = [0, 0, 0, 0, 0, 0, 0, 2, 3, 5];

describe('the population stability index', () => {
  const rows = [
    { name: 'equal counts', reference: [10, 20, 30], current: [10, 20, 30], psi: 0 },
    { name: 'equal shares', reference: [50, 0, 450], current: [10, 0, 90], psi: 0 },
    // Shares of 1/502 and 501/502 against 251/502 twice.
    {
      name: 'half moved',
      reference: [0, 500],
      current: [250, 250],
      psi: (250 / 502) * Math.log(501),
    },
    {
      name: 'all moved',
      reference: [0, 500],
      current: [500, 0],
      psi: (500 / 502) * 2 * Math.log(501),
    },
  ];
  for (const { name, reference, current, psi } of rows) {
    test(`of ${name}, in either direction`, () => {
      for (const found of [
        populationStabilityIndex(reference, current),
        populationStabilityIndex(current, reference),
      ])
        assert.ok(Math.abs(found - psi) < 1e-12, `${found} is not ${psi}`);
    });
  }
});

describe('the drift of scores', () => {
  const rows: readonly {
    readonly name: string;
    readonly scores: readonly number[];
    readonly isRight: (value: number | undefined) => boolean;
  }[] = [
    { name: 'of none', scores: [], isRight: (value) => value === undefined },
    {
      name: 'of the first ones and too few after them',
      scores: scores(599, even),
      isRight: (value) => value === undefined,
    },
    {
      name: 'where nothing has changed',
      scores: scores(600, even),
      isRight: (value) => value === 0 || (value !== undefined && Math.abs(value) < 1e-9),
    },
    {
      name: 'where all scores are the same',
      scores: new Array<number>(600).fill(1),
      isRight: (value) => value !== undefined && Math.abs(value) < 1e-9,
    },
    {
      name: 'from low to high',
      scores: [...scores(500, low), ...scores(100, high)],
      isRight: (value) => value !== undefined && value > 0.25,
    },
    {
      name: 'from low to high and back for 500 scores',
      scores: [...scores(500, low), ...scores(400, high), ...scores(500, low)],
      isRight: (value) => value !== undefined && Math.abs(value) < 1e-9,
    },
    {
      name: 'that comes slowly is measured from the first ones',
      scores: [...scores(500, low), ...scores(500, even), ...scores(500, high)],
      isRight: (value) => value !== undefined && value > 0.25,
    },
  ];
  for (const { name, scores: all, isRight } of rows) {
    test(name, () => {
      const value = driftOf(all);
      assert.ok(isRight(value), String(value));
    });
  }
});

describe('the metric of drift', () => {
  const first: DriftingModel = {
    name: 'picture',
    digest: 'sha256:1',
    precision: 'fp32',
    manifest: { version: '1' },
  };
  const second: DriftingModel = { ...first, digest: 'sha256:2', manifest: { version: '2' } };

  function scene() {
    const registry = new Registry();
    let served: readonly DriftingModel[] = [first];
    const metric = new DriftMetric(registry, () => served);
    return {
      serve: (...models: readonly DriftingModel[]) => {
        served = models;
      },
      add: (model: DriftingModel, all: readonly number[]) => {
        for (const score of all) metric.add(model, score);
      },
      lines: async () => (await registry.metrics()).split('\n').filter((line) => /^deepfake/.test(line)),
    };
  }
  const enough = scores(600, even);

  test('is absent before there is enough, and then has the model and its version', async () => {
    const { add, lines } = scene();
    add(first, enough.slice(1));
    assert.deepEqual(await lines(), []);
    add(first, enough.slice(0, 1));
    assert.match((await lines()).join(), /^deepfake_drift_score\{model="picture",version="1"\} -?[\d.e-]+$/);
  });

  test('begins anew with another package under the same name, whatever the old one still answers', async () => {
    const { add, lines, serve } = scene();
    add(first, enough);
    serve(second);
    add(second, enough.slice(1));
    add(first, enough);
    assert.deepEqual(await lines(), []);
    add(second, enough.slice(0, 1));
    assert.match((await lines()).join(), /^deepfake_drift_score\{model="picture",version="2"\} /);
  });

  test('begins anew with another graph of the same package', async () => {
    const { add, lines, serve } = scene();
    add(first, enough);
    serve({ ...first, precision: 'int8' });
    assert.deepEqual(await lines(), []);
  });

  test('is not told of what is served no longer', async () => {
    const { add, lines, serve } = scene();
    add(first, enough);
    serve();
    assert.deepEqual(await lines(), []);
  });
});
