import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { REPOSITORY } from '../../paths.ts';
import { evaluationDocument, evaluationFiles } from './document.ts';
import { type Described, type DescribedModel, describe as described, type Results } from './measurements.ts';
import { reliabilityChart } from './reliability-chart.ts';

const shipped = described(REPOSITORY);

describe("the detectors' document", () => {
  test('is what the packages and the last measurements say', () => {
    for (const [path, text] of evaluationFiles(shipped))
      assert.equal(readFileSync(join(REPOSITORY, path), 'utf8'), text, `${path}: run npm run codegen`);
  });

  test('shows every figure of every evaluation.json with its interval', () => {
    const text = evaluationDocument(shipped);
    const absent = shipped.models.flatMap(({ name, rows }) => {
      const [, section = ''] = text.split(`\n## ${name}\n`);
      const lines = section.split('\n');
      return rows.filter(({ dataset, value, low, high }) => {
        const numbers = [value, low ?? value, high ?? value].map((number) =>
          Number.isInteger(number) ? String(number) : number.toFixed(3),
        );
        return !lines.some(
          (line) => line.startsWith(`| ${dataset} |`) && numbers.every((number) => line.includes(number)),
        );
      });
    });
    assert.ok(shipped.models.some(({ rows }) => rows.length > 0));
    assert.deepEqual(absent, []);
  });

  test('says of each detector what it must not be used for, in the words of its card', () => {
    const text = evaluationDocument(shipped);
    for (const { manifest } of shipped.models) assert.ok(text.includes(manifest.card.limitations));
  });
});

const results: Results = {
  data: { name: 'm.csv', files: 5, judged: 4, leftOut: { silence: 1 }, reals: 2, fakes: 2, sources: 2 },
  scoredBy: 'pod',
  intervals: '',
  figures: {
    AUC: { value: 0.75, low: 0.5, high: 1 },
    ECE: { value: 0.125, low: null, high: null },
    precision: { value: null, low: null, high: null },
  },
  byGenerator: { gan: { value: 0.75, low: null, high: null, fakes: 2, reals: 2 } },
  metadataControl: { value: null, low: null, high: null },
  reliability: [
    { count: 3, score: 0.2, fakes: 0.25 },
    { count: 1, score: 0.9, fakes: 1 },
  ],
  riskCoverage: [
    { coverage: 0.5, risk: 0 },
    { coverage: 1, risk: 0.25 },
  ],
  robustness: [
    { step: 'JPEG 30', judged: 4, leftOut: {}, figures: { AUC: { value: 0.5, low: 0.25, high: 0.75 } } },
  ],
};

function withMeasured(changes: Partial<DescribedModel>): Described {
  const [first] = shipped.models;
  assert.ok(first !== undefined);
  const { measured: _, ...bare } = first;
  return { models: [{ ...bare, ...changes }] };
}

const measured = {
  machine: { cores: 2, processor: 'x', memoryGiB: 1, node: 'v24', loadAverage: 0 },
  version: '1.0.0',
  graphSha256: 'a',
  media: { seen: ['gan'], unseen: [], leftOut: ['vae'] },
  results,
  latency: { files: 2, requests: 10, failed: 0, p50Ms: 12.4, p95Ms: 20 },
};

describe('a section of the document', () => {
  const lines = evaluationDocument(withMeasured({ measured })).split('\n');
  const rows: { name: string; line: string }[] = [
    { name: 'has a figure with its interval', line: '| AUC | 0.750 [0.500, 1.000] |' },
    { name: 'says where the files give no figure', line: '| precision | not to be had |' },
    { name: 'says which generators were in training', line: '| gan | yes | 0.750 | 2 + 2 |' },
    {
      name: 'has a row for each step of the grid',
      line: '| JPEG 30 | 0.500 [0.250, 0.750] | not to be had | not to be had | not to be had | 4 |',
    },
    { name: 'has the risk at the shares that the curve reaches', line: '| 0.50 | 0.000 |' },
  ];
  for (const { name, line } of rows) test(name, () => assert.ok(lines.includes(line), lines.join('\n')));

  test('names the files without a score and the generators that are missing', () => {
    const text = lines.join('\n');
    assert.match(
      text,
      /4 of 5 held-out files judged \(2 reals, 2 fakes, 2 sources\); without a score: 1 silence\./,
    );
    assert.match(text, /Fakes by vae are left out here/);
    assert.match(text, /All fakes here are by generators of the training/);
  });

  test('says what was not measured', () => {
    const text = evaluationDocument(withMeasured({ rows: [] }));
    assert.match(text, /Not measured: the package brings no `evaluation.json`/);
    assert.match(text, /Not measured for this graph/);
    assert.doesNotMatch(text, /NaN|undefined|null/);
  });
});

describe('a reliability chart', () => {
  test('has a dot for each bin at its score and its share of fakes', () => {
    const dots = [
      ...reliabilityChart('x', results.reliability).matchAll(/cx="([\d.]+)" cy="([\d.]+)" r="([\d.]+)"/g),
    ];
    assert.deepEqual(
      dots.map(([, ...numbers]) => numbers.map(Number)),
      [
        [84, 216, 10.7],
        [252, 36, 7],
      ],
    );
  });
});
