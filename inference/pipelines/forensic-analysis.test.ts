import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { ForensicReport, JpegReport } from '../forensics/report.ts';
import { PixelBudget } from '../media/pixel-budget.ts';
import { flatImage } from '../testing/media.ts';
import type { Analysis } from './analysis.ts';
import { explainTraces, withForensics } from './forensic-analysis.ts';

const credentials = (present: boolean | null): ForensicReport => ({
  provenance: { c2pa: { present, validation_state: 'not_checked' } },
  warnings: [],
});

const savedTwice = (likely: boolean): ForensicReport => {
  const jpeg: JpegReport = {
    quality: 80,
    tables: 'standard',
    subsampling: '4:2:0',
    progressive: false,
    double_compression: { likely, evidence: 0.2, frequencies: 9 },
  };
  return { provenance: { c2pa: null }, forensics: { noise: null, jpeg }, warnings: [] };
};

describe('what is said of traces', () => {
  const rows: { name: string; report: ForensicReport; codes: string[] }[] = [
    { name: 'names credentials', report: credentials(true), codes: ['c2pa_present'] },
    { name: 'makes nothing of missing credentials', report: credentials(false), codes: [] },
    { name: 'makes nothing of formats without them', report: credentials(null), codes: [] },
    { name: 'names an earlier save', report: savedTwice(true), codes: ['double_compression'] },
    { name: 'makes nothing of a single save', report: savedTwice(false), codes: [] },
    {
      name: 'makes nothing of what could not be read',
      report: { provenance: { c2pa: null }, warnings: [] },
      codes: [],
    },
  ];
  for (const { name, report, codes } of rows) {
    test(`${name}, and takes no side`, () => {
      const found = explainTraces(report);
      assert.deepEqual(
        found.map(({ code }) => code),
        codes,
      );
      for (const { text } of found) {
        assert.match(text, /score does not depend on/);
        assert.doesNotMatch(text, /authentic|deepfake|fake|real\b|manipulated|tampered|genuine/i);
      }
    });
  }
});

describe('an analysis with its traces', () => {
  const analysis: Analysis = {
    score: 0.9,
    verdict: 'DEEPFAKE',
    inconclusiveReasons: [],
    explanations: [],
    signals: { tiles_analysed: 1 },
    notes: [],
    timingsMs: { decode: 0, preprocess: 0, infer: 0 },
  };
  const observed: boolean[] = [];
  const analyze = withForensics(async (_input, { observer }) => {
    observed.push(observer !== undefined);
    return analysis;
  });
  const contextOf = (signal: AbortSignal) => ({
    signal,
    pixelBudget: new PixelBudget(1e6),
    videoLimits: { maxSeconds: 1, maxPixels: 1, decoderThreads: 1 },
    emit: () => undefined,
    report: () => undefined,
  });
  const media = { kind: 'image', mime: 'image/png' } as const;

  test('is the same analysis where nobody asks, and nothing is watched', async () => {
    const content = await flatImage({ width: 64, height: 64, level: 9, format: 'png' });
    const context = contextOf(new AbortController().signal);
    assert.equal(await analyze({ path: 'image', content, media }, context, {}), analysis);
    assert.deepEqual(observed.splice(0), [false]);
  });

  test('is given up with its request', async () => {
    const gone = AbortSignal.abort(new Error('the client has left'));
    const content = await flatImage({ width: 64, height: 64, level: 9, format: 'png' });
    await assert.rejects(
      analyze({ path: 'image', content, media }, contextOf(gone), { forensics: true }),
      /the client has left/,
    );
    assert.deepEqual(observed.splice(0), [true]);
  });
});
