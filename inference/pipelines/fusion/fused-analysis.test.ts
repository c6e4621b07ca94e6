import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { ForensicReport } from '../../forensics/report.ts';
import type { NamedPackage } from '../../models/package.ts';
import type { Analysis } from '../analysis.ts';
import { explainTraces } from '../forensic-analysis.ts';
import { fusedAnalysis, type MemberAnalysis } from './fused-analysis.ts';

const unread = 'The EXIF data could not be read.';
const report: ForensicReport = {
  provenance: { c2pa: { present: true, validation_state: 'not_checked' }, exif: null },
  warnings: [unread],
};

/** As a worker answers: the report's words are among the model's own. */
function member(name: string, forensicReport?: ForensicReport): MemberAnalysis {
  const model = {
    name,
    digest: `sha256:${name}`,
    precision: 'fp32',
    manifest: { pipeline: { type: 'image-residual' }, modality: 'image', card: { status: 'validated' } },
  } as unknown as NamedPackage;
  const analysis: Analysis = {
    score: 0.9,
    verdict: 'DEEPFAKE',
    inconclusiveReasons: [],
    explanations: forensicReport === undefined ? [] : explainTraces(forensicReport),
    signals: {},
    notes: ['The image is small.', ...(forensicReport?.warnings ?? [])],
    timingsMs: { decode: 1, preprocess: 1, infer: 1 },
    ...(forensicReport === undefined ? {} : { forensicReport }),
  };
  return { model, analysis };
}

describe('the traces of a file that several models judge', () => {
  const told = { report, codes: ['c2pa_present'] };
  const rows: {
    name: string;
    members: readonly MemberAnalysis[];
    expected: { report: ForensicReport | undefined; codes: readonly string[]; notes: readonly string[] };
  }[] = [
    {
      name: 'are told once where every model has found them',
      members: [member('a', report), member('b', report)],
      expected: { ...told, notes: ['a: The image is small.', 'b: The image is small.', unread] },
    },
    {
      name: 'are told where the first of them has no report',
      members: [member('a'), member('b', report)],
      expected: { ...told, notes: ['a: The image is small.', 'b: The image is small.', unread] },
    },
    {
      name: 'are told where the others have failed',
      members: [member('b', report)],
      expected: { ...told, notes: ['b: The image is small.', unread] },
    },
    {
      name: 'are not told where nobody has looked for them',
      members: [member('a'), member('b')],
      expected: {
        report: undefined,
        codes: [],
        notes: ['a: The image is small.', 'b: The image is small.'],
      },
    },
  ];
  for (const { name, members, expected } of rows) {
    test(name, () => {
      const group = {
        models: ['a', 'b'],
        combination: { method: 'mean' },
        thresholds: { low: 0.3, high: 0.7 },
        minModels: 1,
        onDisagreement: 'warn',
      } as const;
      const { analysis } = fusedAnalysis(group, members, []);
      const codes = analysis.explanations.map(({ code }) => code);
      assert.deepEqual(
        {
          report: analysis.forensicReport,
          codes: codes.filter((code) => code === 'c2pa_present'),
          notes: analysis.notes,
        },
        expected,
      );
    });
  }
});
